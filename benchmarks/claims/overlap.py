"""Training never waits, from the first batch of the first epoch to the last of the last."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System

ITEMS = 1000
BATCH = 100
EPOCHS = 5
PREPARE = 0.005
TRAIN = 0.010

AFTER = "after the first batch"


def prepare(batch: Any) -> Any:
    """What it takes to make a batch."""
    time.sleep(PREPARE)
    return batch


def train(batch: Any) -> int:
    """What a step of training takes, on an accelerator: the CPUs are free. The sum of the batch."""
    time.sleep(TRAIN)
    return int(sum(batch))


def measure(make: Callable[[], Iterable[Any]]) -> Measurement:
    """Train on the batches of all epochs, and time everything. Each number must come once in every epoch."""
    steps = EPOCHS * ITEMS // BATCH
    first = trained = 0.0
    sums = []
    began = time.perf_counter()
    for batch in make():
        stepped = time.perf_counter()
        first = first or stepped
        sums.append(train(batch))
        trained += time.perf_counter() - stepped
    ended = time.perf_counter()
    if len(sums) != steps or sum(sums) != EPOCHS * sum(range(ITEMS)):
        raise AssertionError(f"there should be {steps} batches of {EPOCHS} epochs, not {len(sums)}: {sums}")
    return Measurement(steps, ended - began, {AFTER: trained / (ended - first)})


def batches() -> list[list[int]]:
    """An epoch's batches, before they are prepared."""
    return [list(range(start, start + BATCH)) for start in range(0, ITEMS, BATCH)]


def all_batches() -> Iterator[list[int]]:
    """All epochs' batches."""
    return itertools.chain.from_iterable(batches() for _ in range(EPOCHS))


def all_epochs(epoch: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """All epochs, each of which is iterated anew."""
    return itertools.chain.from_iterable(epoch() for _ in range(EPOCHS))


# The limit, and ours --------------------------------------------------------------------------------------------------


def limit(scale: Scale) -> Measurement:
    """The training alone."""
    return measure(all_batches)


def serial(scale: Scale) -> Measurement:
    """One after the other."""
    return measure(lambda: map(prepare, all_batches()))


def by_hand(scale: Scale) -> Measurement:
    """A thread and a queue, across epochs."""

    def make() -> Iterator[Any]:
        ready: queue.Queue[Any] = queue.Queue(4)

        def fill() -> None:
            for batch in all_batches():
                ready.put(prepare(batch))
            ready.put(None)

        threading.Thread(target=fill, daemon=True).start()
        return iter(ready.get, None)

    return measure(make)


def penstock_threads(scale: Scale) -> Measurement:
    """Penstock on threads."""
    import penstock as ps

    return _penstock(ps.Threads(scale.workers))


def penstock_processes(scale: Scale) -> Measurement:
    """Penstock on processes."""
    import penstock as ps

    return _penstock(ps.Processes(scale.workers))


def _penstock(workers: Any) -> Measurement:
    import penstock as ps

    kept = []

    def make() -> Iterator[Any]:
        kept.append(ps.range(ITEMS).batch(BATCH).map(prepare).loader(workers=workers))
        return all_epochs(lambda: kept[0])

    try:
        return measure(make)
    finally:
        kept[0].close()


# Peers ----------------------------------------------------------------------------------------------------------------


def tensorpack_threads(scale: Scale) -> Measurement:
    """Tensorpack's threads, across epochs."""
    from tensorpack.dataflow import MultiThreadMapData

    return _tensorpack(lambda flow: MultiThreadMapData(flow, scale.workers, _point, buffer_size=8, strict=True))


def tensorpack_processes(scale: Scale) -> Measurement:
    """Tensorpack's processes behind ZeroMQ, across epochs."""
    from tensorpack.dataflow import MultiProcessMapDataZMQ

    return _tensorpack(lambda flow: MultiProcessMapDataZMQ(flow, scale.workers, _point, buffer_size=8, strict=True))


def _tensorpack(mapped: Callable[[Any], Any]) -> Measurement:
    from tensorpack.dataflow import DataFromList

    def make() -> Iterator[Any]:
        flow = mapped(DataFromList([[batch] for batch in all_batches()], shuffle=False))
        flow.reset_state()
        return (batch for [batch] in flow)

    return measure(make)


def _point(point: list[Any]) -> list[Any]:
    return [prepare(point[0])]


def grain_threads(scale: Scale) -> Measurement:
    """Grain on threads, across epochs."""
    import grain

    return measure(lambda: _grain().to_iter_dataset(grain.ReadOptions(num_threads=scale.workers)))


def grain_processes(scale: Scale) -> Measurement:
    """Grain on processes, across epochs."""
    import grain

    kept = []

    def make() -> Iterator[Any]:
        items = _grain().to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        kept.append(iter(items.mp_prefetch(grain.MultiprocessingOptions(num_workers=scale.workers))))
        return kept[0]  # type: ignore[no-any-return]

    try:
        return measure(make)
    finally:
        kept[0].close()


def _grain() -> Any:
    import grain

    return grain.MapDataset.range(ITEMS).batch(BATCH).map(prepare).repeat(EPOCHS)


def seqtools_threads(scale: Scale) -> Measurement:
    """SeqTools on threads, across epochs."""
    return _seqtools(scale, "thread")


def seqtools_processes(scale: Scale) -> Measurement:
    """SeqTools on processes, across epochs."""
    return _seqtools(scale, "process")


def _seqtools(scale: Scale, method: str) -> Measurement:
    import logging

    import seqtools

    logging.getLogger("seqtools").setLevel(logging.ERROR)

    def make() -> Iterator[Any]:
        prepared = seqtools.smap(prepare, list(all_batches()))
        return iter(seqtools.prefetch(prepared, nworkers=scale.workers, method=method, max_buffered=8))

    return measure(make)


class Prepared:
    """The batches as a dataset for PyTorch."""

    def __len__(self) -> int:
        return ITEMS // BATCH

    def __getitem__(self, index: int) -> Any:
        return prepare(batches()[index])


def unchanged(batch: list[int]) -> list[int]:
    """The batch itself."""
    return batch


def torch(scale: Scale) -> Measurement:
    """PyTorch's DataLoader."""
    return _torch(scale)


def torch_persistent(scale: Scale) -> Measurement:
    """PyTorch's DataLoader with workers that stay for the next epoch."""
    return _torch(scale, persistent_workers=True)


def _torch(scale: Scale, **options: Any) -> Measurement:
    from torch.utils.data import DataLoader

    def make() -> Iterator[Any]:
        loader: Any = DataLoader(
            Prepared(),  # type: ignore[arg-type]
            batch_size=None,
            num_workers=scale.workers,
            collate_fn=unchanged,
            **options,
        )
        return all_epochs(lambda: loader)

    return measure(make)


def spdl(scale: Scale) -> Measurement:
    """SPDL, a pipeline per epoch, as its documents have it."""
    return measure(lambda: all_epochs(lambda: _spdl(batches(), scale)))


def spdl_across(scale: Scale) -> Measurement:
    """SPDL, one pipeline with a source that goes through all epochs."""
    return measure(lambda: _spdl(all_batches(), scale))


def _spdl(source: Iterable[Any], scale: Scale) -> Iterator[Any]:
    from spdl.pipeline import PipelineBuilder

    build: Any = PipelineBuilder().add_source(source)
    build = build.pipe(prepare, concurrency=scale.workers, output_order="input").add_sink(8)
    pipeline = build.build(num_threads=scale.workers)
    with pipeline.auto_stop():
        yield from pipeline


CLAIM = Claim(
    name="overlap",
    work="""
1,000 examples in batches of 100; to prepare a batch takes 5 ms and to train on it 10 ms, both sleeps; 5 epochs, 2
workers. The time from making the loader to the end of the last epoch counts, so starting workers does; "after the first
batch" is the share of the time since then that was training. The limit is the training alone.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "the training alone"),
        System("penstock-threads", Role.CLAIM, penstock_threads, "Threads(2)", reach=0.98),
        System("penstock-processes", Role.CLAIM, penstock_processes, "Processes(2)", reach=0.95),
        System("serial", Role.EXTRA, serial, "one after the other"),
        System("by-hand", Role.EXTRA, by_hand, "a thread and a queue, across epochs"),
        System("tensorpack-threads", Role.PEER, tensorpack_threads, "MultiThreadMapData, across epochs"),
        System("tensorpack-processes", Role.PEER, tensorpack_processes, "MultiProcessMapDataZMQ, across epochs"),
        System("grain-threads", Role.PEER, grain_threads, "ReadOptions(num_threads=2), across epochs"),
        System("grain-processes", Role.PEER, grain_processes, "mp_prefetch, across epochs"),
        System("seqtools-threads", Role.PEER, seqtools_threads, "prefetch(method='thread'), across epochs"),
        System("seqtools-processes", Role.PEER, seqtools_processes, "prefetch(method='process'), across epochs"),
        System("torch", Role.PEER, torch, "DataLoader"),
        System("torch-persistent", Role.PEER, torch_persistent, "DataLoader, persistent workers"),
        System("spdl", Role.PEER, spdl, "a pipeline per epoch"),
        System("spdl-across", Role.PEER, spdl_across, "one pipeline across epochs"),
    ),
    reach=0.95,
    unit="steps/s",
    figures=(Figure(AFTER, least=0.99),),
    weakest=True,
    seconds=None,
    peers=("tensorpack", "pyzmq", "grain", "SeqTools", "torch", "spdl_core"),
)
