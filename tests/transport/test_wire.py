"""Records on their way through a socket: cut into frames, joined, and put together again without a copy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import CorruptRecord
from penstock.testing import same
from penstock.transport.wire import OWN, Parcel, divided, joined, opened

ITEMS = [
    {"x": np.arange(5), "y": "text"},
    np.zeros((300, 300)),
    (np.ones(OWN), [1, 2, 3], np.arange(2 * OWN, dtype="u1").reshape(2, -1), b"bytes", None),
    {"f": np.asfortranarray(np.random.default_rng(0).random((200, 100))), "empty": np.empty((0, 3)), "s": ["a", "bc"]},
    7,
]


@pytest.mark.parametrize("item", ITEMS)
def test_an_item_comes_back(item):
    """An item that was cut into frames is the same when it is opened, whatever it consists of."""
    assert same(opened([bytearray(frame) for frame in Parcel(item).frames()]), item)


def test_large_arrays_are_not_copied():
    """A large array is sent from where it lies, and looked at where it arrived; both ends can write to theirs."""
    array = np.zeros(OWN)
    frames = Parcel({"x": array}).frames()
    assert any(np.shares_memory(np.frombuffer(frame, np.uint8), array) for frame in frames)
    come = [bytearray(frame) for frame in frames]
    item = opened(come)["x"]
    assert any(np.shares_memory(np.frombuffer(frame, np.uint8), item) for frame in come)
    item[0] = 1


@given(st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_small_records_travel_together(lengths):
    """Small records of any lengths share one frame and come apart as they were."""
    items = [np.arange(n) for n in lengths]
    parcels = [Parcel(item) for item in items]
    frame = joined(parcels)
    found = [opened(record) for record in divided(frame, [parcel.nbytes for parcel in parcels])]
    assert same(found, items)


@pytest.mark.parametrize("sizes", [[], [10], [-64, 192], [1 << 60]])
def test_sizes_that_do_not_fit_are_refused(sizes):
    """Sizes that do not add up to the frame are refused before anything is made of them."""
    with pytest.raises(CorruptRecord):
        list(divided(bytes(128), sizes))


@given(st.integers(0, 4), st.integers(0, 10**6), st.integers(1, 255))
def test_flipped_and_cut_frames_are_refused_or_whole(which, place, flip):
    """Frames with a changed byte in their header, or cut elsewhere, give an item or CorruptRecord, nothing else."""
    frames = [bytearray(frame) for frame in Parcel(ITEMS[which]).frames()]
    frames[0][place % min(len(frames[0]), 200)] ^= flip
    for cut in (frames, [bytes(frames[0][: place % len(frames[0])]), *frames[1:]], [b"".join(frames)[:-1]]):
        try:
            opened(list(cut))
        except CorruptRecord:
            continue
