"""Stream: a dataset that is read from the front."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from penstock.errors import ArgumentTypeError, LengthError
from penstock.graph.items import stack
from penstock.operations.indexed import Indexed
from penstock.operations.take import Skip, Take
from penstock.operations.windows import Windows
from penstock.surface.dataset import Dataset

if TYPE_CHECKING:
    from typing import Self

    from penstock.graph.node import Node
    from penstock.sequence import Sequence

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

    def _elsewhere(self, name: str) -> str | None:
        from penstock.sequence import Sequence as Positions

        if not hasattr(Positions, name):
            return None
        return f"It needs positions. Put {name}() where the dataset is still a Sequence, or .indexed() before it."

    def take(self, count: int) -> Self:
        """Return the first ``count`` items, or all where there are fewer."""
        return cast("Self", Stream(Take(self.node, count)))

    def skip(self, count: int) -> Self:
        """Return all but the first ``count`` items, which are computed and dropped."""
        return cast("Self", Stream(Skip(self.node, count)))

    def windows(self, size: int, step: int = 1, *, collate: Callable[[Any], Any] | None = None) -> Stream[Any]:
        """Slide along the stream: ``size`` neighbouring items, then those that begin ``step`` items later.

        Args:
            size: items per window, at least 1. Only whole windows are given.
            step: how many items later the next window begins, at least 1.
            collate: makes a window of a list of items; by default they are stacked, as by ``batch``.
                ``collate=tuple`` gives n-grams.

        Holds one window, in the caller. Its state is where the next window begins.

        >>> import penstock as ps
        >>> list(ps.stream("a rose is a rose".split()).windows(3, collate=tuple))
        [('a', 'rose', 'is'), ('rose', 'is', 'a'), ('is', 'a', 'rose')]
        """
        return Stream(Windows(self.node, size, step, stack if collate is None else collate))

    def indexed(self, length: int | None = None, *, cache: int = 128) -> Sequence[T_co]:
        """Give the stream positions, by reading it again where need be: ``len``, ``[i]``, slices, ``shuffle``.

        Args:
            length: how many items there are, in every epoch; of a longer stream, the first ones. Without it, the stream
                is read through once, here and now, to count them.
            cache: how many of the items read last are kept, for whoever steps back a little. Each is copied.

        Reading on is cheap. A position far ahead reads all items up to it. One behind begins again: a little before it
        where steps stand on a Sequence (a filter: 1/128 of what was read, at most), at the front where a plain
        iterable must be read again. A loader's workers each read the stream for themselves, so put what is expensive
        behind this, and do not shuffle a long plain iterable. What is kept sees no later changes of the source. Until a
        position behind or the last one is read, the stream stays open.

        Raises:
            ArgumentError: when reading, that the stream ended before ``length``.

        >>> import penstock as ps
        >>> odd = ps.range(10).filter(lambda x: x % 2).indexed()
        >>> len(odd), odd[3], odd[-1], list(odd[1:3])
        (5, 7, 9, [3, 5])
        """
        from penstock.sequence import Sequence as Positions  # a sequence is made from streams, too

        count = sum(1 for _ in self) if length is None else length
        return Positions(Indexed(self.node, count, cache))

    def __len__(self) -> NoReturn:
        """Refuse: the length of a stream shows only when it is read."""
        raise LengthError(
            f"len(): the length of a stream shows only when it is read: {self!r}. "
            "Count its items, sum(1 for _ in stream), or give it positions: .indexed()."
        )

    def __bool__(self) -> bool:
        """Be true, as iterables without a length are."""
        return True

    def __getitem__(self, index: object) -> NoReturn:
        """Refuse: a stream has no positions."""
        raise ArgumentTypeError(
            f"a stream has no positions, so [{index!r}] cannot be looked up: {self!r}. "
            "Use next(iter(stream)) or .take(n) to look at its beginning, .indexed() to give it positions."
        )
