"""Bundles: what comes out of a store is what went in, and may be written to where nobody else looks."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from penstock.testing import same
from penstock.transport.bundle import Opener, bundle, unbundle

VALUE = {
    "large": np.arange(1 << 16, dtype=np.float64),
    "medium": np.arange(1 << 12, dtype=np.int64).reshape(64, 64),
    "small": np.arange(3),
    "fortran": np.asfortranarray(np.arange(90_000).reshape(300, 300)),
    "empty": np.empty((0, 7)),
    "words": ["a", b"b", None, 1.5],
}


def stored(pieces, access):
    """Return the pieces as a store gives them: read-only arrays over shared memory."""
    memory = mmap.mmap(-1, 1 << 22, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    found, offset = [], 0
    for piece in pieces:
        end = offset + len(piece)
        memory[offset:end] = bytes(piece)
        found.append(np.frombuffer(memory, np.uint8, len(piece), offset))
        found[-1].flags.writeable = False
        offset = end + 64 - end % 64
    return found if access else [np.frombuffer(bytes(piece), np.uint8) for piece in found]


@pytest.mark.parametrize("access", [True, False])
def test_a_round_trip(access):
    """Values come back as they were, and their arrays may be written to, in shared memory and out of it."""
    found = unbundle(Opener().opened(stored(bundle(VALUE), access)))
    assert same(found, VALUE)
    assert all(found[name].flags.writeable for name in ("large", "medium", "small", "fortran"))


def test_large_arrays_are_not_copied():
    """A large array is a view of the store's memory, which it keeps alive; a smaller one is a copy."""
    pieces = stored(bundle(VALUE), access=True)
    found = unbundle(Opener().opened(pieces))
    found["large"][0] = found["medium"][0, 0] = 77
    assert pieces[1].view(np.float64)[0] == 77
    assert pieces[2].view(np.int64)[0] == 0
    large = found["large"]
    del found, pieces
    assert large[-1] == VALUE["large"][-1]


def test_what_must_be_pickled_by_value():
    """Where pickle gives up in the middle, nothing of its attempt remains."""
    array = np.arange(1 << 14)
    pieces = bundle([array, lambda x: x + 1])
    assert len(pieces) == 2
    found = unbundle(pieces)
    assert same(found[0], array)
    assert found[1](1) == 2
