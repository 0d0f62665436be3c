"""Streaming: steps that look at one item after the other, from the front."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.operations.per_epoch import PerEpoch
from penstock.operations.take_while import DropWhile, TakeWhile
from penstock.operations.transform import Transform
from penstock.operations.unique import Unique
from penstock.surface.described import Described

if TYPE_CHECKING:
    from typing import Self

    from penstock.stream import Stream

T_co = TypeVar("T_co", covariant=True)


class Streaming(Described[T_co]):
    """Operations for which the order of reading matters; they run in the caller."""

    __slots__ = ()

    def take_while(self, predicate: Callable[[T_co], object]) -> Stream[T_co]:
        """Read until a predicate is false; that item, and all behind it, do not come. The result is a Stream.

        The predicate runs in the caller. The state is a count and the input's position.

        >>> import penstock as ps
        >>> list(ps.range(10).take_while(lambda x: x < 3))
        [0, 1, 2]
        """
        return cast("Stream[T_co]", self._wrap(TakeWhile(self.node, predicate)))

    def drop_while(self, predicate: Callable[[T_co], object]) -> Stream[T_co]:
        """Leave out items until a predicate is false; that item, and all behind it, come. The result is a Stream.

        The predicate runs in the caller. The state is a count and the input's position.

        >>> import penstock as ps
        >>> list(ps.items([0, 0, 7, 0]).drop_while(lambda x: not x))
        [7, 0]
        """
        return cast("Stream[T_co]", self._wrap(DropWhile(self.node, predicate)))

    def unique(self, key: Callable[[T_co], Any] | None = None, *, window: int | None = None) -> Stream[T_co]:
        """Leave out items whose key has been seen before in this epoch. The result is a Stream.

        Args:
            key: what is compared, a function of the item; the item itself by default. A number, text, array, or tuple,
                list, set or dict of such; of arrays, 16 bytes are remembered.
            window: how many keys are remembered: those that were seen last. All by default.

        The key is computed in the caller. The state is small, because resuming reads again what is remembered: with a
        window, from where the least recent of its keys stood last; without, from the front of the epoch.

        Raises:
            ArgumentTypeError: when a key is read that is equal only to itself.

        >>> import penstock as ps
        >>> list(ps.items([3, 1, 3, 2, 1]).unique())
        [3, 1, 2]
        >>> list(ps.items(["b", "a", "A"]).unique(str.lower))
        ['b', 'a']
        """
        return cast("Stream[T_co]", self._wrap(Unique(self.node, key, window)))

    def per_epoch(self, count: int) -> Self:
        """Let an epoch have ``count`` items, and the next one go on behind them, round after round of the dataset.

        Every round is shuffled and augmented anew. A Sequence stays one: epoch e has the items from e × ``count`` on.
        Of a Stream, a loader keeps the input open between epochs, and a state from between two says where the input
        stands; where an epoch is begun by its number alone, as with ``.epoch(7)``, all before it is read again.

        >>> import penstock as ps
        >>> with ps.range(5).per_epoch(3).loader() as loader:
        ...     [list(loader) for epoch in range(3)]
        [[0, 1, 2], [3, 4, 0], [1, 2, 3]]
        """
        return cast("Self", self._wrap(PerEpoch(self.node, count)))

    def transform(self, function: Callable[[Iterator[T_co]], Any]) -> Stream[Any]:
        """Send all items through a function of their iterator, for what no other step can do. The result is a Stream.

        Args:
            function: a generator function that takes an iterator and yields items; or a class that is made with the
                iterator and has ``__next__``. It runs in the caller, anew in every epoch.

        The state of a generator is how many items it has given: resuming reads everything from the front again, and
        drops as many. A class with ``state_dict()`` and ``load_state_dict(state)`` resumes from its own state, which
        must be plain JSON and is asked for after every item, and from the input's position at that moment. So it must
        not read from the iterator when it is made, and what it keeps of items it has read must be in its state.

        >>> import penstock as ps
        >>> def differences(numbers):
        ...     last = next(numbers, None)
        ...     for number in numbers:
        ...         yield number - last
        ...         last = number
        >>> list(ps.items([1, 4, 9]).transform(differences))
        [3, 5]
        """
        return cast("Stream[Any]", self._wrap(Transform(self.node, function)))
