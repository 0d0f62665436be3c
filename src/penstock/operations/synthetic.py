"""synthetic: made-up data, for measuring how fast the rest is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import flag, short, whole
from penstock.graph.context import empty
from penstock.graph.items import Rows
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading

EXAMPLE = 'For example: synthetic(1000, image=((224, 224, 3), "uint8"), label=((), "int64", 10))'


class Field(NamedTuple):
    """What one field of an item is like."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    high: int | None

    def fill(self, out: NDArray[Any], rng: np.random.Generator) -> None:
        """Draw one value, in as few passes over the memory as there can be."""
        kind = self.dtype.kind
        native = self.dtype.isnative and out.flags.c_contiguous
        if kind == "u" and self.high is None and native:
            words = rng.bit_generator.random_raw(-(-out.nbytes // 8))  # less than half the time of integers()
            out[...] = words.view(self.dtype)[: out.size].reshape(self.shape)
        elif kind == "b":
            out[...] = rng.integers(0, 2, self.shape, np.uint8)
        elif kind in "iu":
            high = int(np.iinfo(self.dtype).max) + 1 if self.high is None else self.high
            out[...] = rng.integers(0, high, self.shape, self.dtype.newbyteorder("="))
        elif kind == "c":
            out[...] = rng.random(self.shape) + 1j * rng.random(self.shape)
        elif native and self.dtype.itemsize in {4, 8}:
            rng.random(dtype=self.dtype.type, out=out)
        else:
            out[...] = rng.random(self.shape, np.float32 if self.dtype.itemsize <= 4 else np.float64)


@operation
class Synthetic(Node):
    """``count`` dicts of random arrays, the same in every epoch; without ``fresh``, one and the same each time."""

    pure = True

    count: int | None
    fields: dict[str, Any]
    fresh: bool = True

    def check(self) -> None:
        """Refuse what is no count, no shape or no type."""
        if self.count is not None:
            remedy = "None makes it endless."
            self.normalise(count=whole(self.count, "synthetic()", "count", remedy=remedy))
        flag(self.fresh, "synthetic()", "fresh")
        if not self.fields:
            raise ArgumentError(f"synthetic(): no field was given. {EXAMPLE}")
        self.normalise(fields={name: checked(name, value) for name, value in self.fields.items()})

    def length(self) -> int | None:
        """Return the count."""
        return self.count

    @cached_property
    def again(self) -> dict[str, Any]:
        """The one item, which nobody may write into."""
        rng = np.random.default_rng(0)
        item = {name: np.empty(f.shape, f.dtype) for name, f in self.fields.items()}
        for name, f in self.fields.items():
            f.fill(item[name], rng)
            item[name].flags.writeable = False
        return {name: array[()] if array.ndim == 0 else array for name, array in item.items()}

    def item(self, index: int, read: Reading) -> dict[str, Any]:
        """Make one item."""
        if not self.fresh:
            return dict(self.again)
        item = {name: empty(f.shape, f.dtype) for name, f in self.fields.items()}
        self.draw(item, index, read)
        return {name: array[()] if array.ndim == 0 else array for name, array in item.items()}

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Make many, each in its row of arrays that are a batch already."""
        count = len(indices)
        if not self.fresh:
            return [dict(self.again) for _ in range(count)]
        columns = {name: empty((count, *f.shape), f.dtype) for name, f in self.fields.items()}
        for row, index in enumerate(indices if isinstance(indices, range) else indices.tolist()):
            self.draw({name: c[row, ...] for name, c in columns.items()}, index, read)
        return Rows(columns, count)

    def draw(self, item: dict[str, NDArray[Any]], index: int, read: Reading) -> None:
        """Draw an item's fields into arrays. A source is the same in every epoch: so is this."""
        rng = read.at(0).rng(self, Place(index))
        for name, f in self.fields.items():
            f.fill(item[name], rng)

    def label(self) -> str:
        """Return the count and the fields."""
        parts = ["endless" if self.count is None else str(self.count)]
        for name, f in self.fields.items():
            below = "" if f.high is None else f" below {f.high}"
            shape = f"{'×'.join(map(str, f.shape))} " if f.shape else ""
            parts.append(f"{name}: {shape}{f.dtype.str.lstrip('<|=')}{below}")
        return f"synthetic({', '.join(parts)}{'' if self.fresh else ', fresh=False'})"


def checked(name: str, value: Any) -> Field:
    """Return a field, or refuse what describes none."""
    if isinstance(value, Field):
        return value
    where = f"synthetic(): {name}"
    if not isinstance(value, (tuple, list)) or isinstance(value, Mapping) or len(value) not in {2, 3}:
        raise ArgumentTypeError(
            f"{where} must be (shape, dtype) or (shape, dtype, high), not {short(value)}. {EXAMPLE}"
        )
    shape, dtype, *rest = value
    axes = shape if isinstance(shape, (tuple, list)) else (shape,)
    lengths = tuple([whole(length, where, "a length") for length in axes])
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ArgumentTypeError(f"{where}: {short(dtype)} is no NumPy type. {EXAMPLE}") from None
    if kind.kind not in "biufc":
        raise ArgumentTypeError(f"{where} must be of numbers, not of {kind}. Make what you need of them in a map().")
    high = whole(rest[0], where, "high", least=1) if rest else None
    if high is not None and (kind.kind not in "iu" or high > int(np.iinfo(kind.str).max) + 1):
        raise ArgumentError(f"{where}: high={high} is for whole numbers below it; {kind} cannot hold them.")
    return Field(lengths, kind, high)
