"""Equality of items, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


def same(a: Any, b: Any) -> bool:
    """Tell whether two items are equal in type, structure, shape, dtype and content, bit for bit: NaN equals NaN.

    >>> import numpy as np
    >>> same({"x": np.array([1, 2])}, {"x": np.array([1, 2])}), same(np.int32(1), np.int64(1))
    (True, False)
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):
        return same_arrays(np.asarray(a), np.asarray(b))
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, (float, complex)):
        return np.complex128(a).tobytes() == np.complex128(b).tobytes()
    return bool(a == b)


def same_arrays(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Tell whether two arrays are equal in shape, dtype and content."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.hasobject:
        return all(map(same, a.ravel().tolist(), b.ravel().tolist()))
    return a.tobytes() == b.tobytes()
