"""What an item looks like, in words: its structure, and of each part the type, shape and range."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

WORDS = 40  # characters of a text that are shown
HEAD = 12  # bytes of a byte string that are
KINDS = {  # what byte strings begin with, of files that items often are
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "RIFF",
    b"GIF8": "GIF",
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"\x93NUMPY": "npy",
    b"%PDF": "PDF",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
}


class Line(NamedTuple):
    """A line of the table: what it is called, its type, and what is in it."""

    name: str
    kind: str
    content: str


def described(value: Any, *, depth: int = 3, entries: int = 8) -> str:
    """Return an item in words.

    Args:
        value: the item.
        depth: containers within containers that are looked into.
        entries: of a list or tuple, how many entries are shown; of a dict, four times as many.

    >>> import numpy as np
    >>> print(described({"image": np.arange(6, dtype="u1").reshape(2, 3), "label": 7}))
    dict of 2
      image  uint8 (2, 3)  0 to 5, mean 2.5
      label  int           7
    """
    lines = list(lines_of(value, "", depth, entries))
    named = max((len(line.name) for line in lines), default=0)
    kinds = max((len(line.kind) for line in lines if line.content), default=0)
    shown = []
    for name, kind, content in lines:
        label = f"{name:<{named}}  " if name else ""
        shown.append(f"{label}{kind:<{kinds}}  {content}".rstrip() if content else f"{label}{kind}".rstrip())
    return "\n".join(shown)


def lines_of(value: Any, name: str, depth: int, entries: int) -> Iterator[Line]:
    """Yield the lines of a value; those of its parts are indented."""
    parts = parts_of(value)
    if parts is None:
        yield Line(name, *leaf(value))
        return
    kind = f"{type(value).__name__} of {len(parts)}"
    numbers = isinstance(value, list) and all(isinstance(part, (int, float)) for _, part in parts)
    if parts and (numbers or depth == 0):
        words = [repr(p) if isinstance(p, (int, float)) else type(p).__name__ for _, p in parts[:entries]]
        few = ", ".join(words)
        yield Line(name, kind, f"{few}{', …' if len(parts) > entries else ''}")
        return
    yield Line(name, kind, "")
    most = entries * (4 if isinstance(value, Mapping) else 1)
    before = " " * (len(name) - len(name.lstrip()) + 2)
    for key, part in parts[:most]:
        yield from lines_of(part, f"{before}{key}", depth - 1, entries)
    if len(parts) > most:
        yield Line(f"{before}…", f"{len(parts) - most} more", "")


def parts_of(value: Any) -> list[tuple[Any, Any]] | None:
    """Return the parts of a container by name, or None of what is none."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (tuple, list)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return None


def leaf(value: Any) -> tuple[str, str]:
    """Return the type and the content of a value without parts."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{type(value).__name__} of {len(value):,}", beginning(bytes(value[:HEAD]))
    if isinstance(value, str):
        shown = value if len(value) <= WORDS else f"{value[: WORDS - 1]}…"
        return f"str of {len(value):,}", repr(shown)
    if isinstance(value, np.generic):
        return str(value.dtype), str(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}", ranged(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):  # tensors, wherever they are
        kind = f"{type(value).__name__}, {value.dtype} {tuple(value.shape)}"
        try:
            return kind, ranged(np.asarray(value))
        except Exception:  # noqa: BLE001  on an accelerator, say: what it is has been said
            return kind, ""
    text = " ".join(repr(value).split())
    return type(value).__name__, text if len(text) <= WORDS else f"{text[: WORDS - 1]}…"


def beginning(head: bytes) -> str:
    """Return what bytes begin with."""
    known = next((kind for start, kind in KINDS.items() if head.startswith(start)), None)
    return known or (f"{head!r}" if head else "empty")


def ranged(array: np.ndarray[Any, Any]) -> str:
    """Return the range and mean of an array's numbers, or its first entries."""
    if not array.size:
        return "empty"
    if array.dtype.kind == "b":
        return f"{np.count_nonzero(array):,} of {array.size:,} true"
    if array.dtype.kind not in "iuf":
        few = ", ".join(repr(entry) for entry in array.reshape(-1)[:3].tolist())
        return f"{few}, …" if array.size > 3 else few
    if array.dtype.kind == "f":
        gaps = int(np.count_nonzero(~np.isfinite(array)))
        if gaps:
            rest = array[np.isfinite(array)]
            return f"{ranged(rest)}; {gaps:,} NaN or infinite" if rest.size else "all NaN or infinite"
    low, high = array.min().item(), array.max().item()
    if low == high:
        return f"{number(low)}" if array.size == 1 else f"all {number(low)}"
    return f"{number(low)} to {number(high)}, mean {number(float(array.mean(dtype=np.float64)))}"


def number(value: float) -> str:
    """Return a number for people."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
