"""A folder of photographs to try a data loader on, made from what is already installed.

`make(folder)` cuts some 2,000 JPEG files, in size and in bytes like those of ImageNet, out of eight real
photographs which scikit-image and scikit-learn carry in their packages::

    photographs in the packages      seeded crop and scale      folder/
        chelsea.png  451 × 300   ──►   500 × 375   110 KB  ──►      chelsea/000001.jpg
        china.jpg    640 × 427   ──►   375 × 500    96 KB  ──►      china/000006.jpg
                                                                    NOTICE.txt
                                                                    made.json

Nothing is downloaded: the files are opened where the packages lie, and never asked for by the functions of
`skimage.data`, which would fetch what is missing. The same count and seed give the same files, as long as OpenCV's
JPEG encoder stays the same. Run as a script, it makes a folder and says how large it became.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
Progress: TypeAlias = Callable[[Iterable[int], int, str], Iterable[int]]
"""Called with what to count, how many there will be, and what it is; gives the same things back."""

MEAN_BYTES = 110_000
AIM = 1.2
"""Files aim this much above the mean, because a smooth sky stays below it at the best quality there is."""

CLOSEST = 0.6
"""A crop shows at least this part of the largest crop of its shape: nearer, enlarging would blur it."""

SHAPES = ((500, 375), (500, 333), (375, 500), (333, 500))
SHARES = (0.55, 0.20, 0.20, 0.05)


@dataclass(frozen=True)
class Photograph:
    """One photograph inside an installed package, and the terms which that package states for it."""

    name: str
    package: str
    distribution: str
    path: str
    terms: str
    origin: str

    def read(self) -> Image:
        """Its pixels, (height, width, 3) in OpenCV's order of blue, green, red; FileNotFoundError without the file."""
        file = resources.files(self.package).joinpath(self.path)
        if not file.is_file():
            raise FileNotFoundError(
                f"{self.distribution} {metadata.version(self.distribution)} has no {self.path} in its package; "
                f"this example was written for scikit-image 0.26 and scikit-learn 1.9"
            )
        return decoded(file.read_bytes(), str(file))


CC0 = "CC0, no copyright restrictions"
CC_BY = "Creative Commons Attribution 2.0, https://creativecommons.org/licenses/by/2.0/"
SKIMAGE = ("skimage", "scikit-image")
SKLEARN = ("sklearn", "scikit-learn")

PHOTOGRAPHS = (
    Photograph(
        "astronaut", *SKIMAGE, "data/astronaut.png",
        "No known copyright restrictions, released into the public domain",
        "Eileen Collins, by NASA, https://flic.kr/p/r9qvLn",
    ),
    Photograph("chelsea", *SKIMAGE, "data/chelsea.png", CC0, "Chelsea the cat, by Stefan van der Walt"),
    Photograph(
        "coffee", *SKIMAGE, "data/coffee.png", CC0,
        "A cup of coffee, by Rachel Michetti, courtesy of Pikolo Espresso Bar",
    ),
    Photograph(
        "hubble", *SKIMAGE, "data/hubble_deep_field.jpg", "May be freely used in the public domain",
        "Hubble eXtreme Deep Field, by NASA, http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
    ),
    Photograph(
        "retina", *SKIMAGE, "data/retina.jpg", "CC0 1.0 Universal Public Domain Dedication",
        "Human retina, by Mikael Häggström, DOI 10.15347/wjm/2014.008",
    ),
    Photograph(
        "rocket", *SKIMAGE, "data/rocket.jpg", "Released in the public domain",
        "Launch of a Falcon 9, by SpaceX, https://www.flickr.com/photos/spacexphotos/16511594820/",
    ),
    Photograph(
        "china", *SKLEARN, "datasets/images/china.jpg", CC_BY,
        "By danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    Photograph(
        "flower", *SKLEARN, "datasets/images/flower.jpg", CC_BY,
        "By vultilion, https://www.flickr.com/photos/vultilion/6056698931/",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What a finished folder holds; written into it last, so that half a folder is never taken for a whole one."""

    count: int
    seed: int
    bytes: int

    def write(self, folder: Path) -> None:
        (folder / "made.json").write_text(json.dumps(vars(self)) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Made | None:
        """What the folder says of itself, or None where it says nothing."""
        try:
            return cls(**json.loads((folder / "made.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


def quiet(things: Iterable[int], total: int, what: str) -> Iterable[int]:
    """Progress that nobody wants to see."""
    return things


def make(folder: str | Path, count: int = 2000, progress: Progress = quiet, *, seed: int = 0) -> Path:
    """Make `count` JPEG files in `folder`, unless they are there already, and return the folder.

    They are written beside it and moved in one step, so an interrupted call leaves no half-filled folder. A folder
    that an earlier call made with another count or seed is replaced; one that holds anything else is refused with
    FileExistsError.
    """
    folder = Path(folder)
    if is_finished(folder, count, seed):
        return folder
    if folder.exists() and any(folder.iterdir()) and Made.read(folder) is None:
        raise FileExistsError(f"{folder} holds files that this function did not make: name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        filled = Path(scratch, "filled")
        fill(filled, count, seed, progress)
        put(filled, folder, count, seed)
    return folder


def is_finished(folder: Path, count: int, seed: int) -> bool:
    """Whether the folder holds just these photographs, by number and by bytes."""
    made = Made.read(folder)
    return made is not None and made == Made(count, seed, made.bytes) and made.bytes == total_bytes(folder, count)


def total_bytes(folder: Path, count: int) -> int | None:
    """The bytes of all photographs in the folder, or None if there are more or fewer than `count`."""
    sizes = [path.stat().st_size for path in folder.glob("*/*.jpg")]
    return sum(sizes) if len(sizes) == count else None


def put(filled: Path, folder: Path, count: int, seed: int) -> None:
    """Move a filled folder to its place; if somebody else put an equal one there meanwhile, keep theirs."""
    if folder.exists():
        folder.replace(filled.with_name("outdated"))
    try:
        filled.replace(folder)
    except OSError:
        if not is_finished(folder, count, seed):
            raise


def fill(folder: Path, count: int, seed: int, progress: Progress) -> None:
    """Cut, encode and write every photograph, then the notice, then the statement that all is there."""
    sources = [photograph.read() for photograph in PHOTOGRAPHS]
    for photograph in PHOTOGRAPHS:
        (folder / photograph.name).mkdir(parents=True)

    def write(index: int) -> int:
        which = index % len(PHOTOGRAPHS)
        rng = np.random.default_rng((seed, index))
        jpeg = encode(crop(sources[which], rng), wanted_bytes(rng))
        return (folder / PHOTOGRAPHS[which].name / f"{index:06}.jpg").write_bytes(jpeg)

    # Threads suffice: OpenCV and the file system work without the interpreter's lock.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        written = sum(progress(pool.map(write, range(count)), count, "photographs"))
    (folder / "NOTICE.txt").write_text(notice(), encoding="utf-8")
    Made(count, seed, written).write(folder)


def crop(source: Image, rng: np.random.Generator) -> Image:
    """A part of the photograph at a random place and scale, resized to one of the usual shapes."""
    width, height = SHAPES[rng.choice(len(SHAPES), p=SHARES)]
    scale = min(source.shape[1] / width, source.shape[0] / height) * rng.uniform(CLOSEST, 1)
    w, h = int(width * scale), int(height * scale)
    x, y = rng.integers(source.shape[1] - w + 1), rng.integers(source.shape[0] - h + 1)
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(source[y : y + h, x : x + w], (width, height), interpolation=how), np.uint8)


def wanted_bytes(rng: np.random.Generator) -> float:
    """How large a file may become: log-normal, as the sizes of photographs are."""
    return float(AIM * MEAN_BYTES * rng.lognormal(sigma=0.25))


def encode(image: Image, wanted: float) -> bytes:
    """The JPEG file of the best quality that takes no more than `wanted` bytes."""
    low, high = 70, 100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(jpeg(image, middle)) <= wanted else (low, middle - 1)
    return jpeg(image, low)


def jpeg(image: Image, quality: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decoded(data: bytes, name: str) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{name} is not an image that OpenCV can read")
    return np.asarray(image, np.uint8)


def notice() -> str:
    """Where each photograph comes from and on which terms, as the packages themselves state it."""
    lines = [
        "The files in these folders are parts of eight photographs, cut at random, resized and compressed anew.",
        "Each folder bears the name of its photograph. The packages that carry them state these terms:",
    ]
    for photograph in PHOTOGRAPHS:
        version = metadata.version(photograph.distribution)
        lines += [
            "",
            f"{photograph.name}: {photograph.origin}",
            f"    terms: {photograph.terms}",
            f"    from:  {photograph.distribution} {version}, {photograph.package}/{photograph.path}",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a folder of photographs to try a data loader on.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    chosen = parser.parse_args()
    folder = make(chosen.folder, chosen.count)
    size = total_bytes(folder, chosen.count) or 0
    print(f"{folder}: {chosen.count:,} photographs, {size / 1e6:.0f} MB, {size / chosen.count / 1e3:.0f} KB on average")


if __name__ == "__main__":
    main()
