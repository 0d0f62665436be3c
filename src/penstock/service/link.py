"""The consumer's side of the data service: a thread that owns the sockets, and what arrives, for one iteration.

    server ──► DEALER ──┐
    server ──► DEALER ──┼─ link (one thread) ──► inlets, one for each share ──► the cursor
    server ──► DEALER ──┘                          ▲
    server of this host, shared memory ────────────┴── whoever asks for a batch, and finds none

The thread lives as long as the iteration. It says hello, keeps beating while the loop trains, sees what is missing,
opens routes anew, and lets another server take over the share of one that is lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from penstock.errors import CorruptRecord, ServerRefused, ServiceError
from penstock.graph.context import teach_malloc
from penstock.service import protocol
from penstock.service.arguments import PLACE
from penstock.service.bell import Bell
from penstock.service.explaining import HELP, lost, refused, silence, unresolved
from penstock.service.holding import Holding
from penstock.service.inlets import Arrival, Inlet, Peer, Wishes, clock
from penstock.service.keys import Pair, for_client
from penstock.service.lanes import Where
from penstock.service.library import POLLIN, dealer, events, received, watched, zmq
from penstock.service.protocol import BEAT, Nonsense, packed
from penstock.service.reception import Reception
from penstock.service.taking import Taking
from penstock.service.talk import Talk

logger = logging.getLogger("penstock")

EAGER = 0.25  # seconds between two beats while somebody waits
LINGER = 500  # milliseconds in which a farewell may leave
SETTLING = 5.0  # seconds in which a server that deals must hear what was finished
SLOW = 5.0  # seconds after which it is said that nobody answers
ENDING = 5.0  # seconds that the thread has to come to its end


class Link:
    """One iteration's connections.

    Args:
        wishes: how to be served.
        epoch: which epoch.
        wheres: where each inlet begins.
        digest: what stands for the pipeline that a state was saved from, if there is one.
    """

    def __init__(self, wishes: Wishes, epoch: int, wheres: Sequence[Where], digest: int | None) -> None:
        self.wishes = wishes
        self.lock = threading.RLock()
        self.owner = os.getpid()
        now = time.monotonic()
        self.peers = [Peer(place, now) for place in wishes.places]
        self.reception: Reception | None = None
        self.inlets = [Inlet(i, where, peer) for i, (where, peer) in enumerate(zip(wheres, self.peers, strict=True))]
        self.talk = Talk(wishes, epoch, self.inlets, digest, self.send, self.wake)
        teach_malloc()  # each message is memory of its own
        pair = None if wishes.keys is None else for_client(wishes.keys)
        z = self.library = zmq()
        self.context = z.Context()
        self.bell = Bell()
        self.taking = Taking(self.lock, self.talk, self.peers, self.strange)
        try:
            self.poller = z.Poller()
            self.poller.register(self.bell.number, z.POLLIN)
            if wishes.bind:
                self.receive(pair)
            else:
                for peer in self.peers:
                    self.connect(peer, pair)
        except BaseException:
            self.shut()
            raise
        self.thread = threading.Thread(target=self.run, name="penstock-link", daemon=True)
        self.thread.start()

    def connect(self, peer: Peer, pair: Pair | None) -> None:
        """Make the socket to a server."""
        z = self.library
        peer.socket = dealer(self.context, pair, self.wishes.largest)
        peer.socket.linger = LINGER
        peer.monitor = watched(peer.socket)
        try:
            peer.socket.connect(peer.endpoint)
        except z.ZMQError as error:
            raise ServiceError(f"connect(): {peer.endpoint} cannot be connected to: {error}. {PLACE}") from None
        self.poller.register(peer.socket, z.POLLIN)
        self.poller.register(peer.monitor, z.POLLIN)

    def receive(self, pair: Pair | None) -> None:
        """Make the socket that servers come to."""
        reception = self.reception = Reception(self.context, self.wishes, pair)
        reception.socket.linger = LINGER
        self.poller.register(reception.socket, self.library.POLLIN)
        self.poller.register(reception.monitor, self.library.POLLIN)

    def take(self, inlets: Sequence[Inlet], holding: Holding) -> tuple[Inlet, Arrival] | None:
        """Wait for a batch from any of some inlets; None where all of them have ended. For the consumer's thread.

        Args:
            inlets: any of these.
            holding: what the consumer has taken so far.
        """
        return self.taking.take(inlets, holding)

    def wake(self) -> None:
        """Let the link's thread look."""
        self.bell.ring()

    def close(self) -> None:
        """Say good-bye, and end. Not in a fork, where the thread never was."""
        if self.owner != os.getpid():
            return
        with self.lock:
            self.talk.stopping = True
            self.taking.tell()
        self.wake()
        if self.thread is not threading.current_thread():
            self.thread.join(ENDING)

    # -- the link's own thread

    def run(self) -> None:
        """Talk, until told to stop."""
        z = self.library
        before = time.monotonic()
        try:
            while not self.talk.stopping:
                self.look()
                now = time.monotonic()
                self.excuse(now, now - before)
                self.speak(now)
                before = now
            if self.talk.mode == "share" and self.talk.failure is None:
                self.settle(time.monotonic() + min(SETTLING, self.wishes.timeout))
            for peer in self.peers:
                self.farewell(peer)
        except z.ContextTerminated:
            pass
        except Exception as error:  # noqa: BLE001  a fault of ours, or a server that is none: the loop is told
            self.fail(error)
        finally:
            self.shut()

    def excuse(self, now: float, passed: float) -> None:
        """Blame no server for a silence in which this process was stopped, or its threads were kept from running."""
        if passed > BEAT:
            for peer in self.peers:
                peer.heard = min(now, peer.heard + passed)

    def look(self) -> None:
        """Wait for something to happen, and hear of it."""
        ready = dict(self.poller.poll(100))
        if self.bell.number in ready:
            self.bell.answer()
        for peer in self.peers:
            if peer.monitor in ready:
                self.noticed(peer)
            if peer.socket in ready:
                self.hear(peer)
        if self.reception is not None:
            self.host(self.reception, ready)
        with self.lock:
            if self.taking.collect():  # while the consumer is busy: what finds no room there would go through ZeroMQ
                self.taking.tell()

    def host(self, reception: Reception, ready: dict[Any, int]) -> None:
        """Hear those who came to us, and let those who are new sit down."""
        if reception.monitor in ready:
            for event, value in events(reception.monitor):
                if event == self.library.EVENT_DISCONNECTED:
                    for peer in self.peers:
                        peer.said = 0.0  # whoever is gone is found by speaking to all
                else:
                    self.failed(event, value, [peer for peer in self.peers if not peer.address])
        if reception.socket in ready:
            for peer, frames in reception.heard(64):
                self.listen(peer, frames)
        while seated := reception.seat(self.peers):
            with self.lock:
                for peer in seated:
                    self.talk.forget(peer)
                    peer.said = time.monotonic()
                    self.talk.hello(peer)

    def settle(self, deadline: float) -> None:
        """See to it that the server knows what was finished, before leaving: else others would be given it again.

        Where the connection is lost, or the server is being started again, that may take a while.
        """
        with self.lock:
            for inlet in self.inlets:
                if not self.talk.ahead:
                    self.talk.finish(inlet)
                inlet.buffer.clear()
        self.taking.waiting = True  # do not sleep for long
        while time.monotonic() < deadline:
            with self.lock:
                open_ = [inlet for inlet in self.inlets if not inlet.ended and (inlet.unkept or inlet.before)]
                for inlet in open_:
                    if inlet.route and not inlet.leaving and inlet.peer.token:
                        inlet.leaving = True
                        finished = inlet.flow.finished
                        self.send(inlet.peer, "close", token=inlet.peer.token, route=inlet.route, finished=finished)
                now = time.monotonic()
                for peer in self.peers:
                    if not peer.token and now - peer.said > EAGER:
                        peer.said = now
                        self.talk.hello(peer)
            if not open_:
                return
            self.look()

    def shut(self) -> None:
        """Close the sockets."""
        for peer in self.peers:
            peer.leave()
            if peer.monitor is not None:
                with contextlib.suppress(Exception):
                    peer.socket.disable_monitor()
                peer.monitor.close(0)
        if self.reception is not None:
            self.reception.close()
        self.context.destroy(linger=LINGER)
        self.bell.close()
        self.taking.close()

    def fail(self, error: BaseException) -> None:
        """Let the consumer have an error."""
        with self.lock:
            self.talk.fail(error)
            self.taking.tell()

    def send(self, peer: Peer, kind: str, **fields: Any) -> None:
        """Say something, if the connection is there."""
        with contextlib.suppress(self.library.Again):
            if self.reception is not None:
                self.reception.send(peer, packed(kind, **fields))
            elif peer.up:
                peer.socket.send_multipart(packed(kind, **fields), self.library.NOBLOCK)

    def farewell(self, peer: Peer) -> None:
        """Let the server know that what was in hand is finished, and that nobody is here any more."""
        if not peer.token:
            return
        for inlet in self.inlets:
            if inlet.peer is peer and inlet.route:
                finished = inlet.flow.finished + (0 if self.talk.ahead else len(inlet.hands))
                self.send(peer, "close", token=peer.token, route=inlet.route, finished=finished)
        self.send(peer, "bye", token=peer.token)

    def noticed(self, peer: Peer) -> None:
        """Hear of the connection itself: that it was made, was lost, or was refused before anything could be said."""
        z = self.library
        for event, value in events(peer.monitor):
            if event in (z.EVENT_HANDSHAKE_SUCCEEDED, z.EVENT_DISCONNECTED):
                with self.lock:
                    self.talk.forget(peer)  # a new connection is nobody's yet
                peer.up = event == z.EVENT_HANDSHAKE_SUCCEEDED
                if peer.up:
                    peer.said = time.monotonic()
                    self.talk.hello(peer)
            else:
                self.failed(event, value, [peer])

    def failed(self, event: int, value: int, peers: Sequence[Peer]) -> None:
        """Hear that a connection was refused before anything could be said."""
        for peer in peers:
            if value == protocol.BUSY:
                peer.again = time.monotonic() + BEAT
            known = any(other.instance for other in ([peer] if self.reception is None else self.peers))
            error = refused(event, value, peer, keys=self.wishes.keys is not None, known=known)
            if error is not None:
                self.fail(error)

    def hear(self, peer: Peer) -> None:
        """Take what has come."""
        at_hand = self.library.EVENTS
        for _ in range(64):
            if not peer.socket.get(at_hand) & POLLIN:  # cheaper than an exception
                return
            self.listen(peer, received(peer.socket))

    def listen(self, peer: Peer, frames: Sequence[Any]) -> None:
        """Take a server's message."""
        try:
            version = protocol.version_of(bytes(frames[0].buffer[:4]))
            if version not in (None, protocol.VERSION):
                raise ServerRefused(
                    f"connect(): {peer.endpoint} speaks version {version} of the protocol, and this Penstock "
                    f"version {protocol.VERSION}. Install the same Penstock on both."
                )
            message = protocol.opened([frame.buffer for frame in frames], protocol.SAYS)
            with self.lock:
                if self.reception is not None and message.kind == "welcome":
                    peer = self.recognised(self.reception, peer, message.fields["instance"])
                peer.heard = time.monotonic()
                self.talk.heard(peer, message)
                self.taking.tell()
        except (Nonsense, CorruptRecord) as problem:
            self.strange(peer, problem)

    def strange(self, peer: Peer, problem: object) -> None:
        """Hear nothing more of somebody who is no server of ours."""
        peer.leave()
        if self.reception is None:
            self.fail(ServiceError(f"connect(): {peer.endpoint} is no server of Penstock: {problem}."))
        else:
            self.reception.show_out(peer, problem)

    def recognised(self, reception: Reception, peer: Peer, instance: str) -> Peer:
        """Return where a server sat that comes again, and let it sit there; else where it sits."""
        for seat in self.peers:
            if seat is not peer and seat.instance == instance:
                reception.swap(peer, seat)
                self.talk.forget(seat)
                return seat
        return peer

    def speak(self, now: float) -> None:
        """Say what is due, and see who is lost."""
        for peer in self.peers:
            if not peer.instance and not peer.warned and now - peer.heard > SLOW:
                self.warn(peer, now)
            if 0 < peer.again <= now:
                peer.again = 0.0
                with contextlib.suppress(self.library.ZMQError):
                    peer.socket.disconnect(peer.endpoint)
                peer.socket.connect(peer.endpoint)
            with self.lock:
                if peer.host is not None:
                    peer.host.tell()
                inlets = [inlet for inlet in self.inlets if inlet.peer is peer]
                news = any(inlet.route and inlet.flow.finished > inlet.flow.told for inlet in inlets)
                due = now - peer.said >= (
                    EAGER if self.taking.waiting or not peer.token else min(BEAT, peer.patience / 4)
                )
                if (news and self.worth(inlets)) or due:
                    peer.said = now
                    if not peer.token:
                        self.talk.hello(peer)
                    else:
                        told = [[inlet.route, inlet.flow.tell()] for inlet in inlets if inlet.route]
                        self.send(peer, "beat", token=peer.token, clock=clock(), routes=told)
                if peer.lost(now, self.wishes.timeout) and any(not inlet.ended for inlet in inlets):
                    self.replace(peer, inlets, now)

    def warn(self, peer: Peer, now: float) -> None:
        """Say early that nobody answers: there may be a slip in where the server is said to be."""
        for one in [peer] if self.reception is None else self.peers:
            one.warned = True
        if self.wishes.timeout > SLOW:
            if not any(other.instance for other in self.peers):
                unresolved(peer)
            said = silence(peer, self.peers, self.reception, now)
            logger.warning("%s; waiting for up to %g s. %s", said, self.wishes.timeout, peer.trouble or HELP)

    def worth(self, inlets: Sequence[Inlet]) -> bool:
        """Tell whether what was finished is worth a message."""
        return self.talk.mode == "share" or any(map(self.talk.half, inlets))

    def replace(self, peer: Peer, inlets: Sequence[Inlet], now: float) -> None:
        """Let another server take over the share of one that is lost, or give up."""
        if self.reception is not None and self.reception.waiting:  # whoever waits sits down there
            self.reception.free(peer)
            peer.heard = now
            return
        others = [other for other in self.peers if other is not peer and other.token and not other.lost(now, BEAT * 3)]
        if others and self.talk.mode != "share":
            if self.reception is not None:
                logger.warning("connect(): %s; they take over what is missing.", self.reception.missing(self.peers))
            for turn, inlet in enumerate(inlets):
                inlet.route = 0
                inlet.peer = others[turn % len(others)]
                if not inlet.ended:
                    self.talk.open_route(inlet)
            return
        said = silence(peer, self.peers, self.reception, now)
        self.fail(lost(said, peer, inlets if self.talk.mode == "share" else ()))
