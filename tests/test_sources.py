"""The functions that make datasets: what they take, and what they refuse."""

from __future__ import annotations

import asyncio
import builtins
import itertools

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError

X, Y = np.zeros((10, 2)), np.zeros(9)


class OnlyIter:
    """What can be iterated and has neither length nor positions."""

    def __iter__(self):
        """Return an iterator."""
        return iter([1])


MISTAKES = [
    # range
    (lambda: ps.range(-1), ValueError, ["range()", "-1"]),
    (lambda: ps.range(2.0), TypeError, ["range()", "2.0"]),
    (lambda: ps.range("10"), TypeError, ["range()", "'10'"]),
    (lambda: ps.range(None), TypeError, ["range()", "None"]),
    (lambda: ps.range(True), TypeError, ["range()", "True"]),
    (lambda: ps.range([1, 2]), TypeError, ["range()", "[1, 2]"]),
    (lambda: ps.range(0, 10, 0), ValueError, ["range()", "step", "0"]),
    (lambda: ps.range(1, 2.5), TypeError, ["range()", "stop", "2.5"]),
    (lambda: ps.range(1, 2, 3, 4), TypeError, ["range"]),
    (ps.range, TypeError, ["n"]),
    # items
    (lambda: ps.items(3), TypeError, ["items()", "3 (int)", "stream()"]),
    (lambda: ps.items(None), TypeError, ["items()", "None"]),
    (lambda: ps.items({"a": 1}), TypeError, ["items()", "dict", "keys", "list(x.items())"]),
    (lambda: ps.items({1, 2}), TypeError, ["items()", "set", "stream()"]),
    (lambda: ps.items("text"), TypeError, ["items()", "'text'", "files("]),
    (lambda: ps.items(b"text"), TypeError, ["items()", "b'text'"]),
    (lambda: ps.items(iter([1])), TypeError, ["items()", "stream()"]),
    (lambda: ps.items(x for x in [1]), TypeError, ["items()", "generator", "stream()"]),
    (lambda: ps.items(OnlyIter()), TypeError, ["items()", "stream()"]),
    (lambda: ps.items(list), TypeError, ["items()"]),
    (lambda: ps.items(np.array(3)), TypeError, ["items()"]),
    (lambda: ps.items(ps.stream([1])), TypeError, ["items()"]),
    (lambda: ps.items(ps.range(3).repeat()), TypeError, ["items()", "end"]),
    (lambda: ps.items([1], [2]), TypeError, ["positional"]),
    # arrays
    (ps.arrays, ValueError, ["arrays()", "nothing", "arrays(x, y)"]),
    (lambda: ps.arrays(X, Y), ValueError, ["arrays()", "array 0 has 10", "array 1 has 9"]),
    (lambda: ps.arrays(x=X, y=Y), ValueError, ["arrays()", "x has 10", "y has 9", "one length"]),
    (lambda: ps.arrays(X, y=Y), ValueError, ["arrays()", "by place", "by name"]),
    (lambda: ps.arrays(3), TypeError, ["arrays()", "3 (int)", "rows"]),
    (lambda: ps.arrays(None), TypeError, ["arrays()", "None", "rows"]),
    (lambda: ps.arrays("text"), TypeError, ["arrays()", "'text'"]),
    (lambda: ps.arrays(X, 3), TypeError, ["arrays()", "3 (int)"]),
    (lambda: ps.arrays([[1, 2], [3]]), ValueError, ["arrays()", "different lengths", "items()"]),
    (lambda: ps.arrays(np.float64(3)), TypeError, ["arrays()", "rows"]),
    (lambda: ps.arrays(x for x in [1]), TypeError, ["arrays()", "generator"]),
    (lambda: ps.arrays(ps.stream([1])), TypeError, ["arrays()"]),
    (lambda: ps.arrays({1, 2}), TypeError, ["arrays()", "set"]),
    # files
    (ps.files, ValueError, ["files()", "no pattern", '"photos/**/*.jpg"']),
    (lambda: ps.files("no/such/*.jpg"), ValueError, ["files()", "nothing matches", "'no/such/*.jpg'"]),
    (lambda: ps.files(""), ValueError, ["files()", "''"]),
    (lambda: ps.files("."), ValueError, ["files()", "folder", "**"]),
    (lambda: ps.files(3), TypeError, ["files()", "3 (int)"]),
    (lambda: ps.files(None), TypeError, ["files()", "None"]),
    (lambda: ps.files(["*.jpg", "*.png"]), TypeError, ["files()", "list", "files(*patterns)", "items(paths)"]),
    (lambda: ps.files(b"*.jpg"), TypeError, ["files()", "b'*.jpg'"]),
    (lambda: ps.files("*", recursive=True), TypeError, ["recursive"]),
    # stream
    (lambda: ps.stream(iter([1])), TypeError, ["stream()", "list_iterator", "once", "function"]),
    (lambda: ps.stream(x for x in [1]), TypeError, ["stream()", "generator", "once"]),
    (lambda: ps.stream(map(str, [1])), TypeError, ["stream()", "map", "once"]),
    (lambda: ps.stream(itertools.count()), TypeError, ["stream()", "count", "once"]),
    (lambda: ps.stream(3), TypeError, ["stream()", "3 (int)"]),
    (lambda: ps.stream(None), TypeError, ["stream()", "None"]),
    (ps.stream, TypeError, ["source"]),
    (lambda: ps.stream(lambda x: [x]), TypeError, ["stream()", "lambda", "argument"]),
    (lambda: ps.stream([1], once=1), TypeError, ["stream()", "once", "1 (int)"]),
    (lambda: ps.stream(3, once=True), TypeError, ["stream()", "3 (int)"]),
    # queue
    (lambda: ps.queue([1]), TypeError, ["queue()", "[1] (list)", "get(timeout="]),
    (lambda: ps.queue({"a": 1}), TypeError, ["queue()", "dict"]),
    (lambda: ps.queue(asyncio.Queue()), TypeError, ["queue()", "Queue"]),
    # synthetic
    (lambda: ps.synthetic(3), ValueError, ["synthetic()", "no field", "label=((), "]),
    (lambda: ps.synthetic(-1, x=((), "u1")), ValueError, ["synthetic()", "-1", "endless"]),
    (lambda: ps.synthetic(3, x="u1"), TypeError, ["synthetic()", "x", "(shape, dtype)"]),
    (lambda: ps.synthetic(3, x=((2, -1), "u1")), ValueError, ["synthetic()", "x", "-1"]),
    (lambda: ps.synthetic(3, x=((), "flaot")), TypeError, ["synthetic()", "x", "'flaot'"]),
    (lambda: ps.synthetic(3, x=((), "U3")), TypeError, ["synthetic()", "x", "numbers"]),
    (lambda: ps.synthetic(3, x=((), "u1", 257)), ValueError, ["synthetic()", "x", "257"]),
    (lambda: ps.synthetic(3, x=((), "f4", 2)), ValueError, ["synthetic()", "x", "high=2"]),
    (lambda: ps.synthetic(3, fresh=1, x=((), "f4")), TypeError, ["synthetic()", "fresh"]),
    # interleave
    (ps.interleave, ValueError, ["interleave()", "nothing"]),
    (lambda: ps.interleave([ps.range(2), ps.range(2)]), TypeError, ["interleave()", "list"]),
    (lambda: ps.interleave(ps.range(2), block=0), ValueError, ["interleave()", "block", "0"]),
    (lambda: ps.interleave(ps.range(2), stop="last"), ValueError, ["interleave()", "stop", "'last'", "'first'"]),
    # zip, concat
    (ps.zip, ValueError, ["zip()", "nothing"]),
    (lambda: ps.zip(1), TypeError, ["zip()", "1 (int)", "dataset"]),
    (lambda: ps.zip([1, 2], ps.range(2)), TypeError, ["zip()", "[1, 2] (list)", "items(x)"]),
    (lambda: ps.zip([ps.range(2), ps.range(2)]), TypeError, ["zip()", "list"]),
    (lambda: ps.zip(ps.range(2), x=ps.range(2)), ValueError, ["zip()", "by place", "by name"]),
    (lambda: ps.zip(x=3), TypeError, ["zip()", "3 (int)"]),
    (lambda: ps.zip(ps.range(2), ps.range(3), strict=True), ValueError, ["zip(strict=True)", "2, 3"]),
    (lambda: ps.zip(ps.range(2), strict="yes"), TypeError, ["zip()", "strict", "'yes'"]),
    (lambda: ps.zip(ps.range(2).loader(), ps.range(2)), TypeError, ["zip()", "Loader"]),
    (ps.concat, ValueError, ["concat()", "nothing"]),
    (lambda: ps.concat(3), TypeError, ["concat()", "3 (int)"]),
    (lambda: ps.concat([ps.range(2), ps.range(3)]), TypeError, ["concat()", "list"]),
    (lambda: ps.concat("abc", ps.range(3)), TypeError, ["concat()", "'abc'", "items(x)"]),
    (lambda: ps.concat(ps.range(2).repeat(), ps.range(3)), ValueError, ["concat()", "input 0", "no end"]),
    (lambda: ps.concat(ps.range(2), x=ps.range(3)), TypeError, ["x"]),
    # executors
    (lambda: ps.Threads(0), ValueError, ["Threads(", "at least 1", "0"]),
    (lambda: ps.Threads(-1), ValueError, ["Threads(", "-1"]),
    (lambda: ps.Threads("4"), TypeError, ["Threads(", "'4'"]),
    (lambda: ps.Threads(2.0), TypeError, ["Threads(", "2.0"]),
    (lambda: ps.Processes(0), ValueError, ["Processes(", "at least 1", "0"]),
    (lambda: ps.Processes("4"), TypeError, ["Processes(", "'4'"]),
    (lambda: ps.Inline(4), TypeError, ["positional"]),
    # empty
    (lambda: ps.empty(-1), ValueError, ["empty()", "-1"]),
    (lambda: ps.empty((2, -1)), ValueError, ["empty()", "-1"]),
    (lambda: ps.empty(2.7), TypeError, ["empty()", "2.7"]),
    (lambda: ps.empty("3"), TypeError, ["empty()", "'3'"]),
    (lambda: ps.empty(None), TypeError, ["empty()", "None"]),
    (lambda: ps.empty((2, 2.5)), TypeError, ["empty()", "2.5"]),
    (lambda: ps.empty(3, "flaot"), TypeError, ["flaot"]),
]


@pytest.mark.parametrize("number", builtins.range(len(MISTAKES)), ids=lambda n: f"{n}-{MISTAKES[n][2][0]}")
def test_mistakes_are_refused_when_they_are_made(number):
    """A wrong argument is refused at once, with its value, the function and what to do instead."""
    call, kind, words = MISTAKES[number]
    with pytest.raises(kind) as caught:
        call()
    for word in words:
        assert word in str(caught.value), str(caught.value)
    if words[0].endswith("()"):
        assert isinstance(caught.value, ArgumentTypeError if kind is TypeError else ArgumentError)


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        (ps.range(3), ps.Sequence),
        (ps.items([1]), ps.Sequence),
        (ps.arrays([1]), ps.Sequence),
        (ps.files(__file__), ps.Sequence),
        (ps.stream([1]), ps.Stream),
        (ps.zip(ps.range(3), ps.range(3)), ps.Sequence),
        (ps.zip(ps.range(3), ps.stream([1])), ps.Stream),
        (ps.concat(ps.range(3), ps.range(3)), ps.Sequence),
        (ps.concat(ps.range(3), ps.stream([1])), ps.Stream),
    ],
    ids=repr,
)
def test_kinds(dataset, kind):
    """What has positions is a Sequence, everything else a Stream."""
    assert type(dataset) is kind


def test_datasets_are_sources():
    """A dataset may be the entries of another, or its stream."""
    assert list(ps.items(ps.range(3).map(str))) == ["0", "1", "2"]
    assert list(ps.stream(ps.range(4).filter(bool))) == [1, 2, 3]
