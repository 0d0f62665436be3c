"""What servers and consumers say: every field is checked, and nothing that a peer sends can do more than be refused."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.service.library import dealer, receiver
from penstock.service.protocol import HEADS, SAYS, WANTS, Nonsense, opened, packed, position, runs, version_of

zmq = pytest.importorskip("zmq")

OPEN = {
    "token": "t", "clock": 0, "route": 1, "epoch": 0, "number": 0, "below": None, "digest": None, "share": [0, 1],
    "shard": None, "window": 4, "bytes": 100, "held": [], "done": [],
}  # fmt: skip


def test_a_message_comes_back_as_it_was_said():
    """What is packed is opened as the same kind and fields, with the frames behind them."""
    message = opened(packed("open", **OPEN), WANTS)
    assert (message.kind, message.fields, list(message.frames)) == ("open", OPEN, [])
    data = {"route": 1, "seq": 0, "numbers": [0], "sizes": [3], "after": None}
    assert list(opened([*packed("data", **data), b"abc"], SAYS).frames) == [b"abc"]


@pytest.mark.parametrize(
    "changes",
    [
        {"route": 0}, {"route": True}, {"route": -1}, {"route": "1"}, {"epoch": 1 << 32}, {"number": 1 << 60},
        {"below": [[[[[[[[[[0]]]]]]]]]]}, {"below": float("inf")}, {"share": [1, 1]}, {"share": [0]}, {"shard": [2, 2]},
        {"window": 0}, {"window": 1 << 20}, {"bytes": 0}, {"held": [[3, 2]]}, {"held": [[0, 1]] * 3000}, {"more": 1},
        {"token": "t" * 100}, {"done": {}}, {"held": [[0, 1 << 20]]}, {"done": [[0, 40_000], [50_000, 90_000]]},
        {"token": "\ud800"}, {"token": 'a"} 1'}, {"token": "a\nb"},
    ],
)  # fmt: skip
def test_an_impossible_field_is_nonsense(changes):
    """A field of another type, out of its range, too deep or too long, or one too many, is refused as a whole."""
    with pytest.raises(Nonsense):
        opened(packed("open", **(OPEN | changes)), WANTS)


def test_nothing_that_ends_the_process():
    """ZeroMQ aborts where a socket with IMMEDIATE loses its connection within a message: no such socket gets two frames."""
    assert len(packed("open", **OPEN)) == 1
    with zmq.Context() as context, dealer(context, None, 1) as one, receiver(context, None, 1) as other:
        assert not one.immediate
        assert not other.immediate


@pytest.mark.parametrize(
    "frames",
    [
        [], [b""], [b"", b""], [b"PS{}"], [b"GET / HTTP/1.1"], [b"PS\x01\xff{}"], [HEADS["bye"] + b"[]"],
        [HEADS["bye"] + b"{"], [HEADS["bye"] + b"[" * 60000], [HEADS["bye"] + b'{"token":1}'],
        [HEADS["bye"] + b'{"token":"a"}', b"more"], [HEADS["welcome"] + b"{}"], [HEADS["status"] + b"{}" + b" " * 70000],
        [HEADS["bye"] + b"\xff\xfe"],
    ],
)  # fmt: skip
def test_what_is_no_message_is_nonsense(frames):
    """Foreign protocols, half messages, deep JSON, messages of the other side and of too many frames are refused."""
    with pytest.raises(Nonsense):
        opened(frames, WANTS)


@given(st.lists(st.binary(max_size=80), max_size=4), st.sampled_from([b"", *HEADS.values()]))
def test_random_bytes_are_refused_or_opened(frames, head):
    """Whatever bytes come, the answer is a message or Nonsense, and never another exception."""
    for schemas in (WANTS, SAYS):
        try:
            assert opened([head + b"".join(frames[:1]), *frames[1:]], schemas).kind in schemas
        except Nonsense:
            continue


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_positions_are_plain(value):
    """Any position that passes is plain JSON, which JSON gives back unchanged."""
    if position(value):
        assert json.loads(json.dumps(value)) == value


def test_a_version_can_be_told():
    """A peer of another version is told from one that speaks something else."""
    assert version_of(b"PS\x07\x01") == 7
    assert version_of(b"HTTP") is None
    assert version_of(b"PS\x01\x01\x00") is None


@given(st.sets(st.integers(0, 50)))
def test_runs_cover_their_numbers(numbers):
    """Stretches name exactly the numbers that they were made of, as few stretches as there are."""
    found = runs(sorted(numbers))
    assert {n for start, stop in found for n in range(start, stop)} == numbers
    assert all(one[1] < other[0] for one, other in pairwise(found))
