"""store: the records of a file or folder as items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from penstock.errors import StateError
from penstock.graph.checking import short
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.graph.storing import Handle

if TYPE_CHECKING:
    import numpy as np

    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

LONG = 400  # characters of a path, which may be the pattern of many, that are too many for an error


@operation
class Store(Node):
    """The records of a store with positions. It travels as its path; each process opens it for itself."""

    pure = True
    aside = ("text",)

    handle: Handle
    count: int
    text: str

    def length(self) -> int:
        """Return the number of records, as it was when the store was opened."""
        return self.count

    def item(self, index: int, read: Reading) -> Any:
        """Return one record's item."""
        return self.handle.reader()[index]

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return many records' items at once."""
        return self.handle.reader().many(indices)  # type: ignore[no-any-return]

    def origin(self, index: int, read: Reading) -> object:
        """Return the record and the file."""
        return named(self.handle, index)

    def stretches(self) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Return where row groups, chunks and the like begin."""
        return self.handle.reader().stretches()  # type: ignore[no-any-return]

    def label(self) -> str:
        """Return ``open(…)`` as it was written."""
        return self.text

    def fingerprint(self) -> str:
        """Return what stands for the content, wherever the file lies: a state moves to other machines with it."""
        return f"open of {self.count} records, {self.handle.tag}"


@operation
class Tape(Node):
    """The records of a store that can only be read from the front."""

    aside = ("text",)

    handle: Handle
    text: str

    @property
    def positional(self) -> bool:
        """Never: there is no way but from the front."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Begin where a record begins."""
        return Playing(self, read, position)

    def label(self) -> str:
        """Return ``open(…)`` as it was written."""
        return self.text

    def fingerprint(self) -> str:
        """Return what stands for the content, wherever the file lies."""
        return f"open of a stream, {self.handle.tag}"


class Playing(Cursor):
    """Reads a tape. Its position is ``[records read, where the next one begins]``."""

    def __init__(self, node: Tape, read: Reading, position: Position) -> None:
        count, at = position or (0, 0)
        if type(count) is not int or type(at) is not int:
            raise StateError(f"a position of {node.label()} is two whole numbers, not {short(position)}.")
        self.node = node
        self.read = read
        self.count = count
        self.at = at
        self.items: Iterator[tuple[Any, int]] | None = None

    def __next__(self) -> Any:
        try:
            if self.items is None:
                self.items = self.node.handle.reader().read(self.at)
            value, self.at = next(self.items)
        except StopIteration:
            raise
        except Exception as error:
            error.add_note(f"penstock: {named(self.node.handle, self.at, self.count)}")
            self.read.blame(error, self.node, Place(self.count))
            raise
        self.count += 1
        return value

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return how many records were read, and where the next one begins."""
        return [self.count, self.at]

    def close(self) -> None:
        """Let go of the tape."""
        self.items = iter(())


def named(handle: Handle, at: int, number: int | None = None) -> str:
    """Return what a person would call a record."""
    key = handle.reader().key(at)
    which = at if number is None else number
    path = handle.path if len(handle.path) < LONG else f"{handle.path[: LONG // 2]}…{handle.path[-LONG // 2 :]}"
    return f"record {which} of {path}" if key is None else f"record {which}, {key!r}, of {path}"
