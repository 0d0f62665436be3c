"""Items as bytes, for memory that processes share: a pickle, and behind it large buffers, which are used in place."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

from penstock.transport.reducing import by_value

ALIGN = 64
INLINE = 1 << 12  # bytes of a buffer that stays within the pickle


def frozen(value: Any) -> list[Any]:
    """Return an item as pieces of bytes: lengths, pickle, and its large buffers, each at a multiple of 64."""
    raws: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < INLINE:
            return True  # within the pickle
        raws.append(raw)
        return False

    body = by_value(value, keep)
    head = struct.pack(f"<{2 + len(raws)}q", len(body), len(raws), *[raw.nbytes for raw in raws])
    pieces: list[Any] = [head, body]
    size = len(head) + len(body)
    for raw in raws:
        gap = -size % ALIGN
        pieces += [bytes(gap), raw]
        size += gap + raw.nbytes
    return pieces


def thawed(memory: Any) -> Any:
    """Return the item; its large arrays are views of this memory, and can be written to."""
    view = memoryview(memory)
    length, count = struct.unpack_from("<2q", view)
    sizes = struct.unpack_from(f"<{count}q", view, 16)
    at = 16 + 8 * count
    body = view[at : at + length]
    at += length
    buffers = []
    for nbytes in sizes:
        at += -at % ALIGN
        buffers.append(view[at : at + nbytes])
        at += nbytes
    return pickle.loads(body, buffers=buffers)  # noqa: S301  of our own trainer and its workers, in memory


def written(fd: int, data: bytes, at: int) -> None:
    """Write all of some bytes."""
    view = memoryview(data)
    while view.nbytes:
        done = os.pwrite(fd, view[: 1 << 30], at)
        view, at = view[done:], at + done
