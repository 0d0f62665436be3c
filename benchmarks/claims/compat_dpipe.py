"""dpipe's own tutorial, and batches of 1 MB from its processes: on dpipe, and unchanged on Penstock."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.measuring import stream

THEIRS, OURS = "dpipe.batch_iter", "penstock.compat.dpipe.batch_iter"
FLOATS = 1 << 13  # in an item of 32 KB
ITEMS = 32  # in a batch of 1 MB


def zoom(image: Any, scale_factor: list[int]) -> Any:
    """Enlarge an image."""
    return np.kron(image, np.ones(scale_factor, image.dtype))


def digits() -> list[tuple[Any, int]]:
    """Return images of 28 × 28, with labels."""
    return [(np.full((28, 28), number % 10, np.uint8), number % 10) for number in range(1000)]


def item(number: int) -> tuple[Any, int]:
    """32 KB of numbers."""
    return np.full(FLOATS, number, np.float32), number


def volume(number: int) -> tuple[Any, int]:
    """1 MB of numbers."""
    return np.full(FLOATS * ITEMS, number, np.float32), number


def do_stuff(x: int, *, seconds: float) -> tuple[int]:
    """Wait, as in the tutorial."""
    time.sleep(seconds)
    return (x**2,)


def forever(batch_iter: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from batch_iter()


def measure(batch_iter: Any, scale: Scale, size: int) -> Measurement:
    """Count batches, whose entries must belong together."""

    def take(batch: Any) -> float:
        xs, ys = batch
        if len(xs) != size or xs[0].flat[0] != ys[0] or xs[-1].flat[-1] != ys[-1]:
            raise AssertionError("a batch whose images have other labels")
        return 1.0

    with batch_iter:
        return stream(forever(batch_iter), take, scale, 64)


def sampling(library: str, zoomed: bool, scale: Scale) -> Measurement:
    """The tutorial's batches of 30 digits, enlarged or not."""
    b = importlib.import_module(library)
    steps = [b.apply_at(0, zoom, scale_factor=[2, 2])] if zoomed else []
    return measure(b.Infinite(b.sample(digits()), *steps, batch_size=30, batches_per_epoch=10), scale, 30)


def arrays(library: str, kind: str, whole: bool, scale: Scale) -> Measurement:
    """Batches of 1 MB, of 32 items or of one."""
    b = importlib.import_module(library)
    stage = getattr(b, kind)(volume if whole else item, n_workers=scale.workers)
    size = 1 if whole else ITEMS
    batches = b.Infinite(itertools.count(), stage, batch_size=size, batches_per_epoch=10)
    return measure(batches, scale, size)


def waits(library: str, kind: str | None, scale: Scale) -> Measurement:
    """The tutorial's ten items that take their time, from the first line to the batch."""
    b = importlib.import_module(library)
    work = partial(do_stuff, seconds=scale.of(0.2, 0.05))
    began = time.perf_counter()
    stage = work if kind is None else getattr(b, kind)(work, n_workers=2)
    with b.Infinite(range(10), stage, batch_size=10, batches_per_epoch=1) as batch_iter:
        [(squares,)] = batch_iter()
        took = time.perf_counter() - began
    if sorted(squares) != [x * x for x in range(10)]:
        raise AssertionError("other items")
    return Measurement(1, took)


def row(name: str, work: Any, reach: float = 1.0) -> tuple[System, System]:
    """Return theirs and ours."""
    return (
        System(f"theirs-{name}", Role.PEER, partial(work, THEIRS)),
        System(f"ours-{name}", Role.EXTRA, partial(work, OURS), against=f"theirs-{name}", reach=reach),
    )


CLAIM = Claim(
    name="compat_dpipe",
    work="""
The same program on dpipe and on Penstock, with another import. Batches of 1 MB: 32 items of 32 KB, which 2 processes
fill, each item on its own; the limit is dpipe's `Loky`; beside it batches of one item of 1 MB, and both in 2 threads.
The tutorial: 30 digits, as they are and enlarged, and ten items that wait for 0.2 s each (1 s there), alone, in 2
threads and in 2 processes, whose start is part of it. Figures are batches a second.
""",
    systems=(
        System("theirs-1mb", Role.LIMIT, partial(arrays, THEIRS, "Loky", False), "Loky, 32 items"),
        System("ours-1mb", Role.CLAIM, partial(arrays, OURS, "Loky", False), "Loky, 32 items"),
        *row("1mb-whole", lambda library, scale: arrays(library, "Loky", True, scale), 5.0),
        *row("1mb-threads", lambda library, scale: arrays(library, "Threads", False, scale)),
        *row("1mb-whole-threads", lambda library, scale: arrays(library, "Threads", True, scale)),
        *row("digits", lambda library, scale: sampling(library, False, scale)),
        *row("digits-enlarged", lambda library, scale: sampling(library, True, scale)),
        *row("waits", lambda library, scale: waits(library, None, scale), 0.97),
        *row("waits-threads", lambda library, scale: waits(library, "Threads", scale), 0.97),
        *row("waits-processes", lambda library, scale: waits(library, "Loky", scale), 0.97),
    ),
    reach=5.0,
    unit="batches/s",
    peers=("deep_pipe", "pdp", "loky"),
)
