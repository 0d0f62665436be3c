"""unique: items whose key has not been seen before.

What has been seen is a state that grows with the data, so it is not saved: resuming reads again what it came from.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentTypeError, StateError
from penstock.graph.checking import function, name_of, short, whole
from penstock.graph.cursors import Counting
from penstock.graph.node import Cursor, Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

PLAIN = frozenset({int, str, bytes, bool, type(None)})  # most keys are, and what follows asks much


@operation
class Unique(Node):
    """The items whose key, or which themselves, are not among those seen; with ``window``, among the last so many."""

    uneven = True

    input: Node
    key: Callable[[Any], Any] | None = None
    window: int | None = None

    def check(self) -> None:
        """Refuse what is no function and no count."""
        if self.key is not None:
            function(self.key, "unique()", "key", "dataset.unique(lambda item: item['name'])")
        if self.window is not None:
            remedy = "Leave it out to remember all keys."
            self.normalise(window=whole(self.window, "unique()", "window", least=1, remedy=remedy))

    @property
    def positional(self) -> bool:
        """Never: which item stands at a position depends on all before it."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read, and drop what has been seen."""
        return Unseen(self, read, position)

    def label(self) -> str:
        """Return the key's name and the window."""
        said = [] if self.key is None else [name_of(self.key)]
        said += [] if self.window is None else [f"window={self.window}"]
        return f"unique({', '.join(said)})"


class Unseen(Counting):
    """Drops what it has seen.

    Its position is ``[items delivered, the input's position from which to read again, how many items to read again]``.
    With a window that begins where the key stood last that was seen least recently, so what is read again holds exactly
    the keys that are remembered, in the same order of recency; without, it begins at the front.
    """

    count: int
    origin: Any
    again: int

    def __init__(self, node: Unique, read: Reading, position: Position) -> None:
        count, self.origin, self.again = position or (0, None, 0)
        super().__init__(read.start(node.input, self.origin), count)
        self.saved = [count, self.origin, self.again]
        self.node = node
        self.read = read
        self.seen: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()  # where each key stood last, oldest first
        self.known: set[Hashable] = set()  # without a window, that is not needed
        self.taken = 0
        self.hand: list[Any] = []  # an item that was taken and not judged yet: the key may fail

    def __next__(self) -> Any:
        while self.taken < self.again:
            self.judge()
        while True:
            value = self.judge()
            if value is not self:
                self.count += 1
                return value

    def judge(self) -> Any:
        """Take an item; return it, or this cursor where its key has been seen."""
        at = self.below.position() if self.node.window is not None and not self.hand else None
        if not self.hand:
            self.hand.append((self.take(), at))
        value, at = self.hand[0]
        key = self.key_of(value)
        self.hand.pop()
        self.taken += 1
        if self.node.window is None:
            new = key not in self.known
            self.known.add(key)
            return value if new else self
        new = key not in self.seen
        self.seen[key] = at, self.taken
        self.seen.move_to_end(key)
        if len(self.seen) > self.node.window:
            self.seen.popitem(last=False)
        return value if new else self

    def take(self) -> Any:
        """Take an item from below."""
        try:
            return next(self.below)
        except StopIteration:
            if self.taken < self.again:
                raise StateError(
                    f"{self.node.label()}: the input ended after {self.taken} of {self.again} items that were read "
                    "before: it is not what the state was saved from."
                ) from None
            raise

    def key_of(self, value: Any) -> Hashable:
        """Return what stands for an item among what has been seen."""
        node, place = self.node, Place(self.taken)
        try:
            return marked(value if node.key is None else node.key(value), node.label())
        except StopIteration as error:
            raise self.read.quiet(node, place) from error
        except BaseException as error:
            base = node.input if node.input.positional else None
            self.read.blame(error, node, place, base)
            raise

    def position(self) -> Position:
        """Return the count, and from where to read how much again."""
        if self.taken < self.again or not self.taken:
            return list(self.saved)
        if self.node.window is None:
            return [self.count, None, self.taken]
        at, number = next(iter(self.seen.values()))
        return [self.count, at, self.taken - number + 1]

    def exhausted(self) -> bool:
        """Tell whether the input's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the input's work begin."""
        self.below.prime()


def marked(key: Any, where: str) -> Hashable:
    """Return something small that can be hashed, and is equal for equal keys in whatever process they were made.

    Raises:
        ArgumentTypeError: the key is of a kind that is equal only to itself, or cannot be hashed.
    """
    if type(key) in PLAIN:
        return key  # type: ignore[no-any-return]
    if isinstance(key, (float, np.floating)) and key != key:  # noqa: PLR0124
        return ("not a number",)  # would be equal to itself as an object, but not to its copy from a worker
    if hasattr(key, "__array__") and not isinstance(key, (np.ndarray, np.generic)):
        key = np.asarray(key)  # a tensor
    if isinstance(key, np.ndarray) and not key.dtype.hasobject:
        return "array", key.dtype.str, key.shape, hashlib.blake2b(key.tobytes(), digest_size=16).digest()
    if isinstance(key, np.ndarray):
        return "array", key.shape, marked(key.ravel().tolist(), where)
    if isinstance(key, (list, tuple)):
        return type(key).__name__, *(marked(part, where) for part in key)
    if isinstance(key, Mapping):
        return "mapping", frozenset((marked(k, where), marked(v, where)) for k, v in key.items())
    if isinstance(key, AbstractSet):
        return "set", frozenset(marked(part, where) for part in key)
    own = getattr(type(key), "__hash__", None)
    if own is None or (own is object.__hash__ and key is not None and not isinstance(key, type)):
        why = "cannot be hashed" if own is None else "is equal only to itself"
        raise ArgumentTypeError(
            f"{where}: {short(key)} {why}, so nobody can tell whether it has been seen. "
            "Give key=, a function that returns a number, a text, an array or a tuple of such."
        )
    return key  # type: ignore[no-any-return]
