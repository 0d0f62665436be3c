"""What happens inside a child: warm up, then count work against the clock.

Two shapes cover all work:

- `stream`: batches come without end from workers that live on. The first `warm` batches bring processes, threads,
  imports and page faults behind us; then batches are counted for `scale.seconds`, and the stream is dropped.
- `epochs`: work in line, where setting up an epoch (a permutation, an iterator) is part of the cost. A short
  unfinished epoch warms up; then whole epochs are timed, from the call that starts one to its last batch. A system too
  slow to finish one in four times `scale.seconds` is cut in mid-epoch: what it did until then is counted.

Both drop a batch before they ask for the next one, so that a system which recycles memory can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from benchmarks.claim import Measurement, Scale

T = TypeVar("T")


def forever(make: Callable[[], Iterable[T]]) -> Iterator[T]:
    """Epoch after epoch of `make()`, without end."""
    while True:
        empty = True
        for item in make():
            empty = False
            yield item
        if empty:
            raise RuntimeError(f"{make!r} gave an empty epoch")


def stream(batches: Iterable[T], take: Callable[[T], float], scale: Scale, warm: int) -> Measurement:
    """Count an endless stream for `scale.seconds`, after `warm` batches.

    `take` uses a batch, checks it, and returns how much work it stands for.
    """
    iterator = iter(batches)
    for _ in range(warm):
        take(next(iterator))
    done = 0.0
    started = time.perf_counter()
    end = started + scale.seconds
    while True:
        done += take(next(iterator))
        now = time.perf_counter()
        if now >= end:
            return Measurement(done, now - started)


def epochs(make: Callable[[], Iterable[T]], take: Callable[[T], int], scale: Scale, warm: int) -> Measurement:
    """Count whole epochs of `make()` until `scale.seconds` have passed, after `warm` batches of an epoch of their own.

    `take` returns how many items a batch holds. Choose it cheap: it is inside the timed loop of every system.
    """
    for number, batch in enumerate(make()):
        take(batch)
        if number >= warm:
            break
    done = 0
    started = time.perf_counter()
    while time.perf_counter() - started < scale.seconds:
        part = _epoch(make, take, started + 4 * scale.seconds)
        if part == 0:
            raise RuntimeError(f"{make!r} gave an empty epoch")
        done += part
    return Measurement(done, time.perf_counter() - started)


def _epoch(make: Callable[[], Iterable[T]], take: Callable[[T], int], end: float) -> int:
    """Items of one epoch, or of its part before `end`. The clock is read every 16 batches only."""
    done = 0
    for number, batch in enumerate(make(), 1):
        done += take(batch)
        del batch
        if not number & 15 and time.perf_counter() > end:
            break
    return done
