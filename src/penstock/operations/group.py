"""group and bucket: items that belong together as one, wherever they stand.

    items    a₁ b₁ a₂ c₁ b₂ a₃ …          keys a, b, c; batches of 2
    batches  (a₁ a₂) (b₁ b₂) …            open: c₁, a₃

A group is open from its first item until its batch is complete, or until it has waited for too long. What is saved is
where the first item of the oldest open group stands, and of each open group how far behind that it begins: all later
items of its key are in it, so reading again from there fills the same groups.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, function, name_of, short, whole
from penstock.graph.collating import called, check_share, collate_text, collated, measured
from penstock.graph.items import stack
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.replay import Replaying

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop")
WITHIN = 10_000  # items that a group waits for, unless somebody says otherwise
OPEN = 64  # groups at the most: a state has a number for each, and stays below a kilobyte


class Held:
    """A group that is open."""

    __slots__ = ("before", "items", "largest", "number")

    def __init__(self, number: int, before: Position) -> None:
        self.number = number  # how many items had been taken before its first one …
        self.before = before  # … and where that one comes from
        self.items: list[Any] = []
        self.largest: float = 0


@operation
class Group(Node):
    """Batches of ``size`` items for which ``key`` returns the same."""

    input: Node
    key: Callable[[Any], Hashable]
    size: int
    last: str = "keep"
    open: int = 16
    within: int = WITHIN
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Refuse what is no function or count."""
        function(self.key, "group()", "key", "dataset.group(lambda image: image.shape, 32)")
        self.normalise(
            size=whole(self.size, "group()", "size", least=1),
            open=whole(self.open, "group()", "open", least=1),
            within=whole(self.within, "group()", "within", least=1),
        )
        if self.open > OPEN:
            raise ArgumentError(f"group(): at most {OPEN} groups can be open at once, not {self.open}.")
        choice(self.last, LAST, "group()", "last")
        function(self.collate, "group()", "collate", "dataset.group(key, 32, collate=list)")
        if self.size < self.part[1]:
            raise ArgumentError(f"{self.label()} cannot be divided over {self.part[1]} ranks: it has fewer rows.")

    @property
    def positional(self) -> bool:
        """Never: which items make a batch depends on all before them."""
        return False

    def identify(self, item: Any, below: Cursor, read: Reading) -> tuple[Hashable, float]:
        """Return the key of the item that came last from below, and its size, which is the same for all."""
        key = called(self.key, (item,), self, below, read)
        try:
            hash(key)
        except TypeError:
            raise ArgumentTypeError(
                f"{self.label()}: {name_of(self.key)}() must return what can be a dict's key, not {short(key)}. "
                "For an array, return its shape or tobytes(); for a list, a tuple."
            ) from None
        return key, 1

    def fits(self, key: Any, count: int, largest: float) -> bool:
        """Tell whether a group may have so many items."""
        return count <= self.size

    def full(self, key: Any, count: int, largest: float) -> bool:
        """Tell whether a group is complete."""
        return count >= self.size

    def start(self, read: Reading, position: Position) -> Cursor:
        """Group the input, in the caller."""
        return Grouping(self, read, position)

    def label(self) -> str:
        """Return the key, the size and what was said beside them."""
        said = f"{name_of(self.key)}, {self.size}"
        said += "" if self.last == "keep" else f", last={self.last!r}"
        said += "" if self.open == 16 else f", open={self.open}"
        said += "" if self.within == WITHIN else f", within={self.within}"
        return f"group({said}{collate_text(self.collate)})"


@operation
class Bucket(Node):
    """Batches of items of similar size: those between the same two of ``boundaries``.

    A batch has the number of items that ``counts`` says for its bucket, or as many as fit into ``budget`` when all are
    padded to the largest.
    """

    input: Node
    size: Callable[[Any], float]
    boundaries: tuple[float, ...]
    counts: int | tuple[int, ...] | None = None
    budget: float | None = None
    last: str = "keep"
    within: int = WITHIN
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Refuse boundaries that do not grow, and counts that do not match them."""
        function(self.size, "bucket()", "size", "dataset.bucket(len, [64, 128, 256], 32)")
        function(self.collate, "bucket()", "collate", "dataset.bucket(len, [64, 128], 32, collate=Pad())")
        choice(self.last, LAST, "bucket()", "last")
        if not isinstance(self.boundaries, Iterable):
            raise ArgumentTypeError(f"bucket(): boundaries must be numbers that grow, not {short(self.boundaries)}.")
        bounds = tuple(b.item() if hasattr(b, "item") else b for b in self.boundaries)
        if any(isinstance(b, bool) or not isinstance(b, (int, float)) for b in bounds) or not all(
            a < b for a, b in pairwise(bounds)
        ):
            raise ArgumentError(f"bucket(): boundaries must be numbers that grow, not {short(self.boundaries)}.")
        if len(bounds) >= OPEN:
            raise ArgumentError(f"bucket(): there can be {OPEN - 1} boundaries, not {len(bounds)}.")
        self.normalise(boundaries=bounds, within=whole(self.within, "bucket()", "within", least=1))
        self.check_counts()

    def check_counts(self) -> None:
        """Refuse counts and budgets that cannot work."""
        if (self.counts is None) == (self.budget is None):
            raise ArgumentError(
                "bucket(): say how many items a batch has, bucket(len, [64, 128], 32), or how large it may be when all "
                "are padded to the largest, bucket(len, [64, 128], budget=8192)."
            )
        if self.budget is not None:
            if isinstance(self.budget, bool) or not isinstance(self.budget, (int, float)) or self.budget <= 0:  # type: ignore[redundant-expr]
                raise ArgumentError(f"bucket(): budget must be a number above 0, not {short(self.budget)}.")
            return
        if isinstance(self.counts, Sequence):
            counts = tuple(whole(n, "bucket()", "a number of items", least=1) for n in self.counts)
            if len(counts) != len(self.boundaries) + 1:
                raise ArgumentError(
                    f"bucket(): {len(self.boundaries)} boundaries make {len(self.boundaries) + 1} buckets, the last "
                    f"for all that is larger; {len(counts)} numbers of items were given."
                )
            self.normalise(counts=counts)
        else:
            counts = (whole(self.counts, "bucket()", "count", least=1),)
            self.normalise(counts=counts[0])
        if min(counts) < self.part[1]:
            raise ArgumentError(f"{self.label()} cannot be divided over {self.part[1]} ranks: it has fewer rows.")

    @property
    def positional(self) -> bool:
        """Never: which items make a batch depends on all before them."""
        return False

    @property
    def open(self) -> int:
        """How many groups are open at the most."""
        return len(self.boundaries) + 1

    def identify(self, item: Any, below: Cursor, read: Reading) -> tuple[Hashable, float]:
        """Return the bucket of the item that came last from below, and its size."""
        size = measured(self.size, item, self, below, read)
        if self.budget is not None and size > self.budget:
            raise ArgumentError(
                f"{self.label()}: item {below.place.position} has size {size}, above the budget. "
                "Filter such items out, or cut them, in a step before this."
            )
        return bisect_right(self.boundaries, size), size

    def fits(self, key: Any, count: int, largest: float) -> bool:
        """Tell whether a group may have so many items, the largest of this size."""
        return self.budget is None or largest * count <= self.budget

    def full(self, key: Any, count: int, largest: float) -> bool:
        """Tell whether a group is complete."""
        if self.budget is not None:
            return largest * (count + 1) > self.budget
        return count >= (self.counts[key] if isinstance(self.counts, tuple) else self.counts or 1)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Group the input, in the caller."""
        return Grouping(self, read, position)

    def label(self) -> str:
        """Return the boundaries and what was said beside them."""
        counts = list(self.counts) if isinstance(self.counts, tuple) else self.counts
        said = f"{name_of(self.size)}, {list(self.boundaries)}"
        said += f", budget={self.budget}" if self.budget is not None else f", {counts}"
        said += "" if self.last == "keep" else f", last={self.last!r}"
        said += "" if self.within == WITHIN else f", within={self.within}"
        return f"bucket({said}{collate_text(self.collate)})"


class Grouping(Replaying):
    """Keeps groups open until they are complete.

    Its position is ``[batches, where the first item of the oldest group comes from, how many items have been taken from
    there on, at which of these each group began …]``.
    """

    def __init__(self, node: Any, read: Reading, position: Position) -> None:
        super().__init__(node, read, position)
        self.groups: dict[Hashable, Held] = {}  # in the order in which they were opened
        self.due: deque[tuple[Held, bool]] = deque()  # to be delivered, complete or not
        self.taken = 0
        self.before: Position = None
        self.failed = False  # whether the item that was taken last has no key, and is to be tried again

    def replay(self, facts: list[Any]) -> None:
        """Take again what was taken; groups begin where they began."""
        count, *begins = facts or (0,)
        firsts = set(begins)
        for number in range(count):
            self.take(lambda key, number=number: number in firsts or key in self.groups)  # type: ignore[misc]

    def take(self, keep: Callable[[Hashable], bool]) -> None:
        """Take an item into its group; a group that it completes, or that it does not fit into, is due."""
        node, below = self.node, self.below
        before = below.position()
        item = next(below)
        self.before, self.failed = before, True
        key, size = node.identify(item, below, self.read)
        self.failed = False
        number = self.taken
        self.taken += 1
        if not keep(key):
            return
        held = self.groups.get(key)
        if held is not None and not node.fits(key, len(held.items) + 1, max(held.largest, size)):
            self.due.append((self.groups.pop(key), True))
            held = None
        if held is None:
            held = self.groups[key] = Held(number, before)
        held.items.append(item)
        held.largest = max(held.largest, size)
        if node.full(key, len(held.items), held.largest):
            self.due.append((self.groups.pop(key), True))

    def produce(self) -> Any:
        """Return the batch of the next group that is due."""
        node = self.node
        while True:
            if self.due:
                held, complete = self.due[0]
                if complete or node.last == "keep":
                    check_share(node, self.count, len(held.items), 'Say last="drop", or choose a larger size.')
                    batch = collated(node, held.items, self.count, self.read)
                    self.due.popleft()
                    return batch
                self.due.popleft()
            elif self.late():
                self.retire()
            else:
                try:
                    self.take(lambda _: True)
                except StopIteration:
                    if not self.groups:
                        raise
                    self.retire()

    def late(self) -> bool:
        """Tell whether the oldest group has waited for too long, or there are too many."""
        if not self.groups:
            return False
        oldest = next(iter(self.groups.values()))
        return bool(len(self.groups) > self.node.open or self.taken - oldest.number >= self.node.within)

    def retire(self) -> None:
        """Close the oldest group."""
        self.due.append((self.groups.pop(next(iter(self.groups))), False))

    def facts(self) -> list[Any]:
        """Return where the oldest group began, the items taken since, and where each group began."""
        held = [*(group for group, _ in self.due), *self.groups.values()]
        if not held:
            return [self.before if self.failed else self.below.position(), 0]
        oldest = min(held, key=lambda group: group.number)
        begins = sorted(group.number - oldest.number for group in held)
        return [oldest.before, self.taken - oldest.number, *begins]
