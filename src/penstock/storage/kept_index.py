"""Indexes that are kept beside their files, because to build one takes up to seconds a million, in every process.

    mark ┊ checksum of all that follows, 4 ┊ size of the description, 8 ┊ description, JSON ┊ arrays, one by one

``<file>.index`` belongs to a file of one size and one time of its last change, and is built anew for any other. It
is written where it may be, and read where it is whole; whoever reads it compares its numbers with the file.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import StoreError

MANY = 20_000  # records or members from which on an index is kept
WAYS = ("auto", "beside", "memory")
ENDING = ".index"
SIZES = 4 + 8  # bytes of the checksum and of the description's size


class Stamp(NamedTuple):
    """What tells a file from a changed one: its size, and the time of its last change in nanoseconds."""

    size: int
    changed: int


def stamp(file: int | str) -> Stamp:
    """Return a file's stamp."""
    status = os.stat(file)
    return Stamp(status.st_size, status.st_mtime_ns)


def beside(path: str) -> str:
    """Return where the index of a file is kept."""
    return path + ENDING


def without(paths: list[str]) -> list[str]:
    """Return paths without the indexes of others among them, which a pattern may have found along with these."""
    known = set(paths)
    return [path for path in paths if not (path.endswith(ENDING) and path.removesuffix(ENDING) in known)]


def keep(path: str, how: str, count: int, write: Callable[[str], None]) -> None:
    """Keep an index beside its file, if it has many entries and the folder allows that, or if it was asked for.

    Args:
        path: the file.
        how: ``"auto"``, or ``"beside"``: to keep it is asked for, and an error where that is impossible.
        count: how many entries it has.
        write: writes it to a path.
    """
    if how == "beside" or count >= MANY:
        try:
            write(beside(path))
        except OSError as error:
            if how == "beside":
                raise StoreError(f"the index of {path} cannot be written: {error}.") from error


def save(path: str, mark: bytes, fields: dict[str, Any], arrays: Sequence[NDArray[Any]], of: Stamp) -> None:
    """Write an index; it appears whole, or not at all."""
    lengths = [len(array) for array in arrays]
    said = json.dumps({"stamp": of, **fields, "lengths": lengths}).encode()
    said += b" " * (-(len(mark) + SIZES + len(said)) % 8)  # numbers lie where they can be read in place
    body = [len(said).to_bytes(8, "little"), said, *[array.tobytes() for array in arrays]]
    check = 0
    for part in body:
        check = zlib.crc32(part, check)
    folder, name = os.path.split(path)
    handle, made = tempfile.mkstemp(".partial", f".{name}.", folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(mark + check.to_bytes(4, "little"))
            file.writelines(body)
        os.chmod(made, 0o644)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise


def load(path: str, mark: bytes, dtypes: Sequence[str], of: Stamp) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read an index that was kept: its description, and its arrays.

    Raises:
        OSError, ValueError, KeyError, TypeError: there is none, or it does not belong to the file.
    """
    with open(path, "rb") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    begin, fixed = len(mark) + 4, len(mark) + SIZES
    if memory[: len(mark)] != mark or zlib.crc32(memory[begin:]) != int.from_bytes(memory[begin - 4 : begin], "little"):
        raise ValueError("no index, or a damaged one")
    at = fixed + int.from_bytes(memory[begin:fixed], "little")
    said = json.loads(bytes(memory[fixed:at]))
    if Stamp(*said["stamp"]) != of:
        raise ValueError("an index of another file")
    arrays: list[NDArray[Any]] = []
    for length, dtype in zip(said["lengths"], dtypes, strict=True):
        array = np.frombuffer(memory, dtype, length, at) if length else np.empty(0, dtype)
        arrays.append(array)
        at += array.nbytes
    return said, arrays
