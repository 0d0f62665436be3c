"""Where pixels go: against plain definitions on small arrays, and points against the pixels that they mark."""

from __future__ import annotations

import numpy as np
import pytest

from penstock import images
from penstock.errors import ArgumentError
from penstock.images import geometry

IMAGE = np.arange(5 * 7 * 3).reshape(5, 7, 3).astype(np.uint8)
DTYPES = ["bool", "uint8", "int8", "uint16", "int32", "int64", "float16", "float32", "float64"]


def test_crop_and_center_crop():
    """They are slices, and views."""
    assert np.array_equal(images.crop(IMAGE, 1, 2, 3, 4), IMAGE[1:4, 2:6])
    assert images.crop(IMAGE, 1, 2, 3, 4).base is not None
    assert np.array_equal(images.center_crop(IMAGE, (3, 5)), IMAGE[1:4, 1:6])
    assert np.array_equal(images.center_crop(IMAGE, 5), IMAGE[:, 1:6])
    for box in ((0, 0, 6, 1), (0, 4, 1, 4), (5, 0, 1, 1)):
        with pytest.raises(ArgumentError, match=r"beyond an image of 5 × 7"):
            images.crop(IMAGE, *box)
    with pytest.raises(ArgumentError, match="beyond"):
        images.center_crop(IMAGE, 6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [(), (1,), (3,), (6,)])
def test_flip_pad_and_rotate_keep_dtype_and_channels(dtype, channels):
    """Whatever the image is made of, and quarter turns move pixels exactly."""
    image = (np.arange(25 * int(np.prod(channels))).reshape(5, 5, *channels) % 100).astype(dtype)
    assert np.array_equal(images.flip(image), image[:, ::-1])
    assert np.array_equal(images.flip(image, "vertical"), image[::-1])
    padded = images.pad(image, 1, 2, 3, 4)
    assert padded.dtype == image.dtype
    assert np.array_equal(padded[1:6, 3:8], image)
    assert not padded[0].any()
    turned = images.rotate(image, 90, interpolation="nearest")
    assert turned.dtype == image.dtype
    assert np.array_equal(turned, np.rot90(image))


@pytest.mark.parametrize("border", ["edge", "reflect", "symmetric", "wrap"])
def test_pad_borders_are_numpys(border):
    """Word for word."""
    wanted = np.pad(IMAGE, [(1, 2), (3, 0), (0, 0)], mode=border)
    assert np.array_equal(images.pad(IMAGE, top=1, bottom=2, left=3, border=border), wanted)


def test_fill_of_each_channel():
    """A colour for what is new."""
    assert images.pad(IMAGE, top=1, fill=(1, 2, 3))[0, 0].tolist() == [1, 2, 3]
    assert images.rotate(IMAGE, 45, fill=(9, 8, 7))[0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize("degrees", [90, 180, 270, -90])
def test_quarter_turns_are_exact(degrees):
    """With expand, of any proportions, and with the interpolation that photographs get."""
    turned = images.rotate(IMAGE, degrees, expand=True)
    assert np.array_equal(turned, np.rot90(IMAGE, degrees // 90))


def test_affine_moves_scales_and_slants():
    """Whole pixels down and right; twice as large about the middle; slanted rows stay rows."""
    assert np.array_equal(images.affine(IMAGE, translate=(1, 2))[1:, 2:], IMAGE[:-1, :-2])
    dot = np.zeros((9, 9), np.float32)
    dot[4, 4] = 1
    assert images.affine(dot, scale=3, interpolation="nearest").sum() == 9
    column = np.zeros((9, 9), np.float32)
    column[:, 4] = 1
    assert images.affine(column, shear=(0, 45), interpolation="nearest").argmax(axis=1).tolist() == list(range(9))
    with pytest.raises(ArgumentError, match="scale must be above 0"):
        images.affine(dot, scale=0)


def test_perspective_brings_points_where_they_belong():
    """The four points, and a fifth along."""
    old = [(0, 0), (20, 0), (20, 20), (0, 20)]
    new = [(2, 1), (18, 3), (19, 17), (1, 19)]
    matrix = geometry.perspective_matrix(old, new)
    assert np.allclose(geometry.mapped(matrix, np.array(old)), new, atol=1e-4)
    image = np.zeros((20, 20), np.float32)
    image[12:15, 6:9] = 1
    x, y = geometry.mapped(matrix, np.array([(7.5, 13.5)]))[0]
    moved = images.perspective(image, old, new)
    ys, xs = np.indices(moved.shape) + 0.5
    assert abs((moved * xs).sum() / moved.sum() - x) < 0.3
    assert abs((moved * ys).sum() / moved.sum() - y) < 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: images.flip(IMAGE, "diagonal"), "axis must be one of"),
        (lambda: images.pad(IMAGE, -1), "at least 0"),
        (lambda: images.pad(IMAGE, 1, border="egde"), "Did you mean 'edge'"),
        (lambda: images.rotate(IMAGE, 3, border="mirror"), "border must be one of"),
        (lambda: images.perspective(IMAGE, [(0, 0)], [(0, 0)]), "four points"),
    ],
)
def test_arguments_that_cannot_be_used(call, message):
    """Each is named, with the remedy."""
    with pytest.raises(ArgumentError, match=message):
        call()
