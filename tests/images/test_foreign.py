"""Other libraries' augmentations: seeded by item, in any executor, and the process's generators left as they were."""

from __future__ import annotations

import pickle
import random
import sys
import types

import numpy as np
import pytest

import penstock as ps
from penstock import images
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import check_dataset

IMAGE = np.arange(20 * 30 * 3).reshape(20, 30, 3).astype(np.uint8)


class Shift:
    """A transform as Albumentations' are: it draws from generators that it is given, and keeps what it drew."""

    def __init__(self):
        self.set_random_state(np.random.default_rng(), random.Random())
        self.calls = 0

    def set_random_state(self, random_generator, py_random):
        self.random_generator = random_generator
        self.py_random = py_random

    def __call__(self, **data):
        self.calls += 1
        self.drawn = int(self.random_generator.integers(1000)), self.py_random.random()
        data["image"] = np.array([*self.drawn, data["image"].sum()])
        if "bboxes" in data:
            data["bboxes"] = np.asarray(data["bboxes"]) + self.drawn[0]
        return data


def draw(x):
    """Draw from what is everybody's."""
    return x, random.random(), float(np.random.random())  # noqa: NPY002


def test_albumentations_like_transforms_keep_the_promises():
    """The same images inline, in threads, in processes and after a resume: each thread has a copy of its own."""
    pictures = [IMAGE + i for i in range(6)]
    dataset = ps.items(pictures).seed(3).map(images.Albumentations(Shift()), rng=True)
    check_dataset(dataset, limit=6)
    wanted = [item.tolist() for item in dataset]
    assert len({tuple(item) for item in wanted}) == 6
    for workers in (ps.Threads(3), ps.Processes(2)):
        with dataset.loader(workers=workers) as loader:
            assert [item.tolist() for item in loader] == wanted


def test_albumentations_fields():
    """Boxes and points travel under the names of both; other fields come back; the user's own transform is not called."""
    transform = Shift()
    made = images.Albumentations(transform)
    item = {"image": IMAGE, "boxes": np.zeros((1, 4)), "label": 3}
    after = made(item, rng=np.random.default_rng(0))
    assert set(after) == set(item)
    assert after["label"] == 3
    assert after["boxes"][0, 0] == after["image"][0]
    assert made((IMAGE, "cat"), rng=np.random.default_rng(0))[1] == "cat"
    assert transform.calls == 0
    assert pickle.loads(pickle.dumps(made)) is not made


def test_albumentations_itself():
    """The real library, where it is installed: the same item, the same draw; boxes follow their image."""
    library = pytest.importorskip("albumentations")
    boxes = library.BboxParams("pascal_voc", label_fields=["labels"])
    transform = library.Compose(
        [
            library.RandomCrop(12, 12),
            library.HorizontalFlip(),
            library.GaussNoise(),
            library.RandomBrightnessContrast(),
        ],
        bbox_params=boxes,
    )
    item = {"image": IMAGE, "boxes": np.array([[2, 3, 20, 18]], float), "labels": [5]}
    dataset = ps.items([item] * 8).seed(1).map(images.Albumentations(transform), rng=True)
    check_dataset(dataset, limit=8)
    assert len({one["image"].tobytes() for one in dataset}) > 1
    assert dataset[0]["image"].shape == (12, 12, 3)
    alone = library.Compose([library.HorizontalFlip(p=0.5), library.ISONoise(p=1)])
    check_dataset(ps.items([IMAGE] * 4).map(images.Albumentations(alone), rng=True), limit=4)


def test_seeded_functions_keep_the_promises():
    """What draws from global generators draws the item's own numbers in any executor."""
    dataset = ps.range(8).seed(3).map(images.Seeded(draw), rng=True)
    check_dataset(dataset, limit=8)
    assert len({numbers for _, *numbers in map(tuple, dataset) for numbers in numbers}) == 16
    with dataset.loader(workers=ps.Threads(3)) as loader:
        assert list(loader) == list(dataset)


def test_seeded_puts_the_generators_back():
    """Also when the function fails."""

    def fail(x):
        random.random()
        raise OSError("no")

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    wanted = draw(0)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    images.Seeded(draw)(0, rng=np.random.default_rng(0))
    with pytest.raises(OSError, match="no"):
        images.Seeded(fail)(0, rng=np.random.default_rng(0))
    assert draw(0) == wanted


def test_seeded_takes_torch_along(monkeypatch):
    """Where torch is imported already, its generator for the CPU is seeded by item and put back; it is never imported."""
    seen = []
    fake = types.SimpleNamespace(
        random=types.SimpleNamespace(
            get_rng_state=lambda: "before",
            set_rng_state=seen.append,
            default_generator=types.SimpleNamespace(manual_seed=seen.append),
        )
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    images.Seeded(draw)(0, rng=np.random.default_rng(0))
    assert isinstance(seen[0], int)
    assert seen[1:] == ["before"]


def test_arguments_that_cannot_be_used():
    """Each error names the way out."""
    with pytest.raises(ArgumentTypeError, match=r"images\.Seeded"):
        images.Albumentations(lambda image: image)
    with pytest.raises(ArgumentTypeError, match="function must be a function"):
        images.Seeded(3)
    for adapter in (images.Albumentations(Shift()), images.Seeded(draw)):
        with pytest.raises(ArgumentError, match="rng=True"):
            adapter(IMAGE)
    with pytest.raises(ArgumentTypeError, match="a tuple that begins with one, or a dict"):
        images.Albumentations(Shift())("text", rng=np.random.default_rng(0))
