"""resize: another number of pixels, without the false patterns that come from skipping some.

Where an image shrinks by a factor f, each new pixel should be made of about f old ones. OpenCV's interpolations look at
a fixed few, whatever f is. So the image is smoothed first, by a Gaussian that brings the whole to the width of a filter
stretched by f: what Pillow and torchvision call antialiasing, at a third of its time. From f = 4 on, whole pixels are
averaged first (OpenCV's area interpolation), and only the rest is smoothed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import flag, short, whole
from penstock.images.opencv import INTERPOLATIONS, check_image, check_interpolation, cv2, filtered

if TYPE_CHECKING:
    from penstock.images.opencv import Image

Part = tuple[float, float, float, float]
Size = int | tuple[int, int]
"""Height and width, or the length of the shorter side."""

SPREADS = {"bilinear": 1 / 6, "bicubic": 1 / 8, "lanczos": 1 / 10}
"""What f² − 1 is multiplied by to give the variance of the smoothing: that of the triangle; fitted for the others."""


def resize(
    image: Image, size: Size, *, interpolation: str = "bilinear", antialias: bool = True, out: Image | None = None
) -> Image:
    """Return an image with another height and width.

    Args:
        image: (height, width) or (height, width, channels), of any dtype of numbers.
        size: (height, width), or the length of the shorter side, which keeps the proportions.
        interpolation: ``"bilinear"`` (the default), ``"bicubic"``, ``"lanczos"``, ``"area"`` (the mean of what a pixel
            covers; bilinear where the image grows) or ``"nearest"``, which makes no new values, for masks and labels.
        antialias: smooth what shrinks, as Pillow does; False is OpenCV's ``resize``, faster and jagged.
        out: an array of the result's shape and dtype to write to, and to return.

    Antialiased, the result is within 1 of 255 levels of Pillow's on average in photographs, or within 3 for
    ``"bicubic"`` and ``"lanczos"``, which are a little softer here.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.resize(np.zeros((30, 40, 3), "uint8"), 15).shape
    (15, 20, 3)
    """
    check_image(image, "resize()")
    check_interpolation(interpolation, "resize()")
    flag(antialias, "resize()", "antialias")
    height, width = target_of(image.shape, size)
    if out is not None and (out.shape != (height, width, *image.shape[2:]) or out.dtype != image.dtype):
        raise ArgumentError(
            f"resize(): out is {out.dtype} of shape {out.shape}, and the result is {image.dtype} of shape "
            f"{(height, width, *image.shape[2:])}."
        )
    if interpolation == "nearest":
        made = _nearest(image, height, width)
    elif image.shape[:2] == (height, width):
        made = image
    else:
        smooth = antialias and interpolation in SPREADS
        how = INTERPOLATIONS[interpolation]

        def run(pixels: Image) -> Image:
            source = _smoothed(pixels, height, width, SPREADS[interpolation]) if smooth else pixels
            same = out is not None and out.dtype == source.dtype and out.shape[2:] == source.shape[2:]
            return cv2.resize(source, (width, height), dst=out if same else None, interpolation=how)  # type: ignore[no-any-return]

        made = filtered(run, image, "resize()")
    if out is None:
        return image.copy() if made is image else made
    if made.ctypes.data != out.ctypes.data:
        out[...] = made
    return out


def resize_part(  # noqa: PLR0913  a box more than resize
    image: Image, box: Part, size: tuple[int, int], *, interpolation: str, antialias: bool, out: Image
) -> Image:
    """Write a part of an image, whose borders may lie between pixels, to ``out`` in another size, and return it."""
    (top, left, tall, wide), (height, width) = box, size
    down, across = tall / height, wide / width
    reach = [math.ceil(2 * max(1.0, factor)) for factor in (down, across)]
    first, begin = max(0, math.floor(top) - reach[0]), max(0, math.floor(left) - reach[1])
    part = image[first : math.ceil(top + tall) + reach[0], begin : math.ceil(left + wide) + reach[1]]
    # OpenCV counts from the middle of the first pixel, on both sides.
    matrix = np.array([[across, 0, left - begin + across / 2 - 0.5], [0, down, top - first + down / 2 - 0.5]])
    how = INTERPOLATIONS["bilinear" if interpolation == "area" else interpolation] | cv2.WARP_INVERSE_MAP

    def run(pixels: Image) -> Image:
        source = _blurred(pixels, down, across, SPREADS.get(interpolation, 1 / 6)) if antialias else pixels
        return cv2.warpAffine(source, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[no-any-return]

    out[...] = filtered(run, part, "resize()")
    return out


def target_of(shape: tuple[int, ...], size: Size) -> tuple[int, int]:
    """Return the height and width that a size means for an image of a shape."""
    if isinstance(size, (tuple, list)):
        if len(size) != 2:
            raise ArgumentError(f"size must be (height, width), or the length of the shorter side, not {short(size)}.")
        return whole(size[0], "size", "the height", least=1), whole(size[1], "size", "the width", least=1)
    side = whole(size, "size", "the shorter side", least=1)
    height, width = shape[:2]
    if height <= width:
        return side, max(1, round(side * width / height))
    return max(1, round(side * height / width)), side


def _nearest(image: Image, height: int, width: int) -> Image:
    """Return the old pixel that lies under the middle of each new one, of any dtype."""
    rows = np.minimum((np.arange(height) * 2 + 1) * image.shape[0] // (2 * height), image.shape[0] - 1)
    columns = np.minimum((np.arange(width) * 2 + 1) * image.shape[1] // (2 * width), image.shape[1] - 1)
    return np.take(np.take(image, rows, axis=0), columns, axis=1)  # type: ignore[no-any-return]


def _smoothed(image: Image, height: int, width: int, spread: float) -> Image:
    """Return an image from which a smaller one can be interpolated."""
    shrunk = [max(1, round(old / (old // (2 * new)))) if old >= 4 * new else old
              for old, new in zip(image.shape[:2], (height, width), strict=True)]  # fmt: skip
    if shrunk != list(image.shape[:2]):
        image = cv2.resize(image, (shrunk[1], shrunk[0]), interpolation=cv2.INTER_AREA)
    return _blurred(image, image.shape[0] / height, image.shape[1] / width, spread)


def _blurred(image: Image, down: float, across: float, spread: float) -> Image:
    """Return an image blurred for shrinking by two factors."""
    tall, broad = _width(down, spread), _width(across, spread)
    if tall == broad == 0:
        return image
    taps = _taps(broad), _taps(tall)
    # A width of 0 would mean "from the number of taps".
    blurred: Image = cv2.GaussianBlur(
        image, taps, sigmaX=broad or 0.01, sigmaY=tall or 0.01, borderType=cv2.BORDER_REPLICATE
    )
    return blurred


def _width(factor: float, spread: float) -> float:
    return math.sqrt(spread * (factor**2 - 1)) if factor > 1 else 0.0


def _taps(width: float) -> int:
    """Return how many pixels a Gaussian needs to reach; 3 are the fastest and suffice for narrow ones."""
    if width == 0:
        return 1
    return 3 if width < 0.6 else 5 if width < 1.1 else int(4 * width + 1) | 1
