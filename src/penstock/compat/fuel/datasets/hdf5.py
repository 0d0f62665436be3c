"""HDF5 files with Fuel's layout, and those that PyTables wrote. Needs h5py.

A file has its sources at the root, and an attribute ``split``: a row for each split and source, with start and stop or
a reference to indices. Sources of variable length have flat entries, and their shapes in a dimension scale ``shapes``.
"""

from __future__ import annotations

import contextlib
import itertools
import numbers
import os
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from penstock.compat.fuel.datasets.base import Dataset
from penstock.compat.fuel.schemes import SequentialExampleScheme
from penstock.compat.fuel.utils import Subset, do_not_pickle_attributes
from penstock.compat.fuel.utils.cache import cache_file


@do_not_pickle_attributes("data_sources", "external_file_handle", "source_shapes", "in_memory_subset", "subsets")
class H5PYDataset(Dataset):
    """One or several splits of an HDF5 file with Fuel's layout.

    Args:
        file_or_path: an open ``h5py.File``, or a path; it is read from ``config.local_data_path``, if that is set.
        which_sets: names of splits; several are united, with the sources that all of them have.
        subset: a slice or indices, within those.
        load_in_memory: whether to read all of it now.
        driver: what h5py opens the file with.
        sort_indices: answer requests in any order, by reading in order. Without it, indices must be in order.
        kwargs: ``sources``, ``axis_labels``; ``which_set``, a single name, as before Fuel 0.2.

    A pickle holds no data; it opens the file again.
    """

    interface_version = "0.3"
    _ref_counts: ClassVar[dict[Any, int]] = {}
    _file_handles: ClassVar[dict[Any, Any]] = {}

    data_sources: Any
    external_file_handle: Any
    source_shapes: Any
    in_memory_subset: Any
    subsets: Any

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        file_or_path: Any,
        which_sets: Any = None,
        subset: Any = None,
        load_in_memory: bool = False,
        driver: str | None = None,
        sort_indices: bool = True,
        **kwargs: Any,
    ) -> None:
        if isinstance(file_or_path, (str, os.PathLike)):
            self.path = os.fspath(file_or_path)
            self.external_file_handle = None
        else:
            self.path = file_or_path.filename
            self.external_file_handle = file_or_path
        if which_sets is None and "which_set" in kwargs:  # the only name that Fuel 0.1 had
            which_sets = (kwargs.pop("which_set"),)
        names = which_sets if isinstance(which_sets, Iterable) and not isinstance(which_sets, str) else (None,)
        if not all(isinstance(name, str) for name in names):
            raise ValueError(f"H5PYDataset: which_sets should be a tuple of names, such as ('train',): {which_sets!r}.")
        self.which_sets = tuple(which_sets)
        self.user_given_subset = slice(None) if subset is None else subset
        self.load_in_memory = load_in_memory
        self.driver = driver
        self.sort_indices = sort_indices
        self._parse_dataset_info()
        kwargs.setdefault("axis_labels", self.default_axis_labels)
        super().__init__(**kwargs)
        self.example_iteration_scheme = SequentialExampleScheme(self.num_examples)

    def _parse_dataset_info(self) -> None:
        self._out_of_memory_open()
        try:
            handle = self._file_handle
            available = self.get_all_splits(handle)
            for split in self.which_sets:
                if split not in available:
                    raise ValueError(f"{self.path} has no split {split!r}. Available splits are {sorted(available)}.")
            provided = [set(self.get_provided_sources(handle, split)) for split in self.which_sets]
            self.provides_sources = tuple(sorted(set.intersection(*provided))) if provided else ()
            self.vlen_sources = self.get_vlen_sources(handle)
            self.default_axis_labels = self.get_axis_labels(handle)
        finally:
            self._out_of_memory_close()

    @staticmethod
    def create_split_array(split_dict: dict[str, dict[str, tuple[Any, ...]]]) -> Any:
        """Return what the attribute ``split`` of a file must be.

        Args:
            split_dict: by split and source, (start, stop), and optionally a reference to indices, and a comment. What
                is not there is not available.
        """
        import h5py  # type: ignore[import-untyped]

        sources = sorted({source for split in split_dict.values() for source in split})
        comments = [entry[3] for split in split_dict.values() for entry in split.values() if len(entry) > 3]
        rows = np.empty(
            len(split_dict) * len(sources),
            dtype=[
                ("split", "S", longest(split_dict)),
                ("source", "S", longest(sources)),
                ("start", np.int64),
                ("stop", np.int64),
                ("indices", h5py.ref_dtype),
                ("available", np.bool_),
                ("comment", "S", longest([*comments, "."])),
            ],
        )
        for row, (split, source) in enumerate(itertools.product(split_dict, sources)):
            available = source in split_dict[split]
            start, stop, *more = split_dict[split].get(source, (0, 0))
            indices = more[0] if more and more[0] is not None else h5py.Reference()
            comment = (more[1] if len(more) > 1 else "") or "."  # HDF5 has no empty texts of a fixed length
            for field, value in zip(
                rows.dtype.names or (),
                (split.encode(), source.encode(), start, stop, indices, available, comment.encode()),
                strict=True,
            ):
                rows[field][row] = value
        return rows

    @staticmethod
    def get_all_splits(h5file: Any) -> tuple[str, ...]:
        """Return the names of all splits of a file."""
        return tuple(dict.fromkeys(row["split"].decode() for row in h5file.attrs["split"]))

    @staticmethod
    def get_all_sources(h5file: Any) -> tuple[str, ...]:
        """Return the names of all sources of a file."""
        return tuple(dict.fromkeys(row["source"].decode() for row in h5file.attrs["split"]))

    @staticmethod
    def get_provided_sources(h5file: Any, split: str) -> tuple[str, ...]:
        """Return the names of the sources that a split has."""
        rows = h5file.attrs["split"]
        return tuple(row["source"].decode() for row in rows if row["split"].decode() == split and row["available"])

    @staticmethod
    def get_vlen_sources(h5file: Any) -> list[str]:
        """Return the names of the sources of variable length."""
        found = []
        for name in H5PYDataset.get_all_sources(h5file):
            dims = h5file[name].dims
            if len(dims) > 0 and "shapes" in dims[0]:
                if len(dims) > 1:
                    raise ValueError(f"Source {name!r}: what has variable length must have only one dimension.")
                found.append(name)
        return found

    @staticmethod
    def get_axis_labels(h5file: Any) -> dict[str, tuple[str, ...]]:
        """Return the axis labels of all sources of a file."""
        variable = H5PYDataset.get_vlen_sources(h5file)
        labels = {}
        for name in H5PYDataset.get_all_sources(h5file):
            dims = h5file[name].dims
            if name in variable:
                inner = tuple(label.decode() for label in dims[0]["shape_labels"]) if "shape_labels" in dims[0] else ()
                labels[name] = (dims[0].label, *inner)
            else:
                labels[name] = tuple(dim.label for dim in dims)
        return labels

    @staticmethod
    def get_subsets(h5file: Any, splits: Any, sources: Any) -> list[Subset]:
        """Return for each source the examples that belong to the splits."""
        rows = {(row["split"].decode(), row["source"].decode()): row for row in h5file.attrs["split"]}
        subsets = []
        for source in sources:
            count = len(h5file[source])
            subset = Subset.empty_subset(count)
            for split in splits:
                row = rows[split, source]
                if "indices" in row.dtype.names and row["indices"]:  # the oldest files have no such field
                    subset += Subset(h5file[row["indices"]][...].tolist(), count)
                else:
                    subset += Subset(slice(int(row["start"]), int(row["stop"])), count)
            subsets.append(subset)
        return subsets

    def load(self) -> None:
        """Find the examples; read them, where they are to be in memory."""
        if "_external_file_handle" not in self.__dict__:
            self.external_file_handle = None  # it was pickled
        self._out_of_memory_open()
        try:
            handle = self._file_handle
            subsets = self.get_subsets(handle, self.which_sets, self.sources)
            if len({subset.num_examples for subset in subsets}) > 1:
                counts = {source: len_.num_examples for source, len_ in zip(self.sources, subsets, strict=True)}
                raise ValueError(f"{self.path}: sources have different lengths: {counts}.")
            self.subsets = [Subset.subset_of(subset, self.user_given_subset) for subset in subsets]
            self.data_sources = self.source_shapes = self.in_memory_subset = None
            if self.load_in_memory:
                found = [self._read(handle, source, subset) for source, subset in zip(self.sources, self.subsets, strict=True)]  # fmt: skip  # noqa: E501
                self.data_sources = tuple(data for data, _ in found)
                self.source_shapes = tuple(shapes for _, shapes in found)
                self.in_memory_subset = Subset(slice(None), len(self.data_sources[0]))
        finally:
            self._out_of_memory_close()

    def _read(self, handle: Any, source: str, subset: Subset) -> tuple[Any, Any]:
        data = subset.index_within_subset(handle[source], slice(None))
        if source not in self.vlen_sources:
            return data, None
        return data, subset.index_within_subset(handle[source].dims[0]["shapes"], slice(None))

    @property
    def num_examples(self) -> int:
        """How many there are."""
        return int(self.subsets[0].num_examples)

    def open(self) -> Any:
        if not self.load_in_memory:
            self._out_of_memory_open()

    def close(self, state: Any) -> None:
        if not self.load_in_memory:
            self._out_of_memory_close()

    @property
    def _key(self) -> tuple[int, str]:
        return os.getpid(), self.path  # HDF5's handles do not survive a fork

    def _out_of_memory_open(self) -> None:
        if not self.external_file_handle:
            if self._key not in self._file_handles:
                import h5py

                self._file_handles[self._key] = h5py.File(cache_file(self.path), "r", driver=self.driver)
            self._ref_counts[self._key] = self._ref_counts.get(self._key, 0) + 1

    def _out_of_memory_close(self) -> None:
        if not self.external_file_handle and self._key in self._ref_counts:
            self._ref_counts[self._key] -= 1
            if not self._ref_counts[self._key]:
                del self._ref_counts[self._key]
                self._file_handles.pop(self._key).close()

    @property
    def _file_handle(self) -> Any:
        if self.external_file_handle:
            return self.external_file_handle
        if self._key not in self._file_handles:
            self._out_of_memory_open()  # it has travelled with a stream, and the file was opened elsewhere
        return self._file_handles[self._key]

    def get_data(self, state: Any = None, request: Any = None) -> Any:
        if self.load_in_memory:
            data, shapes = self._in_memory_get_data(state, request)
        else:
            data, shapes = self._out_of_memory_get_data(state, request)
        return tuple(
            part if shape is None else shaped(part, shape, request) for part, shape in zip(data, shapes, strict=True)
        )

    def _in_memory_get_data(self, state: Any = None, request: Any = None) -> tuple[list[Any], list[Any]]:
        if state is not None or request is None:
            raise ValueError(f"H5PYDataset: in memory, it has no state and needs a request, not {request!r}.")
        find = self.in_memory_subset.index_within_subset
        return (
            [find(source, request) for source in self.data_sources],
            [None if shape is None else find(shape, request) for shape in self.source_shapes],
        )

    def _out_of_memory_get_data(self, state: Any = None, request: Any = None) -> tuple[list[Any], list[Any]]:
        if isinstance(request, bool) or not isinstance(request, (numbers.Integral, slice, list)):
            raise ValueError(f"H5PYDataset: a request is an index, a list of indices or a slice, not {request!r}.")  # noqa: TRY004  the original's
        handle = self._file_handle
        data, shapes = [], []
        for source, subset in zip(self.sources, self.subsets, strict=True):
            data.append(subset.index_within_subset(handle[source], request, sort_indices=self.sort_indices))
            scale = handle[source].dims[0]["shapes"] if source in self.vlen_sources else None
            shapes.append(
                None if scale is None else subset.index_within_subset(scale, request, sort_indices=self.sort_indices)
            )
        return data, shapes


@do_not_pickle_attributes("nodes", "h5file")
class PytablesDataset(Dataset):
    """A group of an HDF5 file with a node for each source, as PyTables writes it.

    Args:
        path: of the file.
        sources: their names.
        start: the first example that counts.
        stop: the first behind those that count; all by default.
        data_node: the group.
        sources_in_file: the names of the nodes, where they are others.

    It is read by h5py. What PyTables has packed by other means than zlib, such as Blosc, needs the package hdf5plugin.
    """

    nodes: Any
    h5file: Any

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        path: str,
        sources: tuple[str, ...],
        start: int = 0,
        stop: int | None = None,
        data_node: str = "Data",
        sources_in_file: tuple[str, ...] | None = None,
    ) -> None:
        self.sources_in_file = sources if sources_in_file is None else sources_in_file
        self.provides_sources = sources
        self.path = path
        self.data_node = data_node
        self.start = start
        self.stop = stop
        self.open_file(path)
        super().__init__(self.provides_sources)

    def open_file(self, path: str) -> None:
        """Open the file."""
        import h5py

        with contextlib.suppress(ImportError):
            import hdf5plugin  # type: ignore[import-not-found,unused-ignore]  # noqa: F401  it adds what h5py unpacks

        self.h5file = h5py.File(path, "r")
        self.nodes = [unpackable(self.h5file[self.data_node][source]) for source in self.sources_in_file]
        if self.stop is None:
            self.stop = len(self.nodes[0])
        self.num_examples = self.stop - self.start

    def load(self) -> None:
        """Open the file again."""
        self.open_file(self.path)

    def close_file(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if "_h5file" in self.__dict__:
            self.h5file.close()
            del self.h5file, self.nodes

    def get_data(self, state: Any = None, request: Any = None) -> Any:
        if isinstance(request, slice):
            start, stop, step = Subset.slice_to_numerical_args(request, self.num_examples)
            wanted = slice(start + self.start, stop + self.start, step)
            return [node[wanted] for node in self.nodes]
        if isinstance(request, list):
            indices = [index + self.start for index in request]
            return [Subset.sorted_fancy_indexing(node, indices) for node in self.nodes]
        raise ValueError(f"PytablesDataset: a request is a list of indices or a slice, not {request!r}.")


def unpackable(node: Any) -> Any:
    """Return a node, or refuse what h5py cannot unpack; it would say that a folder is missing."""
    import h5py

    packed = node.id.get_create_plist()
    for number in range(packed.get_nfilters()):
        code, _, _, name = packed.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            message = (
                f"{node.file.filename}: {node.name} is packed by {name.decode() or code}, which h5py does not know by "
                "itself: pip install hdf5plugin"
            )
            node.file.close()
            raise ImportError(message)
    return node


def longest(texts: Any) -> int:
    """Return the length of the longest text, in bytes."""
    return max(len(text.encode()) for text in texts)


def shaped(part: Any, shape: Any, request: Any) -> Any:
    """Return flat entries in their shapes."""
    if isinstance(request, numbers.Integral):
        return part.reshape(shape)
    found = np.empty(len(part), dtype=object)
    for index, (entry, size) in enumerate(zip(part, shape, strict=True)):
        found[index] = entry.reshape(size)
    return found
