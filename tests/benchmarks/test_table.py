"""From outcomes to figures: ratios within rounds, medians, and a last line that others parse."""

import dataclasses

from benchmarks import table
from benchmarks.claim import Claim, Figure, Measurement, Role, Scale, System
from benchmarks.rounds import Outcome


def never(scale):
    """Figures are given here, not measured."""
    raise AssertionError("nothing runs here")


CLAIM = Claim(
    name="transport",
    work="What is done.",
    systems=(
        System("limit", Role.LIMIT, never),
        System("penstock-a", Role.CLAIM, never),
        System("penstock-b", Role.CLAIM, never),
        System("loop", Role.EXTRA, never),
        System("spdl", Role.PEER, never, "in its | best form"),
        System("torch", Role.PEER, never),
    ),
    reach=0.85,
    unit="GB/s",
    per_unit=1e9,
)


def rates(*found):
    """Outcomes of these rates in GB/s; a text is a failure."""
    return [Outcome(None, r) if isinstance(r, str) else Outcome(Measurement(r * 2e9, 2.0)) for r in found]


def test_a_ratio_is_taken_within_its_round():
    """When the machine halves its speed for a round, the ratio does not move."""
    [_, row] = table.rows(CLAIM, {"limit": rates(10, 5, 10), "spdl": rates(4, 2, 4)})
    assert row.ratio == 0.4
    assert (row.median, row.rates) == (4, (4, 2, 4))


def test_a_failed_round_is_left_out_on_both_sides():
    """Ratios pair outcomes of one round, whichever of the two failed."""
    [_, row] = table.rows(CLAIM, {"limit": rates(10, "slow", 10), "spdl": rates("broke", 4, 5)})
    assert row.ratio == 0.5
    assert row.trouble == "broke (1 of 3)"


def test_the_last_line():
    """The best of our rows against the best of the peers; extra rows do not count."""
    found = {
        "limit": rates(100),
        "penstock-a": rates(80),
        "penstock-b": rates(91),
        "loop": rates(99),
        "spdl": rates(47),
        "torch": rates(1.7),
    }
    rows = table.rows(CLAIM, found)
    assert table.last_line(CLAIM, rows) == "transport: 0.91 of the limit; best peer spdl 0.47"
    assert table.verdict(CLAIM, rows) == "Meant to reach 0.85 of the limit: reached, with 0.91 (penstock-b)."


def test_the_last_line_says_what_is_missing():
    """No figure is better than a wrong one."""
    rows = table.rows(CLAIM, {"limit": rates(100), "penstock-a": rates("not installed: penstock")})
    assert table.last_line(CLAIM, rows) == "transport: no figure (not installed: penstock); no peer measured"
    rows = table.rows(CLAIM, {"limit": rates("broke"), "penstock-a": rates(90)})
    assert table.last_line(CLAIM, rows) == "transport: no figure (the limit was not measured); no peer measured"


def test_the_report_is_a_markdown_table():
    """One row per system, also for one that failed, with its note; a bar in a note does not end a cell."""
    rows = table.rows(CLAIM, {"limit": rates(29, 31), "spdl": rates("broke", "broke")})
    report = table.markdown(CLAIM, rows, Scale(quick=True), 2, ["machine: 2 CPUs"])
    assert "Quick run" in report
    assert "- machine: 2 CPUs" in report
    assert "| *limit* | 30.00 | 29.00 – 31.00 | 1.00 |  |" in report
    assert "| spdl | – | – | – | in its / best form; broke |" in report


def test_small_ratios_keep_their_digits():
    """0.0002 is not 0.00."""
    assert [table.short(ratio) for ratio in (1.066, 0.47, 0.044, 0.0002)] == ["1.07", "0.47", "0.044", "0.0002"]


def test_where_all_are_meant_the_weakest_counts():
    """Each row of ours is told with its own goal, and one that failed leaves no figure."""
    systems = [dataclasses.replace(s, reach=0.5) if s.name == "penstock-a" else s for s in CLAIM.systems]
    claim = dataclasses.replace(CLAIM, systems=tuple(systems), weakest=True)
    rows = table.rows(claim, {"limit": rates(100), "penstock-a": rates(60), "penstock-b": rates(84)})
    assert table.last_line(claim, rows) == "transport: 0.60 of the limit; no peer measured"
    assert table.verdict(claim, rows) == (
        "Meant to reach 0.50 of the limit: reached, with 0.60 (penstock-a). "
        "Meant to reach 0.85 of the limit: not reached, with 0.84 (penstock-b)."
    )
    rows = table.rows(claim, {"limit": rates(100), "penstock-a": rates("broke"), "penstock-b": rates(84)})
    assert table.last_line(claim, rows) == "transport: no figure (broke); no peer measured"
    assert table.verdict(claim, rows).startswith("Meant to reach 0.50 of the limit; penstock-a was not measured. ")


def test_a_row_may_be_compared_with_another():
    """The table says with which; with a goal of its own, it is told although it is an extra row."""
    loop = System("loop", Role.EXTRA, never, against="penstock-a", reach=1.0)
    claim = dataclasses.replace(CLAIM, systems=tuple(loop if s.name == "loop" else s for s in CLAIM.systems))
    rows = table.rows(claim, {"limit": rates(100), "penstock-a": rates(90), "loop": rates(108)})
    assert "| loop | 108 | 108 – 108 | 1.20 | ratio to penstock-a |" in table.markdown(claim, rows, Scale(), 1, [])
    assert table.verdict(claim, rows).endswith("Meant to reach 1.00 of penstock-a: reached, with 1.20 (loop).")
    assert table.last_line(claim, rows).startswith("transport: 0.90 of the limit")


def test_a_duration_is_told_in_seconds():
    """Less is better in the column, more is better in the ratio; a fixed amount of work has no stretch."""
    claim = dataclasses.replace(CLAIM, unit="s", per_unit=1.0, duration=True, seconds=None)
    found = {"limit": [Outcome(Measurement(1.0, 1.0))], "spdl": [Outcome(Measurement(1.0, 4.0))]}
    report = table.markdown(claim, table.rows(claim, found), Scale(), 1, [])
    assert "| spdl | 4.000 | 4.000 – 4.000 | 0.25 |" in report
    assert "Median of 1 interleaved rounds; ratios" in report


def test_figures_have_columns_and_bounds():
    """The median of each, in a column; our rows must keep the bound."""
    claim = dataclasses.replace(CLAIM, figures=(Figure("private MB", most=100), Figure("joy")))
    ours = [Outcome(Measurement(9e10, 1.0, {"private MB": value})) for value in (34.5, 120.0, 130.0)]
    rows = table.rows(claim, {"limit": rates(100, 100, 100), "penstock-a": ours})
    report = table.markdown(claim, rows, Scale(), 3, [])
    assert "| system | GB/s | min – max | of the limit | private MB | joy | note |\n" in report
    assert "\n|---|---:|---:|---:|---:|---:|---|\n" in report
    assert "| **penstock-a** | 90.00 | 90.00 – 90.00 | 0.90 | 120 | – |  |" in report
    told = "Meant to keep private MB at most 100: not kept, with 120 (penstock-a)."
    assert table.verdict(claim, rows).endswith(told)


def test_a_claim_without_peers_does_not_miss_them():
    """Who compares only with itself says nothing of others."""
    claim = dataclasses.replace(CLAIM, systems=CLAIM.systems[:4])
    rows = table.rows(claim, {"limit": rates(100), "penstock-a": rates(90)})
    assert table.last_line(claim, rows) == "transport: 0.90 of the limit"
