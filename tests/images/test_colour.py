"""Colours: against their definitions, alike for every dtype, and alpha left alone."""

from __future__ import annotations

import numpy as np
import pytest

from penstock import images
from penstock.errors import ArgumentError, ArgumentTypeError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (8, 9, 3), dtype=np.uint8)
GRAY = np.array([0.299, 0.587, 0.114])

CHANGES = {
    "brightness": (lambda i: images.adjust_brightness(i, 1.3), lambda x: x * 1.3),
    "contrast": (lambda i: images.adjust_contrast(i, 1.4), lambda x: (x - (x @ GRAY).mean()) * 1.4 + (x @ GRAY).mean()),
    "gamma": (lambda i: images.adjust_gamma(i, 2.2), lambda x: x**2.2),
    "saturation": (lambda i: images.adjust_saturation(i, 1.7), lambda x: 1.7 * x - 0.7 * (x @ GRAY)[..., None]),
    "grayscale": (images.grayscale, lambda x: np.repeat((x @ GRAY)[..., None], 3, axis=2)),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    ("dtype", "full"), [("uint8", 255), ("uint16", 65535), ("float32", 1), ("float64", 1), ("float16", 1)]
)
def test_definitions(name, dtype, full):
    """In numbers from 0 to 1, cut off at both ends, whatever the image is made of."""
    change, definition = CHANGES[name]
    image = (IMAGE / 255 * full).round(0 if full > 1 else 9).astype(dtype)
    made = change(image)
    assert made.dtype == image.dtype
    wanted = np.clip(definition(image.astype(float) / full), 0, 1)
    assert np.abs(made.astype(float) / full - wanted).max() < (0.01 if dtype == "float16" else 1 / 255)


@pytest.mark.parametrize("name", CHANGES)
def test_alpha_stays_and_gray_stays_gray(name):
    """Colours change as they would without alpha; gray images of one channel work, with or without an axis for it."""
    change, _ = CHANGES[name]
    alpha = np.dstack([IMAGE, IMAGE[:, :, 0]])
    assert np.array_equal(change(alpha)[:, :, 3], IMAGE[:, :, 0])
    assert np.array_equal(change(alpha)[:, :, :3], change(IMAGE))
    assert np.array_equal(change(IMAGE[:, :, :1])[:, :, 0], change(IMAGE[:, :, 0]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_hue_goes_round(dtype):
    """A third of the circle makes red green, green blue and blue red; no turn changes nothing."""
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    primary = (np.eye(3) * full).astype(dtype).reshape(1, 3, 3)
    turned = images.adjust_hue(primary, 1 / 3).astype(float) / full
    assert np.abs(turned[0] - np.roll(np.eye(3), 1, axis=1)).max() < 0.02
    assert np.array_equal(images.adjust_hue(primary, 0), primary)
    with pytest.raises(ArgumentError, match="turn must be from"):
        images.adjust_hue(primary, 0.6)


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("source", ["uint8", "float32"])
def test_normalize(layout, dtype, source):
    """(x − mean) / std of colours from 0 to 1, in either layout, from bytes or numbers."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = IMAGE if source == "uint8" else (IMAGE / 255).astype(source)
    made = images.normalize(image, mean, std, dtype=dtype, layout=layout)
    wanted = (IMAGE / 255 - mean) / std
    assert made.dtype == dtype
    assert np.allclose(
        made, wanted if layout == "HWC" else wanted.transpose(2, 0, 1), atol=0.01 if dtype == "float16" else 1e-5
    )
    assert images.normalize(image[:, :, 0], 0.5, 0.5).shape == (8, 9)
    assert images.normalize(image[:, :, 0], 0.5, 0.5, layout="CHW").shape == (1, 8, 9)


def test_to_float():
    """From 0 to 1; what is floating point keeps its values."""
    assert np.allclose(images.to_float(IMAGE), IMAGE / 255)
    assert images.to_float(IMAGE).dtype == np.float32
    assert np.array_equal(images.to_float(np.array([[0.25]])), np.array([[0.25]], np.float32))


def test_blur_compress_and_erase():
    """Blur spreads a dot and keeps its weight; compression changes little; what is erased is filled."""
    dot = np.zeros((21, 21), np.float32)
    dot[10, 10] = 1
    blurred = images.gaussian_blur(dot, 2)
    assert abs(blurred.sum() - 1) < 1e-3
    ys = np.arange(21) - 10
    assert abs((blurred.sum(axis=1) * ys**2).sum() - 4) < 0.5
    smooth = np.repeat(np.linspace(0, 255, 64)[None], 64, axis=0).astype(np.uint8)
    for image in (smooth, smooth[:, :, None], np.dstack([smooth, smooth[::-1], smooth.T])):
        assert images.compress(image, 90).shape == image.shape
        assert np.abs(images.compress(image, 95).astype(int) - image).mean() < 4
    assert images.erase(IMAGE, -2, 7, 4, 9, fill=(1, 2, 3))[:2, 7:].reshape(-1, 3).tolist() == [[1, 2, 3]] * 4


def test_nothing_is_changed_in_place():
    """A function's argument is the caller's, and may be shared or read-only."""
    image = IMAGE.copy()
    image.setflags(write=False)
    for change, _ in CHANGES.values():
        change(image)
    for factor in (0, 1):
        assert images.adjust_brightness(image, factor).flags.writeable
    (
        images.adjust_hue(image, 0.1),
        images.gaussian_blur(image, 1),
        images.compress(image, 50),
        images.erase(image, 0, 0, 1, 1),
    )
    images.normalize(image, 0.5, 0.5), images.to_float(image), images.flip(image), images.rotate(image, 10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: images.adjust_brightness(IMAGE.astype(int), 1), ArgumentTypeError, "uint8, uint16, or floating"),
        (lambda: images.adjust_contrast(IMAGE, -1), ArgumentError, "at least 0"),
        (lambda: images.normalize(IMAGE, (1, 2), 1), ArgumentError, "one for each of 3 channels"),
        (lambda: images.normalize(IMAGE, 0, 0), ArgumentError, "std must be above 0"),
        (lambda: images.normalize(IMAGE, 0, 1, layout="NCHW"), ArgumentError, "Did you mean 'CHW'"),
        (lambda: images.compress(IMAGE.astype(float), 50), ArgumentError, "uint8, gray or RGB"),
        (lambda: images.compress(IMAGE, 0), ArgumentError, "at least 1"),
        (lambda: images.gaussian_blur(IMAGE, float("nan")), ArgumentError, "at least 0"),
    ],
)
def test_arguments_that_cannot_be_used(call, error, message):
    """Each is named, with the remedy."""
    with pytest.raises(error, match=message):
        call()
