"""What image files say of themselves: read right, and never believed further than the file goes."""

from __future__ import annotations

import contextlib
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import DecodeError
from penstock.images.headers import read_header

GRADIENT = np.linspace(0, 255, 33 * 47 * 3).reshape(33, 47, 3).astype(np.uint8)


def files():
    """One file of each kind."""
    alpha = np.dstack([GRADIENT, GRADIENT[:, :, 0]])
    made = {f"{e}-colour": cv2.imencode(f".{e}", GRADIENT)[1].tobytes() for e in ("jpg", "png", "webp", "tiff", "bmp")}
    made |= {f"{e}-gray": cv2.imencode(f".{e}", GRADIENT[:, :, 0])[1].tobytes() for e in ("jpg", "png", "tiff")}
    made |= {f"{e}-alpha": cv2.imencode(f".{e}", alpha)[1].tobytes() for e in ("png", "webp", "tiff")}
    made |= {f"{e}-deep": cv2.imencode(f".{e}", GRADIENT.astype(np.uint16) * 257)[1].tobytes() for e in ("png", "tiff")}
    made["webp-lossless"] = cv2.imencode(".webp", GRADIENT, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    made["jpg-progressive"] = cv2.imencode(".jpg", GRADIENT, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    return made


FILES = files()
CHANNELS = {"colour": 3, "gray": 1, "alpha": 4, "deep": 3, "lossless": 3, "progressive": 3}


@pytest.mark.parametrize("name", FILES)
def test_header_of_each_kind(name):
    """Shape, channels and depth are those that the encoder was given."""
    head = read_header(FILES[name])
    kind = name.partition("-")[2]
    assert head.shape == (33, 47)
    assert head.channels == CHANNELS[kind]
    assert head.depth == (16 if kind == "deep" else 8)
    assert head.orientation == 1


def test_only_sequential_files_can_be_cut_short():
    """A progressive file's rows do not stand one after the other."""
    assert read_header(FILES["jpg-colour"]).scan.sequential
    assert not read_header(FILES["jpg-progressive"]).scan.sequential


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jpeg_and_png(oriented, orientation):
    """EXIF's number is found in both, and height and width are exchanged for the turned ones."""
    assert read_header(oriented(FILES["jpg-colour"], orientation)).orientation == orientation
    block = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 274, 3, 1, orientation, 0) + b"\0\0\0\0"
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    png = FILES["png-colour"]
    head = read_header(png[:33] + chunk + png[33:])
    assert head.orientation == orientation
    assert head.shape == ((47, 33) if orientation >= 5 else (33, 47))


def test_an_unreadable_orientation_changes_nothing(oriented):
    """Cameras write nonsense; it is no reason to refuse a picture."""
    for nonsense in (0, 9, 65535):
        assert read_header(oriented(FILES["jpg-colour"], nonsense)).orientation == 1
    jpeg = FILES["jpg-colour"]
    assert read_header(jpeg[:2] + b"\xff\xe1\0\x0aExif\0\0XX" + jpeg[2:]).orientation == 1


@pytest.mark.parametrize("data", [b"", b"G", b"hello world, this is text", b"GIF89a" + bytes(100), bytes(64)])
def test_what_is_no_image_is_said_so(data):
    """With its first bytes, and what could be decoded."""
    with pytest.raises(DecodeError, match="JPEG, PNG, WebP, TIFF and BMP"):
        read_header(data, "some/where.txt")


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("tiff", "bmp"))])
def test_every_truncation_is_noticed(name):
    """A file cut off anywhere is refused by its header alone, with its name; formats that state no end aside."""
    whole = FILES[name]
    for length in range(3, len(whole) - 1, max(1, len(whole) // 97)):
        with pytest.raises(DecodeError, match="some/where"):
            read_header(whole[:length], "some/where")


@given(st.sampled_from(sorted(FILES)), st.data())
def test_damage_gives_a_header_or_one_exception(name, data):
    """Whatever bytes change, the answer is a header or a DecodeError."""
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, min(200, len(damaged)) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    try:
        head = read_header(bytes(damaged))
    except DecodeError:
        return
    assert head.height > 0
    assert head.width > 0


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"II*\0", b"MM\0*"]),
    st.binary(max_size=300),
)
def test_noise_behind_a_beginning(begins, noise):
    """Random bytes behind the beginning of each format end in a header or a DecodeError too."""
    with contextlib.suppress(DecodeError):
        assert read_header(begins + noise).height > 0
