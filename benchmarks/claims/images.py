"""Photographs from files to training batches, as fast as the CPUs can decode them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.measuring import forever, stream
from benchmarks.workloads import photos
from benchmarks.workloads.photos import BATCH, Image, Shuffled, augment, decode, load, paths, take

AHEAD = 8
"""Batches that a peer may have ready, where it wants to be told."""


def measure(batches: Iterable[Any], scale: Scale) -> Measurement:
    """Count an endless stream of batches, after a few that warm up workers and file cache."""
    return stream(batches, take, scale, photos.WARM)


def penstock_threads(scale: Scale) -> Measurement:
    """Penstock on threads."""
    import penstock as ps

    return _penstock(scale, ps.Threads(scale.workers))


def penstock_processes(scale: Scale) -> Measurement:
    """Penstock on processes."""
    import penstock as ps

    return _penstock(scale, ps.Processes(scale.workers))


def penstock_partial_threads(scale: Scale) -> Measurement:
    """Penstock on threads, with its own functions."""
    import penstock as ps

    return _penstock_images(scale, ps.Threads(scale.workers))


def penstock_partial_processes(scale: Scale) -> Measurement:
    """Penstock on processes, with its own functions."""
    import penstock as ps

    return _penstock_images(scale, ps.Processes(scale.workers))


def penstock_fast_threads(scale: Scale) -> Measurement:
    """Penstock on threads, with its own functions, and smoothing and exact colours given up."""
    import penstock as ps

    return _penstock_images(scale, ps.Threads(scale.workers), fast=True)


def penstock_fast_processes(scale: Scale) -> Measurement:
    """Penstock on processes, likewise."""
    import penstock as ps

    return _penstock_images(scale, ps.Processes(scale.workers), fast=True)


def _penstock_images(scale: Scale, workers: Any, *, fast: bool = False) -> Measurement:
    import penstock as ps
    from penstock import images

    files = ps.files(str(photos.folder(scale) / "**" / "*.jpg"))
    crop = images.RandomResizedCrop(photos.SIDE, antialias=not fast)
    part = functools.partial(images.decode, crop=crop, fast=fast)
    crops = files.seed(7).shuffle().map(part, rng=True)
    batches = crops.map(images.RandomFlip(), rng=True).batch(BATCH, last="drop")
    with batches.loader(workers=workers) as loader:
        return measure(forever(lambda: loader), scale)


def _penstock(scale: Scale, workers: Any) -> Measurement:
    import penstock as ps

    files = ps.files(str(photos.folder(scale) / "**" / "*.jpg"))
    batches = files.seed(7).shuffle().map(decode).map(augment, rng=True).batch(BATCH, last="drop")
    with batches.loader(workers=workers) as loader:
        return measure(forever(lambda: loader), scale)


class Photographs:
    """A dataset for PyTorch."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image:
        return load(self.paths[index])


def torch(scale: Scale) -> Measurement:
    """PyTorch's DataLoader, with workers that stay for the next epoch."""
    from torch.utils.data import DataLoader, default_collate

    loader: Any = DataLoader(
        Photographs(paths(scale)),  # type: ignore[arg-type]
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=scale.workers,
        persistent_workers=True,
        prefetch_factor=AHEAD // scale.workers,
        collate_fn=default_collate,
    )
    return measure((batch.numpy() for batch in forever(lambda: loader)), scale)


def seqtools_shm(scale: Scale) -> Measurement:
    """SeqTools on processes, with slots of shared memory."""
    return _seqtools(scale, method="process", shm_size=AHEAD * (BATCH * photos.SIDE**2 * 3 + 4096))


def seqtools_threads(scale: Scale) -> Measurement:
    """SeqTools on threads."""
    return _seqtools(scale, method="thread")


def _seqtools(scale: Scale, **how: Any) -> Measurement:
    import logging

    import seqtools

    logging.getLogger("seqtools").setLevel(logging.ERROR)
    images = seqtools.smap(load, Shuffled(paths(scale)))
    batches = seqtools.batch(images, BATCH, collate_fn=np.stack)
    return measure(iter(seqtools.prefetch(batches, nworkers=scale.workers, max_buffered=AHEAD, **how)), scale)


class Accessor:
    """Images by index vectors, for BatchUp."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Any) -> Image:
        return np.stack([load(self.paths[index]) for index in indices])


def batchup(scale: Scale) -> Measurement:
    """BatchUp on threads."""
    from batchup.data_source import ArrayDataSource
    from batchup.work_pool import WorkerThreadPool

    found = paths(scale)
    # It has no way to drop the last batch: an epoch of whole batches instead.
    source = ArrayDataSource([Accessor(found[: len(found) // BATCH * BATCH])])
    parallel = WorkerThreadPool(scale.workers).parallel_data_source(source, batch_buffer_size=AHEAD)
    shuffle = np.random.RandomState(7)
    batches = forever(lambda: parallel.batch_iterator(batch_size=BATCH, shuffle=shuffle))
    return measure((batch for [batch] in batches), scale)


def grain_threads(scale: Scale) -> Measurement:
    """Grain on threads."""
    import grain

    options = grain.ReadOptions(num_threads=scale.workers, prefetch_buffer_size=AHEAD)
    return measure(_grain(scale).to_iter_dataset(options), scale)


def grain_processes(scale: Scale) -> Measurement:
    """Grain on processes, one thread of work in each."""
    import grain

    batches = _grain(scale).to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    options = grain.MultiprocessingOptions(num_workers=scale.workers, per_worker_buffer_size=AHEAD // scale.workers)
    iterator = iter(batches.mp_prefetch(options))
    try:
        return measure(iterator, scale)
    finally:
        iterator.close()


def _grain(scale: Scale) -> Any:
    import grain

    files = grain.MapDataset.source(paths(scale)).seed(7).shuffle().repeat()
    return files.map(decode).random_map(augment).batch(BATCH, drop_remainder=True)


def spdl(scale: Scale) -> Measurement:
    """SPDL's pipeline on threads, an image per task."""
    from spdl.pipeline import PipelineBuilder

    order = Shuffled(paths(scale))

    def files() -> Any:
        return (order[position] for position in range(len(order)))

    pipeline: Any = (
        PipelineBuilder()
        .add_source(files())
        .pipe(load, concurrency=scale.workers, output_order="input")
        .aggregate(BATCH, drop_last=True)
        .pipe(np.stack)
        .add_sink(AHEAD)
        .build(num_threads=scale.workers)
    )
    with pipeline.auto_stop():
        return measure(pipeline, scale)


def spdl_batches(scale: Scale) -> Measurement:
    """SPDL's pipeline on threads, a batch per task."""
    from spdl.pipeline import PipelineBuilder

    order = Shuffled(paths(scale))

    def lists() -> Any:
        for start in range(0, len(order), BATCH):
            yield [order[position] for position in range(start, start + BATCH)]

    pipeline: Any = (
        PipelineBuilder()
        .add_source(lists())
        .pipe(loaded, concurrency=scale.workers, output_order="input")
        .add_sink(AHEAD)
        .build(num_threads=scale.workers)
    )
    with pipeline.auto_stop():
        return measure(pipeline, scale)


def loaded(paths: list[str]) -> Image:
    """A batch of images."""
    return np.stack([load(path) for path in paths])


CLAIM = Claim(
    name="images",
    work="""
2,000 JPEG files of about 500 × 375 (110 KB): read, decode (`cv2.imdecode`), crop a random part to 224 × 224, flip at
random, shuffle, batches of 64 as uint8 64 × 224 × 224 × 3, 2 workers, OpenCV in one thread. Epochs follow one
another; timed after 8 batches, with the files in the system's cache; start-up is not part of it, for anybody. The
limit is a plain loop in each of two processes, which makes every second batch (`np.stack`), counts it and drops it:
nothing is handed over. Penstock's figure is the better of threads and processes.

The rows `partial` do the same with `penstock.images` as its documentation writes it: `decode(path, rng=rng,
crop=RandomResizedCrop(224))`. It decodes no rows below the crop, and smooths what it shrinks, which the others do
not. The rows `fast` do not smooth either (`antialias=False`), and take libjpeg's quick DCT and colours (`fast=True`);
their pixels differ by less than 2.5 of 255 levels on average. In these files, of high quality, four fifths of the
decoding go into JPEG's entropy code, of which only the rows below the crop are saved.
""",
    systems=(
        System("limit", Role.LIMIT, photos.limit, "plain loops in 2 processes"),
        System("penstock-threads", Role.CLAIM, penstock_threads, "Threads(2)"),
        System("penstock-processes", Role.CLAIM, penstock_processes, "Processes(2)"),
        System("penstock-partial-threads", Role.EXTRA, penstock_partial_threads, "decode(crop=…), Threads(2)"),
        System("penstock-partial-processes", Role.EXTRA, penstock_partial_processes, "decode(crop=…), Processes(2)"),
        System("penstock-fast-threads", Role.EXTRA, penstock_fast_threads, "decode(crop=…, fast=True), Threads(2)"),
        System(
            "penstock-fast-processes", Role.EXTRA, penstock_fast_processes, "decode(crop=…, fast=True), Processes(2)"
        ),
        System("seqtools-shm", Role.PEER, seqtools_shm, "prefetch(method='process', shm_size=…)"),
        System("seqtools-threads", Role.PEER, seqtools_threads, "prefetch(method='thread')"),
        System("batchup", Role.PEER, batchup, "WorkerThreadPool"),
        System("grain-threads", Role.PEER, grain_threads, "ReadOptions(num_threads=2)"),
        System("grain-processes", Role.PEER, grain_processes, "mp_prefetch, 2 workers"),
        System("torch", Role.PEER, torch, "DataLoader, persistent workers"),
        System("spdl", Role.PEER, spdl, "threads, an image per task"),
        System("spdl-batches", Role.PEER, spdl_batches, "threads, a batch per task"),
    ),
    reach=1.0,
    unit="images/s",
    seconds=4.0,
    peers=("opencv-python-headless", "simplejpeg", "torch", "SeqTools", "batchup", "grain", "spdl_core"),
    prepare=photos.prepare,
)
