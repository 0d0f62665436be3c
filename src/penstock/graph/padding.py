"""Pad: a collation of ragged arrays, which brings them to the shape of the largest.

[1 2 3]       1 2 3
[4]      ──>  4 0 0     and, where it is asked for, a mask of what is real
[5 6]         5 6 0
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError, CollateError
from penstock.graph.checking import name_of, short, whole
from penstock.graph.context import empty
from penstock.graph.items import is_namedtuple, stack

SIDES = {"right": 0.0, "left": 1.0}
SUFFIX = "_mask"
NOT = object()  # a field that no value was given for: it is stacked as it is


@dataclass(frozen=True)
class Pad:
    """A collation for ``batch(collate=…)``: arrays are padded to the largest of the batch, then stacked.

    Args:
        value: what the padding consists of: a number; a function that is called with the array and returns one; or a
            dict of these by field, or a tuple by place, as deep as the items are. Fields that it does not name are
            stacked as they are.
        side: where the padding goes: ``"right"`` (behind), ``"left"`` (before), or the share of it that goes before,
            from 0 to 1. A dict or tuple as above is welcome.
        axes: which axes of an item are padded: a number or several; all by default. The others must agree.
        multiple_of: lengths of padded axes are rounded up to a multiple of this number.
        mask: where this is a text (True stands for ``"_mask"``), every padded field of a dict gets a companion with
            this text behind its name: True where a value is real, of the shape of the batch along the padded axes.
            Outside dicts an array becomes a pair of array and mask.

    Lists of numbers count as arrays. Types stay as they are: a value that the array's type cannot hold is an error.

    >>> import penstock as ps
    >>> words = ps.items([[1, 2, 3], [4], [5, 6]])
    >>> words.batch(3, collate=ps.Pad(-1))[0].tolist()
    [[1, 2, 3], [4, -1, -1], [5, 6, -1]]
    """

    value: Any = 0
    _: KW_ONLY
    side: Any = "right"
    axes: int | tuple[int, ...] | None = None
    multiple_of: int = 1
    mask: str | bool | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        put = object.__setattr__
        put(self, "multiple_of", whole(self.multiple_of, "Pad()", "multiple_of", least=1))
        if isinstance(self.axes, bool) or not isinstance(self.axes, (int, tuple, list, type(None))):
            raise ArgumentTypeError(f"Pad(): axes must be whole numbers, not {short(self.axes)}.")
        if isinstance(self.axes, (tuple, list)):
            put(self, "axes", tuple(whole(axis, "Pad()", "an axis", least=-99) for axis in self.axes))
        if not isinstance(self.mask, (str, bool, type(None))) or self.mask == "":  # type: ignore[redundant-expr]
            raise ArgumentTypeError(f"Pad(): mask must be the ending of the masks' names, not {short(self.mask)}.")
        for leaf in leaves(self.side):
            if not (leaf in SIDES if isinstance(leaf, str) else is_share(leaf)):
                raise ArgumentError(
                    f'Pad(): side must be "right", "left" or the share of the padding that goes before, 0 to 1, '
                    f"not {short(leaf)}."
                )
        for leaf in leaves(self.value):
            if isinstance(leaf, str) and leaf in SIDES:
                raise ArgumentTypeError(f"Pad(): value is what the padding consists of. Say side={leaf!r}.")
            if not callable(leaf) and np.ndim(leaf):
                raise ArgumentTypeError(f"Pad(): value must be a number or a function, not {short(leaf)}.")

    @property
    def pure(self) -> bool:
        """Whether no function of the user runs."""
        return not any(map(callable, leaves(self.value)))

    def __call__(self, items: Sequence[Any]) -> Any:
        """Return the batch."""
        return self.pad(list(items), self.value, self.side, "")

    def __repr__(self) -> str:
        said = []
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if type(value) is not type(f.default) or value != f.default:
                said.append(f"{f.name}={name_of(value) if callable(value) else repr(value)}")
        return f"Pad({', '.join(said)})"

    @property
    def suffix(self) -> str | None:
        """The ending of the masks' names, if masks are wanted."""
        return SUFFIX if self.mask is True else self.mask or None

    def pad(self, items: list[Any], value: Any, side: Any, field: str) -> Any:
        """Pad and stack one field."""
        first = items[0]
        if value is NOT or isinstance(first, (str, bytes)):
            return stack(items)
        if isinstance(first, Mapping):
            return self.mappings(items, value, side, field)
        if isinstance(first, tuple):
            alike(items, lambda item: isinstance(item, tuple) and len(item) == len(first), field)
            columns = enumerate(zip(*items, strict=True))
            made = [self.pad(list(c), entry(value, k), entry(side, k), f"{field}[{k}]") for k, c in columns]
            return type(first)(*made) if is_namedtuple(first) else tuple(made)
        if dataclasses.is_dataclass(first) and not isinstance(first, type):
            alike(items, lambda item: type(item) is type(first), field)
            fields = {f.name: [getattr(item, f.name) for item in items] for f in dataclasses.fields(first) if f.init}
            return type(first)(
                **{n: self.pad(c, entry(value, n), entry(side, n), f"{field}[{n!r}]") for n, c in fields.items()}
            )
        if isinstance(first, (Mapping, str, bytes)) or not is_arraylike(first):
            return stack(items)
        padded, mask = self.arrays([as_array(item, field) for item in items], value, side, field)
        return padded if mask is None else (padded, mask)

    def mappings(self, items: list[Any], value: Any, side: Any, field: str) -> dict[str, Any]:
        """Pad and stack dicts, field by field; masks stand beside their fields."""
        first = items[0]
        alike(items, lambda item: isinstance(item, Mapping) and item.keys() == first.keys(), field)
        made: dict[str, Any] = {}
        for name in first:
            where = f"{field}[{name!r}]"
            column = [item[name] for item in items]
            padding = entry(value, name)
            if padding is NOT:
                made[name] = stacked(column, where)
            elif is_arraylike(column[0]):
                arrays = [as_array(item, where) for item in column]
                made[name], mask = self.arrays(arrays, padding, entry(side, name), where)
                if mask is not None:
                    made[f"{name}{self.suffix}"] = mask
            else:
                made[name] = self.pad(column, padding, entry(side, name), where)
        return made

    def arrays(
        self, items: list[NDArray[Any]], value: Any, side: Any, field: str
    ) -> tuple[Any, NDArray[np.bool_] | None]:
        """Pad and stack arrays in place."""
        shape, axes = self.shape(items, field)
        dtype = items[0].dtype
        if any(item.dtype != dtype for item in items):
            dtype = np.result_type(*items)
        share = SIDES[side] if isinstance(side, str) else 0.0 if side is NOT else float(side)
        batch = empty((len(items), *shape), dtype)
        mask = None
        if self.suffix is not None:
            mask = empty((len(items), *(shape[axis] for axis in axes)), bool)
            mask[...] = False
        for place, item in enumerate(items):
            where: tuple[slice, ...] = tuple(
                slice(int((room - own) * share), int((room - own) * share) + own)
                for room, own in zip(shape, item.shape, strict=True)
            )
            if item.shape != shape:
                batch[place] = held(value(item) if callable(value) else value, dtype, field)
            batch[place][where] = item
            if mask is not None:
                mask[place][tuple(where[axis] for axis in axes)] = True
        return batch, mask

    def shape(self, items: list[NDArray[Any]], field: str) -> tuple[tuple[int, ...], list[int]]:
        """Return the shape that items are brought to, and the axes that are padded."""
        ndim = items[0].ndim
        shapes = [item.shape for item in items]
        if any(len(s) != ndim for s in shapes):
            raise CollateError(f"{at(field)}arrays of {ndim} and of other numbers of axes cannot be padded: {shapes}.")
        axes = range(ndim) if self.axes is None else (self.axes,) if isinstance(self.axes, int) else self.axes
        if any(not -ndim <= axis < ndim for axis in axes):
            raise CollateError(f"{at(field)}Pad(axes={self.axes}) names an axis that arrays of {ndim} axes lack.")
        wanted = sorted({axis % ndim for axis in axes})
        largest = [max(lengths) for lengths in zip(*shapes, strict=True)]
        for axis, lengths in enumerate(zip(*shapes, strict=True)):
            if axis in wanted:
                largest[axis] = -(-largest[axis] // self.multiple_of) * self.multiple_of
            elif len(set(lengths)) > 1:
                raise CollateError(
                    f"{at(field)}arrays differ along axis {axis}, which is not padded: {sorted(set(shapes))[:4]}. "
                    f"Name it, too: Pad(axes={(*wanted, axis)})."
                )
        return tuple(largest), wanted


def leaves(value: Any) -> list[Any]:
    """Return what stands in a dict or tuple of options, at any depth."""
    if isinstance(value, (dict, tuple, list)):
        inner = value.values() if isinstance(value, dict) else value
        return [leaf for part in inner for leaf in leaves(part)]
    return [value]


def entry(option: Any, name: Any) -> Any:
    """Return the part of an option that concerns a field: all of it, where it is one for all."""
    if isinstance(option, dict):
        return option.get(name, NOT)
    if isinstance(option, (tuple, list)):
        return option[name] if isinstance(name, int) and name < len(option) else NOT
    return option


def is_share(value: Any) -> bool:
    """Tell whether a value is a number from 0 to 1."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def is_arraylike(value: Any) -> bool:
    """Tell whether a value is padded: an array with axes, what turns into one, or a list of numbers."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and not value.dtype.hasobject
    if isinstance(value, list):
        return all(isinstance(entry_, (int, float, complex, np.number)) for entry_ in value)
    return (hasattr(value, "__array__") or hasattr(value, "__array_interface__")) and np.ndim(value) > 0


def as_array(value: Any, field: str) -> NDArray[Any]:
    """Return an item as an array; of an empty list, one of whole numbers."""
    array = np.asarray(value, np.int64) if isinstance(value, list) and not value else np.asarray(value)
    if array.dtype.hasobject or array.dtype.kind in "US" or isinstance(value, np.ma.MaskedArray):
        raise CollateError(f"{at(field)}{short(value)} cannot be padded: it is no array of numbers.")
    return array


def held(value: Any, dtype: np.dtype[Any], field: str) -> Any:
    """Return the padding in the type of the arrays, or refuse a value that this type cannot hold."""
    given = np.asarray(value)
    try:
        with np.errstate(all="ignore"):
            made = given.astype(dtype)
        fits = dtype.kind in "fc" or bool(np.all(made == given))
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise CollateError(
            f"{at(field)}arrays of {dtype} cannot be padded with {short(value)}: their type cannot hold it. "
            "Choose another value, or convert them in a map() before batch()."
        )
    return made


def alike(items: list[Any], test: Callable[[Any], bool], field: str) -> None:
    """Refuse items of different structures."""
    for item in items:
        if not test(item):
            raise CollateError(
                f"{at(field)}the items of one batch differ: {short(items[0])} and {short(item)}. "
                "Give them one structure in a map() before batch(), or keep the items: collate=list."
            )


def stacked(column: list[Any], field: str) -> Any:
    """Stack a field that is not padded; an error names it."""
    try:
        return stack(column)
    except CollateError as error:
        raise CollateError(f"field {field}, which Pad() has no value for: {error}") from None


def at(field: str) -> str:
    """Return the words that name a field."""
    return f"field {field}: " if field else ""
