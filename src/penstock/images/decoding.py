"""decode: an image file becomes an array, with no more work than its use needs.

    file ─► header ─► plan ─► codec ─► crop ─► turn ─► resize ─► array
            shape     scale   pixels at 1/1, 1/2, 1/4 or 1/8,
            depth     rows    down to the last row that is wanted

The header is checked before memory is taken. Crops and sizes are those of the picture as it is meant to be seen.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError, DecodeError
from penstock.graph.checking import choice, flag, short, whole
from penstock.graph.context import empty
from penstock.images.codecs import CODECS, MODES, Wanted, decode_stored
from penstock.images.headers import Header, read_header
from penstock.images.resizing import Size, resize, resize_part, target_of
from penstock.images.turning import turn, turned_box, unturned_box

if TYPE_CHECKING:
    from penstock.images.headers import Data
    from penstock.images.opencv import Image

MOST_PIXELS = 1 << 27

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray[Any, Any]
Box = tuple[int, int, int, int]
"""Top, left, height and width, in pixels."""


class Cropping(Protocol):
    """What chooses a part of a picture: a box for its shape, and the size that the part is brought to."""

    @property
    def output(self) -> Size | None: ...
    @property
    def interpolation(self) -> str: ...
    @property
    def antialias(self) -> bool: ...

    def box(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Box:
        """Return top, left, height and width for a picture of (height, width, …)."""
        ...


def header(data: Source) -> Header:
    """Return what an image file says of itself, without decoding it: format, height, width, channels, depth.

    Args:
        data: a path, or the file's bytes.

    Raises:
        DecodeError: it is no JPEG, PNG, WebP, TIFF or BMP, or ends too early; names the file.

    >>> import cv2, numpy as np
    >>> from penstock import images
    >>> images.header(cv2.imencode(".png", np.zeros((20, 30, 3), "uint8"))[1])
    Header(format='PNG', height=20, width=30, channels=3, depth=8, orientation=1)
    """
    content, name = _read(data)
    return read_header(content, name)


def decode(  # noqa: PLR0913  each is one thing that files differ in, or one that users want of them
    data: Source,
    *,
    mode: str = "RGB",
    size: Size | None = None,
    min_size: Size | None = None,
    crop: Box | Cropping | None = None,
    rng: np.random.Generator | None = None,
    orient: bool = True,
    depth: int | None = 8,
    codec: str | None = None,
    fast: bool = False,
    max_pixels: int = MOST_PIXELS,
    out: Image | None = None,
) -> Image:
    """Return the pixels of an image file as an array of (height, width, channels).

    Args:
        data: a path, or the bytes of a JPEG, PNG, WebP, TIFF or BMP file.
        mode: ``"RGB"`` (the default), ``"BGR"``, ``"L"`` (gray, one channel), ``"RGBA"`` (opaque where the file has no
            alpha), or ``"unchanged"``: the file's own channels, in the order red, green, blue, alpha; gray with alpha
            becomes four, CMYK three. ``"RGB"`` drops alpha.
        size: the result's (height, width), or the length of its shorter side; resized as by ``resize``. A JPEG that is
            at least twice as large is decoded at 1/2, 1/4 or 1/8, which is where time is saved.
        min_size: at least this (height, width) or shorter side, whatever can be had cheaply: a JPEG at 1/2, 1/4 or 1/8,
            anything else as it is. Not together with ``size``.
        crop: (top, left, height, width) in pixels of the whole picture, or a value that chooses them, such as
            ``RandomResizedCrop(224)``, which brings its own size. Rows below the crop are not decoded, where the file
            allows it (sequential JPEG, simplejpeg).
        rng: the item's generator, for a random ``crop``.
        orient: turn the picture as EXIF says, or leave it as stored; TIFF is turned always. Crop and size are those of
            the result.
        depth: 8 for uint8; None for what the file has: uint8 or uint16. Floating point TIFF needs ``"unchanged"``.
        codec: None takes simplejpeg for JPEG where it is installed, else OpenCV: the pixels are the same.
            ``"opencv"`` or ``"simplejpeg"`` insist; what is no common JPEG is OpenCV's in any case.
        fast: take the quick approximations of libjpeg's DCT and of its interpolation of colours (simplejpeg's
            ``fastdct`` and ``fastupsample``): about 6 % less time for a JPEG. Other files are not concerned.
        max_pixels: more than this many declared pixels are refused before memory is taken; 134 million by default.
        out: an array of the result's shape and dtype to write to, and to return.

    Raises:
        DecodeError: no image, a damaged or truncated one, or too many pixels; names the file.
        ArgumentError, ArgumentTypeError: an argument that cannot be used, such as a crop outside of the picture.

    The result of a scaled decoding differs from that of a full one: by 1 of 255 levels on average in photographs, and
    by less than 2.5 in any that was tried.
    Without a scale, a crop has the very pixels of the full decoding. With ``fast``, pixels differ by less than 2.5
    levels on average and by less than 64 anywhere in all photographs that were tried, most at edges of strong colours.
    Damage within the pixels of a JPEG that libjpeg steps over with a warning is stepped over here too, and what is
    behind the last row of a crop is not looked at.

    >>> import cv2, numpy as np
    >>> from penstock import images
    >>> file = cv2.imencode(".jpg", np.zeros((300, 400, 3), "uint8"))[1]
    >>> images.decode(file).shape, images.decode(file, size=64).shape, images.decode(file, min_size=64).shape
    ((300, 400, 3), (64, 85, 3), (75, 100, 3))
    >>> images.decode(file, crop=(10, 20, 100, 200), mode="L").shape
    (100, 200, 1)
    """
    _check(mode, size, min_size, depth, codec)
    flag(orient, "decode()", "orient")
    flag(fast, "decode()", "fast")
    if fast and codec == "opencv":
        raise ArgumentError("decode(): fast=True is simplejpeg's; leave codec='opencv' out.")
    content, name = _read(data)
    head = read_header(content, name)
    if head.height * head.width > whole(max_pixels, "decode()", "max_pixels", least=1):
        raise DecodeError(
            f"{_who(content, name)} declares {head.height:,} × {head.width:,} pixels, more than max_pixels="
            f"{max_pixels:,}. If it is to be trusted, raise max_pixels."
        )
    plan = _planned(head, crop, size, min_size, rng, orient=orient)
    wanted = Wanted(mode, depth is None, plan.scale, plan.stored[0] + plan.stored[2], fast)
    try:
        pixels = decode_stored(content, head, wanted, codec, out if plan.is_plain(head) else None)
    except DecodeError as error:
        raise DecodeError(f"{_who(content, name)} is damaged: {error}.") from None
    if plan.target is not None:
        return _resized(pixels, plan, head, out)
    shown = turn(_part(pixels, plan.stored, plan.scale, head), plan.orientation)
    if out is None:
        return shown if shown.base is None or shown.size == pixels.size else _owned(shown)
    return out if shown is out else _owned(shown, out)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a file."""

    orientation: int
    scale: int
    stored: Box
    """The part that is wanted, in the stored picture."""
    target: tuple[int, int] | None
    """The height and width to bring it to."""
    interpolation: str
    antialias: bool

    def is_plain(self, head: Header) -> bool:
        """Tell whether the stored pixels are the result."""
        return self.target is None and self.orientation == 1 and self.stored == (0, 0, head.height, head.width)


def _planned(  # noqa: PLR0913  decode()'s own
    head: Header,
    crop: Box | Cropping | None,
    size: Size | None,
    min_size: Size | None,
    rng: np.random.Generator | None,
    *,
    orient: bool,
) -> Plan:
    orientation = head.orientation if orient else 1
    shape = head.shape if orient else (head.height, head.width)
    box, size = _box(crop, size, (*shape, head.channels), rng)
    interpolation, antialias = "bilinear", True
    if crop is not None and not isinstance(crop, (tuple, list, np.ndarray)):
        interpolation, antialias = crop.interpolation, crop.antialias
    target = None if size is None else target_of(box[2:], size)
    least = None if min_size is None else target_of(box[2:], min_size)
    scale = 1 if interpolation == "nearest" else _scale(head, box, target or least)
    return Plan(orientation, scale, unturned_box(box, orientation, shape), target, interpolation, antialias)


def _resized(pixels: Image, plan: Plan, head: Header, out: Image | None) -> Image:
    """Return the part of the stored pixels that is wanted, turned and brought to its size."""
    assert plan.target is not None
    shape = (*plan.target, pixels.shape[2])
    memory = empty(shape, pixels.dtype) if out is None else out
    if memory.shape != shape or memory.dtype != pixels.dtype:
        raise _misfit(memory, shape, pixels.dtype)
    how: dict[str, Any] = {"interpolation": plan.interpolation, "antialias": plan.antialias}
    if plan.scale == 1:
        return resize(turn(_part(pixels, plan.stored, 1, head), plan.orientation), plan.target, out=memory, **how)
    top, left, tall, wide = (n / plan.scale for n in plan.stored)
    part = turned_box((top, left, tall, wide), plan.orientation, pixels.shape)
    return resize_part(turn(pixels, plan.orientation), part, plan.target, out=memory, **how)


def _check(mode: str, size: Size | None, min_size: Size | None, depth: int | None, codec: str | None) -> None:
    choice(mode, MODES, "decode()", "mode")
    if size is not None and min_size is not None:
        raise ArgumentError("decode(): give size, which is exact, or min_size, which is cheap, not both.")
    if depth not in {8, None}:
        raise ArgumentError(f"decode(): depth must be 8, or None for the file's own, not {short(depth)}.")
    if codec is not None:
        choice(codec, CODECS, "decode()", "codec")


def _read(data: object) -> tuple[Data, str]:
    """Return a file's bytes, and its name where it has one."""
    if isinstance(data, (str, os.PathLike)):
        name = os.fspath(data)
        with open(name, "rb", buffering=0) as file:
            return file.read(), name
    if isinstance(data, (bytes, bytearray)):
        return data, ""
    if isinstance(data, memoryview) or (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 1):
        return data.tobytes(), ""
    raise ArgumentTypeError(f"decode(): an image file is a path, or its bytes, not {short(data)}.")


def _who(content: Data, name: str) -> str:
    return name or f"an image of {len(content):,} bytes"


def _box(
    crop: Box | Cropping | None, size: Size | None, shape: tuple[int, ...], rng: np.random.Generator | None
) -> tuple[Box, Size | None]:
    """Return the part of the picture that is wanted, and the size that it is wanted in."""
    height, width = shape[:2]
    if crop is None:
        return (0, 0, height, width), size
    if not isinstance(crop, (tuple, list, np.ndarray)):
        chosen = crop.box(shape, rng)
        if size is not None and crop.output is not None:
            raise ArgumentError(f"decode(): crop={crop!r} has a size of its own; leave size={size!r} out.")
        return chosen, size if crop.output is None else crop.output
    if len(crop) != 4:
        raise ArgumentError(f"decode(): crop must be (top, left, height, width), not {short(crop)}.")
    top, left = (whole(crop[i], "decode()", f"crop[{i}]") for i in (0, 1))
    high, wide = (whole(crop[i], "decode()", f"crop[{i}]", least=1) for i in (2, 3))
    if top + high > height or left + wide > width:
        raise ArgumentError(
            f"decode(): crop={tuple(crop)!r} reaches beyond a picture of {height} × {width} pixels. "
            "images.header(data).shape tells its height and width."
        )
    return (top, left, high, wide), size


def _scale(head: Header, box: Box, target: tuple[int, int] | None) -> int:
    """Return the scale at which a codec may decode: the largest at which nothing needs to be enlarged."""
    if target is None or head.format != "JPEG":
        return 1
    return next((s for s in (8, 4, 2) if box[2] // s >= target[0] and box[3] // s >= target[1]), 1)


def _part(pixels: Image, box: Box, scale: int, head: Header) -> Image:
    """Return a box of the stored picture out of what was decoded of it."""
    top, left, high, wide = box
    if (high, wide) == (head.height, head.width):
        return pixels
    rows, columns = max(1, high // scale), max(1, wide // scale)
    first = min(round(top / scale), pixels.shape[0] - rows)
    begin = min(round(left / scale), pixels.shape[1] - columns)
    return pixels[first : first + rows, begin : begin + columns]


def _owned(view: Image, out: Image | None = None) -> Image:
    """Return a copy, which does not keep what was decoded around it alive, in memory that travels."""
    if out is None:
        out = empty(view.shape, view.dtype)
    elif out.shape != view.shape or out.dtype != view.dtype:
        raise _misfit(out, view.shape, view.dtype)
    out[...] = view
    return out


def _misfit(out: Image, shape: tuple[int, ...], dtype: np.dtype[Any]) -> ArgumentError:
    return ArgumentError(
        f"decode(): out is {out.dtype} of shape {out.shape}, and the image is {dtype} of shape {shape}."
    )
