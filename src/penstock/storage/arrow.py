"""Arrow's own files, Feather 2 included, through pyarrow: a file, or a folder of them.

They are mapped, so their record batches are read in place and only what is taken is copied; a compressed batch is
unpacked as a whole and kept while there is room. There is also Arrow's stream format, which Hugging Face writes under
the same suffix: mapped and read in place, too; but where its batches are compressed it is read from the front.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.errors import PenstockError, StoreError
from penstock.graph.checking import short
from penstock.graph.storing import Format, Reader, Recorder, Tape, require, sampled
from penstock.storage.grouped import CACHE, Known, begins, files_of, room_of, tag_of
from penstock.storage.table_conditions import check_condition
from penstock.storage.table_writing import TableRecorder
from penstock.storage.tables import TableReader, TableTape, arrow, chosen, described, finished

SUFFIXES = (".arrow", ".feather", ".ipc", ".arrows")
MAGIC = b"ARROW1"
UNPACKED = 1 << 20  # bytes of unpacked batches of a stream that are held
COMPRESSIONS = (None, "zstd", "lz4")


def ipc() -> Any:
    """Import pyarrow's part for these files."""
    return require("pyarrow.ipc", "tables", "Reading and writing Arrow files")


@contextlib.contextmanager
def refusing(path: str) -> Iterator[None]:
    """Turn whatever Arrow says of a file as a whole into a StoreError."""
    try:
        yield
    except PenstockError:
        raise
    except (arrow().ArrowException, OSError, ValueError, TypeError, MemoryError, LookupError) as error:
        raise StoreError(f"{path} is no whole Arrow file: {error}") from error


class FilePart(Known):
    """A file in the file format."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        with refusing(path):
            self.schema = self.open([]).schema
            opened = self.open([0] if self.schema.names else [])
            self.counts = [opened.get_batch(k).num_rows for k in range(opened.num_record_batches)]

    def open(self, fields: list[int]) -> Any:
        """Map the file; batches keep the map alive."""
        options = ipc().IpcReadOptions(included_fields=fields, use_threads=False)
        return ipc().open_file(arrow().memory_map(self.path), options=options)

    def batch(self, number: int, names: Sequence[str]) -> Any:
        """Return some columns of a batch."""
        self.check()
        fields = [self.schema.get_field_index(name) for name in names]
        return self.open(sorted(fields)).get_batch(number).select(list(names))


class StreamPart(Known):
    """A file in the stream format, of which all batches are held: as they are in the mapped file, it costs little."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        size = os.path.getsize(path)
        self.batches: list[Any] = []
        self.packed = False
        with refusing(path):
            map_ = arrow().memory_map(path)
            start = map_.read_buffer().address
            map_.seek(0)
            opened = ipc().open_stream(map_)
            self.schema = opened.schema
            unpacked = 0
            for batch in opened:
                self.batches.append(batch)
                unpacked += outside(batch, start, start + size)
                if unpacked > UNPACKED:
                    self.packed = True
                    break
        if self.packed:
            self.batches = []
        self.counts = [batch.num_rows for batch in self.batches]

    def batch(self, number: int, names: Sequence[str]) -> Any:
        """Return some columns of a batch."""
        self.check()
        return self.batches[number].select(list(names))


def outside(batch: Any, start: int, end: int) -> int:
    """Return how many bytes of a batch do not lie in a stretch of memory: what was unpacked."""
    buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
    return sum(buffer.size for buffer in buffers if not start <= buffer.address < end)


def part_of(path: str) -> FilePart | StreamPart:
    """Open a file in either format."""
    with refusing(path), open(path, "rb") as file:
        start = file.read(len(MAGIC))
    if not start:
        raise StoreError(f"{path} is no Arrow file: it is empty.")
    if start.startswith(b"FEA1"):
        raise StoreError(
            f"{path} is a Feather file of version 1, which nobody writes any more. Convert it once with a pyarrow "
            "below 24: pyarrow.feather.write_feather(pyarrow.feather.read_table(old), new)."
        )
    return FilePart(path) if start == MAGIC else StreamPart(path)


class ArrowReader(TableReader):
    """The rows of one file or several."""

    def __init__(self, path: str, parts: list[FilePart | StreamPart], root: str, columns: Any, cache: int) -> None:
        self.path = path
        self.root = root
        self.tag = tag_of([part.path for part in parts], root)
        self.parts = parts
        self.places = [(part, k) for part in parts for k in range(len(part.counts))]
        super().__init__((part.counts[k] for part, k in self.places), cache)
        self.every = parts[0].schema.names
        self.names = chosen(self.every, columns, path, f"open({path!r})")
        first = parts[0]
        for part in parts:
            for name in self.names:
                ours = described(first.schema, [name])
                theirs = described(part.schema, [name]) if name in part.schema.names else {}
                if ours != theirs:
                    raise StoreError(
                        f"{part.path}: the column {name!r} is {theirs.get(name, 'not there')}, and {ours[name]} in "
                        f"{first.path}. Leave it out: columns=[…]."
                    )

    def table(self, number: int, names: Sequence[str]) -> Any:
        """Return some columns of a batch."""
        part, batch = self.places[number]
        return part.batch(batch, names)

    def named(self, number: int) -> str:
        """Return the batch, and the file where there are several."""
        part, batch = self.places[number]
        return f"batch {batch}" + ("" if part.path == self.path else f" in {os.path.relpath(part.path, self.root)}")

    def schema(self) -> Any:
        """Return the columns and their types, and how many batches there are and how long the longest one is."""
        longest = max((part.counts[k] for part, k in self.places), default=0)
        columns = described(self.parts[0].schema, self.names)
        return {"columns": columns, "batches": len(self.places), "rows of a batch": longest}


class PackedTape(TableTape):
    """A stream whose batches are compressed."""

    def __init__(self, part: StreamPart, columns: Any, where: Any, each: str) -> None:
        place = f"open({part.path!r})"
        super().__init__(part.path, sampled(part.path), where, each, place)
        self.part = part
        self.names = chosen(part.schema.names, columns, part.path, place)
        self.compared = list(dict.fromkeys(c[0] for conjunction in self.alternatives for c in conjunction))

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Read the file from the front."""
        self.part.check()
        for batch in ipc().open_stream(arrow().memory_map(self.path)):
            batch.validate(full=True)
            yield batch.select(list(self.names)), batch.select(self.compared)

    def schema(self) -> Any:
        """Return the columns and their types."""
        return {"columns": described(self.part.schema, self.names)}


def open_arrow(
    path: str,
    *,
    columns: list[str] | None = None,
    where: Any = None,
    each: str = "row",
    cache: int = CACHE,
) -> Reader | Tape:
    """Open an Arrow file, a folder of them, or several by a pattern: ``"data/*.arrow"``.

    Args:
        path: the file or folder; of a folder, all files in the order of their names.
        columns: the columns that items have, by name; all by default.
        where: which rows: ``("label", "==", 3)``, a list of such comparisons, all of which must hold, or a list of
            lists, one of which must. Each process looks at the columns that are compared when it opens the file.
        each: ``"row"``: an item is a row, as a dict. ``"batch"``: a record batch, as a dict of arrays and lists.
            ``"arrow"``: a ``pyarrow.RecordBatch``.
        cache: bytes of record batches that each process keeps.

    Raises:
        StoreError: it is no such file, truncated, or the files of a folder do not fit together.
    """
    place = f"open({path!r})"
    room = room_of(cache, place)
    files, root = files_of(path, SUFFIXES)
    parts = [part_of(file) for file in files]
    check_condition(where, parts[0].schema.names, place)
    for part in parts:
        if isinstance(part, StreamPart) and part.packed:
            if len(parts) > 1:
                raise StoreError(f"{part.path} is a compressed stream, which has no positions. Open it by itself.")
            return PackedTape(part, columns, where, each)
    return finished(ArrowReader(path, parts, root, columns, room), where, each, place)


class ArrowRecorder(TableRecorder):
    """Writes a record batch at a time."""

    def __init__(self, path: str, group: int | None, compression: str | None) -> None:
        super().__init__(path, group)
        if compression not in COMPRESSIONS:
            raise StoreError(f"{self.where}: compression must be None, 'zstd' or 'lz4', not {short(compression)}.")
        self.compression = compression
        self.writer: Any = None

    def begin(self, schema: Any) -> None:
        """Begin a file with these columns."""
        options = ipc().IpcWriteOptions(compression=self.compression, use_threads=False)
        make = ipc().new_stream if self.path.endswith(".arrows") else ipc().new_file
        self.writer = make(self.path, schema, options=options)

    def write(self, table: Any) -> None:
        """Write a record batch."""
        self.writer.write_table(table)

    def end(self) -> None:
        """Write the footer."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def create_arrow(path: str, *, group: int | None = None, compression: str | None = None) -> Recorder:
    """Begin an Arrow file; ``.arrows`` is one in the stream format. Items are dicts; the first ones decide the types.

    Args:
        path: the file.
        group: rows of a record batch; by default as many as are about 16 MB, and at most 65,536.
        compression: None, so that it is read in place, ``"zstd"`` or ``"lz4"``.
    """
    return ArrowRecorder(path, group, compression)


def recognise(path: str) -> bool:
    """Tell whether something begins as an Arrow file does, or is a folder with such in it."""
    return begins(path, MAGIC, SUFFIXES)


FORMAT = Format("arrow", SUFFIXES, open_arrow, create_arrow, recognise, patterns=True)
