"""How positional and elementwise nodes are read from the front.

Walk      the cursor of a positional node
Spread    the cursor of a chain of elementwise nodes: takes an element from below, spreads it, counts
Chain     sends one element through elementwise steps, and follows the policies among them; workers use it, too
Counting  what the cursors of sequential operations have in common
Several   the same, of operations with several inputs
Account   what a chain has left out, and whether that is within the budgets
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import length_hint
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import StateError
from penstock.graph.checking import short
from penstock.graph.node import Cursor, Node, Place, ordered
from penstock.graph.policy import Retry, Skip, Skipped, again, budget

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

TOGETHER = 1 << 21  # bytes of items that a pure description is read ahead, about …
MOST = 256  # … and items


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
        self.heard = list(accumulate(not step.silent for step in steps))  # number of each step, from 1 on
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
                at = Place(place.position, part(place.part, self.heard[k], number))
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


class Counting(Cursor):
    """Reads one cursor and counts what it delivers: the part that sequential operations have in common.

    Its position is ``[items delivered, where the next comes from]``.
    """

    def __init__(self, below: Cursor, count: int) -> None:
        if type(count) is not int:  # of those whose position is None at the front, nothing else says so
            raise StateError(f"The state's position has no count of items: {short(count)}.")
        self.below = below
        self.count = count

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return the count and the position below."""
        return [self.count, self.below.position()]

    def starved(self) -> bool:
        """Tell whether what is below must be waited for outside."""
        return self.below.starved()

    def interrupt(self) -> None:
        """Let what is below stop waiting."""
        self.below.interrupt()

    def close(self) -> None:
        """Close what is below."""
        self.below.close()


class Several(Cursor):
    """Reads several cursors, and counts what it delivers."""

    below: list[Cursor]
    count: int

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def exhausted(self) -> bool:
        """Tell whether the work of all inputs has been handed out."""
        return all(cursor.exhausted() for cursor in self.below)

    def starved(self) -> bool:
        """Tell whether any input must be waited for outside: its turn may be next."""
        return any(cursor.starved() for cursor in self.below)

    def interrupt(self) -> None:
        """Let the inputs stop waiting."""
        for cursor in self.below:
            cursor.interrupt()

    def prime(self) -> None:
        """Let the work of all inputs begin."""
        for cursor in self.below:
            cursor.prime()

    def close(self) -> None:
        """Close the inputs."""
        for cursor in self.below:
            cursor.close()


class Account:
    """What a chain has left out, policy by policy, and whether that is within the budgets."""

    def __init__(self, chain_: Chain, counts: Sequence[int] | None) -> None:
        self.chain = chain_
        self.counts = list(counts or [0] * len(chain_.guards))
        if not all(type(count) is int for count in self.counts):
            raise StateError(f"The state does not say how many items each policy left out: {short(self.counts)}.")

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
        self.behind: int = position or 0  # the index behind those at hand
        self.items: Iterator[Any] = iter(())  # those at hand: a list's own, which knows how many it still has
        self.counted = 0
        length = node.length()
        self.end = float("inf") if length is None else length
        self.bundles = all(n.pure for n in ordered(node))
        self.together = int(self.bundles)

    def __next__(self) -> Any:
        for value in self.items:
            return value
        index = self.behind
        if index >= self.end:
            raise StopIteration
        found = self.several(index) if self.together else None
        if found is None:
            value = self.read.item(self.node, index)
            self.behind = index + 1
            return value
        items, behind = iter(found), index + len(found)
        value = next(items)
        self.items, self.behind = items, behind  # last, and at once: an interruption before loses nothing
        return value

    def advance(self) -> int:
        """Step over an item without computing it; return its index."""
        index = self.behind
        if index >= self.end:
            raise StopIteration
        self.behind = index + 1
        return index

    def several(self, index: int) -> list[Any] | None:
        """Compute items for a while; None where one of them fails: it shall do so at its own place."""
        try:
            items = list(self.read.gather(self.node, range(index, int(min(index + self.together, self.end)))))
        except Exception:  # noqa: BLE001
            self.together = 0
            return None
        if self.together == 1:
            self.together = min(max(1, TOGETHER // (weight(items[0]) + 64)), MOST)
        return items

    def ready(self) -> Iterator[Any]:
        """Return the items at hand."""
        self.counted = self.index
        return self.items

    def flowed(self) -> int:
        """Return how many of them were taken."""
        before, self.counted = self.counted, self.index
        return self.counted - before

    @property
    def index(self) -> int:
        """The next index."""
        return self.behind - length_hint(self.items)

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.index - 1)

    def position(self) -> Position:
        """Return the next index."""
        return self.index


def weight(value: Any, depth: int = 4) -> int:
    """Return the bytes of the arrays and byte strings in an item, about: as deep as items usually are."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (bytes, str)):
        return len(value)
    if not depth or not isinstance(value, (dict, tuple, list)):
        return 0
    return sum(weight(part, depth - 1) for part in (value.values() if isinstance(value, dict) else value))


class Spread(Cursor):
    """Reads a chain of elementwise nodes.

    Its position is ``[where the element in hand was taken from, how many of its items have been delivered]``, and with
    policies that leave items out a list of how many each has; all as small as what is below, whatever the steps do.
    Its place is that of the element in hand.
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
        place = self.place = below.place
        self.seen = below.position()
        for skipped in read.take_skips():
            self.account.add(skipped, place.position + 1)
            read.skipped(skipped)
        return items

    def position(self) -> Position:
        """Return the element's position, the number of its items that are gone, and what was left out before it."""
        at = [self.before, self.taken] if self.left else [self.after, self.skip]
        return [*at, list(self.counts)] if self.chain.skips else at

    def onward(self) -> Position:
        """Return where the next epoch begins, if that is known below."""
        below = self.below.onward()
        return None if below is None else self.front(below)

    def front(self, below: Position) -> Position:
        """Return the position before the first item behind a position below."""
        return [below, 0, [0] * len(self.counts)] if self.chain.skips else [below, 0]

    def starved(self) -> bool:
        """Tell whether no item is at hand, and what is below must be waited for outside."""
        return not self.left and self.below.starved()

    def interrupt(self) -> None:
        """Let what is below stop waiting."""
        self.below.interrupt()

    def close(self) -> None:
        """Close what is below."""
        self.below.close()
