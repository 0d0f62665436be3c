"""The tables on the migration pages, made from results."""

from __future__ import annotations

import pytest
from benchmarks.claim import Role, load_claim
from benchmarks.pages import DOCS, PAGES, filled, table

RESULT = """
Median of 3 interleaved rounds, 0.5 s each; ratios are taken within a round.

- machine: 2 CPUs
- load average at the start: 0.50
- python 3.11.7

| system | batches/s | min – max | of the limit | note |
|---|---:|---:|---:|---|
| *queue* | 1,000 | 900 – 1,100 | 1.00 | pickles in a queue |
| theirs-processes | 500 | 400 – 600 | 0.50 | |
| **ours-processes** | 6,000 | 5,000 – 7,000 | 6.00 | |
| push-pull | 2,000 | 2,000 – 2,000 | 2.00 | |
| theirs-server | 1,500 | 1,500 – 1,500 | 1.50 | |
| ours-server | 6,000 | 5,000 – 7,000 | 3.00 | ratio to push-pull |
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_label_for_each_pair(name):
    """A page has a place for its table, and a line for each system of ours."""
    ours = {s.name for s in load_claim(name).systems if s.role in {Role.CLAIM, Role.EXTRA}}
    assert ours == {f"ours-{label}" for label in PAGES[name][1]}
    page = (DOCS / f"{name.removeprefix('compat_')}.md").read_text(encoding="utf-8")
    assert filled(page, name, "here").count("\nhere\n") == 1


def test_a_table():
    """The ratio is to theirs, also where the result's is to something that stands for them."""
    assert table("compat_fuel", RESULT).splitlines()[2:] == [
        "- machine: 2 CPUs",
        "- load average at the start: 0.50",
        "",
        "| a second | Fuel 0.2.0 | Penstock | |",
        "|---|---:|---:|---:|",
        "| batches of 1 MB, `MultiProcessing` | 500 | 6,000 | 12.00 × |",
        "| … `start_server` and `ServerDataStream` | 1,500 | 6,000 | 4.00 × |",
    ]


def test_what_was_not_measured():
    """No figure is left out in silence."""
    with pytest.raises(ValueError, match="theirs-processes was not measured"):
        table("compat_fuel", RESULT.replace("| 500 | 400 – 600 | 0.50 |", "| – | – | – |"))
