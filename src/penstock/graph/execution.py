"""The seam between a description and what executes it.

    Executor (frozen value)   start(work) -> Session
    Session (alive)           submit(ticket)   collect() -> Outcome   cancel()   close()

A ticket names a piece of work: positions of a node, or elements to send through elementwise steps. ``Work.perform``
is what every executor does with a ticket; executors differ only in where. Order, look-ahead and back-pressure live
above this seam, in ``executors/window.py``, once.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.graph.cursors import Chain, chain
from penstock.graph.node import Node, Place
from penstock.graph.policy import Skipped
from penstock.graph.reading import Meter, Plan, Reading
from penstock.graph.refilling import Keeping, arrays, glimpse, parted, refilled

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE = 256  # positions of a ticket that are computed at a time where a function of the user's may take any time …
GROWTH = 8  # … and times what came before: 1, 8, 64, 256, 256, …
LONG = 0.05  # seconds after which a ticket of many positions is answered with what there is
LISTED = 100  # items left out that a report lists
REMEMBERED = 1 << 16  # items left out that are told from those of an earlier attempt: the first so many


class Ticket(NamedTuple):
    """A piece of work, named."""

    number: int
    """Unique within a session."""
    epoch: int
    node: int
    """The number of the node whose items are asked for."""
    start: int = 0
    stop: int = 0
    """The positions of what the node's elementwise steps stand on, or of the node itself."""
    elements: tuple[Any, ...] | None = None
    """Where what they stand on has no positions: the elements themselves …"""
    places: tuple[Place, ...] = ()
    """… and where they stand."""

    @property
    def size(self) -> int:
        """How many positions or elements this is."""
        return self.stop - self.start if self.elements is None else len(self.elements)


class Outcome(NamedTuple):
    """What became of a ticket."""

    number: int
    items: Sequence[Any]
    counts: list[int] | None
    """How many items each element was spread into; None where it is one each."""
    error: BaseException | None
    """What stopped the work behind these items."""
    seconds: float
    """How long the work took."""
    nbytes: int = 0
    """Shared memory that the items hold."""
    worker: int = -1
    """Which worker did it; -1 where none did."""
    skips: Sequence[Skipped] = ()
    """What policies left out."""


class Spreading(NamedTuple):
    """What elementwise steps made of a ticket's elements: as in its outcome."""

    items: list[Any]
    counts: list[int] | None
    error: BaseException | None
    skips: list[Skipped]


class Work:
    """A description as workers need it: picklable, and able to perform tickets."""

    def __init__(self, root: Node, timeout: float | None = None) -> None:
        self.root = root
        self.timeout = timeout  # seconds that an item may take; None for any
        self.plan = Plan(root)
        self.stages = {n: (base, Chain(steps, base)) for n, (base, steps) in enumerate(map(chain, self.plan.nodes))}

        self.filling: dict[int, bool] = {}  # stages, by number, and whether their functions fill what they gave before
        self.quick: set[int] = set()  # ids of nodes that run no function of the user's
        for node in self.plan.nodes:
            if node.pure and all(id(source) in self.quick for source in node.sources):
                self.quick.add(id(node))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the description alone."""
        return (Work, (self.root,))

    def perform(
        self, ticket: Ticket, reading: type[Reading] = Reading, worker: int = 0, meter: Meter | None = None
    ) -> Outcome:
        """Compute a ticket's items. Errors of users' functions come back inside the outcome.

        Where one of many positions fails, those before it are delivered, so that the error appears at its own place
        of the order: the ticket is then computed again one by one.
        """
        began = time.perf_counter()
        read = reading(self.plan, ticket.epoch, meter)
        base, way = self.stages[ticket.node]
        error: BaseException | None = None
        items: Sequence[Any] = []
        counts: list[int] | None = None
        skips: list[Skipped] = []
        spoiled = False
        if way.steps:
            items, counts, error, skips = self._spread(ticket, read, began + LONG)
        else:
            try:
                items, spoiled = self._gather(ticket, read, base, began + LONG)
            except BaseException as failure:  # noqa: BLE001  handed to the consumer, at its place: SystemExit, too
                error = failure
            if error is not None and ticket.size > 1:
                items, again = self._one_by_one(ticket, read, base)
                error = again if isinstance(error, Exception) else again or error  # an interruption does not vanish
            elif ticket.size > 1 and (spoiled or refilled(items)):
                items, error = self._one_by_one(ticket, read, base)
        if error is None and len(items if counts is None else counts) < ticket.size:
            error = Cut()
        return Outcome(ticket.number, items, counts, error, time.perf_counter() - began, 0, worker, skips)

    def _gather(self, ticket: Ticket, read: Reading, base: Node, until: float) -> tuple[Sequence[Any], bool]:
        """Compute a range of items; where the user's functions take long, only the first of them.

        Return also whether the others have changed the first one: a function fills what it gave before.
        """
        start, stop, size = ticket.start, ticket.stop, 1
        if stop - start == 1 or id(base) in self.quick:
            return read.gather(base, range(start, stop)), False
        items: list[Any] = []
        first: list[tuple[NDArray[Any], bytes]] = []
        while True:
            items.extend(read.gather(base, range(start, min(start + size, stop))))
            if start == ticket.start and items:
                first = [(array, glimpse(array)) for array in arrays(items[0])]
            start, size = start + size, min(PIECE, GROWTH * size)
            if start >= stop or time.perf_counter() > until:
                return items, any(glimpse(array) != before for array, before in first)

    def _spread(self, ticket: Ticket, read: Reading, until: float) -> Spreading:
        items: list[Any] = []
        counts: list[int] = []
        skips: list[Skipped] = []
        base, way = self.stages[ticket.node]
        read.meter.at = (base, range(ticket.start, ticket.stop), counts)
        kept = Keeping(items, self.filling, ticket.node)
        try:
            for number in range(ticket.size):
                if ticket.elements is None:
                    index = ticket.start + number
                    made = way.run(lambda index=index: read.item(base, index), base, Place(index), read)  # type: ignore[misc]
                else:
                    element = ticket.elements[number]
                    made = way.run(lambda element=element: element, None, ticket.places[number], read)  # type: ignore[misc]
                items.extend(made if ticket.size == 1 else kept.kept(made))
                counts.append(len(made))
                if read.skips:
                    skips.extend(skipped._replace(element=number) for skipped in read.take_skips())
                if not number % 8 and time.perf_counter() > until:
                    break
        except BaseException as failure:  # noqa: BLE001  handed to the consumer, at its place
            return Spreading(items, counts, failure, skips)
        return Spreading(items, counts, None, skips)

    def _one_by_one(self, ticket: Ticket, read: Reading, base: Node) -> tuple[list[Any], BaseException | None]:
        items: list[Any] = []
        for index in range(ticket.start, ticket.stop):
            try:
                item = read.item(base, index)
                items.append(parted(item))
            except BaseException as failure:  # noqa: BLE001
                return items, failure
        return items, None


class Cut(Exception):
    """The error of an outcome that stops early: its items take long, and the others are to be submitted again.

    Tickets hold many positions where items were quick. When they no longer are, a worker would be at one ticket for
    long, while the loop waits for its first item and the other workers for anything to do.
    """


class Split(Exception):
    """The error of an outcome that asks for the ticket to be submitted again, one position at a time.

    Something in it ends workers or never ends. Alone, that item fails at its own place, and nothing else with it.
    """


NOBODYS = Outcome(0, (), None, None, 0.0)


@dataclass(frozen=True)
class Worker:
    """One worker of a session, as a loader shows it."""

    number: int
    kind: str
    pid: int | None = None
    """The process, where it has one of its own."""

    def __str__(self) -> str:
        return f"{self.kind} worker {self.number}{f', process {self.pid}' if self.pid else ''}"


@dataclass(frozen=True)
class Limits:
    """How far ahead a loader may be.

    Wide in count, so that a slow item delays nobody: with 2.5 % of items 80 times slower, 128 tickets hide them and 32
    do not. Narrow in bytes, so that large batches do not fill the memory.
    """

    count: int = 128
    nbytes: int = 256 << 20


class Tally:
    """What a loader has seen of its workers; read by reports."""

    def __init__(self) -> None:
        self.tickets = 0
        self.busy = 0.0  # seconds of work in all workers
        self.waited = 0.0  # seconds that the consumer waited for outcomes
        self.nbytes = 0
        self.full = 0  # how often the bytes, not the count, were the limit
        self.replaced = 0  # workers that died, as of the end of the session


class Omissions:
    """What policies left out in one epoch of a loader.

    An epoch may be read several times over the same stretch: behind an error, it goes on before the item that failed,
    and steps that read ahead had been further. What was heard in an earlier attempt is not counted again.
    """

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[Skipped] = []  # the first of them
        self.seen: Counter[tuple[Any, ...]] = Counter()
        self.attempt: Counter[tuple[Any, ...]] = Counter()

    def again(self) -> None:
        """Begin another attempt."""
        self.attempt.clear()

    def hear(self, what: Skipped) -> None:
        """Note an item that a policy left out."""
        key = (what.epoch, what.operation, what.guard, what.item)
        if len(self.seen) < REMEMBERED or key in self.seen:
            self.attempt[key] += 1
            if self.attempt[key] <= self.seen[key]:
                return
            self.seen[key] += 1
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(what)


class Session(ABC):
    """Workers that are alive. ``submit`` may be called by one thread while another waits in ``collect``."""

    @abstractmethod
    def submit(self, ticket: Ticket) -> None:
        """Take a ticket; never wait for it to be worked on."""

    @abstractmethod
    def collect(self) -> Outcome:
        """Wait for any ticket's outcome: in whatever order they come."""

    @abstractmethod
    def cancel(self) -> None:
        """Forget all tickets: what nobody has begun never will be.

        Outcomes of what has been begun may still come. A ``collect`` that waits in another thread returns, if only
        with an outcome of ticket 0, which is nobody's.
        """

    @abstractmethod
    def close(self) -> None:
        """End the workers, whatever they are doing. Closing twice is allowed."""

    @property
    @abstractmethod
    def workers(self) -> tuple[Worker, ...]:
        """The workers as they are now."""

    @property
    def replaced(self) -> int:
        """How many workers have died and were replaced."""
        return 0


class Executor(ABC):
    """Where work runs, as a frozen value."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many workers there are; 0 where the caller computes everything itself, when it is asked for."""

    @abstractmethod
    def start(self, work: Work) -> Session:
        """Start the workers for a description."""
