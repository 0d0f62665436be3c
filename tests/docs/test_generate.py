"""The reference and the table of other libraries' names: complete, up to date, and naming only what there is."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import penstock as ps

DOCS = Path(__file__).parents[2] / "docs"


def generator():
    """Return the script that writes the reference, as a module."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date():
    """docs/operations.md is what the docstrings say now."""
    written = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert written == generator().page(), "run: python docs/generate.py"


def test_the_reference_is_complete():
    """Every public method and function has a heading of its own, and each link leads to one."""
    page = generator().page()
    headings = set(re.findall(r"^### (.*)$", page, re.MULTILINE))
    for kind in (ps.Sequence, ps.Stream):
        for name in dir(kind):
            if not name.startswith("_") and inspect.isfunction(getattr(kind, name)):
                assert name in headings
    assert {f"ps.{name}" for name in ps.__all__ if name not in {"Sequence", "Stream"}} <= headings
    links = set(re.findall(r"\]\(#(.*?)\)", page))
    assert links == {generator().anchor(heading) for heading in headings}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: one\n    more\nb, c: two", ["- `a`: one more", "- `b, c`: two"]),
        ("ArgumentError: the ``word`` is wrong.", ["- `ArgumentError`: the `word` is wrong."]),
    ],
)
def test_sections_become_lists(text, expected):
    """What is said of an argument stands on one line of a list."""
    assert generator().listed(text) == expected


def table():
    """Return the rows of the table of other libraries' names: theirs and ours."""
    text = (DOCS / "elsewhere.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", text, re.MULTILINE)
    return [row for row in rows if row[0] != "---"]


def test_the_table_names_what_there_is():
    """Each method and function that the table points to exists."""
    for theirs, ours in table():
        for name in re.findall(r"`\.(\w+)\(", ours) + re.findall(r"\)\.(\w+)\(", ours):
            assert hasattr(ps.Sequence, name) or hasattr(ps.Stream, name), f"{theirs}: .{name}()"
        for name in re.findall(r"\bps\.(\w+)", ours):
            assert hasattr(ps, name), f"{theirs}: ps.{name}"


def test_the_table_has_all_of_pytorch():
    """Every public name of torch.utils.data, and every argument of its loader, is in the table."""
    data = pytest.importorskip("torch.utils.data")
    there = " ".join(theirs for theirs, _ in table())
    names = {name for name in data.__all__ if not name.startswith("_")}
    names |= set(inspect.signature(data.DataLoader).parameters) - {"dataset"}
    for name in names:
        assert re.search(rf"\b{name}\b", there), name


def test_the_readme_names_what_there_is():
    """Each name in README's table of the vocabulary exists."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    rows = text.partition("### What there is")[2].partition("\n\n## ")[0]
    named = set(re.findall(r"`(\w+)(?:\([^`]*\))?`", rows)) - {"for", "len", "print", "help"}
    there = {name for kind in (ps.Sequence, ps.Stream, ps.Loader, ps) for name in dir(kind)}
    assert not named - there
