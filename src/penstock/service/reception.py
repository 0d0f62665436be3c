"""Where a consumer that is bound receives its servers: one socket for all of them, and a seat for each.

    server ──┐
    server ──┼──► ROUTER, bound ── reception ──► seat 0, seat 1, …, each with a share of the batches
    server ──┘                       └──► those who wait until a seat is free

Whoever connects knocks, with an empty message that ZeroMQ sends by itself, and so has an address. A connection that is
lost and made again has another address: its server sits down wherever there is room, for every server can serve every
share. Who sends what cannot be meant is shown out, and nobody else notices.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.errors import ServiceError
from penstock.service.inlets import Peer, Wishes
from penstock.service.keys import Pair
from penstock.service.library import receiver, watched, zmq

logger = logging.getLogger("penstock")

MANY = 4096  # servers that may wait for a seat


class Reception:
    """The socket of a consumer that is bound, and who sits where.

    Args:
        context: ZeroMQ's.
        wishes: where to be, and for how many.
        pair: the consumer's keys, and the servers' public one.
    """

    def __init__(self, context: Any, wishes: Wishes, pair: Pair | None) -> None:
        self.library = zmq()
        self.wishes = wishes
        self.seats: dict[bytes, Peer] = {}
        self.waiting: deque[bytes] = deque()
        self.socket = receiver(context, pair, wishes.largest)
        self.monitor = watched(self.socket)
        for endpoint in wishes.endpoints:
            try:
                self.socket.bind(endpoint)
            except self.library.ZMQError as error:
                raise ServiceError(f"connect(): {endpoint} cannot be bound: {error}.") from None

    def send(self, peer: Peer, frames: Sequence[Any]) -> None:
        """Say something to whoever sits there; one whose connection is gone leaves the seat.

        Raises:
            Again: as ZeroMQ says it; too much is on the way.
        """
        if peer.address:
            z = self.library
            try:
                self.socket.send_multipart([peer.address, *frames], z.NOBLOCK)
            except z.ZMQError as error:
                if error.errno != z.EHOSTUNREACH:
                    raise
                self.free(peer)

    def free(self, peer: Peer) -> None:
        """Let nobody sit there."""
        self.seats.pop(peer.address, None)
        peer.address = b""

    def show_out(self, peer: Peer, problem: object) -> None:
        """Hear nothing more of whoever sits there."""
        logger.warning("connect(): whoever came to %s is no server of Penstock, and is not heard: %s",
                       peer.endpoint, problem)  # fmt: skip
        self.free(peer)

    def seat(self, peers: Sequence[Peer]) -> list[Peer]:
        """Let those who wait sit down where there is room; return where."""
        taken = [peer for peer in peers if not peer.address][: len(self.waiting)]
        for peer in taken:
            peer.address = self.waiting.popleft()
            self.seats[peer.address] = peer
        return taken

    def swap(self, peer: Peer, former: Peer) -> None:
        """Let a server that came again sit where it sat; who was given that seat meanwhile changes places with it."""
        if former.token:  # its own connection from before
            self.free(former)
        peer.address, former.address = former.address, peer.address
        self.seats |= {one.address: one for one in (peer, former) if one.address}

    def heard(self, most: int) -> Iterator[tuple[Peer, list[Any]]]:
        """Give what those who have a seat say, up to some messages; let those who knock wait."""
        z = self.library
        for _ in range(most):
            if not self.socket.get(z.EVENTS) & z.POLLIN:  # cheaper than an exception
                return
            address, *frames = self.socket.recv_multipart(z.NOBLOCK, copy=False)
            peer = self.seats.get(address.bytes)
            if peer is not None:
                yield peer, frames
            elif len(frames) == 1 and not frames[0].bytes and len(self.waiting) < MANY:
                self.waiting.append(address.bytes)

    def close(self) -> None:
        """Hear nobody any more; the context closes the socket."""
        with contextlib.suppress(Exception):
            self.socket.disable_monitor()
        self.monitor.close(0)

    def missing(self, peers: Sequence[Peer]) -> str:
        """Say how many servers came."""
        came = sum(bool(peer.instance) for peer in peers)
        return f"{came} of {len(peers)} server{'s' * (len(peers) > 1)} came to {', '.join(self.wishes.endpoints)}"
