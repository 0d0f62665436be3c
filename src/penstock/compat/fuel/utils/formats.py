"""Opening files of several kinds."""

from __future__ import annotations

import gzip
import tarfile
from typing import IO, Any, cast


def open_(filename: str, mode: str = "r", encoding: str | None = None) -> IO[Any]:
    """Open a file; one that ends with ``.gz`` is unpacked. ``"r"`` gives text, ``"rb"`` bytes, of either."""
    if filename.endswith(".gz"):
        return cast("IO[Any]", gzip.open(filename, mode if "b" in mode else f"{mode}t", encoding=encoding))
    return open(filename, mode, encoding=encoding)


def tar_open(f: str | IO[bytes]) -> tarfile.TarFile:
    """Open a tar archive: by its path, or an open file."""
    return tarfile.open(name=f) if isinstance(f, str) else tarfile.open(fileobj=f)
