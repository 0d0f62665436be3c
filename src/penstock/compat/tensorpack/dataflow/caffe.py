"""Caffe's records, as its LMDB files and its mean image of ImageNet hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.compat.tensorpack.utils.argtools import log_once
from penstock.errors import CorruptRecord

WIDTHS = {1: 8, 5: 4}  # bytes of the fields of fixed size, by their kind


def varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a whole number of varying width, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise CorruptRecord("a record of Caffe's ends in the middle of a number")


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield pairs of number and value of a record's fields: whole numbers, or bytes."""
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        number, kind = key >> 3, key & 7
        value: Any
        if kind == 0:
            value, place = varint(data, place)
        else:
            size, place = (WIDTHS[kind], place) if kind in WIDTHS else varint(data, place)
            value, place = data[place : place + size], place + size
            if kind not in {1, 2, 5} or place > len(data):
                raise CorruptRecord("a record of Caffe's is broken")
        yield number, value


def datapoint(key: bytes, value: bytes) -> list[Any] | None:
    """Return the image, (height, width, channels), and the label of a record; of a broken one None, with a warning."""
    try:
        found = dict(fields(value))
        image = np.frombuffer(found[4], np.uint8).reshape(found[1], found[2], found[3])
        return [image.transpose(1, 2, 0), int(np.uint64(found.get(5, 0)).astype(np.int64))]
    except (CorruptRecord, KeyError, TypeError, ValueError) as error:
        log_once(f"Cannot read key {key!r}: {error}", "warn")
        return None


def blob(data: bytes) -> Any:
    """Return the numbers of a blob, float32, channels first."""
    shape = [1, 1, 1, 1]
    parts = []
    for number, value in fields(data):
        if number in {1, 2, 3, 4}:
            shape[number - 1] = value
        elif number == 5:
            parts.append(np.frombuffer(value, "<f4"))
    return np.concatenate(parts).reshape(shape[1:]).astype("float32")
