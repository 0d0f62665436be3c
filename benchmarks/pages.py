"""The tables on the migration pages, from the last results: `python -m benchmarks.pages [CLAIM …]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.__main__ import RESULTS
from benchmarks.claim import load_claim
from benchmarks.table import short

DOCS = Path(__file__).parents[1] / "docs" / "migrating"
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "compat_batchup": (
        "BatchUp 0.2.3",
        {
            "1mb": "1 MB batches from two processes",
            "1mb-threads": "1 MB batches from two threads, nothing but a copy",
            "images-threads": "the document's example over photographs, two threads, images",
            "images-processes": "… two processes",
        },
    ),
    "compat_dpipe": (
        "dpipe 0.4.3",
        {
            "1mb": "batches of 1 MB, 32 items from `Loky` with two processes",
            "1mb-whole": "… of one item of 1 MB",
            "1mb-threads": "batches of 1 MB, 32 items from two threads",
            "1mb-whole-threads": "… of one item of 1 MB",
            "digits": "the tutorial's 30 digits",
            "digits-enlarged": "… enlarged",
            "waits": "a batch of ten items that wait (0.05 s each in a quick run, else 0.2 s)",
            "waits-threads": "… in two threads",
            "waits-processes": "… in two processes, with their start",
        },
    ),
    "compat_fuel": (
        "Fuel 0.2.0",
        {"processes": "batches of 1 MB, `MultiProcessing`", "server": "… `start_server` and `ServerDataStream`"},
    ),
    "compat_seqtools": (
        "SeqTools 1.4.1",
        {
            "1mb": "1 MB batches from two processes, as documented",
            "1mb-shm": "… with `shm_size`",
            "1mb-threads": "1 MB batches from two threads",
            "inline": "the document's example in line, samples",
            "threads": "… with two threads",
            "processes": "… with two processes, with their start",
        },
    ),
    "compat_tensorpack": (
        "Tensorpack 0.11",
        {
            "1mb": "1 MB batches from two processes, `MultiProcessRunner`",
            "1mb-zmq": "… `MultiProcessRunnerZMQ`",
            "1mb-map": "… `MultiProcessMapDataZMQ`",
            "inline": "the tutorial's images, in line",
            "threads": "… `MultiThreadMapData`, two threads",
            "processes": "… `MultiProcessMapDataZMQ`, two processes",
            "runner": "… `MultiProcessRunnerZMQ`, two processes",
            "lmdb": "encoded images from LMDB, in order",
        },
    ),
}
ROW = re.compile(r"\| \**([\w-]+)\** \| ([\d,.]+) \| [^|]+ \| ([\d,.]+|–) \|")


def table(claim_name: str, result: str) -> str:
    """Return the table of a result: theirs, ours, and how many times as fast.

    Raises:
        ValueError: one of the rows was not measured.
    """
    claim, (library, labels) = load_claim(claim_name), PAGES[claim_name]
    found = {name: (rate, ratio) for name, rate, ratio in ROW.findall(result)}
    lines = [f"| a second | {library} | Penstock | |", "|---|---:|---:|---:|"]
    for name, label in labels.items():
        theirs, ours = f"theirs-{name}", f"ours-{name}"
        if missing := {theirs, ours} - found.keys():
            raise ValueError(f"{claim_name}: {', '.join(sorted(missing))} was not measured")
        (rate, _), (own, times) = found[theirs], found[ours]
        if claim.rival(claim.system(ours)).name != theirs:  # its ratio in the result is to something else
            times = short(number(own) / number(rate))
        lines.append(f"| {label} | {rate} | {own} | {times} × |")
    effort = [line for line in result.splitlines() if line.startswith(("Median of", "- machine", "- load average"))]
    return "\n".join([*effort[:1], "", *effort[1:], "", *lines])


def number(text: str) -> float:
    """Return a number as it is printed."""
    return float(text.replace(",", ""))


def filled(page: str, name: str, found: str) -> str:
    """Return a page with a table put between its marks."""
    text, count = re.subn(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", rf"\g<1>{found}\g<2>", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the page has {count} places for {name}, not one")
    return text


def main(names: Sequence[str]) -> int:
    """Fill the pages of some claims, or of all that have been measured."""
    for name in names or PAGES:
        page = DOCS / f"{name.removeprefix('compat_')}.md"
        try:
            found = table(name, (RESULTS / f"{name}.md").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            print(f"{page.name} stays as it is: {error}", file=sys.stderr)
            continue
        page.write_text(filled(page.read_text(encoding="utf-8"), name, found), encoding="utf-8")
        print(f"{page.name}: filled")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
