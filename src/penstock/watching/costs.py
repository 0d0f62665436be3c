"""What each step of a description costs: a reading in line that looks at the clock around every step.

A step's own time is that of its reading less what it spent in the steps before it. Looking at the clock costs, too, a
microsecond per item and step, so this tells where time goes, not how fast a pipeline is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.graph.cursors import Spread, Walk
from penstock.graph.node import Cursor, Node, Place
from penstock.graph.reading import Plan, Reading

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one step of a pipeline costs."""

    operation: str
    """The step, as it was written."""
    seconds: float
    """Its own time per item of the dataset (per batch, where that gives batches)."""
    share: float
    """Which part that is of the time of all steps."""


class Clock:
    """Adds up each step's own time. Threads have a stack each."""

    def __init__(self, steps: int) -> None:
        self.seconds = [0.0] * steps
        self.here = threading.local()

    def around(self, number: int, call: Callable[..., T], *args: Any) -> T:
        """Call a function on behalf of a step."""
        here = self.here
        before = getattr(here, "inner", 0.0)
        here.inner = 0.0
        began = perf_counter()
        try:
            return call(*args)
        finally:
            spent = perf_counter() - began
            self.seconds[number] += spent - here.inner
            here.inner = before + spent


class Timed(Reading):
    """Looks at the clock around every step."""

    stepwise = True
    clock: Clock

    @classmethod
    def of(cls, plan: Plan, epoch: int, clock: Clock) -> Timed:
        """Return the reading of an epoch."""
        made = cls(plan, epoch)
        made.clock = clock
        return made

    def at(self, epoch: int) -> Reading:
        """Go on timing."""
        return Timed.of(self.plan, epoch, self.clock)

    def item(self, node: Node, index: int) -> Any:
        """Time the computing of one item."""
        return self.clock.around(self.plan.nodes.index_of(node), super().item, node, index)

    def gather(self, node: Node, indices: Indices) -> Sequence[Any]:
        """Time the computing of many items. Maps that would go together are computed one after the other."""
        number = self.plan.nodes.index_of(node)
        if node.elementwise and not node.pure and not hasattr(node, "policy"):
            return self.clock.around(number, self.each, node, indices)
        return self.clock.around(number, super().gather, node, indices)

    def each(self, node: Node, indices: Indices) -> list[Any]:
        """Compute one step for many items."""
        values = self.gather(node.sources[0], indices)
        made: list[Any] = []
        for value, index in zip(values, indices, strict=True):
            try:
                made.extend(node.spread(value, Place(int(index)), self))
            except StopIteration as error:
                raise self.quiet(node, int(index)) from error
            except BaseException as error:
                self.blame(error, node, int(index))
                raise
        return made

    def start(self, node: Node, position: Position) -> Cursor:
        """Time the cursor of a step."""
        number = self.plan.nodes.index_of(node)
        cursor = self.clock.around(number, super().start, node, position)
        if isinstance(cursor, Walk):  # asks this reading for every item
            return cursor
        if isinstance(cursor, Spread):
            cursor.chain.steps = [Step(step, self) for step in cursor.chain.steps]  # type: ignore[misc]
            return cursor
        return Hand(cursor, number, self.clock)

    def blame(self, error: BaseException, node: Node, index: int | Place, base: Node | None = None) -> None:
        """Name the step itself."""
        super().blame(error, getattr(node, "_step", node), index, base)


class Step:
    """An elementwise step within a chain, timed."""

    def __init__(self, step: Node, read: Timed) -> None:
        self._step = step
        self._number = read.plan.nodes.index_of(step)
        self._clock = read.clock

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Time what one element becomes."""
        return self._clock.around(self._number, lambda: list(self._step.spread(value, place, read)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


class Hand(Cursor):
    """The cursor of a sequential step, timed."""

    def __init__(self, cursor: Cursor, number: int, clock: Clock) -> None:
        self.cursor = cursor
        self.number = number
        self.clock = clock

    def __next__(self) -> Any:
        return self.clock.around(self.number, next, self.cursor)

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return self.cursor.place

    def position(self) -> Position:
        """Return where the next item will come from."""
        return self.cursor.position()

    def onward(self) -> Position:
        """Return where the next epoch begins."""
        return self.cursor.onward()

    def starved(self) -> bool:
        """Tell whether the next item must be waited for outside."""
        return self.cursor.starved()

    def interrupt(self) -> None:
        """Let it stop waiting."""
        self.cursor.interrupt()

    def close(self) -> None:
        """Close it."""
        self.cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)


def costs_of(root: Node, seconds: float, most: int | None = None) -> tuple[Cost, ...]:
    """Read a description in line for a while; return what each step costs, in the order of reading."""
    plan = Plan(root)
    clock = Clock(len(plan.nodes))
    began = perf_counter()
    count = 0
    for epoch in range(1 << 32):
        cursor = Timed.of(plan, epoch, clock).start(root, None)
        before = count
        try:
            for _ in cursor:
                count += 1
                if perf_counter() - began > seconds or count == most:
                    break
        finally:
            cursor.close()
        if perf_counter() - began > seconds or count in (most, before):
            break
    plan.let_go()
    total = sum(clock.seconds)
    return tuple(
        Cost(node.label(), spent / max(1, count), spent / total if total else 0.0)
        for node, spent in zip(plan.nodes, clock.seconds, strict=True)
    )
