"""Real photographs, where they lie in installed packages, and what makes files of them."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("cv2") is None:
    collect_ignore_glob = ["test_*.py"]  # the extra 'images' is not installed
else:
    import cv2

PHOTOGRAPHS = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}


@pytest.fixture(scope="session")
def photographs():
    """Four photographs as arrays of red, green and blue."""
    found = {}
    for name, (package, path) in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)  # importing it would take seconds
        if spec is None or spec.origin is None:
            pytest.skip(f"{package}, which carries photographs, is not installed")
        data = Path(spec.origin).parent.joinpath(path).read_bytes()
        found[name] = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return found


@pytest.fixture(scope="session")
def encode():
    """`encode(".jpg", image, …)`: an image file's bytes; the image is RGB, RGBA or gray."""

    def encoded(extension, image, *options):
        swaps = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
        channels = image.shape[2] if image.ndim == 3 else 1
        pixels = cv2.cvtColor(image, swaps[channels]) if channels in swaps else image
        return cv2.imencode(extension, pixels, list(options))[1].tobytes()

    return encoded


def exif(orientation):
    """An EXIF block that states an orientation and nothing else."""
    return b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 274, 3, 1, orientation, 0) + b"\0\0\0\0"


@pytest.fixture(scope="session")
def oriented():
    """`oriented(jpeg, 6)`: the same file with an orientation written in."""

    def with_orientation(jpeg, orientation):
        block = b"Exif\0\0" + exif(orientation)
        return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]

    return with_orientation
