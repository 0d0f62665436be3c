"""What is said and heard in one iteration, on the consumer's side; the link has the sockets and the thread.

All of it happens under the link's lock.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from penstock.errors import ServerRefused, ServiceError, StateError
from penstock.service.inlets import Arrival, Inlet, Peer, Wishes, clock
from penstock.service.lanes import Where, rebuilt
from penstock.service.ledger import Inflow, Missing
from penstock.service.library import version
from penstock.service.local import Host, possible
from penstock.service.protocol import Message, Nonsense, runs
from penstock.transport.wire import divided

WINDOW = 1024  # batches, which small ones need to be fast …
DEALT = 16  # … but what one consumer holds, no other gets
SENT = frozenset({"data", "end", "fail", "void"})  # what comes down a route


class Talk:
    """What this consumer knows of its servers.

    Args:
        wishes: how to be served.
        epoch: which epoch.
        inlets: what comes, a share each.
        digest: what stands for the pipeline that a state was saved from, if there is one.
        send: says something to a server.
        wake: lets the link's thread look at what is due.
    """

    def __init__(  # noqa: PLR0913, PLR0917  made in one place
        self,
        wishes: Wishes,
        epoch: int,
        inlets: list[Inlet],
        digest: int | None,
        send: Callable[..., None],
        wake: Callable[[], None],
    ) -> None:
        self.wishes = wishes
        self.epoch = epoch
        self.inlets = inlets
        self.digest = digest
        self.send = send
        self.wake = wake
        self.mode = ""
        self.name = secrets.token_hex(16)
        self.routes = 0
        self.window = wishes.window or WINDOW
        self.bytes = wishes.window_bytes
        self.stopping = False
        self.failure: BaseException | None = None
        self.ahead = False  # whether what was taken is finished only when the loop says so

    def hello(self, peer: Peer) -> None:
        """Say who is here."""
        self.send(peer, "hello", version=version(), name=self.name)

    def fail(self, error: BaseException) -> None:
        """Let the consumer have an error, unless it has one."""
        self.failure = self.failure or error

    def finish(self, inlet: Inlet, upto: int | None = None) -> None:
        """Note that the consumer is through with what it took: with all of it, or with so many, ever."""
        upto = inlet.taken if upto is None else upto
        if upto <= inlet.through:
            return
        while inlet.through < upto:
            number, nbytes = inlet.hands.popleft()
            inlet.through += 1
            inlet.flow.finish(nbytes)
            if self.mode == "share":
                inlet.unkept.append(None if number in inlet.void else number)
                inlet.void.discard(number)  # it may be dealt to us anew
        if self.half(inlet) or (self.mode == "share" and (len(inlet.unkept) == 1 or not inlet.buffer)):
            self.wake()

    def half(self, inlet: Inlet) -> bool:
        """Tell whether half of the credit is finished, or so much that another batch as large as any may not fit."""
        flow = inlet.flow
        due = flow.finished - flow.told
        return due > 0 and (2 * due >= self.window or 2 * (flow.freed + inlet.largest) >= self.bytes)

    def next(self, inlet: Inlet) -> Arrival | None:
        """Return what the consumer is to have next, and note that it has that in hand; None where there is nothing.

        Where batches are dealt, also where it has not been heard for so long that they may be somebody else's by now.
        """
        while inlet.buffer and not (self.mode == "share" and clock() >= inlet.peer.lease):
            arrival = inlet.buffer.popleft()
            alone = not inlet.hands
            inlet.hands.append((arrival.number, arrival.nbytes))
            inlet.taken += 1
            if arrival.number not in inlet.void:
                return arrival
            if alone:  # else it is finished behind what comes before it
                self.finish(inlet)
        return None

    def heard(self, peer: Peer, message: Message) -> None:
        """Do what a server says, after what it sent through shared memory before."""
        self.collect(peer)
        kind, fields = message.kind, message.fields
        if kind == "welcome":
            self.welcome(peer, fields)
        elif kind == "again":
            self.forget(peer)
            self.hello(peer)
        elif kind == "refuse":
            if not fields["route"] or any(inlet.route == fields["route"] for inlet in self.inlets):
                kind_ = StateError if "state was saved" in fields["reason"] else ServerRefused
                self.fail(kind_(f"connect(): {peer.endpoint} refused: {fields['reason']}"))
        elif kind == "pulse":
            peer.answered(fields["clock"])
            for route, sent, kept in fields["routes"]:
                self.pulse(route, sent, kept)
        elif kind in SENT:
            inlet = self.inlet_of(peer, fields["route"])
            if inlet is None:
                return  # of a route that was given up
            try:
                self.arrive(inlet, message)
            except Missing:
                self.open_route(inlet)

    def inlet_of(self, peer: Peer, route: int) -> Inlet | None:
        """Return what a server sends to by a route, if that was not given up."""
        return next((inlet for inlet in self.inlets if inlet.route == route and inlet.peer is peer), None)

    def collect(self, peer: Peer, *, one: bool = False) -> bool:
        """Take in what has come through shared memory, or only one batch; return whether there was any.

        A letter that is ahead of its turn waits for what ZeroMQ brings, or for the route to be given up.
        """
        host = peer.host
        came = False
        try:
            while host is not None and not (came and one) and (letter := host.next()) is not None:
                fields = letter.fields
                inlet = self.inlet_of(peer, fields["route"])
                if inlet is not None and fields["seq"] > inlet.flow.received:
                    host.early = letter
                    break
                frames = host.frames(letter, Inflow() if inlet is None else inlet.flow)
                if inlet is not None:
                    self.batches(inlet, fields, frames)
                    came = True
        except OSError:  # it closed its end; what it sends, comes through ZeroMQ
            peer.leave()
        return came

    def welcome(self, peer: Peer, fields: dict[str, Any]) -> None:
        """Enter; open what is to come from here."""
        if peer.token == fields["token"]:
            return
        mode = fields["mode"]
        if mode == "share" and peer.instance not in ("", fields["instance"]) and not fields["kept"]:
            doubt = [number for inlet in self.inlets if inlet.peer is peer for number in inlet.held()]
            raise ServiceError(
                f"connect(): {peer.endpoint} was started anew without a state file, so it does not know which batches "
                f"were finished; in doubt are {doubt[:20] or 'those of other consumers'}. Say serve(…, state_file=…)."
            )
        if mode == "share" and self.wishes.bind and len(self.inlets) > 1:
            raise ServiceError(
                f'connect(): the servers that came to {peer.endpoint} serve with mode="share", where each has its own '
                "account of the batches, so a consumer must know them by name: connect([a, b, c])."
            )
        digest = fields["digest"]
        if self.digest is not None and digest != self.digest:
            raise StateError(
                f"connect(): {peer.endpoint} serves another pipeline than the one that this was read from: "
                f"{' → '.join(fields['pipeline'])}."
            )
        if self.mode and mode != self.mode:
            raise ServiceError(f'connect(): {peer.endpoint} serves with mode="{mode}", others with "{self.mode}".')
        self.digest, self.mode = digest, mode
        if mode == "share":
            self.window = self.wishes.window or DEALT
        else:  # what is not finished is kept over there: more than it can keep is no credit
            self.window = min(self.window, fields["window"])
            self.bytes = min(self.bytes, fields["bytes"])
        peer.token, peer.instance, peer.mode = fields["token"], fields["instance"], mode
        peer.trouble, peer.patience = "", fields["patience"]
        if fields["local"] is not None and self.wishes.local and possible():
            with contextlib.suppress(OSError):  # it is on another host, or in another network
                peer.leave()
                peer.host = Host(fields["local"], peer.token)
        for inlet in self.inlets:
            if inlet.peer is peer and not inlet.route and not inlet.ended:
                self.open_route(inlet)

    def open_route(self, inlet: Inlet) -> None:
        """Open a route, or open it anew from what is missing."""
        peer = inlet.peer
        if not peer.token:
            return
        if inlet.route:
            self.send(peer, "close", token=peer.token, route=inlet.route, finished=inlet.flow.told)
        held = inlet.held()
        self.routes += 1
        inlet.route = self.routes
        inlet.flow = Inflow(self.window, self.bytes)
        inlet.flow.received = len(held)
        inlet.buffer = deque(arrival._replace(nbytes=0) for arrival in inlet.buffer)  # it was no part of this credit
        inlet.leaving = False
        share = self.mode == "share"
        number = inlet.where.number
        if share:
            inlet.before += [one for one in inlet.unkept if one is not None]
            inlet.unkept.clear()
            number = number if inlet.first else 0
            peer.claimed, peer.lease = clock(), 0
        inlet.first = False
        self.send(
            peer,
            "open",
            token=peer.token,
            clock=clock(),
            route=inlet.route,
            epoch=self.epoch,
            number=number,
            below=inlet.where.below,
            digest=self.digest,
            share=[inlet.share, len(self.inlets)],
            shard=None if self.wishes.shard is None else list(self.wishes.shard),
            window=self.window,
            bytes=self.bytes,
            held=[[one, one + 1] for one in held],  # in the order in which they will be finished
            done=runs(sorted(inlet.before)),
        )

    def forget(self, peer: Peer) -> None:
        """Note that a server does not know us."""
        peer.token = ""
        for inlet in self.inlets:
            if inlet.peer is peer:
                inlet.route = 0

    def pulse(self, route: int, sent: int, kept: int) -> None:
        """Hear how much was sent, and written down."""
        for inlet in self.inlets:
            if inlet.route == route:
                if kept > inlet.flow.finished:
                    raise Nonsense(f"{kept} batches written down, {inlet.flow.finished} finished")
                inlet.before.clear()
                for _ in range(len(inlet.unkept) - (inlet.flow.finished - kept)):
                    inlet.unkept.popleft()
                if inlet.leaving:  # what was said before it heard of that comes first
                    inlet.route = route if inlet.unkept else 0
                    return
                if inlet.unkept:
                    self.wake()
                try:
                    inlet.flow.expect(sent)
                except Missing:
                    self.open_route(inlet)

    def arrive(self, inlet: Inlet, message: Message) -> None:
        """Take in what came down a route.

        Raises:
            Missing: something before it did not.
        """
        kind, fields, frames = message
        if kind == "void":
            lost = {number for start, stop in fields["numbers"] for number in range(start, stop)}
            inlet.void |= lost.intersection(inlet.held())
        elif kind == "data":
            self.batches(inlet, fields, frames)
        else:
            inlet.flow.accept(fields["seq"], 0)
            if kind == "end":
                inlet.route = 0
                inlet.unkept.clear()  # all is written down by then
                inlet.before.clear()
                inlet.ended, inlet.total, inlet.late = True, fields["total"], fields["late"]
            else:
                inlet.error = rebuilt(fields)

    def batches(self, inlet: Inlet, fields: dict[str, Any], frames: Sequence[Any]) -> None:
        """Put batches into the buffer."""
        numbers, sizes = fields["numbers"], fields["sizes"]
        after = fields["after"] or [None] * len(numbers)
        if not numbers or not len(numbers) == len(sizes) == len(after) or not frames:
            raise Nonsense("data of which the parts do not fit")
        again = inlet.flow.accept(fields["seq"], len(numbers))
        inlet.flow.charge(sum(sizes[again:]))
        alone = len(sizes) == 1 and sum(map(len, frames)) == sizes[0]
        records = [list(frames)] if alone else divided(frames[0], sizes)
        inlet.largest = max(inlet.largest, *sizes)
        if not self.stopping:
            inlet.buffer.extend(islice(map(Arrival, numbers, records, after, sizes), again, None))
        inlet.where = Where(self.epoch, numbers[-1] + 1, after[-1])
