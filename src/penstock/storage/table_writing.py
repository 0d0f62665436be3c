"""Writing of tables: items as columns of Arrow, a group of rows at a time."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any

import numpy as np

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import short, whole
from penstock.graph.storing import Recorder
from penstock.storage.tables import arrow, is_plain, joined

GROUP = 16 << 20  # bytes of a group of rows, about …
LONGEST = 1 << 16  # … and its rows, at most
CHUNK = 1024  # items that become columns at once, …
PIECE = 16 << 20  # … or their bytes, about


class TableRecorder(Recorder):
    """Collects rows and hands them on in groups. The first items decide the types of the columns."""

    def __init__(self, path: str, group: int | None) -> None:
        self.path = path
        self.where = f"save({os.path.basename(path)!r})"
        self.exact = group is not None
        self.longest = LONGEST if group is None else whole(group, self.where, "group", least=1)
        self.rows: list[dict[str, Any]] = []
        self.nbytes = 0
        self.count = 0
        self.schema: Any = None
        self.pending: list[Any] = []
        arrow()  # says what is missing before anything is computed

    @abstractmethod
    def begin(self, schema: Any) -> None:
        """Begin a file with these columns."""

    @abstractmethod
    def write(self, table: Any) -> None:
        """Write a group of rows."""

    @abstractmethod
    def end(self) -> None:
        """End the file, if it was begun. Calling twice is allowed."""

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a row."""
        if not isinstance(item, dict) or not item or not all(isinstance(name, str) for name in item):
            raise ArgumentTypeError(
                f"{self.where}: items must be dicts of values by name, not {short(item)}. Make them in a map(): "
                'map(lambda x: {"x": x}).'
            )
        if self.rows and item.keys() != self.rows[0].keys():
            self.refuse_fields(item, list(self.rows[0]))
        row = {name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in item.items()}
        self.rows.append(row)
        self.nbytes += sum(map(weight, row.values()))
        if len(self.rows) >= min(CHUNK, self.longest) or self.nbytes >= PIECE:
            self.convert()

    def refuse_fields(self, item: dict[str, Any], first: list[str]) -> None:
        """Refuse an item with other fields than the first one."""
        number = self.count + len(self.rows)
        raise ArgumentTypeError(f"{self.where}: item {number} has the fields {list(item)}, the first one {first}.")

    def convert(self) -> None:
        """Make columns of the rows that wait, and write the groups that are complete."""
        pa = arrow()
        if not self.rows:
            return
        if self.schema is not None and set(self.rows[0]) != set(self.schema.names):
            self.refuse_fields(self.rows[0], self.schema.names)
        names = list(self.rows[0]) if self.schema is None else self.schema.names
        arrays = []
        for name in names:
            kind = None if self.schema is None else self.schema.field(name).type
            values = [row[name] for row in self.rows]
            try:
                arrays.append(arrow_of(values, kind))
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                self.refuse_value(name, values, kind, error)
        if self.schema is None:
            self.schema = pa.schema([pa.field(n, a.type) for n, a in zip(names, arrays, strict=True)])
            self.begin(self.schema)
        self.pending.append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self.count += len(self.rows)
        self.rows = []
        self.nbytes = 0
        self.cut(last=False)

    def refuse_value(self, name: str, values: list[Any], kind: Any, error: Exception) -> None:
        """Name the first item that does not fit."""
        wrong = self.count
        for number, value in enumerate(values):
            wrong = self.count + number
            try:
                arrow_of([*values[:1], value], kind)
            except Exception:  # noqa: BLE001  whatever it was: this is the one
                break
        of = "those before it" if kind is None else str(kind)
        raise ArgumentTypeError(
            f"{self.where}: field {name!r} of item {wrong} does not fit to {of}: {short(values[wrong - self.count])}; "
            f"{error}. Bring the values of a field to one type in a map(), or save as .lmdb."
        ) from error

    def cut(self, *, last: bool) -> None:
        """Write the groups that are complete, and at the end what is left."""
        pa = arrow()
        while self.pending:
            rows = sum(batch.num_rows for batch in self.pending)
            full = rows >= self.longest or (not self.exact and sum(b.nbytes for b in self.pending) >= GROUP)
            if not full and not last:
                return
            table = pa.Table.from_batches(self.pending, self.schema)
            group = table.slice(0, self.longest)
            # Joining widens what counts in 32 bits; a group is small, and a file has one schema.
            self.write(pa.Table.from_batches([joined(group).cast(self.schema)]) if group.num_rows else group)
            self.pending = table.slice(self.longest).to_batches()

    def finish(self) -> None:
        """Write what is left."""
        self.convert()
        self.cut(last=True)
        if self.schema is None:
            self.begin(arrow().schema([]))
        self.end()

    def close(self) -> None:
        """Let go of the file."""
        self.end()


def weight(value: Any) -> int:
    """Return about how many bytes a value has."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    return len(value) if isinstance(value, (str, bytes)) else 8


def arrow_of(values: list[Any], kind: Any) -> Any:
    """Return values as an array of Arrow.

    Args:
        values: at least one.
        kind: the type that it must have; None where the values decide.
    """
    pa = arrow()
    first = next((value for value in values if value is not None), None)
    if isinstance(first, np.ndarray) and first.ndim == 0:
        return arrow_of(
            [value[()] if isinstance(value, np.ndarray) and not value.ndim else value for value in values], kind
        )
    if isinstance(first, np.generic):
        kinds = {value.dtype if isinstance(value, np.generic) else type(value) for value in values if value is not None}
        if len(kinds) == 1 and first.dtype.kind in "biufMm":
            plain = np.array([first if value is None else value for value in values])
            return pa.array(plain, kind, mask=np.array([value is None for value in values]))
        return pa.array(values, kind)
    if not isinstance(first, np.ndarray):
        return pa.array(values, kind)
    if any(value is not None and not isinstance(value, np.ndarray) for value in values):
        raise TypeError("arrays stand beside other things")
    dtypes = {value.dtype for value in values if value is not None}
    if len(dtypes) > 1:
        raise TypeError(f"arrays of the dtypes {', '.join(sorted(map(str, dtypes)))}")
    dtype = first.dtype.newbyteorder("=")
    if first.ndim == 1:
        return pa.array(
            [None if v is None else v.astype(dtype, copy=False) for v in values],
            kind or pa.list_(pa.from_numpy_dtype(dtype)),
        )
    return tensors(values, dtype, kind)


def tensors(values: list[Any], dtype: np.dtype[Any], kind: Any) -> Any:
    """Return arrays of one shape as an array of Arrow."""
    pa = arrow()
    shapes = {None if value is None else value.shape for value in values}
    if len(shapes) > 1:
        raise ValueError(f"arrays of the shapes {', '.join(sorted(map(str, shapes)))}")
    element = pa.from_numpy_dtype(dtype)
    if not is_plain(element):
        raise TypeError(f"arrays of {dtype} have no place in a table")
    shape = values[0].shape
    flat = np.stack(values).astype(dtype, copy=False).reshape(-1)
    size = int(np.prod(shape))
    made = pa.fixed_shape_tensor(element, shape)
    if kind is not None and made != kind:
        raise TypeError(f"arrays of {made}")
    storage = pa.FixedSizeListArray.from_arrays(pa.array(flat, element), size)
    return pa.ExtensionArray.from_storage(made, storage)
