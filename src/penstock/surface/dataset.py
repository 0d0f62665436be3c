"""Dataset: all that sequences and streams have in common, and the reading of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.errors import ArgumentTypeError
from penstock.graph import position as states
from penstock.graph.checking import short, whole
from penstock.graph.execution import Limits
from penstock.graph.node import Node
from penstock.graph.policy import Policy, checked
from penstock.graph.reading import Plan, Reading
from penstock.loader import Loader
from penstock.operations.prefetch import Prefetch
from penstock.rewriting import guarded
from penstock.surface.batching import Batching
from penstock.surface.ordering import Ordering
from penstock.surface.transforming import Transforming

if TYPE_CHECKING:
    from typing import Self

    from penstock.graph.execution import Executor

T_co = TypeVar("T_co", covariant=True)


class Dataset(Transforming[T_co], Ordering[T_co], Batching[T_co]):
    """A description: immutable, comparable, picklable, printable. Either a Sequence or a Stream."""

    __slots__ = ()

    def prefetch(self, count: int) -> Self:
        """Compute up to ``count`` items before they are asked for, in a thread of their own.

        A loader's workers run ahead anyway. This is for what a loader does in the caller: the steps behind a filter.

        >>> import penstock as ps
        >>> list(ps.range(3).prefetch(2))
        [0, 1, 2]
        """
        return cast("Self", self._wrap(Prefetch(self.node, count)))

    def loader(  # noqa: PLR0913  each is a decision of its own, and most loaders make one or two
        self,
        *,
        workers: Executor | None = None,
        shard: tuple[int, int] | None = None,
        on_error: Policy | None = None,
        timeout: float | None = None,
        window: int = Limits.count,
        window_bytes: int = Limits.nbytes,
    ) -> Loader[T_co]:
        """Return a loader: the dataset being read, with a position and workers.

        Args:
            workers: ``Inline()`` (the default), ``Threads(n)`` or ``Processes(n)``.
            shard: ``(rank, world size)``: read this rank's part of every batch. Batches are cut before they are
                divided, so all ranks together read the same batches, whatever the world size.
            on_error: a policy for every item that fails, wherever no ``on_error`` of the dataset says otherwise; it
                stands in front of every batch, and behind the last step.
            timeout: seconds that an item may take. Then it is an error with the worker's stack, and the worker is
                replaced. Without it, a warning appears after a minute. In line, nobody is there to watch.
            window: how many pieces of work (batches, mostly) may be under way or waiting to be taken.
            window_bytes: how many bytes these may hold, about.

        >>> import penstock as ps
        >>> with ps.range(4).batch(2).loader() as loader:
        ...     len(loader), [batch.tolist() for batch in loader], loader.epoch
        (2, [[0, 1], [2, 3]], 1)
        """
        limits = Limits(
            whole(window, "loader()", "window", least=1), whole(window_bytes, "loader()", "window_bytes", least=1)
        )
        node = self.node if on_error is None else guarded(self.node, checked(on_error, "loader()", "on_error"))
        return Loader(node, workers=workers, shard=shard, limits=limits, timeout=timeout)

    def resume(self, state: Mapping[str, Any]) -> Iterator[T_co]:
        """Read in line from a loader's state, or from its ``epoch`` and ``position`` alone: for debugging.

        >>> import penstock as ps
        >>> next(ps.range(100).resume({"epoch": 0, "position": 42}))
        42
        """
        epoch, position = states.opened(self.node, state, brief=True)
        return Reading(Plan(self.node), epoch).start(self.node, position)

    def __iter__(self) -> Iterator[T_co]:
        """Read in line, epoch 0, without workers or state."""
        return Reading(Plan(self.node)).start(self.node, None)


def node_of(value: object, where: str) -> Node:
    """Return the node of a dataset, or refuse what is none."""
    if isinstance(value, Dataset):
        return value.node
    hint = "Use items(x) for what has len and [i], stream(x) for what can only be iterated."
    if isinstance(value, Iterable):
        raise ArgumentTypeError(f"{where}: {short(value)} is not a dataset. {hint}")
    raise ArgumentTypeError(f"{where}: {short(value)} is not a dataset.")
