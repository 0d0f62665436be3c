"""Tables: columns of Arrow as items, rows as tables, and the conditions that rows are selected by.

    Arrow                                   item
    numbers, booleans                       NumPy scalars of the same type, or None
    dates, timestamps, durations            numpy.datetime64 (in UTC) and numpy.timedelta64
    texts, bytes                            str, bytes
    dictionary (categories)                 the values
    lists of numbers                        arrays; lists where there are nulls among them
    tensors, lists of a fixed size          arrays
    other lists, structs, maps, decimals    what ``as_py`` gives: lists, dicts, pairs, Decimal

Everything about files is elsewhere: ``parquet``, ``arrow`` and ``csv`` hand over record batches.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentTypeError, CorruptRecord, PenstockError, StoreError
from penstock.graph.checking import choice, short
from penstock.graph.storing import Reader, Tape, require
from penstock.storage.grouped import Group, Grouped, Values, Wholes
from penstock.storage.table_conditions import Alternatives, Clause, clauses_of, holds

OTHERS = (OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, zlib.error)
EACH = ("row", "batch", "arrow")


def arrow() -> Any:
    """Import pyarrow."""
    return require("pyarrow", "tables", "Reading and writing tables")


# --------------------------------------------------------------------------------------------------------- columns


def column_of(array: Any) -> NDArray[Any] | Values:
    """Return a column of Arrow as a plain array where it is one, else as values."""
    pa = arrow()
    kind = array.type
    if isinstance(kind, pa.FixedShapeTensorType) and not array.null_count:
        plain = fixed(array.storage, len(array))
        if plain is not None:
            return permuted(plain.reshape(len(array), *kind.shape), kind.permutation)
    if isinstance(kind, pa.BaseExtensionType):
        return column_of(array.storage)
    if pa.types.is_dictionary(kind):
        return column_of(array.dictionary_decode())
    plain = fixed(array, len(array))
    return Other(array) if plain is None else plain


def permuted(rows: NDArray[Any], permutation: Sequence[int] | None) -> NDArray[Any]:
    """Return tensors with their axes in the order that they are meant in."""
    return rows if permutation is None else rows.transpose(0, *[axis + 1 for axis in permutation])


def is_plain(kind: Any) -> bool:
    """Tell whether NumPy has a type for values of an Arrow type."""
    types = arrow().types
    return any(
        test(kind)
        for test in (
            types.is_integer,
            types.is_floating,
            types.is_boolean,
            types.is_timestamp,
            types.is_date,
            types.is_duration,
        )
    )


def fixed(array: Any, count: int) -> NDArray[Any] | None:
    """Return numbers, or lists of one size of them, as an array; None for others, or where there are nulls."""
    shape = [count]
    while arrow().types.is_fixed_size_list(array.type) and not array.null_count:
        shape.append(array.type.list_size)
        array = array.flatten()
    if array.null_count or not is_plain(array.type):
        return None
    found: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found.reshape(shape) if len(found) == math.prod(shape) else None


class Other(Values):
    """Values of Arrow that are no plain array."""

    def __init__(self, array: Any) -> None:
        types = arrow().types
        kind = array.type
        self.array = array
        self.one: Callable[[int], Any] = lambda row: array[row].as_py()
        lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        if is_plain(kind):
            numbers = numbers_of(array)
            missing = array.is_null().to_numpy(zero_copy_only=False)
            self.one = lambda row: None if missing[row] else numbers[row]
        elif lists and is_plain(kind.value_type):
            self.one = self.listed
        self.python = not lists and not is_plain(kind)

    def listed(self, row: int) -> Any:
        """Return a list of numbers as an array, if there is no null in it."""
        value = self.array[row].values
        if value is None:
            return None
        return value.to_pylist() if value.null_count else np.array(value.to_numpy(zero_copy_only=False))

    def __getitem__(self, row: int) -> Any:
        return self.one(row)

    def take(self, rows: NDArray[np.int64]) -> list[Any]:
        """Return many values; at once, where they are Python's."""
        if self.python:
            return self.array.take(arrow().array(rows)).to_pylist()  # type: ignore[no-any-return]
        return [self.one(row) for row in rows.tolist()]


def numbers_of(array: Any) -> NDArray[Any]:
    """Return numbers with something in place of the nulls."""
    pa = arrow()
    zero: Any = np.float16(0) if pa.types.is_float16(array.type) else 0
    filler = pa.scalar(False if pa.types.is_boolean(array.type) else zero, array.type)
    return array.fill_null(filler).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn whatever Arrow says of bytes that are no table into a CorruptRecord."""
    try:
        yield
    except PenstockError:
        raise
    except (arrow().ArrowException, *OTHERS) as error:
        raise CorruptRecord(f"{where} cannot be read: {error}") from error


def group_of(batch: Any, where: str) -> Group:
    """Return a record batch as a group of rows."""
    with translated(where):
        columns: dict[str | None, Any] = {name: column_of(batch.column(name)) for name in batch.schema.names}
    return Group(columns, batch.num_rows, batch.nbytes, batch)


# ---------------------------------------------------------------------------------------------------------- reader


class TableReader(Grouped):
    """Record batches as groups of rows."""

    names: tuple[str, ...]
    """The columns that items have."""

    @abstractmethod
    def table(self, number: int, names: Sequence[str]) -> Any:
        """Return some columns of a group, as a table or a record batch of Arrow."""

    def dropped(self, number: int, conjunction: tuple[Clause, ...]) -> bool:
        """Tell whether something that is known of a group says that no row of it can be selected."""
        return False

    def load(self, number: int) -> Group:
        """Read the columns of a group."""
        return group_of(self.batch(number, self.names), self.where(number))

    def batch(self, number: int, names: Sequence[str]) -> Any:
        """Return some columns of a group as one record batch."""
        count = int(self.starts[number + 1] - self.starts[number])
        where = self.where(number)
        with translated(where):
            found = self.table(number, names)
            found = joined(found) if isinstance(found, arrow().Table) else found
            found.validate(full=True)
        if found.num_rows != count:
            raise CorruptRecord(f"{where} has {found.num_rows} rows, and should have {count}.")
        return found

    def where(self, number: int) -> str:
        """Return what a group is called in errors."""
        name = self.named(number)
        return self.path if name is None else f"{name} of {self.path}"

    def select(self, alternatives: Alternatives) -> None:
        """Keep the rows for which a condition holds.

        Only the columns that it names are read, and only of groups that can have such rows.
        """
        names = list(dict.fromkeys(clause[0] for conjunction in alternatives for clause in conjunction))
        found = []
        for number in range(len(self.starts) - 1):
            possible = tuple([c for c in alternatives if not self.dropped(number, c)])
            if possible:
                rows = np.flatnonzero(holds(self.batch(number, names), possible, self.path))
                found.append(rows + self.starts[number])
        self.selected = np.concatenate([np.empty(0, np.int64), *found])


def joined(table: Any) -> Any:
    """Return a table as one record batch."""
    pa = arrow()
    arrays = []
    for column in table.columns:
        if column.num_chunks == 1:
            arrays.append(column.chunk(0))
            continue
        whole_ = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
        if pa.types.is_string(column.type):  # together, they may be beyond what 32 bits can count
            whole_ = column.cast(pa.large_string())
        elif pa.types.is_binary(column.type):
            whole_ = column.cast(pa.large_binary())
        arrays.append(pa.concat_arrays(whole_.chunks) if column.num_chunks else pa.array([], column.type))
    if not arrays:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * table.num_rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(arrays, names=table.schema.names)


def whole_batch(group: Group, rows: NDArray[np.int64] | None) -> Any:
    """Return a group as a batch: a dict of arrays and lists."""
    return group.taken(np.arange(group.count) if rows is None else rows, last=True)


def whole_arrow(group: Group, rows: NDArray[np.int64] | None) -> Any:
    """Return a group as a record batch of Arrow."""
    return group.raw if rows is None else group.raw.take(arrow().array(rows))


WHOLES: dict[str, Callable[[Group, NDArray[np.int64] | None], Any]] = {"batch": whole_batch, "arrow": whole_arrow}


def finished(reader: TableReader, where: Any, each: str, place: str) -> Reader:
    """Return a reader of what was asked for: all rows or some, or whole groups."""
    choice(each, EACH, place, "each")
    alternatives = clauses_of(where, place)
    if alternatives:
        reader.select(alternatives)
    if each == "row":
        return reader
    return Wholes(reader, WHOLES[each])


def chosen(names: Sequence[str], columns: Any, path: str, place: str) -> tuple[str, ...]:
    """Return the columns that were asked for, of those that there are."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StoreError(f"{path}: {', '.join(map(repr, twice[:5]))}: more than one column has this name.")
    if columns is None:
        return tuple(names)
    if isinstance(columns, str) or not isinstance(columns, (list, tuple)) or not columns:
        raise ArgumentTypeError(f"{place}: columns must be a list of names, not {short(columns)}.")
    if not names:  # saved of no items: nobody knows what they would have had
        return ()
    for name in columns:
        choice(name, names, place, "a column")
    return tuple(columns)


def described(schema: Any, names: Sequence[str]) -> dict[str, str]:
    """Return the types of some columns as text."""
    return {name: str(schema.field(name).type) for name in names}


class TableTape(Tape):
    """Record batches that can only be read from the front. A position counts the rows, those left out included."""

    def __init__(self, path: str, tag: str, where: Any, each: str, place: str) -> None:
        self.path = path
        self.tag = tag
        self.alternatives = clauses_of(where, place)
        choice(each, EACH, place, "each")
        self.each = each

    @abstractmethod
    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yield record batches: the columns that items have, and those that the condition compares."""

    def read(self, position: int) -> Iterator[tuple[Any, int]]:
        """Yield items with the number of rows that were read."""
        count = 0
        where = f"{self.path}, behind row {count},"
        batches = iter(self.batches())
        while True:
            with translated(where):
                pair = next(batches, None)
            if pair is None:
                return
            batch, compared = pair
            start, count = count, count + batch.num_rows
            where = f"{self.path}, behind row {count},"
            if count <= position:
                continue
            keep = np.arange(max(0, position - start), batch.num_rows)
            if self.alternatives:
                keep = keep[holds(compared, self.alternatives, self.path)[keep]]
            yield from self.items(group_of(batch, where), keep, start, count)

    def items(self, group: Group, keep: NDArray[np.int64], start: int, end: int) -> Iterator[tuple[Any, int]]:
        """Yield the rows of a group that are to be there, or all of them together."""
        if self.each == "row":
            yield from ((group.item(row), start + row + 1) for row in keep.tolist())
        elif len(keep):
            yield WHOLES[self.each](group, keep), end
