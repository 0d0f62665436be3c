"""Items in bulk: Rows (aligned arrays read as items), stacking items into a batch, and taking a batch apart.

    items   {"image": (3, 4) u1, "label": 7}, {"image": (3, 4) u1, "label": 2}, …
    batch   {"image": (n, 3, 4) u1, "label": (n,) i8}

Dictionaries, tuples, named tuples and dataclasses are taken apart, field by field; what NumPy can see as an array is
stacked, in memory that travels without a copy; everything else, lists included, becomes a list of what it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from penstock.errors import CollateError
from penstock.graph.checking import short
from penstock.graph.context import empty

Columns = NDArray[Any] | tuple[NDArray[Any], ...] | dict[str, NDArray[Any]]

PLAIN = (str, bytes, bytearray, type(None))  # these stay as they are: a batch of them is a list
QUICK = {int: np.int64, float: np.float64, bool: np.bool_}  # what np.array would make of them, in half the time
NUMBERS = (bool, int, float, complex, np.generic)


class Rows(Sequence[Any]):
    """Aligned arrays, read as a sequence of items: row i of each."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Columns, count: int) -> None:
        self.columns = columns
        self.rows = count

    def __len__(self) -> int:
        return self.rows

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            count = len(range(*index.indices(self.rows)))
            columns = self.columns
            return Rows(columns[index] if isinstance(columns, np.ndarray) else each(columns, lambda c: c[index]), count)
        if not -self.rows <= index < self.rows:
            raise IndexError(index)
        return each(self.columns, lambda c: c[index])

    def batches(self, size: int) -> list[Any]:
        """Cut the rows into batches, which are views."""
        columns = self.columns
        starts = range(0, self.rows, size)
        if isinstance(columns, np.ndarray):
            return [columns[start : start + size] for start in starts]
        if isinstance(columns, tuple):
            return [tuple([c[start : start + size] for c in columns]) for start in starts]
        return [{name: c[start : start + size] for name, c in columns.items()} for start in starts]

    def __iter__(self) -> Iterator[Any]:
        columns = self.columns
        if isinstance(columns, np.ndarray):
            return iter(columns)
        if isinstance(columns, tuple):
            return zip(*columns, strict=True)
        names = list(columns)
        return (dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True))


def each(columns: Columns, function: Callable[[Any], Any]) -> Any:
    """Apply a function to every column and keep the structure."""
    if isinstance(columns, tuple):
        return tuple([function(column) for column in columns])
    if isinstance(columns, dict):
        return {name: function(column) for name, column in columns.items()}
    return function(columns)


def is_namedtuple(value: object) -> bool:
    """Tell whether a value is an instance of a named tuple's class."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


def stack(items: Sequence[Any]) -> Any:
    """Stack items into one batch: the default ``collate``.

    Args:
        items: at least one item, all of one structure.

    Raises:
        CollateError: the items differ in structure or shape; names the field.

    >>> stack([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': array([1, 2]), 'name': ['a', 'b']}
    """
    if isinstance(items, Rows):
        return items.columns
    return _stack(items if isinstance(items, list) else list(items), "")


def _stack(items: list[Any], field: str) -> Any:
    first = items[0]
    if isinstance(first, np.ndarray):
        return _stack_arrays(items, field)
    if isinstance(first, PLAIN):
        _all_of(items, PLAIN, field)
        return items
    if isinstance(first, NUMBERS):
        return _stack_numbers(items, field)
    if isinstance(first, Mapping):
        return _stack_mappings(items, field)
    if isinstance(first, list):
        _all_of(items, list, field)
        return items
    if isinstance(first, tuple):
        return _stack_tuples(items, field)
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        names = [f.name for f in dataclasses.fields(first) if f.init]
        _alike(items, field)
        return type(first)(**{n: _stack([getattr(item, n) for item in items], _join(field, n)) for n in names})
    if hasattr(first, "__array__") or hasattr(first, "__array_interface__"):  # torch tensors, PIL images, …
        return _stack_arrays([np.asarray(item) for item in items], field)
    return items


def _stack_arrays(items: list[Any], field: str) -> Any:
    first = items[0]
    shape, dtype = first.shape, first.dtype
    if isinstance(first, np.ma.MaskedArray):
        raise CollateError(
            f"{_where(field)}masked arrays would lose their masks. Return data and mask as two fields from a map() "
            "before batch(), or keep the items: collate=list."
        )
    for item in items:
        if not isinstance(item, np.ndarray) or item.shape != shape:
            raise CollateError(_ragged(items, field))
        if item.dtype != dtype:
            dtype = _common(dtype, item.dtype, field)
    if dtype.hasobject:
        return items
    batch = empty((len(items), *shape), dtype)
    for place, item in enumerate(items):
        batch[place] = item
    return batch


def _common(a: np.dtype[Any], b: np.dtype[Any], field: str) -> np.dtype[Any]:
    try:
        return np.result_type(a, b)
    except TypeError:
        raise CollateError(
            f"{_where(field)}arrays of dtypes {a} and {b} have no common dtype to be stacked in. "
            "Convert them in a map() before batch(), or keep the items: collate=list."
        ) from None


def _stack_numbers(items: list[Any], field: str) -> Any:
    kinds = _all_of(items, NUMBERS, field)
    try:
        if len(kinds) == 1 and (plain := QUICK.get(next(iter(kinds)))) is not None:
            return np.fromiter(items, plain, len(items))
    except OverflowError:
        pass  # beyond 64 bits
    try:
        batch = np.array(items)
    except OverflowError:
        return items
    except TypeError:
        raise CollateError(_unlike(items[0], items[-1], field)) from None
    rounded = batch.dtype.kind == "f" and all(issubclass(kind, (int, np.integer)) for kind in kinds)
    return items if batch.dtype.hasobject or rounded else batch  # whole numbers beyond 64 bits stay whole


def _all_of(items: list[Any], kinds: type | tuple[type, ...], field: str) -> set[type]:
    found = set(map(type, items))
    for kind in found:
        if not issubclass(kind, kinds) or (kinds is NUMBERS and issubclass(kind, PLAIN)):
            other = next(item for item in items if type(item) is kind)
            raise CollateError(_unlike(items[0], other, field))
    return found


def _stack_mappings(items: list[Any], field: str) -> Any:
    first = items[0]
    names = first.keys()
    # Plain dicts of one length are taken apart without a look at each; a name that one of them lacks is a KeyError.
    if set(map(type, items)) == {dict} and set(map(len, items)) == {len(first)} and len(first) > 1:
        try:
            columns = zip(*map(itemgetter(*names), items), strict=True)
            return {n: _stack(list(c), _join(field, n)) for n, c in zip(names, columns, strict=True)}
        except KeyError:
            pass  # described below
    for item in items:
        if not isinstance(item, Mapping) or item.keys() != names:
            raise CollateError(_unlike(first, item, field))
    return {name: _stack([item[name] for item in items], _join(field, name)) for name in first}


def _stack_tuples(items: list[Any], field: str) -> Any:
    first = items[0]
    _alike(items, field)
    for item in items if len(set(map(len, items))) > 1 else ():
        if len(item) != len(first):
            raise CollateError(
                f"{_where(field)}a {type(first).__name__} has {len(first)} entries in one item and {len(item)} in "
                f"another. Bring them to one length in a map() before batch(), or keep the items: collate=list."
            )
    columns = [_stack(list(column), _join(field, k)) for k, column in enumerate(zip(*items, strict=True))]
    return type(first)(*columns) if is_namedtuple(first) else tuple(columns)


def _alike(items: list[Any], field: str) -> None:
    for item in items if len(set(map(type, items))) > 1 else ():
        if type(item) is not type(items[0]):
            raise CollateError(_unlike(items[0], item, field))


def _join(field: str, name: object) -> str:
    return f"{field}[{name!r}]"


def _where(field: str) -> str:
    return f"field {field}: " if field else ""


def _unlike(first: object, other: object, field: str) -> str:
    return (
        f"{_where(field)}the items of one batch differ: {short(first)} and {short(other)}. "
        "Give them one structure in a map() before batch(), or keep the items: collate=list."
    )


def _ragged(items: list[Any], field: str) -> str:
    first = items[0]
    other = next(i for i in items if not isinstance(i, np.ndarray) or i.shape != first.shape)
    if not isinstance(other, np.ndarray):
        return _unlike(first, other, field)
    place = next(k for k, i in enumerate(items) if i is other)
    return (
        f"{_where(field)}arrays of different shapes cannot be stacked: {first.shape} in the first item of the batch, "
        f"{other.shape} in item {place}. Pad them: collate=Pad(); crop or resize them in a map() before batch(); "
        "or keep the items: collate=list."
    )


def unstack(batch: Any) -> Sequence[Any]:
    """Take a batch apart into its items: the reverse of ``stack``.

    Raises:
        CollateError: the value has no rows, or its fields have different numbers of them.
    """
    if isinstance(batch, np.ndarray):
        if batch.ndim == 0:
            raise CollateError(f"unbatch(): an array without axes has no rows: {short(batch)}.")
        return batch  # type: ignore[return-value]  # an array is a sequence of its rows
    if isinstance(batch, list):
        return batch
    if isinstance(batch, Mapping):
        columns = [unstack(value) for value in batch.values()]
        _same_count(batch, columns)
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(batch, tuple):
        columns = [unstack(value) for value in batch]
        _same_count(batch, columns)
        rows = zip(*columns, strict=True)
        return [type(batch)(*row) for row in rows] if is_namedtuple(batch) else list(rows)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [f.name for f in dataclasses.fields(batch) if f.init]
        columns = [unstack(getattr(batch, name)) for name in names]
        _same_count(batch, columns)
        return [type(batch)(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
    raise CollateError(
        f"unbatch(): {short(batch)} is not a batch. A batch is an array, a list, or a dict, tuple or dataclass of them."
    )


def _same_count(batch: object, columns: list[Sequence[Any]]) -> None:
    counts = {len(column) for column in columns}
    if len(counts) > 1:
        raise CollateError(f"unbatch(): the fields of a batch have different numbers of rows: {short(batch)}.")


def merge(parts: Sequence[tuple[Any, Sequence[Any]]], count: int) -> Sequence[Any]:
    """Put gathered parts back into one order.

    Args:
        parts: pairs of the places (a slice, or a vector of whole numbers) and the items that belong there.
        count: how many items there are in all.
    """
    if len(parts) == 1:
        return parts[0][1]
    rows = [items for _, items in parts if isinstance(items, Rows)]
    if len(rows) == len(parts) and count and len({_shape(r.columns) for r in rows}) == 1:
        columns = each(rows[0].columns, lambda c: empty((count, *c.shape[1:]), c.dtype))
        for where, items in parts:
            for target, source in zip(_arrays(columns), _arrays(items.columns), strict=True):  # type: ignore[attr-defined]
                target[where] = source
        return Rows(columns, count)
    merged: list[Any] = [None] * count
    for where, items in parts:
        places = range(*where.indices(count)) if isinstance(where, slice) else where.tolist()
        for place, item in zip(places, items, strict=True):
            merged[place] = item
    return merged


def _arrays(columns: Columns) -> list[NDArray[Any]]:
    if isinstance(columns, dict):
        return list(columns.values())
    return list(columns) if isinstance(columns, tuple) else [columns]


def _shape(columns: Columns) -> object:
    names = tuple(columns) if isinstance(columns, dict) else type(columns)
    return names, tuple((c.shape[1:], c.dtype.str) for c in _arrays(columns))
