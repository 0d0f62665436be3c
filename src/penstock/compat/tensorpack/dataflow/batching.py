"""Batches: components of several datapoints, stacked."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import DataFlow, DataFlowReentrantGuard, ProxyDataFlow

__all__ = ["BatchData", "BatchDataByShape"]


class BatchData(ProxyDataFlow):
    """Datapoints of the same components, each stacked along a new first axis.

    Args:
        ds: a flow of lists or dicts.
        batch_size: how many datapoints a batch has.
        remainder: give what is left at the end, too, as a shorter batch; by default it is dropped.
        use_list: put components into lists instead of arrays.

    Arrays keep their dtype, numbers become the type that NumPy has for them: int64, float64, bool, text.

    Raises:
        ValueError: when reading, that the components of a batch have different shapes; a note says which.
    """

    def __init__(self, ds: DataFlow, batch_size: int, remainder: bool = False, use_list: bool = False) -> None:
        super().__init__(ds)
        self.batch_size = int(batch_size)
        assert self.batch_size > 0
        if not remainder:
            with contextlib.suppress(NotImplementedError):
                assert batch_size <= len(ds)
        self.remainder = remainder
        self.use_list = use_list

    def __len__(self) -> int:
        whole, rest = divmod(len(self.ds), self.batch_size)
        return whole + (1 if rest and self.remainder else 0)

    def __iter__(self) -> Iterator[Any]:
        held: list[Any] = []
        for dp in self.ds:
            held.append(dp)
            if len(held) == self.batch_size:
                yield BatchData.aggregate_batch(held, self.use_list)
                held = []
        if self.remainder and held:
            yield BatchData.aggregate_batch(held, self.use_list)

    @staticmethod
    def aggregate_batch(data_holder: Sequence[Any], use_list: bool = False) -> Any:
        """Return datapoints as one batch."""
        first = data_holder[0]
        join = list if use_list else stacked
        if isinstance(first, (list, tuple)):
            return [join([dp[place] for dp in data_holder]) for place in range(len(first))]
        if isinstance(first, dict):
            return {key: join([dp[key] for dp in data_holder]) for key in first}
        raise ValueError(f"Data point has to be list/tuple/dict. Got {type(first)}")

    _aggregate_batch = aggregate_batch  # its earlier name

    @staticmethod
    def _batch_numpy(data_list: list[Any]) -> Any:  # batches of one's own are made with it
        return stacked(data_list)


def stacked(values: list[Any]) -> Any:
    """Return arrays or scalars as one array that holds each of them unchanged."""
    first = values[0]
    if isinstance(first, np.ndarray):
        if any(getattr(value, "shape", None) != first.shape for value in values):
            error = ValueError("Cannot batch data: the arrays have different shapes.")
            error.add_note(f"shapes: {[np.shape(value) for value in values]}; use_list=True leaves them in a list.")
            raise error
        kinds = {value.dtype for value in values}
        batch = np.empty((len(values), *first.shape), first.dtype if len(kinds) == 1 else np.result_type(*kinds))
        for row, value in zip(batch, values, strict=True) if first.ndim else ():
            row[...] = value
        if not first.ndim:
            batch[:] = values
        return batch
    if isinstance(first, (bytes, str)):
        return np.asarray(values, dtype="str")
    if isinstance(first, (bool, int, float)) or hasattr(first, "dtype"):
        return np.asarray(values)
    raise TypeError(f"Unsupported type to batch: {type(first)}")


class BatchDataByShape(BatchData):
    """Batches of datapoints of one shape; those of rare shapes wait, also from pass to pass, and may never come.

    Args:
        ds: a flow.
        batch_size: how many datapoints a batch has.
        idx: the component whose shape counts.
    """

    def __init__(self, ds: DataFlow, batch_size: int, idx: Any) -> None:
        super().__init__(ds, batch_size, remainder=False)
        self.idx = idx
        self.holder: defaultdict[Any, list[Any]] = defaultdict(list)
        self._guard = DataFlowReentrantGuard()

    def reset_state(self) -> None:
        super().reset_state()
        self.holder = defaultdict(list)
        self._guard = DataFlowReentrantGuard()

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            for dp in self.ds:
                held = self.holder[dp[self.idx].shape]
                held.append(dp)
                if len(held) == self.batch_size:
                    del self.holder[dp[self.idx].shape]
                    yield BatchData.aggregate_batch(held)
