"""Loader: a dataset being read. The only thing in Penstock that has a state.

description ──> Work ──> session (workers) ──> desk ──> cursor ──> your loop
└── position: the state
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from penstock.engine import Engine, check_position, checked_shard, checked_timeout
from penstock.errors import (
    ArgumentError,
    ArgumentTypeError,
    ClosedError,
    ItemTimeout,
    LedgerError,
    LengthError,
    StateError,
    WorkerDied,
    WorkerError,
)
from penstock.executors.inline import Inline
from penstock.graph import position as states
from penstock.graph.checking import short
from penstock.graph.drawing import line
from penstock.graph.execution import Executor, Limits, Omissions, Work, Worker
from penstock.graph.node import Cursor, Node
from penstock.operations.cache import caches_of
from penstock.rewriting import sharded
from penstock.watching.report import Report, Watch

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

T = TypeVar("T")
AGAIN: dict[type, str] = {  # where it is a worker that failed, and the item is to blame
    WorkerDied: "to see it in line, which will end that process, too",
    ItemTimeout: "to see it in line, for as long as it takes",
}


STEPS = "Steps are the dataset's: say them before .loader()."
ELSEWHERE = {  # what other libraries call it
    "set_epoch": "It counts its epochs; to begin with another: load_state_dict(…).",
    "next": "Use batches = iter(loader), then next(batches).",
    "reset": "Iterate again: that begins the next epoch.",
    "shutdown": "Use .close(), or a with statement.",
    "state": "Use .state_dict().",
    "get_state": "Use .state_dict().",
    "set_state": "Use .load_state_dict(state).",
    "resume": "Use .load_state_dict(state).",
    "save": "Save .state_dict(), which is plain JSON.",
    "stats": "Use .report().",
    "statistics": "Use .report(), or dataset.statistics().",
    "num_workers": "Use .workers, of which there are as many.",
    "batch_size": "It is the dataset's .batch(size).",
    "drop_last": 'It is the dataset\'s .batch(size, last="drop").',
    "sampler": "The order is the dataset's.",
    **dict.fromkeys(("map", "batch", "shuffle", "filter", "repeat", "take", "skip", "prefetch", "on_error"), STEPS),
}


class Loader(Generic[T]):
    """A dataset being read: iterating it is one epoch, and the next iteration is the next epoch.

    Made by ``dataset.loader(…)``. Use it as a context manager, or call ``close``; a loader that is garbage ends its
    workers too.

    >>> import penstock as ps
    >>> with ps.range(6).shuffle().batch(2).loader(workers=ps.Threads(2)) as loader:
    ...     first = next(iter(loader))
    ...     saved = loader.state_dict()
    >>> with ps.range(6).shuffle().batch(2).loader() as loader:
    ...     loader.load_state_dict(saved)
    ...     rest = [batch.tolist() for batch in loader]
    >>> sorted(first.tolist() + sum(rest, []))
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(
        self,
        node: Node,
        *,
        workers: Executor | None = None,
        shard: tuple[int, int] | None = None,
        limits: Limits = Limits(),  # noqa: B008  a frozen value
        timeout: float | None = None,
    ) -> None:
        if not isinstance(node, Node):
            raise ArgumentTypeError(f"Loader() is not for {short(node)}. Use dataset.loader(…).")
        executor = Inline() if workers is None else workers
        if not isinstance(executor, Executor):
            raise ArgumentTypeError(
                "loader(): workers must say where work runs, for example Threads(4) or Processes(4), "
                f"not {short(workers)}."
            )
        self._node = node
        self._shard = (0, 1) if shard is None else checked_shard(shard)
        part = node if self._shard[1] == 1 else sharded(node, *self._shard)
        self._engine = Engine(Work(part, checked_timeout(timeout)), executor, limits)
        self._epoch = 0
        self._position: Any = None
        self._front: Any = None  # where the next epoch begins, if that is not simply the front
        self._resumed = False
        self._iterator: weakref.ref[Epoch[T]] | None = None
        self._primed: tuple[int, Cursor] | None = None  # the next epoch, begun while this one ends
        self._watch = Watch()
        self._finalizer = weakref.finalize(self, self._engine.close)

    if not TYPE_CHECKING:  # a type checker would believe every name

        def __getattr__(self, name: str) -> NoReturn:
            """Tell a person who types another library's name what to write."""
            hint = "" if name.startswith("_") else ELSEWHERE.get(name, "")
            raise AttributeError(f"a Loader has no {name!r}. {hint}".rstrip(), name=name, obj=self)

    # -- reading

    def __iter__(self) -> Epoch[T]:
        """Begin an epoch: the one that a state was loaded into, else the next one."""
        self._abandon()
        if self._engine.closed:
            raise ClosedError("this loader has been closed. Make a new one: dataset.loader(…)")
        if self._position is not None and not self._resumed:  # the one before was left in its middle
            self._epoch += 1
            self._position = self._front = None
        self._resumed = False
        epoch = Epoch(self)
        self._iterator = weakref.ref(epoch)
        return epoch

    def begin(self) -> Iterator[T]:
        """Begin an epoch, as iteration does, and let work begin before the first item is asked for.

        What computes by position begins, and so does what stands before a ``prefetch``. A stream without one is not
        opened before its time: it may be a live one. Nothing is taken: ``state_dict`` stays as it is, and where this is
        given up before an item was asked for, the next iteration reads the same epoch.

        >>> import penstock as ps
        >>> with ps.range(4).batch(2).loader(workers=ps.Threads(2)) as loader:
        ...     batches = loader.begin()
        ...     # ... build the model, while the first batches are made ...
        ...     [batch.tolist() for batch in batches]
        [[0, 1], [2, 3]]
        """
        epoch = iter(self)
        epoch.begin()
        return epoch

    def __len__(self) -> int:
        """Return the number of items of a whole epoch.

        Raises:
            LengthError: the dataset is endless, or its length shows only when it is read.
        """
        length = self._node.length()
        if length is None:
            what = "endless" if self._node.positional else "known only when it is read"
            raise LengthError(f"len(loader): the length of this dataset is {what}.")
        return length

    def _abandon(self) -> None:
        current = self._iterator() if self._iterator is not None else None
        self._iterator = None
        if current is not None:
            current.close()

    def _drop_primed(self) -> None:
        primed, self._primed = self._primed, None
        if primed is not None:
            primed[1].close()

    # -- state

    @property
    def epoch(self) -> int:
        """The number of the epoch that is being read, or that the next iteration will read if none was begun."""
        return self._epoch

    def state_dict(self) -> dict[str, Any]:
        """Return where the reading stands, as of the item that was taken last: small, plain JSON.

        It depends on nothing but the description, the epoch and the position: load it with any executor, any number of
        workers, any shard.
        """
        current = self._iterator() if self._iterator is not None else None
        position = self._position if current is None else current.position
        return states.state(self._node, self._epoch, self._front if position is None else position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state: the next iteration yields what was left of its epoch.

        Raises:
            StateError: the state is another description's, or no state at all; nothing has changed then.
        """
        epoch, position = states.opened(self._node, state)
        if not self._node.positional and position is not None:
            check_position(self._node, epoch, position)
        self._abandon()
        self._drop_primed()
        self._engine.omissions.clear()
        self._epoch, self._position, self._front, self._resumed = epoch, position, None, True

    # -- the workers

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers as they are now; none before the first iteration, nor in line."""
        session = self._engine.session
        return () if session is None else session.workers

    def report(self) -> Report:
        """Return the verdict on the epoch that is being read, or was read last."""
        engine = self._engine
        current = self._iterator() if self._iterator is not None else None
        if current is not None:
            current._count()  # noqa: SLF001
        return self._watch.report(
            pipeline=line(self._node),
            executor=engine.executor,
            tally=engine.tally,
            omissions=engine.omissions.get(self._watch.epoch) or Omissions(),
            replaced=engine.session.replaced if engine.session is not None else engine.tally.replaced,
            caches=caches_of(engine.work.root),
        )

    def close(self) -> None:
        """End the workers, whatever they are doing. Batches that were taken stay valid. Closing twice is allowed."""
        current = self._iterator() if self._iterator is not None else None
        self._finalizer()
        if current is not None:
            current.close()
        self._engine.work.plan.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._engine.closed else f"epoch {self._epoch}"
        return f"<Loader of {line(self._node)}, {self._engine.executor!r}, {state}>"


class Epoch(Iterator[T]):
    """One epoch of a loader, being read.

    An exception does not end it: the next ``next`` tries again from where it stood, with nothing lost in between.
    """

    def __init__(self, loader: Loader[T]) -> None:
        self._loader = loader
        self._engine = loader._engine  # noqa: SLF001  one class in two parts
        self._watch = loader._watch  # noqa: SLF001
        self._cursor: Cursor | None = None
        self._over = False
        self._finished = False
        self._asked = False  # whether anybody has asked for an item: until then, nothing has moved
        self._ready: Iterator[T] = iter(())
        self._lock = threading.RLock()  # threads may share an iteration: each item goes to one of them
        self._afar = self._engine.executor.count > 0
        self._watch.begin(loader.epoch, self._engine.tally)
        for before in [epoch for epoch in self._engine.omissions if epoch < loader.epoch]:
            del self._engine.omissions[before]

    def __next__(self) -> T:
        value: T
        for value in self._ready:  # most trivial items come many at a time, and this is all that each of them costs
            return value
        with self._lock:
            began = perf_counter()
            self._asked = True
            cursor = self._cursor
            if cursor is None:
                cursor = self._open()
            elif self._afar:
                for value in self._ready:  # another thread has been here meanwhile
                    return value
                self._look_ahead(cursor)  # before an item is taken: an interruption here loses none
            try:
                value = next(cursor)
            except StopIteration:
                self._finish()
                raise
            except BaseException as error:
                self._fail(error)
                raise
            self._watch.taken(began, perf_counter())
            if self._afar:
                self._ready = cursor.ready()
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
        if self._cursor is not None:
            self._watch.items += self._cursor.flowed()

    def _open(self) -> Cursor:
        loader = self._loader
        if self._finished:
            raise StopIteration
        if self._over:
            raise ClosedError("this iteration was given up: the loader was closed, or another iteration began")
        primed, loader._primed = loader._primed, None  # noqa: SLF001
        if primed is not None and primed[0] == loader.epoch and loader._position is None:  # noqa: SLF001
            self._cursor = primed[1]
        else:
            if primed is not None:
                primed[1].close()
            read = self._engine.reading(loader.epoch)
            position = loader._position  # noqa: SLF001
            try:
                self._cursor = read.start(self._engine.work.root, position)
            except (TypeError, ValueError, IndexError) as error:
                if position is None or isinstance(error, StateError):
                    raise
                raise StateError(f"The state's position does not fit this pipeline: {short(position)}.") from error
        return self._cursor

    def _prime(self) -> None:
        """Let workers that this epoch has no more work for begin with the next one."""
        loader = self._loader
        try:
            if loader._primed is None:  # noqa: SLF001
                epoch = loader.epoch + 1
                loader._primed = epoch, self._engine.reading(epoch).start(self._engine.work.root, None)  # noqa: SLF001
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
        self._ready = iter(())
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            if self._asked:
                self._loader._position = cursor.position()  # noqa: SLF001
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
