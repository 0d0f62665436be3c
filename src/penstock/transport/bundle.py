"""Bundles: items as pieces of memory for somebody else's store, such as Ray's: a pickle, and the arrays beside it.

    items ──pickle 5──> [ pickle │ array │ array … ]  ══store══>  the same pieces, read in place ──> items

What comes out of a store is read-only, because others might look at it. Nobody looks at a bundle but whoever asked
for the work, so its arrays are opened for writing again: what a worker made arrives as it would from a process.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.graph.context import Memory, heap
from penstock.transport.frame import pickled
from penstock.transport.slab import SMALL, Root, address

Piece = bytes | Root
ALONE = 1 << 17  # bytes of a bundle below which a copy is cheaper than looking where it lies


def bundle(value: Any) -> tuple[Piece, ...]:
    """Encode a value: its pickle, then its large arrays, where they lie."""
    pieces: list[Root] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as raw:
            if raw.nbytes < SMALL:
                return True  # stays inside the pickle
            pieces.append(np.frombuffer(raw, np.uint8))
        return False

    payload = pickled(value, keep, pieces)
    return (payload if len(payload) < SMALL else np.frombuffer(payload, np.uint8), *pieces)


def unbundle(pieces: Sequence[Piece]) -> Any:
    """Decode a value; its large arrays are views of the pieces."""
    payload: Any = pieces[0]
    return pickle.loads(payload, buffers=pieces[1:])  # noqa: S301  from a process that we started


class Lease:
    """Looks like the piece that it holds, and may be written to. The store keeps the memory as long as that lives."""

    def __init__(self, piece: Root) -> None:
        self.piece = piece
        self.__array_interface__ = {**piece.__array_interface__, "data": (address(piece), False)}


class Opener:
    """Makes pieces that lie in a store's memory writable, where that memory is mapped for writing."""

    def __init__(self, memory: Memory = heap) -> None:
        self.memory = memory
        self.regions: list[tuple[int, int]] = []

    def opened(self, pieces: Sequence[Any]) -> list[Piece]:
        """Return the same pieces, the arrays among them writable."""
        return [pieces[0], *map(self.writable, pieces[1:])]

    def writable(self, piece: Root) -> Root:
        """Return a fresh array over the same memory; where that is not possible, a copy."""
        where = address(piece)
        if piece.nbytes < ALONE or not self.reaches(where, piece.nbytes):
            copy = self.memory.empty((piece.nbytes,), piece.dtype)
            copy[:] = piece
            return copy
        return np.asarray(Lease(piece))

    def reaches(self, where: int, nbytes: int) -> bool:
        """Tell whether some memory lies in a shared mapping that may be written to."""
        for start, stop in self.regions:
            if start <= where and where + nbytes <= stop:
                return True
        with open("/proc/self/maps", encoding="utf-8") as maps:
            for line in maps:
                span, access, *_ = line.split(maxsplit=2)
                start, stop = (int(word, 16) for word in span.split("-"))
                if start <= where and where + nbytes <= stop and access == "rw-s":
                    self.regions.append((start, stop))
                    return True
        return False
