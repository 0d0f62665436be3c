"""Amounts of memory as people write them: ``"4GB"``."""

from __future__ import annotations

import re

from penstock.errors import ArgumentError
from penstock.graph.checking import short, whole

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def nbytes_of(value: object, where: str, name: str) -> int:
    """Return a number of bytes, from a whole number or a text such as ``"4GB"`` or ``"512 MiB"``.

    >>> nbytes_of("1.5GB", "cache()", "memory")
    1500000000
    """
    if not isinstance(value, str):
        return whole(value, where, name, least=1, remedy='For example "4GB".')
    match = WRITTEN.fullmatch(value)
    if match is None or match[2].upper() not in UNITS:
        raise ArgumentError(f'{where}: {name} must be a number of bytes, such as "4GB" or "512MB", not {short(value)}.')
    return whole(int(float(match[1]) * UNITS[match[2].upper()]), where, name, least=1)


def said(nbytes: int) -> str:
    """Return a number of bytes for people.

    >>> said(1_234_567)
    '1.2 MB'
    """
    for unit in ("GB", "MB", "KB"):
        if nbytes >= UNITS[unit]:
            return f"{nbytes / UNITS[unit]:,.1f} {unit}"
    return f"{nbytes} bytes"
