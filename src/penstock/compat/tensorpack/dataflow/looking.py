"""Looking at a flow: how fast it is, and what its datapoints look like."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import DataFlow, ProxyDataFlow
from penstock.compat.tensorpack.utils import logger
from penstock.compat.tensorpack.utils.utils import get_tqdm

__all__ = ["PrintData", "TestDataSpeed"]


class TestDataSpeed(ProxyDataFlow):
    """Measures how fast a flow is: ``TestDataSpeed(ds).start()``.

    Args:
        ds: the flow; it is reset if that has not been done.
        size: how many datapoints to take.
        warmup: how many to take before the clock starts.
    """

    __test__ = False  # no test of pytest's

    def __init__(self, ds: DataFlow, size: int = 5000, warmup: int = 0) -> None:
        super().__init__(ds)
        self.test_size = int(size)
        self.warmup = int(warmup)
        self._reset_called = False

    def reset_state(self) -> None:
        self._reset_called = True
        super().reset_state()

    def __iter__(self) -> Iterator[Any]:
        self.start()
        yield from self.ds

    def start(self) -> float:
        """Take the datapoints, with a progress bar; return how many came in a second."""
        if not self._reset_called:
            self.reset_state()
        items = iter(self.ds)
        for _ in itertools.islice(items, self.warmup):
            pass
        count, began = 0, perf_counter()
        with get_tqdm(total=self.test_size, leave=True, smoothing=0.2) as bar:
            for _ in itertools.islice(items, self.test_size):
                count += 1
                bar.update()
        speed = count / max(perf_counter() - began, 1e-9)
        logger.info("TestDataSpeed: %d datapoints at %.1f it/s", count, speed)
        return speed

    start_test = start


class PrintData(ProxyDataFlow):
    """Prints what the first datapoints of a flow look like, and passes them on.

    Args:
        ds: the flow.
        num: how many datapoints to print.
        name: a name to print with them.
        max_depth: how deep to look into lists.
        max_list: how many entries of each list to print.

    >>> import numpy as np
    >>> from penstock.compat.tensorpack.dataflow import DataFromList, PrintData
    >>> for _ in PrintData(DataFromList([[np.arange(3), 7]], shuffle=False)):
    ...     pass
    datapoint 0/1 with 2 components consists of
       0: ndarray:int64 of shape (3,) in range [0, 2]
       1: int with value 7
    """

    def __init__(
        self, ds: DataFlow, num: int = 1, name: str | None = None, max_depth: int = 3, max_list: int = 3
    ) -> None:
        super().__init__(ds)
        self.num, self.name, self.max_depth, self.max_list = num, name, max_depth, max_list
        self.cnt = 0

    def reset_state(self) -> None:
        super().reset_state()
        self.cnt = 0

    def _lines(self, value: Any, key: Any, depth: int) -> Iterator[str]:
        kind, indent = type(value).__name__, "   " + "   " * depth
        if isinstance(value, np.ndarray):
            inside = f" in range [{value.min()}, {value.max()}]" if value.size and value.dtype.kind in "biuf" else ""
            yield f"{indent}{key}: ndarray:{value.dtype} of shape {value.shape}{inside}"
        elif isinstance(value, (list, tuple)):
            yield f"{indent}{key}: {kind} of len {len(value)}"
            if depth + 1 < self.max_depth:
                for place, entry in enumerate(value[: self.max_list]):
                    yield from self._lines(entry, place, depth + 1)
            if len(value) > (self.max_list if depth + 1 < self.max_depth else 0):
                yield f"{indent}   ..."
        elif isinstance(value, (int, float, np.generic)):
            yield f"{indent}{key}: {kind} with value {value}"
        else:
            yield f"{indent}{key}: {kind}"

    def _message(self, dp: Any) -> str:
        lines = [f"datapoint {self.cnt}/{self.num} with {len(dp)} components consists of"]
        for key, value in dp.items() if isinstance(dp, dict) else enumerate(dp):
            lines.extend(self._lines(value, key, 0))
        return "\n".join(lines)

    def __iter__(self) -> Iterator[Any]:
        for dp in self.ds:
            if self.cnt == 0:
                logger.info("Contents of DataFlow%s:", f" ({self.name})" if self.name else "")
            if self.cnt < self.num:
                print(self._message(dp))  # noqa: T201  printing is what it is for
                self.cnt += 1
            yield dp
