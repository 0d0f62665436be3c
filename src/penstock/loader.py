"""Loader: a dataset being read. The only thing in Penstock that has a state.

description ──> Work ──> session (workers) ──> desk ──> cursor ──> your loop
└── position: the state
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from penstock.engine import Engine, check_position, checked_shard, checked_timeout
from penstock.errors import ArgumentTypeError, ClosedError, LengthError
from penstock.executors.inline import Inline
from penstock.graph import position as states
from penstock.graph.checking import short
from penstock.graph.drawing import line
from penstock.graph.execution import Executor, Limits, Omissions, Work, Worker
from penstock.graph.node import Cursor, Node
from penstock.iteration import Epoch, Items
from penstock.operations.cache import caches_of
from penstock.rewriting import sharded
from penstock.watching.report import Report, Watch

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from penstock.graph.progress import Progress

T = TypeVar("T")
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
        self._current: weakref.ref[Epoch[T]] | None = None
        self._primed: tuple[int, Cursor, Progress | None] | None = None  # the next epoch, begun while this one ends
        self._watch = Watch()
        self._finalizer = weakref.finalize(self, self._engine.close)

    if not TYPE_CHECKING:  # a type checker would believe every name

        def __getattr__(self, name: str) -> NoReturn:
            """Tell a person who types another library's name what to write."""
            hint = "" if name.startswith("_") else ELSEWHERE.get(name, "")
            raise AttributeError(f"a Loader has no {name!r}. {hint}".rstrip(), name=name, obj=self)

    # -- reading

    def __iter__(self) -> Items[T]:
        """Begin an epoch: the one that a state was loaded into, else the next one."""
        return Items.of(self._next_epoch())

    def _next_epoch(self) -> Epoch[T]:
        self._abandon()
        if self._engine.closed:
            raise ClosedError("this loader has been closed. Make a new one: dataset.loader(…)")
        if self._position is not None and not self._resumed:  # the one before was left in its middle
            self._epoch += 1
            self._position = self._front = None
        self._resumed = False
        epoch = Epoch(self)
        self._current = weakref.ref(epoch)
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
        epoch = self._next_epoch()
        epoch.begin()
        return Items.of(epoch)

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
        current = self._current() if self._current is not None else None
        self._current = None
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
        current = self._current() if self._current is not None else None
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
        current = self._current() if self._current is not None else None
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
        current = self._current() if self._current is not None else None
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
