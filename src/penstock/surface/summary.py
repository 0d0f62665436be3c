"""Statistics of the fields of many items: summaries of chunks, and how two of them become one.

    items ──> Summarise, chunk by chunk, where they are computed ──> merged, in order ──> Statistics

Means and squared deviations are merged by the formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise
algorithm for computing sample variances", 1979), which loses no digits where a sum of squares would.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short
from penstock.graph.items import Rows

AT_ONCE = 1 << 20  # numbers that are looked at in double precision at once
BARS = 8


@dataclass(frozen=True)
class Column:
    """What one field of all items looks like. Of what is no number, there are only count, type and lengths."""

    count: int
    """How many items have it."""
    type: str
    """The dtype of its arrays, or the type of its values; several, where they differ."""
    values: Any
    """How many numbers were seen, without NaN; here and below an array where an axis was kept."""
    missing: Any
    """How many NaN were seen."""
    mean: Any
    std: Any
    """The standard deviation of the numbers that were seen: the mean squared deviation's root."""
    min: Any
    max: Any
    lengths: Mapping[int, int]
    """How many items have which length along their first axis; empty for plain numbers."""

    def histogram(self, bins: int = BARS) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many items are in each of several ranges of lengths, and the ranges' edges, which are whole.

        There are ``bins`` ranges at the most, all as wide; the last one ends before the last edge.
        """
        lengths = np.array(sorted(self.lengths), np.int64)
        weights = np.array([self.lengths[n] for n in lengths.tolist()], np.int64)
        if not len(lengths):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        low, span = int(lengths[0]), int(lengths[-1] - lengths[0]) + 1
        width = -(-span // bins)
        edges = low + width * np.arange(-(-span // width) + 1, dtype=np.int64)
        return np.bincount((lengths - low) // width, weights, len(edges) - 1).astype(np.int64), edges


@dataclass(frozen=True)
class Statistics(Mapping[str, Column]):
    """The columns by name: the keys of dicts, the numbers of tuples, ``"item"`` for items without fields."""

    count: int
    """How many items there are."""
    columns: dict[str, Column]

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __str__(self) -> str:
        return "\n".join([f"{self.count} item{'s' * (self.count != 1)}", *table(self.columns), *charts(self.columns)])


@dataclass
class Part:
    """A column of some items."""

    count: int = 0
    types: dict[str, None] = field(default_factory=dict)
    values: Any = 0
    missing: Any = 0
    mean: Any = 0.0
    squares: Any = 0.0
    low: Any = None
    high: Any = None
    lengths: Counter[int] = field(default_factory=Counter)

    def add(self, other: Part, name: object) -> None:
        """Take in the column of other items."""
        if self.low is not None and other.low is not None and np.shape(self.mean) != np.shape(other.mean):
            ours, theirs = np.size(self.mean), np.size(other.mean)
            raise ArgumentError(f"statistics(axis=…): field {name!r} has {ours} places along that axis, and {theirs}.")
        self.count += other.count
        self.types |= other.types
        self.lengths += other.lengths
        total = self.values + other.values
        if np.any(other.values):
            share = other.values / np.maximum(total, 1)
            apart = other.mean - self.mean
            self.mean = self.mean + apart * share
            self.squares = self.squares + other.squares + apart * apart * share * self.values
            self.low = other.low if self.low is None else np.minimum(self.low, other.low)
            self.high = other.high if self.high is None else np.maximum(self.high, other.high)
        self.values = total
        self.missing = self.missing + other.missing

    def column(self) -> Column:
        """Return what was found, as plain numbers where no axis was kept."""
        seen = self.low is not None
        std = np.sqrt(self.squares / np.maximum(self.values, 1)) if seen else None
        mean = self.mean if seen else None
        return Column(
            count=self.count,
            type=", ".join(self.types),
            values=plain(self.values),
            missing=plain(self.missing),
            mean=plain(mean),
            std=plain(std),
            min=plain(self.low),
            max=plain(self.high),
            lengths=dict(sorted(self.lengths.items())),
        )


def plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's number."""
    return (
        value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim) else value
    )


@dataclass(frozen=True)
class Summarise:
    """A collation: some items become their parts, by name."""

    axis: int | None

    def __post_init__(self) -> None:
        """Refuse what is no axis."""
        if self.axis is not None and (isinstance(self.axis, bool) or not isinstance(self.axis, int)):
            raise ArgumentTypeError(f"statistics(): axis must be a whole number, not {short(self.axis)}.")

    def __call__(self, items: Sequence[Any]) -> tuple[int, dict[str, Part]]:
        """Return how many items there are, and a part for each field."""
        if isinstance(items, Rows):
            columns = items.columns
            named = (
                columns if isinstance(columns, dict) else columns if isinstance(columns, tuple) else {"item": columns}
            )
            return len(items), {str(name): self.block(name, block) for name, block in pairs(named)}
        gathered: dict[str, list[Any]] = {}
        for item in items:
            for name, value in fields_of(item):
                gathered.setdefault(name, []).append(value)
        return len(items), {name: self.part(name, values) for name, values in gathered.items()}

    def part(self, name: str, values: list[Any]) -> Part:
        """Return the part of one field's values."""
        if all(isinstance(v, (bool, int, float, np.bool_, np.number)) for v in values):
            return self.block(name, np.asarray(values), exact=len({type(v) for v in values}) > 1)
        if all(isinstance(v, np.ndarray) for v in values) and len({(v.shape, v.dtype) for v in values}) == 1:
            return self.block(name, np.stack(values))
        part = Part()
        for value in values:
            part.add(self.one(name, value), name)
        return part

    def one(self, name: str, value: Any) -> Part:
        """Return the part of a single value."""
        array = np.asarray(value) if isinstance(value, (list, np.ndarray, bool, int, float, np.generic)) else None
        if array is not None and array.dtype.kind in "biuf" and (array.size or isinstance(value, np.ndarray)):
            return self.block(name, array[None])
        part = Part(1, {type(value).__name__: None})
        if isinstance(value, (str, bytes, list)) or (array is not None and array.ndim):
            part.lengths[len(value)] += 1
        return part

    def block(self, name: object, block: NDArray[Any], *, exact: bool = False) -> Part:
        """Return the part of stacked values, the first axis of which counts the items."""
        count = len(block)
        part = Part(count, {str(block.dtype): None})
        if block.ndim > 1:
            part.lengths[block.shape[1]] += count
        if block.dtype.kind not in "biuf" or not block.size:
            return part
        rows = max(1, AT_ONCE * count // block.size)
        for start in range(0, count, rows):
            part.add(self.measured(name, block[start : start + rows]), name)
        return part

    def measured(self, name: object, block: NDArray[Any]) -> Part:
        """Return count, mean, squared deviations and range of stacked numbers."""
        axis = self.axis
        if axis is None:
            over: int | tuple[int, ...] = tuple(range(block.ndim))
        else:
            kept = axis + 1 if axis >= 0 else axis + block.ndim
            if not 1 <= kept < block.ndim:
                shape = block.shape[1:]
                raise ArgumentError(f"statistics(axis={axis}): field {name!r} has no such axis: its shape is {shape}.")
            over = tuple(k for k in range(block.ndim) if k != kept)
        with np.errstate(invalid="ignore", over="ignore"):
            gaps = np.isnan(block) if block.dtype.kind == "f" else None
            if gaps is None or not gaps.any():
                exact = block.astype(np.float64)
                mean = exact.mean(over)
                away = exact - np.expand_dims(mean, over)
                seen = np.full(np.shape(mean), block.size // max(1, np.size(mean)), np.int64)[()]
                low, high = block.min(over), block.max(over)
                return Part(0, {}, seen, seen * 0, mean, (away * away).sum(over), low, high)
            seen = (~gaps).sum(over)
            mean = np.where(gaps, 0.0, block).sum(over, dtype=np.float64) / np.maximum(seen, 1)
            away = np.where(gaps, 0.0, block - np.expand_dims(mean, over))
            low = np.where(gaps, np.inf, block).min(over)
            high = np.where(gaps, -np.inf, block).max(over)
            return Part(0, {}, seen, gaps.sum(over), mean, (away * away).sum(over, dtype=np.float64), low, high)


def pairs(columns: Any) -> Iterable[tuple[Any, Any]]:
    """Return names and values of a dict or a tuple."""
    return columns.items() if isinstance(columns, Mapping) else enumerate(columns)


def fields_of(item: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of an item with their names; those of nested ones behind a dot."""
    if isinstance(item, Mapping):
        inner: Iterable[tuple[Any, Any]] = item.items()
    elif isinstance(item, tuple):
        inner = zip(getattr(item, "_fields", range(len(item))), item, strict=True)
    elif dataclasses.is_dataclass(item) and not isinstance(item, type):
        inner = [(f.name, getattr(item, f.name)) for f in dataclasses.fields(item)]
    else:
        yield before or "item", item
        return
    for name, value in inner:
        yield from fields_of(value, f"{before}.{name}" if before else str(name))


def merged(chunks: Iterable[tuple[int, dict[str, Part]]]) -> Statistics:
    """Return the statistics of all chunks, in their order."""
    count = 0
    parts: dict[str, Part] = {}
    for number, found in chunks:
        count += number
        for name, part in found.items():
            parts.setdefault(name, Part()).add(part, name)
    return Statistics(count, {name: part.column() for name, part in parts.items()})


def table(columns: Mapping[str, Column]) -> list[str]:
    """Return the lines of the table."""
    lines = [["field", "type", "values", "mean", "std", "min", "max"]]
    gaps = any(np.any(c.missing) for c in columns.values())
    for name, c in columns.items():
        numbers = [c.mean, c.std, c.min, c.max]
        lines.append([name, c.type, shown(c.values), *map(shown, numbers), *([shown(c.missing)] if gaps else [])])
    if gaps:
        lines[0].append("NaN")
    if len(lines) == 1:
        return []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if k < 2 else text.rjust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def shown(value: Any) -> str:
    """Return a number, or several, for people."""
    if value is None:
        return ""
    if isinstance(value, np.ndarray):
        few = [shown(v) for v in value.tolist()[:4]]
        return " ".join(few) + (" …" if len(value) > 4 else "")
    if isinstance(value, (bool, int)):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.6g}"


def charts(columns: Mapping[str, Column]) -> list[str]:
    """Return the lines that show lengths, where items have different ones."""
    lines = []
    for name, column in columns.items():
        if len(column.lengths) < 2:
            continue
        total = sum(n * k for n, k in column.lengths.items())
        lines += [
            "",
            f"lengths of {name}: {min(column.lengths)} to {max(column.lengths)}, mean {total / column.count:.3g}",
        ]
        counts, edges = column.histogram()
        for k, count in enumerate(counts.tolist()):
            bar = "█" * round(24 * count / max(1, int(counts.max())))
            lines.append(f"  {edges[k]:8d} to {edges[k + 1] - 1:8d}  {count:8d}  {bar}".rstrip())
    return lines
