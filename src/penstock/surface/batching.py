"""Batching: several items as one, and back."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from collections.abc import Sequence as Listed
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import whole
from penstock.graph.items import stack
from penstock.graph.packing import Packing
from penstock.operations.batch import Batch
from penstock.operations.batch_by import BatchBy, BatchWhile
from penstock.operations.batch_sizes import BatchSizes
from penstock.operations.group import WITHIN, Bucket, Group
from penstock.operations.pack import Pack
from penstock.operations.rebatch import Rebatch
from penstock.operations.sort_within import SortWithin
from penstock.operations.unbatch import Unbatch
from penstock.operations.unbatch_sized import UnbatchSized
from penstock.surface.described import Described

if TYPE_CHECKING:
    from penstock.sequence import Sequence
    from penstock.stream import Stream

    Collate = Callable[[Any], Any] | None
    Size = int | Listed[int] | Callable[[int], int]

T_co = TypeVar("T_co", covariant=True)


class Batching(Described[T_co]):
    """Operations that join items, and take them apart."""

    __slots__ = ()

    @overload
    def batch(  # type: ignore[misc]
        self: Sequence[T_co], size: Size, *, last: str = ..., collate: Collate = ..., mask: str = ..., fill: Any = ...
    ) -> Sequence[Any]: ...
    @overload
    def batch(  # type: ignore[misc]
        self: Stream[T_co], size: Size, *, last: str = ..., collate: Collate = ..., mask: str = ..., fill: Any = ...
    ) -> Stream[Any]: ...
    def batch(
        self, size: Size, *, last: str = "keep", collate: Collate = None, mask: str = "mask", fill: Any = None
    ) -> Any:
        """Join neighbouring items.

        Args:
            size: items per batch, at least 1; or a schedule: a list of sizes, the last of which stays, or a function
                of the batch's number.
            last: what becomes of a short last batch: ``"keep"`` it, ``"drop"`` it, ``"error"``, or ``"pad"`` it to its
                size. With ``"pad"`` every batch has a mask, True for what is real: one field more where batches are
                dicts, else the batch becomes a pair ``(batch, mask)``. It also gives all ranks equal parts.
            collate: makes a batch of a list of items. By default arrays and numbers are stacked along a new first
                axis, field by field in dicts, tuples and dataclasses, and everything else becomes a list.
                ``collate=list`` keeps the items; ``collate=Pad()`` stacks arrays of different shapes.
            mask: the name of the mask's field.
            fill: the item that pads; by default the last one is copied.

        >>> import penstock as ps
        >>> [batch.tolist() for batch in ps.range(5).batch(2)]
        [[0, 1], [2, 3], [4]]
        >>> [batch.tolist() for batch in ps.range(7).batch([1, 2, 3])]
        [[0], [1, 2], [3, 4, 5], [6]]
        >>> ps.range(3).batch(2, last="pad")[1]
        (array([2, 2]), array([ True, False]))
        """
        collation = stack if collate is None else collate
        if callable(size) or isinstance(size, (list, tuple)) or np.ndim(size):
            if mask != "mask" or fill is not None or last == "pad":
                raise ArgumentError('batch(): last="pad", with its mask and fill, is for batches of one size.')
            return self._wrap(BatchSizes(self.node, cast("Any", size), last, collation))
        return self._wrap(Batch(self.node, cast("int", size), last, collation, mask=mask, fill=fill))

    def batch_by(  # noqa: PLR0913  a budget has many sides, and most calls name two
        self,
        budget: float,
        size: Callable[[Any], float],
        *,
        last: str = "keep",
        max_items: int | None = None,
        padded: bool = False,
        oversize: str = "error",
        collate: Collate = None,
    ) -> Stream[Any]:
        """Join neighbouring items, as many as fit into a budget: of tokens, voxels, bytes.

        Args:
            budget: the sum of sizes that a batch may have.
            size: called with an item, returns its size: a number of 0 or more.
            last: ``"keep"`` the last batch, which the end cuts short, or ``"drop"`` it.
            max_items: items that a batch may have at the most.
            padded: count every item as large as the largest of its batch, as it is when all are padded to it.
            oversize: what becomes of an item above the budget: ``"error"``, ``"alone"`` in a batch of its own, or
                ``"drop"``.
            collate: as in ``batch``.

        Items are measured and collated in the caller. The state is the position of the next batch's first item.

        >>> import penstock as ps
        >>> list(ps.items(["aa", "b", "cccc", "d"]).batch_by(4, len))
        [['aa', 'b'], ['cccc'], ['d']]
        """
        collation = stack if collate is None else collate
        return cast(
            "Stream[Any]", self._wrap(BatchBy(self.node, budget, size, last, max_items, padded, oversize, collation))
        )

    def batch_while(
        self, predicate: Callable[[list[T_co], T_co], Any], *, last: str = "keep", collate: Collate = None
    ) -> Stream[Any]:
        """Join neighbouring items while ``predicate(items so far, next item)`` is true.

        Args:
            predicate: asked for every item but the first of a batch; where it is false, that item begins the next.
            last: ``"keep"`` the last batch, which the end cuts short, or ``"drop"`` it.
            collate: as in ``batch``.

        >>> import penstock as ps
        >>> list(ps.items([1, 2, 5, 6, 7, 1]).batch_while(lambda items, item: item == items[-1] + 1, collate=list))
        [[1, 2], [5, 6, 7], [1]]
        """
        collation = stack if collate is None else collate
        return cast("Stream[Any]", self._wrap(BatchWhile(self.node, predicate, last, collation)))

    def group(  # noqa: PLR0913  each has a default that serves most
        self,
        key: Callable[[Any], Hashable],
        size: int,
        *,
        last: str = "keep",
        open: int = 16,
        within: int = WITHIN,
        collate: Collate = None,
    ) -> Stream[Any]:
        """Join items that belong together: of one shape, one label. Batches come in the order in which they fill.

        Args:
            key: called with an item; items for which it returns the same, which must be hashable, are joined.
            size: items per batch.
            last: what becomes of a group that is closed before it has ``size`` items: ``"keep"`` or ``"drop"`` it.
            open: groups that are open at once, up to 64; the oldest is closed for one more.
            within: a group is closed when so many items have come since its first. A resume reads that many again at
                the most; so few items are held, too.
            collate: as in ``batch``.

        >>> import penstock as ps
        >>> list(ps.items(["a", "bb", "cc", "d", "e"]).group(len, 2))
        [['bb', 'cc'], ['a', 'd'], ['e']]
        """
        collation = stack if collate is None else collate
        return cast("Stream[Any]", self._wrap(Group(self.node, key, size, last, open, within, collation)))

    def bucket(  # noqa: PLR0913  each has a default that serves most
        self,
        size: Callable[[Any], float],
        boundaries: Listed[float],
        count: int | Listed[int] | None = None,
        *,
        budget: float | None = None,
        last: str = "keep",
        within: int = WITHIN,
        collate: Collate = None,
    ) -> Stream[Any]:
        """Join items of similar size, so that little is padded: each batch is of one bucket.

        Args:
            size: called with an item, returns its size: a number of 0 or more.
            boundaries: sizes that part the buckets, growing: n of them make n + 1 buckets. An item as large as a
                boundary belongs above it.
            count: items per batch, or one such number for every bucket.
            budget: instead of ``count``: as many items as fit when all are padded to the largest of the batch. An item
                above it is an error.
            last: what becomes of a bucket that is closed before it is full: ``"keep"`` or ``"drop"`` it.
            within: a bucket is closed when so many items have come since its first; a resume reads that many again.
            collate: as in ``batch``; ``Pad()``, mostly.

        >>> import penstock as ps
        >>> words = ps.items([[1], [1, 2, 3], [4], [4, 5, 6, 7]])
        >>> [batch.tolist() for batch in words.bucket(len, [2], 2, collate=ps.Pad())]
        [[[1], [4]], [[1, 2, 3, 0], [4, 5, 6, 7]]]
        """
        collation = stack if collate is None else collate
        bounds: Any = boundaries
        made = Bucket(self.node, size, bounds, cast("Any", count), budget, last, within, collation)
        return cast("Stream[Any]", self._wrap(made))

    def sort_within(
        self, size: int, *, key: Callable[[T_co], Any] | None = None, reverse: bool = False
    ) -> Stream[T_co]:
        """Sort every stretch of ``size`` items, so that neighbours are alike; equal ones keep their order.

        Args:
            size: items per stretch.
            key: what is compared, a function of the item; the item itself by default.
            reverse: the largest first.

        Stretches are sorted by the workers. The state is the position of the stretch, and how many of its items are
        gone.

        >>> import penstock as ps
        >>> list(ps.items(["ccc", "a", "bb", "dddd", "e"]).sort_within(3, key=len))
        ['a', 'bb', 'ccc', 'e', 'dddd']
        """
        stretches = Batch(self.node, whole(size, "sort_within()", "size", least=1), "keep", list)
        return cast("Stream[T_co]", self._wrap(SortWithin(stretches, stretches.size, key, reverse)))

    def rebatch(self, size: int, *, last: str = "keep") -> Stream[Any]:
        """Make batches of ``size`` rows of batches of any size: arrays are cut and joined, not taken apart.

        Args:
            size: rows per batch.
            last: what becomes of a short last batch: ``"keep"`` it, ``"drop"`` it, or ``"error"``.

        >>> import penstock as ps
        >>> [batch.tolist() for batch in ps.range(7).batch(3).rebatch(4)]
        [[0, 1, 2, 3], [4, 5, 6]]
        """
        return cast("Stream[Any]", self._wrap(Rebatch(self.node, size, last)))

    def pack(
        self, budget: int, *, how: str = "best_fit", open: int = Packing.open, oversize: str = "error", value: Any = 0
    ) -> Stream[dict[str, Any]]:
        """Put sequences of tokens together into rows of one length.

        Args:
            budget: tokens per row.
            how: ``"best_fit"``: each item goes into the open row that it fits best; ``"first_fit"``: into the oldest
                that has room; ``"concat_split"``: items stand end to end and are cut where a row ends.
            open: rows that are open at once, up to 64; where an item fits into none, the oldest is closed.
            oversize: what becomes of an item above the budget: ``"error"``, ``"truncate"`` it, ``"split"`` it into
                pieces that are packed like items, or ``"drop"`` it.
            value: what the rest of a row is filled with: a number, or a dict of numbers by field.

        Items are arrays with one axis, lists of numbers, or dicts of these, all of one length and with the same types;
        those without tokens are passed over. Rows are dicts of the same fields (``tokens``, where items are not dicts),
        ``segment_ids``, which count the items of the row from 1 on and are 0 where it is padded, and ``positions``
        within each item, from 0 on, or within each piece of it. ``(row["segment_ids"] == 0).mean()`` is the share of
        padding; ``Packing(budget).plan(lengths)`` tells it beforehand.

        Rows are filled in the caller. The state is the position of the first item of the oldest open row, and the room
        in the rows that were open then: a resume reads about as many items again as are in the open rows.

        >>> import penstock as ps
        >>> rows = ps.items([[5, 6, 7], [8, 9], [4]]).pack(5)
        >>> for row in rows:
        ...     row["tokens"].tolist(), row["segment_ids"].tolist(), row["positions"].tolist()
        ([5, 6, 7, 8, 9], [1, 1, 1, 2, 2], [0, 1, 2, 0, 1])
        ([4, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0])
        """
        made = Pack(self.node, Packing(budget, how=how, open=open), oversize, value)
        return cast("Stream[dict[str, Any]]", self._wrap(made))

    @overload
    def unbatch(self) -> Stream[Any]: ...
    @overload
    def unbatch(self, *, size: int, total: int | None = None) -> Sequence[Any]: ...
    @overload
    def unbatch(self, *, sizes: Any) -> Sequence[Any]: ...
    def unbatch(self, *, size: int | None = None, total: int | None = None, sizes: Any = None) -> Any:
        """Take batches apart into their rows: the reverse of ``batch``. Where their sizes are said, a Sequence.

        Args:
            size: how many rows each batch of a Sequence has; the last one may have fewer, if ``total`` says so.
            total: how many rows there are in all; by default as many as full batches have, or, directly behind
                ``batch``, as many as went in.
            sizes: how many rows each batch has, one by one.

        Without sizes the result is a Stream. With them, reading one row computes its batch, and keeps that for its
        neighbours; a batch with another number of rows than was said is an error when it is read.

        >>> import penstock as ps
        >>> rows = ps.range(5).batch(2).map(lambda x: x + 100).unbatch(size=2, total=5)
        >>> len(rows), int(rows[-1])
        (5, 104)
        >>> import penstock as ps
        >>> list(ps.items([[1, 2], [3]]).unbatch())
        [1, 2, 3]
        """
        if size is None and total is None and sizes is None:
            return self._wrap(Unbatch(self.node))
        if total is None and size is not None and isinstance(self.node, Batch) and self.node.last in ("keep", "error"):
            total = self.node.items
        return self._wrap(UnbatchSized(self.node, size, total, sizes))
