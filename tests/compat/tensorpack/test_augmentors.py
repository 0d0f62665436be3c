"""Augmentors and the flows that apply them: several components alike, copies, errors, processes, older classes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("cv2")

from penstock.compat.tensorpack.dataflow import (
    AugmentImageComponent,
    AugmentImageComponents,
    AugmentImageCoordinates,
    AugmentorList,
    DataFromList,
    ImageFromFile,
    MultiProcessMapData,
    imgaug,
)
from penstock.compat.tensorpack.utils import fix_rng_seed


def image(height=20, width=30):
    """Return a picture each of whose pixels says where it is."""
    made = np.zeros((height, width, 3), "uint8")
    made[..., 0], made[..., 1] = np.arange(height)[:, None], np.arange(width)
    return made


def flow(*rows):
    """Return a flow of rows."""
    return DataFromList(list(rows), shuffle=False)


def test_image_mask_and_points_move_alike():
    """One draw for all components: the point's pixel, in image and mask, is the one that it was."""
    augmentors = [imgaug.RandomCrop((12, 14)), imgaug.Flip(horiz=True), imgaug.Flip(vert=True)]
    rows = [[image(), image()[..., 0], np.array([[15.5, 10.5]])] for _ in range(20)]
    ds = AugmentImageComponents(flow(*rows), augmentors, index=(0, 1), coords_index=(2,))
    ds.reset_state()
    seen = set()
    for made, mask, points in ds:
        assert np.array_equal(made[..., 0], mask)
        x, y = (int(np.floor(value)) for value in points[0])
        seen.add((x, y))
        if 0 <= x < 14 and 0 <= y < 12:
            assert made[y, x, :2].tolist() == [10, 15]
    assert len(seen) > 3
    assert np.array_equal(rows[0][2], [[15.5, 10.5]])  # what was given is as it was


def test_image_and_points():
    """AugmentImageCoordinates moves points in float32 and float64, and refuses what are none."""
    ds = AugmentImageCoordinates(flow([image(), np.array([[3.0, 4.0]], "float32")]), [imgaug.Resize((40, 60))])
    ((made, points),) = list(ds)
    assert made.shape == (40, 60, 3)
    assert points.tolist() == [[6, 8]]
    with pytest.raises(AssertionError):
        list(AugmentImageCoordinates(flow([image(), np.array([[3, 4]])]), [imgaug.Identity()]))


def test_errors_are_raised_or_left_out():
    """A datapoint that fails is an error, or left out and logged where that is said."""
    rows = [[image(), 0], [image(4, 4), 1], [image(), 2]]
    with pytest.raises(AssertionError):
        list(AugmentImageComponent(flow(*rows), [imgaug.CenterCrop(10)]))
    ds = AugmentImageComponent(flow(*rows), [imgaug.CenterCrop(10)], catch_exceptions=True)
    assert [label for _, label in ds] == [0, 2]
    with pytest.raises(AssertionError, match="numpy array"):
        list(AugmentImageComponent(flow(["no image"]), [imgaug.Identity()]))


def test_older_augmentors_still_work():
    """Classes that define _get_augment_params and _augment are augmentors; what was drawn can be applied again."""

    class Older(imgaug.ImageAugmentor):
        def _get_augment_params(self, img):
            return self.rng.randint(1, 5)

        def _augment(self, img, params):
            return img + params

    older = Older()
    made, params = older.augment_return_params(image())
    assert np.array_equal(older.augment_with_params(image(), params), made)
    assert np.array_equal(older.augment_coords(np.ones((1, 2)), params), np.ones((1, 2)))
    assert 0 < made[0, 0, 0] < 5


def test_they_print_as_they_are_written():
    """Arguments that are not the default are shown."""
    both = AugmentorList([imgaug.Flip(horiz=True, prob=0.2), imgaug.CenterCrop(3)])
    assert repr(both) == (
        "imgaug.AugmentorList([\n  imgaug.Flip(horiz=True, prob=0.2),\n  imgaug.CenterCrop(crop_shape=(3, 3))])"
    )


def test_each_process_draws_for_itself():
    """An augmentor that travels leaves its generator behind; with a fixed seed, workers still differ."""
    fix_rng_seed(4)
    augmentor = imgaug.Brightness(100)
    state = augmentor.rng.get_state()[1]
    assert "rng" not in pickle.loads(pickle.dumps(augmentor)).__dict__
    ds = MultiProcessMapData(
        flow(*[[number] for number in range(40)]), 2, lambda dp: [float(augmentor.rng.rand())], strict=True
    )
    drawn = [dp[0] for dp in ds]
    assert len(set(drawn)) == 40
    assert np.array_equal(augmentor.rng.get_state()[1], state)


def test_images_from_files(pictures):
    """Files as red, green, blue or gray, resized; an unreadable one is named."""
    import cv2

    files = sorted(str(path) for path in pictures.glob("train/*/*.JPEG"))
    ds = ImageFromFile(files, resize=(20, 24))
    assert len(ds) == 12
    assert np.array_equal(next(iter(ds))[0], cv2.resize(cv2.imread(files[0])[:, :, ::-1], (24, 20)))
    assert next(iter(ImageFromFile(files, channel=1, resize=8)))[0].shape == (8, 8, 1)
    with pytest.raises(AssertionError, match="nowhere"):
        list(ImageFromFile(["nowhere.jpg"]))


def test_the_old_name_of_augmentors_that_return_transforms():
    """``transform.TransformAugmentorBase``, of programs from before Tensorpack 0.10, is ImageAugmentor."""
    from penstock.compat.tensorpack.dataflow.imgaug import transform

    assert transform.TransformAugmentorBase is imgaug.ImageAugmentor
    with pytest.raises(AttributeError, match="nothing"):
        transform.nothing
