"""Any chain of SeqTools' views has the items that the same chain of plain lists has."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from penstock.compat import seqtools

STEPS = {  # a view of a view, and a list of a list
    "smap": (lambda s: seqtools.smap(repr, s), lambda x: list(map(repr, x))),
    "slice": (lambda s: s[1:7:2], lambda x: x[1:7:2]),
    "reversed": (lambda s: s[::-1], lambda x: x[::-1]),
    "gather": (lambda s: seqtools.gather(s, [0, -1] if len(s) else []), lambda x: [x[0], x[-1]] if x else []),
    "concatenate": (lambda s: seqtools.concatenate([s, "ab", s]), lambda x: [*x, "a", "b", *x]),
    "collate": (lambda s: seqtools.collate([s, s]), lambda x: list(zip(x, x, strict=True))),
    "batch": (lambda s: seqtools.batch(s, 3, pad="pad"), lambda x: [padded(x[i : i + 3]) for i in range(0, len(x), 3)]),
    "unbatch": (
        lambda s: seqtools.unbatch(seqtools.batch(s, 2), 2, 2 - len(s) % 2),
        lambda x: x,
    ),
    "interleave": (
        lambda s: seqtools.interleave(s, [1, 2]),
        lambda x: [v for i in range(max(len(x), 2)) for v in [*x[i : i + 1], *[1, 2][i : i + 1]]],
    ),
    "cycle": (lambda s: seqtools.cycle(s, 5) if len(s) else s, lambda x: (x * 5)[:5]),
    "case": (lambda s: seqtools.case([0, 1] * len(s), s2(s), s2(s)[::-1]), lambda x: chosen(x + x)),
    "add_cache": (lambda s: seqtools.add_cache(s, 2), lambda x: x),
    "debug": (lambda s: seqtools.instrument.debug(s, lambda i, value: None), lambda x: x),
    "split": (lambda s: seqtools.smap(list, seqtools.split(s, [2])), lambda x: [x[:2], x[2:]]),
    "uniter": (lambda s: seqtools.uniter(s, 2, 1, len(s)), lambda x: x),
    "prefetch": (lambda s: seqtools.prefetch(s, 1, "thread", 4), lambda x: x),
}


def padded(batch):
    """Return a batch of three."""
    return batch + ["pad"] * (3 - len(batch))


def s2(sequence):
    """Return a sequence twice."""
    return seqtools.concatenate([sequence, sequence])


def chosen(x):
    """Return items of a list, and of its reverse, in turns."""
    return [x[::-1][i] if i % 2 else x[i] for i in range(len(x))]


@given(st.integers(0, 9), st.lists(st.sampled_from(sorted(STEPS)), max_size=4))
def test_chains(count, names):
    """Length, loops and positions, from either end, agree with lists."""
    view, expected = list(range(count)), list(range(count))
    for name in names:
        if len(expected) > 60:
            break
        view, expected = STEPS[name][0](view), STEPS[name][1](expected)
    assert len(view) == len(expected)
    assert list(view) == expected
    assert [view[i] for i in range(-len(expected), len(expected))] == expected + expected
    if {"smap", "debug", "split", "case"}.isdisjoint(names):
        assert list(pickle.loads(pickle.dumps(view))) == expected
