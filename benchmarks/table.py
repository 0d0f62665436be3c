"""From rounds to a table in Markdown, and to the one line that says how a claim stands."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.claim import Claim, Role, Scale, System
from benchmarks.rounds import Outcome, Rounds


@dataclass(frozen=True)
class Row:
    """One system's figures over all rounds; `None` where there is none."""

    system: System
    rates: tuple[float, ...]
    """In the claim's unit, one per round that measured something."""

    ratio: float | None
    """The median of its ratios to the limit, each taken within one round."""

    trouble: str = ""

    @property
    def median(self) -> float | None:
        """The middle rate, or `None` if nothing was measured."""
        return statistics.median(self.rates) if self.rates else None


def rows(claim: Claim, rounds: Rounds) -> list[Row]:
    """One row per system that took part, in the claim's order."""
    limit = rounds.get(claim.limit.name, [])
    return [_row(claim, system, rounds[system.name], limit) for system in claim.systems if system.name in rounds]


def _row(claim: Claim, system: System, outcomes: list[Outcome], limit: list[Outcome]) -> Row:
    rates = tuple(outcome.measured.rate / claim.per_unit for outcome in outcomes if outcome.measured)
    pairs = [(o.measured, top.measured) for o, top in zip(outcomes, limit, strict=False) if o.measured and top.measured]
    troubles = [outcome.trouble for outcome in outcomes if outcome.trouble]
    counted = f" ({len(troubles)} of {len(outcomes)})" if 0 < len(troubles) < len(outcomes) else ""
    return Row(
        system,
        rates,
        statistics.median(ours.rate / top.rate for ours, top in pairs) if pairs else None,
        troubles[-1] + counted if troubles else "",
    )


def markdown(claim: Claim, table: Iterable[Row], scale: Scale, repeats: int, facts: Iterable[str]) -> str:
    """The whole report of one claim, but for its last line."""
    lines = [f"# {claim.name}", "", claim.work.strip(), ""]
    if scale.quick:
        lines += ["**Quick run: small sizes, short stretches. It shows that everything runs, not how fast it is.**", ""]
    lines += [f"Median of {repeats} interleaved rounds, {scale.seconds:g} s each; ratios are taken within a round.", ""]
    lines += [f"- {fact}" for fact in facts]
    lines += ["", f"| system | {claim.unit} | min – max | of the limit | note |", "|---|---:|---:|---:|---|"]
    return "\n".join(lines + [_line(row) for row in table]) + "\n"


def _line(row: Row) -> str:
    mark = {Role.CLAIM: "**", Role.LIMIT: "*"}.get(row.system.role, "")
    name = f"{mark}{row.system.name}{mark}"
    note = "; ".join(text.replace("|", "/") for text in (row.system.note, row.trouble) if text)
    if row.median is None:
        return f"| {name} | – | – | – | {note} |"
    ratio = "–" if row.ratio is None else short(row.ratio)
    spread = f"{number(min(row.rates))} – {number(max(row.rates))}"
    return f"| {name} | {number(row.median)} | {spread} | {ratio} | {note} |"


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
    ours, peer = _best(table, Role.CLAIM), _best(table, Role.PEER)
    figure = f"{short(ours[0])} of the limit" if ours else f"no figure ({_why(table)})"
    best = f"best peer {peer[1]} {short(peer[0])}" if peer else "no peer measured"
    return f"{claim.name}: {figure}; {best}"


def _best(table: list[Row], role: Role) -> tuple[float, str] | None:
    """The highest ratio of a role, and whose it is."""
    return max(((row.ratio, row.system.name) for row in table if row.system.role is role and row.ratio), default=None)


def _why(table: list[Row]) -> str:
    ours = [row for row in table if row.system.role is Role.CLAIM]
    if not ours:
        return "penstock did not take part"
    if all(row.rates for row in ours):
        return "the limit was not measured"
    return next(row.trouble for row in ours if not row.rates)


def verdict(claim: Claim, table: Iterable[Row]) -> str:
    """Whether the claim's reach was reached, as a sentence."""
    ours = _best(list(table), Role.CLAIM)
    if ours is None:
        return f"Meant to reach {claim.reach:.2f} of the limit; not measured."
    ratio, name = ours
    word = "reached" if round(ratio, 2) >= claim.reach else "not reached"
    return f"Meant to reach {claim.reach:.2f} of the limit: {word}, with {short(ratio)} ({name})."
