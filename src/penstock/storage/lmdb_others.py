"""Reading of the LMDB files of others: Tensorpack's layout, and any whose values are to be had as bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, CorruptRecord
from penstock.graph.storing import Reader, require, sampled
from penstock.storage.lmdb_pages import Pages

KEYS = b"__keys__"  # Tensorpack's list of keys


class OtherReader(Reader):
    """A file that something else wrote: its values in the order of their keys, Tensorpack's list of keys left out."""

    def __init__(self, pages: Pages, values: str, *, trust_pickle: bool) -> None:
        self.path = pages.path
        self.pages = pages
        self.tag = sampled(pages.path)
        leaves, _ = pages.leaves()
        starts, sizes, keys = [], [], []
        for leaf in leaves.tolist():
            nodes, begins = pages.values(leaf)
            kept = np.array([pages.key(nodes, k) != KEYS for k in range(len(begins))], bool)
            starts.append(begins[kept])
            sizes.append(nodes.low[kept])
            keys.append(np.stack([nodes.at[kept] + 8, nodes.keys[kept]], 1))
        self.starts = np.concatenate([np.empty(0, np.int64), *starts])
        self.sizes = np.concatenate([np.empty(0, np.int64), *sizes])
        self.keys = np.concatenate([np.empty((0, 2), np.int64), *keys])
        self.values = values
        self.load = loader_of(values, pages.path, trust_pickle=trust_pickle)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Any:
        start, size = int(self.starts[index]), int(self.sizes[index])
        data = bytes(self.pages.memory[start : start + size])
        if self.load is None:
            return data
        try:
            return self.load(data)
        except Exception as error:
            text = f"record {index} ({self.key(index)!r}) of {self.path} is no {self.values}: {error}"
            raise CorruptRecord(text) from error

    def key(self, index: int) -> str:
        """Return the record's key."""
        at, size = self.keys[index].tolist()
        return str(self.pages.memory[at : at + size], "utf-8", "backslashreplace")


def loader_of(values: str, path: str, *, trust_pickle: bool) -> Callable[[bytes], Any] | None:
    """Return the function that decodes a foreign file's values."""
    if values == "bytes":
        return None
    if values == "pickle":
        if not trust_pickle:
            raise ArgumentError(
                f"open({path!r}): values='pickle' runs whatever the file says. If it is your own, say "
                "trust_pickle=True."
            )
        return pickle.loads  # the user has said so
    library = require("msgpack", "tensorpack", f"open({path!r}, values='msgpack')")
    limit = {"max_str_len": 1 << 31, "max_bin_len": 1 << 31, "max_ext_len": 1 << 31}
    return lambda data: library.unpackb(data, raw=False, strict_map_key=False, object_hook=as_array, **limit)


def as_array(entry: dict[Any, Any]) -> Any:
    """Return the array or number that msgpack_numpy made a dict of."""
    found = {key.decode() if isinstance(key, bytes) else key: value for key, value in entry.items()}
    if "complex" in found and "data" in found:
        return complex(as_text(found["data"]))
    if not {"nd", "type", "data"} <= found.keys():
        return entry
    kind = found["type"]
    if isinstance(kind, (list, tuple)):  # the fields of a structured dtype
        dtype = np.dtype([tuple(as_text(part) for part in field) for field in kind])
    else:
        dtype = np.dtype(as_text(kind))
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    if not found["nd"]:
        return np.frombuffer(found["data"], dtype)[0]
    return np.ndarray(found["shape"], dtype, found["data"])


def as_text(value: Any) -> Any:
    """Return text for bytes."""
    return value.decode() if isinstance(value, bytes) else value
