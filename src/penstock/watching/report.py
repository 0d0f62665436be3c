"""The verdict on a run: did training wait for data, how much, and what would help.

The consumer's time is either spent in ``next`` (it waits for data) or outside (it trains). That is all a verdict needs,
and it costs two readings of the clock per item.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from penstock.graph.caching import Kept
from penstock.graph.execution import Executor, Omissions, Tally
from penstock.graph.policy import Skipped

SHOWN = 10  # items left out that the text lists
BOUND = 0.05  # share of the time spent waiting, above which a run is called input-bound


@dataclass(frozen=True)
class Report:
    """What became of the epoch that is being read, or was read last. Printing it gives a text for people."""

    epoch: int
    """Its number."""
    pipeline: str
    """The dataset, in one line."""
    executor: str
    """Where the work ran."""
    items: int
    """Items taken (batches, where the dataset gives batches)."""
    seconds: float
    """From the beginning to the last item taken."""
    waited: float
    """Seconds of these that the loop waited for data."""
    first: float
    """Seconds until the first item, the start of the workers included."""
    busy: float
    """Seconds of work that all workers finished meanwhile, for the next epoch, too; 0 in line."""
    nbytes: int
    """Bytes that came through shared memory or messages meanwhile, for the next epoch, too."""
    replaced: int
    """Workers that died and were replaced since the loader began: in all epochs."""
    skipped: int
    """Items that policies left out in this epoch."""
    listed: tuple[Skipped, ...]
    """The first of them, with their errors."""
    limited_by_bytes: bool
    """Whether the window was as large as its bytes, not its count, allowed."""
    caches: tuple[Kept, ...] = ()
    """How often each ``cache`` had an item, since it was made, and how large it is."""

    @property
    def waiting(self) -> float:
        """The share of the time that the loop waited for data, without the wait for the first item."""
        seconds = self.seconds - self.first
        return max(0.0, self.waited - self.first) / seconds if seconds > 0 else 0.0

    @property
    def input_bound(self) -> bool:
        """Whether data, not training, set the pace."""
        return self.waiting > BOUND

    @property
    def verdict(self) -> str:
        """The conclusion in one sentence."""
        if not self.items:
            return "nothing has been read yet"
        if self.input_bound:
            return f"input-bound: the loop waited for data {self.waiting:.0%} of the time. More workers may help"
        return f"not input-bound: the loop waited for data {self.waiting:.1%} of the time"

    def __str__(self) -> str:
        rate = self.items / self.seconds if self.seconds else 0.0
        lines = [
            self.pipeline,
            f"epoch {self.epoch}, {self.executor}",
            f"{self.items:,} items in {self.seconds:.2f} s ({rate:,.1f}/s), the first after {self.first:.2f} s",
            self.verdict,
        ]
        if self.nbytes:
            lines.append(f"{self.nbytes / 1e6:,.1f} MB came through shared memory or messages")
        if self.replaced:
            lines.append(f"workers that died and were replaced, in all epochs so far: {self.replaced}")
        if self.skipped:
            lines.append(f"items that failed and were left out: {self.skipped:,}")
            lines.extend(f"  {what}" for what in self.listed[:SHOWN])
            if self.skipped > SHOWN:
                lines.append("  … and more; report().listed has up to a hundred")
        if self.limited_by_bytes:
            lines.append("the window was limited by its bytes; loader(window_bytes=…) widens it")
        lines.extend(map(str, self.caches))
        return "\n".join(lines)


class Watch:
    """Keeps the consumer's time."""

    def __init__(self) -> None:
        self.begin()

    def begin(self, epoch: int = 0, tally: Tally | None = None) -> None:
        """Begin an epoch; what the workers had done by then is not this epoch's."""
        tally = tally or Tally()
        self.before = (tally.busy, tally.nbytes, tally.full)
        self.epoch = epoch
        self.began = self.last = time.perf_counter()
        self.items = 0
        self.waited = 0.0
        self.first = 0.0

    def taken(self, asked: float, now: float) -> None:
        """Note that an item was taken."""
        self.waited += now - asked
        if not self.items:
            self.first = now - self.began
        self.items += 1
        self.last = now

    def report(  # noqa: PLR0913  what a report consists of
        self,
        *,
        pipeline: str,
        executor: Executor,
        tally: Tally,
        omissions: Omissions,
        replaced: int,
        caches: tuple[Kept, ...] = (),
    ) -> Report:
        """Return the report."""
        busy, nbytes, full = self.before
        return Report(
            epoch=self.epoch,
            pipeline=pipeline,
            executor=repr(executor),
            items=self.items,
            seconds=self.last - self.began,
            waited=self.waited,
            first=self.first,
            busy=tally.busy - busy,
            nbytes=tally.nbytes - nbytes,
            replaced=replaced,
            skipped=omissions.count,
            listed=tuple(omissions.listed),
            limited_by_bytes=tally.full > full,
            caches=caches,
        )
