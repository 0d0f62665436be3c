"""The verdict: what a report concludes from given figures, and how it says it."""

from __future__ import annotations

import dataclasses

import pytest

import penstock as ps
from penstock.graph.execution import Omissions, Tally
from penstock.watching.report import BOUND, Report, Watch

FIGURES = Report(
    epoch=2,
    pipeline="<a pipeline>",
    executor="Threads(2)",
    items=100,
    seconds=11.0,
    waited=1.2,
    first=1.0,
    busy=5.0,
    nbytes=0,
    replaced=0,
    skipped=0,
    listed=(),
    limited_by_bytes=False,
)


def report(**figures):
    """Return the report with some figures changed."""
    return dataclasses.replace(FIGURES, **figures)


def test_the_first_item_is_not_counted():
    """The share of waiting leaves out what passed until the first item."""
    assert FIGURES.waiting == pytest.approx(0.02)
    assert report(waited=6.0).waiting == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("waited", "bound"), [(1.0, False), (1.0 + 10 * BOUND - 0.01, False), (1.0 + 10 * BOUND + 0.01, True), (11.0, True)]
)
def test_the_verdict(waited, bound):
    """More than the bound is input-bound, with a remedy; less is not."""
    found = report(waited=waited)
    assert found.input_bound is bound
    assert found.verdict.startswith("input-bound" if bound else "not input-bound")
    assert ("more workers" in found.verdict.lower()) is bound


@pytest.mark.parametrize(
    "figures", [{"items": 0, "seconds": 0.0, "first": 0.0, "waited": 0.0}, {"items": 1, "seconds": 1.0, "waited": 1.0}]
)
def test_too_little_was_read(figures):
    """Nothing, or one item, divides by nothing and is not called input-bound."""
    found = report(**figures)
    assert found.waiting == 0.0
    assert not found.input_bound
    assert str(found)


def test_clocks_that_run_backwards():
    """Rounding of the clock never gives a share below nothing."""
    assert report(waited=0.9).waiting == 0.0


def test_the_text():
    """The text says what was read, where, how fast, and the verdict; the rest only where there is something to say."""
    text = str(FIGURES)
    for word in ("<a pipeline>", "epoch 2, Threads(2)", "100 items in 11.00 s", "9.1/s", "not input-bound"):
        assert word in text
    for word in ("shared memory", "died", "window"):
        assert word not in text
    text = str(report(nbytes=3_500_000, replaced=2, limited_by_bytes=True))
    for word in ("3.5 MB", "so far: 2", "window_bytes"):
        assert word in text
    text = str(report(skipped=1234, listed=tuple(f"item {k}" for k in range(20))))
    for word in ("left out: 1,234", "item 0", "and more"):
        assert word in text
    assert "item 19" not in text


def test_a_watch_adds_up():
    """Waiting is what passed within `next`, the first item's wait included."""
    watch = Watch()
    watch.began = 10.0
    watch.taken(10.0, 11.0)
    watch.taken(12.0, 12.5)
    found = watch.report(pipeline="", executor=ps.Inline(), tally=Tally(), omissions=Omissions(), replaced=0)
    assert (found.items, found.seconds, found.waited, found.first) == (2, 2.5, 1.5, 1.0)
    assert (found.busy, found.nbytes, found.limited_by_bytes) == (0.0, 0, False)


def test_a_report_is_a_value():
    """A report cannot be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        FIGURES.items = 3


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2)], ids=repr)
def test_a_loader_reports(workers):
    """A loader counts the items of the epoch that it read last, and names its pipeline and executor."""
    with ps.range(10).batch(2).loader(workers=workers) as loader:
        assert "nothing has been read yet" in str(loader.report())
        list(loader)
        found = loader.report()
        assert found.items == 5
        assert "range(10) → batch(2)" in found.pipeline
        assert found.executor == repr(workers)
        assert (found.busy > 0) == isinstance(workers, ps.Threads)
        for _ in zip(range(3), loader, strict=False):
            pass
        assert loader.report().items == 3
