"""Transforming: what becomes of each item."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from penstock.graph.policy import Policy
from penstock.operations.filter import Filter
from penstock.operations.map import Map
from penstock.operations.on_error import OnError
from penstock.surface.described import Described

if TYPE_CHECKING:
    from penstock.sequence import Sequence
    from penstock.stream import Stream

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Transforming(Described[T_co]):
    """Operations on single items."""

    __slots__ = ()

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
