"""What a consumer wants, whom it gets it from, and what has arrived: the state of a link, without its sockets."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from penstock.service.lanes import Where
from penstock.service.ledger import Inflow
from penstock.service.local import Host


def clock() -> int:
    """Return milliseconds by a clock that goes on while this machine is suspended, where there is one."""
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return int(1000 * (time.monotonic() if number is None else time.clock_gettime(number)))


@dataclass(frozen=True)
class Wishes:
    """How a consumer wants to be served."""

    endpoints: tuple[str, ...]
    shard: tuple[int, int] | None = None
    ordered: bool = True
    window: int | None = None
    window_bytes: int = 128 << 20
    timeout: float = 60.0
    largest: int = 1 << 30
    keys: str | None = None
    bind: bool = False
    servers: int | None = None
    local: bool = True

    @property
    def places(self) -> tuple[str, ...]:
        """Where each of the servers is; one for each share of the batches."""
        return self.endpoints if self.servers is None else (", ".join(self.endpoints),) * self.servers


class Arrival(NamedTuple):
    """A batch that has come, not looked into yet."""

    number: int
    record: list[Any]
    after: Any
    nbytes: int


class Peer:
    """A server, as seen from here."""

    def __init__(self, endpoint: str, now: float) -> None:
        self.endpoint = endpoint
        self.address = b""  # who sits here, where servers come to us
        self.socket: Any = None
        self.monitor: Any = None
        self.up = False  # whether there is a connection: what is said to nobody must not be kept for somebody
        self.token = ""
        self.instance = ""
        self.mode = ""
        self.heard = now
        self.said = 0.0
        self.trouble = ""
        self.warned = False  # whether it was said that it does not answer
        self.again = 0.0  # when to connect once more, where it had no room; 0 where that is ZeroMQ's concern
        self.patience = 0.0  # seconds that it waits for us, where it deals
        self.claimed = 0  # our clock when we said last what we hold …
        self.lease = 0  # … and until when nobody else is given that
        self.host: Host | None = None  # the way through shared memory

    def leave(self) -> None:
        """Close the way through shared memory."""
        host, self.host = self.host, None
        if host is not None:
            host.close()

    def answered(self, heard: int) -> None:
        """Hear what our clock showed when this server heard of us; not from before we said what we hold."""
        if self.claimed <= heard <= clock():
            self.lease = max(self.lease, heard + int(1000 * self.patience))

    def lost(self, now: float, timeout: float) -> bool:
        """Tell whether it has been silent for too long."""
        return now - self.heard > timeout


class Inlet:
    """What comes of one share of the batches, whoever serves it."""

    def __init__(self, share: int, where: Where, peer: Peer) -> None:
        self.share = share
        self.where = where  # what it lacks first
        self.peer = peer
        self.route = 0  # under which number it is open; 0 where it is not
        self.flow = Inflow()
        self.buffer: deque[Arrival] = deque()
        self.void: set[int] = set()
        self.hands: deque[tuple[int, int]] = deque()  # number and bytes of what was taken, and is not finished
        self.taken = 0  # how many were taken, ever; of these …
        self.through = 0  # … finished
        self.largest = 0  # bytes of the largest batch that came
        self.ended = False
        self.total: int | None = None
        self.late = False
        self.error: BaseException | None = None
        self.first = True
        self.leaving = False
        self.unkept: deque[int | None] = deque()  # finished, and perhaps not written down over there
        self.before: list[int] = []  # the same, from before it was opened anew

    def held(self) -> list[int]:
        """Return the numbers that are here and not finished."""
        return [number for number, _ in self.hands] + [arrival.number for arrival in self.buffer]
