"""Reading: a description being read, under a seed and an epoch.

An operation never calls another: it asks its ``read``. So this file is the one place that knows the epoch, hands out
random generators and shuffled orders, and writes on an error which item it came from.

    Plan      what can be worked out from the description alone: numbers, seeds. One per description and process.
    Reading   a plan in one epoch. Cheap: made for every epoch and ticket.
    Meter     what a reading is at, for whoever watches.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from penstock.errors import EndedQuietly, StateError
from penstock.graph.checking import digest, short
from penstock.graph.cursors import Spread, Walk
from penstock.graph.node import Cursor, Node, Place, draw_words, ordered
from penstock.graph.order import Order
from penstock.graph.policy import Skipped
from penstock.graph.position import alike

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.progress import Progress

T = TypeVar("T")

ORDERS = 64  # shuffled orders and the like kept per process: those of one description, of this epoch and the next


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
        self.words = draw_words(root, self.nodes)
        self.keys = [np.array(key, np.uint64) for key in zip(self.seeds, self.words, strict=True)]
        self._orders: dict[tuple[Any, ...], Any] = {}
        self._fronts: dict[int, Position] = {}
        self.forget()

    def forget(self) -> None:
        """Keep nothing that users may change: what was made of their weights and samplers, what their sources gave."""
        self._made: dict[tuple[Any, ...], Any] = {}
        self.marks: dict[int, Any] = {}  # by node: where an epoch stopped of one that goes on in the next; saves time

    def again(self) -> Plan:
        """Return the same for another reading, which begins with nothing but what the description says."""
        plan = copy.copy(self)
        plan.forget()
        return plan

    def front(self, node: Node) -> Position:
        """Return the position at which a node of this description begins: what all its positions are like."""
        number = self.nodes.index_of(node)
        if number not in self._fronts:
            cursor = Reading(Plan(node)).start(node, None)
            self._fronts[number] = cursor.position()
            cursor.close()
        return self._fronts[number]

    def let_go(self) -> None:
        """Close what was kept open for the next epoch."""
        while self.marks:
            _, mark = self.marks.popitem()
            if mark.cursor is not None:
                mark.cursor.close()

    def keyed(self, node: Node, epoch: int, make: Callable[..., T], *args: Any, kept: int = ORDERS) -> T:
        """Return ``make(*args, key)``, where the key is of a node in an epoch: made once and kept for a while."""
        number = self.nodes.index_of(node)
        name = (number, epoch, make, *args)
        held = self._orders if make is Order else self._made
        made: T | None = held.get(name)
        if made is None:
            made = make(*args, (self.seeds[number], self.words[number], epoch))
            # Threads may race here: at worst something is made anew.
            of_node = [n for n in list(held) if n[0] == number and n[2] is make]
            for old in of_node[: max(0, len(of_node) + 1 - kept)]:
                held.pop(old, None)
            for old in list(held)[: max(0, len(held) + 1 - ORDERS)]:
                held.pop(old, None)
            held[name] = made
        return made


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


@cache
def maker() -> Callable[..., np.random.Generator]:
    """Return what makes generators. To import it takes a tenth of a worker's start, and many workers do without."""
    from penstock.graph.generators import generator

    return generator


def folded(epoch: int) -> int:
    """Return a number of 64 bits for an epoch that has more: of rounds within endless rounds.

    The last 32 bits stay, so that rounds still follow one another: ``per_epoch`` counts items from a round on.
    """
    high = int.from_bytes(digest(str(epoch >> 32), 4), "little") | 1 << 31
    return high << 32 | epoch & 0xFFFFFFFF


class Reading:
    """A description in one epoch."""

    stepwise = False  # whether steps that go together are asked for one by one, so that each can be seen

    def __init__(
        self,
        plan: Plan,
        epoch: int = 0,
        meter: Meter | None = None,
        hear: Callable[[Skipped], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.plan = plan
        self.epoch = epoch if epoch < 1 << 64 else folded(epoch)
        self.meter = meter or Meter()
        self.hear = hear
        self.progress = progress
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
        return Reading(self.plan, epoch, self.meter, self.hear, self.progress)

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

    def assign(self, node: Node, index: int, value: Any) -> None:
        """Write an item through to where it comes from."""
        try:
            node.assign(index, value, self)
        except Exception as error:
            self.blame(error, node, index)
            raise

    def start(self, node: Node, position: Position) -> Cursor:
        """Begin to read a node from the front or from a position."""
        self.check(node, position)
        return node.start(self, position)

    def check(self, node: Node, position: Position) -> None:
        """Refuse a position that is not made as those of the node are.

        Cursors take what they are given and work later, so what somebody wrote into a state would be an error of
        arithmetic there, far from its cause.

        Raises:
            StateError: it has no number, list or dict where the node's position at the front has one.
        """
        if position is None:
            return
        front = self.plan.front(node)
        if node.alike is not None and isinstance(position, list):
            position, front = position[: node.alike], front[: node.alike]
        if not alike(position, front):
            raise StateError(f"The state's position does not fit {node.label()}: {short(position)}.")

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
        return maker()(key, (0, place.part, self.epoch, place.position))

    def order(self, node: Node, count: int) -> Order:
        """Return the shuffled order of a node in this epoch."""
        return self.plan.keyed(node, self.epoch, Order, count)

    def keyed(self, node: Node, make: Callable[..., T], *args: Any, kept: int = ORDERS) -> T:
        """Return ``make(*args, (seed, operation, epoch))`` of a node in this epoch, made once and kept for a while.

        Args:
            node: the operation that asks.
            make: a class or function of the module; what it makes depends on its arguments alone.
            args: things that can be hashed.
            kept: how many are kept, of one operation in several epochs: fewer, the larger they are.
        """
        return self.plan.keyed(node, self.epoch, make, *args, kept=kept)

    def blame(self, error: BaseException, node: Node, index: int | Place, base: Node | None = None) -> None:
        """Write on an error which item of which operation it came from. The innermost operation speaks, once.

        Behind a filter and the like, ``index`` is a place, and ``base`` is the node whose positions it counts.
        """
        if getattr(error, "_penstock_blamed", None) is not None:
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
