"""Reading: a description being read, under a seed and an epoch.

An operation never calls another: it asks its ``read``. So this file is the one place that knows the epoch, hands out
random generators and shuffled orders, and writes on an error which item it came from.

    Plan      what can be worked out from the description alone: numbers, seeds. One per description and process.
    Reading   a plan in one epoch. Cheap: made for every epoch and ticket.
    Walk      the cursor of a positional node.
    Spread    the cursor of a chain of elementwise nodes: takes an element from below, spreads it, counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import EndedQuietly
from penstock.graph.node import Cursor, Node, Place, ordered
from penstock.graph.order import Order
from penstock.graph.policy import Retry, Skip, Skipped, again, budget

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
        self.keys = [np.array((seed, number), np.uint64) for number, seed in enumerate(self.seeds)]
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


class Meter:
    """What a reading is at, for whoever watches from outside: a step, its positions, and what is done, which grows."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at: tuple[Node, Indices, Sequence[Any]] | None = None

    def item(self) -> tuple[Node, int] | None:
        """Return the step and the position of the item that is being computed."""
        at = self.at
        if at is None:
            return None
        node, indices, done = at
        count = len(done)
        return (node, int(indices[count])) if count < len(indices) else None


class Reading:
    """A description in one epoch."""

    def __init__(
        self, plan: Plan, epoch: int = 0, meter: Meter | None = None, hear: Callable[[Skipped], None] | None = None
    ) -> None:
        self.plan = plan
        self.epoch = epoch
        self.meter = meter or Meter()
        self.hear = hear
        self.skips: list[Skipped] = []

    def skip(self, error: BaseException, guard: Node, place: Place, number: int) -> None:
        """Note that a policy leaves an item out."""
        blamed = getattr(error, "_penstock_blamed", None)
        label = (guard if blamed is None else self.plan.nodes[blamed]).label()
        source = getattr(error, "_penstock_source", None)
        self.skips.append(Skipped(place.position, self.epoch, label, source, error, number))

    def take_skips(self) -> list[Skipped]:
        """Return what was left out since the last call."""
        skips, self.skips = self.skips, []
        return skips

    def skipped(self, what: Skipped) -> None:
        """Say, in the order of the epoch, that an item was left out."""
        if self.hear is not None:
            self.hear(what)

    def at(self, epoch: int) -> Reading:
        """Return the same description in another epoch."""
        return Reading(self.plan, epoch, self.meter, self.hear)

    def item(self, node: Node, index: int) -> Any:
        """Compute the item of a positional node."""
        try:
            return node.item(index, self)
        except StopIteration as error:
            raise self.quiet(node, index) from error
        except BaseException as error:
            self.blame(error, node, index)
            raise

    def quiet(self, node: Node, index: int | Place) -> EndedQuietly:
        """Return the error that replaces a StopIteration of a user's function, which would end the epoch unseen."""
        error = EndedQuietly(f"{node.label()} raised StopIteration, which would have ended the epoch quietly.")
        self.blame(error, node, index)
        return error

    def gather(self, node: Node, indices: Indices) -> Sequence[Any]:
        """Compute many items of a positional node."""
        try:
            return node.gather(indices, self)
        except StopIteration as error:
            raise self.quiet(node, indices[0]) from error

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
        key = self.plan.keys[self.plan.nodes.index_of(node)]
        counter = np.array((0, place.part, self.epoch, place.position), np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def order(self, node: Node, count: int) -> Order:
        """Return the shuffled order of a node in this epoch."""
        return self.plan.order(node, self.epoch, count)

    def blame(self, error: BaseException, node: Node, index: int | Place, base: Node | None = None) -> None:
        """Write on an error which item of which operation it came from. The innermost operation speaks, once.

        Behind a filter and the like, ``index`` is a place, and ``base`` is the node whose positions it counts.
        """
        if getattr(error, "_penstock_blamed", None) is not None or isinstance(error, GeneratorExit):
            return
        if isinstance(index, Place):
            where, key = index.position, None if base is None else self.origin(base, index.position)
        else:
            where, key = index, self.origin(node, index)
        source = "" if key is None or key == where else f", source {key!r}"
        with contextlib.suppress(AttributeError, TypeError):  # an exception class that forbids attributes
            error._penstock_blamed = self.plan.nodes.index_of(node)  # type: ignore[attr-defined]  # noqa: SLF001
            error._penstock_source = key  # type: ignore[attr-defined]  # noqa: SLF001
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


class Chain:
    """Sends elements through elementwise steps, and follows the policies among them.

    An element that fails goes on behind the next policy that concerns it: as what the policy made of it, or not at all.
    """

    def __init__(self, steps: Sequence[Node], base: Node) -> None:
        self.steps = steps
        self.base = base if base.positional else None
        self.guards = [k for k, step in enumerate(steps) if hasattr(step, "policy")]
        self.budgets = [budget(steps[k].policy) for k in self.guards]  # type: ignore[attr-defined]
        self.skips = any(b is not None for b in self.budgets)

    def run(self, get: Callable[[], Any], base: Node | None, place: Place, read: Reading) -> list[Any]:
        """Return the items that an element becomes; ``get`` computes it, for ``base``, or just returns it."""
        items: list[Any] = []
        value = None
        try:
            value = get()
        except BaseException as error:  # noqa: BLE001  rescue raises what no policy is for
            if base is not None:
                read.blame(error, base, place.position)
            self.rescue(-1, get, None, error, place, read, items)
        else:
            self.follow(0, value, place, read, items)
        return items

    def follow(self, k: int, value: Any, place: Place, read: Reading, items: list[Any]) -> None:
        """Send a value through the steps from number ``k`` on."""
        if k == len(self.steps):
            items.append(value)
            return
        step = self.steps[k]
        try:
            made = list(step.spread(value, place, read))
        except BaseException as problem:  # noqa: BLE001
            error = read.quiet(step, place) if isinstance(problem, StopIteration) else problem
            read.blame(error, step, place, self.base)
            self.rescue(k, lambda: list(step.spread(value, place, read)), value, error, place, read, items)
            return
        self.go_on(k, made, place, read, items)

    def go_on(self, k: int, made: list[Any], place: Place, read: Reading, items: list[Any]) -> None:
        """Send what a step made through the next. Of several items each gets a place of its own."""
        if len(made) == 1:
            self.follow(k + 1, made[0], place, read, items)
        else:
            for number, value in enumerate(made):
                at = Place(place.position, part(place.part, k + 1, number))
                self.follow(k + 1, value, at, read, items)

    def rescue(  # noqa: PLR0913, PLR0917  a moment of a computation: all of it is needed
        self, k: int, attempt: Any, value: Any, error: BaseException, place: Place, read: Reading, items: list[Any]
    ) -> None:
        """Follow the policy that concerns an error of step ``k``, or raise it."""
        for number, at in enumerate(self.guards):
            guard: Any = self.steps[at]
            if at <= k or not guard.concerns(error, read):
                continue
            policy, failure = guard.policy, error
            if isinstance(policy, Retry):
                made, problem = again(policy, attempt, failure)  # type: ignore[arg-type]
                if problem is None:
                    if k < 0:
                        self.follow(0, made, place, read, items)
                    else:
                        self.go_on(k, made, place, read, items)
                    return
                failure, policy = problem, policy.then
            if isinstance(policy, Skip):
                read.skip(failure, guard, place, number)
                return
            if callable(policy):
                self.follow(at + 1, policy(failure, value), place, read, items)
                return
            raise failure
        raise error


def part(outer: int, step: int, number: int) -> int:
    """Return the part of an item within a part: a 60-bit mix, for spreads within spreads."""
    mixed = (outer * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + number + 1) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 29) & ((1 << 60) - 1)


class Account:
    """What a chain has left out, policy by policy, and whether that is within the budgets."""

    def __init__(self, chain_: Chain, counts: Sequence[int] | None) -> None:
        self.chain = chain_
        self.counts = list(counts or [0] * len(chain_.guards))

    def add(self, skipped: Skipped, tried: int) -> None:
        """Count an item that was left out; raise its error where the budget is spent."""
        self.counts[skipped.guard] += 1
        allowed = self.chain.budgets[skipped.guard]
        if allowed is not None and not allowed.allows(self.counts[skipped.guard], tried):
            failures = self.counts[skipped.guard]
            skipped.error.add_note(f"penstock: not skipped: {failures} failures are more than {allowed} allows")
            raise skipped.error


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

    def advance(self) -> int:
        """Step over an item without computing it; return its index."""
        index = self.index
        if index >= self.end:
            raise StopIteration
        self.index = index + 1
        return index

    def several(self, index: int) -> Any:
        """Compute items for a while; return the first."""
        try:
            items = self.read.gather(self.node, range(index, int(min(index + self.together, self.end))))
        except Exception:  # noqa: BLE001  one of them fails: it shall do so at its own place
            self.together = 0
            return self.read.item(self.node, index)
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

    Its position is ``[where the element in hand was taken from, how many of its items have been delivered]``, and with
    policies that leave items out a list of how many each has; all as small as what is below, whatever the steps do.
    """

    skip: int

    def __init__(self, node: Node, read: Reading, position: Position) -> None:
        self.base, steps = chain(node)
        self.chain = Chain(steps, self.base)
        self.read = read
        below, self.skip, *counts = position or (None, 0)
        self.account = Account(self.chain, counts[0] if counts else None)
        self.counts = list(self.account.counts)
        self.below = read.start(self.base, below)
        self.before = self.after = self.seen = self.below.position()
        self.items: Iterator[Any] = iter(())
        self.left = 0
        self.taken = 0

    def __next__(self) -> Any:
        while not self.left:
            before = self.seen
            items = self.element()
            taken, self.skip = self.skip, 0
            if len(items) > taken:  # of elements that became nothing, the position says nothing
                self.before, self.after, self.taken = before, self.seen, taken
                self.counts = list(self.account.counts)
                self.items = iter(items[taken:])
                self.left = len(items) - taken
        value = next(self.items)
        self.left -= 1
        self.taken += 1
        return value

    def element(self) -> list[Any]:
        """Take an element from below; return what it becomes."""
        read = self.read
        below = self.below
        if isinstance(below, Walk) and self.chain.guards:
            index = below.advance()
            items = self.chain.run(lambda: read.item(self.base, index), self.base, Place(index), read)
        else:
            value = next(below)
            items = self.chain.run(lambda: value, None, below.place, read)
        place = below.place
        self.seen = below.position()
        for skipped in read.take_skips():
            self.account.add(skipped, place.position + 1)
            read.skipped(skipped)
        return items

    def position(self) -> Position:
        """Return the element's position, the number of its items that are gone, and what was left out before it."""
        at = [self.before, self.taken] if self.left else [self.after, self.skip]
        return [*at, list(self.counts)] if self.chain.skips else at

    def close(self) -> None:
        """Close what is below."""
        self.below.close()
