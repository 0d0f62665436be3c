"""Guessing: whoever asks the package for a name of another library is told ours."""

from __future__ import annotations

import re

import pytest

import penstock as ps
from penstock.surface import guessing
from penstock.surface.described import ELSEWHERE


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DataLoader", "dataset.loader(workers=Processes(4))"),
        ("TensorDataset", "arrays(x, y)"),
        ("chain", "concat(a, b)"),
        ("Processe", "Did you mean Processes?"),
        ("Concat", "Did you mean concat?"),
        ("shuffle", "It is a method: dataset.shuffle(…)."),
        ("Batch", "It is a method: dataset.batch(…)."),
        ("head", "Use .take(count)."),
        ("images", "import penstock.images"),
        ("frobnicate", "There are: Compose, "),
    ],
)
def test_a_wrong_name_is_answered(name, words):
    """Names of other libraries, methods, modules and misspelt names are answered with what to write."""
    namespace = {"__name__": "penstock", "__all__": ps.__all__}
    guessing.answering(namespace)
    with pytest.raises(AttributeError, match=f"penstock has no '{name}'. .*{re.escape(words)}"):
        namespace["__getattr__"](name)


def test_the_package_answers():
    """The package asks; what looks for a name without an error finds nothing, and submodules can be imported."""
    with pytest.raises(AttributeError, match=r"DataLoader.*\.loader"):
        ps.DataLoader
    assert not hasattr(ps, "DataLoader")
    assert not hasattr(ps, "__wrapped__")
    from penstock import testing

    assert testing.check_dataset


def test_no_hint_is_for_a_name_that_there_is():
    """A hint for a name that is public by now would never be seen."""
    assert not set(guessing.NAMES) & set(ps.__all__)


@pytest.mark.parametrize("table", [guessing.NAMES, ELSEWHERE], ids=["names", "methods"])
def test_hints_name_what_there_is(table):
    """Each method that a hint tells to use exists."""
    for name, hint in table.items():
        for method in re.findall(r"(?:\bdataset|^Use |, or |\s)\.(\w+)\(", hint):
            known = [*dir(ps.Sequence), *dir(ps.Stream), *dir(ps.Loader)]
            assert method in known, f"{name}: {hint}"
        for function in re.findall(r"\bpenstock\.(\w+)\(", hint):
            assert function in ps.__all__, f"{name}: {hint}"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: ps.range(3).head, r"Use \.take\(count\)"),
        (lambda: ps.range(3).filter(bool).split, "needs positions.*indexed"),
        (lambda: ps.range(3).indexed, "has positions already"),
        (lambda: ps.range(3).shufle, r"Did you mean shuffle\(\)"),
        (lambda: ps.range(3).frobnicate, "There are: .*batch"),
        (lambda: ps.range(3).loader().set_epoch, "a Loader has no 'set_epoch'. It counts its epochs"),
        (lambda: ps.range(3).loader().batch, "before .loader"),
        (lambda: ps.range(3).loader().frobnicate, "a Loader has no 'frobnicate'"),
    ],
)
def test_methods_that_there_are_not(ask, words):
    """Datasets and loaders answer alike; a Stream says how it comes to positions."""
    with pytest.raises(AttributeError, match=words):
        ask()


def test_datasets_are_joined_not_added():
    """``a + b``, as some libraries have it, names the function that joins."""
    with pytest.raises(TypeError, match="concat"):
        ps.range(3) + ps.range(2)
    for join in (ps.zip, ps.concat, ps.interleave):
        with pytest.raises(TypeError, match=rf"one by one: {join.__name__}\(a, b\), or {join.__name__}\(\*datasets\)"):
            join([ps.range(3), ps.range(2)])
