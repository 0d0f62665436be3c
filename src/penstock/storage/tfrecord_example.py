"""tf.train.Example and SequenceExample: as much of protocol buffers as they need, read and written.

    Example          1: Features                           SequenceExample   1: Features   2: FeatureLists
    Features         1: {1: name, 2: Feature} …            FeatureLists      1: {1: name, 2: FeatureList} …
    Feature          1: bytes  2: float  3: int64 lists    FeatureList       1: Feature …
    …List            1: value …, numbers packed or not

Fields that are not known are skipped, as everywhere in protocol buffers; whatever is malformed is a ValueError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short
from penstock.storage.protobuf import FIXED32, INT64, SIZED, UINT64, VARINT, fields, number, sized, varints

BYTES, FLOATS, INTS = 1, 2, 3


def entries(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield the names and values of a map."""
    for field, kind, entry in fields(data):
        if field == 1 and kind == SIZED:
            name, value = "", memoryview(b"")
            for part, wire, content in fields(entry):
                if part == 1 and wire == SIZED:
                    name = str(content, "utf-8")
                elif part == 2 and wire == SIZED:
                    value = content
            yield name, value


def decode_example(data: memoryview, *, nested: bool = False) -> dict[str, Any]:
    """Return the features of an Example in the order of their names, or what a SequenceExample has, if ``nested``."""
    context: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for field, kind, content in fields(data):
        if field == 1 and kind == SIZED:
            context.update((name, feature(value)) for name, value in entries(content))
        elif field == 2 and kind == SIZED and nested:
            lists.update(
                (name, [feature(part) for which, wire, part in fields(value) if which == 1 and wire == SIZED])
                for name, value in entries(content)
            )
    # Maps are written in any order: one order for all items is ours to make.
    found = dict(sorted(context.items()))
    return {"context": found, "feature_lists": dict(sorted(lists.items()))} if nested else found


def feature(data: memoryview) -> list[bytes] | NDArray[Any]:
    """Return a feature's list; an empty one where nothing says of what."""
    found: list[bytes] | NDArray[Any] = []
    for field, kind, content in fields(data):
        if field not in (BYTES, FLOATS, INTS):
            continue
        if kind != SIZED:
            raise ValueError(f"a list of wire type {kind}")
        if field == BYTES:
            found = [bytes(value) for which, wire, value in fields(content) if which == 1 and wire == SIZED]
        else:
            found = numbers(content, floats=field == FLOATS)
    return found


def numbers(data: memoryview, *, floats: bool) -> NDArray[Any]:
    """Return the numbers of a list, packed or one by one."""
    parts: list[NDArray[Any]] = []
    singles: list[Any] = []
    dtype = np.dtype("<f4") if floats else np.dtype("<i8")
    for field, kind, value in fields(data):
        if field != 1:
            continue
        if kind == SIZED:
            if singles:
                parts.append(np.array(singles, dtype))
                singles = []
            if floats and len(value) % 4:
                raise ValueError(f"{len(value)} bytes are no list of float32")
            parts.append(np.frombuffer(value, dtype) if floats else varints(value))
        elif floats and kind == FIXED32:
            singles.append(struct.unpack("<f", value)[0])
        elif not floats and kind == VARINT:
            singles.append(value - UINT64 if value >= INT64 else value)
        else:
            raise ValueError(f"a number of wire type {kind}")
    if singles or not parts:
        parts.append(np.array(singles, dtype))
    return np.concatenate(parts).astype(np.float32 if floats else np.int64, copy=False)


def kinds_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return what each feature of a decoded example holds."""
    if set(item) == {"context", "feature_lists"} and isinstance(item["context"], dict):
        lists = {name: [kind_of(f) for f in values[:1]] for name, values in item["feature_lists"].items()}
        return {"context": kinds_of(item["context"]), "feature_lists": lists}
    return {name: kind_of(value) for name, value in item.items()}


def kind_of(value: Any) -> str:
    """Return what a feature holds."""
    return str(value.dtype) if isinstance(value, np.ndarray) else "bytes"


# ---------------------------------------------------------------------------------------------------------- writing


def encode_example(item: Any, where: str) -> bytes:
    """Return a dict as an Example's bytes."""
    if not isinstance(item, dict) or not all(isinstance(name, str) for name in item):
        raise ArgumentTypeError(f"{where}: an Example is a dict of values by name, not {short(item)}.")
    names = sorted(item)
    content = b"".join(
        sized(1, sized(1, name.encode()) + sized(2, encode_feature(item[name], f"{where}: {name!r}"))) for name in names
    )
    return sized(1, content)


def encode_feature(value: Any, where: str) -> bytes:
    """Return one feature's bytes."""
    if isinstance(value, (bytes, str)):
        value = [value]
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, (bytes, str)) for v in value):
        texts = [v.encode() if isinstance(v, str) else v for v in value]
        return sized(BYTES, b"".join(sized(1, text) for text in texts))
    array = np.atleast_1d(np.asarray(value))
    if array.ndim > 1:
        raise ArgumentError(
            f"{where} has the shape {array.shape}, and a feature one axis. Flatten it in a map(), and keep its shape "
            "in a feature of its own."
        )
    if array.dtype.kind in "iub" and (array.dtype != np.uint64 or not len(array) or int(array.max()) < INT64):
        return sized(INTS, sized(1, b"".join(number(int(v) % UINT64) for v in array)))
    if array.dtype.kind == "f":
        return sized(FLOATS, sized(1, array.astype("<f4").tobytes()))
    raise ArgumentTypeError(f"{where}: a feature is int64, float32 or bytes, one or a list, not {short(value)}.")
