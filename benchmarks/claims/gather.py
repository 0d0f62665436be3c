"""Index operations in front of an array source cost nothing: they become one vector of row numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.measuring import epochs

Rows = npt.NDArray[np.float32]

BATCH = 256
WIDTH = 128
WARM = 64
ROW_BYTES = WIDTH * 4


def rows(scale: Scale) -> Rows:
    """The data: half a million rows, each of which holds its own number."""
    count = scale.of(500_000, 50_000)
    data = np.empty((count, WIDTH), np.float32)
    data[:] = np.arange(count, dtype=np.float32)[:, None]
    return data


def chained(data: Rows) -> Any:
    """Shuffle, slice, split, concatenate, repeat, batch, in Penstock's words."""
    import penstock as ps

    source = ps.arrays(data)
    left, right = source.split(0.5, 0.5)
    return ps.concat(left.shuffle()[: len(data) // 3], right[::2]).shuffle().repeat(2).batch(BATCH)


def numbers(data: Rows) -> npt.NDArray[np.int64]:
    """What the chain amounts to, worked out before."""
    half = len(data) // 2
    draw = np.random.default_rng(0).permutation
    kept = np.concatenate([draw(half)[: len(data) // 3], np.arange(half, len(data))[::2]])
    return np.concatenate([draw(kept), draw(kept)])


def measure(make: Any, scale: Scale) -> Measurement:
    """Check some batches, then time whole epochs. The amount is in bytes."""
    for batch, _ in zip(make(), range(8), strict=False):
        found = np.asarray(batch)
        if found.shape != (BATCH, WIDTH) or (found != found[:, :1]).any() or (np.diff(found[:, 0]) == 1).mean() > 0.5:
            raise AssertionError(f"not {BATCH} whole shuffled rows: {found[:3, :3]}")
    timed = epochs(make, len, scale, WARM)
    return Measurement(timed.amount * ROW_BYTES, timed.seconds)


def taken(data: Rows, order: npt.NDArray[np.int64]) -> Iterator[Rows]:
    """The plain loop."""
    buffer = np.empty((BATCH, WIDTH), np.float32)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        yield np.take(data, part, axis=0, out=buffer[: len(part)])


def limit(scale: Scale) -> Measurement:
    """`np.take` into one buffer, over row numbers that are there already."""
    data = rows(scale)
    return measure(partial(taken, data, numbers(data)), scale)


def penstock_loader(scale: Scale) -> Measurement:
    """Penstock, read by a loader in line."""
    import penstock as ps

    with chained(rows(scale)).loader(workers=ps.Inline()) as loader:
        return measure(lambda: loader, scale)


def penstock_direct(scale: Scale) -> Measurement:
    """Penstock, the dataset itself iterated."""
    batches = chained(rows(scale))
    return measure(lambda: batches, scale)


def seqtools(scale: Scale) -> Measurement:
    """SeqTools, with one gather in the place of each shuffle."""
    import seqtools

    data = rows(scale)
    half = len(data) // 2
    draw = np.random.default_rng(0).permutation
    left = seqtools.gather(data[:half], draw(half))[: len(data) // 3]
    kept = seqtools.concatenate([left, data[half:][::2]])

    def make() -> Any:
        twice = seqtools.concatenate([seqtools.gather(kept, draw(len(kept))) for _ in range(2)])
        return seqtools.batch(twice, BATCH, collate_fn=np.stack)

    return measure(make, scale)


def torch(scale: Scale) -> Measurement:
    """PyTorch's Subset and ConcatDataset, shuffled by its sampler."""
    import torch
    from torch.utils.data import ConcatDataset, DataLoader, RandomSampler, Subset, TensorDataset

    torch.set_num_threads(1)
    data = torch.from_numpy(rows(scale))
    half = len(data) // 2
    tensors = TensorDataset(data)
    left = Subset(tensors, torch.randperm(half)[: len(data) // 3].tolist())
    kept: Any = ConcatDataset([left, Subset(tensors, range(half, len(data), 2))])
    loader = DataLoader(kept, batch_size=BATCH, sampler=RandomSampler(kept, num_samples=2 * len(kept)))
    return measure(lambda: (batch for [batch] in loader), scale)


def grain(scale: Scale) -> Measurement:
    """Grain without threads, with the same operations."""
    import grain

    data = rows(scale)
    half = len(data) // 2
    source = grain.MapDataset.source(data).seed(0)
    left = source[:half].shuffle()[: len(data) // 3]
    kept = grain.MapDataset.concatenate([left, source[half::2]])
    batches = kept.seed(1).shuffle().repeat(2).batch(BATCH)
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    return measure(lambda: batches.to_iter_dataset(options), scale)


CLAIM = Claim(
    name="gather",
    work="""
An array of 500,000 × 128 float32 in memory: split in halves, one shuffled and sliced, the other sliced with a step,
concatenated, shuffled again, repeated twice, in batches of 256; in line, whole epochs. The limit is `np.take(out=)`
over row numbers that were worked out before.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "`np.take(out=)`, row numbers worked out before"),
        System("penstock-loader", Role.CLAIM, penstock_loader, "loader(workers=Inline())"),
        System("penstock-direct", Role.EXTRA, penstock_direct, "the dataset iterated"),
        System("seqtools", Role.PEER, seqtools, "gather, slices, concatenate, batch"),
        System("grain", Role.PEER, grain, "slices, concatenate, shuffle, repeat, batch"),
        System("torch", Role.PEER, torch, "Subset, ConcatDataset, RandomSampler"),
    ),
    reach=0.85,
    unit="GB/s",
    per_unit=1e9,
    peers=("SeqTools", "grain", "torch"),
)
