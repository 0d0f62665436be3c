"""Batching: several items as one, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from penstock.graph.items import stack
from penstock.operations.batch import Batch
from penstock.operations.unbatch import Unbatch
from penstock.surface.described import Described

if TYPE_CHECKING:
    from penstock.sequence import Sequence
    from penstock.stream import Stream

T_co = TypeVar("T_co", covariant=True)


class Batching(Described[T_co]):
    """Operations that join items, and take them apart."""

    __slots__ = ()

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
