"""BatchUp's own example, image files in threads and in processes, and batches of 1 MB: on BatchUp, and on Penstock."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.measuring import stream
from benchmarks.workloads import photos

THEIRS, OURS = "batchup", "penstock.compat.batchup"
THREADS, PROCESSES = "WorkerThreadPool", "WorkerProcessPool"
AHEAD = 32  # the document's
MEGABYTE = (64, 64, 64)  # bytes of float32 in a batch, by samples and two axes


class Photographs:
    """Image files where an array would have rows, as in BatchUp's document."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Any) -> list[Any]:
        return [photos.decode(self.paths[index]) for index in indices]


def augment_batch(images: list[Any], labels: Any) -> tuple[Any, Any]:
    """Cut a random part of every image, at 224 × 224."""
    return np.stack([photos.augment(image, photos.generator.rng) for image in images]), labels


def images(library: str, pool: str, scale: Scale) -> Measurement:
    """The document's program over image files."""
    data_source = importlib.import_module(f"{library}.data_source")
    paths = photos.paths(scale)
    data = [Photographs(paths), np.arange(len(paths)) % 2]
    source = data_source.ArrayDataSource(data, repeats=-1).map(augment_batch)

    def take(batch: Any) -> float:
        if len(batch[0]) != len(batch[1]):
            raise AssertionError("images and labels differ in number")
        return photos.take(batch[0])

    return measure(library, pool, source, take, scale, photos.WARM)


def arrays(library: str, pool: str, scale: Scale) -> Measurement:
    """Rows of an array in memory, in batches of 1 MB."""
    data_source = importlib.import_module(f"{library}.data_source")
    data = np.repeat(np.arange(1024, dtype=np.float32), MEGABYTE[1] * MEGABYTE[2]).reshape(-1, *MEGABYTE[1:])
    source = data_source.ArrayDataSource([data, np.arange(1024)], repeats=-1)

    def take(batch: Any) -> float:
        x, y = batch
        if x.shape != MEGABYTE or (x[-1, -1, -1], x[0, 0, 0]) != (y[-1], y[0]):
            raise AssertionError("another batch than the one that was drawn")
        return 1.0

    return measure(library, pool, source, take, scale, 2 * AHEAD)


def measure(library: str, pool: str, source: Any, take: Any, scale: Scale, warm: int) -> Measurement:
    """Count the batches of a pool."""
    workers = getattr(importlib.import_module(f"{library}.work_pool"), pool)(processes=scale.workers)
    batches = workers.parallel_data_source(source, batch_buffer_size=AHEAD)
    return stream(batches.batch_iterator(64, shuffle=np.random.RandomState(12345)), take, scale, warm)


def row(name: str, work: Any, pool: str, reach: float) -> tuple[System, System]:
    """Return theirs and ours."""
    return (
        System(f"theirs-{name}", Role.PEER, partial(work, THEIRS, pool)),
        System(f"ours-{name}", Role.EXTRA, partial(work, OURS, pool), against=f"theirs-{name}", reach=reach),
    )


CLAIM = Claim(
    name="compat_batchup",
    work="""
The same program on BatchUp and on Penstock, with another import: batches of 64 in a seeded random order, 32 of them
ahead, from 2 threads or processes. 1 MB: rows of 16 KB of an array in memory; the limit is BatchUp's process pool.
Images: the document's example over the photographs of `images`, read, cut and stacked; there almost all time is
OpenCV's. Figures are batches of 1 MB, or images, a second.
""",
    systems=(
        System("theirs-1mb", Role.LIMIT, partial(arrays, THEIRS, PROCESSES), "processes"),
        System("ours-1mb", Role.CLAIM, partial(arrays, OURS, PROCESSES), "processes"),
        *row("1mb-threads", arrays, THREADS, 1.0),
        *row("images-threads", images, THREADS, 1.0),
        *row("images-processes", images, PROCESSES, 1.0),
    ),
    reach=5.0,
    unit="batches/s",
    peers=("BatchUp", "joblib"),
    prepare=photos.prepare,
)
