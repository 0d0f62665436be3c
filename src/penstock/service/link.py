"""The consumer's side of the data service: a thread that owns the sockets, and what arrives, for one iteration.

    server ──► DEALER ──┐
    server ──► DEALER ──┼─ link (one thread) ──► inlets, one for each share ──► the cursor
    server ──► DEALER ──┘

The thread lives as long as the iteration. It says hello, keeps beating while the loop trains, sees what is missing,
opens routes anew, and lets another server take over the share of one that is lost.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from penstock.errors import CorruptRecord, ServerLost, ServerRefused, ServiceError
from penstock.graph.context import teach_malloc
from penstock.service import protocol
from penstock.service.inlets import Arrival, Inlet, Peer, Wishes
from penstock.service.keys import Pair, for_client
from penstock.service.lanes import Where
from penstock.service.library import dealer, zmq
from penstock.service.protocol import BEAT, Nonsense, packed
from penstock.service.talk import Talk

EAGER = 0.25  # seconds between two beats while somebody waits
LINGER = 500  # milliseconds in which a farewell may leave
SETTLING = 5.0  # seconds in which a server that deals must hear what was finished
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
        self.changed = threading.Condition()
        self.waiting = False
        self.woken = False
        self.owner = os.getpid()
        now = time.monotonic()
        self.peers = [Peer(endpoint, now) for endpoint in wishes.endpoints]
        self.inlets = [Inlet(i, where, peer) for i, (where, peer) in enumerate(zip(wheres, self.peers, strict=True))]
        self.talk = Talk(wishes, epoch, self.inlets, digest, self.send, self.wake)
        teach_malloc()  # each message is memory of its own
        pair = None if wishes.keys is None else for_client(wishes.keys)
        z = self.library = zmq()
        self.context = z.Context()
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)
        try:
            self.poller = z.Poller()
            self.poller.register(self.near.fileno(), z.POLLIN)
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
        failed = z.EVENT_HANDSHAKE_FAILED_AUTH | z.EVENT_HANDSHAKE_FAILED_PROTOCOL | z.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        peer.monitor = peer.socket.get_monitor_socket(failed | z.EVENT_HANDSHAKE_SUCCEEDED | z.EVENT_DISCONNECTED)
        try:
            (peer.socket.bind if self.wishes.bind else peer.socket.connect)(peer.endpoint)
        except z.ZMQError as error:
            raise ServiceError(f"connect(): {peer.endpoint} cannot be connected to: {error}.") from None
        self.poller.register(peer.socket, z.POLLIN)
        self.poller.register(peer.monitor, z.POLLIN)

    # -- the consumer's thread

    def take(self, inlets: Sequence[Inlet]) -> tuple[Inlet, Arrival] | None:
        """Wait for a batch from any of some inlets; None where all of them have ended."""
        with self.changed:
            self.waiting = False
            while True:
                for inlet in inlets:
                    while inlet.buffer:
                        arrival = inlet.buffer.popleft()
                        inlet.hand = arrival.number
                        if arrival.number not in inlet.void:
                            return inlet, arrival
                        self.finish(inlet, 0)
                error = self.talk.failure or next((inlet.error for inlet in inlets if inlet.error is not None), None)
                if error is not None:
                    raise error
                if all(inlet.ended for inlet in inlets):
                    return None
                if self.talk.stopping:
                    raise ServiceError("this iteration was closed")
                if not self.waiting:
                    self.waiting = True
                    self.wake()
                self.changed.wait(5.0)

    def finish(self, inlet: Inlet, nbytes: int) -> None:
        """Note that the consumer is through with what it had in hand."""
        with self.changed:
            self.talk.finish(inlet, nbytes)

    def wake(self) -> None:
        """Let the thread look."""
        if not self.woken:
            self.woken = True
            with contextlib.suppress(OSError):
                self.far.send(b"\0")

    def close(self) -> None:
        """Say good-bye, and end. Not in a fork, where the thread never was."""
        if self.owner != os.getpid():
            return
        with self.changed:
            self.talk.stopping = True
            self.changed.notify_all()
        self.wake()
        if self.thread is not threading.current_thread():
            self.thread.join(ENDING)

    # -- the link's own thread

    def run(self) -> None:
        """Talk, until told to stop."""
        z = self.library
        try:
            while not self.talk.stopping:
                self.look()
                self.speak(time.monotonic())
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

    def look(self) -> None:
        """Wait for something to happen, and hear of it."""
        ready = dict(self.poller.poll(100 if self.waiting else 250))
        if self.near.fileno() in ready:
            self.woken = False
            with contextlib.suppress(OSError):
                self.near.recv(4096)
        for peer in self.peers:
            if peer.monitor in ready:
                self.noticed(peer)
            if peer.socket in ready:
                self.hear(peer)

    def settle(self, deadline: float) -> None:
        """See to it that the server knows what was finished, before leaving: else others would be given it again.

        Where the connection is lost, or the server is being started again, that may take a while.
        """
        with self.changed:
            for inlet in self.inlets:
                self.finish(inlet, 0)
                inlet.buffer.clear()
        self.waiting = True  # do not sleep for long
        while time.monotonic() < deadline:
            with self.changed:
                open_ = [inlet for inlet in self.inlets if inlet.unkept or inlet.before]
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
        self.context.destroy(linger=LINGER)
        self.near.close()
        self.far.close()

    def fail(self, error: BaseException) -> None:
        """Let the consumer have an error."""
        with self.changed:
            self.talk.fail(error)
            self.changed.notify_all()

    def send(self, peer: Peer, kind: str, **fields: Any) -> None:
        """Say something, if the connection is there."""
        with contextlib.suppress(self.library.Again):
            peer.socket.send_multipart(packed(kind, **fields), self.library.NOBLOCK)

    def farewell(self, peer: Peer) -> None:
        """Let the server know that what was in hand is finished, and that nobody is here any more."""
        if not peer.token:
            return
        for inlet in self.inlets:
            if inlet.peer is peer and inlet.route:
                finished = inlet.flow.finished + (inlet.hand is not None)
                self.send(peer, "close", token=peer.token, route=inlet.route, finished=finished)
        self.send(peer, "bye", token=peer.token)

    def noticed(self, peer: Peer) -> None:
        """Hear of the connection itself: that it was made, was lost, or was refused before anything could be said."""
        z = self.library
        while peer.monitor.poll(0):
            event = int.from_bytes(peer.monitor.recv_multipart(z.NOBLOCK)[0][:2], sys.byteorder)
            if event in (z.EVENT_HANDSHAKE_SUCCEEDED, z.EVENT_DISCONNECTED):
                with self.changed:
                    self.talk.forget(peer)  # a new connection is nobody's yet
                if event == z.EVENT_HANDSHAKE_SUCCEEDED:
                    peer.said = time.monotonic()
                    self.talk.hello(peer)
            elif event == z.EVENT_HANDSHAKE_FAILED_AUTH:
                peer.trouble = "It refused this client: its key is not on the server's list."
                if not peer.instance:
                    self.fail(ServerRefused(f"connect(): {peer.endpoint} did not let us in. {peer.trouble}"))
            else:
                peer.trouble = "It was reached, but one side has keys and the other none, or others."

    def hear(self, peer: Peer) -> None:
        """Take what has come."""
        z = self.library
        for _ in range(64):
            if not peer.socket.get(z.EVENTS) & z.POLLIN:  # cheaper than an exception
                return
            frames = peer.socket.recv_multipart(z.NOBLOCK, copy=False)
            try:
                version = protocol.version_of(bytes(frames[0].buffer[:5]))
                if version not in (None, protocol.VERSION):
                    raise ServerRefused(
                        f"connect(): {peer.endpoint} speaks version {version} of the protocol, and this Penstock "
                        f"version {protocol.VERSION}. Install the same Penstock on both."
                    )
                message = protocol.opened([frame.buffer for frame in frames], protocol.SAYS)
                peer.heard = time.monotonic()
                with self.changed:
                    self.talk.heard(peer, message)
                    self.changed.notify_all()
            except (Nonsense, CorruptRecord) as problem:
                raise ServiceError(f"connect(): {peer.endpoint} is no server of Penstock: {problem}.") from None

    def speak(self, now: float) -> None:
        """Say what is due, and see who is lost."""
        for peer in self.peers:
            with self.changed:
                inlets = [inlet for inlet in self.inlets if inlet.peer is peer]
                news = any(inlet.route and inlet.flow.finished > inlet.told for inlet in inlets)
                due = now - peer.said >= (EAGER if self.waiting or not peer.token else BEAT)
                if (news and self.worth(inlets)) or due:
                    peer.said = now
                    if not peer.token:
                        self.talk.hello(peer)
                    else:
                        told = [[inlet.route, inlet.flow.finished] for inlet in inlets if inlet.route]
                        self.send(peer, "beat", token=peer.token, routes=told)
                        for inlet in inlets:
                            inlet.told, inlet.freed = inlet.flow.finished, 0
                if peer.lost(now, self.wishes.timeout) and any(not inlet.ended for inlet in inlets):
                    self.replace(peer, inlets, now)

    def worth(self, inlets: Sequence[Inlet]) -> bool:
        """Tell whether what was finished is worth a message."""
        wishes = self.wishes
        return self.talk.mode == "share" or any(
            4 * (inlet.flow.finished - inlet.told) >= self.talk.window
            or 4 * inlet.freed >= wishes.window_bytes
            or not inlet.buffer
            for inlet in inlets
        )

    def replace(self, peer: Peer, inlets: Sequence[Inlet], now: float) -> None:
        """Let another server take over the share of one that is lost, or give up."""
        others = [other for other in self.peers if other is not peer and other.token and not other.lost(now, BEAT * 3)]
        if others and self.talk.mode != "share":
            for turn, inlet in enumerate(inlets):
                inlet.route = 0
                inlet.peer = others[turn % len(others)]
                if not inlet.ended:
                    self.talk.open_route(inlet)
            return
        silent = f"{peer.endpoint} has been silent for {now - peer.heard:.0f} s"
        doubt = sorted(number for inlet in inlets for number in inlet.held()) if self.talk.mode == "share" else []
        more = f" In doubt are the batches {doubt[:20]}." if doubt else ""
        help_ = peer.trouble or "Is the server running, and can it be reached? connect(…, timeout=…) waits for longer."
        self.fail(ServerLost(f"connect(): {silent}. {help_}{more}"))
