"""The shuffled order of a thousand million items: nothing to wait for, nothing to store, next to nothing per index."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System
from benchmarks.measuring import stream

COUNT = 1_000_000_000
STORED = 10_000_000  # what the limit and PyTorch hold as a list: the whole would be 8 GB
BATCH = 256
WARM = 200

FIRST = "first ms"
MEMORY = "MB"


def measure(make: Callable[[], Iterator[Any]], scale: Scale, count: int = COUNT) -> Measurement:
    """Time to the first index and the memory that it took; then indices per second."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    iterator = make()
    first = next(iterator)
    seconds = time.perf_counter() - began
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seen = {int(index) for index in first}
    for batch, _ in zip(iterator, range(20), strict=False):
        seen.update(map(int, batch))
    if len(seen) != 21 * BATCH or not 0 <= min(seen) <= max(seen) < count or max(seen) - min(seen) < count / 2:
        raise AssertionError("indices come twice, from nowhere, or in the order of the data")
    timed = stream(iterator, len, scale, WARM)
    return Measurement(timed.amount, timed.seconds, {FIRST: seconds * 1e3, MEMORY: taken / 1024})


def limit(scale: Scale) -> Measurement:
    """A permutation of 10 million, stored, and cut."""
    import numpy as np

    def make() -> Iterator[Any]:
        order = np.random.default_rng(0).permutation(STORED)
        while True:
            for start in range(0, STORED - BATCH, BATCH):
                yield order[start : start + BATCH]

    return measure(make, scale, STORED)


def penstock_vectors(scale: Scale) -> Measurement:
    """Penstock's order itself, asked for 256 places at a time."""
    import penstock as ps
    from penstock.graph.reading import Plan, Reading

    shuffled = ps.range(COUNT).shuffle()
    shuffled[:2000].batch(BATCH)[0]  # imports

    def make() -> Iterator[Any]:
        node = ps.range(COUNT).shuffle().node
        read = Reading(Plan(node))
        for start in range(0, COUNT, BATCH):
            yield read.gather(node, range(start, start + BATCH))

    return measure(make, scale)


def penstock_batches(scale: Scale) -> Measurement:
    """Penstock as it is used: the dataset of shuffled batches, iterated."""
    import penstock as ps

    next(iter(ps.range(1000).shuffle().batch(BATCH)))
    return measure(lambda: iter(ps.range(COUNT).shuffle().batch(BATCH)), scale)


def torch_permutation(scale: Scale) -> Measurement:
    """PyTorch's RandomSampler and BatchSampler, over 10 million only."""
    from torch.utils.data import BatchSampler, RandomSampler

    def make() -> Iterator[Any]:
        while True:
            yield from BatchSampler(RandomSampler(range(STORED)), BATCH, drop_last=True)  # type: ignore[arg-type]

    return measure(make, scale, STORED)


def grain(scale: Scale) -> Measurement:
    """Grain's shuffle of a range, an index a call."""
    import grain

    def make() -> Iterator[Any]:
        dataset = grain.MapDataset.range(COUNT).seed(0).shuffle()
        for start in range(0, COUNT, BATCH):
            yield [dataset[index] for index in range(start, start + BATCH)]

    return measure(make, scale)


CLAIM = Claim(
    name="order",
    work="""
The shuffled order of 10⁹ items, in batches of 256 indices: the time to the first batch and the growth of the process
until then, then indices per second. What must store the order does it for 10⁷ items.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "a stored permutation of 10⁷, sliced"),
        System("penstock", Role.CLAIM, penstock_vectors, "256 places at a time", against="grain"),
        System("penstock-batches", Role.EXTRA, penstock_batches, "shuffle().batch(256), iterated", against="grain"),
        System("grain", Role.PEER, grain, "MapDataset.range(10⁹).shuffle()[i]"),
        System("torch", Role.PEER, torch_permutation, "RandomSampler of 10⁷"),
    ),
    reach=20.0,
    unit="million/s",
    per_unit=1e6,
    figures=(Figure(FIRST, most=1.0), Figure(MEMORY, most=1.0)),
    peers=("grain", "torch"),
)
