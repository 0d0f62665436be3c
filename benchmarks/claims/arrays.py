"""Shuffled batches of an array in memory, at the speed of `np.take`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

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
    """The data: a million rows, each of which holds its own number."""
    count = scale.of(1_000_000, 50_000)
    data = np.empty((count, WIDTH), np.float32)
    data[:] = np.arange(count, dtype=np.float32)[:, None]
    return data


def measure(make: Any, data: Rows, scale: Scale) -> Measurement:
    """Check the form and the content of some batches, then time whole epochs. The amount is in bytes."""
    check(make, len(data))
    timed = epochs(make, len, scale, WARM)
    return Measurement(timed.amount * ROW_BYTES, timed.seconds)


def check(make: Any, count: int) -> None:
    """A few batches: right in shape and type, every row whole, no row twice, not in the order of the data."""
    seen = []
    for batch, _ in zip(make(), range(8), strict=False):
        found = np.asarray(batch)
        if found.shape != (BATCH, WIDTH) or found.dtype != np.float32:
            raise AssertionError(f"batches should be float32 ({BATCH}, {WIDTH}), not {found.dtype} {found.shape}")
        if (found != found[:, :1]).any():
            raise AssertionError("a row is mixed of others")
        seen.append(found[:, 0].copy())
    numbers = np.concatenate(seen)
    if len(np.unique(numbers)) != len(numbers) or not 0 <= numbers.min() <= numbers.max() < count:
        raise AssertionError("rows come twice, or from nowhere")
    if (np.diff(numbers) == 1).mean() > 0.5:
        raise AssertionError("the order is the data's own: not shuffled")


def limit(scale: Scale) -> Measurement:
    """`np.take` into one buffer, over an order that is there already."""
    data = rows(scale)
    order = np.random.default_rng(0).permutation(len(data))
    return measure(partial(taken, data, order), data, scale)


def without_check(scale: Scale) -> Measurement:
    """The same with `mode="clip"`, which does not look whether an index is out of range."""
    data = rows(scale)
    order = np.random.default_rng(0).permutation(len(data))
    return measure(partial(taken, data, order, mode="clip"), data, scale)


def with_permutation(scale: Scale) -> Measurement:
    """The limit, drawing a new order in every epoch."""
    data = rows(scale)
    generator = np.random.default_rng(0)
    return measure(lambda: taken(data, generator.permutation(len(data))), data, scale)


def taken(data: Rows, order: npt.NDArray[np.int64], mode: Literal["raise", "clip"] = "raise") -> Iterator[Rows]:
    """The plain loop."""
    buffer = np.empty((BATCH, WIDTH), np.float32)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        yield np.take(data, part, axis=0, out=buffer[: len(part)], mode=mode)


def penstock_loader(scale: Scale) -> Measurement:
    """Penstock, read by a loader in line."""
    import penstock as ps

    data = rows(scale)
    with ps.arrays(data).shuffle().batch(BATCH).loader(workers=ps.Inline()) as loader:
        return measure(lambda: loader, data, scale)


def penstock_direct(scale: Scale) -> Measurement:
    """Penstock, the dataset itself iterated."""
    import penstock as ps

    data = rows(scale)
    batches = ps.arrays(data).shuffle().batch(BATCH)
    return measure(lambda: batches, data, scale)


def batchup(scale: Scale) -> Measurement:
    """BatchUp's array source; it gives a list with one array per source."""
    from batchup.data_source import ArrayDataSource

    data = rows(scale)
    source = ArrayDataSource([data])
    generator = np.random.RandomState(0)
    return measure(
        lambda: (batch for [batch] in source.batch_iterator(batch_size=BATCH, shuffle=generator)), data, scale
    )


def torch_batch_sampler(scale: Scale) -> Measurement:
    """PyTorch with a sampler written by hand, which gives whole index vectors; the dataset indexes with them."""
    import torch
    from torch.utils.data import DataLoader, Dataset, Sampler

    data = rows(scale)
    tensor = torch.from_numpy(data)

    class ByVector(Dataset):  # type: ignore[type-arg]
        def __getitem__(self, indices: Any) -> Any:
            return tensor.index_select(0, indices)

        def __len__(self) -> int:
            return len(tensor)

    class Vectors(Sampler):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[Any]:
            return iter(torch.randperm(len(tensor)).split(BATCH))  # type: ignore[no-untyped-call]

        def __len__(self) -> int:
            return math.ceil(len(tensor) / BATCH)

    torch.set_num_threads(1)
    return measure(lambda: DataLoader(ByVector(), sampler=Vectors(), batch_size=None), data, scale)


def torch_getitems(scale: Scale) -> Measurement:
    """PyTorch with its own samplers, and a dataset that fetches a batch at once."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    data = rows(scale)
    tensor = torch.from_numpy(data)

    class Tensor(Dataset):  # type: ignore[type-arg]
        def __getitem__(self, index: int) -> Any:
            return tensor[index]

        def __getitems__(self, indices: list[int]) -> Any:
            return tensor.index_select(0, torch.tensor(indices))

        def __len__(self) -> int:
            return len(tensor)

    torch.set_num_threads(1)
    loader = DataLoader(Tensor(), batch_size=BATCH, shuffle=True, collate_fn=unchanged)
    return measure(lambda: loader, data, scale)


def torch_default(scale: Scale) -> Measurement:
    """PyTorch as most people write it: a TensorDataset, batched and shuffled."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    data = rows(scale)
    torch.set_num_threads(1)
    loader = DataLoader(TensorDataset(torch.from_numpy(data)), batch_size=BATCH, shuffle=True)
    return measure(lambda: (batch for [batch] in loader), data, scale)


def unchanged(batch: Any) -> Any:
    """The batch itself."""
    return batch


def grain(scale: Scale) -> Measurement:
    """Grain without threads, as it advises for data in memory."""
    import grain

    data = rows(scale)
    batches = grain.MapDataset.source(data).seed(0).shuffle().batch(BATCH)
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    return measure(lambda: batches.to_iter_dataset(options), data, scale)


def tensorpack(scale: Scale) -> Measurement:
    """Tensorpack: a list of rows, shuffled, batched."""
    from tensorpack.dataflow import BatchData, DataFromList

    data = rows(scale)
    flow = BatchData(DataFromList([[row] for row in data], shuffle=True), BATCH, remainder=True)
    flow.reset_state()
    return measure(lambda: (batch for [batch] in flow), data, scale)


CLAIM = Claim(
    name="arrays",
    work="""
A float32 array of 1,000,000 × 128 in memory, shuffled anew in every epoch, in batches of 256, in one process and in
line. Whole epochs are timed, with what it takes to start one; a system slower than four times the stretch is cut in
mid-epoch. The limit is `np.take(out=)` into one buffer in a plain loop, over an order drawn beforehand.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "np.take(out=), order drawn beforehand"),
        System("penstock-loader", Role.CLAIM, penstock_loader, "loader(workers=Inline())"),
        System("penstock-direct", Role.EXTRA, penstock_direct, "the dataset iterated"),
        System("loop-clip", Role.EXTRA, without_check, "the limit with mode='clip': indices unchecked, no buffering"),
        System("loop-permutation", Role.EXTRA, with_permutation, "the limit, drawing the order in every epoch"),
        System("batchup", Role.PEER, batchup, "ArrayDataSource"),
        System("torch-batch-sampler", Role.PEER, torch_batch_sampler, "index vectors from a hand-written sampler"),
        System("torch-getitems", Role.PEER, torch_getitems, "`__getitems__`, no collate"),
        System("torch", Role.PEER, torch_default, "TensorDataset, defaults"),
        System("grain", Role.PEER, grain, "no threads"),
        System("tensorpack", Role.PEER, tensorpack, "DataFromList, BatchData"),
    ),
    reach=0.90,
    unit="GB/s",
    per_unit=1e9,
    peers=("torch", "batchup", "grain", "tensorpack"),
)
