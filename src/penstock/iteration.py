"""An epoch of a loader, being read: what stands between its cursor and the loop.

cursor ──items and bundles──> Epoch ──in turns──> Items ──> your loop
                              └── position: the loader's, when the epoch is let go of
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from itertools import chain, repeat, starmap
from operator import length_hint
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from penstock.errors import (
    ArgumentError,
    ClosedError,
    ItemTimeout,
    LedgerError,
    StateError,
    WorkerDied,
    WorkerError,
)
from penstock.graph.checking import short
from penstock.graph.node import Cursor
from penstock.graph.progress import tell

if TYPE_CHECKING:
    from penstock.graph.progress import Progress
    from penstock.loader import Loader

T = TypeVar("T")
AGAIN: dict[type, str] = {  # where it is a worker that failed, and the item is to blame
    WorkerDied: "to see it in line, which will end that process, too",
    ItemTimeout: "to see it in line, for as long as it takes",
}


class Items(chain[T]):
    """An iteration: the items of an epoch.

    Trivial items come many at a time, and a line of Python for each would cost more than all that brings them here. So
    this is an ``itertools.chain`` over rounds of two iterators: the bundle at hand, as a list's own iterator, and one
    that calls ``Epoch.step``. All that decides between them is C: an interruption or another thread, which come between
    lines of Python, find nothing half done. What they may spoil is whose turn it is, and no item depends on that.
    """

    @classmethod
    def of(cls, epoch: Epoch[T]) -> Items[T]:
        """Return an epoch's items. The epoch lives as long as these do, and does not know them."""
        steps = starmap(epoch.step, repeat(()))
        rounds = zip(iter(epoch.hand.copy, []), repeat((steps,)), strict=False)  # ([bundle], (steps,)) until it is over
        items = cast("Items[T]", cls.from_iterable(chain.from_iterable(chain.from_iterable(rounds))))
        items.epoch = epoch
        return items

    epoch: Epoch[T]

    @property
    def position(self) -> Any:
        """Where the next item will come from."""
        return self.epoch.position

    def close(self) -> None:
        """End this iteration; the loader keeps its position."""
        self.epoch.close()


class Epoch(Generic[T]):
    """One epoch of a loader, being read.

    An exception does not end it: the next ``step`` tries again from where it stood, with nothing lost in between.
    """

    def __init__(self, loader: Loader[T]) -> None:
        self.hand: list[Iterator[T]] = [iter(())]  # the bundle at hand; nothing at all, once the epoch is over
        self._loader = loader
        self._engine = loader._engine  # noqa: SLF001  one class in two parts
        self._watch = loader._watch  # noqa: SLF001
        self._cursor: Cursor | None = None
        self._over = False
        self._finished = False
        self._asked = False  # whether anybody has asked for an item: until then, nothing has moved
        self._lock = threading.RLock()  # threads may share an iteration: each item goes to one of them
        self._bundles = False  # whether the cursor gives any
        self._progress: Progress | None = None  # where a source must know of it
        self._watch.begin(loader.epoch, self._engine.tally)
        for before in [epoch for epoch in self._engine.omissions if epoch < loader.epoch]:
            del self._engine.omissions[before]

    def step(self) -> T:
        """Return the next item, where there is no bundle at hand; a bundle behind it gets its turn."""
        with self._lock:
            began = perf_counter()
            self._asked = True
            cursor = self._cursor
            if cursor is None:
                cursor = self._open()
            elif self._bundles:
                if length_hint(self.hand[0]):
                    raise StopIteration  # its turn
                self._look_ahead(cursor)  # before an item is taken: an interruption here loses none
            if self._progress is not None:
                self._progress.asked(cursor.position())
            try:
                value: T = next(cursor)
            except StopIteration:
                self._finish()
                raise
            except BaseException as error:
                self._fail(error)
                raise
            self._watch.taken(began, perf_counter())
            if self._progress is not None:
                self._progress.given()
            if self._bundles:
                self.hand[0] = cursor.ready()
            return value

    def begin(self) -> None:
        """Let work begin; take nothing."""
        with self._lock:
            cursor = self._open() if self._cursor is None else self._cursor
            cursor.prime()

    def _look_ahead(self, cursor: Cursor) -> None:
        """Count what flowed, and let workers that this epoch has no more work for begin with the next."""
        self._watch.items += cursor.flowed()
        if cursor.exhausted():
            self._prime()

    def _count(self) -> None:
        """Let the watch know how many items were taken without looking at the clock."""
        if self._cursor is not None and self._bundles:
            self._watch.items += self._cursor.flowed()

    def _open(self) -> Cursor:
        loader = self._loader
        if self._finished:
            self.hand.clear()
            raise StopIteration
        if self._over:
            raise ClosedError("this iteration was given up: the loader was closed, or another iteration began")
        primed, loader._primed = loader._primed, None  # noqa: SLF001
        if primed is not None and primed[0] == loader.epoch and loader._position is None:  # noqa: SLF001
            self._cursor, self._progress = primed[1:]
        else:
            if primed is not None:
                primed[1].close()
            read = self._engine.reading(loader.epoch)
            self._progress = read.progress
            position = loader._position  # noqa: SLF001
            try:
                self._cursor = read.start(self._engine.work.root, position)
            except StopIteration as error:  # somebody's, and no end
                raise read.quiet(self._engine.work.root, 0) from error
            except (TypeError, ValueError, IndexError) as error:
                if position is None or isinstance(error, StateError):
                    raise
                raise StateError(f"The state's position does not fit this pipeline: {short(position)}.") from error
        self._bundles = self._cursor.bundles or self._engine.executor.count > 0
        return self._cursor

    def _prime(self) -> None:
        """Let workers that this epoch has no more work for begin with the next one."""
        loader = self._loader
        try:
            if loader._primed is None:  # noqa: SLF001
                read = self._engine.reading(loader.epoch + 1)
                cursor = read.start(self._engine.work.root, None)
                loader._primed = loader.epoch + 1, cursor, read.progress  # noqa: SLF001
            loader._primed[1].prime()  # noqa: SLF001
        except Exception:  # noqa: BLE001  it belongs to the next epoch, and will come again there
            loader._drop_primed()  # noqa: SLF001

    def _finish(self) -> None:
        """Check the account, then stand at the front of the next epoch."""
        loader, cursor = self._loader, self._cursor
        assert cursor is not None
        planned, reached = loader._node.length(), cursor.position()  # noqa: SLF001
        onward = cursor.onward()
        self._over = self._finished = True
        self.hand.clear()
        self._let_go(finished=True)
        if loader._node.positional and reached != planned:  # noqa: SLF001
            raise LedgerError(f"the epoch ended at item {reached} of {planned}: a fault of Penstock. Please report it.")
        loader._epoch += 1  # noqa: SLF001
        loader._position, loader._front = None, onward  # noqa: SLF001

    def _fail(self, error: BaseException) -> None:
        """Give up what is under way, and say how the error can be seen again."""
        loader = self._loader
        self._let_go()
        blamed = getattr(error, "_penstock_blamed", None) is not None  # a user's SystemExit is, a Ctrl-C is not
        if (blamed or isinstance(error, Exception)) and not isinstance(error, (ArgumentError, ClosedError)):
            words = AGAIN.get(type(error), "" if isinstance(error, WorkerError) else "to see it again, in line")
            if not words:
                return
            at = loader._position  # noqa: SLF001
            how = f"dataset.epoch({loader.epoch})[{at or 0}]"
            if not loader._node.positional:  # noqa: SLF001
                how = f"next(dataset.resume({{'epoch': {loader.epoch}, 'position': {at!r}}}))"
            error.add_note(f"penstock: {words}: {how}")

    def _let_go(self, *, finished: bool = False) -> None:
        """Close the cursor; unless it came to its end, give up also what was begun for the next epoch."""
        self._count()
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            if self._asked:
                position = self._loader._position = cursor.position()  # noqa: SLF001
                if self._progress is not None:
                    tell(position)
            if not finished:
                primed, self._loader._primed = self._loader._primed, None  # noqa: SLF001
                if self._engine.desk is not None:
                    self._engine.desk.cancel()
                if primed is not None:
                    primed[1].close()
            cursor.close()

    @property
    def position(self) -> Any:
        """Where the next item will come from."""
        cursor = self._cursor if self._asked else None
        return self._loader._position if cursor is None else cursor.position()  # noqa: SLF001

    def close(self) -> None:
        """End this iteration; the loader keeps its position."""
        if not self._over:
            self._over = True
            self._let_go()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()
