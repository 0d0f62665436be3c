"""Batches cut and joined along their rows, without going through their items."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock.errors import CollateError
from penstock.graph.checking import short
from penstock.graph.context import empty
from penstock.graph.items import is_namedtuple


def parts_of(batch: Any) -> list[Any] | None:
    """Return the fields of a batch; None of a field."""
    if isinstance(batch, Mapping):
        return list(batch.values())
    if isinstance(batch, tuple):
        return list(batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return [getattr(batch, f.name) for f in dataclasses.fields(batch) if f.init]
    return None


def rebuilt(batch: Any, parts: Sequence[Any]) -> Any:
    """Return a batch of the same structure with other fields."""
    if isinstance(batch, Mapping):
        return dict(zip(batch, parts, strict=True))
    if isinstance(batch, tuple):
        return type(batch)(*parts) if is_namedtuple(batch) else tuple(parts)
    names = [f.name for f in dataclasses.fields(batch) if f.init]
    return type(batch)(**dict(zip(names, parts, strict=True)))


def rows(batch: Any) -> int:
    """Return how many rows a batch has.

    Raises:
        CollateError: it is no batch, or its fields have different numbers of rows.
    """
    parts = parts_of(batch)
    if parts is None:
        if isinstance(batch, list) or (isinstance(batch, np.ndarray) and batch.ndim):
            return len(batch)
        raise CollateError(f"rebatch(): {short(batch)} is not a batch: arrays, lists, and dicts or tuples of them are.")
    counts = {rows(part) for part in parts}
    if len(counts) != 1:
        raise CollateError(f"rebatch(): the fields of a batch have different numbers of rows: {short(batch)}.")
    return counts.pop()


def cut(batch: Any, start: int, stop: int) -> Any:
    """Return some rows of a batch: views, where they are arrays."""
    parts = parts_of(batch)
    return batch[start:stop] if parts is None else rebuilt(batch, [cut(part, start, stop) for part in parts])


def join(batches: Sequence[Any], field: str = "") -> Any:
    """Return one batch with the rows of all, in memory that travels without a copy.

    Raises:
        CollateError: they differ in structure or shape; names the field.
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    parts = parts_of(first)
    where = f"field {field}: " if field else ""
    if parts is None:
        if isinstance(first, list) and all(isinstance(b, list) for b in batches):
            return [item for b in batches for item in b]
        if any(not isinstance(b, np.ndarray) or b.shape[1:] != first.shape[1:] for b in batches):
            shapes = [b.shape if isinstance(b, np.ndarray) else type(b).__name__ for b in batches]
            raise CollateError(f"rebatch(): {where}batches of shapes {shapes} cannot be joined: their rows differ.")
        dtype = first.dtype if all(b.dtype == first.dtype for b in batches) else np.result_type(*batches)
        made = empty((sum(map(len, batches)), *first.shape[1:]), dtype)
        np.concatenate(batches, out=made)
        return made
    others = [parts_of(b) for b in batches]
    names = list(first) if isinstance(first, Mapping) else range(len(parts))
    if any(p is None or len(p) != len(parts) for p in others) or any(
        isinstance(first, Mapping) and list(b) != names for b in batches
    ):
        raise CollateError(f"rebatch(): {where}batches differ: {short(first)} and {short(batches[1])}.")
    columns = zip(*others, strict=True)
    return rebuilt(first, [join(c, f"{field}[{n!r}]") for n, c in zip(names, columns, strict=True)])
