"""Patterns of paths: braces as in a shell, and lists that survive being written as one text."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ArgumentError, StoreError
from penstock.storage import patterns
from penstock.storage.patterns import expanded, files, joined

BRACES = [
    "plain",
    "s-{000..012}.tar",
    "{a,b{1,2}}c{x,}",
    "{{a,b},c}{1,2}",
    "a{b}c",
    "{1..7..2}",
    "{3..1}",
    "{0..10}",
    "{10..00}",
    "{08..11}",
    "{,a}b",
    "a{b",
    "a}b",
    "x{a,b}y{c,d}z",
    r"a\{1,2\}",
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no shell here")
@pytest.mark.parametrize("pattern", BRACES)
def test_braces_as_in_a_shell(pattern):
    """What braces stand for, and in which order, is what bash says."""
    shell = subprocess.run(["bash", "-c", f"printf '%s\\n' {pattern}"], check=True, capture_output=True, text=True)
    assert list(expanded(pattern)) == shell.stdout.splitlines()


@given(st.lists(st.text(st.sampled_from("ab{},\\.*"), min_size=1, max_size=6), min_size=1, max_size=5))
def test_lists_survive(paths):
    """A list of existing paths, whatever is in their names, comes back from its pattern."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns.os.path, "lexists", lambda path: True)
        text = joined(paths)
    assert list(expanded(text)) == paths


@given(st.text(st.sampled_from("a{},.1\\"), max_size=12))
def test_any_text_is_a_pattern(text):
    """Whatever a text is, expanding it ends, and gives at least one path."""
    assert list(itertools.islice(expanded(text), 1000))


def test_files(tmp_path):
    """What is there is found, sorted; what is missing is named; too many are refused before they are listed."""
    for name in ("b.tar", "a.tar", "c,d.tar"):
        (tmp_path / name).write_bytes(b"")
    root = str(tmp_path)
    assert [os.path.basename(path) for path in files(f"{root}/*.tar")] == ["a.tar", "b.tar", "c,d.tar"]
    assert [os.path.basename(path) for path in files(f"{root}/{{b,a}}.tar")] == ["b.tar", "a.tar"]
    assert files(f"{root}/c,d.tar") == [f"{root}/c,d.tar"]
    with pytest.raises(StoreError, match=r"no file .*x\.tar"):
        files(f"{root}/{{a,x}}.tar")
    with pytest.raises(StoreError, match="nothing matches"):
        files(f"{root}/*.tgz")
    with pytest.raises(ArgumentError, match="more than 10 files"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "MOST", 10)
        list(expanded("{0..99999999999}"))
    with pytest.raises(ArgumentError, match="empty"):
        joined([])
