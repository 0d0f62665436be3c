"""Node: one step of a description, and Cursor: such a step being read from the front.

A description is a tree of frozen nodes, sources at the leaves. A node says what its items *are*; it never calls
another node, it asks the ``read`` that it is handed. There are three kinds, and a node may be of two of them:

    positional     has item(index, read): any position can be computed by itself, anywhere, in any order
    elementwise    has spread(value, place, read): what one element of the input becomes: one item, none, or many
    sequential     has start(read, position): items come from the front only; its state is a small position

Where all inputs are positional, a positional node is a Sequence; everything else is a Stream. Positional and
elementwise work goes to the workers; sequential work runs once, in the caller.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

import numpy as np

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from penstock.graph.reading import Reading

    Indices = range | np.ndarray[Any, np.dtype[np.int64]]
    Position = Any  # plain JSON: None for the front, else numbers, lists and dicts of numbers

PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep

N = TypeVar("N")


class Place(NamedTuple):
    """Where an item stands, as two whole numbers: what the random draws of an operation are keyed by.

    ``position`` is the index within a sequence, or the count within a stream; ``part`` tells apart the items that
    one element was spread into.
    """

    position: int
    part: int = 0


class Site(NamedTuple):
    """The user's own line at which an operation was written down."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def calling_site() -> Site | None:
    """Return the innermost line on the stack that is not Penstock's own, if there is one."""
    frame = sys._getframe(1)  # noqa: SLF001  the documented cheap way; inspect.stack reads source files
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) and not name.startswith("<frozen") and name != "<string>":
            return Site(name, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def operation(cls: type[N]) -> type[N]:
    """Make a frozen dataclass of an operation. Equality, hash and repr are the ones of Node."""
    return dataclass(frozen=True, eq=False, repr=False)(cls)


def same(a: object, b: object) -> bool:
    """Tell whether two field values are equal, arrays by type, shape and content."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and (np.array_equal(a, b) if a.dtype.hasobject else a.tobytes() == b.tobytes())
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    try:
        return bool(a == b)
    except (ValueError, TypeError):
        return False  # an object whose == is no yes or no is only equal to itself


@operation
class Node(ABC):
    """One step of a description; immutable."""

    site: Site | None = field(default=None, kw_only=True)

    elementwise: ClassVar[bool] = False
    independent: ClassVar[bool] = False
    """Whether the inputs may come and go: draws within one do not depend on the others, and the positions of this step
    say which input is meant, by what ``input_names`` calls it, so states do not list the inputs' steps."""
    rereads: ClassVar[bool] = True
    """Whether resuming may read items of the input again; False where a position lies between two items of it."""
    alike: ClassVar[int | None] = None
    """How many entries of a position are always made alike; None for all. What stands behind is another step's."""
    aside: ClassVar[tuple[str, ...]] = ()
    """Fields that items do not depend on: where something is kept, say."""
    uneven = False
    """Whether the items themselves decide how many this step leaves: ranks, which see different rows, may differ."""
    pure = False
    """Whether this step runs nothing of the user's, so that nobody can tell when, or how many at once, it computes."""
    silent = False
    """Whether this step only looks on: items, draws and saved states are the same without it."""
    heeds: ClassVar[bool] = False
    """Whether this source must know what of it was delivered (``progress``)."""
    timeless: ClassVar[bool] = False
    """Whether this is a source in memory: the same in every epoch, and no item of it can fail."""

    def __post_init__(self) -> None:
        """Remember the user's line, then check the fields."""
        if self.site is None:
            object.__setattr__(self, "site", calling_site())
        self.check()

    def check(self) -> None:
        """Refuse fields that cannot work, with the value, the operation and the remedy. May normalise them."""

    def normalise(self, **values: object) -> None:
        """Replace fields during ``check``, the only moment at which that is allowed."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def settings(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields that are not inputs: what this operation was told."""
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.name != "site" and not isinstance(value, Node) and f.name != "inputs":
                yield f.name, value

    @property
    def sources(self) -> tuple[Node, ...]:
        """The nodes that this one reads, in order."""
        found: list[Node] = []
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Node):
                found.append(value)
            elif f.name == "inputs":
                found.extend(value)
        return tuple(found)

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the inputs are called."""
        return tuple(map(str, range(len(self.sources))))

    @property
    def positional(self) -> bool:
        """Whether any item can be computed by its position alone."""
        return all(source.positional for source in self.sources)

    def length(self) -> int | None:
        """Return how many items there are; None for "endless" where positional, else for "not known"."""
        return None

    def item(self, index: int, read: Reading) -> Any:
        """Compute the item at a position, ``0 <= index < length``."""
        raise NotImplementedError(f"{type(self).__name__} is read from the front")

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute many items at once, in the order of ``indices``: a list, or Rows."""
        item = read.item
        return [item(self, index) for index in (indices if isinstance(indices, range) else indices.tolist())]

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return what one element of the input becomes: a collection of items."""
        raise NotImplementedError(f"{type(self).__name__} does not work element by element")

    def start(self, read: Reading, position: Position) -> Cursor:
        """Begin to read from the front, or from a position that a cursor of this node once gave."""
        return read.begin(self, position)

    def shipped(self) -> Node:
        """Return what travels to worker processes in place of this node: the same items, in a form that they share."""
        return self

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write an item through to where it comes from, as ``dataset[index] = value`` asks."""
        raise refusal(self)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item at a position (a file's name, an index), for error messages."""
        source = self.sources[:1]
        return read.origin(source[0], index) if source and source[0].positional else index

    def stretches(self) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Return where stretches of positions begin that a store can only read together, and the length; or None."""
        source = self.sources[:1]
        if self.elementwise and len(self.sources) == 1 and self.positional and self.length() == source[0].length():
            return source[0].stretches()
        return None

    @abstractmethod
    def label(self) -> str:
        """Return this step as its user wrote it, without what stands before it: ``map(decode, rng=True)``."""

    def fingerprint(self) -> str:
        """Return the label plus what a label leaves out and a saved state depends on."""
        return self.label()

    def __eq__(self, other: object) -> bool:
        """Tell whether two descriptions say the same thing, whoever wrote them down and where."""
        if not isinstance(other, Node):
            return NotImplemented
        ours, theirs = ordered(self), ordered(other)
        return len(ours) == len(theirs) and all(
            type(a) is type(b)
            and [ours.index_of(s) for s in a.sources] == [theirs.index_of(s) for s in b.sources]
            and same(dict(a.settings()), dict(b.settings()))
            for a, b in zip(ours, theirs, strict=True)
        )

    def __hash__(self) -> int:
        """Hash the labels: equal descriptions have equal labels."""
        return hash(tuple(node.label() for node in ordered(self)))

    def __repr__(self) -> str:
        return f"<{self.label()}>"


def refusal(node: Node) -> ArgumentTypeError:
    """Return the error for a step that items cannot be written through."""
    return ArgumentTypeError(
        f"{node.label()} cannot be written through: what it gives is not where its source keeps it. "
        "Assign to the dataset that stands before it."
    )


def check_writable(nodes: Iterable[Node]) -> None:
    """Refuse steps that cannot be written through, before anything is: all that an item consists of, or nothing.

    Raises:
        ArgumentTypeError: names the step.
    """
    for root in nodes:
        for node in ordered(root):
            if type(node).assign is Node.assign:
                raise refusal(node)


@operation
class Unchanged(Node):
    """A step that leaves every item as it is, and says something about how, or under what, they are read."""

    input: Node

    pure = True
    rereads = False

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Return the input's item."""
        return read.item(self.input, index)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return the input's items."""
        return read.gather(self.input, indices)

    def stretches(self) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Return those of the input."""
        return self.input.stretches()

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the input's item."""
        read.assign(self.input, index, value)


class Numbering(list["Node"]):
    """The nodes below and including a root, each once, sources first; a node's number keys its random draws.

    Counting from the sources means that what is added behind an operation never changes that operation's draws.
    A node that two branches share has one number, so both see the same items; two nodes that merely look alike have
    different numbers, so ``zip(x.map(f, rng=True), x.map(f, rng=True))`` makes two different views of one item.
    """

    def __init__(self, root: Node, inside: Callable[[Node], bool] = lambda _: True) -> None:
        super().__init__()
        self.numbers: dict[int, int] = {}
        stack: list[tuple[Node, bool]] = [(root, False)]  # no recursion: a chain may be thousands of steps long
        while stack:
            node, seen = stack.pop()
            if id(node) in self.numbers:
                continue
            if seen:
                self.numbers[id(node)] = len(self)
                self.append(node)
            else:
                stack.append((node, True))
                if inside(node):
                    stack.extend((source, False) for source in reversed(node.sources))

    def index_of(self, node: Node) -> int:
        """Return the number of a node of this description."""
        return self.numbers[id(node)]


def ordered(root: Node, inside: Callable[[Node], bool] = lambda _: True) -> Numbering:
    """Return the nodes of a description, each once, sources first; only those sources that ``inside`` looks into."""
    return Numbering(root, inside)


def draw_words(root: Node, nodes: Numbering) -> list[int]:
    """Return what stands for each node in the keys of random draws: its number, mostly.

    Within an input that is independent of its neighbours it is a hash of that input's name and of the number within it.
    """
    found: dict[int, int] = {}
    waiting: list[tuple[Node, Callable[[int], int]]] = [(root, lambda number: number)]
    for top, word_of in waiting:  # grows while it is gone through
        heard = [node for node in ordered(top, lambda node: not node.independent) if not node.silent]
        for number, node in enumerate(heard):
            if id(node) in found:
                continue  # of two inputs that share a step, the first names it
            word = found[id(node)] = word_of(number)
            if node.independent:
                for name, source in zip(node.input_names, node.sources, strict=True):
                    waiting.append((source, partial(hashed, word, name)))
    return [found.get(id(node), 0) for node in nodes]


def hashed(word: int, name: str, number: int) -> int:
    """Return a 64-bit hash, of which the highest bit is set: no number of a description is as large."""
    return int.from_bytes(digest(f"{word} {number} {name}", 8), "little") | 1 << 63


class Cursor(ABC):
    """A node being read from the front: an iterator that knows where it is."""

    place: Place  # of the item that came last
    bundles: bool = False
    """Whether ``ready`` may have something to give."""

    def __iter__(self) -> Iterator[Any]:
        return self

    @abstractmethod
    def __next__(self) -> Any:
        """Return the next item, or raise StopIteration."""

    @abstractmethod
    def position(self) -> Position:
        """Return where the next item will come from, as plain JSON."""

    def ready(self) -> Iterator[Any]:
        """Return the items that are at hand, if that is known; taking them moves the position as ``next`` does."""
        return iter(())

    def flowed(self) -> int:
        """Return how many items were taken through ``ready`` since this was asked last."""
        return 0

    def exhausted(self) -> bool:
        """Tell whether all work of this epoch has been handed out, so that workers will soon be idle."""
        return False

    def onward(self) -> Position:
        """Return where the next epoch begins, if this one is over and that is not simply the front."""
        return None

    def starved(self) -> bool:
        """Tell whether the next item must be waited for outside, by whoever fills a queue: nobody should look ahead."""
        return False

    def interrupt(self) -> None:
        """Let a ``next`` that waits outside, in another thread, come to an end; nothing more will be asked."""

    def prime(self) -> None:
        """Let work begin that the first items will need, without waiting for it."""

    def close(self) -> None:
        """Give up whatever is under way. Closing twice is allowed."""
