"""Fields of items: a new container of the same type, whatever the type; what cannot have fields is refused."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from penstock.graph.fields import OnFields, checked_fields, replaced


class Names(list):
    """A list of a type of its own, with an attribute."""

    kind = "names"


class Row(tuple):
    """A tuple of a type of its own."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("item", "at", "expected"),
    [
        (collections.defaultdict(int, a=1), "a", collections.defaultdict(int, a=-1)),
        (Names([1, 2]), 1, Names([1, -2])),
        (Row((1, 2)), (0, 1), Row((-1, -2))),
        ({"a": 1, "b": 2}, ("a", "b"), {"a": -1, "b": -2}),
    ],
)
def test_types_are_kept(item, at, expected):
    """Containers of types of their own stay what they are, and the one handed in is not changed."""
    before = type(item)(item) if not isinstance(item, collections.defaultdict) else item.copy()
    made = replaced(item, at, lambda x: -x)
    assert made == expected
    assert type(made) is type(expected)
    assert item == before


def test_the_rest_is_the_same_object():
    """Fields that are not named are handed on, not copied."""
    image = np.zeros(3)
    assert OnFields(str, "label")({"image": image, "label": 3})["image"] is image


def test_one_field_twice_is_seen_after_normalising():
    """NumPy's integers are numbers like any other, so naming one twice is seen."""
    assert checked_fields([np.int64(1), "a"], "map()", "at") == (1, "a")
    with pytest.raises(ValueError, match="twice"):
        checked_fields((np.int64(1), 1), "map()", "at")


@pytest.mark.parametrize("item", [3, "text", np.zeros(3), {1, 2}, None, dict])
def test_what_has_no_fields_is_refused(item):
    """A number, a text, an array, a set or a class has no fields."""
    with pytest.raises(TypeError, match="no fields"):
        replaced(item, "a", str)
