"""Checks: the words of a refusal, and values that are welcome."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, flag, function, name_of, short, whole


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_whole_numbers_are_welcome(value):
    """NumPy's integers are whole numbers; what comes out is Python's own."""
    found = whole(value, "batch()", "size")
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [True, np.bool_(True), 2.0, np.float64(2), "2", None, [2], np.array([2])])
def test_other_values_are_not(value):
    """Booleans, floats, text and arrays are no whole numbers; the message shows the value and its type."""
    with pytest.raises(ArgumentTypeError, match=r"batch\(\): size must be a whole number, not ") as caught:
        whole(value, "batch()", "size", remedy="Say 2.")
    assert repr(value) in str(caught.value)
    assert str(caught.value).endswith("Say 2.")


def test_too_small():
    """A number below the least one is refused with both."""
    with pytest.raises(ArgumentError, match=r"batch\(\): size must be at least 1, not 0. More.$"):
        whole(0, "batch()", "size", least=1, remedy="More.")


def test_choice_suggests():
    """A word that is nearly right is suggested; one that is not, is not."""
    with pytest.raises(ArgumentError, match=r"one of 'keep', 'drop', not 'dorp' \(str\). Did you mean 'drop'\?"):
        choice("dorp", ["keep", "drop"], "batch()", "last")
    with pytest.raises(ArgumentError) as caught:
        choice("zzz", ["keep", "drop"], "batch()", "last")
    assert "mean" not in str(caught.value)
    choice("keep", iter(["keep"]), "batch()", "last")


@pytest.mark.parametrize("value", [None, 3, True, ["keep"], np.array(["keep", "drop"])])
def test_choice_refuses_other_types(value):
    """What is no text is refused like a wrong word."""
    with pytest.raises(ArgumentError, match="must be one of"):
        choice(value, ["keep", "drop"], "batch()", "last")


def test_function_shows_an_example():
    """What cannot be called is refused, with a line that could be written instead."""
    with pytest.raises(
        ArgumentTypeError, match=r"map\(\): function must be a function, not 3 \(int\). For example: x.map\(f\)"
    ):
        function(3, "map()", "function", "x.map(f)")


@pytest.mark.parametrize("value", [0, 1, None, "True", np.bool_(True)])
def test_flags_are_true_or_false(value):
    """Nothing but True and False is a flag."""
    with pytest.raises(ArgumentTypeError, match="True or False"):
        flag(value, "zip()", "strict")


def test_short_is_short():
    """A long or many-lined repr is cut to one line; a broken one does not break the message."""

    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert short("a" * 500).endswith("… (str)")
    assert len(short("a" * 500)) < 80
    assert "\n" not in short(np.zeros((50, 50)))
    assert short(Broken()) == "<no repr> (Broken)"
    assert short(None) == "None (NoneType)"


class Callable:
    """An object that can be called."""

    def __call__(self, x):
        """Return the argument."""
        return x

    def method(self, x):
        """Return the argument."""
        return x


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (len, "len"),
        (str.upper, "str.upper"),
        (np.sum, "sum"),
        (int, "int"),
        (lambda x: x, "lambda"),
        (functools.partial(int, base=2), "partial(int, base=2)"),
        (functools.partial(functools.partial(int), base=2), "partial(int, base=2)"),
        (Callable(), "Callable"),
        (Callable().method, "Callable.method"),
        (np.vectorize(abs), "vectorize"),
    ],
)
def test_names(value, name):
    """Functions, methods, partials, classes and callable objects have the names that people give them."""
    assert name_of(value) == name


def test_names_of_callable_values_hold_what_they_were_told():
    """Else a state of one pipeline would fit another; what lies in memory is not named, for it is never the same."""

    @dataclasses.dataclass(frozen=True)
    class Crop:
        size: int
        of: object = None

        def __call__(self, x):
            return x

    assert name_of(Crop(224)) == "Crop(size=224, of=None)"
    assert name_of(Crop(224, object())) == "Crop"
    assert name_of(functools.partial(int, base=10)) == "partial(int, base=10)"
    assert name_of(functools.partial(max, object(), key=len)) == "partial(max, object, key=len)"
    long, longer = name_of(Crop(1, "x" * 200)), name_of(Crop(1, "x" * 201))
    assert long != longer
    assert len(long) < 120


def test_a_function_within_functions_has_its_own_name():
    """What surrounds a function is no part of its name, whether that has a name or not."""

    def inner():
        """Do nothing."""

    assert name_of(inner) == "inner"
    nested = lambda: lambda: None  # noqa: E731  one without a name in another
    assert name_of(nested()) == "lambda"
