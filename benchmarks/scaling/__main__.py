"""The command line: ``python -m benchmarks.scaling`` writes the tables and the picture of docs/scaling.md."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.scaling import tables
from benchmarks.scaling.measured import measured
from benchmarks.scaling.picture import drawn

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"


def picture() -> str:
    """Return the picture of the page."""
    return drawn(tables.lines(tables.load()[0]), "consumers", "images a second")


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """Return a page with what stands between its marks replaced."""
    for name, text in blocks.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, found = mark.subn(lambda match, text=text: match[1] + text + "\n" + match[2], page)
        if found != 1:
            raise ValueError(f"the page has {found} places for {name!r}")
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description="How far the data service carries."
    )
    parser.add_argument("--measure", action="store_true", help="measure the costs on this machine first (two minutes)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="how long, each time (%(default)s)")
    options = parser.parse_args(arguments)
    if options.measure:
        tables.save(*measured(options.rounds, options.seconds), tables.Effort(options.rounds, options.seconds))
    blocks = tables.blocks()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(picture(), encoding="utf-8")
    print("\n\n".join(blocks.values()))


if __name__ == "__main__":
    main()
