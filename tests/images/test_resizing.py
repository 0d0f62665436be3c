"""resize: as close to Pillow as is said, for every dtype and number of channels, and without false patterns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import images
from penstock.errors import ArgumentError, ArgumentTypeError


@pytest.mark.parametrize("size", [(250, 300), (224, 224), (100, 100), (64, 90), (20, 20), (600, 700), (500, 30)])
@pytest.mark.parametrize(("interpolation", "bound"), [("bilinear", 1.2), ("bicubic", 3.5), ("lanczos", 4.5)])
def test_close_to_pillow(photographs, size, interpolation, bound):
    """Antialiased, on average over four photographs, up and down, by little and by much."""
    pil = pytest.importorskip("PIL.Image")
    how = getattr(pil, interpolation.upper())
    found = []
    for image in photographs.values():
        theirs = np.asarray(pil.fromarray(image).resize(size[::-1], how)).astype(int)
        found.append(np.abs(images.resize(image, size, interpolation=interpolation) - theirs).mean())
    assert np.mean(found) < bound


def test_no_false_patterns():
    """A fine checkerboard, shrunk, is gray; without antialiasing it becomes some other pattern."""
    board = (np.indices((300, 300)).sum(axis=0) % 2 * 255).astype(np.uint8)
    smooth = images.resize(board, (97, 97))
    assert abs(float(smooth.mean()) - 127.5) < 1
    assert smooth.std() < 12
    assert images.resize(board, (97, 97), antialias=False).std() > 40


DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "area", "bicubic", "lanczos"])
def test_dtype_and_channels_stay(interpolation):
    """Whatever the image is made of, the result is made of; a constant image stays constant."""
    for dtype, channels in itertools.product(DTYPES, [(), (1,), (2,), (3,), (4,), (5,)]):
        image = np.ones((12, 10, *channels), dtype)
        for size in ((6, 7), (20, 20), (3, 12), (1, 1)):
            made = images.resize(image, size, interpolation=interpolation)
            assert made.dtype == image.dtype
            assert made.shape == (*size, *channels)
            assert np.allclose(made, 1, rtol=0, atol=1e-6)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_nearest_is_the_pixel_under_the_middle(height, width, tall, wide):
    """Labels are only moved, never mixed: the plain definition, for every pair of sizes."""
    image = np.arange(height * width).reshape(height, width)
    rows = [int((y + 0.5) * height / tall) for y in range(tall)]
    columns = [int((x + 0.5) * width / wide) for x in range(wide)]
    assert np.array_equal(images.resize(image, (tall, wide), interpolation="nearest"), image[np.ix_(rows, columns)])


def test_the_shorter_side():
    """One number is the length of the shorter side, and the proportions stay."""
    assert images.resize(np.zeros((30, 40, 3), np.uint8), 15).shape == (15, 20, 3)
    assert images.resize(np.zeros((40, 30), np.uint8), 15).shape == (20, 15)
    assert images.resize(np.zeros((1000, 1), np.uint8), 1).shape == (1000, 1)


def test_the_same_size_is_a_copy():
    """Nobody's image changes when the result is written to."""
    image = np.zeros((5, 5), np.uint8)
    images.resize(image, (5, 5))[:] = 1
    assert image.max() == 0


def test_out():
    """The result goes where it is wanted, through every way there is to compute it."""
    for dtype in ("uint8", "float32", "int32"):
        image = np.arange(48 * 3).reshape(6, 8, 3).astype(dtype)
        for how in ("nearest", "bilinear"):
            for size in ((3, 4), (6, 8)):
                out = np.empty((*size, 3), dtype)
                assert images.resize(image, size, interpolation=how, out=out) is out
                assert np.array_equal(out, images.resize(image, size, interpolation=how))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.zeros((4, 4)), 0), {}, ArgumentError, "at least 1"),
        ((np.zeros((4, 4)), (2, 2.5)), {}, ArgumentTypeError, "whole number"),
        ((np.zeros(4), 2), {}, ArgumentError, "height, width"),
        ((np.zeros((0, 4)), 2), {}, ArgumentError, "none of them 0"),
        (([[1, 2]], 2), {}, ArgumentTypeError, r"images\.decode"),
        ((np.zeros((4, 4)), 2), {"interpolation": "bilinea"}, ArgumentError, "Did you mean 'bilinear'"),
        ((np.zeros((4, 4)), 2), {"antialias": 1}, ArgumentTypeError, "True or False"),
        ((np.zeros((4, 4)), 2), {"out": np.zeros((2, 3))}, ArgumentError, "out is float64 of shape"),
        ((np.zeros((4, 4), complex), 2), {}, ArgumentTypeError, "nearest"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, options, error, message):
    """Each is named, with the remedy."""
    with pytest.raises(error, match=message):
        images.resize(*arguments, **options)
