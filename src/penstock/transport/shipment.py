"""Shipment: a description on its way to the workers, once, in memory that they all share.

    ┌ payload length, table of buffers ┐┌ pickle ┐┌ array ┐┌ array ┐ …

The pickle's buffers, which are the contiguous arrays wherever they stand inside the description, lie beside it; workers
map the file and look at them in place, read-only. A memory map of a file travels as the file's name and place.
"""

from __future__ import annotations

import dataclasses
import io
import mmap
import os
import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.graph.context import PAGE
from penstock.graph.execution import Work
from penstock.graph.node import Node, ordered
from penstock.transport.reducing import ByValue
from penstock.transport.slab import address, create

HEAD = struct.Struct("<qq")
ALIGN = 64
LARGEST = 1 << 30  # bytes of one write: Linux takes no more than two gigabytes at once


class Pickler(ByValue):
    """Pickles functions by value where they cannot be imported, arrays beside the stream, memory maps by reference."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object travels, or NotImplemented for the usual way."""
        if isinstance(obj, np.ndarray) and type(obj) in (np.memmap, np.ndarray):
            found = mapped(obj)
            if found is not None:
                return found
        if isinstance(obj, Work):
            return Work, (travelling(obj.root),)
        if isinstance(obj, Node) and not read_at_home(obj) and (other := obj.shipped()) is not obj:
            return other.__reduce_ex__(5)
        return super().reducer_override(obj)


def read_at_home(node: Node) -> bool:
    """Tell whether a step is a source that the caller reads from the front."""
    return not node.sources and not node.positional


def travelling(root: Node) -> Node:
    """Return a description without what its sources that are read at home consist of.

    These, and the steps behind them, are copies. So a dataset that a user's function holds, even one of the very same
    steps, travels whole: it is read where the function runs.
    """
    made: dict[int, Node] = {}
    for node in ordered(root):
        changes = {}
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if (replaced := behind(value, made)) is not value:
                changes[field.name] = replaced
        if changes:
            made[id(node)] = dataclasses.replace(node.shipped(), **changes)
        elif read_at_home(node):
            made[id(node)] = node.shipped()
    return made.get(id(root), root)


def behind(value: Any, made: dict[int, Node]) -> Any:
    """Return what a field of a step holds, with the copies of other steps in their places."""
    if isinstance(value, Node):
        return made.get(id(value), value)
    if isinstance(value, tuple) and any(id(entry) in made for entry in value):
        return tuple(made.get(id(entry), entry) for entry in value)
    return value


def mapped(array: NDArray[Any]) -> tuple[Any, ...] | None:
    """Return how to map an array's file again, or None where that is not possible."""
    base: Any = array
    while isinstance(base, np.ndarray) and not isinstance(base.base, mmap.mmap):
        base = base.base
    if not isinstance(base, np.memmap) or base.mode == "c" or base.filename is None:  # "c": changes are private
        return None
    source: Any = base.base
    beginning = address(np.frombuffer(source, np.uint8))
    name = os.path.abspath(base.filename)
    if not still_there(name, beginning):
        return None
    offset = base.offset - base.offset % mmap.ALLOCATIONGRANULARITY + address(array) - beginning
    return remap, (name, offset, array.shape, array.dtype, array.strides)


def still_there(name: str, where: int) -> bool:
    """Tell whether a name still leads to the file that is mapped at an address."""
    try:
        found = os.stat(name)
        with open("/proc/self/maps", "rb") as maps:
            for line in maps:
                span, _, _, _, inode, *_ = line.split()
                first, last = (int(word, 16) for word in span.split(b"-"))
                if first <= where < last:
                    return int(inode) == found.st_ino
    except OSError:
        pass
    return False


def remap(name: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...]) -> Any:
    """Map a part of a file again, for reading."""
    first = offset + sum(min(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True))
    last = offset + sum(max(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True)) + dtype.itemsize
    if not all(shape):
        return np.empty(shape, dtype)
    memory = np.memmap(name, np.uint8, "r", first, (last - first,))
    return np.ndarray(shape, dtype, memory, offset - first, strides)


def pickled(value: Any) -> tuple[memoryview, list[memoryview]]:
    """Return the pickle of a value, and its arrays, where they lie."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    Pickler(stream, 5, buffer_callback=lambda b: small(b) or buffers.append(b)).dump(value)  # type: ignore[func-returns-value]
    return stream.getbuffer(), [buffer.raw() for buffer in buffers]


def ship(value: Any) -> tuple[int, int]:
    """Write a value into a new file in memory; return its descriptor and size."""
    payload, raws = pickled(value)
    offsets = []
    top = HEAD.size * (1 + len(raws)) + len(payload)
    for raw in raws:
        top = -(-top // ALIGN) * ALIGN
        offsets.append(top)
        top += raw.nbytes
    size = -(-top // PAGE) * PAGE
    fd = create("penstock-description", size)
    try:
        # Writing fills pages without zeroing and mapping them first: two thirds of the time that a mapping takes.
        table = [HEAD.pack(len(payload), len(raws))]
        table += [HEAD.pack(offset, raw.nbytes) for offset, raw in zip(offsets, raws, strict=True)]
        write(fd, memoryview(b"".join(table)), 0)
        write(fd, payload, HEAD.size * (1 + len(raws)))
        for offset, raw in zip(offsets, raws, strict=True):
            write(fd, raw, offset)
    except BaseException:
        os.close(fd)
        raise
    return fd, size


def ship_work(work: Work, on_start: Callable[[int], object] | None = None, by: Callable[[Any], Any] = ship) -> Any:
    """Ship a description, and what workers begin with; an error of that says which operation cannot travel."""
    try:
        return by((work, on_start))
    except Exception as error:
        for node in work.plan.nodes:
            for name, value in node.shipped().settings():
                try:
                    Alone(io.BytesIO(), 5, buffer_callback=lambda _: None).dump(value)
                except Exception:  # noqa: BLE001  the same as above, and here it is known where
                    error.add_note(f"penstock: {node.label()} cannot be sent to worker processes: its {name}")
                    error.add_note(f"penstock: {node.label()} was written at {node.site}")
                    raise error from None
        try:
            Alone(io.BytesIO(), 5, buffer_callback=lambda _: None).dump(on_start)
        except Exception:  # noqa: BLE001  the same as above, and here it is known where
            error.add_note("penstock: on_start cannot be sent to worker processes")
        raise


class Alone(Pickler):
    """Pickles what a step has of its own, without what stands before it."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object travels; another step does not."""
        return (object, ()) if isinstance(obj, Node) else super().reducer_override(obj)


def write(fd: int, data: memoryview, offset: int) -> None:
    """Write all of some bytes; a full memory is an OSError here."""
    while data.nbytes:
        done = os.pwrite(fd, data[:LARGEST], offset)
        data, offset = data[done:], offset + done


def small(buffer: pickle.PickleBuffer) -> bool:
    """Tell whether a buffer had better stay inside the pickle."""
    with buffer.raw() as raw:
        return raw.nbytes < PAGE


def unship(fd: int, size: int) -> Any:
    """Read a value; its arrays are views of the file."""
    memory = memoryview(mmap.mmap(fd, size, prot=mmap.PROT_READ))
    length, count = HEAD.unpack_from(memory, 0)
    extents: Sequence[tuple[int, int]] = [HEAD.unpack_from(memory, HEAD.size * k) for k in range(1, count + 1)]
    start = HEAD.size * (1 + count)
    buffers = [memory[offset : offset + nbytes] for offset, nbytes in extents]
    return pickle.loads(memory[start : start + length], buffers=buffers)  # noqa: S301  from the process that started us
