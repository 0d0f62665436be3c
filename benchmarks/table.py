"""From rounds to a table in Markdown, and to the one line that says how a claim stands."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.claim import Claim, Role, Scale, System
from benchmarks.rounds import Outcome, Rounds


@dataclass(frozen=True)
class Row:
    """One system's figures over all rounds; `None` where there is none."""

    system: System
    rates: tuple[float, ...]
    """As they are shown, in the claim's unit; one per round that measured something."""

    ratio: float | None
    """The median of its ratios to the limit, or to what it is compared with, each taken within one round."""

    trouble: str = ""

    also: Mapping[str, float] = field(default_factory=dict)
    """The medians of what was measured beside the rate."""

    @property
    def median(self) -> float | None:
        """The middle rate, or `None` if nothing was measured."""
        return statistics.median(self.rates) if self.rates else None


def rows(claim: Claim, rounds: Rounds) -> list[Row]:
    """One row per system that took part, in the claim's order."""
    took_part = [system for system in claim.systems if system.name in rounds]
    return [_row(claim, each, rounds[each.name], rounds.get(claim.rival(each).name, [])) for each in took_part]


def _row(claim: Claim, system: System, outcomes: list[Outcome], rival: list[Outcome]) -> Row:
    measured = [outcome.measured for outcome in outcomes if outcome.measured]
    pairs = [(o.measured, top.measured) for o, top in zip(outcomes, rival, strict=False) if o.measured and top.measured]
    names = measured[0].also if measured else ()
    troubles = [outcome.trouble for outcome in outcomes if outcome.trouble]
    counted = f" ({len(troubles)} of {len(outcomes)})" if 0 < len(troubles) < len(outcomes) else ""
    return Row(
        system,
        tuple(claim.shown(each) for each in measured),
        statistics.median(ours.rate / top.rate for ours, top in pairs) if pairs else None,
        troubles[-1] + counted if troubles else "",
        {name: statistics.median(each.also[name] for each in measured) for name in names},
    )


def markdown(claim: Claim, table: Iterable[Row], scale: Scale, repeats: int, facts: Iterable[str]) -> str:
    """The whole report of one claim, but for its last line."""
    lines = [f"# {claim.name}", "", claim.work.strip(), ""]
    if scale.quick:
        lines += ["**Quick run: small sizes, short stretches. It shows that everything runs, not how fast it is.**", ""]
    stretch = f", {scale.seconds:g} s each" if claim.seconds else ""
    lines += [f"Median of {repeats} interleaved rounds{stretch}; ratios are taken within a round.", ""]
    lines += [f"- {fact}" for fact in facts]
    heads = [claim.unit, "min – max", "of the limit", *(figure.name for figure in claim.figures)]
    lines += ["", f"| system | {' | '.join(heads)} | note |", "|---|" + "---:|" * len(heads) + "---|"]
    return "\n".join(lines + [_line(claim, row) for row in table]) + "\n"


def _line(claim: Claim, row: Row) -> str:
    mark = {Role.CLAIM: "**", Role.LIMIT: "*"}.get(row.system.role, "")
    name = f"{mark}{row.system.name}{mark}"
    other = f"ratio to {row.system.against}" if row.system.against else ""
    note = "; ".join(text.replace("|", "/") for text in (row.system.note, other, row.trouble) if text)
    cells = ["–"] * 3
    if row.median is not None:
        spread = f"{number(min(row.rates))} – {number(max(row.rates))}"
        cells = [number(row.median), spread, "–" if row.ratio is None else short(row.ratio)]
    cells += [number(row.also[each.name]) if each.name in row.also else "–" for each in claim.figures]
    return f"| {name} | {' | '.join(cells)} | {note} |"


def number(value: float) -> str:
    """A rate to about three digits: `29.4`, `1,950`, `0.482`."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 10 else f"{value:.3f}"


def short(ratio: float) -> str:
    """A ratio with two decimals, or with more where two would show nothing: `0.91`, `0.047`, `0.0002`."""
    if ratio >= 0.095:
        return f"{ratio:.2f}"
    return f"{ratio:.3f}" if ratio >= 0.0095 else f"{ratio:.4f}"


def last_line(claim: Claim, table: Iterable[Row]) -> str:
    """How the claim stands: `transport: 0.91 of the limit; best peer spdl 0.47`."""
    table = list(table)
    ours, peer = _ours(claim, table), _best(_of(table, Role.PEER))
    figure = f"{short(ours.ratio)} of the limit" if ours and ours.ratio else f"no figure ({_why(table)})"
    if not any(system.role is Role.PEER for system in claim.systems):
        return f"{claim.name}: {figure}"
    best = f"best peer {peer.system.name} {short(peer.ratio)}" if peer and peer.ratio else "no peer measured"
    return f"{claim.name}: {figure}; {best}"


def _of(table: Iterable[Row], role: Role) -> list[Row]:
    return [row for row in table if row.system.role is role]


def _best(table: Iterable[Row]) -> Row | None:
    """The row with the highest ratio."""
    return max((row for row in table if row.ratio), key=lambda row: row.ratio or 0, default=None)


def _ours(claim: Claim, table: Iterable[Row]) -> Row | None:
    """The row of ours that is the claim's figure. Where all are meant, one that failed leaves no figure."""
    ours = _of(table, Role.CLAIM)
    if not claim.weakest:
        return _best(ours)
    return min(ours, key=lambda row: row.ratio or 0, default=None) if all(row.ratio for row in ours) else None


def _why(table: list[Row]) -> str:
    ours = _of(table, Role.CLAIM)
    if not ours:
        return "penstock did not take part"
    if all(row.rates for row in ours):
        return "the limit was not measured"
    return next(row.trouble for row in ours if not row.rates)


def verdict(claim: Claim, table: Iterable[Row]) -> str:
    """Whether everything that is meant was reached, a sentence for each."""
    return " ".join(_sentences(claim, list(table)))


def _sentences(claim: Claim, table: list[Row]) -> Iterator[str]:
    ours, best = _of(table, Role.CLAIM), _best(_of(table, Role.CLAIM))
    if best is None:
        yield f"Meant to reach {claim.reach:.2f} of the limit; not measured."
        return
    for row in ours if claim.weakest else [best]:
        yield _sentence(claim, row)
    for row in table:
        if row.system.role is Role.EXTRA and row.system.reach is not None:
            yield _sentence(claim, row)
    for row in ours:
        for figure in claim.figures:
            if figure.bound and figure.name in row.also:
                value = row.also[figure.name]
                # Judged as it is printed, like the ratios.
                word = "kept" if figure.kept(float(number(value).replace(",", ""))) else "not kept"
                yield f"Meant to keep {figure.name} {figure.bound}: {word}, with {number(value)} ({row.system.name})."


def _sentence(claim: Claim, row: Row) -> str:
    meant = f"Meant to reach {claim.goal(row.system):.2f} of {row.system.against or 'the limit'}"
    if row.ratio is None:
        return f"{meant}; {row.system.name} was not measured."
    word = "reached" if round(row.ratio, 2) >= round(claim.goal(row.system), 2) else "not reached"
    return f"{meant}: {word}, with {short(row.ratio)} ({row.system.name})."
