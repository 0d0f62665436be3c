"""decode: what every option means, that savings show in nothing but time, and that damage is one clear exception."""

from __future__ import annotations

import io
import itertools
import pathlib
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock import images
from penstock.errors import ArgumentError, ArgumentTypeError, DecodeError
from penstock.images import codecs

simplejpeg = pytest.importorskip("simplejpeg")
ramp = np.indices((48, 64)).sum(axis=0)
COLOURS = np.dstack([ramp * 2, 255 - ramp * 2, ramp]).astype(np.uint8)


def difference(a, b):
    """The mean absolute difference, in levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


# ------------------------------------------------------------------------------------------- formats and modes


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tiff"])
def test_lossless_formats_come_back(encode, extension):
    """Red is red: pixels are those that were encoded, and BGR is their reverse."""
    file = encode(extension, COLOURS)
    assert np.array_equal(images.decode(file), COLOURS)
    assert np.array_equal(images.decode(file, mode="unchanged"), COLOURS)
    assert np.array_equal(images.decode(file, mode="BGR"), COLOURS[:, :, ::-1])


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "unchanged"])
def test_lossy_formats_come_close(encode, photographs, extension, mode):
    """Red is red here too."""
    image = photographs["coffee"]
    decoded = images.decode(encode(extension, image), mode=mode)
    assert difference(decoded[:, :, :3], image) < 4
    assert decoded.shape[2] == (4 if mode == "RGBA" else 3)
    assert decoded[:, :, 3:].size == 0 or decoded[:, :, 3:].min() == 255


@pytest.mark.parametrize("extension", [".png", ".webp", ".tiff"])
def test_alpha(encode, extension):
    """RGBA keeps it, RGB drops it, unchanged has what the file has."""
    image = np.dstack([COLOURS, np.full((48, 64), 77, np.uint8)])
    file = encode(extension, image, *([cv2.IMWRITE_WEBP_QUALITY, 101] if extension == ".webp" else []))
    assert np.array_equal(images.decode(file, mode="RGBA"), image)
    assert np.array_equal(images.decode(file, mode="unchanged"), image)
    assert images.decode(file).shape == (48, 64, 3)


@pytest.mark.parametrize("extension", [".png", ".tiff", ".jpg"])
def test_gray_has_one_channel(encode, extension):
    """In mode L, and unchanged from a gray file; in RGB it has three equal ones."""
    gray = encode(extension, COLOURS[:, :, 0])
    assert images.decode(gray, mode="L").shape == images.decode(gray, mode="unchanged").shape == (48, 64, 1)
    three = images.decode(gray)
    assert three.shape == (48, 64, 3)
    assert np.array_equal(three[:, :, 0], three[:, :, 2])
    assert images.decode(encode(extension, COLOURS), mode="L").shape == (48, 64, 1)


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("mode", ["RGB", "BGR", "L", "RGBA", "unchanged"])
def test_sixteen_bits(encode, extension, mode):
    """depth=None keeps 16 bits where the file has them, and the default gives 8."""
    deep = COLOURS.astype(np.uint16) * 257
    file = encode(extension, deep)
    kept, plain = images.decode(file, mode=mode, depth=None), images.decode(file, mode=mode)
    assert kept.dtype == np.uint16
    assert plain.dtype == np.uint8
    if mode != "L":
        order = [2, 1, 0] if mode == "BGR" else [0, 1, 2]
        assert np.array_equal(kept[:, :, :3], deep[:, :, order])
        assert np.array_equal(plain[:, :, :3], COLOURS[:, :, order])
    assert images.decode(encode(extension, COLOURS), mode=mode, depth=None).dtype == np.uint8


def test_a_path_or_bytes(encode, tmp_path):
    """Paths, bytes in every form, and the items of ps.files give the same."""
    file = encode(".png", COLOURS)
    (tmp_path / "a.png").write_bytes(file)
    for source in (file, bytearray(file), memoryview(file), np.frombuffer(file, np.uint8)):
        assert np.array_equal(images.decode(source), COLOURS)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(images.decode(source), COLOURS)
    assert np.array_equal(ps.files(f"{tmp_path}/*.png").map(images.decode)[0], COLOURS)


# -------------------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["opencv", "simplejpeg"])
def test_orientation_is_that_of_others(encode, oriented, photographs, orientation, codec):
    """The picture is turned as Pillow turns it, header and crops follow, and orient=False leaves it as stored."""
    pil = pytest.importorskip("PIL.Image")
    from PIL import ImageOps

    stored = photographs["chelsea"][:200, :301]
    file = oriented(encode(".jpg", stored), orientation)
    shown = images.decode(file, codec=codec)
    with pil.open(io.BytesIO(file)) as picture:
        theirs = np.asarray(ImageOps.exif_transpose(picture))
    assert difference(shown, theirs) < 1
    assert images.header(file).shape == shown.shape[:2]
    part = images.decode(file, crop=(20, 31, 50, 70), codec=codec)
    assert np.array_equal(part, shown[20:70, 31:101])
    assert images.decode(file, orient=False, codec=codec).shape == stored.shape
    assert images.decode(file, size=(100, 50), codec=codec).shape == (100, 50, 3)


def pillow_file(image, kind, **options):
    """A file as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiff(orientation):
    """Turned as Pillow turns it, with the header to match."""
    pil = pytest.importorskip("PIL.Image")
    from PIL import ImageOps

    file = pillow_file(pil.fromarray(COLOURS), "tiff", tiffinfo={274: orientation})
    with pil.open(io.BytesIO(file)) as picture:
        theirs = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(images.decode(file), theirs)
    assert images.header(file).shape == theirs.shape[:2]
    assert np.array_equal(images.decode(file, crop=(3, 4, 20, 30)), theirs[3:23, 4:34])


@pytest.mark.parametrize("kind", ["CMYK", "1", "P", "LA"])
def test_unusual_colours(kind):
    """CMYK, one bit, palettes, and gray with alpha come in every mode, as Pillow converts them."""
    pil = pytest.importorskip("PIL.Image")
    made = pil.fromarray(COLOURS // 128 * 255).convert(kind)
    file = pillow_file(made, "jpeg" if kind == "CMYK" else "png")
    for mode, channels in (("RGB", 3), ("BGR", 3), ("L", 1), ("RGBA", 4)):
        assert images.decode(file, mode=mode).shape == (48, 64, channels)
    if kind != "CMYK":
        assert np.array_equal(images.decode(file), np.asarray(made.convert("RGB")))


# ------------------------------------------------------------------------------- scaled and partial decoding


@pytest.mark.parametrize("name", ["chelsea", "rocket"])
@pytest.mark.parametrize("sampling", ["411", "420", "422", "440", "444"])
def test_codecs_agree_to_the_bit(encode, photographs, name, sampling):
    """OpenCV and simplejpeg give the same pixels, whole, scaled and in gray: so the default may take either."""
    how = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    file = encode(".jpg", photographs[name], cv2.IMWRITE_JPEG_SAMPLING_FACTOR, how)
    height, width = photographs[name].shape[:2]
    for scale, mode in itertools.product((1, 2, 4, 8), ("RGB", "BGR", "L")):
        least = (height // scale, width // scale)
        one, two = (images.decode(file, mode=mode, min_size=least, codec=c) for c in ("opencv", "simplejpeg"))
        assert one.shape[0] == -(-height // scale)
        assert np.array_equal(one, two), (scale, mode)


@given(st.data())
@settings(max_examples=30)
def test_a_crop_has_the_pixels_of_the_whole(encode, photographs, data):
    """However rows are left undecoded, a crop is equal to the same part of the full decoding, bit for bit."""
    sampling = data.draw(st.sampled_from(["420", "422", "440", "444"]))
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")]
    if data.draw(st.booleans()):
        options += [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    if data.draw(st.booleans()):
        options += [cv2.IMWRITE_JPEG_RST_INTERVAL, 7]
    image = photographs["chelsea"]
    file = encode(".jpg", image, *options)
    top, left = data.draw(st.integers(0, 299)), data.draw(st.integers(0, 450))
    height, width = data.draw(st.integers(1, 300 - top)), data.draw(st.integers(1, 451 - left))
    part = images.decode(file, crop=(top, left, height, width))
    assert np.array_equal(part, images.decode(file)[top : top + height, left : left + width])
    assert part.base is None or part.base.nbytes < image.nbytes  # the whole is not kept alive


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "flower"])
@pytest.mark.parametrize("side", [30, 60, 100, 140])
def test_scaled_decoding_differs_little(encode, photographs, name, side):
    """From a scaled decoding, an image differs from that of the full one by less than 2.5 of 255 levels on average."""
    file = encode(".jpg", photographs[name], cv2.IMWRITE_JPEG_QUALITY, 92)
    assert difference(images.decode(file, size=side), images.resize(images.decode(file), side)) < 2.5


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "flower"])
def test_scaled_crops_differ_little(encode, photographs, name):
    """So does a random resized crop, whose box is the same: less than 2.5 levels each, less than 1.2 over many."""
    file = encode(".jpg", photographs[name], cv2.IMWRITE_JPEG_QUALITY, 92)
    whole, crop = images.decode(file), images.RandomResizedCrop(64, scale=(0.1, 1))
    found = []
    for seed in range(40):
        short = images.decode(file, crop=crop, rng=np.random.default_rng(seed))
        found.append(difference(short, crop(whole, rng=np.random.default_rng(seed))))
    assert max(found) < 2.5
    assert np.mean(found) < 1.2


def test_scale_never_enlarges(encode):
    """The largest of 1, 1/2, 1/4 and 1/8 at which nothing has to grow; other formats come whole."""
    image = np.zeros((801, 1203, 3), np.uint8)
    jpeg, png = encode(".jpg", image), encode(".png", image)
    for least, height in ((401, 801), (400, 401), (201, 401), (200, 201), (100, 101), (1, 101)):
        assert images.decode(jpeg, min_size=least).shape[0] == height
        assert images.decode(png, min_size=least).shape[0] == 801
    assert images.decode(jpeg, min_size=(100, 700)).shape == image.shape
    assert images.decode(png, size=50).shape == images.decode(jpeg, size=50).shape == (50, 75, 3)


def test_rows_below_the_crop_are_not_decoded(encode, photographs, monkeypatch):
    """The decoder is handed a file that ends soon after the crop; a progressive one is handed over whole."""
    seen = []
    original = simplejpeg.decode_jpeg

    def spy(data, *args, **options):
        seen.append(simplejpeg.decode_jpeg_header(data, strict=False)[0])
        return original(data, *args, **options)

    monkeypatch.setattr(codecs.simplejpeg, "decode_jpeg", spy)
    image = photographs["coffee"]
    images.decode(encode(".jpg", image), crop=(0, 0, 100, 100))
    images.decode(encode(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), crop=(0, 0, 100, 100))
    assert seen == [112, 400]


@pytest.mark.parametrize("rows", [15, 16, 17, 31, 32])
def test_as_few_rows_are_decoded_as_the_pixels_need(encode, photographs, rows):
    """At a border of two rows of blocks, where colours are interpolated across it, a crop has the whole's pixels."""
    whole = encode(".jpg", photographs["coffee"])
    assert np.array_equal(images.decode(whole, crop=(0, 0, rows, 90)), images.decode(whole)[:rows, :90])


# ------------------------------------------------------------------------------------------------- approximations


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "flower"])
@pytest.mark.parametrize("sampling", ["411", "420", "422", "440", "444"])
def test_fast_pixels_differ_within_bounds(encode, photographs, name, sampling):
    """Of the quick approximations: below 2.5 levels on average and 64 anywhere, whole and cropped; and they differ."""
    how = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    for quality in (50, 75, 92, 98):
        options = cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, how
        file = encode(".jpg", photographs[name], *options)
        exact, fast = images.decode(file), images.decode(file, fast=True)
        assert 0 < difference(fast, exact) < 2.5
        assert np.abs(fast.astype(int) - exact).max() < 64
        assert np.array_equal(images.decode(file, fast=True, crop=(20, 31, 57, 70)), fast[20:77, 31:101])


def test_fast_concerns_jpeg_only(encode):
    """A PNG file has its pixels, whether or not it is decoded in haste."""
    assert np.array_equal(images.decode(encode(".png", COLOURS), fast=True), COLOURS)


def test_without_simplejpeg_nothing_changes(encode, photographs, monkeypatch):
    """The default then is OpenCV, with the same pixels; asked for by name, it says what to install."""
    file = encode(".jpg", photographs["chelsea"])
    part = images.decode(file, crop=(10, 20, 100, 150))
    monkeypatch.setattr(codecs, "simplejpeg", None)
    assert np.array_equal(images.decode(file, crop=(10, 20, 100, 150)), part)
    with pytest.raises(ArgumentError, match="pip install simplejpeg"):
        images.decode(file, codec="simplejpeg")
    with pytest.raises(ArgumentError, match="fast=True needs simplejpeg"):
        images.decode(file, fast=True)


# ----------------------------------------------------------------------------------------------------------- out


@pytest.mark.parametrize("codec", ["opencv", "simplejpeg"])
@pytest.mark.parametrize("options", [{}, {"size": (20, 30)}, {"crop": (1, 2, 20, 30)}, {"mode": "L"}], ids=str)
def test_out_is_written_and_returned(encode, codec, options):
    """A batch's slot can be decoded into; the rest of the batch is untouched."""
    file = encode(".jpg", COLOURS)
    wanted = images.decode(file, codec=codec, **options)
    batch = np.full((3, *wanted.shape), 9, np.uint8)
    assert images.decode(file, codec=codec, out=batch[1], **options).base is not None
    assert np.array_equal(batch[1], wanted)
    assert batch[0].min() == batch[0].max() == batch[2].min() == batch[2].max() == 9


def test_out_of_another_shape_is_refused(encode):
    """Instead of a silent copy that nobody sees."""
    for options in ({}, {"size": 10}, {"crop": (0, 0, 5, 5)}):
        with pytest.raises(ArgumentError, match="out is uint8 of shape"):
            images.decode(encode(".jpg", COLOURS), out=np.empty((2, 2, 3), np.uint8), **options)


# ------------------------------------------------------------------------------------------------ what is refused


def huge(extension, encode):
    """A small file that declares 60,000 × 60,000 pixels."""
    data = bytearray(encode(extension, COLOURS))
    if extension == ".png":
        struct.pack_into(">II", data, 16, 60000, 60000)
    elif extension == ".bmp":
        struct.pack_into("<ii", data, 18, 60000, 60000)
    else:
        at = data.index(b"\xff\xc0") + 5
        struct.pack_into(">HH", data, at, 60000, 60000)
    return bytes(data)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp"])
def test_too_many_pixels_are_refused_before_memory_is_taken(encode, extension):
    """By default and by the caller's own bound, with the remedy."""
    with pytest.raises(DecodeError, match=r"60,000 × 60,000 pixels.*raise max_pixels"):
        images.decode(huge(extension, encode))
    with pytest.raises(DecodeError, match="max_pixels=3,000"):
        images.decode(encode(extension, COLOURS), max_pixels=3000)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_truncated_files_are_named(encode, tmp_path, extension, capfd):
    """Half a file of any format is a DecodeError with its path."""
    file = encode(extension, COLOURS)
    path = tmp_path / f"half{extension}"
    path.write_bytes(file[: len(file) // 2])
    with pytest.raises(DecodeError, match=f"half{extension}"):
        images.decode(path)
    path.write_bytes(b"")
    with pytest.raises(DecodeError, match="is empty"):
        images.decode(path)


def test_damaged_pixels_are_named(encode, tmp_path, capfd):
    """A checksum that fails is a DecodeError with the path."""
    file = bytearray(encode(".png", COLOURS))
    file[len(file) // 2] ^= 255
    path = tmp_path / "broken.png"
    path.write_bytes(file)
    with pytest.raises(DecodeError, match=r"broken\.png is damaged"):
        images.decode(path)


@given(st.sampled_from([".jpg", ".png", ".webp", ".bmp", ".tiff"]), st.data())
@settings(max_examples=40)
def test_damage_anywhere_gives_an_image_or_one_exception(encode, extension, data):
    """Never a crash, another exception, or another shape than the header's."""
    file = bytearray(encode(extension, COLOURS))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = images.decode(bytes(file), max_pixels=1 << 20)
    except DecodeError:
        return
    assert decoded.shape == (*images.header(bytes(file)).shape, 3)


def test_a_missing_file_is_the_systems_own_error():
    """It is no matter of decoding."""
    with pytest.raises(FileNotFoundError):
        images.decode("no/such/file.jpg")


def test_policies_see_the_error_and_the_path(encode, tmp_path):
    """A corrupt file is skipped and counted like any item that fails."""
    for name, data in {"a": encode(".png", COLOURS), "b": b"text", "c": encode(".png", COLOURS)}.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    files = ps.files(f"{tmp_path}/*.png")
    assert len(list(files.map(images.decode, on_error="skip"))) == 2
    with pytest.raises(DecodeError, match=r"b\.png is no image") as caught:
        list(files.map(images.decode))
    assert any("b.png" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "rgb"}, ArgumentError, "mode must be one of 'RGB'"),
        ({"size": 10, "min_size": 10}, ArgumentError, "not both"),
        ({"size": 0}, ArgumentError, "at least 1"),
        ({"size": (1, 2, 3)}, ArgumentError, "height, width"),
        ({"depth": 16}, ArgumentError, "depth must be 8, or None"),
        ({"codec": "pillow"}, ArgumentError, "codec must be one of"),
        ({"codec": "opencv", "fast": True}, ArgumentError, "simplejpeg's"),
        ({"fast": 1}, ArgumentTypeError, "True or False"),
        ({"crop": (0, 0, 49, 64)}, ArgumentError, "beyond a picture of 48 × 64"),
        ({"crop": (0, 0, 10)}, ArgumentError, "top, left, height, width"),
        ({"crop": (0, -1, 1, 1)}, ArgumentError, "at least 0"),
        ({"crop": images.RandomResizedCrop(8), "rng": np.random.default_rng(0), "size": 9}, ArgumentError, "its own"),
        ({"crop": images.RandomResizedCrop(8)}, ArgumentError, "give it a generator"),
        ({"crop": images.CenterCrop(100)}, ArgumentError, "do not fit"),
        ({"orient": 1}, ArgumentTypeError, "True or False"),
        ({"max_pixels": 1.5}, ArgumentTypeError, "whole number"),
    ],
)
def test_arguments_that_cannot_be_used(encode, options, error, message):
    """Each is named, with the remedy."""
    with pytest.raises(error, match=message):
        images.decode(encode(".png", COLOURS), **options)


def test_a_source_that_cannot_be_used():
    """An image is no image file."""
    with pytest.raises(ArgumentTypeError, match="a path, or its bytes"):
        images.decode(COLOURS)


# ----------------------------------------------------------------------------------------------------- in loaders


def load(path, *, rng):
    """Decode no more than a random crop needs."""
    return images.decode(path, crop=images.RandomResizedCrop(32), rng=rng)


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), ps.Processes(2)], ids=repr)
def test_every_executor_gives_the_same_batches(encode, photographs, tmp_path, workers):
    """Drawn, decoded and collated anywhere, bit for bit."""
    for name, image in photographs.items():
        pathlib.Path(tmp_path, f"{name}.jpg").write_bytes(encode(".jpg", image))
    dataset = ps.files(f"{tmp_path}/*.jpg").seed(3).map(load, rng=True).map(images.RandomFlip(), rng=True).batch(2)
    wanted = list(dataset)
    with dataset.loader(workers=workers) as loader:
        assert all(np.array_equal(a, b) for a, b in zip(loader, wanted, strict=True))


def test_a_damaged_file_is_an_exception_and_nothing_else(capfd):
    """OpenCV does not write to standard error of files that are reported by an exception."""
    data = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (40, 60, 3), "uint8"))[1].tobytes()
    with pytest.raises(DecodeError):
        images.decode(data[:500])
    assert capfd.readouterr().err == ""
