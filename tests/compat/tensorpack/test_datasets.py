"""Data sets in the forms that they are distributed in, written here by hand."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from penstock.compat.tensorpack.dataflow import CaffeLMDB, dataset
from penstock.errors import CorruptRecord


def idx(path, array):
    """Write bytes as a packed IDX file."""
    head = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(head + array.tobytes())


def test_mnist(tmp_path, monkeypatch):
    """Images from 0 to 1 and labels; what is missing or broken is said, and nothing is downloaded."""
    random = np.random.RandomState(0)
    images, labels = random.randint(0, 256, (5, 28, 28)).astype("uint8"), random.randint(0, 10, 5).astype("uint8")
    idx(tmp_path / "t10k-images-idx3-ubyte.gz", images)
    idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels)
    rows = list(dataset.Mnist("test", shuffle=False, dir=str(tmp_path)))
    assert np.array_equal([row[0] for row in rows], images.astype("float32") / 255.0)
    assert [row[1] for row in rows] == labels.tolist()
    with pytest.raises(AssertionError, match="Penstock downloads nothing"):
        dataset.Mnist("train", dir=str(tmp_path))
    monkeypatch.setenv("TENSORPACK_DATASET", str(tmp_path.parent))
    monkeypatch.setattr(dataset.FashionMnist, "_DIR_NAME", tmp_path.name)
    assert len(dataset.FashionMnist("test")) == 5
    assert dataset.FashionMnist("test").get_label_names()[8] == "Bag"
    with gzip.open(tmp_path / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">2I", 0x801, 99))
    with pytest.raises(CorruptRecord, match="ends too early"):
        dataset.Mnist("test", dir=str(tmp_path))


@pytest.fixture
def picture():
    """A function that writes a small picture, and the folders above it."""
    cv2 = pytest.importorskip("cv2")

    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((6, 8, 3), 100, "uint8"))

    return write


def test_tiny_imagenet(tmp_path, picture):
    """Labels are numbers of lines in wnids.txt; those of val stand in a list."""
    (tmp_path / "wnids.txt").write_text("n2\nn1\n")
    for key in ("n1", "n2"):
        picture(tmp_path / "train" / key / "images" / f"{key}_0.JPEG")
    picture(tmp_path / "val" / "images" / "val_0.JPEG")
    (tmp_path / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn1\t0\t0\t62\t57\n")
    train = dataset.TinyImageNet(str(tmp_path), "train", shuffle=False)
    assert [(image.shape, label) for image, label in train] == [((6, 8, 3), 0), ((6, 8, 3), 1)]
    assert [label for _, label in dataset.TinyImageNet(str(tmp_path), "val")] == [1]


def test_places(tmp_path, picture):
    """Labels are numbers of the classes in the order of their names."""
    for name in ("zoo", "attic"):
        picture(tmp_path / "train" / name / "1.jpg")
    (tmp_path / "train.txt").write_text("train/zoo/1.jpg\ntrain/attic/1.jpg\n")
    places = dataset.Places365Standard(str(tmp_path), "train", shuffle=False)
    assert [places.get_label_names(), [label for _, label in places], len(places)] == [["attic", "zoo"], [1, 0], 2]


def number(value):
    """Return a whole number as protocol buffers write it."""
    value &= (1 << 64) - 1
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def test_caffe_s_records(tmp_path, caplog):
    """Images and labels of Caffe's LMDB files; a record that is broken is left out, with a warning."""
    lmdb = pytest.importorskip("lmdb")
    path = str(tmp_path / "caffe.lmdb")
    pixels = np.arange(60, dtype="uint8").reshape(3, 5, 4)
    record = b"\x08\x03\x10\x05\x18\x04\x22" + number(60) + pixels.tobytes() + b"\x28"
    with lmdb.open(path, subdir=False, map_size=1 << 24) as file, file.begin(write=True) as writing:
        for place, label in enumerate((7, 300, -1)):
            writing.put(b"%08d" % place, record + number(label))
        writing.put(b"%08d" % 3, record[:40])
    rows = list(CaffeLMDB(path, shuffle=False))
    assert [label for _, label in rows] == [7, 300, -1]
    assert np.array_equal(rows[0][0], pixels.transpose(1, 2, 0))
    assert "00000003" in caplog.text


def test_the_mean_image_of_imagenet(tmp_path):
    """Caffe's mean image, channels last, in its own size or another."""
    mean = np.random.RandomState(0).rand(3, 256, 256).astype("<f4")
    shape = b"".join(number(8 * field) + number(size) for field, size in enumerate((1, 3, 256, 256), 1))
    (tmp_path / "imagenet_mean.binaryproto").write_bytes(shape + b"\x2a" + number(mean.nbytes) + mean.tobytes())
    meta = dataset.ILSVRCMeta(str(tmp_path))
    assert np.array_equal(meta.get_per_pixel_mean(), mean.transpose(1, 2, 0))
    pytest.importorskip("cv2")
    assert meta.get_per_pixel_mean((20, 30)).shape == (20, 30, 3)
