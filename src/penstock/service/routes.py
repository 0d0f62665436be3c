"""Routes on the server: who is there, what they asked for, and how it is sent to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.service.lanes import Entry, Key, Lane
from penstock.service.ledger import Outflow
from penstock.service.protocol import packed
from penstock.transport.wire import SMALL, TOGETHER, joined, space

MANY = 256  # small batches that travel together at the most


@dataclass(eq=False)
class Guest:
    """A consumer's connection."""

    identity: bytes
    name: str
    token: str
    heard: float
    routes: dict[int, Route] = field(default_factory=dict)
    closed: list[list[int]] = field(default_factory=list)
    """Routes that it closed, and was not told of yet."""
    dirty: bool = False
    """Whether a pulse is due."""
    gone: bool = False
    """Whether nothing can be sent to it any more."""
    local: Any = None
    """The way through shared memory, where there is one."""


class Route:
    """One subscription: what it may be sent, and where it stands."""

    def __init__(self, guest: Guest, fields: dict[str, Any]) -> None:
        self.guest = guest
        self.number = fields["route"]
        self.epoch = fields["epoch"]
        self.shard = None if fields["shard"] is None else tuple(fields["shard"])
        self.key = Key(tuple(fields["share"]), self.shard)
        self.flow = Outflow(fields["window"], fields["bytes"])
        self.lane: Lane | None = None
        self.first = 0  # what sequence number 0 is counted as in the lane
        self.dealt: deque[int | None] = deque()  # numbers sent and not finished, where batches are dealt
        self.failed = False
        """Whether it was told of an error, and gets nothing more."""
        self.kept = 0  # finished, and written down
        self.batches = 0
        self.nbytes = 0

    @property
    def at(self) -> int:
        """What comes next, as the lane counts."""
        return self.first + self.flow.sent

    @property
    def low(self) -> int:
        """What is not finished, as the lane counts."""
        return self.first + self.flow.finished


class Outlet(Protocol):
    """How messages leave; the server's socket, or a test's list."""

    def send(self, guest: Guest, frames: Sequence[Any], bulk: Sequence[Any] = ()) -> None:
        """Send a message; ``bulk`` are frames that are not copied."""

    def frame(self, memory: Any) -> Any:
        """Return a frame over memory that can be sent several times."""

    def count(self, batches: int) -> None:
        """Hear how many batches were sent."""


class Group:
    """Small batches that travel together: one frame, made once for all consumers."""

    def __init__(self, entries: list[Entry], outlet: Outlet) -> None:
        self.entries = entries
        self.memory = memoryview(joined(entry.parcel for entry in entries if entry.parcel is not None))
        self.whole = outlet.frame(self.memory)
        self.offsets = [0]
        for place, entry in enumerate(entries):
            self.offsets.append(self.offsets[-1] + space(entry.nbytes))
            entry.group = (self, place)
            assert entry.parcel is not None
            entry.parcel.pieces = []

    def frame(self, start: int, count: int) -> Any:
        """Return what holds some of them."""
        if count == len(self.entries):
            return self.whole
        return self.memory[self.offsets[start] : self.offsets[start + count]]


def neighbours(entries: Iterable[Entry]) -> list[Entry]:
    """Return those at the beginning that travel together."""
    found: list[Entry] = []
    nbytes = 0
    for entry in entries:
        if entry.parcel is None or entry.nbytes > SMALL or entry.group is not None or len(found) == MANY:
            break
        nbytes += entry.nbytes
        if found and nbytes > TOGETHER:
            break
        found.append(entry)
    return found


def send_batches(  # noqa: PLR0913  all of it is the message
    route: Route,
    entries: Sequence[Entry],
    frames: Sequence[Any],
    outlet: Outlet,
    *,
    lent: list[list[int]] | None = None,
    lease: int = 0,
) -> None:
    """Send batches in one message, and note them."""
    seq = route.flow.sent
    for entry in entries:
        route.flow.add(entry.nbytes)
        route.nbytes += entry.nbytes
    route.batches += len(entries)
    outlet.count(len(entries))
    message = packed(
        "data",
        route=route.number,
        seq=seq,
        numbers=[entry.number for entry in entries],
        sizes=[entry.nbytes for entry in entries],
        after=None if entries[0].after is None else [entry.after for entry in entries],
        lent=lent,
        lease=lease,
    )
    outlet.send(route.guest, message, frames)


def send_large(route: Route, entry: Entry, outlet: Outlet) -> None:
    """Send a batch that travels alone: on this host, only where it lies."""
    near = route.guest.local
    found = None if near is None else near.lend(entry)
    if found is None:
        send_batches(route, [entry], large(entry, outlet), outlet)
        return
    frames, lent, lease = found
    send_batches(route, [entry], frames, outlet, lent=lent, lease=lease)


def large(entry: Entry, outlet: Outlet) -> list[Any]:
    """Return the frames of a batch that travels alone; made once."""
    if not entry.frames:
        assert entry.parcel is not None
        entry.frames = [outlet.frame(piece) for piece in entry.parcel.frames()]
    return entry.frames


def send_end(route: Route, total: int | None, outlet: Outlet, *, late: bool = False) -> None:
    """Say that an epoch is over."""
    outlet.send(route.guest, packed("end", route=route.number, seq=route.flow.sent, total=total, late=late))


def send_failure(route: Route, error: dict[str, Any], outlet: Outlet) -> None:
    """Say what went wrong."""
    outlet.send(route.guest, packed("fail", route=route.number, seq=route.flow.sent, **error))
