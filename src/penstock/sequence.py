"""Sequence: a dataset with positions."""

from __future__ import annotations

from operator import index as as_index
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from penstock.errors import ArgumentTypeError, LengthError
from penstock.graph.checking import short
from penstock.graph.reading import Plan, Reading
from penstock.operations.take import cut
from penstock.stream import Stream
from penstock.surface.dataset import Dataset

if TYPE_CHECKING:
    from typing import Self

    from penstock.graph.node import Node

T_co = TypeVar("T_co", covariant=True)


class Sequence(Dataset[T_co]):
    """A dataset with positions: ``len``, ``[i]``, slices. Nothing is computed until it is read.

    >>> import penstock as ps
    >>> squares = ps.range(10).map(lambda x: x * x)
    >>> len(squares), squares[3], squares[-1], list(squares[2:5])
    (10, 9, 81, [4, 9, 16])
    """

    __slots__ = ()

    def _wrap(self, node: Node) -> Any:
        return dataset(node)

    def __len__(self) -> int:
        """Return the number of items.

        Raises:
            LengthError: the sequence has no end.
        """
        length = self.node.length()
        if length is None:
            raise LengthError(f"len(): this sequence has no end: {self!r}. Take a part of it first: dataset[:1000].")
        return length

    def __bool__(self) -> bool:
        """Tell whether there are any items; an endless sequence has some."""
        return self.node.length() != 0

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Compute an item here and now, as in epoch 0; or describe a part.

        Raises:
            IndexError: there is no such position.
        """
        if isinstance(index, slice):
            return dataset(cut(self.node, index))
        try:
            place = as_index(index)
        except TypeError:
            raise ArgumentTypeError(
                f"a sequence is indexed by whole numbers or slices, not by {short(index)}. "
                "For an entry of every item, use .map(lambda item: item[key])."
            ) from None
        length = self.node.length()
        if length is None:
            if place < 0:
                raise IndexError(f"index {place} counts from the end, and this sequence has none: {self!r}")
        elif not -length <= place < length:
            raise IndexError(f"index {place} is out of range for {length} items: {self!r}")
        elif place < 0:
            place += length
        return Reading(Plan(self.node)).item(self.node, place)

    def take(self, count: int) -> Self:
        """Return the first ``count`` items, or all where there are fewer.

        >>> import penstock as ps
        >>> list(ps.range(10).take(3))
        [0, 1, 2]
        """
        return cast("Self", dataset(cut(self.node, slice(0, counted(count, "take()")))))

    def skip(self, count: int) -> Self:
        """Return all but the first ``count`` items.

        >>> import penstock as ps
        >>> list(ps.range(5).skip(3))
        [3, 4]
        """
        return cast("Self", dataset(cut(self.node, slice(counted(count, "skip()"), None))))


def counted(count: int, where: str) -> int:
    """Return a count, checked."""
    from penstock.graph.checking import whole

    return whole(count, where, "count")


def dataset(node: Node) -> Dataset[Any]:
    """Return the dataset over a node: a Sequence where it has positions, else a Stream."""
    return Sequence(node) if node.positional else Stream(node)
