"""Routes on the server: who is there, what they asked for, and how it is sent to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.service.lanes import Entry, Key, Lane
from penstock.service.ledger import Outflow
from penstock.service.protocol import ENCODE, HEADS, packed
from penstock.transport.wire import SMALL, TOGETHER, joined, space

MANY = 256  # small batches that travel together at the most


@dataclass(eq=False)
class Guest:
    """A consumer's connection."""

    identity: bytes
    name: str
    token: str
    heard: float
    clock: int = 0
    """What its own clock showed when it was heard last, in milliseconds."""
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
        self.starved = False
        """Whether it can be sent nothing more before it has finished something."""
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

    def copied(self, memory: Any) -> Any:
        """Return such a frame with a copy of the memory."""

    def count(self, batches: int) -> None:
        """Hear how many batches were sent."""


class Batches:
    """What a message says of the batches in it, whoever it is for."""

    def __init__(self, numbers: list[int], sizes: list[int], after: list[Any] | None) -> None:
        self.numbers = numbers
        self.sizes = sizes
        self.after = after
        positions = "null" if after is None else ENCODE(after)
        # Lists of whole numbers are JSON as Python writes them.
        self.told = f'"numbers":{numbers},"sizes":{sizes},"after":{positions}'

    def part(self, start: int, count: int) -> Batches:
        """Return what is to be said of some of them."""
        chosen = slice(start, start + count)
        return Batches(self.numbers[chosen], self.sizes[chosen], self.after and self.after[chosen])


def described(entries: Sequence[Entry]) -> Batches:
    """Return what a message says of entries."""
    after = None if entries[0].after is None else [entry.after for entry in entries]
    return Batches([entry.number for entry in entries], [entry.nbytes for entry in entries], after)


class Group:
    """Small batches that travel together: one frame, made once for all consumers.

    It does not know its entries, who know it: what refers to each other is freed late, and would be gigabytes by then.
    """

    def __init__(self, entries: list[Entry], outlet: Outlet) -> None:
        self.outlet = outlet
        self.whole = outlet.copied(joined(entry.parcel for entry in entries if entry.parcel is not None))
        self.batches = described(entries)
        for place, entry in enumerate(entries):
            entry.group = (self, place)
            assert entry.parcel is not None
            entry.parcel.pieces = []

    def send(self, route: Route, start: int) -> None:
        """Send what is in it from a place on, as far as a route's credit goes."""
        batches, frame = self.batches, self.whole
        count = route.flow.room(batches.sizes[start:])
        if count < len(batches.sizes):
            begin = sum(map(space, batches.sizes[:start]))
            batches = batches.part(start, count)
            frame = self.outlet.copied(frame.buffer[begin : begin + sum(map(space, batches.sizes))])
        send_batches(route, batches, [frame], self.outlet)


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


def said_of(route: Route, batches: Batches) -> str:
    """Return what is said of batches that come next down a route."""
    return f'"route":{route.number},"seq":{route.flow.sent},{batches.told}'


def note(route: Route, batches: Batches, outlet: Outlet) -> None:
    """Note that batches are sent."""
    route.nbytes += route.flow.extend(batches.sizes)
    route.batches += len(batches.sizes)
    outlet.count(len(batches.sizes))


def send_batches(route: Route, batches: Batches, frames: Sequence[Any], outlet: Outlet) -> None:
    """Send batches in one message, and note them."""
    said = HEADS["data"] + f"{{{said_of(route, batches)}}}".encode()
    note(route, batches, outlet)
    outlet.send(route.guest, [said], frames)


def send_large(route: Route, entry: Entry, outlet: Outlet) -> None:
    """Send a batch that travels alone: on this host, only where it lies."""
    near = route.guest.local
    batches = entry.batches = entry.batches or described([entry])
    if near is not None and near.lend(entry, said_of(route, batches)):
        note(route, batches, outlet)
    else:
        send_batches(route, batches, large(entry, outlet), outlet)


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
