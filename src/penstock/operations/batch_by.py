"""batch_by and batch_while: neighbouring items as one, as many of them as fit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, flag, function, name_of, short, whole
from penstock.graph.collating import called, check_share, collate_text, collated, measured
from penstock.graph.cursors import Counting
from penstock.graph.items import stack
from penstock.graph.node import Cursor, Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop")
OVERSIZE = ("error", "alone", "drop")


class Rule(ABC):
    """Decides about one batch after the other while the items come."""

    @abstractmethod
    def takes(self, items: list[Any], item: Any, below: Cursor) -> bool:
        """Tell whether the next item belongs to the batch; the first always does."""

    def wants(self, item: Any, below: Cursor) -> bool:
        """Look at an item, once; tell whether it belongs to any batch."""
        return True

    def full(self, items: list[Any]) -> bool:
        """Tell whether no more items can belong to the batch."""
        return False

    def reset(self) -> None:
        """Begin with the next batch."""


@operation
class BatchBy(Node):
    """As many items as their sizes fit into ``budget``: in sum, or with ``padded`` as the largest times the count."""

    rereads = False

    input: Node
    budget: float
    size: Callable[[Any], float]
    last: str = "keep"
    max_items: int | None = None
    padded: bool = False
    oversize: str = "error"
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Refuse what is no budget, and words that cannot work."""
        budget: Any = self.budget
        try:
            good = not isinstance(budget, bool) and 0 < budget < math.inf
        except TypeError:
            good = False
        if not good:
            text = f"batch_by(): budget must be a number above 0, not {short(budget)}."
            raise ArgumentTypeError(f"{text} For example: dataset.batch_by(8192, len)")
        function(self.size, "batch_by()", "size", "dataset.batch_by(8192, len)")
        choice(self.last, LAST, "batch_by()", "last")
        choice(self.oversize, OVERSIZE, "batch_by()", "oversize")
        flag(self.padded, "batch_by()", "padded")
        function(self.collate, "batch_by()", "collate", "dataset.batch_by(8192, len, collate=list)")
        if self.max_items is not None:
            self.normalise(max_items=whole(self.max_items, "batch_by()", "max_items", least=1))
            if self.max_items < self.part[1]:
                raise ArgumentError(f"{self.label()} cannot be divided over {self.part[1]} ranks: it has fewer rows.")

    @property
    def positional(self) -> bool:
        """Never: where a batch begins depends on all items before it."""
        return False

    @property
    def remedy(self) -> str:
        """What helps where ranks would be left without rows."""
        return "Choose a larger budget; if it is the last batch, last='drop'."

    def rule(self, read: Reading) -> Rule:
        """Return what decides about the next batch."""
        return Budget(self, read)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Cut the input, in the caller."""
        return Cutting(self, read, position)

    def label(self) -> str:
        """Return the budget and what was said beside it."""
        said = f"{self.budget}, {name_of(self.size)}"
        said += "" if self.last == "keep" else f", last={self.last!r}"
        said += "" if self.max_items is None else f", max_items={self.max_items}"
        said += ", padded=True" if self.padded else ""
        said += "" if self.oversize == "error" else f", oversize={self.oversize!r}"
        return f"batch_by({said}{collate_text(self.collate)})"


class Budget(Rule):
    """Adds up the sizes of the items of one batch."""

    def __init__(self, node: BatchBy, read: Reading) -> None:
        self.node = node
        self.read = read
        self.sum: float = 0
        self.largest: float = 0
        self.size: float = 0  # of the item that came last

    def wants(self, item: Any, below: Cursor) -> bool:
        """Measure the item; refuse it where it is larger than the budget by itself."""
        node = self.node
        self.size = measured(node.size, item, node, below, self.read)
        if self.size <= node.budget or node.oversize == "alone":
            return True
        if node.oversize == "drop":
            return False
        raise ArgumentError(
            f"{node.label()}: item {below.place.position} has size {self.size}, above the budget. Filter such items "
            'out, cut them, or say oversize="alone" (a batch of its own) or oversize="drop".'
        )

    def reset(self) -> None:
        """Forget the batch."""
        self.sum = self.largest = 0

    def takes(self, items: list[Any], item: Any, below: Cursor) -> bool:
        """Tell whether the item still fits."""
        node = self.node
        total, largest = self.sum + self.size, max(self.largest, self.size)
        if items and (largest * (len(items) + 1) if node.padded else total) > node.budget:
            return False
        self.sum, self.largest = total, largest
        return True

    def full(self, items: list[Any]) -> bool:
        """Tell whether the count, or the budget, is used up."""
        node = self.node
        if node.max_items is not None and len(items) >= node.max_items:
            return True
        return (self.largest * len(items) if node.padded else self.sum) >= node.budget


@operation
class BatchWhile(Node):
    """Items are added to a batch while ``predicate(items so far, next item)`` is true."""

    rereads = False

    input: Node
    predicate: Callable[[list[Any], Any], Any]
    last: str = "keep"
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Refuse what is no function, and words that cannot work."""
        example = "dataset.batch_while(lambda items, item: len(items) < 8)"
        function(self.predicate, "batch_while()", "predicate", example)
        choice(self.last, LAST, "batch_while()", "last")
        function(self.collate, "batch_while()", "collate", "dataset.batch_while(predicate, collate=list)")

    @property
    def positional(self) -> bool:
        """Never: where a batch begins depends on all items before it."""
        return False

    @property
    def remedy(self) -> str:
        """What helps where ranks would be left without rows."""
        return "Let the predicate add more items; if it is the last batch, say last='drop'."

    def rule(self, read: Reading) -> Rule:
        """Return what decides about the next batch."""
        return Predicate(self, read)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Cut the input, in the caller."""
        return Cutting(self, read, position)

    def label(self) -> str:
        """Return the predicate's name and what was said beside it."""
        last = "" if self.last == "keep" else f", last={self.last!r}"
        return f"batch_while({name_of(self.predicate)}{last}{collate_text(self.collate)})"


class Predicate(Rule):
    """Asks the user, of every item but the first of a batch."""

    def __init__(self, node: BatchWhile, read: Reading) -> None:
        self.node = node
        self.read = read

    def takes(self, items: list[Any], item: Any, below: Cursor) -> bool:
        """Ask."""
        return not items or bool(called(self.node.predicate, (list(items), item), self.node, below, self.read))


class Cutting(Counting):
    """Cuts a stream into batches; one item, which did not fit, may be held.

    Its position is ``[batches, where the first item of the next one comes from]``.
    """

    def __init__(self, node: Any, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node
        self.read = read
        self.after = below
        self.held: list[Any] = []
        self.rule = node.rule(read)

    def __next__(self) -> Any:
        node, below, rule = self.node, self.below, self.rule
        items, self.held = self.held, []
        after = None
        while not (items and rule.full(items)):
            before = below.position()
            try:
                item = next(below)
            except StopIteration:
                if not items or node.last == "drop":
                    raise
                break
            if not rule.wants(item, below):
                continue
            if not rule.takes(items, item, below):
                self.held, after = [item], before
                break
            items.append(item)
        rule.reset()
        for item in self.held:
            rule.takes([], item, below)
        check_share(node, self.count, len(items), node.remedy)
        batch = collated(node, items, self.count, self.read)
        self.count += 1
        self.after = below.position() if after is None else after
        return batch

    def position(self) -> Position:
        """Return the number of batches and the position of the next one's first item."""
        return [self.count, self.after]

    def exhausted(self) -> bool:
        """Tell whether the stream's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the stream's work begin."""
        self.below.prime()
