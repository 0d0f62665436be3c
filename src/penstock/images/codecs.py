"""From an image file to pixels, as far as a codec library can go by itself: scaled, and only down to a row.

    OpenCV       every format and depth; JPEG at 1/2, 1/4 and 1/8 of its size
    simplejpeg   JPEG only: into given memory, and only as many rows as are wanted

Both stand on libjpeg-turbo with the same settings, so their pixels are the same; a test compares them.
"""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, DecodeError
from penstock.graph.context import empty
from penstock.images.opencv import cv2

if TYPE_CHECKING:
    from penstock.images.headers import Data, Header
    from penstock.images.opencv import Image

try:
    simplejpeg: Any = importlib.import_module("simplejpeg")
except ImportError:
    simplejpeg = None

CODECS = ("opencv", "simplejpeg")
MODES = {"RGB": 3, "BGR": 3, "L": 1, "RGBA": 4, "unchanged": 0}
LAYOUTS = {"RGB": "RGB", "BGR": "BGR", "L": "GRAY", "RGBA": "RGBA"}
REDUCED = {
    "BGR": {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8},
    "L": {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8},
}
SWAPS = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a file's stored pixels."""

    mode: str
    deep: bool
    """Keep 16 bits where the file has them."""
    scale: int
    """1, 2, 4 or 8: decode to one part in that many of height and width, rounded up."""
    rows: int
    """The rows, counted before scaling, that matter; what is below them may be missing."""
    fast: bool = False
    """Take libjpeg's quick approximations."""


def decode_stored(data: Data, header: Header, wanted: Wanted, codec: str | None, out: Image | None) -> Image:
    """Return a file's pixels as they are stored, of the kind that is wanted.

    Args:
        out: where they may be written; whoever calls looks whether they were.
    """
    able = header.format == "JPEG" and header.depth == 8 and header.channels in {1, 3}
    if codec == "simplejpeg" or wanted.fast:
        if simplejpeg is None:
            said = "fast=True needs simplejpeg, which" if wanted.fast else "codec='simplejpeg'"
            raise ArgumentError(f"decode(): {said} is not installed. pip install simplejpeg")
        if not able:
            codec = None
    if able and simplejpeg is not None and codec != "opencv":
        return _simplejpeg(data, header, wanted, out)
    return _opencv(data, header, wanted)


def _simplejpeg(data: Data, header: Header, wanted: Wanted, out: Image | None) -> Image:
    mode = wanted.mode if wanted.mode != "unchanged" else "L" if header.channels == 1 else "RGB"
    data, rows = _shortened(data, header, wanted)
    height, width = -(-rows // wanted.scale), -(-header.width // wanted.scale)
    shape = (height, width, MODES[mode])
    fits = out is not None and out.shape == shape and out.dtype == np.uint8 and out.flags.c_contiguous
    memory = out if fits else empty(shape, np.uint8)
    try:
        # Not strict: what libjpeg, OpenCV and Pillow step over with a warning is stepped over here too.
        pixels: Image = simplejpeg.decode_jpeg(
            data,
            LAYOUTS[mode],
            min_height=height,
            min_width=width,
            min_factor=wanted.scale,
            buffer=memory,
            fastdct=wanted.fast,
            fastupsample=wanted.fast,
            strict=False,
        )
    except ValueError as error:
        raise DecodeError(str(error)) from None
    if pixels.shape != shape:
        raise DecodeError(f"it has {pixels.shape} pixels where its header says {shape}")
    return memory  # type: ignore[return-value]


def _shortened(data: Data, header: Header, wanted: Wanted) -> tuple[Data, int]:
    """Return a JPEG file that declares no more rows than are wanted, and their number.

    Rows of blocks follow one another in a sequential file, and what comes behind the declared number is passed over
    undecoded. A row more than is wanted must be there, because colours are interpolated between two; a whole row of
    blocks more where the picture is scaled, as pixels around the part are then looked at, too.
    """
    scan = header.scan
    if scan is None or not scan.sequential:
        return data, header.height
    more = 1 if wanted.scale == 1 else scan.rows
    kept = -(-(wanted.rows + more) // scan.rows) * scan.rows
    if kept >= header.height:
        return data, header.height
    shorter = bytearray(data)
    struct.pack_into(">H", shorter, scan.height_at, kept)
    return shorter, kept


def _opencv(data: Data, header: Header, wanted: Wanted) -> Image:
    mode = wanted.mode
    if header.format == "JPEG" and mode in {"RGBA", "unchanged"}:  # it has no alpha: cheaper from colours than from all
        mode = "L" if mode == "unchanged" and header.channels == 1 else "RGB"
    flags = _flags(header, wanted, mode)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DecodeError(" ".join(str(error).split())) from None
    if pixels is None:
        raise DecodeError("OpenCV cannot decode it")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[:2] != (-(-header.height // wanted.scale), -(-header.width // wanted.scale)):
        raise DecodeError(f"its header says {header.height} × {header.width} pixels, its content {pixels.shape[:2]}")
    if pixels.shape[2] in SWAPS and mode != "BGR" and flags != cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION:
        pixels = cv2.cvtColor(pixels, SWAPS[pixels.shape[2]])
    if not wanted.deep and pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return _with_alpha(pixels) if wanted.mode == "RGBA" else pixels


def _flags(header: Header, wanted: Wanted, mode: str) -> int:
    if mode in {"RGBA", "unchanged"}:
        return int(cv2.IMREAD_UNCHANGED)
    if wanted.scale > 1:
        flags = REDUCED["L" if mode == "L" else "BGR"][wanted.scale]
    elif mode == "RGB" and header.format == "JPEG":
        flags = cv2.IMREAD_COLOR_RGB  # for others it is not to be trusted: OpenCV 5.0 ignores it for 16-bit TIFF
    else:
        flags = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR_BGR
    if wanted.deep and header.format != "JPEG":
        flags |= cv2.IMREAD_ANYDEPTH
    return int(flags | cv2.IMREAD_IGNORE_ORIENTATION)


def _with_alpha(pixels: Image) -> Image:
    """Return red, green, blue and alpha; opaque where the file has none."""
    if pixels.shape[2] == 4:
        return pixels
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    made = np.full((*pixels.shape[:2], 4), most, pixels.dtype)
    made[:, :, :3] = pixels
    return made
