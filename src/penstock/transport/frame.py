"""Frames between a trainer and the worker processes that it started: items as a pickle and buffers beside it.

    items ──pickle 5──> payload │ buffers ──> slabs     (those that already lie in one stay where they are)

Pickle is allowed here and nowhere else: both ends are one program. Arrays below ``SMALL`` bytes stay inside the
payload; a payload that is itself large goes into a slab.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from penstock.transport.reducing import by_value, reduced
from penstock.transport.slab import SMALL, Arena, Borrowed, Root, address

SPILL = 1 << 16  # bytes of a payload that goes into a slab: below, a lease costs more than the way through a socket
EXTENTS = 1000  # of one message; more arrays than that travel inside the pickle


class Packer(pickle.Pickler):
    """Pickles what has an importable class, which is fast; the rest is left to ``by_value``."""

    reducer_override = staticmethod(reduced)  # one call less for each object


class Extent(NamedTuple):
    """A stretch of an arena that belongs to a slab."""

    slab: int
    offset: int
    nbytes: int


class Packed(NamedTuple):
    """Items, ready to be sent."""

    payload: bytes
    """The pickle; empty where it lies in the last extent."""
    extents: list[Extent]
    spilled: bool
    """Whether the last extent is the payload."""


def pack(value: Any, arena: Arena) -> Packed:
    """Encode a value; its large buffers end up in the arena's slabs.

    Args:
        value: anything that pickle or cloudpickle can handle.
        arena: the worker's.
    """
    extents: list[Extent] = []
    copies: list[Root] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as raw:
            nbytes = raw.nbytes
            if nbytes < SMALL or len(extents) >= EXTENTS:
                return True  # stays inside the pickle
            array: Root = np.frombuffer(raw, np.uint8)
        where = address(array)
        slab = arena.slab_at(where, nbytes)
        offset = where - arena.map.start
        if slab is None:
            slab, root = arena.lease(nbytes)
            np.copyto(root[:nbytes], array)
            copies.append(root)
            offset = arena.offsets[slab]
        extents.append(Extent(slab, offset, nbytes))
        return False

    payload = pickled(value, keep, extents)
    spilled = len(payload) >= SPILL
    if spilled:
        slab, root = arena.lease(len(payload))
        root[: len(payload)] = np.frombuffer(payload, np.uint8)
        copies.append(root)
        extents.append(Extent(slab, arena.offsets[slab], len(payload)))
        payload = b""
    for extent in extents:
        arena.map.flags[extent.slab] = 1  # from here on the trainer's, until it clears the byte
    return Packed(payload, extents, spilled)


def pickled(value: Any, keep: Callable[[pickle.PickleBuffer], object], kept: list[Any]) -> bytes:
    """Return the pickle of a value; ``keep`` takes its buffers, into a list, or leaves them inside."""
    try:
        stream = io.BytesIO()
        Packer(stream, 5, buffer_callback=keep).dump(value)
        return stream.getvalue()
    except (pickle.PicklingError, AttributeError, TypeError):
        pass  # a class of __main__, or a lambda: pickled by value, which takes longer
    kept.clear()
    return by_value(value, keep)


def unpack(payload: memoryview | bytes, extents: list[Extent], borrowed: Borrowed, *, spilled: bool) -> Any:
    """Decode a value; its large buffers are views of the slabs.

    One lease for each slab: several arrays may lie in one, and it is free when the last of them dies.
    """
    bounds: dict[int, tuple[int, int]] = {}
    for slab, offset, nbytes in extents:
        start, stop = bounds.get(slab, (offset, offset))
        bounds[slab] = (min(start, offset), max(stop, offset + nbytes))
    leases = {slab: (start, borrowed.adopt(slab, start, stop - start)) for slab, (start, stop) in bounds.items()}
    buffers = []
    for slab, offset, nbytes in extents:
        start, root = leases[slab]
        buffers.append(root if len(root) == nbytes else root[offset - start : offset - start + nbytes])
    if spilled:
        return pickle.loads(buffers[-1].data, buffers=buffers[:-1])  # noqa: S301  from a process that we started
    return pickle.loads(payload, buffers=buffers)  # noqa: S301
