"""Sequence: a dataset with positions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from operator import index as as_index
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError, LengthError
from penstock.graph.checking import short, whole
from penstock.graph.items import stack
from penstock.graph.reading import Plan, Reading
from penstock.operations.repeat_each import RepeatEach
from penstock.operations.select import Select, positions, whole_range
from penstock.operations.take import Slice, cut
from penstock.operations.windows import Windows
from penstock.parting import Division, edges_of, sizes_of
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

    def _elsewhere(self, name: str) -> str | None:
        return "A Sequence has positions already." if name == "indexed" else None

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
    def __getitem__(self, index: slice | list[int] | list[bool] | range | np.ndarray[Any, Any]) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        """Compute an item here and now, as in epoch 0; or describe a part: a slice, a list of positions, a mask.

        Raises:
            IndexError: there is no such position.
        """
        if isinstance(index, slice):
            return dataset(cut(self.node, index))
        if is_vector(index):
            return self.select(index)
        return self._reading().item(self.node, self._place(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write through to the source: one item, or as many as a slice, a list of positions or a mask names.

        A description never changes; what it describes may. Lists and arrays can be written to, through slices,
        selections, ``concat``, ``zip``, ``batch``, ``repeat``, ``shuffle`` (in the order of epoch 0) and the like;
        behind ``map`` nobody knows what to write. Workers that have been started have their own copy.

        Raises:
            IndexError: there is no such position.
            ArgumentTypeError: a step, or the source, cannot be written to; names it.
            ArgumentError: there are more or fewer values than places, or a value does not fit.

        >>> import numpy as np, penstock as ps
        >>> x = np.arange(6)
        >>> even = ps.arrays(x)[::2]
        >>> even[1] = 20
        >>> even[1:] = [21, 41]
        >>> x
        array([ 0,  1, 21,  3, 41,  5])
        """
        read = self._reading()
        if not isinstance(index, slice) and not is_vector(index):
            read.assign(self.node, self._place(index), value)
            return
        node = cut(self.node, index) if isinstance(index, slice) else picked(self.node, index)
        count = node.length()
        if count is None:
            raise ArgumentError(f"{node.label()} = …: this part has no end. Say where it stops.")
        values = list(value.copy() if isinstance(value, np.ndarray) else value)  # it may be a view of the same memory
        if len(values) != count:
            raise ArgumentError(f"{node.label()} = …: there are {count} places and {len(values)} values.")
        read = Reading(Plan(node))
        for place, one in enumerate(values):
            read.assign(node, place, one)

    def _place(self, index: Any) -> int:
        """Return a position from the front, checked."""
        try:
            place = as_index(index)
        except TypeError:
            raise ArgumentTypeError(
                f"a sequence is indexed by whole numbers or slices, or lists of such, not by {short(index)}. "
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
        return place

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

    def select(self, indices: Any) -> Self:
        """Return the items at explicit positions, in that order; ``dataset[[3, 1, 4]]`` is the same.

        Args:
            indices: whole numbers (a list, an array, a range), each checked at once, negative ones counted from the
                end, repeated ones allowed; or a mask: a boolean for every item.

        Costs 8 bytes per position, or nothing for a range. Selections of selections, and of slices, read their source
        by one vector of positions.

        Raises:
            IndexError: there is no such position.

        >>> import numpy as np, penstock as ps
        >>> letters = ps.items(["a", "b", "c", "d"])
        >>> list(letters.select([3, 0, -2])), list(letters[np.array([True, False, False, True])])
        (['d', 'a', 'c'], ['a', 'd'])
        """
        return cast("Self", dataset(picked(self.node, indices)))

    def split(
        self,
        *shares: float,
        parts: int | None = None,
        edges: Any = None,
        seed: int | None = None,
        stratify: Any = None,
        groups: Any = None,
    ) -> list[Self]:
        """Divide the dataset into parts that have no item in common.

        Args:
            shares: fractions, ``split(0.8, 0.2)``, or counts, ``split(1000, 200)``. What they leave over is in no part.
                Fractions are rounded so that those that sum to 1 cover everything.
            parts: so many parts, whose sizes differ by one at most.
            edges: positions to cut at: ``edges=[100, 200]`` gives ``[:100]``, ``[100:200]`` and ``[200:]``.
            seed: choose at random, by a keyed permutation: each part has its items in a random order. Without it, parts
                keep the order, and without the two below they are neighbouring items.
            stratify: a label for every item: every part has the same share of each label, to within rounding.
            groups: a label for every item: no label is in two parts. Sizes are then as near as whole groups come; the
                largest groups are placed first, or with a seed at random. With ``stratify``, shares of labels, too.

        Parts are the same on every machine and in every epoch. Those of neighbours cost nothing, others 8 bytes per
        item.

        Raises:
            ArgumentError: the parts are more than there is, or a label is missing.

        >>> import penstock as ps
        >>> train, test = ps.range(10).split(0.8, 0.2)
        >>> list(test), [len(part) for part in ps.range(10).split(parts=3)]
        ([8, 9], [4, 3, 3])
        >>> train, test = ps.range(8).split(0.75, 0.25, seed=1, stratify=[0, 0, 0, 0, 1, 1, 1, 1])
        >>> sorted(x // 4 for x in test)
        [0, 1]
        """
        length = self.node.length()
        options = {"parts": parts, "edges": edges, "seed": seed, "stratify": stratify, "groups": groups}
        where = f"split({', '.join([*map(str, shares), *said(options)])})"
        plan = Division(where, length, seed, stratify, groups)
        if edges is not None:
            if shares or parts is not None or not plan.plain:
                raise ArgumentError(f"{where}: edges= cuts at positions, and nothing else can be said beside it.")
            cuts = edges_of(edges, length, where)
            pairs = zip([0, *cuts], [*cuts, None], strict=True)
            nodes = [cut(self.node, slice(start, stop)) for start, stop in pairs]
            return [cast("Self", dataset(node)) for node in nodes]
        sizes = sizes_of(shares, parts, length, where)
        if plan.plain:
            starts = accumulate(sizes, initial=0)  # one more than there are sizes
            named = [(start, size, f"{where}[{n}]") for n, (start, size) in enumerate(zip(starts, sizes, strict=False))]
            return [cast("Self", dataset(Slice(self.node, start, 1, size, text))) for start, size, text in named]
        found = plan.parts(sizes)
        return [cast("Self", dataset(Select(self.node, p, f"{where}[{number}]"))) for number, p in enumerate(found)]

    def folds(
        self, count: int, *, seed: int | None = None, stratify: Any = None, groups: Any = None
    ) -> list[tuple[Self, Self]]:
        """Return pairs ``(train, held out)`` for cross-validation: every item is held out once.

        Args:
            count: how many pairs, at least 2.
            seed: choose at random, as in ``split``.
            stratify: a label for every item, as in ``split``.
            groups: a label for every item, as in ``split``: no group is in both of a pair.

        Costs 8 bytes per item and pair.

        >>> import penstock as ps
        >>> [(list(train), list(test)) for train, test in ps.range(4).folds(2)]
        [([2, 3], [0, 1]), ([0, 1], [2, 3])]
        """
        count = whole(count, "folds()", "count", least=2)
        where = f"folds({', '.join([str(count), *said({'seed': seed, 'stratify': stratify, 'groups': groups})])})"
        length = self.node.length()
        held = Division(where, length, seed, stratify, groups).parts(sizes_of((), count, length, where))
        pairs = []
        for number, mine in enumerate(held):
            others = np.concatenate([part for part in held if part is not mine])
            train = Select(self.node, np.sort(others) if seed is None else others, f"{where}[{number}][0]")
            pairs.append((dataset(train), dataset(Select(self.node, mine, f"{where}[{number}][1]"))))
        return cast("list[tuple[Self, Self]]", pairs)

    def repeat_each(self, times: int) -> Self:
        """Return every item ``times`` times in a row: several random views of one image, say.

        Args:
            times: 0 or more. Random steps in front draw once for all repetitions, those behind for each.

        Items that are read together (in one batch) are computed once and copied; those read one by one are computed
        each time.

        >>> import penstock as ps
        >>> list(ps.range(3).repeat_each(2))
        [0, 0, 1, 1, 2, 2]
        """
        return cast("Self", dataset(RepeatEach(self.node, times)))

    def windows(self, size: int, step: int = 1, *, collate: Callable[[Any], Any] | None = None) -> Sequence[Any]:
        """Slide along the dataset: item i is ``size`` neighbouring items, the first of them number ``i * step``.

        Args:
            size: items per window, at least 1. Only whole windows are given.
            step: how many items later the next window begins, at least 1.
            collate: makes a window of a list of items; by default they are stacked, as by ``batch``.
                ``collate=tuple`` gives n-grams.

        Any window is read by itself. What overlapping windows share is computed once where they are read together.

        >>> import penstock as ps
        >>> list(ps.range(4).windows(2, collate=tuple))
        [(0, 1), (1, 2), (2, 3)]
        >>> [window.tolist() for window in ps.range(7).windows(3, step=2)]
        [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
        """
        return cast("Sequence[Any]", dataset(Windows(self.node, size, step, stack if collate is None else collate)))


def picked(node: Node, indices: Any) -> Node:
    """Return the step that selects positions: a slice for a range, which needs no memory."""
    if isinstance(indices, range):
        found = whole_range(indices, node.length())
        if found is not None:
            return Slice(node, found.start, found.step, len(found), f"select({indices!r})")
    text = ""
    if is_mask(indices):
        where = positions(indices, node.length(), "select()")
        text, indices = f"select(mask with {len(where)} of {len(indices)})", where
    return Select(node, indices, text)


def is_mask(value: Any) -> bool:
    """Tell whether a value is a vector of booleans."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype == np.bool_)
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], (bool, np.bool_))


def is_vector(value: Any) -> bool:
    """Tell whether an index names many positions, as NumPy understands it."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iub"
    if isinstance(value, list):
        return all(isinstance(entry, (int, np.integer, np.bool_)) for entry in value)
    return isinstance(value, range)


def said(options: dict[str, Any]) -> list[str]:
    """Return the options that were given, as they are written; labels for every item are only named."""
    return [
        f"{name}={value!r}" if isinstance(value, int) else f"{name}=…"
        for name, value in options.items()
        if value is not None
    ]


def counted(count: int, where: str) -> int:
    """Return a count, checked."""
    return whole(count, where, "count")


def dataset(node: Node) -> Dataset[Any]:
    """Return the dataset over a node: a Sequence where it has positions, else a Stream."""
    return Sequence(node) if node.positional else Stream(node)
