"""A source that is read from the front: any iterable that can be read again, or a generator function."""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError, StateError
from penstock.graph.checking import name_of, short
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.graph.stateful import restore, state_of, stateful

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


@operation
class Stream(Node):
    """The items of an iterable, anew in every epoch. It is read in the caller; what is behind it runs in workers.

    Where the iterator, or else the iterable, has ``state_dict`` and ``load_state_dict``, it resumes by them. An
    iterable that has them moves as it is read, so each reading is one of a copy: a description stays as it is.
    """

    iterable: Any

    def check(self) -> None:
        """Refuse what cannot be read twice."""
        x = self.iterable
        if of_ray_data(x):
            return
        if isinstance(x, Iterator) and not stateful(x):
            raise ArgumentTypeError(
                f"stream(): {short(x)} is an iterator: it can be read once, so no second epoch and no resume would be "
                "possible. Give the function that makes it, or the iterable that it comes from; or say once=True."
            )
        if not isinstance(x, Iterable) and callable(x):
            self.check_call(x)
        elif not isinstance(x, Iterable):
            raise ArgumentTypeError(
                f"stream(): {short(x)} is neither iterable nor a function that returns an iterator."
            )

    @staticmethod
    def check_call(function: Any) -> None:
        """Refuse a function that cannot be called without arguments."""
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            name = name_of(function)
            raise ArgumentTypeError(
                f"stream(): {name}() must work without arguments: {error}. Fill them with functools.partial."
            ) from None
        except ValueError:
            return  # a built-in without a signature

    @property
    def positional(self) -> bool:
        """Never: there is no way but from the front."""
        return False

    def shipped(self) -> Node:
        """Stay at home: a stream is read in the caller, so what it holds need not be able to travel."""
        return replace(self, iterable=())

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read again from the front; resuming reads and drops what came before."""
        return Replay(self, read, position or 0)

    def open(self, epoch: int) -> Iterable[Any]:
        """Return what is to be iterated in an epoch."""
        x = self.iterable
        if of_ray_data(x):
            return ray_rows(x)
        if not isinstance(x, Iterable):
            x = self.called()
        elif stateful(x):
            x = self.copied(copy.deepcopy)
        elif callable(getattr(x, "set_epoch", None)):
            x = self.copied(copy.copy)  # or of two epochs that are read at once, one would change the other
        set_epoch = getattr(x, "set_epoch", None)  # as PyTorch's and Hugging Face's have it
        if callable(set_epoch):
            set_epoch(epoch)
        return x

    def called(self) -> Iterable[Any]:
        """Return what the function makes."""
        x = self.iterable
        made = x()
        if self.is_known(made):
            raise ArgumentTypeError(
                f"stream(): {name_of(x)}() returned the same iterator again, which has been read. It must make one."
            )
        if not isinstance(made, Iterable):
            raise ArgumentTypeError(f"stream(): {name_of(x)}() returned {short(made)}, which cannot be iterated.")
        return made

    def copied(self, how: Callable[[Any], Any]) -> Iterable[Any]:
        """Return a copy of an iterable that is changed as it is read, or before."""
        x = self.iterable
        try:
            own: Iterable[Any] = how(x)
        except Exception as error:
            raise ArgumentTypeError(
                f"stream(): {short(x)} has a state of its own, so every epoch reads a copy, and it cannot be copied: "
                f"{error}. Give the function that makes it."
            ) from error
        return own

    def is_known(self, made: Any) -> bool:
        """Tell whether a function returned the iterator that it returned the last time; remember it."""
        last = self.__dict__.get("_made")
        known = isinstance(made, Iterator) and (last() if isinstance(last, weakref.ref) else last) is made
        try:
            self.__dict__["_made"] = weakref.ref(made)
        except TypeError:  # a list's iterator, say, which holds nothing that should go
            self.__dict__["_made"] = made
        return known

    def __getstate__(self) -> dict[str, Any]:
        """Leave the iterator that was made last behind."""
        return {name: value for name, value in self.__dict__.items() if name != "_made"}

    def label(self) -> str:
        """Return the function's name, or the kind of iterable."""
        x = self.iterable
        return f"stream({name_of(x) if callable(x) and not isinstance(x, Iterable) else type(x).__name__})"


def of_ray_data(x: Any) -> bool:
    """Tell whether something is a dataset of Ray Data."""
    return callable(getattr(x, "iter_rows", None)) and hasattr(x, "context")


def ray_rows(dataset: Any) -> Iterable[Any]:
    """Return the rows of a dataset of Ray Data: it cannot be iterated itself, and keeps no order unless it is told."""
    dataset.context.execution_options.preserve_order = True
    rows: Iterable[Any] = dataset.iter_rows()
    return rows


class Replay(Cursor):
    """Reads an iterator and counts.

    A position is that count, and resuming drops as many items; where the iterator or the iterable resumes by itself, it
    is ``[count, {"state": what it says}]``.
    """

    count: int

    def __init__(self, node: Stream, read: Reading, position: Position) -> None:
        whole = type(position) is int
        if not whole and not (isinstance(position, list) and len(position) == 2 and type(position[0]) is int):
            raise TypeError(f"a position of {node.label()} is a count, not {short(position)}")
        self.node = node
        self.read = read
        self.at = position
        self.count = position if whole else position[0]
        self.iterator: Iterator[Any] | None = None
        self.holder: Any = None  # what has the state, if anything has
        self.over = False

    def __next__(self) -> Any:
        if self.over:  # an iterable that is its own iterator often begins anew when it is asked again
            raise StopIteration
        try:
            if self.iterator is None:
                self.open()
            value = next(self.iterator)  # type: ignore[arg-type]
            self.count += 1
            self.at = self.count if self.holder is None else [self.count, state_of(self.holder, self.node.label())]
        except StopIteration:
            self.over = True
            raise
        except Exception as error:
            self.read.blame(error, self.node, Place(self.count))
            self.iterator = None  # a generator that has failed would end quietly when it is asked again
            raise
        return value

    def open(self) -> None:
        """Begin anew, and come to where it was left."""
        target, *state = [self.at] if isinstance(self.at, int) else self.at
        self.count = 0
        try:
            source = self.node.open(self.read.epoch)
            iterator = iter(source)
            self.holder = iterator if stateful(iterator) else source if stateful(source) else None
            if state:
                iterator = self.moved(source, iterator, state[0])
                self.count = target
        except StopIteration as error:
            raise self.read.quiet(self.node, Place(0)) from error
        self.iterator = iterator
        self.replay(target)

    def moved(self, source: Iterable[Any], iterator: Iterator[Any], state: Any) -> Iterator[Any]:
        """Return the iterator where it was left."""
        label = self.node.label()
        if self.holder is None:
            raise StateError(f"{label} has no load_state_dict(), but the saved position is of one that has.")
        restore(self.holder, state, label)
        return iterator if self.holder is iterator else iter(source)

    def replay(self, target: int) -> None:
        """Drop what was read before."""
        while self.count < target:
            try:
                next(self.iterator)  # type: ignore[arg-type]
            except StopIteration:
                raise StateError(
                    f"{self.node.label()} ended after {self.count} items, before the saved position {target}: "
                    "it is not the stream that the state was saved from, or it became shorter."
                ) from None
            self.count += 1

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return how many items have been read, and the state where there is one."""
        return self.at

    def close(self) -> None:
        """Close a generator, so that its ``finally`` runs."""
        close = getattr(self.iterator, "close", None)
        self.iterator = iter(())
        try:
            if close is not None:
                close()
        except ValueError as error:
            if "already executing" not in str(error):
                raise
            # Another thread is in it. With that thread's last reference it is closed there.
