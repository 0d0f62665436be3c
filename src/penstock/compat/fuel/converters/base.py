"""Writing HDF5 files with Fuel's layout, out of arrays."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from penstock.compat.fuel.datasets.hdf5 import H5PYDataset
from penstock.compat.fuel.exceptions import MissingInputFiles


def check_exists(required_files: Iterable[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function that takes a folder look first whether files are there.

    Raises:
        MissingInputFiles: when it is called, names those that are not.
    """
    names = list(required_files)

    def function_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(directory: str, *args: Any, **kwargs: Any) -> Any:
            missing = [name for name in names if not os.path.isfile(os.path.join(directory, name))]
            if missing:
                raise MissingInputFiles("Required files missing", missing)
            return function(directory, *args, **kwargs)

        return wrapped

    return function_wrapper


def fill_hdf5_file(h5file: Any, data: Iterable[tuple[Any, ...]]) -> None:
    """Write arrays to an open file that ``H5PYDataset`` reads.

    Args:
        h5file: an ``h5py.File``, open for writing.
        data: (split, source, array) or (split, source, array, comment), for each split and source. The arrays of a
            split have the same length; those of a source the same type and shape, but for the length.
    """
    entries = list(data)
    for split in dict.fromkeys(entry[0] for entry in entries):
        if len({len(entry[2]) for entry in entries if entry[0] == split}) > 1:
            raise ValueError(f"split {split!r} has sources that vary in length")
    split_dict: dict[str, dict[str, tuple[Any, ...]]] = {entry[0]: {} for entry in entries}
    for source in dict.fromkeys(entry[1] for entry in entries):
        parts = [entry for entry in entries if entry[1] == source]
        first = parts[0][2]
        if any(part[2].dtype != first.dtype for part in parts):
            raise ValueError(f"source {source!r} has splits that vary in dtype")
        if any(part[2].shape[1:] != first.shape[1:] for part in parts):
            raise ValueError(f"source {source!r} has splits that vary in shapes")
        ends = np.cumsum([len(part[2]) for part in parts]).tolist()
        target = h5file.create_dataset(source, (ends[-1], *first.shape[1:]), dtype=first.dtype)
        for stop, (split, _, array, *comment) in zip(ends, parts, strict=True):
            start = stop - len(array)
            target[start:stop] = array
            split_dict[split][source] = (start, stop, None, comment[0]) if comment else (start, stop)
    h5file.attrs["split"] = H5PYDataset.create_split_array(split_dict)


@contextlib.contextmanager
def progress_bar(name: str, maxval: int, prefix: str = "Converting") -> Iterator[Progress]:
    """Show on standard output how far a conversion is: ``update(steps)`` what this gives; the end is the last step.

    Args:
        name: what is converted.
        maxval: how many steps it takes.
        prefix: what is done.
    """
    bar = Progress(f"{prefix} {name}", maxval)
    try:
        yield bar
        bar.update(maxval)
    finally:
        bar.finish()


class Progress:
    """A line that says how far something is.

    Args:
        title: stands in front.
        max_value: how many steps there are.
    """

    def __init__(self, title: str, max_value: int) -> None:
        self.title = title
        self.max_value = max_value
        self.value = 0
        self._shown = -1

    def update(self, value: int) -> None:
        """Take note of how many steps are done; write where the percentage is another one."""
        self.value = value
        percentage = 100 * value // self.max_value if self.max_value else 100
        if percentage != self._shown:
            self._shown = percentage
            sys.stdout.write(f"\r{self.title}: {percentage:3d}%")
            sys.stdout.flush()

    def finish(self) -> None:
        """End the line."""
        sys.stdout.write("\n")
