"""Hints: a call that Python refuses is answered with what was meant; all else is as if there were no hints."""

from __future__ import annotations

import copy
import dataclasses
import doctest
import inspect
import pickle

import pytest

import penstock as ps
from penstock import images, testing
from penstock.errors import ArgumentTypeError
from penstock.surface import described, hinting
from penstock.testing import Scrambled


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ps.range(9).batch(4, drop_last=True), ["batch()", "drop_last", 'last="drop"']),
        (lambda: ps.range(9).batch(4, drop_remainder=True), ["batch()", 'last="drop"']),
        (lambda: ps.range(9).batch(4, collate_fn=list), ["batch()", "collate_fn"]),
        (lambda: ps.range(9).batch(batch_size=4), ["batch()", "batch_size", "comes first"]),
        (lambda: ps.range(9).batch(4, colate=list), ["batch()", "Did you mean collate?"]),
        (lambda: ps.range(9).loader(num_workers=4), ["loader()", "workers=Processes(4)"]),
        (lambda: ps.range(9).loader(batch_size=4), ["loader()", ".batch(64)"]),
        (lambda: ps.range(9).loader(shuffle=True), ["loader()", ".shuffle().loader()"]),
        (lambda: ps.range(9).loader(pin_memory=True), ["loader()", "adapters.torch"]),
        (lambda: ps.range(9).loader(worker=4), ["loader()", "Did you mean workers?"]),
        (lambda: ps.range(9).map(abs, num_parallel_calls=4), ["map()", "workers"]),
        (lambda: ps.range(9).map(fn=abs), ["map()", "comes first"]),
        (lambda: ps.range(9).map(abs, prob=0.3), ["map()", "p="]),
        (lambda: ps.range(9).map(), ["map()", "'function'", "map(function, *, at=None"]),
        (lambda: ps.range(9).repeat(1, 2, 3, 4), ["repeat()", "positional", "repeat("]),
        (lambda: ps.stream([1]).filter(abs, frobnicate=3), ["filter()", "frobnicate", "filter(predicate)"]),
        (lambda: ps.files("x/*", recursive=True), ["files()", "recursive", "**"]),
        (lambda: ps.concat(ps.range(1), axis=0), ["concat()", "axis", "concat(*datasets"]),
        (ps.items, ["items()", "items("]),
        (ps.open, ["open()", "path"]),
        (lambda: ps.range(9).shuffle(100), ["shuffle()", "100", "window=1000"]),
        (lambda: ps.range(9).loader(4), ["loader()", "workers=Processes(4)"]),
        (lambda: ps.mix(ps.range(1), ps.range(2)), ["mix()", "one list"]),
        (lambda: ps.range(9).shard(0, 2), ["shard()", "last is missing", 'last="drop"']),
        (lambda: ps.range(9).split(test_size=0.2), ["split()", "split(0.8, 0.2)"]),
        (lambda: ps.range(9).windows(3, stride=2), ["windows()", "step=2"]),
        (lambda: ps.range(9).map(abs, input_columns="x"), ["map()", 'at="image"']),
        (lambda: ps.Processes(workers=2), ["Processes()", "workers", "Processes(4)"]),
        (lambda: ps.Threads(num_workers=2), ["Threads()", "num_workers", "Threads(4)"]),
        (lambda: ps.Processes(2, timout=3), ["Processes()", "timout", "timeout=60"]),
        (lambda: ps.Processes(2, on_strt=print), ["Processes()", "Did you mean on_start?"]),
        (lambda: ps.Inline(2), ["Inline()", "positional", "Inline()."]),
        (lambda: ps.Retry(max_attempts=2), ["Retry()", "Retry(3)"]),
        (lambda: ps.Skip(fractoin=0.1), ["Skip()", "Did you mean fraction?"]),
        (lambda: ps.Pad(valu=1), ["Pad()", "Did you mean value?"]),
        (lambda: ps.SomeOf(abs, k=2), ["SomeOf()", "count=2"]),
        (lambda: ps.connect("tcp://127.0.0.1:9", mode="share"), ["connect()", 'serve(dataset, endpoint, mode="share")']),
        (lambda: ps.connect("tcp://127.0.0.1:9", hwm=5), ["connect()", "window=16"]),
        (lambda: ps.serve(ps.range(9), "tcp://127.0.0.1:*", worker=2), ["serve()", "Did you mean workers?"]),
        (lambda: Scrambled(sede=1), ["Scrambled()", "Did you mean seed?"]),
        (lambda: images.RandomFlip(prob=0.5), ["RandomFlip()", "p=0.5"]),
        (images.RandomCrop, ["RandomCrop()", "'size'", "RandomCrop(size"]),
    ],
)
def test_a_wrong_call_is_answered(call, words):
    """Options of other libraries, misspelt ones and missing arguments are answered with what to write, as TypeErrors."""
    with pytest.raises(ArgumentTypeError) as caught:
        call()
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def methods():
    """Return all public methods of datasets, and all public functions."""
    found = [(kind, name) for kind in (ps.Sequence, ps.Stream) for name in dir(kind) if not name.startswith("_")]
    made = [(f"{kind.__name__}.{name}", getattr(kind, name)) for kind, name in found]
    made += [(name, getattr(ps, name)) for name in ps.__all__ if name != "empty"]  # which is called for every item
    return [(n, f) for n, f in made if inspect.isfunction(f) and f.__module__.startswith("penstock")]


@pytest.mark.parametrize(("name", "function"), methods(), ids=[name for name, _ in methods()])
def test_everything_public_answers(name, function):
    """Every public method and function has the hints, whoever adds one; its signature, docstring and name are its own."""
    inner = inspect.unwrap(function)
    assert inner is not function, f"{name}: a module of functions ends with hinting(globals()), or it is @hinted"
    assert inspect.signature(function) == inspect.signature(inner)
    assert (function.__doc__, function.__name__, function.__module__, function.__qualname__) == (
        inner.__doc__,
        inner.__name__,
        inner.__module__,
        inner.__qualname__,
    )


def classes():
    """Return all public classes whose values users make."""
    modules = (ps, images, testing)
    found = {kind for module in modules for name in module.__all__ if isinstance(kind := getattr(module, name), type)}
    return sorted((kind for kind in found if inspect.isfunction(vars(kind).get("__init__"))), key=repr)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_public_class_answers(kind):
    """Every public class has the hints, whoever adds one; its signature is its own."""
    inner = inspect.unwrap(kind.__init__)
    assert inner is not kind.__init__
    assert inspect.signature(kind.__init__) == inspect.signature(inner)
    with pytest.raises(ArgumentTypeError, match=rf"^{kind.__name__}\(\)(:| has no option frobnicate)"):
        kind(frobnicate=3)


def test_values_with_hints_are_values():
    """A value whose making is hinted is still compared, copied, replaced and pickled as any other."""
    value = ps.Processes(2)
    assert dataclasses.replace(ps.Processes(3), count=2) == value == pickle.loads(pickle.dumps(value))
    assert copy.deepcopy(value) == value


def test_errors_from_within_are_left_alone():
    """A TypeError that is raised while the call runs arrives as it is."""
    with pytest.raises(TypeError, match="whole number") as caught:
        ps.range("9")
    assert "It is written" not in str(caught.value)
    with pytest.raises(TypeError) as caught:
        list(ps.range(3).map(lambda x: x()))
    assert type(caught.value) is TypeError


def test_functions_travel_and_name_the_users_line():
    """A public function is pickled by its name, and an operation still remembers the line that it was written on."""
    assert pickle.loads(pickle.dumps(ps.range)) is ps.range
    assert ps.range(3).batch(2).node.site.file == __file__


def test_examples_are_still_found():
    """Doctest finds the examples of methods and functions: a wrapper that hid them would pass silently."""
    from penstock import sources
    from penstock.surface import ordering

    finder = doctest.DocTestFinder()
    for module, name in (
        (sources, "penstock.sources.range"),
        (ordering, "penstock.surface.ordering.Ordering.repeat"),
    ):
        assert any(test.name == name and test.examples for test in finder.find(module))


def test_hints_for_names_are_for_names_that_there_are_not():
    """What other libraries call it is no method here by now: the hint would never be seen."""
    both = set(dir(ps.Sequence)) & set(dir(ps.Stream))
    both -= {name for name in both if isinstance(getattr(ps.Sequence, name), property)}  # it may refuse, with the hint
    assert not both & set(described.ELSEWHERE)


def test_the_table_has_no_option_that_there_is():
    """No hint is for an option that its method has by now."""
    for entry in hinting.OPTIONS:
        name, _, option = entry.rpartition(".")
        for kind in (ps.Sequence, ps.Stream, ps):
            method = getattr(kind, name, None) if name in dir(kind) else None
            if inspect.isfunction(method) or isinstance(method, type):
                assert option not in inspect.signature(method).parameters, entry


def test_hints_for_places_are_for_what_there_is():
    """Hints for too many and for missing arguments belong to methods and options that exist."""
    owners = (ps.Sequence, ps.Stream, ps)
    for name in hinting.BY_PLACE:
        assert any(name in dir(owner) for owner in owners), name
    for entry in hinting.MISSING:
        name, _, option = entry.partition(".")
        assert option in inspect.signature(getattr(ps.Sequence, name)).parameters, entry
