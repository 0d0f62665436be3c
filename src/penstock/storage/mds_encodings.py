"""The encodings of MDS columns: what each kind of value is as bytes, both ways.

bytes  str  int  uint8 … float64  str_int  str_float  str_decimal  json
ndarray  ndarray:dtype  ndarray:dtype:shape      [dtype, 1 byte ┊] [axes, width of lengths, 1 ┊ lengths ┊] values
jpeg  png                                        a file
pil                                              width, height, length of mode, 4 bytes each ┊ mode ┊ pixels
list[jpeg]  list[png]  list[pil]                 0, count, sizes, 4 bytes each ┊ elements
jpeg_array (jpegarray)                           count, sizes, 4 bytes each ┊ files
pkl                                              a pickle, which runs whatever it says
"""

from __future__ import annotations

import decimal
import importlib
import json
import math
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.graph.checking import short

Decoder = Callable[[memoryview], Any]
Encoder = Callable[[Any], bytes]

NAMES = ("uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32", "uint64", "int64", "float64")
CODES = dict(zip((8, 9, 16, 17, 18, 32, 33, 34, 64, 65, 66), NAMES, strict=True))
NUMBERS = {name: np.dtype(name).newbyteorder("<") for name in NAMES}
LENGTHS = ("<u1", "<u2", "<u4", "<u8")
MODES = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "YCbCr": 3, "LAB": 3, "HSV": 3, "RGBA": 4, "RGBX": 4, "CMYK": 4}
DEEP = {"I;16": "<u2", "I": "<i4", "F": "<f4"}
INT64 = struct.Struct("<q")
WORDS = ("bytes", "str", "int", *NUMBERS, "str_int", "str_float", "str_decimal", "json", "ndarray", "jpeg", "png")


@dataclass(frozen=True)
class Wanted:
    """How the user wants values."""

    images: bool = False
    copy: bool = True
    trust_pickle: bool = False


def decoder_of(encoding: str, wanted: Wanted, name: str) -> Decoder:
    """Return the function that makes a value of a column's bytes.

    Raises:
        StoreError: the encoding is not known, or is pickle and not trusted.
    """
    if encoding == "pkl" and not wanted.trust_pickle:
        raise StoreError(
            f"{name} is pickled, and a pickle runs whatever it says. Choose other columns with columns=[…], or, if the "
            "file is your own, say trust_pickle=True."
        )
    if encoding in NUMBERS:
        dtype = NUMBERS[encoding]
        return lambda data: single(data, dtype)
    kind, _, rest = encoding.partition(":")
    if kind == "ndarray":
        try:
            return array_decoder(*static(rest), copy=wanted.copy)
        except (ValueError, KeyError) as error:
            raise StoreError(f"{name} has the encoding {encoding!r}, which is none.") from error
    if encoding == "bytes" and not wanted.copy:
        return lambda data: np.frombuffer(data, np.uint8)
    image = picture if wanted.images else bytes
    decoders: dict[str, Decoder] = {
        **SIMPLE,
        "jpeg": image,
        "png": image,
        "list[jpeg]": lambda data: [image(part) for part in parts(data, 4)],
        "list[png]": lambda data: [image(part) for part in parts(data, 4)],
        "list[pil]": lambda data: [pixels(part) for part in parts(data, 4)],
        "jpeg_array": lambda data: [image(part) for part in parts(data, 0)],
        "jpegarray": lambda data: [image(part) for part in parts(data, 0)],
    }
    if encoding not in decoders:
        raise StoreError(f"{name} has the encoding {encoding!r}, which is not known. Choose others with columns=[…].")
    return decoders[encoding]


def text(data: memoryview) -> str:
    """Return a text."""
    return str(data, "utf-8")


def single(data: memoryview, dtype: np.dtype[Any]) -> Any:
    """Return one number."""
    if len(data) != dtype.itemsize:
        raise ValueError(f"{len(data)} bytes are no {dtype.name}")
    return np.frombuffer(data, dtype)[0]


def static(rest: str) -> tuple[np.dtype[Any] | None, tuple[int, ...] | None]:
    """Return the dtype and the shape that an encoding names behind ``ndarray:``."""
    if not rest:
        return None, None
    dtype, _, shape = rest.partition(":")
    axes = tuple(map(int, shape.split(","))) if shape else None
    if axes is not None and min(axes) < 1:
        raise ValueError(f"a shape of {axes}")
    return NUMBERS[dtype], axes


def array_decoder(dtype: np.dtype[Any] | None, shape: tuple[int, ...] | None, *, copy: bool) -> Decoder:
    """Return the function that makes an array of bytes."""

    def decode(data: memoryview) -> NDArray[Any]:
        at, kind, axes = 0, dtype, shape
        if kind is None:
            kind, at = NUMBERS[CODES[data[0]]], 1
        if axes is None:
            lengths = np.dtype(LENGTHS[data[at] & 3])
            end = at + 1 + (data[at] >> 2) * lengths.itemsize
            axes, at = tuple(np.frombuffer(data[at + 1 : end], lengths).tolist()), end
        if math.prod(axes) * kind.itemsize != len(data) - at:
            raise ValueError(f"{len(data) - at} bytes are no {kind.name} of the shape {axes}")
        found = np.ndarray(axes, kind, data, at)
        return found.copy() if copy else found

    return decode


def parts(data: memoryview, at: int) -> list[memoryview]:
    """Return the elements of a list, whose count stands at a place."""
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if count * 4 > len(data) - at:
        raise ValueError(f"{len(data)} bytes are no list of {count}")
    sizes = struct.unpack_from(f"<{count}I", data, at)
    at += 4 * count
    if sum(sizes) != len(data) - at:
        raise ValueError(f"{len(data) - at} bytes are no elements of {sum(sizes)}")
    found = []
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return found


def picture(data: memoryview) -> Any:
    """Return an image file's pixels."""
    images: Any = importlib.import_module("penstock.images")  # not imported: it stands above the stores
    return images.decode(data)


def pixels(data: memoryview) -> NDArray[Any]:
    """Return the pixels of an image that stands there unpacked."""
    width, height, size = struct.unpack_from("<III", data)
    mode, rows = str(data[12 : 12 + size], "ascii"), data[12 + size :]
    if mode == "1":
        bits = np.frombuffer(rows, np.uint8).reshape(height, (width + 7) // 8)
        return np.unpackbits(bits, axis=1)[:, :width].astype(bool)
    if mode in DEEP:
        return np.frombuffer(rows, DEEP[mode]).reshape(height, width).copy()
    if mode not in MODES:
        raise ValueError(f"images of mode {mode!r} are not known")
    shape = (height, width, MODES[mode]) if MODES[mode] > 1 else (height, width)
    return np.frombuffer(rows, np.uint8).reshape(shape).copy()


SIMPLE: dict[str, Decoder] = {
    "bytes": bytes,
    "str": text,
    "int": lambda data: INT64.unpack(data)[0],
    "str_int": lambda data: int(text(data)),
    "str_float": lambda data: float(text(data)),
    "str_decimal": lambda data: decimal.Decimal(text(data)),
    "json": lambda data: json.loads(text(data)),
    "pil": pixels,
    "pkl": pickle.loads,  # the user has said so
}


# ---------------------------------------------------------------------------------------------------------- writing


def size_of(encoding: str) -> int | None:
    """Return how many bytes each value of a column has; None where they differ."""
    if encoding in NUMBERS:
        return NUMBERS[encoding].itemsize
    kind, _, rest = encoding.partition(":")
    if kind == "ndarray":
        dtype, shape = static(rest)
        return None if dtype is None or shape is None else math.prod(shape) * dtype.itemsize
    return 8 if encoding == "int" else None


def encoding_of(value: Any, where: str) -> str:
    """Return the encoding that a value is written in, unless the user says another."""
    if value is None or isinstance(value, (bool, list, dict)):
        return "json"
    if isinstance(value, np.generic) and value.dtype.name in NUMBERS:
        return value.dtype.name
    for kind, encoding in ((int, "int"), (float, "float64"), (str, "str"), (bytes, "bytes"), (np.ndarray, "ndarray")):
        if isinstance(value, kind):
            return encoding
    raise ArgumentTypeError(f"{where}: MDS has no encoding for {short(value)}. Turn it into bytes or an array.")


def encoder_of(encoding: str, where: str) -> Encoder:
    """Return the function that makes a column's bytes of a value. Byte strings are taken as they are.

    Raises:
        ArgumentError: the encoding is not known, or only read.
    """
    kind, _, rest = encoding.partition(":")
    try:
        if kind not in WORDS or (rest and kind != "ndarray"):
            raise ValueError(kind)
        static(rest) if kind == "ndarray" else None
    except (ValueError, KeyError) as error:
        known = ", ".join(map(repr, WORDS))
        raise ArgumentError(f"{where}: {encoding!r} is no encoding that is written; these are: {known}.") from error
    encode = array_encoder(*static(rest)) if kind == "ndarray" else ENCODERS.get(kind) or number_encoder(NUMBERS[kind])

    def encoded(value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return encode(value)
        except (ValueError, TypeError, AttributeError, OverflowError, struct.error) as error:
            raise ArgumentTypeError(f"{where}: {short(value)} cannot be written as {encoding!r}: {error}.") from error

    return encoded


def number_encoder(dtype: np.dtype[Any]) -> Encoder:
    """Return the function that makes bytes of a number."""
    return lambda value: np.asarray(value).astype(dtype, casting="same_kind").reshape(()).tobytes()


def nothing(value: Any) -> bytes:
    """Refuse what is not bytes."""
    raise TypeError(f"a {type(value).__name__} is not the bytes")


ENCODERS: dict[str, Encoder] = {
    "bytes": nothing,
    "jpeg": nothing,
    "png": nothing,
    "str": lambda value: value.encode(),
    "int": INT64.pack,
    "str_int": lambda value: str(int(value)).encode(),
    "str_float": lambda value: repr(float(value)).encode(),
    "str_decimal": lambda value: str(decimal.Decimal(value)).encode(),
    "json": lambda value: json.dumps(value).encode(),
}


def array_encoder(dtype: np.dtype[Any] | None, shape: tuple[int, ...] | None) -> Encoder:
    """Return the function that makes bytes of an array."""
    codes = {name: code for code, name in CODES.items()}

    def encode(value: Any) -> bytes:
        array = np.asarray(value)
        name = array.dtype.name
        if name not in NUMBERS or (dtype is not None and name != dtype.name):
            raise ValueError(
                f"its dtype is {name}, and must be {'one of ' + ', '.join(NUMBERS) if dtype is None else dtype}"
            )
        if not array.size or not array.ndim:
            raise ValueError("an array must have an axis and an element")
        head = b"" if dtype is not None else bytes([codes[name]])
        if shape is None:
            which = next(k for k in range(4) if max(array.shape) < 1 << (8 << k))
            head += bytes([array.ndim << 2 | which]) + np.array(array.shape, LENGTHS[which]).tobytes()
        elif array.shape != shape:
            raise ValueError(f"its shape is {array.shape}, and must be {shape}")
        return head + array.astype(NUMBERS[name], copy=False).tobytes()

    return encode
