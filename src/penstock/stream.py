"""Stream: a dataset that is read from the front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from penstock.errors import ArgumentTypeError, LengthError
from penstock.operations.take import Skip, Take
from penstock.surface.dataset import Dataset

if TYPE_CHECKING:
    from typing import Self

    from penstock.graph.node import Node

T_co = TypeVar("T_co", covariant=True)


class Stream(Dataset[T_co]):
    """A dataset that is read from the front: what a filter leaves, or what an iterable gives.

    >>> import penstock as ps
    >>> odd = ps.range(10).filter(lambda x: x % 2)
    >>> list(odd.take(3))
    [1, 3, 5]
    """

    __slots__ = ()

    def _wrap(self, node: Node) -> Any:
        return Stream(node)

    def take(self, count: int) -> Self:
        """Return the first ``count`` items, or all where there are fewer."""
        return cast("Self", Stream(Take(self.node, count)))

    def skip(self, count: int) -> Self:
        """Return all but the first ``count`` items, which are computed and dropped."""
        return cast("Self", Stream(Skip(self.node, count)))

    def __len__(self) -> NoReturn:
        """Refuse: the length of a stream shows only when it is read."""
        raise LengthError(f"len(): the length of a stream shows only when it is read: {self!r}.")

    def __bool__(self) -> bool:
        """Be true, as iterables without a length are."""
        return True

    def __getitem__(self, index: object) -> NoReturn:
        """Refuse: a stream has no positions."""
        raise ArgumentTypeError(
            f"a stream has no positions, so [{index!r}] cannot be looked up: {self!r}. "
            "Use next(iter(stream)) or .take(n) to look at its beginning."
        )
