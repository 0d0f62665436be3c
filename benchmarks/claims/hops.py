"""Small items cross process boundaries in bulk."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.measuring import stream

BLOCK = 256
ENDLESS = 10**9
WARM = 48
Make = Callable[[int], Any]


def integer(number: int) -> int:
    """The smallest item."""
    return number


def record(number: int) -> dict[str, Any]:
    """What a row of a table is like."""
    return {"i": number, "x": number * 0.5}


def array(number: int) -> Any:
    """4 KB of numbers."""
    return np.full(1024, number, np.float32)


def key(item: Any) -> int:
    """The number that an item was made of."""
    if isinstance(item, dict):
        return int(item["i"])
    return int(item) if np.ndim(item) == 0 else int(item[0])


def measure(batches: Iterable[Any], scale: Scale, *, ordered: bool = True) -> Measurement:
    """Count a stream of batches, lists or collated, once it is under way."""
    numbers = itertools.count(0, BLOCK)

    def take(batch: Any) -> float:
        columns = isinstance(batch, dict)
        size = len(batch["x"]) if columns else len(batch)
        first, last = (batch["i"][0], batch["i"][-1]) if columns else (key(batch[0]), key(batch[-1]))
        expected = next(numbers)
        if size != BLOCK or (ordered and (first, last) != (expected, expected + BLOCK - 1)):
            raise AssertionError(f"the batch at {expected} has {size} items, from {first} to {last}")
        return BLOCK

    iterator = iter(batches)
    # By time as well as by count: some learn how much to send at once.
    end = time.perf_counter() + scale.seconds / 4
    for number in itertools.count():
        take(next(iterator))
        if number >= scale.of(WARM, 4) and time.perf_counter() > end:
            break
    return stream(iterator, take, scale, 0)


def unbatched(items: Iterable[Any], scale: Scale, *, ordered: bool = True) -> Measurement:
    """Count a stream of single items. The clock is read once for 256 of them."""
    iterator = iter(items)
    return measure(iter(lambda: list(itertools.islice(iterator, BLOCK)), []), scale, ordered=ordered)


# The limit, and ours --------------------------------------------------------------------------------------------------


def limit(scale: Scale) -> Measurement:
    """Dicts through bare pipes."""
    return _pipes(record, scale)


def pipes_integers(scale: Scale) -> Measurement:
    """Integers through bare pipes."""
    return _pipes(integer, scale)


def pipes_arrays(scale: Scale) -> Measurement:
    """Arrays through bare pipes."""
    return _pipes(array, scale)


def _pipes(make: Make, scale: Scale) -> Measurement:
    """Each process writes every second list of 256 items, pickled, into a pipe of its own; they are read in turn."""
    context = multiprocessing.get_context("fork")
    pipes = []
    for worker in range(scale.workers):
        reading, writing = context.Pipe(duplex=False)
        context.Process(target=_write, args=(make, worker, scale.workers, writing), daemon=True).start()
        writing.close()
        pipes.append(reading)
    return measure((pickle.loads(pipe.recv_bytes()) for pipe in itertools.cycle(pipes)), scale)


def _write(make: Make, worker: int, workers: int, pipe: Any) -> None:
    for start in range(worker * BLOCK, ENDLESS, workers * BLOCK):
        pipe.send_bytes(pickle.dumps([make(number) for number in range(start, start + BLOCK)], 5))


def penstock_lists(scale: Scale) -> Measurement:
    """Dicts in batches as lists."""
    return _batched(record, scale, collate=list)


def penstock_unbatched(scale: Scale) -> Measurement:
    """Dicts, one by one."""
    return _unbatched(record, scale)


def penstock_collated(scale: Scale) -> Measurement:
    """Dicts, collated to a dict of arrays."""
    return _batched(record, scale)


def integer_lists(scale: Scale) -> Measurement:
    """Integers in batches as lists."""
    return _batched(integer, scale, collate=list)


def integers_unbatched(scale: Scale) -> Measurement:
    """Integers, one by one."""
    return _unbatched(integer, scale)


def integers_collated(scale: Scale) -> Measurement:
    """Integers, collated to arrays."""
    return _batched(integer, scale)


def array_lists(scale: Scale) -> Measurement:
    """Arrays in batches as lists."""
    return _batched(array, scale, collate=list)


def arrays_unbatched(scale: Scale) -> Measurement:
    """Arrays, one by one."""
    return _unbatched(array, scale)


def arrays_collated(scale: Scale) -> Measurement:
    """Arrays, collated to larger ones."""
    return _batched(array, scale)


def _batched(make: Make, scale: Scale, **collate: Any) -> Measurement:
    import penstock as ps

    batches = ps.range(ENDLESS).map(make).batch(BLOCK, **collate)
    with batches.loader(workers=ps.Processes(scale.workers)) as loader:
        return measure(loader, scale)


def _unbatched(make: Make, scale: Scale) -> Measurement:
    import penstock as ps

    with ps.range(ENDLESS).map(make).loader(workers=ps.Processes(scale.workers)) as loader:
        return unbatched(loader, scale)


# Peers ----------------------------------------------------------------------------------------------------------------


class Records:
    """The dicts as a dataset for PyTorch."""

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> dict[str, Any]:
        return record(index)


def unchanged(batch: list[Any]) -> list[Any]:
    """The batch itself."""
    return batch


def torch_lists(scale: Scale) -> Measurement:
    """A DataLoader that leaves batches as lists."""
    return measure(_torch(scale, batch_size=BLOCK, collate_fn=unchanged), scale)


def torch_collated(scale: Scale) -> Measurement:
    """A DataLoader with its own collate: a dict of tensors."""
    return measure(_torch(scale, batch_size=BLOCK), scale)


def torch_unbatched(scale: Scale) -> Measurement:
    """A DataLoader that gives single items."""
    return unbatched(_torch(scale, batch_size=None, collate_fn=unchanged), scale)


def _torch(scale: Scale, **options: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(Records(), num_workers=scale.workers, **options)  # type: ignore[arg-type]


def seqtools_lists(scale: Scale) -> Measurement:
    """SeqTools, with batches as lists."""
    import seqtools

    return measure(_seqtools(seqtools.batch(_records(), BLOCK, collate_fn=list), scale), scale)


def seqtools_unbatched(scale: Scale) -> Measurement:
    """SeqTools, item by item."""
    return unbatched(_seqtools(_records(), scale), scale)


def _records() -> Any:
    import seqtools

    return seqtools.smap(record, range(ENDLESS))


def _seqtools(sequence: Any, scale: Scale) -> Iterator[Any]:
    import logging

    import seqtools

    logging.getLogger("seqtools").setLevel(logging.ERROR)
    return iter(seqtools.prefetch(sequence, nworkers=scale.workers, method="process", max_buffered=64))


def grain_lists(scale: Scale) -> Measurement:
    """Grain's processes, with batches as lists."""
    import grain

    return _grain(grain.MapDataset.range(ENDLESS).map(record).batch(BLOCK, batch_fn=list), scale, measure)


def grain_unbatched(scale: Scale) -> Measurement:
    """Grain's processes, item by item."""
    import grain

    return _grain(grain.MapDataset.range(ENDLESS).map(record), scale, unbatched)


def _grain(dataset: Any, scale: Scale, count: Callable[..., Measurement]) -> Measurement:
    import grain

    items = dataset.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    options = grain.MultiprocessingOptions(num_workers=scale.workers, per_worker_buffer_size=32)
    iterator = iter(items.mp_prefetch(options))
    try:
        return count(iterator, scale)
    finally:
        iterator.close()


def tensorpack(scale: Scale) -> Measurement:
    """Independent processes behind one ZeroMQ socket: each makes every item, and their order is left to chance."""
    from tensorpack.dataflow import DataFlow, MultiProcessRunnerZMQ

    class Flow(DataFlow):  # type: ignore[misc]
        def __iter__(self) -> Iterator[list[Any]]:
            return ([record(number)] for number in range(ENDLESS))

        def __len__(self) -> int:
            return ENDLESS

    flow = MultiProcessRunnerZMQ(Flow(), num_proc=scale.workers, hwm=256)
    flow.reset_state()
    return unbatched((item for [item] in flow), scale, ordered=False)


def spdl(scale: Scale) -> Measurement:
    """One subprocess per worker; the consumer takes from them in turn."""
    from spdl.pipeline import iterate_in_subprocess

    workers = [
        iter(iterate_in_subprocess(EveryNth(worker, scale.workers), buffer_size=256)) for worker in range(scale.workers)
    ]
    return unbatched((next(worker) for worker in itertools.cycle(workers)), scale)


class EveryNth:
    """Makes the dicts of one worker of several: `first`, `first + step` and so on."""

    def __init__(self, first: int, step: int) -> None:
        self.first, self.step = first, step

    def __call__(self) -> Iterable[dict[str, Any]]:
        return map(record, range(self.first, ENDLESS, self.step))


CLAIM = Claim(
    name="hops",
    work="""
A function makes trivial items in 2 processes, which reach the consumer in order: dicts `{"i": int, "x": float}`, and
beside them integers and arrays of 4 KB. Batches are of 256 items, as lists or collated; unbatched items are taken one
by one. Timed when the stream has run for a quarter of the stretch and 48 batches. The limit is two forked processes,
each of which pickles every second list of 256 dicts into a pipe of its own, and a consumer that reads these in
turn. Penstock's figure is the lower of lists and single dicts.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "dicts, pickled in lists through bare pipes"),
        System("penstock-lists", Role.CLAIM, penstock_lists, "dicts, collate=list"),
        System("penstock-unbatched", Role.CLAIM, penstock_unbatched, "dicts"),
        System(
            "penstock-collated", Role.EXTRA, penstock_collated, "dicts to arrays", against="penstock-lists", reach=1.0
        ),
        System("pipes-integers", Role.EXTRA, pipes_integers, "the limit with integers"),
        System("integer-lists", Role.EXTRA, integer_lists, "penstock", against="pipes-integers"),
        System("integers-unbatched", Role.EXTRA, integers_unbatched, "penstock", against="pipes-integers"),
        System("integers-collated", Role.EXTRA, integers_collated, "penstock", against="pipes-integers"),
        System("pipes-arrays", Role.EXTRA, pipes_arrays, "the limit with arrays of 4 KB"),
        System("array-lists", Role.EXTRA, array_lists, "penstock", against="pipes-arrays"),
        System("arrays-unbatched", Role.EXTRA, arrays_unbatched, "penstock", against="pipes-arrays"),
        System("arrays-collated", Role.EXTRA, arrays_collated, "penstock", against="pipes-arrays"),
        System("torch-lists", Role.PEER, torch_lists, "DataLoader, no collate"),
        System("torch-collated", Role.PEER, torch_collated, "DataLoader"),
        System("torch-unbatched", Role.PEER, torch_unbatched, "DataLoader(batch_size=None)"),
        System("seqtools-lists", Role.PEER, seqtools_lists, "batch, prefetch(method='process')"),
        System("seqtools-unbatched", Role.PEER, seqtools_unbatched, "prefetch(method='process')"),
        System("grain-lists", Role.PEER, grain_lists, "batch(batch_fn=list), mp_prefetch"),
        System("grain-unbatched", Role.PEER, grain_unbatched, "mp_prefetch"),
        System("tensorpack", Role.PEER, tensorpack, "MultiProcessRunnerZMQ, unbatched; unordered, with repetitions"),
        System("spdl", Role.PEER, spdl, "iterate_in_subprocess × 2, unbatched"),
    ),
    reach=0.90,
    unit="items/s",
    weakest=True,
    seconds=2.0,
    peers=("torch", "SeqTools", "grain", "tensorpack", "pyzmq", "spdl_core"),
)
