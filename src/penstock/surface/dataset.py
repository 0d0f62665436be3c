"""Dataset: all that sequences and streams have in common, and the reading of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.errors import ArgumentTypeError
from penstock.graph import position as states
from penstock.graph.amounts import nbytes_of
from penstock.graph.checking import short, whole
from penstock.graph.execution import Limits
from penstock.graph.node import Node, ordered
from penstock.graph.policy import Policy, checked
from penstock.loader import Loader
from penstock.operations.prefetch import Prefetch
from penstock.operations.shard import Shard
from penstock.operations.store import Store
from penstock.ranks import rank_and_world
from penstock.rewriting import guarded
from penstock.surface.batching import Batching
from penstock.surface.evaluating import Evaluating
from penstock.surface.ordering import Ordering
from penstock.surface.progress import Progress
from penstock.surface.streaming import Streaming
from penstock.surface.transforming import Transforming
from penstock.surface.watching import Watching

if TYPE_CHECKING:
    import os
    from typing import Self

    from penstock.graph.execution import Executor
    from penstock.graph.storing import Format

T_co = TypeVar("T_co", covariant=True)


class Dataset(Transforming[T_co], Ordering[T_co], Batching[T_co], Streaming[T_co], Evaluating[T_co], Watching[T_co]):
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

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that labels are numbers of, where the source has such: a folder of folders, a list.

        >>> import penstock as ps, tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("dog/1.jpg", "cat/2.jpg"):
        ...         pathlib.Path(folder, name).parent.mkdir()
        ...         pathlib.Path(folder, name).touch()
        ...     ps.open(folder).shuffle().classes
        ('cat', 'dog')
        """
        for node in ordered(self.node):
            found = isinstance(node, Store) and node.handle.reader().schema()
            if isinstance(found, dict) and found.get("classes"):
                return tuple(found["classes"])
        raise AttributeError("classes")  # which becomes a hint

    def shard(self, rank: int, world: int, *, last: str, by: str = "stride") -> Self:
        """Return one rank's part of the items; together the ranks read each item once, but for what ``last`` says.

        Args:
            rank: from 0 to ``world - 1``.
            world: how many ranks there are.
            last: what becomes of the items that are left over where they do not divide: ``"drop"`` them, ``"pad"``: the
                ranks that come short repeat the last item, ``"error"``, or ``"keep"``: some ranks have one item more,
                which stops a training whose ranks wait for one another.
            by: ``"stride"``: rank r reads items r, r + world, …; ``"block"``: ranks read neighbouring items.

        For batches that are the same whatever the world size, divide their rows instead: ``loader(shard=…)``. This is
        for what each rank reads on its own: its files, its part of an evaluation. A rank computes, of a sequence, its
        items only; of a stream it reads them all and leaves out those of the others, so put it early. Random steps
        behind it draw differently on every rank. A state loads on any rank of the same world.

        Raises:
            ArgumentError: a rank would have no item, as with fewer files than ranks; or, with ``last="error"``, items
                do not divide, which of a stream shows at its end.

        >>> import penstock as ps
        >>> [list(ps.range(10).shard(rank, 3, last="drop")) for rank in range(3)]
        [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
        """
        return cast("Self", self._wrap(Shard(self.node, rank, world, last, by)))

    def loader(  # noqa: PLR0913  each is a decision of its own, and most loaders make one or two
        self,
        *,
        workers: Executor | None = None,
        shard: tuple[int, int] | str | None = None,
        on_error: Policy | None = None,
        timeout: float | None = None,
        window: int = Limits.count,
        window_bytes: int | str = Limits.nbytes,
    ) -> Loader[T_co]:
        """Return a loader: the dataset being read, with a position and workers.

        Args:
            workers: ``Inline()`` (the default), ``Threads(n)`` or ``Processes(n)``.
            shard: ``(rank, world size)``: read this rank's part of every batch. Batches are cut before they are
                divided, so all ranks together read the same batches, whatever the world size. Of a mix, a zip and the
                like, the batches of every input are divided. ``"auto"`` takes what ``rank_and_world()`` finds.
            on_error: a policy for every item that fails, wherever no ``on_error`` of the dataset says otherwise; it
                stands in front of every batch, and behind the last step.
            timeout: seconds that an item may take. Then it is an error with the worker's stack, and the worker is
                replaced. Without it, a warning appears after a minute. In line, nobody is there to watch.
            window: how many pieces of work (batches, mostly) may be under way or waiting to be taken.
            window_bytes: how many bytes these may hold, about: a number, or a text such as ``"1GB"``.

        >>> import penstock as ps
        >>> with ps.range(4).batch(2).loader() as loader:
        ...     len(loader), [batch.tolist() for batch in loader], loader.epoch
        (2, [[0, 1], [2, 3]], 1)
        """
        limits = Limits(
            whole(window, "loader()", "window", least=1), nbytes_of(window_bytes, "loader()", "window_bytes")
        )
        node = self.node if on_error is None else guarded(self.node, checked(on_error, "loader()", "on_error"))
        return Loader(node, workers=workers, shard=ranks(shard), limits=limits, timeout=timeout)

    def save(  # noqa: PLR0913  each is a decision of its own, and most savings make none
        self,
        path: str | os.PathLike[str],
        format: str | Format | None = None,
        *,
        workers: Executor | None = None,
        progress: Progress = True,
        key: Callable[[Any], str] | None = None,
        replace: bool = False,
        append: bool = False,
        **options: Any,
    ) -> Any:
        """Write all items of epoch 0 to a store on disk; return the store, opened.

        Args:
            path: what to write; its folder exists. The store appears there when it is complete and flushed to the disk:
                whoever is killed in between leaves what was there before.
            format: ``"lmdb"``, ``"npy"``, …; left out, the path's suffix says it.
            workers: compute the items there; the order is that of the dataset.
            progress: show on a terminal how far it is, with tqdm where it is installed; or a function, called with the
                number that is done and that of all (None where it is not known), ten times a second and at the end.
            key: gives each item a name of its own, in formats that have such; error notes mention it.
            replace: whether something that has this name already is replaced.
            append: add to the store that is there, in formats that can (LMDB), some megabytes at a time; whoever opens
                it meanwhile reads what was complete then.
            options: the format's own; a wrong name is refused.

        Raises:
            ArgumentError: the dataset has no end, or the format is only read.
            ArgumentTypeError: an item has a part that the format cannot hold; names the field and the remedy.
            StoreError: the path exists, or its folder does not.

        >>> import penstock as ps, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ps.range(3).map(lambda x: {"x": x}).save(f"{folder}/train.lmdb")[2]
        {'x': 2}
        """
        from penstock.opening import Saving, save

        how = Saving(workers, progress, key, replace, append)
        return save(self, path, format, how, options)

    def resume(self, state: Mapping[str, Any]) -> Iterator[T_co]:
        """Read in line from a loader's state, or from its ``epoch`` and ``position`` alone: for debugging.

        >>> import penstock as ps
        >>> next(ps.range(100).resume({"epoch": 0, "position": 42}))
        42
        """
        epoch, position = states.opened(self.node, state, brief=True)
        return self._reading(epoch).start(self.node, position)

    def __iter__(self) -> Iterator[T_co]:
        """Read in line, epoch 0, without workers or state."""
        return self._reading().start(self.node, None)


def ranks(shard: tuple[int, int] | str | None) -> tuple[int, int] | None:
    """Return the rank and world size that a loader is to read for."""
    if not isinstance(shard, str):
        return shard
    if shard != "auto":
        raise ArgumentTypeError(f'loader(): shard must be (rank, world size) or "auto", not {short(shard)}.')
    return rank_and_world()


def node_of(value: object, where: str) -> Node:
    """Return the node of a dataset, or refuse what is none."""
    if isinstance(value, Dataset):
        return value.node
    hint = "Use items(x) for what has len and [i], stream(x) for what can only be iterated."
    if isinstance(value, (list, tuple)) and value and all(isinstance(entry, Dataset) for entry in value):
        hint = f"Give the datasets one by one: {where.rstrip('()')}(a, b), or {where.rstrip('()')}(*datasets)."
    if isinstance(value, Iterable):
        raise ArgumentTypeError(f"{where}: {short(value)} is not a dataset. {hint}")
    raise ArgumentTypeError(f"{where}: {short(value)} is not a dataset.")
