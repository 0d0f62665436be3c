"""CSV, through pyarrow: a file, or a folder of them, as rows with types.

Which records begin where is found when the file is opened, at the speed of reading it, line breaks between quotes
included; about a megabyte of them is then parsed at once. The types are worked out from a few such blocks all over the
file, and a value that does not fit is an error that says how to name the type. A compressed file is a Stream.

There are no checksums, and where a whole line is missing at the end, nobody can tell. For anything large, save as
``.parquet`` once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.graph.checking import choice, flag, short
from penstock.graph.storing import Format, Reader, Recorder, Tape, require, sampled
from penstock.storage.blocks import BLOCK, Part, is_packed, unpacking
from penstock.storage.grouped import CACHE, files_of, room_of, tag_of
from penstock.storage.table_conditions import check_condition
from penstock.storage.tables import TableReader, TableTape, arrow, chosen, finished, translated

SUFFIXES = (".csv", ".tsv")
MARKS = (";", "\t", "|", ",")  # what may stand between values
ENCODING = "CSV is read in UTF-8; bring it there first: iconv -f LATIN1 -t UTF-8, or whichever it is in."
PACKED = tuple([suffix + packed for suffix in SUFFIXES for packed in (".gz", ".zst", ".bz2")])
LOOKS = 8  # blocks that the types are worked out from
BOM = b"\xef\xbb\xbf"
WIDE = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins
TYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "string",
)
DATES = ("date32", "timestamp[s]", "timestamp[ms]", "timestamp[us]", "timestamp[ns]")


def pacsv() -> Any:
    """Import pyarrow's part for CSV."""
    return require("pyarrow.csv", "tables", "Reading and writing CSV")


@dataclass(frozen=True)
class Dialect:
    """How a file is written down."""

    delimiter: str
    quotes: bool
    header: list[str] | None
    nulls: list[str]
    types: dict[str, str]

    def parse(self) -> Any:
        """Return pyarrow's options for taking lines apart."""
        quote: Any = '"' if self.quotes else False
        return pacsv().ParseOptions(delimiter=self.delimiter, quote_char=quote, newlines_in_values=self.quotes)

    def table(self, data: bytes, names: Sequence[str], types: dict[str, Any], wanted: Sequence[str] | None) -> Any:
        """Parse whole records without a header."""
        csv = pacsv()
        parse = self.parse()
        parse.ignore_empty_lines = len(names) > 1
        size = max(1, len(data) + 1)
        read = csv.ReadOptions(use_threads=False, block_size=size, column_names=list(names))
        return csv.read_csv(arrow().py_buffer(data), read, parse, self.convert(types, wanted))

    def convert(self, types: dict[str, Any], wanted: Sequence[str] | None) -> Any:
        """Return pyarrow's options for making values of texts."""
        return pacsv().ConvertOptions(
            column_types=types,
            include_columns=None if wanted is None else list(wanted),
            null_values=self.nulls,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def first(self, path: str) -> tuple[list[str], int]:
        """Return the names of the columns, and where the records begin."""
        with open(path, "rb") as file:
            start = file.read(BLOCK)
        if start.startswith(WIDE):
            raise StoreError(f"{path} is in UTF-16. {ENCODING}")
        skipped = len(BOM) if start.startswith(BOM) else 0
        if self.header is not None:
            return self.header, skipped
        if not start[skipped:].strip():
            return [], len(start)
        if b"\n" not in start and b"\r" in start.rstrip(b"\r"):
            raise StoreError(f"{path}: its lines end in single carriage returns, as nobody writes them any more.")
        end = end_of_first(start, skipped, quotes=self.quotes)
        line = start[skipped:end]
        read = pacsv().ReadOptions(use_threads=False, block_size=len(line) + 1)
        with translated(f"{path}: its header"):
            return pacsv().read_csv(arrow().py_buffer(line), read, self.parse()).column_names, end


def end_of_first(data: bytes, start: int, *, quotes: bool) -> int:
    """Return where the first record that is no empty line ends."""
    at = start
    while data[at : at + 1] in {b"\n", b"\r"}:
        at += 1
    inside = False
    for place in range(at, len(data)):
        if quotes and data[place] == 0x22:
            inside = not inside
        elif data[place] == 0x0A and not inside:
            return place + 1
    return len(data)


class CsvReader(TableReader):
    """The records of one file or several."""

    def __init__(self, path: str, dialect: Dialect, columns: Any, cache: int) -> None:
        self.path = path
        self.dialect = dialect
        files, self.root = files_of(path, SUFFIXES)
        self.tag = tag_of(files, self.root)
        headers = [dialect.first(file) for file in files]
        self.every = headers[0][0]
        for file, (names, _) in zip(files, headers, strict=True):
            if names != self.every:
                raise StoreError(f"{file} has the columns {short(names)}, and {files[0]} {short(self.every)}.")
        self.names = chosen(self.every, columns, path, f"open({path!r})")
        blanks = len(self.every) == 1
        self.parts = [
            Part(file, start, quotes=dialect.quotes, blanks=blanks)
            for file, (_, start) in zip(files, headers, strict=True)
        ]
        self.places = [(part, k) for part in self.parts for k in range(len(part.blocks))]
        super().__init__((part.blocks[k].records for part, k in self.places), cache)
        self.types = self.work_out(f"open({path!r})")

    def work_out(self, place: str) -> dict[str, Any]:
        """Return the type of each column: as it was said, else one that fits to what a few blocks have."""
        pa = arrow()
        said = {}
        for name, kind in self.dialect.types.items():
            choice(name, self.every, place, "a column of types")
            said[name] = type_named(kind, place)
        found: dict[str, set[Any]] = {name: set() for name in self.every}
        count = len(self.places)
        for number in sorted({k * (count - 1) // max(1, LOOKS - 1) for k in range(LOOKS)}) if count else ():
            part, block = self.places[number]
            try:
                table = self.dialect.table(part.read(block), self.every, said, None)
            except arrow().ArrowException as error:
                raise self.unreadable(number, error) from error
            for name in self.every:
                found[name].add(table.schema.field(name).type)
        return {name: said.get(name) or common(kinds - {pa.null()}) for name, kinds in found.items()}

    def table(self, number: int, names: Sequence[str]) -> Any:
        """Parse a block."""
        part, block = self.places[number]
        try:
            return self.dialect.table(part.read(block), self.every, self.types, names)
        except arrow().ArrowException as error:
            raise self.unreadable(number, error) from error

    def unreadable(self, number: int, error: Exception) -> CorruptRecord:
        """Return the error of a block that pyarrow cannot parse, with what may help."""
        return CorruptRecord(f"{self.where(number)} cannot be read: {error}. {remedy(str(error), self.every)}")

    def where(self, number: int) -> str:
        """Return where a block lies."""
        part, block = self.places[number]
        first = int(self.starts[number])
        return f"{part.path}, records from {first} on (bytes {part.blocks[block].start} to {part.blocks[block].end}),"

    def named(self, number: int) -> str | None:
        """Return the file, where there are several."""
        part, _ = self.places[number]
        return None if part.path == self.path else os.path.relpath(part.path, self.root)

    def key(self, index: int) -> str | None:
        """Return the file that a record is in, where there are several."""
        position = index if self.selected is None else self.selected[index]
        return self.named(int(self.starts.searchsorted(position, "right")) - 1)

    def schema(self) -> Any:
        """Return the columns and their types."""
        return {"columns": {name: str(self.types[name]) for name in self.names}}


def remedy(problem: str, names: Sequence[str]) -> str:
    """Return what a reader of an error may do about it."""
    if "UTF8" in problem:
        return ENCODING
    mark = next((mark for mark in MARKS if any(mark in name for name in names)), None)
    if "columns" in problem:
        if mark is not None:
            return f"If {mark!r} stands between the values, say so: delimiter={mark!r}."
        return "If quotes are only characters: quotes=False." if '"' in problem else "Each line needs as many values."
    return 'If a type was worked out wrong, name it: types={"column": "float64"}.'


def type_named(name: Any, place: str) -> Any:
    """Return the type of Arrow with a name."""
    choice(name, (*TYPES, *DATES), place, "a type")
    pa = arrow()
    if name.startswith("timestamp"):
        return pa.timestamp(name[10:-1])
    return getattr(pa, {"bool": "bool_"}.get(name, name))()


def common(kinds: set[Any]) -> Any:
    """Return a type that values of all these types have: dates stay texts unless somebody says otherwise."""
    pa = arrow()
    kinds = {
        k if pa.types.is_integer(k) or pa.types.is_floating(k) or pa.types.is_boolean(k) else pa.string() for k in kinds
    }
    if len(kinds) == 1:
        return kinds.pop()
    if kinds and all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds):
        return pa.float64()
    return pa.string()


class CsvTape(TableTape):
    """A compressed file."""

    def __init__(self, path: str, tag: str, dialect: Dialect, wanted: tuple[Any, Any, str]) -> None:
        columns, where, each = wanted
        place = f"open({path!r})"
        super().__init__(path, tag, where, each, place)
        self.dialect = dialect
        self.types: dict[str, Any] = {}
        with translated(path), self.opened(path) as found:
            schema = found.schema
        self.every = schema.names
        check_condition(where, self.every, place)
        self.names = chosen(self.every, columns, path, place)
        said = {name: type_named(kind, place) for name, kind in dialect.types.items()}
        for name in said:
            choice(name, self.every, place, "a column of types")
        self.types = {name: said.get(name) or common({schema.field(name).type}) for name in self.every}
        self.compared = list(dict.fromkeys(c[0] for conjunction in self.alternatives for c in conjunction))

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[Any]:
        """Begin to read the file from the front."""
        csv = pacsv()
        read = csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=self.dialect.header)
        convert = self.dialect.convert(self.types, None)
        with unpacking(path) as stream, csv.open_csv(stream, read, self.dialect.parse(), convert) as found:
            yield found

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Read the file from the front."""
        with self.opened(self.path) as found:
            for batch in found:
                yield batch.select(list(self.names)), batch.select(self.compared)

    def schema(self) -> Any:
        """Return the columns and their types."""
        return {"columns": {name: str(self.types[name]) for name in self.names}}


def open_csv(  # noqa: PLR0913  each is a word that users of CSV know
    path: str,
    *,
    columns: list[str] | None = None,
    where: Any = None,
    each: str = "row",
    header: list[str] | None = None,
    delimiter: str | None = None,
    types: dict[str, str] | None = None,
    nulls: list[str] | None = None,
    quotes: bool = True,
    cache: int = CACHE,
) -> Reader | Tape:
    """Open a CSV file in UTF-8, a folder of them, or several by a pattern: ``"logs/*.csv"``.

    Args:
        path: the file or folder; of a folder, all files in the order of their names. A file ``.csv.gz``, ``.csv.zst``
            or ``.csv.bz2`` is a Stream, whose types are worked out from its first megabyte.
        columns: the columns that items have, by name; all by default.
        where: which rows: ``("label", "==", 3)``, a list of such comparisons, all of which must hold, or a list of
            lists, one of which must. Each process parses the file once for it when it opens it.
        each: ``"row"``: an item is a row, as a dict. ``"batch"``: about a megabyte of rows, as a dict of arrays and
            lists. ``"arrow"``: these as ``pyarrow.RecordBatch``.
        header: the names of the columns, where the file does not begin with them.
        delimiter: what stands between values; a comma by default, and a tab in ``.tsv``.
        types: types of columns by name: ``"bool"``, ``"int64"``, ``"float32"``, ``"string"``, ``"date32"``,
            ``"timestamp[s]"`` … By default whole numbers, floats and booleans are worked out, all else is text.
        nulls: the words, not quoted, that stand for None; an empty value by default.
        quotes: whether values may stand in double quotes, with line breaks in them.
        cache: bytes of rows that each process keeps.

    Raises:
        StoreError: it cannot be read, or the files of a folder have different columns.
    """
    place = f"open({path!r})"
    flag(quotes, place, "quotes")
    comma = "\t" if ".tsv" in os.path.basename(path).lower() else ","
    mark: object = comma if delimiter is None else delimiter
    if not isinstance(mark, str) or len(mark) != 1 or not mark.isascii() or mark in '\r\n"':
        raise ArgumentError(f"{place}: delimiter must be one character, not {short(delimiter)}.")
    for name, value, kind in (("header", header, list), ("nulls", nulls, list), ("types", types, dict)):
        if value is not None and not (isinstance(value, kind) and all(isinstance(v, str) for v in value)):
            raise ArgumentTypeError(f"{place}: {name} must be a {kind.__name__} of texts, not {short(value)}.")
    dialect = Dialect(mark, quotes, header, [""] if nulls is None else nulls, types or {})
    room = room_of(cache, place)
    if is_packed(path):
        return CsvTape(path, sampled(path), dialect, (columns, where, each))
    reader = CsvReader(path, dialect, columns, room)
    check_condition(where, reader.every, place)
    return finished(reader, where, each, place)


class CsvRecorder(Recorder):
    """Writes a line for each item: texts between quotes, so that an empty one is no None."""

    def __init__(self, path: str, delimiter: str) -> None:
        self.where = f"save({os.path.basename(path)!r})"
        if is_packed(path):
            raise ArgumentTypeError(f"{self.where}: compressed tables are only read. Save as .csv and compress that.")
        self.delimiter = delimiter
        self.file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115  closed by close()
        self.names: list[str] = []
        self.count = 0

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a line, and a header before the first one."""
        if not isinstance(item, dict) or not item or not all(isinstance(name, str) for name in item):
            raise ArgumentTypeError(
                f"{self.where}: items must be dicts of numbers and texts by name, not {short(item)}. Make them in a "
                'map(): map(lambda x: {"x": x}).'
            )
        if not self.names:
            self.names = list(item)
            self.file.write(self.delimiter.join(map(quoted, self.names)) + "\n")
        if item.keys() != set(self.names):
            raise ArgumentTypeError(
                f"{self.where}: item {self.count} has the fields {list(item)}, the first one {self.names}."
            )
        self.file.write(self.delimiter.join([self.cell(name, item[name]) for name in self.names]) + "\n")
        self.count += 1

    def cell(self, name: str, value: Any) -> str:
        """Return a value as it stands in the file."""
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
            value = str(value) if value.dtype.kind == "M" else value.item()
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, str):
            return value
        raise ArgumentTypeError(
            f"{self.where}: field {name!r} of item {self.count} is {short(value)}, which CSV has no place for. Take it "
            "apart in a map(), or save as .parquet."
        )

    def finish(self) -> None:
        """Write what is left."""
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def quoted(text: str) -> str:
    """Return a text between quotes."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def create_csv(path: str, *, delimiter: str | None = None) -> Recorder:
    """Begin a CSV file with a header. Items are dicts of numbers, booleans, texts and None.

    Args:
        path: the file.
        delimiter: what stands between values; a comma by default, and a tab in ``.tsv``.
    """
    return CsvRecorder(path, delimiter or ("\t" if path.lower().endswith(".tsv") else ","))


FORMAT = Format("csv", (*SUFFIXES, *PACKED), open_csv, create_csv, patterns=True)
