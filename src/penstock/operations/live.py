"""Live sources, which give every item once: an iterator that cannot be made again, and a queue.

They can be read from the front only, once, and where they stand is known to this process alone. A position is the
number of items taken; it can be gone back to as long as it is where the source stands, or one item before.
"""

from __future__ import annotations

import inspect
import queue
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError, StateError
from penstock.graph.checking import name_of, short
from penstock.graph.node import Cursor, Node, Place, operation, same

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

POLL = 0.05  # seconds after which somebody who waits for a queue looks whether anybody still wants it
SHUT = getattr(queue, "ShutDown", queue.Empty)  # from Python 3.13 on, a queue can be shut


class Tap:
    """Where a live source stands, and who reads it."""

    def __init__(self) -> None:
        self.taken = 0
        self.reader: object = None
        self.iterator: Iterator[Any] | None = None
        self.failed = False
        self.last: Any = None  # the item that was taken last, for whoever failed at it and asks again

    def __reduce__(self) -> tuple[Any, ...]:
        """Stay here: a copy of the description stands nowhere."""
        return Tap, ()

    def __eq__(self, other: object) -> bool:
        """Say nothing of whether two descriptions are the same."""
        return isinstance(other, Tap)

    def __hash__(self) -> int:
        return hash(Tap)


@operation
class Live(Node):
    """A source that gives every item once."""

    tap: Tap = field(default_factory=Tap, kw_only=True)

    @property
    def positional(self) -> bool:
        """Never: there is no way but forward."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read on; nothing is taken before it is asked for."""
        return Taking(self, read, position or 0)

    @abstractmethod
    def begin(self) -> None:
        """Begin an epoch, or refuse to."""

    @abstractmethod
    def take(self, cursor: Taking) -> Any:
        """Return the next item, or raise StopIteration; give up when the cursor has been closed."""

    def starved(self) -> bool:
        """Tell whether the next item is not there yet."""
        return False


@operation
class Once(Live):
    """The items of an iterator, or of what a function returns, once."""

    source: Any

    def check(self) -> None:
        """Refuse what cannot be iterated."""
        if not isinstance(self.source, Iterable) and not callable(self.source):
            raise ArgumentTypeError(
                f"stream(): {short(self.source)} is neither iterable nor a function that returns an iterator."
            )

    def shipped(self) -> Node:
        """Stay at home: it is read in the caller."""
        return replace(self, source=())

    def begin(self) -> None:
        """Refuse to begin where items have been taken."""
        if self.tap.taken:
            raise ArgumentError(
                f"{self.label()} has been read ({self.tap.taken} items): it was given with once=True, so there is no "
                "second epoch. Give the function that makes it, without once, or begin anew with a fresh one."
            )

    def take(self, cursor: Taking) -> Any:
        """Return the next item of the iterator, which is made at the first."""
        tap = self.tap
        if tap.iterator is None:
            made = self.source if isinstance(self.source, Iterable) else self.source()
            if not isinstance(made, Iterable):
                raise ArgumentTypeError(
                    f"stream(): {name_of(self.source)}() returned {short(made)}, which cannot be iterated."
                )
            tap.iterator = iter(made)
        if tap.failed:
            raise ArgumentError(f"{self.label()} failed at item {tap.taken}, and a generator that failed ends there.")
        try:
            return next(tap.iterator)
        except StopIteration:
            raise
        except BaseException:
            tap.failed = inspect.isgenerator(tap.iterator)  # asked again, it would just end
            raise

    def label(self) -> str:
        """Return the function's name, or the kind of iterator."""
        x = self.source
        return f"stream({type(x).__name__ if isinstance(x, Iterable) else name_of(x)}, once=True)"


@operation
class Queue(Live):
    """What comes out of a queue, until ``end`` does; the next epoch is what comes after that."""

    queue: Any
    end: Any = None

    def check(self) -> None:
        """Refuse what has no ``get`` that can stop waiting."""
        get = getattr(self.queue, "get", None)
        if isinstance(self.queue, Mapping) or not callable(get) or not self.can_stop(get):
            raise ArgumentTypeError(
                f"queue(): {short(self.queue)} has no get(timeout=…). Give a queue.Queue, a multiprocessing.Queue "
                "or the queue of a multiprocessing.Manager."
            )

    @staticmethod
    def can_stop(get: Callable[..., Any]) -> bool:
        """Tell whether a ``get`` takes a time-out."""
        try:
            inspect.signature(get).bind(timeout=POLL)
        except TypeError:
            return False
        except ValueError:
            return True  # a built-in without a signature
        return not inspect.iscoroutinefunction(get)

    def shipped(self) -> Node:
        """Stay at home: it is read in the caller."""
        return replace(self, queue=Elsewhere(), end=None)

    def begin(self) -> None:
        """Count anew."""
        self.tap.taken = 0

    def take(self, cursor: Taking) -> Any:
        """Wait for an item, in short waits, as long as somebody wants it."""
        while not cursor.closed:
            try:
                item = self.queue.get(timeout=POLL)
            except queue.Empty:
                continue
            except SHUT:
                break
            if item is self.end or same(item, self.end):
                break
            return item
        raise StopIteration

    def starved(self) -> bool:
        """Tell whether the queue is empty, as far as it can say."""
        try:
            return bool(self.queue.empty())
        except (AttributeError, NotImplementedError):
            return False

    def label(self) -> str:
        """Return the kind of queue."""
        return f"queue({type(self.queue).__name__}{'' if self.end is None else f', end={short(self.end, 20)}'})"


class Elsewhere:
    """Stands for a queue where nobody reads it."""

    def get(self, timeout: float) -> Any:
        """Refuse."""
        raise ArgumentError("queue(): a queue is read where it was given, not in a worker.")


class Taking(Cursor):
    """Takes items from a live source. Its position is the number of items taken in this epoch."""

    def __init__(self, node: Live, read: Reading, position: int) -> None:
        if type(position) is not int:
            raise TypeError(f"a position of {node.label()} is a count, not {short(position)}")
        self.node = node
        self.read = read
        self.count = position
        self.opened = False
        self.closed = False
        self.over = False
        self.token = object()
        self.again: list[Any] = []

    def __next__(self) -> Any:
        tap = self.node.tap
        try:
            if self.closed or self.over:  # what comes behind an end is the next epoch's
                raise StopIteration
            if not self.opened:
                self.open()
            if tap.reader is not self.token:
                raise ArgumentError(
                    f"{self.node.label()} is read in two places, and gives every item once. Read it once, and use "
                    "map() to make several things of an item."
                )
            value = self.again.pop() if self.again else self.fresh()
        except StopIteration:
            self.over = True
            raise
        except Exception as error:
            self.read.blame(error, self.node, Place(self.count))
            raise
        self.count += 1
        return value

    def fresh(self) -> Any:
        """Take an item from the source."""
        tap = self.node.tap
        tap.last = self.node.take(self)
        tap.taken += 1
        return tap.last

    def open(self) -> None:
        """Begin an epoch, or go on where the source stands."""
        node, tap = self.node, self.node.tap
        if not self.count:
            node.begin()
        elif tap.taken == self.count + 1:
            self.again.append(tap.last)
        elif tap.taken != self.count:
            stands = f"{tap.taken} items have been taken here" if tap.taken else "nothing has been taken from it here"
            raise StateError(
                f"{node.label()} gives every item once, so it cannot go to item {self.count}: {stands}. What workers "
                "had read ahead when a loop was left is gone. For a source that resumes, give a function that makes it."
            )
        tap.reader = self.token
        self.opened = True

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return how many items have been taken."""
        return self.count

    def starved(self) -> bool:
        """Tell whether the next item is not there yet."""
        return self.node.starved()

    def interrupt(self) -> None:
        """Stop waiting."""
        self.closed = True

    def close(self) -> None:
        """Take nothing more. The source stays the user's, and open."""
        self.closed = True
