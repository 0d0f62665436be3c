"""The command line: `python -m benchmarks [CLAIM] [--quick] [--repeats N] [--only system,system]`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, table
from benchmarks.claim import Claim, Role, Scale, System, claim_names, load_claim
from benchmarks.rounds import run_rounds

RESULTS = Path(__file__).parent / "results"


class Mistake(Exception):
    """A command line that names something that is not there; the message says what is."""


def closest(kind: str, word: str, known: Sequence[str]) -> Mistake:
    """The error for a wrong name: the nearest right one, then all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return Mistake(f"there is no {kind} {word!r}.{hint} There are: {', '.join(known)}")


def check_systems(claims: Sequence[Claim], only: str | None) -> None:
    """Refuse a word of `--only` that no claim of this run has a system for."""
    known = list(dict.fromkeys(system.name for claim in claims for system in claim.systems))
    for word in words(only):
        if word not in known:
            raise closest("system", word, known)


def words(only: str | None) -> list[str]:
    """The systems that `--only` names."""
    return [word.strip() for word in (only or "").split(",") if word.strip()]


def chosen(claim: Claim, only: str | None) -> list[System]:
    """The systems to run: all, or those that `--only` names, and always what they are compared with."""
    if only is None:
        return list(claim.systems)
    wanted = {system.name for system in claim.systems if system.name in words(only)}
    needed = {claim.rival(system).name for system in claim.systems if system.name in wanted}
    return [system for system in claim.systems if system.role is Role.LIMIT or system.name in wanted | needed]


def progress(text: str) -> None:
    """Show how far a run is, on standard error."""
    print(text, file=sys.stderr, flush=True)


def run_claim(claim: Claim, options: argparse.Namespace) -> None:
    """Measure one claim, print its report, and keep a copy in `results`."""
    seconds = options.seconds or (0.5 if options.quick else claim.seconds or Scale.seconds)
    scale = Scale(quick=options.quick, seconds=seconds, workers=claim.workers)
    repeats = options.repeats or (2 if options.quick else 5)
    systems = chosen(claim, options.only)
    facts = machine.facts(claim.peers)
    if claim.prepare is not None:
        claim.prepare(scale)
    rounds = run_rounds(claim, systems, scale, repeats, progress)
    figures = table.rows(claim, rounds)
    report = table.markdown(claim, figures, scale, repeats, facts)
    report += f"\n{table.verdict(claim, figures)}\n\n{table.last_line(claim, figures)}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ".gitignore").write_text("*\n")
    (RESULTS / f"{claim.name}.md").write_text(report + "\n")
    print(report, flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line's description."""
    known = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Penstock beside peers and limits."
    )
    known.add_argument("claim", nargs="?", help="one of: " + ", ".join(claim_names()) + "; all of them if left out")
    known.add_argument("--quick", action="store_true", help="small sizes and short stretches: does everything run?")
    known.add_argument("--repeats", type=int, metavar="N", help="rounds (5, or 2 with --quick)")
    known.add_argument("--only", metavar="SYSTEM,SYSTEM", help="only these systems, and the limit")
    known.add_argument("--seconds", type=float, metavar="S", help="length of every timed stretch")
    return known


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    options = parser().parse_args(arguments)
    names = claim_names()
    try:
        if options.claim is not None and options.claim not in names:
            raise closest("claim", options.claim, names)
        if options.repeats is not None and options.repeats < 1:
            raise Mistake(f"--repeats must be at least 1, not {options.repeats}")
        if options.seconds is not None and options.seconds <= 0:
            raise Mistake(f"--seconds must be positive, not {options.seconds}")
        claims = [load_claim(name) for name in ([options.claim] if options.claim else names)]
        check_systems(claims, options.only)
        for number, claim in enumerate(claims):
            if number:
                print()
            run_claim(claim, options)
    except Mistake as mistake:
        progress(f"benchmarks: {mistake}")
        return 2
    except KeyboardInterrupt:
        progress("benchmarks: interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
