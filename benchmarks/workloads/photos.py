"""Photographs to training images: the item's work of `images`, and the plain loop that is its limit.

Everybody calls the same two functions: `decode` (read a file, `cv2.imdecode`) and `augment` (random resized crop to
224, random flip). OpenCV's own threads are switched off, so that two workers are two.
"""

from __future__ import annotations

import importlib.util
import math
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claim import Measurement, Scale

Image = npt.NDArray[np.uint8]

REPOSITORY = Path(__file__).parents[2]
SIDE = 224
BATCH = 64
WARM = 8


class Generator(threading.local):
    """A random generator per thread and, being made on first use, per forked worker."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng()


generator = Generator()


def codec() -> Any:
    """OpenCV, in one thread."""
    import cv2

    if cv2.getNumThreads() > 1:
        cv2.setNumThreads(1)
    return cv2


def decode(path: str) -> Image:
    """Read a JPEG file: (height, width, 3) in OpenCV's order of colours."""
    cv2 = codec()
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not a picture that OpenCV can read")
    return image  # type: ignore[no-any-return]


def augment(image: Image, rng: np.random.Generator) -> Image:
    """A random part, between 8 % and all of the area, at 224 × 224, mirrored or not."""
    cv2 = codec()
    height, width = image.shape[:2]
    area = height * width * rng.uniform(0.08, 1.0)
    shape = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    wide = min(width, max(1, round(math.sqrt(area * shape))))
    high = min(height, max(1, round(math.sqrt(area / shape))))
    left = int(rng.integers(width - wide + 1))
    top = int(rng.integers(height - high + 1))
    part = cv2.resize(image[top : top + high, left : left + wide], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return cv2.flip(part, 1) if rng.random() < 0.5 else part  # type: ignore[no-any-return]


def load(path: str) -> Image:
    """Both steps, with the worker's own generator."""
    return augment(decode(path), generator.rng)


def take(batch: Any) -> float:
    """Check a batch's form; its images."""
    if tuple(batch.shape) != (BATCH, SIDE, SIDE, 3) or batch.itemsize != 1:
        raise AssertionError(f"a batch should be ({BATCH}, {SIDE}, {SIDE}, 3) of uint8, not {batch.shape}")
    return BATCH


def folder(scale: Scale) -> Path:
    """Where the photographs of a run of this size lie."""
    return REPOSITORY / ".cache" / f"photos-{count(scale)}"


def count(scale: Scale) -> int:
    """How many photographs there are."""
    return scale.of(2000, 256)


def prepare(scale: Scale) -> None:
    """Make the photographs, unless an earlier run has."""
    script = REPOSITORY / "examples" / "photos.py"
    spec = importlib.util.spec_from_file_location("photos", script)
    if spec is None or spec.loader is None or not script.exists():
        raise FileNotFoundError(f"{script} makes the photographs of this claim, and it is not there")
    module = importlib.util.module_from_spec(spec)
    sys.modules["photos"] = module
    spec.loader.exec_module(module)
    cache = folder(scale).parent
    cache.mkdir(exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    module.make(folder(scale), count(scale), progress=told)


def told(things: Iterable[int], total: int, what: str) -> Iterator[int]:
    """Say on standard error how far the photographs are."""
    for number, thing in enumerate(things):
        if number % 250 == 0:
            print(f"images: {number} of {total} {what}", file=sys.stderr, flush=True)
        yield thing


def paths(scale: Scale) -> list[str]:
    """All photographs, sorted."""
    found = sorted(str(path) for path in folder(scale).glob("**/*.jpg"))
    if len(found) < BATCH:
        raise FileNotFoundError(f"{folder(scale)} holds {len(found)} photographs; run the claim to make them")
    return found


class Shuffled:
    """The photographs in an endless sequence of positions, shuffled anew per epoch; an epoch is whole batches."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        self.size = len(paths) // BATCH * BATCH
        self.epoch = -1
        self.order: npt.NDArray[np.int64] = np.arange(0)

    def __len__(self) -> int:
        return 1000 * self.size

    def __getitem__(self, position: int) -> str:
        epoch, place = divmod(position, self.size)
        # Bound to names first: two threads may be in two epochs for a moment.
        known, order = self.epoch, self.order
        if epoch != known:
            order = np.random.default_rng(epoch).permutation(len(self.paths))
            self.order, self.epoch = order, epoch
        return self.paths[int(order[place])]


def limit(scale: Scale) -> Measurement:
    """A plain loop per process: every second batch, stacked and counted where it is made. Nothing is handed over."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(scale.workers)
    pipes = []
    for worker in range(scale.workers):
        reading, writing = context.Pipe(duplex=False)
        context.Process(target=_loop, args=(worker, scale, start, writing), daemon=True).start()
        pipes.append(reading)
    rates = [reading.recv() for reading in pipes]
    return Measurement(sum(rates), 1.0)


def _loop(worker: int, scale: Scale, start: Any, answer: Any) -> None:
    order = Shuffled(paths(scale))
    number = worker
    for _ in range(WARM // scale.workers):
        number = _batch(order, number, scale.workers)
    start.wait()
    done = 0
    began = time.perf_counter()
    while time.perf_counter() - began < scale.seconds:
        number = _batch(order, number, scale.workers)
        done += BATCH
    answer.send(done / (time.perf_counter() - began))


def _batch(order: Shuffled, number: int, step: int) -> int:
    take(np.stack([load(order[place]) for place in range(number * BATCH, (number + 1) * BATCH)]))
    return number + step
