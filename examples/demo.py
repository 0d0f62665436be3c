"""Penstock in two minutes: photographs, read by one loop, by threads and by processes, and disturbed on the way.

    python examples/demo.py

It makes a folder of 2,000 JPEG files, reads them into shuffled and augmented batches, and then

1. says how fast that went, each time beside a plain loop that does the same work without any framework;
2. shows that every reading delivered the same bytes;
3. stops a reading in the middle, and lets a new process with another number of workers go on from there;
4. kills a worker with SIGKILL in the middle, and shows that nothing is missing;
5. draws one of the batches.

It ends with an error if any of this should not be true.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from photos import Image, make, total_bytes
from tqdm import tqdm

import penstock as ps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection

SEED = 7
BATCH = 64
SIDE = 224


# The pipeline ---------------------------------------------------------------------------------------------------------


def pipeline(folder: Path) -> ps.Sequence[Image]:
    return (
        ps.files(f"{folder}/*/*.jpg")
        .seed(SEED)
        .shuffle()
        .map(decode)
        .map(augment, rng=True)
        .batch(BATCH, last="drop")
    )  # fmt: skip


def decode(path: str) -> Image:
    """The photograph in a JPEG file, (height, width, 3) in the order red, green, blue."""
    # One thread per call: where there are several workers they share the cores already, and a lone plain loop that
    # secretly used two cores would be no fair peer. It is said here, not at the top of the file, because a worker
    # process is sent the functions that it needs and never runs the file.
    cv2.setNumThreads(1)
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not an image that OpenCV can read")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def augment(image: Image, *, rng: np.random.Generator) -> Image:
    """A random part of the image, resized to 224 × 224, and its mirror image every other time."""
    top, left, height, width = random_part(image.shape[0], image.shape[1], rng)
    part = cv2.resize(image[top : top + height, left : left + width], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.flip(part, 1) if rng.random() < 0.5 else part, np.uint8)


def random_part(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of 8 to 100 % of the area, its shape between 3:4 and 4:3."""
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if w <= width and h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


# How fast, and beside what --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """Two epochs that somebody read: what came, and when."""

    who: str
    prints: list[str]
    """The fingerprint of every batch."""
    times: list[float]
    """Seconds after the beginning at which each batch came."""
    peer: str = ""
    """The plain loop to compare it with."""

    @property
    def speed(self) -> float:
        """Images per second in the second epoch; starting up is over by then."""
        batches = len(self.times) // 2
        return batches * BATCH / (self.times[-1] - self.times[-1 - batches])


def compare(photos: ps.Sequence[Image], folder: Path, workers: int) -> tuple[list[str], list[Reading]]:
    """Read the photographs in every way, twice; return the fingerprints, which are all the same, and the readings."""
    paths = sorted(str(path) for path in folder.glob("*/*.jpg"))
    for path in paths:
        Path(path).read_bytes()  # from now on, everybody finds them in memory
    # Everybody has two turns and the faster one counts: other programs disturb one turn more often than both.
    readings = [reading for _ in range(2) for reading in read_in_every_way(photos, paths, workers)]
    prints = [reading.prints for reading in readings if reading.peer]
    prove(
        f"two epochs, {len(prints[0])} batches: the same bytes in line, on {counted(workers, 'thread')} "
        f"and on {counted(workers, 'process')}",
        holds=all(other == prints[0] for other in prints),
    )
    return prints[0], readings


def read_in_every_way(photos: ps.Sequence[Image], paths: list[str], workers: int) -> list[Reading]:
    alone, together = f"plain loop, {counted(1, 'process')}", f"plain loop, {counted(workers, 'process')}"
    return [
        read_plainly(paths, 1, alone),
        read(photos, ps.Inline(), "Penstock, in line", alone),
        read_plainly(paths, workers, together),
        read(photos, ps.Threads(workers), f"Penstock, {counted(workers, 'thread')}", together),
        read(photos, ps.Processes(workers), f"Penstock, {counted(workers, 'process')}", together),
    ]


def read(photos: ps.Sequence[Image], where: ps.Inline | ps.Threads | ps.Processes, who: str, peer: str) -> Reading:
    prints, times, began = [], [], time.perf_counter()
    with photos.loader(workers=where) as loader:
        for batch in progress(chain(loader, loader), 2 * len(loader), who):  # each use of it is an epoch
            prints.append(fingerprint(batch))
            times.append(time.perf_counter() - began)
    return Reading(who, prints, times, peer)


def fingerprint(batch: Image) -> str:
    """What tells whether two batches are the same, to the last bit."""
    return hashlib.blake2b(np.ascontiguousarray(batch).data, digest_size=8).hexdigest()


def read_plainly(paths: list[str], shares: int, who: str) -> Reading:
    """A plain loop: `shares` processes, each of which makes its part of the batches and keeps them.

    They hand over nothing but fingerprints, so this is what the machine can do at best.
    """
    prints, times, total = [], [], 2 * (len(paths) // BATCH)
    with ExitStack() as stack:
        pipes = [stack.enter_context(start_plainly(paths, share, shares)) for share in range(shares)]
        began = time.perf_counter()
        for number in progress(range(total), total, who):
            prints.append(pipes[number % shares].recv())
            times.append(time.perf_counter() - began)
    return Reading(who, prints, times)


def start_plainly(paths: list[str], share: int, shares: int) -> Connection:
    """Start the process that makes one share, and return the pipe to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=make_plainly, args=(paths, share, shares, theirs), daemon=True).start()
    theirs.close()  # so that the death of the process ends the wait for it
    return ours


def make_plainly(paths: list[str], share: int, shares: int, pipe: Connection) -> None:
    """Make every `shares`-th batch with nothing but a loop: the same functions on the same number of images."""
    batches = len(paths) // BATCH
    orders = [np.random.default_rng((SEED, epoch)).permutation(len(paths)) for epoch in range(2)]
    for number in range(share, 2 * batches, shares):
        epoch, start = number // batches, number % batches * BATCH
        indices = orders[epoch][start : start + BATCH]
        images = [augment(decode(paths[i]), rng=np.random.default_rng((SEED, epoch, i))) for i in indices]
        pipe.send(fingerprint(np.stack(images)))


# Disturbed on the way -------------------------------------------------------------------------------------------------


def stop_and_resume(photos: ps.Sequence[Image], reference: list[str], chosen: argparse.Namespace) -> None:
    """Stop in the middle, write the position to a file, and let another process go on with one more worker."""
    taken: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "position.json")
        with photos.loader(workers=ps.Processes(chosen.workers)) as loader:
            for batch in progress(loader, len(loader), "stopped in the middle"):
                taken.append(fingerprint(batch))
                if len(taken) == len(loader) // 2:
                    file.write_text(json.dumps(loader.state_dict()))
                    break
        more = chosen.workers + 1
        rest = in_new_process("--folder", str(chosen.folder), "--workers", str(more), "--resume", str(file))
        prove(
            f"stopped after {len(taken)} batches, resumed in a new process with {counted(more, 'worker')}: "
            f"the same bytes (state: {file.stat().st_size} B)",
            holds=taken + rest == reference[: len(photos)],
        )


def in_new_process(*arguments: str) -> list[str]:
    """Run this file once more, with other arguments, and return the fingerprints that it prints."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def resume(photos: ps.Sequence[Image], workers: int, file: Path) -> None:
    """The new process: load the position, read the rest of the epoch, print the fingerprint of every batch."""
    with photos.loader(workers=ps.Processes(workers)) as loader:
        loader.load_state_dict(json.loads(file.read_text()))
        for batch in progress(loader, None, "resumed in a new process"):
            print(fingerprint(batch))


def kill_a_worker(photos: ps.Sequence[Image], reference: list[str], workers: int) -> str:
    """Send SIGKILL to a worker, as a machine short of memory would, read on, and return the loader's report."""
    prints: list[str] = []
    with photos.loader(workers=ps.Processes(workers)) as loader:
        for batch in progress(loader, len(loader), "one worker killed on the way"):
            prints.append(fingerprint(batch))
            if len(prints) == 1 + len(photos) // 8:
                when, victim = len(prints), next(worker.pid for worker in loader.workers if worker.pid)
                os.kill(victim, signal.SIGKILL)
        report = loader.report()
    prove(
        f"worker {victim} killed after batch {when}: all {len(prints)} batches, the same bytes, one worker replaced",
        holds=prints == reference[: len(photos)] and report.replaced == 1,
    )
    return str(report)


def prove(claim: str, *, holds: bool) -> None:
    """Print the claim if it holds, and leave with an error if it does not."""
    if not holds:
        raise SystemExit(f"demo.py: this should be true and is not: {claim}")
    print(f"  true: {claim}", flush=True)


# What one sees --------------------------------------------------------------------------------------------------------

T = TypeVar("T")


def progress(things: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """A bar on a terminal; elsewhere, as in a log file, one line when all is done."""
    seen, began, terminal = 0, time.perf_counter(), sys.stderr.isatty()
    look = "  {desc:<36} {bar:24} {n_fmt:>5}/{total_fmt}  {elapsed}"
    try:
        with tqdm(desc=what, total=total, disable=not terminal, bar_format=look) as bar:
            for thing in things:
                seen += 1
                bar.update()
                yield thing
    finally:
        if not terminal:
            print(f"  {what:<36} {seen:>5} in {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)


def counted(number: int, thing: str) -> str:
    """For example "1 process", "2 processes"."""
    plural = thing + ("es" if thing.endswith("s") else "s")
    return f"{number} {thing if number == 1 else plural}"


def table(readings: list[Reading], jpeg_bytes: float) -> str:
    """The speeds, each beside that of the plain loop on as many processes."""
    best: dict[str, Reading] = {}
    for reading in readings:
        best[reading.who] = max(reading, best.get(reading.who, reading), key=lambda one: one.speed)
    lines = [f"  {'':<26}{'images/s':>9}{'JPEG MB/s':>11}{'batch MB/s':>12}{'of plain':>10}{'1st batch':>11}"]
    for who, reading in best.items():
        read, made = reading.speed * jpeg_bytes / 1e6, reading.speed * SIDE * SIDE * 3 / 1e6
        line = f"  {who:<26}{reading.speed:>9,.0f}{read:>11,.0f}{made:>12,.0f}"
        if reading.peer:
            line += f"{reading.speed / best[reading.peer].speed:>10.0%}{reading.times[0]:>9.2f} s"
        lines.append(line)
    return "\n".join(lines)


def draw(batch: Image, title: str, file: Path) -> None:
    """Write a picture of a batch: its images in rows of eight under a line of text."""
    tile, gap, head, columns = 120, 6, 52, 8
    step, rows = tile + gap, -(-len(batch) // columns)
    canvas = np.full((head + rows * step, columns * step + gap, 3), 250, np.uint8)
    cv2.putText(canvas, title, (gap + 2, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 1, cv2.LINE_AA)
    for number, image in enumerate(batch):
        y, x = head + number // columns * step, gap + number % columns * step
        canvas[y : y + tile, x : x + tile] = cv2.resize(image, (tile, tile), interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(file), cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)):
        raise SystemExit(f"demo.py: could not write {file}")


# The demonstration ----------------------------------------------------------------------------------------------------


def main() -> None:
    chosen = arguments()
    if chosen.resume:
        resume(pipeline(chosen.folder), chosen.workers, chosen.resume)
        return
    make(chosen.folder, chosen.count, progress)
    jpeg_bytes = (total_bytes(chosen.folder, chosen.count) or 0) / chosen.count
    photos = pipeline(chosen.folder)
    print(f"{chosen.folder}: {chosen.count:,} photographs of {jpeg_bytes / 1e3:.0f} KB on average; see NOTICE.txt")
    print(f"\n{photos}\n", flush=True)

    reference, readings = compare(photos, chosen.folder, chosen.workers)
    stop_and_resume(photos, reference, chosen)
    report = kill_a_worker(photos, reference, chosen.workers)
    batch = photos[0]  # computed here and now
    prove("photos[0], computed alone, is the first batch of them all", holds=fingerprint(batch) == reference[0])

    print(f"\nWhat the loader itself says of the reading with the kill\n\n{report}\n\n{table(readings, jpeg_bytes)}\n")
    draw(batch, f"Penstock: batch 1 of {len(photos)}, seed {SEED}, epoch 0, fingerprint {reference[0]}", chosen.output)
    print(f"A picture of the first batch: {chosen.output}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Penstock in two minutes.")
    parser.add_argument("--folder", type=Path, default=Path(".cache/photos"), help="where the photographs are, or go")
    parser.add_argument("--count", type=int, default=2000, help="how many photographs (default: 2000)")
    parser.add_argument("--workers", type=int, default=2, help="how many threads or processes (default: 2)")
    parser.add_argument("--output", type=Path, default=Path("demo.png"), help="where the picture goes")
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.count < 6 * BATCH:
        parser.error(f"--count must be {6 * BATCH} or more: it takes some batches to stop and to kill between them")
    if chosen.workers < 1:
        parser.error("--workers must be 1 or more")
    return chosen


if __name__ == "__main__":
    main()
