"""Tensorpack and its façade side by side, from the same seeds: the same datapoints, the same pixels, the same points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("cv2")

from penstock.compat.tensorpack import dataflow as ours
from penstock.compat.tensorpack.utils import fix_rng_seed

pytestmark = pytest.mark.filterwarnings("ignore")

LIGHT = {
    "eigval": [0.2175, 0.0188, 0.0045],
    "eigvec": [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
}
GRAY, NEAREST, AREA, CUBIC = 6, 0, 3, 2  # OpenCV's BGR2GRAY and interpolations

AUGMENTORS = {
    "ColorSpace": lambda i: i.ColorSpace(GRAY),
    "Grayscale": lambda i: i.Grayscale(keepshape=True),
    "ToUint8": lambda i: i.ToUint8(),
    "ToFloat32": lambda i: i.ToFloat32(),
    "RandomCrop": lambda i: i.RandomCrop((20, 30)),
    "CenterCrop": lambda i: i.CenterCrop(21),
    "RandomCropRandomShape": lambda i: i.RandomCropRandomShape(5, 6),
    "GoogleNetRandomCropAndResize": lambda i: i.GoogleNetRandomCropAndResize(target_shape=32),
    "GoogleNet, middle": lambda i: i.GoogleNetRandomCropAndResize((2.0, 3.0), target_shape=32),
    "RandomCutout": lambda i: i.RandomCutout(5, 7),
    "Shift": lambda i: i.Shift(0.2, 0.3),
    "Rotation": lambda i: i.Rotation(30),
    "Rotation, steps": lambda i: i.Rotation(180, step_deg=45),
    "RotationAndCropValid": lambda i: i.RotationAndCropValid(40),
    "Hue": lambda i: i.Hue((0, 90)),
    "Brightness": lambda i: i.Brightness(30),
    "BrightnessScale": lambda i: i.BrightnessScale((0.5, 1.5)),
    "Contrast": lambda i: i.Contrast((0.5, 1.5)),
    "Contrast, gray": lambda i: i.Contrast((0.5, 1.5), rgb=False),
    "MeanVarianceNormalize": lambda i: i.MeanVarianceNormalize(),
    "MeanVarianceNormalize, channels": lambda i: i.MeanVarianceNormalize(all_channel=False),
    "GaussianBlur": lambda i: i.GaussianBlur(4),
    "Gamma": lambda i: i.Gamma(),
    "Clip": lambda i: i.Clip(20, 100),
    "Saturation": lambda i: i.Saturation(),
    "Lighting": lambda i: i.Lighting(20, **LIGHT),
    "MinMaxNormalize": lambda i: i.MinMaxNormalize(),
    "MinMaxNormalize, channels": lambda i: i.MinMaxNormalize(all_channel=False),
    "Identity": lambda i: i.Identity(),
    "RandomApplyAug": lambda i: i.RandomApplyAug(i.Flip(horiz=True), 0.7),
    "RandomChooseAug": lambda i: i.RandomChooseAug([i.Brightness(30), i.Flip(vert=True), i.Contrast((0.5, 1.5))]),
    "RandomChooseAug, chances": lambda i: i.RandomChooseAug([(i.Brightness(30), 0.3), (i.Flip(vert=True), 0.7)]),
    "RandomOrderAug": lambda i: i.RandomOrderAug([i.Brightness(30), i.Flip(horiz=True, prob=1), i.Gamma()]),
    "MapImage": lambda i: i.MapImage(lambda x: 255 - x, lambda c: c + 1),
    "Flip": lambda i: i.Flip(horiz=True),
    "Resize": lambda i: i.Resize((31, 27)),
    "Resize, nearest": lambda i: i.Resize((31, 27), interp=NEAREST),
    "Resize, area": lambda i: i.Resize(20, interp=AREA),
    "Resize, cubic": lambda i: i.Resize(90, interp=CUBIC),
    "ResizeShortestEdge": lambda i: i.ResizeShortestEdge(33),
    "RandomResize": lambda i: i.RandomResize((0.8, 1.2), (0.8, 1.2)),
    "RandomResize, pixels": lambda i: i.RandomResize((30, 60), aspect_ratio_thres=0),
    "Transpose": lambda i: i.Transpose(),
    "JpegNoise": lambda i: i.JpegNoise(),
    "GaussianNoise": lambda i: i.GaussianNoise(10),
    "SaltPepperNoise": lambda i: i.SaltPepperNoise(),
    "CenterPaste": lambda i: i.CenterPaste((80, 90)),
    "RandomPaste": lambda i: i.RandomPaste((80, 90), i.ConstantBackgroundFiller(3)),
    "AugmentorList": lambda i: i.AugmentorList(
        [
            i.GoogleNetRandomCropAndResize(target_shape=48),
            i.RandomOrderAug([i.BrightnessScale((0.6, 1.4), clip=False), i.Saturation(0.4, rgb=False)]),
            i.Flip(horiz=True),
        ]
    ),
}


@pytest.fixture
def theirs():
    """Tensorpack, with the same seed as ours."""
    dataflow = pytest.importorskip("tensorpack.dataflow")
    from tensorpack.utils.utils import fix_rng_seed as fix

    fix(5)
    fix_rng_seed(5)
    return dataflow


def images():
    """Return noise and smooth pictures, of whole numbers and not."""
    random = np.random.RandomState(0)
    noise = random.randint(0, 256, (50, 60, 3)).astype("uint8")
    return [noise, np.cumsum(noise[:, :45].astype("int64"), axis=0).astype("uint8"), noise.astype("float32") * 0.9]


@pytest.mark.parametrize("name", AUGMENTORS)
def test_augmentors(theirs, name):
    """The same draws, pixels, types and points, image after image."""
    first, second = AUGMENTORS[name](theirs.imgaug), AUGMENTORS[name](ours.imgaug)
    first.reset_state()
    second.reset_state()
    points = np.array([[1.0, 2.0], [30.0, 20.0]], "float32")
    for image in images() * 2:
        a, b = first.get_transform(image.copy()), second.get_transform(image.copy())
        x, y = a.apply_image(image.copy()), b.apply_image(image.copy())
        assert x.dtype == y.dtype
        assert np.array_equal(x, y)
        try:
            moved = a.apply_coords(points.copy())
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                b.apply_coords(points.copy())
        else:
            assert np.allclose(moved, b.apply_coords(points.copy()))


def rows(library):
    """Return a flow of numbers and arrays."""
    return library.DataFromList([[number, np.full(2, number)] for number in range(20)])


FLOWS = {
    "DataFromList": rows,
    "FakeData": lambda d: d.FakeData([[2], [3]], 5),
    "BatchData": lambda d: d.BatchData(rows(d), 6, remainder=True),
    "BatchData, lists": lambda d: d.BatchData(rows(d), 6, use_list=True),
    "LocallyShuffleData": lambda d: d.LocallyShuffleData(rows(d), 7, num_reuse=2),
    "LocallyShuffleData, interval": lambda d: d.LocallyShuffleData(rows(d), 5, shuffle_interval=2),
    "RandomChooseData": lambda d: d.RandomChooseData([(rows(d), 0.25), (rows(d), 0.75)]),
    "RandomMixData": lambda d: d.RandomMixData([rows(d), rows(d)]),
    "CacheData": lambda d: d.CacheData(rows(d), shuffle=True),
    "FixedSizeData": lambda d: d.FixedSizeData(rows(d), 7),
    "FixedSizeData, fresh": lambda d: d.FixedSizeData(rows(d), 7, keep_state=False),
    "JoinData": lambda d: d.JoinData([rows(d), rows(d)]),
    "ConcatData": lambda d: d.ConcatData([rows(d), rows(d)]),
    "RepeatedData": lambda d: d.RepeatedData(rows(d), 2),
    "SelectComponent": lambda d: d.SelectComponent(rows(d), [1, 0]),
}


def plainly(dp):
    """Return a datapoint as lists."""
    return [np.asarray(part).tolist() for part in dp]


@pytest.mark.parametrize("name", FLOWS)
def test_flows(theirs, name):
    """The same datapoints over three passes, or the front of one that has no end, and the same length."""
    first, second = FLOWS[name](theirs), FLOWS[name](ours)
    first.reset_state()
    second.reset_state()
    for _ in range(1 if "Locally" in name else 3):  # left early, the original's buffer loses a datapoint
        a, b = ([plainly(dp) for dp in itertools.islice(flow, 150)] for flow in (first, second))
        assert a == b
    try:
        length = len(first)
    except NotImplementedError:
        with pytest.raises(NotImplementedError):
            len(second)
    else:
        assert length == len(second)
