"""Reading: a description being read, under a seed and an epoch.

An operation never calls another: it asks its ``read``. So this file is the one place that knows the epoch, hands out
random generators and shuffled orders, and writes on an error which item it came from.

    Plan      what can be worked out from the description alone: numbers, seeds. One per description and process.
    Reading   a plan in one epoch. Cheap: made for every epoch and ticket.
    Walk      the cursor of a positional node.
    Spread    the cursor of a chain of elementwise nodes: takes an element from below, spreads it, counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.graph.node import Cursor, Node, Place, ordered
from penstock.graph.order import Order

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position

TOGETHER = 1 << 21  # bytes of items that a pure description is read ahead, about …
MOST = 256  # … and items
ORDERS = 64  # shuffled orders kept per process: those of one description, of this epoch and the next


class Plan:
    """What follows from a description alone: each node's number and seed."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.nodes = ordered(root)
        self.seeds: list[int] = []
        for node in self.nodes:
            own = getattr(node, "seed", None)
            before = node.sources[0] if node.sources else None
            inherited = self.seeds[self.nodes.index_of(before)] if before is not None else 0
            self.seeds.append(own if isinstance(own, int) else inherited)
        self._orders: dict[tuple[int, int, int], Order] = {}

    def order(self, node: Node, epoch: int, count: int) -> Order:
        """Return the permutation of ``range(count)`` that belongs to a node in an epoch."""
        number = self.nodes.index_of(node)
        key = (number, epoch, count)
        order = self._orders.get(key)
        if order is None:
            while len(self._orders) >= ORDERS:
                self._orders.pop(next(iter(self._orders)), None)  # threads may race here: at worst one is made anew
            order = self._orders[key] = Order(count, (self.seeds[number], number, epoch))
        return order


class Reading:
    """A description in one epoch."""

    def __init__(self, plan: Plan, epoch: int = 0) -> None:
        self.plan = plan
        self.epoch = epoch

    def at(self, epoch: int) -> Reading:
        """Return the same description in another epoch."""
        return Reading(self.plan, epoch)

    def item(self, node: Node, index: int) -> Any:
        """Compute the item of a positional node."""
        try:
            return node.item(index, self)
        except BaseException as error:
            self.blame(error, node, index)
            raise

    def gather(self, node: Node, indices: Indices) -> Sequence[Any]:
        """Compute many items of a positional node."""
        return node.gather(indices, self)

    def start(self, node: Node, position: Position) -> Cursor:
        """Begin to read a node from the front or from a position."""
        return node.start(self, position)

    def begin(self, node: Node, position: Position) -> Cursor:
        """Make the cursor of a node that says nothing of its own about it: positional or elementwise ones."""
        if node.positional:
            return Walk(node, self, position)
        return Spread(node, self, position)

    def origin(self, node: Node, index: int) -> object:
        """Return what the source calls an item; never raises."""
        try:
            return node.origin(index, self)
        except Exception:  # noqa: BLE001  this describes another error, which must not be hidden
            return index

    def rng(self, node: Node, place: Place) -> np.random.Generator:
        """Return the generator of one item of one operation: a function of seed, epoch, place and operation.

        Philox is counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the key is the
        seed and the operation, the high words of the counter are the item, the low words are the draws.
        """
        number = self.plan.nodes.index_of(node)
        counter = np.array((0, place.part, self.epoch, place.position), np.uint64)
        return np.random.Generator(np.random.Philox(key=(self.plan.seeds[number], number), counter=counter))

    def order(self, node: Node, count: int) -> Order:
        """Return the shuffled order of a node in this epoch."""
        return self.plan.order(node, self.epoch, count)

    def blame(self, error: BaseException, node: Node, index: int | Place) -> None:
        """Write on an error which item of which operation it came from. The innermost operation speaks, once."""
        if getattr(error, "_penstock_blamed", False) or isinstance(error, GeneratorExit):
            return
        try:
            error._penstock_blamed = True  # type: ignore[attr-defined]  # noqa: SLF001
        except AttributeError:
            return  # an exception class that forbids attributes: it will be named by the outermost operation
        where, key = (index.position, None) if isinstance(index, Place) else (index, self.origin(node, index))
        source = "" if key is None or key == where else f", source {key!r}"
        error.add_note(f"penstock: item {where} of {node.label()}, epoch {self.epoch}{source}")
        if node.site is not None:
            error.add_note(f"penstock: {node.label()} was written at {node.site}")


def chain(node: Node) -> tuple[Node, tuple[Node, ...]]:
    """Split a node that can be begun into what is read below and the elementwise steps on top of it."""
    steps: list[Node] = []
    while not node.positional and node.elementwise:
        steps.append(node)
        node = node.sources[0]
    return node, tuple(reversed(steps))


def spread(steps: Sequence[Node], value: Any, place: Place, read: Reading) -> Sequence[Any]:
    """Send one element through elementwise steps; return the items that it becomes."""
    values: Sequence[Any] = (value,)
    places: Sequence[Place] = (place,)
    for number, step in enumerate(steps, 1):
        found: list[Any] = []
        where: list[Place] = []
        for element, at in zip(values, places, strict=True):
            try:
                items = step.spread(element, at, read)
                before = len(found)
                found.extend(items)
            except BaseException as error:
                read.blame(error, step, at)
                raise
            made = len(found) - before
            # Each item that one element is spread into has a place of its own; a chain of one-to-one steps keeps it.
            where.extend([at] if made == 1 else [Place(at.position, part(at.part, number, k)) for k in range(made)])
        values, places = found, where
    return values


def part(outer: int, step: int, number: int) -> int:
    """Return the part of an item within a part: a 60-bit mix, for spreads within spreads."""
    mixed = (outer * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + number + 1) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 29) & ((1 << 60) - 1)


class Walk(Cursor):
    """Reads a positional node item by item. Its position is the next index.

    A description without any function of the user is read several items at a time: one gather of many rows costs hardly
    more than one of few.
    """

    def __init__(self, node: Node, read: Reading, position: Position) -> None:
        self.node = node
        self.read = read
        self.index: int = position or 0
        length = node.length()
        self.end = float("inf") if length is None else length
        self.together = 1 if all(n.pure for n in ordered(node)) else 0
        self.items: Iterator[Any] = iter(())

    def __next__(self) -> Any:
        for value in self.items:
            self.index += 1
            return value
        index = self.index
        if index >= self.end:
            raise StopIteration
        value = self.several(index) if self.together else self.read.item(self.node, index)
        self.index = index + 1
        return value

    def several(self, index: int) -> Any:
        """Compute items for a while; return the first."""
        items = self.read.gather(self.node, range(index, int(min(index + self.together, self.end))))
        self.items = iter(items)
        value = next(self.items)
        if self.together == 1:
            self.together = min(max(1, TOGETHER // (weight(value) + 64)), MOST)
        return value

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.index - 1)

    def position(self) -> Position:
        """Return the next index."""
        return self.index


def weight(value: Any) -> int:
    """Return the bytes of the arrays in an item, about."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    return sum(map(weight, value)) if isinstance(value, (tuple, list)) else 0


class Spread(Cursor):
    """Reads a chain of elementwise nodes.

    Its position is ``[where the element in hand was taken from, how many of its items have been delivered]``; both
    are as small as what is below, whatever the steps do.
    """

    skip: int

    def __init__(self, node: Node, read: Reading, position: Position) -> None:
        base, self.steps = chain(node)
        self.read = read
        below, self.skip = position or (None, 0)
        self.below = read.start(base, below)
        self.before = self.after = self.seen = self.below.position()
        self.items: Iterator[Any] = iter(())
        self.left = 0
        self.taken = 0

    def __next__(self) -> Any:
        while not self.left:
            before = self.seen
            value = next(self.below)
            seen = self.below.position()
            items = spread(self.steps, value, self.below.place, self.read)
            self.seen = seen
            taken, self.skip = self.skip, 0
            if len(items) > taken:  # of elements that became nothing, the position says nothing
                self.before, self.after, self.taken = before, seen, taken
                self.items = iter(items[taken:])
                self.left = len(items) - taken
        value = next(self.items)
        self.left -= 1
        self.taken += 1
        return value

    def position(self) -> Position:
        """Return the element's position and the number of its items that are gone."""
        if self.left:
            return [self.before, self.taken]
        return [self.after, self.skip]

    def close(self) -> None:
        """Close what is below."""
        self.below.close()

