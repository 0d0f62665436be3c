"""Workers are there as soon as bare processes of the standard library."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System

Rows = npt.NDArray[np.float32]

BATCH = 64
WIDTH = 250

SECOND = "second loader, s"


def rows(scale: Scale) -> Rows:
    """The data: 100 MB, each row of which holds its own number."""
    count = scale.of(100_000, 10_000)
    data = np.empty((count, WIDTH), np.float32)
    data[:] = np.arange(count, dtype=np.float32)[:, None]
    return data


def measure(make: Callable[[Rows], AbstractContextManager[Iterable[Any]]], scale: Scale) -> Measurement:
    """Time the first batch of a first loader, and of a second one. Ending a loader is not timed."""
    data = rows(scale)
    seconds = [_first(make, data) for _ in range(2)]
    return Measurement(1.0, seconds[0], {SECOND: seconds[1]})


def _first(make: Callable[[Rows], AbstractContextManager[Iterable[Any]]], data: Rows) -> float:
    began = time.perf_counter()
    with make(data) as batches:
        first = np.asarray(next(iter(batches)))
        seconds = time.perf_counter() - began
    if first.shape != (BATCH, WIDTH) or (first != first[:, :1]).any() or len(np.unique(first[:, 0])) != BATCH:
        raise AssertionError(f"a batch should be {BATCH} different rows, not {first.shape} {first[:, 0]}")
    return seconds


def limit(scale: Scale) -> Measurement:
    """Two processes of the standard library's fork server."""
    return measure(lambda data: closing(bare(data, scale.workers)), scale)


def bare(data: Rows, workers: int) -> Generator[Rows, None, None]:
    """Share the array, start the processes, give the batch of the first; later ones are not asked for."""
    context = multiprocessing.get_context("forkserver")
    shared = SharedMemory(create=True, size=data.nbytes)
    processes = []
    try:
        np.ndarray(data.shape, np.float32, shared.buf)[:] = data
        pipes = []
        for worker in range(workers):
            reading, writing = context.Pipe(duplex=False)
            share = range(worker * BATCH, len(data), workers * BATCH)
            process: Any = context.Process(target=_serve, args=(shared.name, data.shape, share, writing), daemon=True)
            process.start()
            writing.close()
            pipes.append(reading)
            processes.append(process)
        yield pipes[0].recv()
    finally:
        for process in processes:
            process.kill()
            process.join()
        shared.close()
        shared.unlink()


def _serve(name: str, shape: tuple[int, int], share: range, pipe: Any) -> None:
    shared = SharedMemory(name)
    data: Rows = np.ndarray(shape, np.float32, shared.buf)
    for start in share:
        pipe.send(data[start : start + BATCH])


def penstock(scale: Scale) -> Measurement:
    """Penstock's processes. The description is timed, too."""
    import penstock as ps

    return measure(
        lambda data: ps.arrays(data).shuffle().batch(BATCH).loader(workers=ps.Processes(scale.workers)), scale
    )


def started(method: str, run: Callable[[Scale], Measurement], scale: Scale) -> Measurement:
    """Measure a peer that leaves it to the standard library how processes are started."""
    multiprocessing.set_start_method(method)
    return run(scale)


forkserver, fork = partial(partial, started, "forkserver"), partial(partial, started, "fork")


def grain(scale: Scale) -> Measurement:
    """Grain's processes."""
    import grain

    def make(data: Rows) -> Any:
        batches = grain.MapDataset.source(data).seed(0).shuffle().batch(BATCH)
        items = batches.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        return closing(iter(items.mp_prefetch(grain.MultiprocessingOptions(num_workers=scale.workers))))

    return measure(make, scale)


def seqtools(scale: Scale) -> Measurement:
    """SeqTools on processes."""
    import logging

    import seqtools

    logging.getLogger("seqtools").setLevel(logging.ERROR)

    def make(data: Rows) -> Any:
        order = np.random.default_rng(0).permutation(len(data))
        batches = seqtools.batch(seqtools.gather(data, order), BATCH, collate_fn=np.stack)
        return nullcontext(seqtools.prefetch(batches, nworkers=scale.workers, method="process", max_buffered=8))

    return measure(make, scale)


class Shuffled:
    """What one subprocess of SPDL iterates: every second batch."""

    def __init__(self, data: Rows, first: int, step: int) -> None:
        self.data, self.first, self.step = data, first, step

    def __call__(self) -> Iterator[Rows]:
        order = np.random.default_rng(0).permutation(len(self.data))
        for start in range(self.first * BATCH, len(order) - BATCH, self.step * BATCH):
            yield self.data[order[start : start + BATCH]]


def spdl(scale: Scale) -> Measurement:
    """One subprocess per worker; the first batch is the first one's."""
    from spdl.pipeline import iterate_in_subprocess

    def make(data: Rows) -> Any:
        workers = [iterate_in_subprocess(Shuffled(data, number, scale.workers)) for number in range(scale.workers)]
        iterators = [iter(worker) for worker in workers]
        return nullcontext(iterators[0])

    return measure(make, scale)


def batchup(scale: Scale) -> Measurement:
    """BatchUp's pool of processes."""
    from batchup.data_source import ArrayDataSource
    from batchup.work_pool import WorkerProcessPool

    def make(data: Rows) -> Any:
        pool = WorkerProcessPool(scale.workers)
        parallel = pool.parallel_data_source(ArrayDataSource([data]), batch_buffer_size=8)
        batches = parallel.batch_iterator(batch_size=BATCH, shuffle=np.random.RandomState(0))
        return nullcontext(batch for [batch] in batches)

    return measure(make, scale)


class ByVector:
    """A dataset for PyTorch that fetches a batch at once."""

    def __init__(self, data: Rows) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: list[int]) -> Rows:
        return self.data[indices]


def unchanged(batch: Rows) -> Rows:
    """The batch itself."""
    return batch


def torch(scale: Scale) -> Measurement:
    """PyTorch's DataLoader."""
    from torch.utils.data import DataLoader

    def make(data: Rows) -> Any:
        options: Any = {"num_workers": scale.workers, "collate_fn": unchanged}
        return nullcontext(DataLoader(ByVector(data), batch_size=BATCH, shuffle=True, **options))  # type: ignore[arg-type]

    return measure(make, scale)


CLAIM = Claim(
    name="startup_small",
    work="""
A float32 array of 100 MB in memory, batches of 64 rows, 2 processes: the seconds from that array to the first batch, in
a fresh process that has imported its library before. The limit is made of the standard library alone: the array
is copied to shared memory, and two processes of a fork server import NumPy and send batches of their share through a
pipe. The last column is the same once more in the same process, with the first loader closed. Peers that leave it to
Python how processes are started are measured with its fork server, the default since 3.14, and with fork, which starts
and shares memory at once but may deadlock where the trainer has threads.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "multiprocessing, forkserver"),
        System("penstock", Role.CLAIM, penstock, "Processes(2)"),
        System("grain", Role.PEER, grain, "mp_prefetch, 2 workers"),
        System("seqtools", Role.PEER, forkserver(seqtools), "prefetch(method='process'), forkserver"),
        System("spdl", Role.PEER, forkserver(spdl), "iterate_in_subprocess × 2, forkserver"),
        System("batchup", Role.PEER, forkserver(batchup), "WorkerProcessPool, forkserver"),
        System("torch-spawn", Role.PEER, partial(started, "spawn", torch), "DataLoader, spawn"),
        System("torch-forkserver", Role.PEER, forkserver(torch), "DataLoader, forkserver"),
        System("seqtools-fork", Role.PEER, fork(seqtools), "the same by fork"),
        System("spdl-fork", Role.PEER, fork(spdl), "the same by fork"),
        System("batchup-fork", Role.PEER, fork(batchup), "the same by fork"),
        System("torch-fork", Role.PEER, fork(torch), "the same by fork"),
    ),
    reach=1 / 1.3,
    unit="s",
    duration=True,
    figures=(Figure(SECOND, most=0.06),),
    seconds=None,
    peers=("grain", "SeqTools", "spdl_core", "batchup", "torch"),
)
