"""Augmentations: one draw for image, mask, boxes and points; from the item's generator alone; plain values."""

from __future__ import annotations

import dataclasses
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock import images
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import check_dataset

GEOMETRIC = [
    images.RandomResizedCrop(24),
    images.RandomResizedCrop((20, 30), scale=(0.3, 0.6), ratio=(0.5, 2), antialias=False),
    images.RandomCrop((20, 25)),
    images.CenterCrop(22),
    images.Resize((50, 33)),
    images.Resize(25, interpolation="bicubic"),
    images.RandomResize((20, 40)),
    images.RandomResize((20, 90), longest=60),
    images.Pad((3, 5)),
    images.Pad(size=70),
    images.RandomFlip(),
    images.RandomFlip(p=1, axis="vertical"),
    images.RandomRotation(30),
    images.RandomRotation((-90, 90), expand=True),
    images.RandomAffine(20, translate=(0.1, 0.2), scale=(0.7, 1.3), shear=10),
    images.RandomPerspective(0.4),
]
COLOURS = [
    images.ColorJitter(0.4, 0.4, 0.4, 0.1),
    images.ColorJitter(brightness=(0.5, 1.5)),
    images.RandomGamma(),
    images.RandomGrayscale(0.5),
    images.Lighting(),
    images.GaussianNoise(0.1),
    images.GaussianNoise((0, 0.1)),
    images.SaltAndPepper(0.1),
    images.GaussianBlur((0, 2)),
    images.JpegNoise((20, 90)),
    images.RandomErasing(p=1),
    images.RandomErasing(fill="noise"),
    images.RandomErasing(fill=(1, 2, 3)),
    images.Cutout(9, holes=2),
    images.Normalize(),
    images.Normalize(0.5, 0.25, dtype="float16", layout="CHW"),
]
ALL = GEOMETRIC + COLOURS
SHAPE = (41, 53)


class Sample(NamedTuple):
    """An item with names and places."""

    image: np.ndarray
    mask: np.ndarray
    label: int


@dataclasses.dataclass
class Record:
    """An item as somebody's own class."""

    image: np.ndarray
    boxes: np.ndarray
    label: int


def picture(seed=0, shape=SHAPE):
    """A smooth colour image."""
    rng = np.random.default_rng(seed)
    return images.resize(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8), shape)


def sample(seed=0):
    """An image with a dot, a mask of the dot, a box around it and a point in its middle."""
    rng = np.random.default_rng(seed)
    x, y = int(rng.integers(14, 39)), int(rng.integers(14, 27))
    dot = np.zeros((*SHAPE, 3), np.uint8)
    dot[y - 3 : y + 4, x - 3 : x + 4] = 255
    return {
        "image": dot,
        "mask": (dot[:, :, 0] > 0).astype(np.int32),
        "boxes": np.array([(x - 3, y - 3, x + 4, y + 4)], np.float32),
        "points": np.array([(x + 0.5, y + 0.5)], np.float32),
        "label": 7,
    }


def middle(weights):
    """The centre of weight, as x and y."""
    ys, xs = np.indices(weights.shape) + 0.5
    return (weights * xs).sum() / weights.sum(), (weights * ys).sum() / weights.sum()


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
def test_contract(augmentation):
    """In a pipeline, alone and in a row, every promise of a description holds."""
    pictures = [picture(seed) for seed in range(4)]
    check_dataset(ps.items(pictures).seed(5).map(augmentation, rng=True).map(np.sum), limit=4)


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
def test_draws_come_from_the_items_generator_alone(augmentation):
    """The same generator gives the same image whatever was drawn globally; the argument is left as it was."""
    image = picture()
    image.setflags(write=False)
    one = augmentation(image, rng=np.random.default_rng(3))
    np.random.seed(0)  # noqa: NPY002  the global generator, which must not matter
    assert np.array_equal(one, augmentation(image, rng=np.random.default_rng(3)))


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
def test_values_are_plain(augmentation):
    """Printed as they are written, equal to their copies, hashable, picklable, and frozen."""
    assert eval(repr(augmentation), vars(images)) == augmentation
    copy = pickle.loads(pickle.dumps(augmentation))
    assert copy == augmentation
    assert hash(copy) == hash(augmentation)
    with pytest.raises(dataclasses.FrozenInstanceError):
        augmentation.size = 1


@pytest.mark.parametrize("augmentation", GEOMETRIC, ids=repr)
def test_image_mask_boxes_and_points_move_together(augmentation):
    """Wherever the dot goes, the mask, the box and the point are there too."""
    seen = 0
    for seed in range(25):
        before = sample(seed)
        after = augmentation(before, rng=np.random.default_rng(seed))
        height, width = after["image"].shape[:2]
        assert after["mask"].shape == (height, width)
        assert after["mask"].dtype == np.int32
        assert set(np.unique(after["mask"])) <= {0, 1}
        assert after["label"] == 7
        (left, top, right, bottom), (x, y) = after["boxes"][0], after["points"][0]
        assert 0 <= left <= right <= width
        assert 0 <= top <= bottom <= height
        if not (left > 1 and top > 1 and right < width - 1 and bottom < height - 1):
            continue  # cut off: the rest of the dot has another middle
        seen += 1
        far = max(2.0, 0.1 * (right - left))
        for weights in (after["image"][:, :, 0].astype(float), after["mask"]):
            assert np.hypot(*(np.subtract(middle(weights), (x, y)))) < far
            ys, xs = np.nonzero(weights > weights.max() / 2)
            assert left - 1 <= xs.min() <= xs.max() <= right + 1
            assert top - 1 <= ys.min() <= ys.max() <= bottom + 1
    assert seen >= 3


@pytest.mark.parametrize("augmentation", COLOURS, ids=repr)
def test_colours_leave_the_rest_alone(augmentation):
    """Masks, boxes and points of what changes in place are those that came in."""
    before = {**sample(), "image": picture()}
    after = augmentation(before, rng=np.random.default_rng(0))
    for name in ("mask", "boxes", "points", "label"):
        assert np.array_equal(after[name], before[name])
    alone = augmentation(before["image"], rng=np.random.default_rng(0))
    assert np.array_equal(after["image"], alone)


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
def test_forms_of_items(augmentation):
    """A tuple, a dict, a named tuple and a dataclass keep their form, and get the image that a bare one gets."""
    image, mask, boxes = picture(), np.zeros(SHAPE, np.uint8), np.array([(1, 2, 3, 4)], np.float32)
    wanted = augmentation(image, rng=np.random.default_rng(1))

    def made(item):
        return augmentation(item, rng=np.random.default_rng(1))

    pair = made((image, "cat"))
    assert isinstance(pair, tuple)
    assert pair[1] == "cat"
    named = made(Sample(image, mask, 5))
    assert isinstance(named, Sample)
    assert named.label == 5
    record = made(Record(image, boxes, 6))
    assert isinstance(record, Record)
    assert record.label == 6
    for got in (
        pair[0],
        named.image,
        record.image,
        made({"image": image})["image"],
        made({"image": image, "mask": None})["image"],
    ):
        assert np.array_equal(got, wanted)


@pytest.mark.parametrize("item", ["text", [np.zeros((2, 2))], {"picture": 1}, (1, 2), None, ()])
def test_what_holds_no_image_is_said_so(item):
    """With the forms that there are."""
    with pytest.raises(ArgumentTypeError, match="field 'image'"):
        images.RandomFlip()(item, rng=np.random.default_rng(0))


def test_fields_that_do_not_fit_are_named():
    """A mask of another shape, boxes of another number of columns."""
    image = picture()
    for field, value, message in [
        ("mask", np.zeros((3, 3)), "the mask has"),
        ("boxes", np.zeros((2, 5)), "left, top, right, bottom"),
        ("points", np.zeros(2), "x, y"),
        ("points", [("a", "b")], "x, y"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            images.RandomFlip(p=1)({"image": image, field: value}, rng=np.random.default_rng(0))


def test_no_boxes_and_whole_numbers():
    """An image without objects is an image; whole numbers become float32, and float64 stays."""
    for empty in (np.zeros((0, 4), np.float64), []):
        after = images.CenterCrop(9)({"image": picture(), "boxes": empty})
        assert after["boxes"].shape == (0, 4)
    after = images.CenterCrop(9)({"image": picture(), "boxes": [(0, 0, 40, 40)], "points": [(50.0, 1.0)]})
    assert after["boxes"].dtype == np.float32
    assert after["boxes"].tolist() == [[0, 0, 9, 9]]
    assert after["points"].tolist() == [[28.0, -15.0]]  # outside: clipped, it would be somewhere else


@pytest.mark.parametrize(
    "augmentation",
    [a for a in ALL if not isinstance(a, (images.CenterCrop, images.Resize, images.Pad, images.Normalize))],
    ids=repr,
)
def test_random_ones_want_a_generator(augmentation):
    """The error says how they are used in a pipeline."""
    with pytest.raises(ArgumentError, match="rng=True"):
        augmentation(picture())


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 1000))
def test_random_resized_crop_stays_inside(height, width, seed):
    """Of any image, also of one so narrow that no shape fits; its area and proportions are within bounds if one does."""
    crop = images.RandomResizedCrop(8, scale=(0.2, 0.5))
    top, left, tall, wide = crop.box((height, width, 3), np.random.default_rng(seed))
    assert 0 <= top <= top + tall <= height
    assert 0 <= left <= left + wide <= width
    assert min(tall, wide) >= 1
    if min(height, width) > 50 and max(height, width) < 2 * min(height, width):
        assert 0.18 < tall * wide / (height * width) < 0.55
        assert 0.7 < wide / tall < 1.43


def test_how_often_and_how_far():
    """Half of the flips flip; noise has its standard deviation; salt is as common as it should be; angles spread."""
    image = np.full((60, 60, 3), 128, np.uint8)
    image[:, :30] = 100
    rng = np.random.default_rng(0)
    flips = sum(bool(images.RandomFlip()(image, rng=rng)[0, 0, 0] == 128) for _ in range(400))
    assert 150 < flips < 250
    noisy = images.GaussianNoise(0.05)(image, rng=rng).astype(float) - image
    assert abs(noisy.std() - 0.05 * 255) < 0.5
    assert abs(noisy.mean()) < 0.5
    peppered = images.SaltAndPepper(0.2)(image, rng=rng)
    assert 0.06 < (peppered == 255).all(axis=2).mean() < 0.14
    assert 0.06 < (peppered == 0).all(axis=2).mean() < 0.14
    erased = images.RandomErasing(p=1, scale=(0.1, 0.2), ratio=(1, 1))(image, rng=rng)
    assert 0.08 < (erased == 0).all(axis=2).mean() < 0.22
    assert (images.Cutout(10)(image, rng=rng) == 0).all(axis=2).sum() <= 100


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("augmentation", [a for a in ALL if not isinstance(a, images.JpegNoise)], ids=repr)
def test_other_dtypes(augmentation, dtype):
    """16 bits and floating point come out as they went in, and gray images of two axes do too."""
    full = 65535 if dtype == "uint16" else 1
    image = (picture() / 255 * full).astype(dtype)
    for item in (image, image[:, :, 0]):
        if isinstance(augmentation, images.Normalize) or (
            item.ndim == 2 and getattr(augmentation, "fill", 0) == (1.0, 2.0, 3.0)
        ):
            continue
        made = augmentation(item, rng=np.random.default_rng(0))
        assert made.dtype == dtype
        assert made.ndim == item.ndim
        assert made.max() <= full * 3  # a fill is taken as it is


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: images.RandomFlip(1.5), "from 0 to 1"),
        (lambda: images.RandomFlip(axis="x"), "axis must be one of"),
        (lambda: images.RandomResizedCrop(0), "at least 1"),
        (lambda: images.RandomResizedCrop(8, scale=(0, 1)), "scale must be above 0 and at most 1"),
        (lambda: images.RandomResizedCrop(8, ratio=(2, 1)), "the lower first"),
        (lambda: images.RandomResizedCrop(8, scale=0.5), "two numbers"),
        (lambda: images.RandomRotation("a"), "degrees must be two numbers"),
        (lambda: images.RandomRotation(5, border="none"), "border must be one of"),
        (lambda: images.RandomAffine(translate=(2, 0)), "from 0 to 1"),
        (lambda: images.RandomAffine(translate=1), "part of height"),
        (lambda: images.RandomAffine(scale=(0, 1)), "scale must be above 0"),
        (lambda: images.RandomPerspective(2), "from 0 to 1"),
        (lambda: images.RandomResize((0, 3)), "at least 1"),
        (lambda: images.Pad((1, 2, 3)), "rows, columns"),
        (lambda: images.ColorJitter(-1), "at least 0"),
        (lambda: images.ColorJitter(hue=0.7), "between -0.5 and 0.5"),
        (lambda: images.RandomGamma((0, 1)), "above 0"),
        (lambda: images.GaussianNoise(-1), "at least 0"),
        (lambda: images.GaussianBlur((2, 1)), "the lower first"),
        (lambda: images.JpegNoise((0, 200)), "from 1 to 100"),
        (lambda: images.RandomErasing(scale=(0, 2)), "between 0 and 1"),
        (lambda: images.RandomErasing(fill="blue"), "fill must be one of"),
        (lambda: images.Cutout(0), "at least 1"),
        (lambda: images.Normalize(layout="WHC"), "layout must be one of"),
        (lambda: images.RandomCrop(99)(picture(), rng=np.random.default_rng(0)), r"images\.Pad"),
    ],
)
def test_arguments_that_cannot_be_used(make, message):
    """Each is refused where it is written, with its name and the remedy."""
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        make()
