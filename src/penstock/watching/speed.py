"""Speed: how fast a dataset can be read, and where the time goes. What ``dataset.speed()`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from penstock.graph.cursors import weight
from penstock.watching.costs import Cost

PERCENTILES = (50, 90, 99, 100)
CHEAP = 0.0005  # of a step's share that is still worth a line


@dataclass(frozen=True)
class Speed:
    """How fast a dataset was read by a loop that does nothing else. Printing it gives a text for people."""

    pipeline: str
    """The dataset, in one line."""
    executor: str
    """Where the work ran."""
    count: int
    """Items of the dataset that were read: batches, where it gives batches."""
    rows: int
    """Items within them; as many where there are no batches."""
    batched: bool
    """Whether the dataset gives batches."""
    nbytes: int
    """Bytes of the arrays, texts and byte strings in them."""
    seconds: float
    """From the first item to the last."""
    first: float
    """Seconds until the first item, with the start of the workers; not counted in any rate."""
    delays: tuple[float, ...]
    """Seconds that the loop waited for an item: the median, the 90th and 99th percentile, and the longest."""
    operations: tuple[Cost, ...] = ()
    """What each step costs, measured in line, apart from the rest."""

    @property
    def _rate(self) -> float:
        """The share of all that was read behind the first item, a second."""
        return (self.count - 1) / self.count / self.seconds if self.count > 1 and self.seconds > 0 else 0.0

    @property
    def items_per_second(self) -> float:
        """Items a second: rows of batches, where there are batches."""
        return self.rows * self._rate

    @property
    def batches_per_second(self) -> float | None:
        """Batches a second; None where there are none."""
        return self.count * self._rate if self.batched else None

    @property
    def megabytes_per_second(self) -> float:
        """Megabytes (10⁶ bytes) a second."""
        return self.nbytes / 1e6 * self._rate

    def __str__(self) -> str:
        lines = [f"{self.pipeline}", self.executor]
        if self.count < 2:
            return "\n".join([*lines, f"{self.count} items, the first after {self.first:.3g} s: too few for a rate"])
        rates = [f"{self.items_per_second:,.1f} items/s"]
        rates += [f"{self.batches_per_second:,.1f} batches/s"] if self.batches_per_second is not None else []
        rates += [f"{self.megabytes_per_second:,.1f} MB/s"] if self.nbytes else []
        lines.append(", ".join(rates))
        what = "batches" if self.batched else "items"
        lines.append(f"{self.count:,} {what} in {self.seconds:.2f} s, the first after {self.first:.2f} s")
        waits = [timed(delay) for delay in self.delays]
        lines.append("waited for each: median {}, 90 % below {}, 99 % below {}, longest {}".format(*waits))
        shown = [cost for cost in self.operations if cost.share >= CHEAP]
        if shown:
            width = max(len(cost.operation) for cost in shown)
            lines += ["", f"each step, in line, per {what.removesuffix('es') if self.batched else 'item'}:"]
            for cost in shown:
                bar = "█" * round(24 * cost.share)
                lines.append(
                    f"  {cost.operation:<{width}}  {timed(cost.seconds):>9}  {cost.share:4.0%}  {bar}".rstrip()
                )
        return "\n".join(lines)

    __repr__ = __str__


def timed(seconds: float) -> str:
    """Return a time for people."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError


@dataclass
class Stopwatch:
    """Takes note of items as they come."""

    seconds: float
    most: int | None
    began: float = field(default_factory=perf_counter)
    count: int = 0
    rows: int = 0
    nbytes: int = 0
    first: float = 0.0
    last: float = 0.0
    delays: list[float] = field(default_factory=list)

    def note(self, item: Any, rows: int, asked: float) -> None:
        """Note an item that has come just now."""
        now = perf_counter()
        if not self.count:
            self.first = now - self.began
        else:
            self.delays.append(now - asked)
        self.count += 1
        self.rows += rows
        self.nbytes += weight(item)
        self.last = now

    @property
    def over(self) -> bool:
        """Whether enough was measured."""
        return self.count == self.most or perf_counter() - self.began - self.first > self.seconds

    def speed(self, pipeline: str, executor: str, operations: tuple[Cost, ...], *, batched: bool) -> Speed:
        """Return the result."""
        delays = np.percentile(self.delays, PERCENTILES).tolist() if self.delays else [0.0] * len(PERCENTILES)
        seconds = self.last - self.began - self.first if self.count else 0.0
        return Speed(
            pipeline=pipeline,
            executor=executor,
            count=self.count,
            rows=self.rows,
            batched=batched,
            nbytes=self.nbytes,
            seconds=seconds,
            first=self.first,
            delays=tuple(delays),
            operations=operations,
        )
