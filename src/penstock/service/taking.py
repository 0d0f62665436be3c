"""The consumer's own thread, in the data service: it takes batches out of inlets, and sleeps where there are none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from penstock.errors import CorruptRecord, ServiceError
from penstock.service.bell import Bell
from penstock.service.holding import Holding
from penstock.service.inlets import Arrival, Inlet, Peer
from penstock.service.library import POLLIN, zmq
from penstock.service.protocol import Nonsense
from penstock.service.talk import Talk


class Taking:
    """What the loop that trains waits at. It reads what comes through shared memory by itself.

    Args:
        lock: of all that has arrived.
        talk: what has arrived.
        peers: the servers.
        strange: hears of a server that is none.
    """

    def __init__(
        self, lock: threading.RLock, talk: Talk, peers: Sequence[Peer], strange: Callable[[Peer, object], None]
    ) -> None:
        self.lock = lock
        self.talk = talk
        self.peers = peers
        self.strange = strange
        self.library = zmq()
        self.news = Bell()
        self.waiting = False
        self.asleep = False  # whether this thread polls, and is to be woken by the news
        self.over = False

    def take(self, inlets: Sequence[Inlet], holding: Holding) -> tuple[Inlet, Arrival] | None:
        """Wait for a batch from any of some inlets, as ``Link.take`` says."""
        with self.lock:
            holding.back()
            self.waiting = False
        while True:
            with self.lock:
                for inlet in inlets:
                    arrival = self.talk.next(inlet)
                    if arrival is not None:
                        holding.add(inlet)
                        return inlet, arrival
                error = self.talk.failure or next((inlet.error for inlet in inlets if inlet.error is not None), None)
                if error is not None:
                    raise error
                if all(inlet.ended for inlet in inlets):
                    return None
                if self.talk.stopping:
                    raise ServiceError("this iteration was closed")
                if self.collect(one=True):
                    continue
                holding.dry()
                self.waiting = self.asleep = True
                places = self.places()
            self.sleep(places)

    def places(self) -> list[tuple[int, int]]:
        """Return where news may come from: the thread, and servers on this host."""
        hosts = [peer.host for peer in self.peers if peer.host is not None and peer.host.early is None]
        return [(self.news.number, POLLIN), *((host.connection.fileno(), POLLIN) for host in hosts)]

    def sleep(self, places: list[tuple[int, int]]) -> None:
        """Wait until there may be something new."""
        try:
            self.library.zmq_poll(places, 1000)
        finally:
            with self.lock:
                self.asleep = False
                if self.news.rung:
                    self.news.answer()
                if self.over:
                    self.news.close()

    def collect(self, *, one: bool = False) -> bool:
        """Take in what has come through shared memory, or one batch of each server; return whether there was any."""
        came = False
        for peer in self.peers:
            if peer.host is not None:
                try:
                    came = self.talk.collect(peer, one=one) or came
                except (Nonsense, CorruptRecord) as problem:
                    self.strange(peer, problem)
                    came = True
        return came

    def tell(self) -> None:
        """Let this thread look."""
        if self.asleep:
            self.news.ring()

    def close(self) -> None:
        """Wait for nothing any more."""
        with self.lock:
            self.over = True
            if not self.asleep:
                self.news.close()
