"""A few slow items delay nobody, and the order is kept."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.claim import Claim, Measurement, Role, Scale, System

BATCH = 8
WARM = 16
FAST = 0.001
SLOW = 0.080
EVERY = 40


def pause(item: int) -> float:
    """Seconds that an item takes: one in 40, scattered without a pattern, takes 80 times as long as the others.

    None of those that warm up, or workers would be far ahead when the clock starts.
    """
    return SLOW if item >= WARM * BATCH and zlib.crc32(item.to_bytes(8, "little")) % EVERY == 0 else FAST


def work(item: int) -> int:
    """What is done per item."""
    time.sleep(pause(item))
    return item


def count(scale: Scale) -> int:
    """Items of the run: whole batches that take about `scale.seconds` at the limit, after those that warm up."""
    mean = FAST + (SLOW - FAST) / EVERY
    return BATCH * (WARM + round(scale.seconds * scale.workers / mean / BATCH))


def ideal(scale: Scale) -> float:
    """Seconds of the timed part, were the work divided evenly over the workers."""
    return sum(map(pause, range(WARM * BATCH, count(scale)))) / scale.workers


def measure(batches: Iterable[Any], scale: Scale) -> Measurement:
    """Time an epoch from its first batches, which show that all workers are there, to its end. Check the order."""
    iterator = iter(batches)
    for start in range(0, WARM * BATCH, BATCH):
        check(next(iterator), start)
    began = time.perf_counter()
    start = WARM * BATCH
    for batch in iterator:
        check(batch, start)
        start += BATCH
    seconds = time.perf_counter() - began
    if start != count(scale):
        raise AssertionError(f"the epoch ended at item {start} of {count(scale)}")
    return Measurement(ideal(scale), seconds)


def check(batch: Any, start: int) -> None:
    """A batch holds the next eight numbers."""
    found = [int(item) for item in batch]
    if found != list(range(start, start + BATCH)):
        raise AssertionError(f"the batch at {start} holds {found}")


def limit(scale: Scale) -> Measurement:
    """The ideal by arithmetic: all work, divided by the number of workers."""
    return Measurement(1.0, 1.0)


def by_hand(scale: Scale) -> Measurement:
    """Threads that take item after item from a counter and give nothing back: what sleeping and the end cost."""
    items = iter(range(WARM * BATCH, count(scale)))
    lock = threading.Lock()

    def loop() -> None:
        while True:
            with lock:
                item = next(items, None)
            if item is None:
                return
            work(item)

    threads = [threading.Thread(target=loop) for _ in range(scale.workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measurement(ideal(scale), time.perf_counter() - began)


def penstock_threads(scale: Scale) -> Measurement:
    """Penstock on threads."""
    import penstock as ps

    return _penstock(scale, ps.Threads(scale.workers))


def penstock_processes(scale: Scale) -> Measurement:
    """Penstock on processes."""
    import penstock as ps

    return _penstock(scale, ps.Processes(scale.workers))


def _penstock(scale: Scale, workers: Any) -> Measurement:
    import penstock as ps

    with ps.range(count(scale)).map(work).batch(BATCH).loader(workers=workers) as loader:
        return measure(loader, scale)


class Worked:
    """The work as a dataset for PyTorch."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return work(index)


def torch(scale: Scale) -> Measurement:
    """PyTorch's DataLoader."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(Worked(count(scale)), batch_size=BATCH, num_workers=scale.workers)  # type: ignore[arg-type]
    return measure(loader, scale)


def grain_threads(scale: Scale) -> Measurement:
    """Grain on threads, a batch per task, with its own look-ahead."""
    import grain

    return measure(_grain(scale).to_iter_dataset(grain.ReadOptions(num_threads=scale.workers)), scale)


def grain_processes(scale: Scale) -> Measurement:
    """Grain on processes, one thread of work in each: more would sleep at the same time."""
    import grain

    batches = _grain(scale).to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    iterator = iter(batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=scale.workers)))
    try:
        return measure(iterator, scale)
    finally:
        iterator.close()


def _grain(scale: Scale) -> Any:
    import grain

    return grain.MapDataset.range(count(scale)).map(work).batch(BATCH)


def nodes(scale: Scale) -> Measurement:
    """The nodes of torchdata on threads."""
    from torchdata import nodes

    mapped = nodes.ParallelMapper(
        nodes.IterableWrapper(range(count(scale))), work, num_workers=scale.workers, in_order=True, method="thread"
    )
    return measure(nodes.Loader(nodes.Batcher(mapped, BATCH)), scale)


def spdl(scale: Scale) -> Measurement:
    """SPDL's pipeline on threads, in order."""
    from spdl.pipeline import PipelineBuilder

    build: Any = PipelineBuilder()
    pipeline = (
        build.add_source(range(count(scale)))
        .pipe(work, concurrency=scale.workers, output_order="input")
        .aggregate(BATCH)
        .add_sink(8)
        .build(num_threads=scale.workers)
    )
    with pipeline.auto_stop():
        return measure(pipeline, scale)


def seqtools_threads(scale: Scale) -> Measurement:
    """SeqTools on threads."""
    return measure(_seqtools(scale, "thread"), scale)


def seqtools_processes(scale: Scale) -> Measurement:
    """SeqTools on processes."""
    return measure(_seqtools(scale, "process"), scale)


def _seqtools(scale: Scale, method: str) -> Iterator[Any]:
    import logging

    import seqtools

    logging.getLogger("seqtools").setLevel(logging.ERROR)
    batches = seqtools.batch(seqtools.smap(work, range(count(scale))), BATCH, collate_fn=list)
    return iter(seqtools.prefetch(batches, nworkers=scale.workers, method=method))


CLAIM = Claim(
    name="stragglers",
    work="""
Every item sleeps for 1 ms, but one in 40 (scattered, the same for everybody) for 80 ms; 4 workers, batches of 8, in
order, with everybody's own settings for look-ahead. Timed from the 16th batch of an epoch, when all workers are there,
to its end. The limit is arithmetic: the sum of all sleeps, divided by 4. The second column is how many times as
long it took, so less is better.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "all work divided by the number of workers"),
        System("penstock-threads", Role.CLAIM, penstock_threads, "Threads(4)"),
        System("penstock-processes", Role.CLAIM, penstock_processes, "Processes(4)"),
        System("by-hand", Role.EXTRA, by_hand, "4 threads and a counter: no batches, no order, nothing handed over"),
        System("torch", Role.PEER, torch, "DataLoader, 4 workers"),
        System("grain-threads", Role.PEER, grain_threads, "ReadOptions(num_threads=4)"),
        System("grain-processes", Role.PEER, grain_processes, "mp_prefetch, 4 workers"),
        System("torchdata-nodes", Role.PEER, nodes, "ParallelMapper(in_order=True), threads"),
        System("spdl", Role.PEER, spdl, "pipe(concurrency=4, output_order='input')"),
        System("seqtools-threads", Role.PEER, seqtools_threads, "prefetch(method='thread')"),
        System("seqtools-processes", Role.PEER, seqtools_processes, "prefetch(method='process')"),
    ),
    reach=1 / 1.08,
    unit="× ideal",
    duration=True,
    weakest=True,
    seconds=6.0,
    workers=4,
    peers=("torch", "torchdata", "grain", "spdl_core", "SeqTools"),
)
