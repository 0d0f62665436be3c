"""SeqTools' own example, and 1 MB batches from its processes: on SeqTools, and unchanged on Penstock."""

from __future__ import annotations

import importlib
import itertools
import logging
import time
from functools import partial
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System

THEIRS, OURS = "seqtools", "penstock.compat.seqtools"
FILES = [f"file{number}" for number in range(1, 11)]
FLOATS = 1 << 18  # in a batch of 1 MB
AHEAD = 32


def load(some_file: str, *, seconds: float) -> list[int]:
    """Wait as for a disk, and return a file's samples."""
    time.sleep(seconds)
    return list(range(10) if some_file == "file10" else range(200))


def preprocess(x: int, *, seconds: float) -> int:
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return x


def minibatches(module: str, method: str | None, scale: Scale) -> Measurement:
    """The document's program, from the first line to the last batch; a tenth of its times in a quick run."""
    st = importlib.import_module(module)
    wait, work = scale.of((0.5, 0.005), (0.05, 0.0005))
    began = time.perf_counter()
    loaded = st.add_cache(st.smap(partial(load, seconds=wait), FILES), 2)
    samples = st.smap(partial(preprocess, seconds=work), st.unbatch(loaded, 200, 10))
    batches = st.batch(samples, 64, collate_fn=list)
    if method:
        batches = st.prefetch(batches, nworkers=scale.workers, method=method, max_buffered=100)
    count = sum(len(batch) for batch in batches)
    took = time.perf_counter() - began
    if count != 1810:
        raise AssertionError(f"{count} samples instead of 1810")
    return Measurement(count, took)


def batch(number: int) -> Any:
    """1 MB of numbers."""
    return np.full(FLOATS, number, np.float32)


def arrays(module: str, method: str, shm: bool, scale: Scale) -> Measurement:
    """Batches of 1 MB, counted once the workers run."""
    st = importlib.import_module(module)
    logging.getLogger("seqtools").setLevel(logging.CRITICAL)  # it would say for each batch that memory is short
    options = {"shm_size": AHEAD * ((1 << 20) + 4096)} if shm else {}
    sequence = st.smap(batch, range(10**6))
    ahead = iter(st.prefetch(sequence, nworkers=scale.workers, method=method, max_buffered=AHEAD, **options))
    for _ in range(AHEAD):
        next(ahead)
    count, began = 0, time.perf_counter()
    for number in itertools.count(AHEAD):
        if next(ahead)[-1] != number:
            raise AssertionError(f"another batch than number {number}")
        count += 1
        took = time.perf_counter() - began
        if took > scale.seconds:
            break
    return Measurement(count, took)


def row(name: str, role: Role, module: str, method: str | None, **options: Any) -> System:
    """A row that runs the document's program."""
    return System(name, role, partial(minibatches, module, method), f"the document, {method or 'in line'}", **options)


CLAIM = Claim(
    name="compat_seqtools",
    work="""
The same program on SeqTools and on Penstock, with another import. Batches of 1 MB (an array of 262,144 float32, filled)
from 2 processes, in order, counted once 32 have come; the limit is SeqTools' processes as its document uses them, and
beside it those with `shm_size`. The document's own example, timed from its first line to its last batch: ten files
that take 0.5 s each to load, kept in a cache of two, 1,810 samples that keep the processor busy for 5 ms each, batches
of 64; in line, with 2 threads and with 2 processes. Figures are batches, or samples of the document, a second.
All of the document's time goes into its waits and its work; of processes, the start, which is no fork here, is part of
it. There SeqTools loads nearly every file in both processes; here one loads it, and the other gets it from there.
""",
    systems=(
        System("theirs-1mb", Role.LIMIT, partial(arrays, THEIRS, "process", False), "processes"),
        System("ours-1mb", Role.CLAIM, partial(arrays, OURS, "process", False), "processes"),
        System("theirs-1mb-shm", Role.PEER, partial(arrays, THEIRS, "process", True), "processes, shm_size"),
        System("ours-1mb-shm", Role.EXTRA, partial(arrays, OURS, "process", True), against="theirs-1mb-shm", reach=1.0),
        System("theirs-1mb-threads", Role.PEER, partial(arrays, THEIRS, "thread", False), "threads"),
        System(
            "ours-1mb-threads",
            Role.EXTRA,
            partial(arrays, OURS, "thread", False),
            against="theirs-1mb-threads",
            reach=1.0,
        ),
        row("theirs-inline", Role.PEER, THEIRS, None),
        row("ours-inline", Role.EXTRA, OURS, None, against="theirs-inline", reach=0.97),
        row("theirs-threads", Role.PEER, THEIRS, "thread"),
        row("ours-threads", Role.EXTRA, OURS, "thread", against="theirs-threads", reach=1.0),
        row("theirs-processes", Role.PEER, THEIRS, "process"),
        row("ours-processes", Role.EXTRA, OURS, "process", against="theirs-processes", reach=1.0),
    ),
    reach=5.0,
    unit="batches/s",
    peers=("SeqTools",),
)
