"""Amounts of memory, read and written as people do."""

from __future__ import annotations

import pytest

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.amounts import nbytes_of, said


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [("4GB", 4 * 10**9), ("1.5 kb", 1500), ("2MiB", 2 << 20), ("7", 7), (7, 7), (" 3 TB ", 3 * 10**12)],
)
def test_amounts(text, nbytes):
    """Numbers, decimal and binary units, in small and capital letters."""
    assert nbytes_of(text, "f()", "x") == nbytes


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("4 gigs", ArgumentError),
        ("", ArgumentError),
        ("-3GB", ArgumentError),
        (0, ArgumentError),
        ("0", ArgumentError),
        (2.5, ArgumentTypeError),
        (True, ArgumentTypeError),
    ],
)
def test_what_is_no_amount(value, kind):
    """What cannot be meant is refused, with an example."""
    with pytest.raises(kind):
        nbytes_of(value, "f()", "x")


def test_said():
    """Bytes for people."""
    assert [said(n) for n in (0, 999, 1500, 2_000_000, 3_210_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.5 KB",
        "2.0 MB",
        "3.2 GB",
    ]
