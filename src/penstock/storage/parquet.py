"""Parquet, through pyarrow: a file, or a folder of them, partitioned or not.

A row group is read and decoded as a whole, the columns that are asked for only, and kept while there is room for it; so
reading in order, or shuffled in blocks, decodes each once. What a condition excludes by the statistics of a row group,
or by the name of a folder (``year=2024/``), is not read.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Sequence
from typing import Any

from penstock.errors import StoreError
from penstock.graph.checking import short
from penstock.graph.storing import Format, Reader, Recorder, require
from penstock.storage.grouped import CACHE, Known, begins, files_of, room_of, tag_of
from penstock.storage.table_conditions import Clause, check_condition, excluded
from penstock.storage.table_writing import TableRecorder
from penstock.storage.tables import TableReader, arrow, chosen, described, finished

SUFFIXES = (".parquet", ".pq", ".parq")
MAGIC = b"PAR1"
ROWS = 1 << 31  # more than this in one row group is no table


def parquet() -> Any:
    """Import pyarrow's part for Parquet."""
    return require("pyarrow.parquet", "tables", "Reading and writing Parquet")


class Part(Known):
    """One file: its row groups, and the values that the names of its folders give to partition columns."""

    def __init__(self, path: str, root: str) -> None:
        super().__init__(path)
        pa = arrow()
        try:
            with parquet().ParquetFile(path, pre_buffer=False) as file:
                self.meta = file.metadata
                self.schema = file.schema_arrow
            counts = [self.meta.row_group(k).num_rows for k in range(self.meta.num_row_groups)]
        except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
            raise StoreError(f"{path} is no whole Parquet file: {error}") from error
        if sum(counts) != self.meta.num_rows or any(not 0 <= count < ROWS for count in counts):
            raise StoreError(f"{path} is corrupt: {self.meta.num_rows} rows, in groups of {counts[:9]}.")
        self.counts = counts
        self.partition = partition_of(os.path.relpath(path, root))

    def read(self, group: int, names: Sequence[str]) -> Any:
        """Read some columns of a row group."""
        self.check()
        with parquet().ParquetFile(
            self.path, metadata=self.meta, pre_buffer=False, page_checksum_verification=True
        ) as file:
            return file.read_row_group(group, columns=list(names), use_threads=False)

    def bounds(self, group: int, name: str) -> tuple[Any, Any] | None:
        """Return the least and the greatest value of a column in a row group, if the file says."""
        if name not in self.schema.names:
            return None
        row_group = self.meta.row_group(group)
        for k in range(row_group.num_columns):
            column = row_group.column(k)
            if column.path_in_schema == name:
                found = column.statistics
                return (found.min, found.max) if found is not None and found.has_min_max else None
        return None


def partition_of(path: str) -> dict[str, str | None]:
    """Return what the folders in a path say: ``{"year": "2024"}`` for ``year=2024/part-0.parquet``."""
    found: dict[str, str | None] = {}
    for folder in os.path.dirname(path).split(os.sep):
        name, equals, value = folder.partition("=")
        if equals:
            text = urllib.parse.unquote(value)
            found[name] = None if text == "__HIVE_DEFAULT_PARTITION__" else text
    return found


class ParquetReader(TableReader):
    """The rows of one file or several."""

    def __init__(self, path: str, columns: Any, cache: int, place: str) -> None:
        self.path = path
        files, self.root = files_of(path, SUFFIXES)
        self.parts = [Part(file, self.root) for file in files]
        self.tag = tag_of(files, self.root)
        self.places = [(part, k) for part in self.parts for k in range(len(part.counts))]
        super().__init__((part.counts[k] for part, k in self.places), cache)
        self.partition = partition_types(self.parts)
        first = self.parts[0].schema
        self.every = [*(n for n in first.names if n not in self.partition), *self.partition]
        self.names = chosen(self.every, columns, path, place)
        for part in self.parts:
            self.check_part(part)

    def check_part(self, part: Part) -> None:
        """Refuse a file with other columns than the first one."""
        first = self.parts[0]
        if part.partition.keys() != first.partition.keys():
            raise StoreError(
                f"{part.path} is partitioned by {list(part.partition)}, and {first.path} by {list(first.partition)}."
            )
        for name in self.names:
            if name in self.partition:
                continue
            if name not in part.schema.names:
                raise StoreError(
                    f"{part.path} has no column {name!r}, which {first.path} has. Leave it out: columns=[…]."
                )
            ours, theirs = first.schema.field(name).type, part.schema.field(name).type
            if ours != theirs:
                raise StoreError(
                    f"{part.path}: the column {name!r} has the type {theirs}, in {first.path} {ours}. Leave "
                    "it out: columns=[…]; or open the files one by one, and join them behind a map(): concat(a, b)."
                )

    def table(self, number: int, names: Sequence[str]) -> Any:
        """Read some columns of a row group."""
        pa = arrow()
        part, group = self.places[number]
        stored = [name for name in names if name not in self.partition]
        found = part.read(group, stored)
        count = part.counts[group]
        arrays = {}
        for name in names:
            if name in self.partition:
                text = part.partition[name]
                value = None if text is None else self.partition[name](text)
                kind = pa.int64() if self.partition[name] is int else pa.string()
                arrays[name] = pa.chunked_array([pa.repeat(pa.scalar(value, kind), count)])
            else:
                arrays[name] = found.column(name)
        return pa.table(arrays) if arrays else found

    def dropped(self, number: int, conjunction: tuple[Clause, ...]) -> bool:
        """Tell whether statistics, or the names of folders, exclude a row group."""
        part, group = self.places[number]
        for clause in conjunction:
            name = clause[0]
            if name in self.partition:
                text = part.partition[name]
                if text is None:
                    continue
                bounds = (self.partition[name](text),) * 2
            else:
                known = part.bounds(group, name)
                if known is None:
                    continue
                bounds = known
            if excluded(clause, *bounds):
                return True
        return False

    def named(self, number: int) -> str:
        """Return the row group, and the file where there are several."""
        part, group = self.places[number]
        return f"row group {group}" + ("" if part.path == self.path else f" in {os.path.relpath(part.path, self.root)}")

    def schema(self) -> Any:
        """Return the columns and their types, and how many row groups there are and how long the longest one is."""
        first = self.parts[0].schema
        stored = described(first, [n for n in self.names if n not in self.partition])
        columns = {n: stored[n] if n in stored else self.partition[n].__name__ for n in self.names}
        longest = max((part.counts[k] for part, k in self.places), default=0)
        return {"columns": columns, "row groups": len(self.places), "rows of a group": longest}


def partition_types(parts: Sequence[Part]) -> dict[str, Any]:
    """Return for each partition column whether all its values are whole numbers: ``int``, else ``str``."""
    found: dict[str, Any] = {}
    for part in parts:
        for name, text in part.partition.items():
            plain = text is None or (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 18)
            found[name] = int if plain and found.get(name, int) is int else str
    return found


def open_parquet(
    path: str,
    *,
    columns: list[str] | None = None,
    where: Any = None,
    each: str = "row",
    cache: int = CACHE,
) -> Reader:
    """Open a Parquet file, a folder of them, or several by a pattern: ``"data/{train,more}/*.parquet"``.

    Args:
        path: the file or folder. Of a folder, all files are read in the order of their names, those in its folders,
            too; folders such as ``year=2024`` give a column ``year``.
        columns: the columns that items have, by name; all by default. Others are not read.
        where: which rows: ``("label", "==", 3)``, a list of such comparisons, all of which must hold, or a list of
            lists, one of which must. Also ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``not in``; a null is only
            found by ``("x", "==", None)``. Each process reads the columns that are compared when it opens the file, and
            then holds 8 bytes for each row that is left.
        each: ``"row"``: an item is a row, as a dict. ``"batch"``: a row group, as a dict of arrays and lists.
            ``"arrow"``: a row group as ``pyarrow.RecordBatch``.
        cache: bytes of decoded row groups that each process keeps.

    A row is as expensive as its row group where that is not kept. So shuffle in blocks of the length that row groups
    have, ``shuffle(block=65_536, blocks=4)``; or shuffle row groups, then within a window, which gives a Stream:
    ``open(path, each="batch").shuffle().unbatch().shuffle(window=10_000)``.

    Raises:
        StoreError: it is no such file, truncated, or the files of a folder do not fit together.
    """
    place = f"open({path!r})"
    reader = ParquetReader(path, columns, room_of(cache, place), place)
    check_condition(where, reader.every, place)
    return finished(reader, where, each, place)


class ParquetRecorder(TableRecorder):
    """Writes a row group at a time, each page with a checksum."""

    def __init__(self, path: str, group: int | None, compression: str | None) -> None:
        super().__init__(path, group)
        self.compression = compression
        self.writer: Any = None

    def begin(self, schema: Any) -> None:
        """Begin a file with these columns."""
        try:
            self.writer = parquet().ParquetWriter(
                self.path, schema, compression=self.compression or "none", write_page_checksum=True
            )
        except (OSError, ValueError, arrow().ArrowException) as error:
            raise StoreError(
                f"{self.where} cannot be written with compression={short(self.compression)}: {error}"
            ) from error

    def write(self, table: Any) -> None:
        """Write a row group."""
        self.writer.write_table(table, row_group_size=max(1, table.num_rows))

    def end(self) -> None:
        """Write the footer."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def create_parquet(path: str, *, group: int | None = None, compression: str | None = "zstd") -> Recorder:
    """Begin a Parquet file. Items are dicts; the first ones decide the columns' types.

    Args:
        path: the file.
        group: rows of a row group; by default as many as are about 16 MB, and at most 65,536.
        compression: ``"zstd"``, ``"snappy"``, ``"gzip"``, ``"lz4"``, ``"brotli"`` or None.
    """
    return ParquetRecorder(path, group, compression)


def recognise(path: str) -> bool:
    """Tell whether something begins as a Parquet file does, or is a folder with such in it."""
    return begins(path, MAGIC, SUFFIXES)


FORMAT = Format("parquet", SUFFIXES, open_parquet, create_parquet, recognise, patterns=True)
