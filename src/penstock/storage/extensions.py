"""Values by a file name's extension: what ``.json``, ``.cls``, ``.npy`` … mean, both ways, as WebDataset has it.

    word     read as                                            written from
    bytes    the bytes                                          bytes
    text     str                                                str
    int      int                                                whole numbers
    json     what JSON can say                                  the same
    npy      an array; never Python objects                     arrays and numbers
    npz      arrays by name; never Python objects               the same
    image    an array, by ``penstock.images``                   (nothing: give the encoded bytes)
    pickle   whatever it says it is: only if somebody trusts it (nothing)

Of ``seg.png`` the last part counts. Images and whatever is not listed are bytes unless somebody says otherwise: where
images are decoded decides how fast a pipeline is, and ``penstock.images.decode`` in a ``map`` can read less than all.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import operator
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, short

WORDS = ("bytes", "text", "int", "json", "npy", "npz", "image", "pickle")
SIMPLE = {
    "text": ("txt", "text", "transcript"),
    "int": ("cls", "cls2", "class", "count", "index", "inx", "id"),
    "json": ("json", "jsn"),
    "npy": ("npy",),
    "npz": ("npz",),
}
IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff")
PICKLES = ("pyd", "pkl", "pickle")
UNPACKED = 1100  # times its packed size is the most that deflate can unpack to

Memory = memoryview
Decoder = Callable[[Memory], Any]


class Extensions:
    """What becomes of a member of a record, by its extension.

    Args:
        decode: True: what is simple becomes a value, images and the rest stay bytes. ``"images"``: images, too. False:
            all stay bytes. A dict of words by extension: what is simple, and these; ``seg.png`` comes before ``png``.
        copy: as a store's ``copy`` has it: None: byte strings are ``bytes``, arrays are read-only views of the file.
            False: byte strings are views, too, as read-only arrays of ``uint8``. True: nothing is a view.
        trust_pickle: allow the word ``pickle``, and let it be what ``.pkl`` means.
        where: the call that this is for, as its user wrote it.
    """

    def __init__(self, decode: object, copy: bool | None, *, trust_pickle: bool, where: str) -> None:  # noqa: FBT001
        self.copy = copy
        self.words = words(decode, where, trust_pickle=trust_pickle)

    def word(self, extension: str) -> str:
        """Return what an extension means."""
        return self.words.get(extension) or self.words.get(extension.rpartition(".")[2], "bytes")

    def decoder(self, extension: str) -> Decoder:
        """Return the function that makes a value of a member's bytes."""
        word = self.word(extension)
        if word == "bytes":
            return as_view if self.copy is False else bytes
        if word == "npy" and self.copy:
            return lambda data: np.array(as_array(data))
        return DECODERS[word]


def words(decode: object, where: str, *, trust_pickle: bool) -> dict[str, str]:
    """Return the words by extension that ``decode`` asks for."""
    if decode is False:
        return {}
    found = {extension: word for word, extensions in SIMPLE.items() for extension in extensions}
    if trust_pickle:
        found |= dict.fromkeys(PICKLES, "pickle")
    if decode is True:
        return found
    if decode == "images":
        return found | dict.fromkeys(IMAGES, "image")
    if not isinstance(decode, Mapping):
        raise ArgumentTypeError(
            f"{where}: decode must be True, False, 'images', or a dict such as {{'jpg': 'image', 'json': 'bytes'}}, "
            f"not {short(decode)}."
        )
    for extension, word in decode.items():
        if callable(word):
            raise ArgumentTypeError(
                f"{where}: decode names what an extension is, by a word; a function of your own belongs into "
                f"map(…, at={extension!r}), behind decode={{{extension!r}: 'bytes'}}."
            )
        choice(word, WORDS, where, f"decode[{extension!r}]")
        if word == "pickle" and not trust_pickle:
            raise ArgumentError(
                f"{where}: a pickle runs whatever the file says. If it is your own, say trust_pickle=True."
            )
        found[str(extension).lower().lstrip(".")] = word
    return found


# ---------------------------------------------------------------------------------------------------------- reading


def as_view(data: Memory) -> NDArray[np.uint8]:
    """Return bytes as an array, where they are."""
    return np.frombuffer(data, np.uint8)


def as_text(data: Memory) -> str:
    """Return UTF-8 as text."""
    return str(data, "utf-8")


def as_int(data: Memory) -> int:
    """Return a decimal number."""
    return int(bytes(data))


def as_json(data: Memory) -> Any:
    """Return what JSON says; too deep a nesting is refused by the parser."""
    return json.loads(bytes(data))


def as_array(data: Memory) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, where it lies."""
    head = io.BytesIO(data[: 1 << 16])
    version = npy.read_magic(head)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"version {version} of .npy is not known")
    shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(head)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which only a pickle could keep")
    if shape and min(shape) < 0:
        raise ValueError(f"a shape of {shape}")
    size = math.prod(shape) * dtype.itemsize
    if head.tell() + size != len(data):
        raise ValueError(f"it has {len(data) - head.tell()} bytes of {size}")
    return np.ndarray(shape, dtype, data, head.tell(), None, "F" if fortran else "C")


def as_arrays(data: Memory) -> dict[str, NDArray[Any]]:
    """Return the arrays of a ``.npz`` file, no more than can be in it."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        infos = [info for info in members.infolist() if info.filename.endswith(".npy")]
        if sum(info.compress_size for info in infos) > len(data):
            raise ValueError("its members overlap")
        for info in infos:
            if info.file_size > info.compress_size * UNPACKED:
                raise ValueError(f"{info.filename} says that it has {info.file_size} bytes of {info.compress_size}")
            unpacked = bytearray(members.read(info))
            found[info.filename.removesuffix(".npy")] = as_array(memoryview(unpacked))
    return found


def as_image(data: Memory) -> Any:
    """Return an image as an array of (height, width, channels)."""
    images: Any = importlib.import_module("penstock.images")  # not imported: it stands above the stores
    return images.decode(data)


DECODERS: dict[str, Decoder] = {
    "text": as_text,
    "int": as_int,
    "json": as_json,
    "npy": as_array,
    "npz": as_arrays,
    "image": as_image,
    "pickle": pickle.loads,  # only where somebody said trust_pickle
}


# ---------------------------------------------------------------------------------------------------------- writing


def encoded(extension: str, value: Any, where: str) -> bytes | bytearray | Memory:
    """Return the bytes of a value that is to be written under an extension. Bytes are taken for what they are.

    Raises:
        ArgumentTypeError: the extension does not say how to write such a value.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return memoryview(value).cast("B") if isinstance(value, memoryview) else value
    kind = extension.rpartition(".")[2]
    word = next((word for word, extensions in SIMPLE.items() if kind in extensions), "bytes")
    try:
        if word == "text" and isinstance(value, str):
            return value.encode()
        if word == "int" and not isinstance(value, (bool, np.bool_)):
            return str(operator.index(value)).encode()
        if word == "json":
            return json.dumps(value, allow_nan=True).encode()
        if word == "npy":
            return as_npy(value)
        if word == "npz" and isinstance(value, Mapping):
            return as_npz(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentTypeError(f"{where}: {short(value)} cannot be written as .{extension}: {error}.") from error
    if word == "bytes" and isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 1:
        return value.tobytes()
    remedy = (
        "Encode it first, in a map(): what is not simple is written as the bytes that it is given as."
        if word == "bytes"
        else f"Under .{extension}, {word} is written."
    )
    raise ArgumentTypeError(f"{where}: {short(value)} cannot be written as .{extension}. {remedy}")


def as_npy(value: Any) -> bytes:
    """Return an array as a ``.npy`` file."""
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("it is no plain array")
    out = io.BytesIO()
    npy.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def as_npz(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays by name as a ``.npz`` file; without the time, so that the same arrays are the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as members:
        for name, value in arrays.items():
            members.writestr(zipfile.ZipInfo(f"{name}.npy"), as_npy(value))
    return out.getvalue()
