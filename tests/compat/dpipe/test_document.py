"""dpipe's tutorial on batch iterators, as a program over files: run on ours, unchanged but for the import.

``dpipe.im`` is no part of data loading: ``zoom`` stands here in place of it.
"""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from penstock.compat.dpipe.batch_iter import Infinite, Loky, Threads, apply_at, combine_pad, sample, unpack_args


class MNIST:
    """Digits in a file, with their labels: pairs by position."""

    def __init__(self, root, transform):
        self.images = root / "images.bin"
        self.labels = np.load(root / "labels.npy")
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = np.fromfile(self.images, np.uint8, count=28 * 28, offset=28 * 28 * index)
        return self.transform(image.reshape(28, 28)), int(self.labels[index])


@pytest.fixture
def dataset(tmp_path):
    """A data set on disk: of each image, every pixel is its label."""
    labels = np.arange(200) % 10
    np.save(tmp_path / "labels.npy", labels)
    np.repeat(labels.astype(np.uint8), 28 * 28).tofile(tmp_path / "images.bin")
    return MNIST(tmp_path, transform=np.array)


def zoom(image, scale_factor):
    """Enlarge an image."""
    return np.kron(image, np.ones(scale_factor, image.dtype))


def shapes(batch_iter, scale=1):
    """Return the shapes of an epoch's batches; each image must have its label."""
    found = []
    for xs, ys in batch_iter():
        assert (xs == ys[:, None, None]).all()
        assert xs.shape[1:] == (28 * scale, 28 * scale)
        found.append((len(xs), len(ys)))
    return found


def test_sampling(dataset):
    """Ten batches of thirty an epoch, and again; closed by hand, or by a with statement."""
    for x, y in sample(dataset):
        assert (x.shape, type(y)) == ((28, 28), int)
        break
    batch_iter = Infinite(sample(dataset), batch_size=30, batches_per_epoch=10)
    assert shapes(batch_iter) == [(30, 30)] * 10
    assert shapes(batch_iter) == [(30, 30)] * 10
    batch_iter.close()
    batch_iter = Infinite(sample(dataset), batch_size=30, batches_per_epoch=10)
    with batch_iter:
        assert shapes(batch_iter) == [(30, 30)] * 10


def pair(pair):
    """Enlarge the first of a pair."""
    image, label = pair
    return zoom(image, scale_factor=[2, 2]), label


@pytest.mark.parametrize(
    "transformer",
    [
        pair,
        unpack_args(lambda image, label: [zoom(image, scale_factor=[2, 2]), label]),
        apply_at(0, zoom, scale_factor=[2, 2]),
    ],
)
def test_transformations(dataset, transformer):
    """The image is enlarged and the label stays, by a function of pairs, of two arguments, or of the first entry."""
    batch_iter = Infinite(sample(dataset), transformer, batch_size=30, batches_per_epoch=3)
    with batch_iter:
        assert shapes(batch_iter, 2) == [(30, 30)] * 3


def test_threads():
    """``Threads(…, n_workers=2)`` calls the function twice at the same time; a function alone, once."""
    meeting = threading.Barrier(2)

    def do_stuff(x):
        meeting.wait(30)
        return (x**2,)

    with Infinite(range(10), Threads(do_stuff, n_workers=2), batch_size=10, batches_per_epoch=1) as batch_iter:
        [(squares,)] = batch_iter()
    assert squares.tolist() == [x**2 for x in range(10)]


def test_processes(tmp_path):
    """``Loky(…, n_workers=2)`` calls the function in two processes at the same time."""
    os.mkfifo(tmp_path / "pipe")

    def meet(x):
        if x < 2:  # each end of a pipe is opened when the other is
            with (tmp_path / "pipe").open("rb" if x else "wb"):
                pass
        return x**2, os.getpid()

    with Infinite(range(10), Loky(meet, n_workers=2), batch_size=10, batches_per_epoch=1) as batch_iter:
        [(squares, workers)] = batch_iter()
    assert squares.tolist() == [x**2 for x in range(10)]
    assert len(set(workers[:2])) == 2
    assert os.getpid() not in workers


@pytest.fixture
def volumes():
    """Return images of 10 × 10 × something, with labels."""
    rng = np.random.RandomState(0)
    images = [rng.randn(10, 10, rng.randint(2, 40)) for _ in range(100)]
    return images, rng.randint(0, 2, size=30)


def test_combining(volumes):
    """``combiner=combine_pad`` pads the volumes of a batch to the largest."""
    images, labels = volumes
    batch_iter = Infinite(
        sample(list(zip(images, labels, strict=False))), batch_size=5, batches_per_epoch=3, combiner=combine_pad
    )
    with batch_iter:
        for xs, ys in batch_iter():
            assert (xs.shape[:3], ys.shape) == ((5, 10, 10), (5,))
            assert max(np.flatnonzero(x.any((0, 1))).size for x in xs) == xs.shape[3]


def test_adaptive_batch_size(volumes):
    """A function as ``batch_size`` keeps every batch within 100 slices, and as full as it may be."""
    images, labels = volumes

    def should_add(seq, item):
        count = 0
        for image, _ in seq + [item]:  # noqa: RUF005  as it stands there
            count += image.shape[-1]
        return count <= 100

    source = sample(list(zip(images, labels, strict=False)), random_state=1)
    again = sample(list(zip(images, labels, strict=False)), random_state=1)
    ahead = next(again)
    with Infinite(source, batch_size=should_add, batches_per_epoch=3, combiner=combine_pad) as batch_iter:
        for xs, ys in batch_iter():
            chunk = [ahead]
            while should_add(chunk, ahead := next(again)):
                chunk.append(ahead)
            assert xs.shape == (len(chunk), 10, 10, max(image.shape[-1] for image, _ in chunk))
            assert ys.tolist() == [label for _, label in chunk]
