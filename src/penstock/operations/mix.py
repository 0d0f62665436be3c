"""mix: several datasets as one, in given proportions.

    a  ──a0 a1 a2 a3 ──┐  turns: by count, so that every beginning has the proportions, or by draws
                       ├──> a0 b0 a1 a2 b1 a3 …
    b  ──b0 b1 ────────┘

Whose turn is next follows from the counts of this phase alone, and each member is read from a position of its own. So
weights may change between saving and loading, and members may come and go: those that stay go on where they were.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError, StateError
from penstock.graph.arranging import Draws
from penstock.graph.checking import choice, digest, short
from penstock.graph.cursors import Several
from penstock.graph.node import Cursor, Node, operation, ordered
from penstock.graph.position import check_sum

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

HOW = ("exact", "random")
STOP = ("first", "all", "repeat", "never")
SHARES = 1 << 40  # weights become whole numbers that add up to this, about, so that no sum is ever rounded
SHAPE = {"count", "check", "turns", "members"}  # of a position
ROUNDS = 1 << 32  # rounds that a member is given within an epoch, in the numbering of epochs


@operation
class Mix(Node):
    """Items of several inputs in turn, by weight.

    ``sizes`` are the members' lengths, where they are the weights: they stay what they were when the mix was made, also
    where a loader's policy makes streams of the members.
    """

    independent = True
    pure = True
    rereads = False

    inputs: tuple[Node, ...]
    names: tuple[str, ...] | None = None
    weights: tuple[float, ...] | None = None
    how: str = "exact"
    stop: str = "first"
    temperature: float = 1.0
    sizes: tuple[float, ...] | None = None

    def check(self) -> None:
        """Refuse words, weights and members that cannot work."""
        if not self.inputs:
            raise ArgumentError("mix(): nothing was given. For example: mix([a, b], weights=[0.7, 0.3])")
        choice(self.how, HOW, "mix()", "how")
        choice(self.stop, STOP, "mix()", "stop")
        t: Any = self.temperature
        if isinstance(t, bool) or not isinstance(t, (int, float)) or not 0 < t < math.inf:
            raise ArgumentError(f"mix(): temperature must be a number above 0, not {short(t)}. 1 changes nothing.")
        lengths = [node.length() if node.positional else None for node in self.inputs]
        if self.weights is not None:
            self.normalise(weights=checked(self.weights, self.input_names))
        elif self.sizes is None:
            if None in lengths:
                name = self.input_names[lengths.index(None)]
                raise ArgumentError(
                    f"mix(): member {name!r} has no length that weights could be proportional to. Say weights=[…]."
                )
            self.normalise(sizes=tuple(float(n or 0) for n in lengths))
        if self.weights is not None and not any(self.shares):
            raise ArgumentError("mix(): all weights are 0, so no member would ever have a turn.")
        for name, share, n in zip(self.input_names, self.shares, lengths, strict=True):
            if share and n == 0 and self.stop in ("repeat", "never"):
                raise ArgumentError(f"mix(): member {name!r} is empty, so it cannot be repeated. Leave it out.")

    @property
    def random(self) -> bool:
        """Whether turns are drawn."""
        return self.how == "random"

    @property
    def input_names(self) -> tuple[str, ...]:
        """The members' names, or their numbers."""
        return self.names or tuple(map(str, range(len(self.inputs))))

    @cached_property
    def shares(self) -> tuple[int, ...]:
        """The weights, tempered, as whole numbers."""
        given = self.weights or self.sizes or ()
        top = max(given) or 1.0
        tempered = [(w / top) ** (1 / self.temperature) if w else 0.0 for w in given]
        total = math.fsum(tempered)
        return tuple(max(1, round(w / total * SHARES)) if given[k] else 0 for k, w in enumerate(tempered))

    @property
    def positional(self) -> bool:
        """Never: a state has to name a position of every member, so that weights may change."""
        return False

    def within(self, read: Reading, number: int) -> Reading:
        """Return the reading of a member's round."""
        return read if self.stop in ("first", "all") else read.at(read.epoch * ROUNDS + number)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the members in turn."""
        return Mixing(self, read, position)

    def label(self) -> str:
        """Return the weights, and what was said beside them."""
        said = []
        if self.weights is not None:
            words = [f"{w:g}" for w in self.weights]
            if self.names is None:
                said.append(f"weights=[{', '.join(words)}]")
            else:
                pairs = zip(self.names, words, strict=True)
                said.append(f"weights={{{', '.join(f'{name!r}: {word}' for name, word in pairs)}}}")
        said += [f"{name}={value!r}" for name, value in self.told()]
        return f"mix({', '.join(said)})"

    def told(self) -> list[tuple[str, Any]]:
        """Return what differs from the defaults, but for members and weights."""
        given = [("how", self.how, "exact"), ("stop", self.stop, "first"), ("temperature", self.temperature, 1.0)]
        return [(name, value) for name, value, usual in given if value != usual]

    def fingerprint(self) -> str:
        """Return what may not change between saving and loading."""
        return f"mix(how={self.how!r}, stop={self.stop!r})"


def checked(weights: Any, names: tuple[str, ...]) -> tuple[float, ...]:
    """Return weights as numbers, or refuse them."""
    try:
        found = tuple(float(w) for w in weights)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"mix(): weights must be numbers, not {short(weights)}.") from None
    if len(found) != len(names):
        raise ArgumentError(f"mix(): {len(found)} weights were given for {len(names)} datasets. Give one for each.")
    for name, weight in zip(names, found, strict=True):
        if not 0 <= weight < math.inf:
            raise ArgumentError(f"mix(): the weight of member {name!r} must be a number from 0 up, not {weight!r}.")
    return found


class Turns:
    """Whose turn is next, such that each member's count stays within 1 of its share of all turns.

    This is Tijdeman's rule ("The chairman assignment problem", 1980): of those that are owed enough, the one whose
    debt would be the first to grow too large. All numbers are whole, so nothing is rounded.
    """

    def __init__(self, shares: list[int], counts: list[int]) -> None:
        self.shares = shares
        self.counts = counts
        self.alive = [k for k, share in enumerate(shares) if share]
        self.total = sum(shares)

    def next(self) -> int:
        """Return the number of the member whose turn it is."""
        alive, total = self.alive, self.total
        if len(alive) == 1:
            return alive[0]
        turn = sum(self.counts) + 1
        bound = 2 * len(alive) - 2
        best, best_time, best_share = -1, 0, 1
        for k in alive:
            share = self.shares[k]
            owed = bound * (share * turn - self.counts[k] * total)
            if owed >= total:
                time = (bound - 1) * total - owed  # over the share: turns until it is owed too much
                if best < 0 or time * best_share < best_time * share:
                    best, best_time, best_share = k, time, share
        return best


def check_shape(position: Position) -> bool:
    """Tell whether there is a position; refuse what no mix has given."""
    if position is None:
        return False
    members = position["members"] if type(position) is dict and set(position) == SHAPE else None
    if type(members) is not dict or type(position["count"]) is not int or type(position["turns"]) is not list:
        raise TypeError("no position of a mix")
    for entry in members.values():
        if type(entry) is not list or len(entry) != 4 or any(type(number) is not int for number in entry[:3]):
            raise TypeError("no position of a mix")
    return True


class Mixing(Several):
    """Reads members in turn.

    Its position is ``{"count": items delivered, "check": of the weights, "turns": those of this phase, "members": …}``
    with ``[check sum of its steps, its round, whether a round is through, its position]`` of every member by name.
    """

    def __init__(self, node: Mix, read: Reading, position: Position) -> None:
        self.node = node
        self.read = read
        self.given = position  # returned as it was given until an item is taken: members may have changed
        self.check = int.from_bytes(digest(repr((node.input_names, node.shares))), "big")
        self.count = position["count"] if check_shape(position) else 0
        numbers = range(len(node.inputs))
        nodes = read.plan.nodes
        words = read.plan.words
        self.checks = [
            check_sum(
                source,
                [words[nodes.index_of(n)] for n in ordered(source, lambda n: not n.independent) if not n.silent],
            )
            for source in node.inputs
        ]
        where = self.found(position["members"]) if position else {}
        self.rounds: list[int] = [where[k][0] if k in where else 0 for k in numbers]
        self.through = [bool(where[k][1]) if k in where else False for k in numbers]
        self.fruitful = [k in where and where[k][2] is not None for k in numbers]
        self.below = [
            node.within(read, self.rounds[k]).start(source, where[k][2] if k in where else None)
            for k, source in enumerate(node.inputs)
        ]
        self.draws = read.keyed(node, Draws) if node.random else None
        counts = [0] * len(numbers)
        if position and position["check"] == self.check:
            counts = list(position["turns"])
            if len(counts) != len(numbers) or any(type(c) is not int for c in counts):
                raise TypeError("no turns of this mix")
        self.turns = Turns(self.left(), counts)
        self.over = not self.turns.alive or (node.stop == "repeat" and self.all_through())

    def found(self, members: Any) -> dict[int, list[Any]]:
        """Return round, end and position of the members that a position names and that are still here.

        Raises:
            StateError: a member has other steps than when the position was saved, or none has stayed.
        """
        found: dict[int, list[Any]] = {}
        for number, name in enumerate(self.node.input_names):
            if name not in members:
                continue
            check, round_, through, at = members[name]
            if check != self.checks[number]:
                raise StateError(
                    f"The state was saved from another pipeline: member {name!r} of {self.node.label()} had other "
                    "steps or other draws. Members may come and go, but those that stay must be as they were."
                )
            found[number] = [round_, through, at]
        if not found:
            raise StateError(
                f"The state's mix had members {', '.join(map(repr, members))}, and none of them is in "
                f"{self.node.label()}, which has {', '.join(map(repr, self.node.input_names))}."
            )
        return found

    def left(self) -> list[int]:
        """Return the shares of those that have turns: with "all", of those that are not through."""
        out = self.node.stop == "all"
        return [0 if out and self.through[k] else share for k, share in enumerate(self.node.shares)]

    def all_through(self) -> bool:
        """Tell whether every member that has turns has come to an end."""
        return all(through for through, share in zip(self.through, self.node.shares, strict=True) if share)

    def __next__(self) -> Any:
        while not self.over:
            number = self.turns.next() if self.draws is None else self.drawn(self.draws)
            try:
                value = next(self.below[number])
            except StopIteration:
                self.ended(number)
                continue
            self.fruitful[number] = True
            self.turns.counts[number] += self.draws is None
            self.count += 1
            self.given = None
            return value
        raise StopIteration

    def drawn(self, draws: Draws) -> int:
        """Return the member that is drawn for the next item."""
        mark = draws.one(self.count) * self.turns.total >> 64
        for k in self.turns.alive:
            mark -= self.turns.shares[k]
            if mark < 0:
                return k
        raise AssertionError

    def ended(self, number: int) -> None:
        """Do what is to be done when a member has come to its end."""
        node = self.node
        self.through[number] = True
        self.over = node.stop == "first" or (node.stop != "never" and self.all_through())
        if self.over:
            return
        self.below[number].close()
        if node.stop == "all":
            self.turns = Turns(self.left(), [0] * len(node.inputs))
            return
        if not self.fruitful[number]:
            name = node.input_names[number]
            raise ArgumentError(f"mix(): a whole round of member {name!r} gave no item. Leave it out, or look into it.")
        self.fruitful[number] = False
        self.rounds[number] += 1
        self.below[number] = node.within(self.read, self.rounds[number]).start(node.inputs[number], None)

    def position(self) -> Position:
        """Return the counts, and each member's position by name."""
        if self.given is not None or not self.count:
            return self.given
        members = {
            name: [self.checks[k], self.rounds[k], int(self.through[k]), self.below[k].position()]
            for k, name in enumerate(self.node.input_names)
        }
        return {"count": self.count, "check": self.check, "turns": list(self.turns.counts), "members": members}
