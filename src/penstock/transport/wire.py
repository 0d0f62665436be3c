"""Records on their way through a socket: cut into frames, and put together again.

A batch is a record (``record`` says what that looks like). On the wire it takes one of two forms:

    large    │ head, header, numbers, small parts │ a large array │ small parts │ a large array │ …   a frame each
    small    │ record │ record │ record │ …                                                        all in one frame

Large arrays are neither copied here nor there: a frame refers to them, and what arrives is looked at where it lies.
Small records travel together, for a message costs as much as copying some 100 KB. Each begins at a multiple of 64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from penstock.errors import CorruptRecord
from penstock.transport.record_decoding import decode_pieces
from penstock.transport.record_encoding import pieces
from penstock.transport.record_layout import ALIGN

OWN = 1 << 16  # bytes from which on a part of a record has a frame of its own
SMALL = 1 << 18  # bytes up to which records travel together …
TOGETHER = 1 << 20  # … so many bytes at a time

Piece = Any  # whatever has a buffer of bytes


class Parcel:
    """An item, encoded: its record in pieces, which refer to the item's arrays."""

    __slots__ = ("nbytes", "pieces")

    def __init__(self, item: Any) -> None:
        self.pieces: list[Piece] = pieces(item)
        self.nbytes = sum(map(len, self.pieces))

    @property
    def small(self) -> bool:
        """Whether it should travel with others."""
        return self.nbytes <= SMALL

    def frames(self) -> list[Piece]:
        """Return what to send, large parts uncopied; cuts are between parts."""
        found: list[Piece] = []
        together: list[Piece] = []
        for piece in self.pieces:
            if len(piece) < OWN:
                together.append(piece)
                continue
            if together:
                found.append(b"".join(together))
                together.clear()
            found.append(piece)
        if together:
            found.append(b"".join(together))
        return found


def space(nbytes: int) -> int:
    """Return how many bytes a record takes where others follow."""
    return nbytes + -nbytes % ALIGN


def joined(parcels: Iterable[Parcel]) -> bytes:
    """Return small records one after another: copied once."""
    parts: list[Piece] = []
    for parcel in parcels:
        parts.extend(parcel.pieces)
        gap = -parcel.nbytes % ALIGN
        if gap:
            parts.append(bytes(gap))
    return b"".join(parts)


def divided(frame: Piece, sizes: Sequence[int]) -> list[list[memoryview]]:
    """Return the records in a frame, without looking into them yet.

    Raises:
        CorruptRecord: the sizes do not fit.
    """
    memory = memoryview(frame).cast("B")
    starts = list(accumulate(map(space, sizes), initial=0))
    if min(sizes, default=-1) < 0 or starts[-1] != len(memory):
        raise CorruptRecord(f"{len(memory)} bytes do not hold {len(sizes)} records of the sizes that were said.")
    return [[memory[start : start + size]] for start, size in zip(starts, sizes, strict=False)]


def opened(frames: list[Any]) -> Any:
    """Return the item of a record's frames: its arrays are views of them.

    Raises:
        CorruptRecord: they are no record.
    """
    return decode_pieces(frames)
