"""Results that nobody writes into any more: older libraries pickle each before the next is computed."""

from __future__ import annotations

import array
from typing import Any

import numpy as np

import penstock as ps
from penstock.compat.rows import LARGE


def fresh(value: Any) -> Any:
    """Return a result of its own, of arrays that a function may have kept, to fill them anew for the next.

    Worker processes compute several results before they send them. Large arrays are copied to ``penstock.empty``, and
    from there they need not be copied again.
    """
    kind = type(value)
    if kind is np.ndarray:
        if not value.flags.writeable:
            return value
        if value.nbytes < LARGE or not value.flags.c_contiguous or value.dtype.hasobject:
            return value.copy(order="K")
        out = ps.empty(value.shape, value.dtype)
        np.copyto(out, value)
        return out
    if kind is tuple or kind is list:
        return kind([fresh(part) for part in value])
    if kind is dict:
        return {name: fresh(part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind._make(fresh(part) for part in value)  # a named tuple
    if kind is bytearray or kind is array.array:
        return value[:]
    return value
