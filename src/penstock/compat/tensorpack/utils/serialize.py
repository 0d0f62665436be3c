"""Datapoints as bytes and back: msgpack, with arrays as msgpack_numpy writes them. Nothing that is read is executed.

Tensorpack's default was pickle. What pickle can and this cannot: objects of classes of one's own. Pickles are read, and
do what they say, only where ``TENSORPACK_SERIALIZE=pickle`` is in the environment; those from a socket never.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.errors import CorruptRecord, MissingExtra

__all__ = ["dumps", "dumps_once", "dumps_parts", "loads", "loads_once", "loads_parts"]

LARGEST = (1 << 31) - 1
PICKLED = (
    "they look like a pickle, which is not read, since it runs whatever it says; if it is your own file, say "
    "TENSORPACK_SERIALIZE=pickle in the environment"
)


def library() -> Any:
    """Return msgpack."""
    try:
        import msgpack  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingExtra("datapoints as bytes need msgpack: pip install 'penstock[tensorpack]'") from missing
    return msgpack


def dumps(obj: Any) -> bytes:
    """Return an object as bytes.

    >>> import numpy as np
    >>> from penstock.compat.tensorpack.utils.serialize import dumps, loads
    >>> loads(dumps([np.arange(3), "label", 7]))
    [array([0, 1, 2]), 'label', 7]
    """
    return library().packb(obj, default=_described, use_bin_type=True)  # type: ignore[no-any-return]


def loads(buf: Any) -> Any:
    """Return what ``dumps`` was given; tuples become lists.

    Raises:
        CorruptRecord: the bytes are no msgpack; they may be a pickle, which is not read unless the environment says so.
    """
    data = bytes(getattr(buf, "buffer", buf))
    if is_pickle(data) and os.environ.get("TENSORPACK_SERIALIZE") == "pickle":
        return pickle.loads(data)  # noqa: S301  asked for
    return _unpacked(data, _restored)


def is_pickle(data: bytes) -> bool:
    """Tell whether bytes look like a pickle."""
    return data[:1] == b"\x80" and data[-1:] == b"."


def _unpacked(data: bytes, restored: Callable[[dict[Any, Any]], Any]) -> Any:
    limits = dict.fromkeys(("max_str_len", "max_bin_len", "max_array_len", "max_map_len"), LARGEST)
    try:
        return library().unpackb(data, raw=False, strict_map_key=False, object_hook=restored, **limits)
    except Exception as error:
        what = PICKLED if is_pickle(data) else str(error)
        raise CorruptRecord(f"loads(): {len(data)} bytes are no msgpack: {what}") from error


def dumps_parts(obj: Any) -> list[Any]:
    """Return an object as a head and the memory of its arrays, which is not copied."""
    parts: list[Any] = [b""]

    def described(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.nbytes and value.dtype.fields is None and not value.dtype.hasobject:
            parts.append(np.ascontiguousarray(value).data.cast("B"))
            return {b"nd": True, b"type": value.dtype.str, b"shape": value.shape, b"part": len(parts) - 1}
        return _described(value)

    parts[0] = library().packb(obj, default=described, use_bin_type=True)
    return parts


def loads_parts(parts: Sequence[Any]) -> Any:
    """Return what ``dumps_parts`` was given; arrays view the parts.

    Raises:
        CorruptRecord: the parts are nothing that it makes.
    """

    def restored(entry: dict[Any, Any]) -> Any:
        if b"part" not in entry:
            return _restored(entry)
        dtype = np.dtype(entry[b"type"])
        if dtype.hasobject:
            raise ValueError("an array of Python objects")
        return np.ndarray(entry[b"shape"], dtype, parts[entry[b"part"]])

    return _unpacked(bytes(parts[0]), restored)


def _described(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.hasobject:
            raise TypeError(f"dumps(): an array of Python objects of shape {value.shape} cannot be written.")
        kind = value.dtype.str if value.dtype.fields is None else [list(field) for field in value.dtype.descr]
        if isinstance(value, np.ndarray):
            return {b"nd": True, b"type": kind, b"kind": b"", b"shape": value.shape, b"data": value.tobytes()}
        return {b"nd": False, b"type": kind, b"data": value.tobytes()}
    if isinstance(value, complex):
        return {b"complex": True, b"data": repr(value)}
    raise TypeError(f"dumps(): {type(value).__name__} cannot be written; write arrays, numbers, texts, lists or dicts.")


def _restored(entry: dict[Any, Any]) -> Any:
    if b"complex" in entry:
        return complex(entry[b"data"])
    if b"nd" not in entry:
        return entry
    kind = entry[b"type"]
    dtype = np.dtype([tuple(field) for field in kind] if isinstance(kind, list) else kind)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    if not entry[b"nd"]:
        return np.frombuffer(entry[b"data"], dtype)[0]
    return np.ndarray(entry[b"shape"], dtype, bytearray(entry[b"data"]))


dumps_once, loads_once = dumps, loads
