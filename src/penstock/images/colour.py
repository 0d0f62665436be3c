"""What pixels look like: light, contrast, colour, blur, and the numbers that a model wants.

"Full" is what white is: 255 for uint8, 65,535 for uint16, 1.0 for floating point. Colours are in the order red, green,
blue; an image of one channel, or of (height, width), is gray. An alpha channel stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, short, whole
from penstock.images.opencv import check_image, cv2, filtered

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from penstock.images.opencv import Fill, Image

GRAY = np.array((0.299, 0.587, 0.114), np.float32)
"""The weights of red, green and blue in brightness (ITU-R BT.601), as in JPEG."""


def full_of(image: Image, where: str) -> float:
    """Return what white is in an image."""
    if image.dtype == np.uint8:
        return 255.0
    if image.dtype == np.uint16:
        return 65535.0
    if image.dtype.kind == "f":
        return 1.0
    raise ArgumentTypeError(f"{where}: an image is uint8, uint16, or floating point from 0 to 1, not {image.dtype}.")


def adjust_brightness(image: Image, factor: float) -> Image:
    """Return an image with every colour multiplied; 0 is black, 1 changes nothing.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.adjust_brightness(np.array([[100, 200]], "uint8"), 1.5)
    array([[150, 255]], dtype=uint8)
    """
    return _pointwise(image, lambda x: x * _factor(factor, "adjust_brightness()"), "adjust_brightness()")


def adjust_contrast(image: Image, factor: float) -> Image:
    """Return an image with every colour moved away from the mean brightness; 0 is gray, 1 changes nothing.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.adjust_contrast(np.array([[100, 140]], "uint8"), 2)
    array([[ 80, 160]], dtype=uint8)
    """
    where = "adjust_contrast()"
    check_image(image, where)
    factor = _factor(factor, where)
    full = full_of(image, where)
    means = np.array(cv2.mean(np.ascontiguousarray(image, None if image.dtype != np.float16 else np.float32)))
    mean = float(means[0] if _is_gray(image) else means[:3] @ GRAY) / full
    return _pointwise(image, lambda x: (x - mean) * factor + mean, where)


def adjust_gamma(image: Image, gamma: float) -> Image:
    """Return an image with every colour, from 0 to 1, raised to a power; above 1 is darker.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.adjust_gamma(np.array([[0.5, 1.0]]), 2)
    array([[0.25, 1.  ]])
    """
    gamma = _factor(gamma, "adjust_gamma()")
    return _pointwise(image, lambda x: np.maximum(x, 0) ** gamma, "adjust_gamma()")


def adjust_saturation(image: Image, factor: float) -> Image:
    """Return an image with its colours moved away from gray; 0 is gray, 1 changes nothing.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.adjust_saturation(np.array([[[100, 100, 200]]], "uint8"), 0)
    array([[[111, 111, 111]]], dtype=uint8)
    """
    where = "adjust_saturation()"
    check_image(image, where)
    factor = _factor(factor, where)
    full_of(image, where)
    if _is_gray(image):
        return image.copy()
    matrix = (factor * np.eye(3) + (1 - factor) * np.broadcast_to(GRAY, (3, 3))).astype(np.float32)
    return _with_alpha(image, clipped(_transformed(_colours(image), matrix), image.dtype))


def adjust_hue(image: Image, turn: float) -> Image:
    """Return an image with its colours moved around the circle of hues.

    Args:
        image: uint8, where hues are told apart to two degrees, or float32.
        turn: from -0.5 to 0.5 of the circle; 1/3 makes red green.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.adjust_hue(np.array([[[255, 0, 0]]], "uint8"), 1 / 3)
    array([[[  0, 255,   0]]], dtype=uint8)
    """
    where = "adjust_hue()"
    check_image(image, where)
    if not -0.5 <= turn <= 0.5:
        raise ArgumentError(f"{where}: turn must be from -0.5 to 0.5, not {turn!r}.")
    full_of(image, where)
    if _is_gray(image) or turn == 0:
        return image.copy()
    colours = np.ascontiguousarray(_colours(image))
    if image.dtype == np.uint8:
        hsv = cv2.cvtColor(colours, cv2.COLOR_RGB2HSV)
        table = ((np.arange(256) + round(turn * 180)) % 180).astype(np.uint8)
        hsv[:, :, 0] = table[hsv[:, :, 0]]
        return _with_alpha(image, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    full = full_of(image, where)
    hsv = cv2.cvtColor((colours / np.float32(full)).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0] + 360 * turn) % 360
    return _with_alpha(image, clipped(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * full, image.dtype))


def grayscale(image: Image) -> Image:
    """Return an image of as many channels without colour.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.grayscale(np.array([[[255, 0, 0]]], "uint8"))
    array([[[76, 76, 76]]], dtype=uint8)
    """
    return adjust_saturation(image, 0)


def gaussian_blur(image: Image, sigma: float) -> Image:
    """Return an image blurred by a Gaussian of a standard deviation in pixels; 0 changes nothing.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.gaussian_blur(np.array([[0, 0, 100, 0, 0]], "uint8"), 0.5)
    array([[ 0, 11, 79, 11,  0]], dtype=uint8)
    """
    check_image(image, "gaussian_blur()")
    if _factor(sigma, "gaussian_blur()") == 0:
        return image.copy()
    taps = 2 * max(1, round(3 * sigma)) + 1

    def run(pixels: Image) -> Image:
        return cv2.GaussianBlur(pixels, (taps, taps), sigma)  # type: ignore[no-any-return]

    return filtered(run, image, "gaussian_blur()")


def compress(image: Image, quality: int) -> Image:
    """Return an image with the traces of JPEG compression, at a quality from 1 to 100; uint8, gray or RGB.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.compress(np.zeros((4, 4, 3), "uint8"), 10).shape
    (4, 4, 3)
    """
    check_image(image, "compress()")
    if image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] not in {1, 3}):
        raise ArgumentError(f"compress(): JPEG holds uint8, gray or RGB, not {image.dtype} of shape {image.shape}.")
    quality = min(100, whole(quality, "compress()", "quality", least=1))
    colour = image.ndim == 3 and image.shape[2] == 3
    pixels = np.ascontiguousarray(image)  # red and blue in the wrong places would be compressed differently
    encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if colour else pixels,
                           [cv2.IMWRITE_JPEG_QUALITY, quality])[1]  # fmt: skip
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE).reshape(image.shape)  # type: ignore[no-any-return]


def erase(  # noqa: PLR0913  a rectangle has four numbers
    image: Image, top: int, left: int, height: int, width: int, *, fill: Fill | NDArray[Any] = 0
) -> Image:
    """Return an image with a part of it filled; the part may reach beyond the image.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.erase(np.ones((2, 3), "uint8"), 0, 1, 1, 5)
    array([[1, 0, 0],
           [1, 1, 1]], dtype=uint8)
    """
    check_image(image, "erase()")
    made = image.copy()
    made[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = fill
    return made


def to_float(image: Image, dtype: DTypeLike = np.float32) -> Image:
    """Return an image as floating point numbers from 0 to 1; one that is floating point already keeps its values.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.to_float(np.array([[0, 255]], "uint8"))
    array([[0., 1.]], dtype=float32)
    """
    check_image(image, "to_float()")
    kind = np.dtype(dtype)
    return np.multiply(image, kind.type(1 / full_of(image, "to_float()")), dtype=kind)  # type: ignore[call-overload, no-any-return]


def normalize(
    image: Image, mean: ArrayLike, std: ArrayLike, *, dtype: DTypeLike = np.float32, layout: str = "HWC"
) -> Image:
    """Return an image's colours, from 0 to 1, less a mean and divided by a standard deviation.

    Args:
        image: (height, width, channels), or gray.
        mean: of colours from 0 to 1: a number, or one per channel.
        std: the same.
        dtype: of the result: float32 (the default), float16 or float64.
        layout: ``"HWC"`` (height, width, channels), or ``"CHW"``, as PyTorch wants it.

    >>> import numpy as np
    >>> from penstock import images
    >>> images.normalize(np.full((2, 2, 3), 255, "uint8"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.5), layout="CHW")[:, 0, 0]
    array([2., 2., 1.], dtype=float32)
    """
    where = "normalize()"
    check_image(image, where)
    choice(layout, ("HWC", "CHW"), where, "layout")
    pixels = image if image.ndim == 3 else image[:, :, None]
    channels = pixels.shape[2]
    shift, width = _per_channel(mean, channels, "mean"), _per_channel(std, channels, "std")
    if not np.all(width > 0):
        raise ArgumentError(f"{where}: std must be above 0, not {short(std)}.")
    kind = np.dtype(dtype)
    shape = (*pixels.shape[:2], channels) if layout == "HWC" else (channels, *pixels.shape[:2])
    made = np.empty(shape, kind)
    steps = np.arange(256) / 255 if pixels.dtype == np.uint8 else None
    full = full_of(pixels, where)
    for c in range(channels):  # a channel at a time: a loop of three over pixels is what NumPy is slowest at
        place = made[:, :, c] if layout == "HWC" else made[c]
        if steps is not None:
            np.take(((steps - shift[c]) / width[c]).astype(kind), pixels[:, :, c], out=place, mode="clip")
        else:
            place[...] = (pixels[:, :, c] / full - shift[c]) / width[c]
    return made if image.ndim == 3 or layout == "CHW" else made[:, :, 0]


# --------------------------------------------------------------------------------------------------------- inside


def _pointwise(image: Image, function: Callable[[NDArray[Any]], NDArray[Any]], where: str) -> Image:
    """Apply a function of numbers from 0 to 1 to every colour: by a table, where there are few different ones."""
    check_image(image, where)
    full = full_of(image, where)
    if image.dtype.kind == "f":
        made = np.clip(function(_colours(image)), 0, 1).astype(image.dtype)
    else:
        table = clipped(function(np.arange(full + 1) / full) * full, image.dtype)
        colours = np.ascontiguousarray(_colours(image))
        made = cv2.LUT(colours, table).reshape(colours.shape) if image.dtype == np.uint8 else table[colours]
    return _with_alpha(image, made)


def _transformed(colours: Image, matrix: NDArray[np.float32]) -> Image:
    """Return every colour multiplied by a matrix, unrounded where it is floating point."""
    if colours.dtype in (np.uint8, np.uint16):
        return cv2.transform(np.ascontiguousarray(colours), matrix)  # type: ignore[no-any-return]  # rounds and clips
    return colours @ matrix.T.astype(colours.dtype)  # type: ignore[no-any-return]


def clipped(values: Image, dtype: np.dtype[Any]) -> Image:
    """Return values of a type, rounded and cut off at black and white."""
    if values.dtype == dtype and dtype.kind != "f":
        return values
    if dtype.kind == "f":
        return np.clip(values, 0, 1).astype(dtype)
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)


def _is_gray(image: Image) -> bool:
    return image.ndim == 2 or image.shape[2] < 3


def _colours(image: Image) -> Image:
    """Return an image without its alpha channel."""
    return image[:, :, : image.shape[2] - 1] if image.ndim == 3 and image.shape[2] in {2, 4} else image


def _with_alpha(image: Image, colours: Image) -> Image:
    """Return new colours with the alpha channel of an image, where it has one."""
    if image.ndim == 3 and image.shape[2] in {2, 4}:
        return np.concatenate([colours, image[:, :, -1:]], axis=2)
    return colours


def _factor(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ArgumentError(f"{where}: the amount must be a number of at least 0, not {short(value)}.")
    return float(value)


def _per_channel(value: ArrayLike, channels: int, name: str) -> NDArray[np.float64]:
    numbers = np.asarray(value, float)
    if numbers.shape not in {(), (1,), (channels,)}:
        raise ArgumentError(
            f"normalize(): {name} must be a number, or one for each of {channels} channels, not {short(value)}."
        )
    return np.broadcast_to(numbers, (channels,))
