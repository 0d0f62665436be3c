"""What the always-on measurements cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System
from benchmarks.claims import hops, overhead

STRETCH = 0.02
RATE = "items/s"


def measure(read: Callable[[float], tuple[int, float]], taken: Callable[[], int], scale: Scale) -> Measurement:
    """Read in short turns, watched and unwatched, so that a disturbance meets both.

    `read` reads for some seconds and tells how many items it read in how many; `taken` is what the watch has seen.
    """
    read(scale.seconds / 4)
    ratios, rates = [], []
    end = time.perf_counter() + scale.seconds
    while time.perf_counter() < end:
        items, seconds = [0, 0], [0.0, 0.0]
        # A, B, B, A: what drifts meets both alike.
        for watched in (True, False, False, True):
            with unwatched(not watched):
                before = taken()
                done, took = read(STRETCH)
                if (taken() > before) is not watched:
                    raise AssertionError("the watch cannot be switched off like this any more")
            items[watched] += done
            seconds[watched] += took
        rate, without = (items[w] / seconds[w] for w in (True, False))
        ratios.append(rate / without)
        rates.append(rate)
    return Measurement(median(ratios), 1.0, {RATE: median(rates)})


@contextmanager
def unwatched(really: bool) -> Iterator[None]:
    """A while in which nobody takes note of items."""
    from penstock.watching.report import Watch

    kept = Watch.taken
    try:
        if really:
            Watch.taken = ignore  # type: ignore[method-assign]
        yield
    finally:
        Watch.taken = kept  # type: ignore[method-assign]


def ignore(self: Any, asked: float, now: float) -> None:
    """Take no note."""


def limit(scale: Scale) -> Measurement:
    """The same without watching: every row measures it for itself."""
    return Measurement(1.0, 1.0)


def inline(scale: Scale) -> Measurement:
    """The work of `overhead`, by the loader in line: the watch sees batches of 100."""
    import penstock as ps

    batches = ps.range(len(overhead.items(scale))).map(overhead.identity).batch(overhead.BATCH, collate=list)
    with batches.loader(workers=ps.Inline()) as loader:

        def read(seconds: float) -> tuple[int, float]:
            done = 0
            began = time.perf_counter()
            while time.perf_counter() < began + seconds:
                for batch in loader:
                    done += len(batch)
            return done, time.perf_counter() - began

        # The report is of one epoch: after an epoch without the watch, nothing was taken in it.
        return _fresh(read, lambda: loader.report().items, scale)


def _fresh(read: Callable[[float], tuple[int, float]], last: Callable[[], int], scale: Scale) -> Measurement:
    seen = [0]

    def counted(seconds: float) -> tuple[int, float]:
        found = read(seconds)
        seen[0] += last()
        return found

    return measure(counted, lambda: seen[0], scale)


def single(scale: Scale) -> Measurement:
    """The dicts of `hops`, one by one: the watch sees each piece of work that they come in."""
    import penstock as ps

    block = range(512)
    with ps.range(hops.ENDLESS).map(hops.record).loader(workers=ps.Processes(scale.workers)) as loader:
        iterator = iter(loader)

        def read(seconds: float) -> tuple[int, float]:
            done = 0
            began = now = time.perf_counter()
            while now < began + seconds:
                for _ in block:
                    next(iterator)
                done += len(block)
                now = time.perf_counter()
            return done, now - began

        return measure(read, lambda: loader.report().waited, scale)


CLAIM = Claim(
    name="watching",
    work="""
The work of `overhead` by the loader in line, and the dicts of `hops` from two processes, with the loader's watch as it
is and with its note of each item (`Watch.taken`) replaced by a function that does nothing. Each row reads in turns of
20 ms with and without, in one process; its figure is the median ratio of such turns, so the limit is 1 by definition.
The two readings of the clock that belong to each note are made in both.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "without, by definition"),
        System("inline", Role.CLAIM, inline, "`overhead`: batches of 100 in line"),
        System("single", Role.CLAIM, single, "`hops`: dicts, one by one, Processes(2)"),
    ),
    reach=0.98,
    unit="with / without",
    figures=(Figure(RATE),),
    weakest=True,
)
