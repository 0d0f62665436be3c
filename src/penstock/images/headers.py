"""What an image file says of itself before its pixels: format, shape, depth, orientation.

It is read before any memory is taken, so that a file of a hundred bytes which declares a hundred gigapixels costs
nothing; and it is what scaled decoding and crops are planned with. Everything here is bounded by the file's own length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from penstock.errors import DecodeError

Data = bytes | bytearray

FORMATS = "JPEG, PNG, WebP, TIFF and BMP"


@dataclass(frozen=True)
class Scan:
    """How the pixels of a JPEG file are coded."""

    height_at: int
    """Where in the file the number of rows stands."""
    rows: int
    """The rows of one row of blocks."""
    sequential: bool
    """Whether the rows stand in the file one after the other, all colours together."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself; height and width are those of the stored pixels, before orientation.

    A TIFF file's are those after it, with the orientation 1, because OpenCV turns TIFF by itself.
    """

    format: str
    height: int
    width: int
    channels: int
    depth: int
    """Bits per channel."""
    orientation: int = 1
    """EXIF's number from 1 to 8: 2, 4, 5 and 7 are mirrored, 5 to 8 have height and width exchanged."""
    scan: Scan | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture as it is meant to be seen."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_header(data: Data, name: str = "") -> Header:
    """Return what an image file says of itself.

    Raises:
        DecodeError: it is no image file that is known here, or ends too early.
    """
    who = name or f"an image of {len(data):,} bytes"
    head = bytes(data[:16])
    reader = next((reads for begins, reads in READERS.items() if head.startswith(begins)), None)
    if reader is None:
        what = "is empty" if not head else f"is no image: it begins with {head[:8]!r}"
        raise DecodeError(f"{who} {what}. {FORMATS} can be decoded.")
    try:
        header = reader(data)
    except (struct.error, IndexError):
        raise DecodeError(f"{who} is damaged: it ends inside its header, after {len(data):,} bytes.") from None
    except ValueError as error:
        raise DecodeError(f"{who} is damaged: {error}.") from None
    if not (header.height > 0 and header.width > 0):
        raise DecodeError(f"{who} is damaged: it declares {header.height} rows of {header.width} pixels.")
    return header


# ----------------------------------------------------------------------------------------------------------- JPEG

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: Data) -> Header:
    frame: tuple[int, int, int, int] | None = None  # marker, depth, where it stands, components
    orientation, at = 1, 2
    while True:
        if data[at] != 0xFF:
            raise ValueError(f"byte {at:,} should begin a JPEG segment")
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2 or at + 2 + length > len(data):
            raise IndexError
        if marker in FRAMES:
            frame = marker, data[at + 4], at + 5, data[at + 9]
        elif marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + length])
        elif marker == 0xDA:
            break
        at += 2 + length
    if frame is None:
        raise ValueError("its pixels begin before it declares their number")
    kind, depth, place, components = frame
    if data.rfind(b"\xff\xd9", at) < 0:
        raise ValueError(f"it is cut off after {len(data):,} bytes")
    height, width = struct.unpack_from(">HH", data, place)
    tallest = max((data[place + 6 + 3 * c] & 15 for c in range(components)), default=0)
    sequential = kind in {0xC0, 0xC1} and data[at + 4] == components and tallest in {1, 2, 4}
    return Header("JPEG", height, width, components, depth, orientation, Scan(place, 8 * tallest, sequential))


# ------------------------------------------------------------------------------------------------------ the others


def _png(data: Data) -> Header:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR" or colour not in {0, 2, 3, 4, 6}:
        raise ValueError("it does not begin with an image header")
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[colour]
    orientation, at, last = 1, 8, data[:0]
    while at + 8 <= len(data):  # one step per chunk, most of which hold kilobytes
        (length,) = struct.unpack_from(">I", data, at)
        last = data[at + 4 : at + 8]
        if last == b"eXIf":
            orientation = _orientation(data[at + 8 : at + 8 + length])
        elif last == b"tRNS" and colour in {0, 2, 3}:
            channels = 4 if colour else 2
        at += 12 + length
        if last == b"IEND":
            break
    if last != b"IEND" or at > len(data):
        raise ValueError(f"it is cut off after {len(data):,} bytes")
    return Header("PNG", height, width, channels, max(8, depth), orientation)


def _webp(data: Data) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    kind = data[8:16]
    if size + 8 > len(data):
        raise ValueError(f"it is cut off after {len(data):,} of {size + 8:,} bytes")
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("WebP", height & 0x3FFF, width & 0x3FFF, 3, 8)
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("WebP", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1, 4 if bits >> 28 & 1 else 3, 8)
    if kind != b"WEBPVP8X":
        raise ValueError("it is a RIFF file, and no WebP")
    flags, width, high_width, height, high_height = struct.unpack_from("<BxxxHBHB", data, 20)
    orientation, at = 1, 30
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        if data[at : at + 4] == b"EXIF":
            exif = data[at + 8 : at + 8 + length]
            orientation = _orientation(exif[6:] if exif[:6] == b"Exif\0\0" else exif)
        at += 8 + length + (length & 1)
    channels = 4 if flags & 16 else 3
    return Header("WebP", (height | high_height << 16) + 1, (width | high_width << 16) + 1, channels, 8, orientation)


def _bmp(data: Data) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    return Header("BMP", abs(height), width, {32: 4}.get(bits, 3), 8)


def _tiff(data: Data) -> Header:
    tags = _tags(data)
    depth, channels = tags.get(258, 1), tags.get(277, 1)
    if tags.get(262) == 3:  # a palette
        channels = 3
    height, width = tags.get(257, 0), tags.get(256, 0)
    if 5 <= tags.get(274, 1) <= 8:  # OpenCV turns the pixels itself, so there is no orientation left to apply
        height, width = width, height
    return Header("TIFF", height, width, channels, max(8, depth))


def _orientation(exif: Data) -> int:
    """Return EXIF's orientation; 1, which changes nothing, where it is not stated or unreadable."""
    try:
        value = _tags(exif).get(274, 1)
    except (struct.error, IndexError, ValueError):
        return 1
    return value if 1 <= value <= 8 else 1


def _tags(data: Data) -> dict[int, int]:
    """Return the first value of each number in the first directory of a TIFF file or an EXIF block."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None:
        raise ValueError("it has no byte order")
    magic, at = struct.unpack_from(order + "HI", data, 2)
    if magic != 42:
        raise ValueError("it is a TIFF file of an unknown kind")
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for place in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, place)
        if kind in {3, 4}:
            form, width = (order + "H", 2) if kind == 3 else (order + "I", 4)
            inside = place + 8 if number * width <= 4 else struct.unpack_from(order + "I", data, place + 8)[0]
            (tags[tag],) = struct.unpack_from(form, data, inside)
    return tags


READERS = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"RIFF": _webp,
    b"BM": _bmp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}
