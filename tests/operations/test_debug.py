"""debug: a function is shown items, within limits; the stream, its draws and its states are the same without it."""

from __future__ import annotations

import json

import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.operations.debug import Ration
from penstock.testing import Scrambled, check_dataset


def quiet(index, item):
    """Look and say nothing."""


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


def twice(x):
    """Return an item twice."""
    return [x, x]


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).debug(quiet),
        ps.range(1).debug(quiet, max_calls=1),
        ps.range(10).shuffle().debug(quiet, max_rate=2.5).map(draw, rng=True).debug(quiet).batch(3).debug(quiet),
        ps.range(10).repeat().debug(quiet, max_calls=4),
        ps.range(10).filter(bool).debug(quiet).map(draw, rng=True),
        ps.stream([1, 2, 3]).debug(quiet).flat_map(twice).debug(quiet).batch(2),
        ps.mix([ps.range(5).debug(quiet).shuffle(), ps.range(4)], weights=[1, 2]),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with debug in it."""
    check_dataset(dataset, limit=12)


def chain(look):
    """Return a pipeline of all kinds of steps, with something between any two."""
    base = look(look(ps.range(30)).shuffle())
    stream = look(look(base.map(draw, rng=True)).filter(lambda x: x[0] % 3))
    stream = look(look(stream.flat_map(twice)).flat_map(twice))
    mixed = ps.mix([look(stream.map(draw, rng=True)), look(ps.range(20)).shuffle()], weights=[2, 1], how="random")
    return look(mixed.map(draw, rng=True)).batch(4, collate=list)


def test_it_changes_nothing():
    """Items, random draws and states are the same with it and without, and a state of one fits the other."""
    plain, watched = chain(lambda d: d), chain(lambda d: d.debug(quiet))
    with plain.loader() as ours, watched.loader(workers=Scrambled()) as theirs:
        for a, b in zip(ours, theirs, strict=True):
            assert a == b
            assert json.dumps(ours.state_dict()) == json.dumps(theirs.state_dict())
            saved = ours.state_dict()
            if saved["position"] is not None:
                assert next(watched.resume(saved), None) == next(plain.resume(saved), None)


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2)], ids=repr)
def test_everything_is_shown(workers):
    """Each item is shown once with its position, however it is read, and behind a filter that of its element."""
    seen = []
    with ps.range(20).map(lambda x: x * x).debug(lambda *a: seen.append(a)).batch(4).loader(workers=workers) as loader:
        list(loader)
    assert sorted(seen) == [(x, x * x) for x in range(20)]
    seen.clear()
    assert list(ps.range(6).filter(lambda x: x % 2).debug(lambda *a: seen.append(a))) == [1, 3, 5]
    assert seen == [(1, 1), (3, 3), (5, 5)]
    seen.clear()
    ps.range(6).debug(lambda *a: seen.append(a))[4]
    assert seen == [(4, 4)]


def test_limits(monkeypatch):
    """No more calls than allowed, in all and in a second; each description counts for itself."""
    now = [100.0]
    monkeypatch.setattr("penstock.operations.debug.time.monotonic", lambda: now[0])
    seen = []
    described = ps.range(100).debug(lambda i, x: seen.append(i), max_calls=3)
    assert list(described) == list(described) == list(range(100))
    assert seen == [0, 1, 2]
    seen.clear()

    def pass_time(x):
        now[0] += 0.125
        return x

    list(ps.range(20).map(pass_time).debug(lambda i, x: seen.append(i), max_rate=2))
    assert seen == [0, 4, 8, 12, 16]
    seen.clear()
    list(ps.range(5).debug(lambda i, x: seen.append(i), max_calls=0))
    assert seen == []


def test_errors_of_the_callback_name_the_item():
    """What the callback raises is an error of that item, wherever items are gathered."""

    def bad(index, item):
        if index == 3:
            raise LookupError("three")

    for dataset in (
        ps.range(9).debug(bad),
        ps.range(9).debug(bad).batch(9),
        ps.range(9).filter(lambda x: 1).debug(bad),
    ):
        with pytest.raises(LookupError, match="three") as caught:
            list(dataset)
        assert "item 3 of debug(bad)" in "\n".join(caught.value.__notes__)


def test_in_processes(tmp_path):
    """In worker processes the callback is called where the item is computed."""

    def note(index, item):
        (tmp_path / str(index)).write_text(str(item))

    with ps.range(6).map(str).debug(note).batch(2).loader(workers=ps.Processes(2)) as loader:
        assert [x for batch in loader for x in batch] == list("012345")
    assert sorted(path.name for path in tmp_path.iterdir()) == list("012345")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: d.debug(3), ArgumentTypeError, ["debug()", "3", "callback"]),
        (lambda d: d.debug(quiet, max_calls=-1), ArgumentError, ["max_calls", "-1"]),
        (lambda d: d.debug(quiet, max_calls=1.5), ArgumentTypeError, ["max_calls", "1.5"]),
        (lambda d: d.debug(quiet, max_rate=0), ArgumentError, ["max_rate", "0"]),
        (lambda d: d.debug(quiet, max_rate="fast"), ArgumentTypeError, ["max_rate", "fast"]),
        (lambda d: d.debug(quiet, max_call=1), ArgumentTypeError, ["max_calls"]),
    ],
)
def test_bad_arguments(call, error, words):
    """Wrong arguments are refused when the step is written, with what helps."""
    with pytest.raises(error) as caught:
        call(ps.range(3))
    assert all(word in str(caught.value) for word in words)


def test_a_ration_is_shared_by_threads():
    """Many threads together get no more calls than one would."""
    ration = Ration(calls=10)
    assert sum(ration.take() for _ in range(100)) == 10
    assert ration.spent
    assert Ration(10) == ration
