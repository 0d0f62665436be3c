"""Folders and files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NoReturn

from penstock.compat.tensorpack.left_out import left_out

__all__ = ["download", "get_dataset_path", "mkdir_p", "normpath", "recursive_walk"]


def mkdir_p(dirname: str) -> None:
    """Make a folder and those above it, where they are missing."""
    if dirname:
        os.makedirs(dirname, exist_ok=True)


def recursive_walk(rootdir: str) -> Iterator[str]:
    """Yield the paths of all files below a folder."""
    for folder, _, names in os.walk(rootdir):
        for name in names:
            yield os.path.join(folder, name)


def get_dataset_path(*args: str) -> str:
    """Return a path below ``$TENSORPACK_DATASET``, or below ``~/tensorpack_data``, which is made if it is missing."""
    folder = os.environ.get("TENSORPACK_DATASET")
    if folder is None:
        folder = os.path.join(os.path.expanduser("~"), "tensorpack_data")
        mkdir_p(folder)
    assert os.path.isdir(folder), folder
    return os.path.join(folder, *args)


def normpath(path: str) -> str:
    """Return ``os.path.normpath`` of a path, and URLs as they are."""
    return path if "://" in path else os.path.normpath(path)


def download(*_: Any, **__: Any) -> NoReturn:
    """Refuse: nothing is downloaded.

    Raises:
        LeftOut: always.
    """
    raise left_out("utils.fs", "download")
