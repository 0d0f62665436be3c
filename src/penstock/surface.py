"""The methods that mean the same on sequences and on streams. Each makes a node; none computes anything."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from penstock.errors import ArgumentTypeError
from penstock.graph import drawing
from penstock.graph import position as states
from penstock.graph.checking import short, whole
from penstock.graph.execution import Limits
from penstock.graph.items import stack
from penstock.graph.node import Node, ordered
from penstock.graph.policy import Policy, checked
from penstock.graph.reading import Plan, Reading
from penstock.loader import Loader
from penstock.operations.batch import Batch
from penstock.operations.epoch import Epoch
from penstock.operations.filter import Filter
from penstock.operations.map import Map
from penstock.operations.on_error import OnError
from penstock.operations.prefetch import Prefetch
from penstock.operations.repeat import Repeat
from penstock.operations.seed import Seed
from penstock.operations.shuffle import Shuffle
from penstock.operations.unbatch import Unbatch
from penstock.rewriting import guarded

if TYPE_CHECKING:
    from typing import Self

    from penstock.graph.execution import Executor
    from penstock.sequence import Sequence
    from penstock.stream import Stream

# What other libraries call it, or do in a method of its own.
ELSEWHERE = {
    "apply": "Use .map(function).",
    "flat_map": "Use .map(function).unbatch(), where the function returns a list.",
    "enumerate": "Use penstock.zip(penstock.range(len(dataset)), dataset).",
    "concatenate": "Use penstock.concat(a, b).",
    "zip": "Use penstock.zip(a, b).",
    "padded_batch": "Pad in a map(), then .batch(size).",
    "shard": "Use .loader(shard=(rank, world size)).",
    "num_workers": "Use .loader(workers=Processes(4)).",
    "ignore_errors": 'Use .on_error("skip").',
}

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Dataset(Generic[T_co]):
    """A description: immutable, comparable, picklable, printable. Either a Sequence or a Stream."""

    __slots__ = ("__weakref__", "node")

    def __init__(self, node: Node) -> None:
        """Wrap a node; users make datasets with ``range``, ``items``, ``arrays``, ``files`` and ``stream``."""
        if not isinstance(node, Node):
            raise ArgumentTypeError(
                f"{type(self).__name__}() is not for {short(node)}. Make a dataset with items(x), arrays(x), "
                "files(pattern), range(n) or stream(iterable)."
            )
        object.__setattr__(self, "node", node)

    def __getattr__(self, name: str) -> Any:
        """Tell a person who types the wrong name the right one."""
        kind = type(self).__name__
        if name.startswith("_"):  # protocols of Python's own ask, too
            raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)
        known = [word for word in dir(type(self)) if not word.startswith("_")]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        hint = ELSEWHERE.get(name) or (f"Did you mean {near[0]}()?" if near else f"There are: {', '.join(known)}.")
        raise AttributeError(f"a {kind} has no {name!r}. {hint}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a dataset is immutable; {name!r} cannot be set. Every method returns a new dataset.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a dataset is immutable; {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.node,)

    node: Node

    @abstractmethod
    def _wrap(self, node: Node) -> Any:
        """Return the dataset over a node: a Sequence where it has positions, else a Stream."""

    # -- operations

    @overload
    def map(  # type: ignore[misc]  # mypy wants a self type above Dataset; below it is what is meant
        self: Sequence[T_co], function: Callable[..., U], *, rng: bool = False, on_error: None = None
    ) -> Sequence[U]: ...
    @overload
    def map(  # type: ignore[misc]
        self: Sequence[T_co], function: Callable[..., U], *, rng: bool = False, on_error: Policy
    ) -> Sequence[U] | Stream[U]: ...
    @overload
    def map(  # type: ignore[misc]
        self: Stream[T_co], function: Callable[..., U], *, rng: bool = False, on_error: Policy | None = None
    ) -> Stream[U]: ...
    def map(self, function: Callable[..., U], *, rng: bool = False, on_error: Policy | None = None) -> Any:
        """Send every item through a function; behind ``batch``, every batch.

        Args:
            function: called with the item; its result takes the item's place.
            rng: call ``function(item, rng=generator)`` with a ``numpy.random.Generator`` that belongs to this item: it
                depends on the seed, the epoch, the position and this operation, and on nothing else.
            on_error: what becomes of an item for which this function fails; see the method ``on_error``.

        >>> import penstock as ps
        >>> list(ps.range(3).map(lambda x: 10 * x))
        [0, 10, 20]
        """
        made = Map(self.node, function, rng)
        return self._wrap(made if on_error is None else OnError(made, on_error, own=True))

    def on_error(self, policy: Policy) -> Any:
        """Say what becomes of items whose computation fails in a step before this one.

        Args:
            policy: ``"raise"`` the error (the default), ``"skip"`` the item, ``Skip(count=…, fraction=…)`` with a
                budget, ``Retry(times, wait=…, then=…)``, or a function of (error, source) whose result takes the item's
                place; ``source`` is what the source calls the item: a path, an index, an element of a stream.

        Where items may be left out, the result is a Stream: batches behind it keep their size, and what was left out is
        counted and listed in ``loader.report()``. It is part of the order: the same on any workers, and after a resume.

        >>> import penstock as ps
        >>> list(ps.items(["1", "x", "3"]).map(int).on_error("skip"))
        [1, 3]
        >>> list(ps.items(["1", "x", "3"]).map(int, on_error=lambda error, source: -1))
        [1, -1, 3]
        """
        return self._wrap(OnError(self.node, policy))

    def filter(self, predicate: Callable[[T_co], object]) -> Stream[T_co]:
        """Keep the items that a predicate is true for. The result is a Stream: its length shows when it is read.

        >>> import penstock as ps
        >>> list(ps.range(6).filter(lambda x: x % 2))
        [1, 3, 5]
        """
        return cast("Stream[T_co]", self._wrap(Filter(self.node, predicate)))

    @overload
    def batch(  # type: ignore[misc]
        self: Sequence[T_co], size: int, *, last: str = "keep", collate: Callable[[Any], Any] | None = None
    ) -> Sequence[Any]: ...
    @overload
    def batch(  # type: ignore[misc]
        self: Stream[T_co], size: int, *, last: str = "keep", collate: Callable[[Any], Any] | None = None
    ) -> Stream[Any]: ...
    def batch(self, size: int, *, last: str = "keep", collate: Callable[[Any], Any] | None = None) -> Any:
        """Join neighbouring items.

        Args:
            size: items per batch, at least 1.
            last: what becomes of a short last batch: ``"keep"`` it, ``"drop"`` it, or ``"error"``.
            collate: makes a batch of a list of items. By default arrays and numbers are stacked along a new first
                axis, field by field in dicts, tuples and dataclasses, and everything else becomes a list.
                ``collate=list`` keeps the items.

        >>> import penstock as ps
        >>> [batch.tolist() for batch in ps.range(5).batch(2)]
        [[0, 1], [2, 3], [4]]
        """
        return self._wrap(Batch(self.node, size, last, stack if collate is None else collate))

    def unbatch(self) -> Stream[Any]:
        """Take batches apart into their rows: the reverse of ``batch``.

        >>> import penstock as ps
        >>> list(ps.items([[1, 2], [3]]).unbatch())
        [1, 2, 3]
        """
        return cast("Stream[Any]", self._wrap(Unbatch(self.node)))

    def shuffle(self) -> Self:
        """Put all items into a random order, another one in every epoch. Needs a Sequence.

        The order is a keyed permutation, computed place by place: no list of indices, whatever the length.

        >>> import penstock as ps
        >>> shuffled = ps.range(5).seed(1).shuffle()
        >>> sorted(shuffled) == list(range(5)), list(shuffled) == list(shuffled)
        (True, True)
        """
        return cast("Self", self._wrap(Shuffle(self.node)))

    def seed(self, seed: int) -> Self:
        """Let every random step behind this one derive from ``seed``, from 0 to 2**64 - 1. Without it, it is 0.

        >>> import penstock as ps
        >>> list(ps.range(9).seed(1).shuffle()) == list(ps.range(9).seed(2).shuffle())
        False
        """
        made = Seed(self.node, seed)
        for node in ordered(self.node):
            if (isinstance(node, Shuffle) or (isinstance(node, Map) and node.rng)) and not seeded(node):
                raise ArgumentTypeError(
                    f"seed({made.seed}) stands behind {node.label()}, which it would not reach: a seed is for the "
                    "steps behind it. Put .seed() before the first random step."
                )
        return cast("Self", self._wrap(made))

    def repeat(self, times: int | None = None) -> Self:
        """Go through the dataset ``times`` times, or without end. Every round is shuffled and augmented anew.

        >>> import penstock as ps
        >>> list(ps.range(2).repeat(3))
        [0, 1, 0, 1, 0, 1]
        """
        return cast("Self", self._wrap(Repeat(self.node, times)))

    def prefetch(self, count: int) -> Self:
        """Compute up to ``count`` items before they are asked for, in a thread of their own.

        A loader's workers run ahead anyway. This is for what a loader does in the caller: the steps behind a filter.

        >>> import penstock as ps
        >>> list(ps.range(3).prefetch(2))
        [0, 1, 2]
        """
        return cast("Self", self._wrap(Prefetch(self.node, count)))

    def epoch(self, number: int) -> Self:
        """Return the dataset as it is in one epoch, whatever the epoch: for looking at what a later epoch reads.

        >>> import penstock as ps
        >>> shuffled = ps.range(9).shuffle()
        >>> list(shuffled.epoch(0)) == list(shuffled), list(shuffled.epoch(1)) == list(shuffled)
        (True, False)
        """
        return cast("Self", self._wrap(Epoch(self.node, number)))

    # -- reading

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

    # -- looking

    def draw(self) -> str:
        """Return a drawing of the pipeline, a step a line.

        >>> import penstock as ps
        >>> print(ps.range(10).shuffle().batch(4).draw())
        range(10)    10 items
        │
        shuffle()    10 items
        │
        batch(4)     3 items
        """
        return drawing.drawing(self.node)

    def __str__(self) -> str:
        return self.draw()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {drawing.length_text(self.node)}: {drawing.line(self.node)}>"

    def __eq__(self, other: object) -> bool:
        return self.node == other.node if isinstance(other, Dataset) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.node)


def seeded(node: Node) -> bool:
    """Tell whether a seed stands somewhere before a step."""
    while node.sources:
        node = node.sources[0]
        if isinstance(node, Seed):
            return True
    return False


def node_of(value: object, where: str) -> Node:
    """Return the node of a dataset, or refuse what is none."""
    if isinstance(value, Dataset):
        return value.node
    hint = "Use items(x) for what has len and [i], stream(x) for what can only be iterated."
    if isinstance(value, Iterable):
        raise ArgumentTypeError(f"{where}: {short(value)} is not a dataset. {hint}")
    raise ArgumentTypeError(f"{where}: {short(value)} is not a dataset.")
