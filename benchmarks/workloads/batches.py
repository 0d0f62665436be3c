"""Moving large batches from two workers to one consumer: the work of `transport` and `transport_copy`.

A batch is 64 × 224 × 224 × 3 bytes (9.6 MB), filled with a value that depends on its number. The consumer reads one
byte of every page of it and checks that value, so that no system gets away with memory that nobody touches, with a
stale batch, or with an early overwrite.

Penstock and the limit have two forms, one per claim: written where it will be read (`InPlace`), or made in an array of
the function's own and copied once (`OwnArray`). No peer hands out memory that it gets back, so the peers' form is the
second in both claims.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claim import Measurement, Role, Scale, System
from benchmarks.measuring import stream
from benchmarks.workloads.ring import Slot, rings

Batch = npt.NDArray[np.uint8]

SHAPE = (64, 224, 224, 3)
SMALL = (8, 224, 224, 3)
PAGE = 4096
ENDLESS = 10**6
"""More batches than anybody moves in a run."""

WARM = 40
SLOTS = 4
"""Slots per producer of the ring that is the limit: eight batches under way, as a loader's look-ahead has.

The number matters, because 77 MB do not fit into a cache and fewer may: on the 2 CPUs with 32 MiB of shared cache
where this was written, 1 slot ran at 93 GB/s, 2 at 70, 3 at 43, 4 at 37, 6 at 33, 8 at 31 and 12 at 30. A trainer
uses the cache itself, and a loader with one batch of look-ahead hides nothing; so the limit is few slots, but more
than a cache holds."""

TORCH_KEPT = 3

PEERS = ("torch", "SeqTools", "spdl_core", "grain", "tensorpack", "loky", "pyzmq")


def value(number: int) -> int:
    """What batch `number` is filled with."""
    return number * 7 % 251


def take(number: int, batch: Batch) -> float:
    """Read one byte of every page, check it; the bytes of the batch."""
    pages = batch.reshape(-1)[::PAGE]
    if int(pages.sum(dtype=np.uint64)) != value(number) * len(pages):
        raise AssertionError(f"batch {number} should hold {value(number)}, it holds {np.unique(pages)[:5]}")
    return float(batch.nbytes)


def measure(batches: Any, scale: Scale) -> Measurement:
    """Count a stream that keeps the order: batch after batch has the next number."""
    numbers = itertools.count()
    return stream(batches, lambda batch: take(next(numbers), batch), scale, scale.of(WARM, 8))


class InPlace:
    """Makes a batch in memory that Penstock hands out."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __call__(self, number: int) -> Batch:
        import penstock as ps

        batch: Batch = ps.empty(self.shape, np.uint8)
        batch.fill(value(number))
        return batch


class OwnArray:
    """Makes a batch in an array that it keeps and fills anew, so that nobody pays for fresh memory.

    One array does for whoever copies a batch before the function is called again. A DataLoader's worker pickles in a
    thread, while the function already makes the next batch; it has two batches under way, so it gets `TORCH_KEPT`.
    """

    def __init__(self, shape: tuple[int, ...], count: int = 1) -> None:
        self.shape = shape
        self.count = count
        self.kept: list[Batch] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"shape": self.shape, "count": self.count, "kept": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __call__(self, number: int) -> Batch:
        if len(self.kept) < self.count:
            self.kept.append(np.empty(self.shape, np.uint8))
        else:
            self.kept.append(self.kept.pop(0))
        batch = self.kept[-1]
        batch.fill(value(number))
        return batch

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, number: int) -> Batch:
        return self(number)


def own_array(scale: Scale, count: int = 1) -> OwnArray:
    """The function of `transport_copy` and of all peers, at the run's size."""
    return OwnArray(shape(scale), count)


def shape(scale: Scale) -> tuple[int, ...]:
    """A batch's shape at the run's size."""
    return scale.of(SHAPE, SMALL)


# Ours and the limit ---------------------------------------------------------------------------------------------------


def limit_in_place(scale: Scale) -> Measurement:
    """The ring, filled where it is read."""
    return _ring(fill, scale, SLOTS)


def fewer_slots(scale: Scale) -> Measurement:
    """The ring with 2 slots per producer: in half the cache's size, where it is large."""
    return _ring(fill, scale, 2)


def more_slots(scale: Scale) -> Measurement:
    """The ring with 12 slots per producer."""
    return _ring(fill, scale, 12)


def fill(number: int, slot: Slot) -> None:
    """Make a batch in place."""
    slot.fill(value(number))


def limit_copy(scale: Scale) -> Measurement:
    """The ring, with one copy out of the function's own array."""
    make = own_array(scale)

    def write(number: int, slot: Slot) -> None:
        np.copyto(slot, make(number))

    return _ring(write, scale, SLOTS)


def _ring(write: Any, scale: Scale, slots: int) -> Measurement:
    with rings(shape(scale), slots, scale.workers, write) as batches:
        return stream(batches, lambda pair: take(*pair), scale, scale.of(WARM, 8))


def penstock_in_place(scale: Scale) -> Measurement:
    """Penstock's processes, filling memory that Penstock hands out."""
    return _penstock(InPlace(shape(scale)), scale)


def penstock_copy(scale: Scale) -> Measurement:
    """Penstock's processes, with a function that returns an array of its own."""
    return _penstock(own_array(scale), scale)


def _penstock(make: Any, scale: Scale) -> Measurement:
    import penstock as ps

    with ps.range(ENDLESS).map(make).loader(workers=ps.Processes(scale.workers)) as loader:
        return measure(loader, scale)


# Peers ----------------------------------------------------------------------------------------------------------------


def spdl(scale: Scale) -> Measurement:
    """One subprocess per worker, each with a pool of recycled segments; the consumer takes from them in turn."""
    import functools

    from spdl.pipeline import SharedMemorySegmentPool, iterate_in_subprocess

    make = own_array(scale)
    size = math.prod(make.shape)
    workers = [
        iterate_in_subprocess(
            functools.partial(EveryNth, make, worker, scale.workers),
            # Few segments stay in the cache: the best of 2 to 9 segments, as measured.
            buffer_size=2,
            arena=SharedMemorySegmentPool(size, 3),
        )
        for worker in range(scale.workers)
    ]
    return measure(in_turn([iter(worker) for worker in workers]), scale)


class EveryNth:
    """The batches of one worker of several: `first`, `first + step` and so on."""

    def __init__(self, make: OwnArray, first: int, step: int) -> None:
        self.make, self.first, self.step = make, first, step

    def __iter__(self) -> Iterator[Batch]:
        return map(self.make, range(self.first, ENDLESS, self.step))


def in_turn(iterators: list[Iterator[Batch]]) -> Iterator[Batch]:
    """One of each, again and again, without holding on to any."""
    for iterator in itertools.cycle(iterators):
        yield next(iterator)


def seqtools_shm(scale: Scale) -> Measurement:
    """Processes with slots of shared memory."""
    import logging

    import seqtools

    logging.getLogger("seqtools").setLevel(logging.ERROR)
    make = own_array(scale)
    slots = 4 * scale.workers
    room = slots * (math.prod(make.shape) + PAGE)
    fetched = seqtools.prefetch(
        seqtools.smap(make, range(ENDLESS)),
        nworkers=scale.workers,
        method="process",
        max_buffered=slots,
        shm_size=room,
    )
    return measure(iter(fetched), scale)


def torch_shared(scale: Scale) -> Measurement:
    """A DataLoader whose function makes its tensor in shared memory, as PyTorch's own collate does: no copy is left."""
    return measure((tensor.numpy() for tensor in _torch(SharedTensor(shape(scale)), scale)), scale)


def torch_tensors(scale: Scale) -> Measurement:
    """A DataLoader without a collate step; the worker's tensors go through shared memory."""
    return measure((tensor.numpy() for tensor in _torch(own_array(scale, TORCH_KEPT), scale)), scale)


def torch_arrays(scale: Scale) -> Measurement:
    """A DataLoader that leaves arrays as they are: they are pickled through a pipe."""
    return measure(_torch(own_array(scale, TORCH_KEPT), scale, collate_fn=unchanged), scale)


def _torch(dataset: Any, scale: Scale, **options: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset, batch_size=None, num_workers=scale.workers, **options)


class SharedTensor:
    """Makes a batch in a shared segment of PyTorch's: a new one each time, as nothing says when one is free again."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, number: int) -> Any:
        import torch

        storage: Any = torch.UntypedStorage._new_shared(math.prod(self.shape))  # type: ignore[no-untyped-call]
        return torch.empty(0, dtype=torch.uint8).set_(storage).resize_(self.shape).fill_(value(number))


def unchanged(batch: Batch) -> Batch:
    """The batch itself."""
    return batch


def grain(scale: Scale) -> Measurement:
    """Grain's processes; it copies arrays to a shared segment per batch."""
    import grain

    batches = (
        grain.MapDataset.range(ENDLESS)
        .map(own_array(scale))
        .to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    )
    options = grain.MultiprocessingOptions(num_workers=scale.workers, per_worker_buffer_size=4)
    iterator = iter(batches.mp_prefetch(options))
    try:
        return measure(iterator, scale)
    finally:
        iterator.close()


def tensorpack(scale: Scale) -> Measurement:
    """Independent processes behind one ZeroMQ socket: each makes every batch, and their order is left to chance."""
    from tensorpack.dataflow import DataFlow, MultiProcessRunnerZMQ

    make = own_array(scale)

    class Pairs(DataFlow):  # type: ignore[misc]
        def __iter__(self) -> Iterator[list[Any]]:
            return ([number, make(number)] for number in range(ENDLESS))

        def __len__(self) -> int:
            return ENDLESS

    flow = MultiProcessRunnerZMQ(Pairs(), num_proc=scale.workers, hwm=4)
    flow.reset_state()
    return stream(flow, lambda pair: take(*pair), scale, scale.of(WARM, 8))


def loky(scale: Scale) -> Measurement:
    """A reusable executor, kept busy with a window of futures."""
    from collections import deque

    from loky import get_reusable_executor

    executor = get_reusable_executor(scale.workers)
    make = own_array(scale)

    def results() -> Iterator[Batch]:
        waiting = deque(executor.submit(kept_make, make.shape, number) for number in range(3 * scale.workers))
        for number in itertools.count(len(waiting)):
            yield waiting.popleft().result()
            waiting.append(executor.submit(kept_make, make.shape, number))

    try:
        return measure(results(), scale)
    finally:
        executor.shutdown(kill_workers=True)


_made: dict[tuple[int, ...], OwnArray] = {}


def kept_make(shape: tuple[int, ...], number: int) -> Batch:
    """Like `OwnArray`, for an executor that pickles the function per task: its arrays stay in the worker."""
    if shape not in _made:
        _made[shape] = OwnArray(shape)
    return _made[shape](number)


PEER_SYSTEMS = (
    System("spdl", Role.PEER, spdl, "iterate_in_subprocess × 2, SharedMemorySegmentPool"),
    System("seqtools-shm", Role.PEER, seqtools_shm, "prefetch(method='process', shm_size=…)"),
    System("tensorpack", Role.PEER, tensorpack, "MultiProcessRunnerZMQ; unordered, with repetitions"),
    System("grain", Role.PEER, grain, "mp_prefetch, 2 workers"),
    System("torch-shared", Role.PEER, torch_shared, "DataLoader(batch_size=None), tensors made in shared memory"),
    System("torch-tensors", Role.PEER, torch_tensors, "DataLoader(batch_size=None), tensors"),
    System("torch-arrays", Role.PEER, torch_arrays, "DataLoader(batch_size=None), arrays, pickled"),
    System("loky", Role.PEER, loky, "window of futures"),
)
