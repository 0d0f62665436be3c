"""Show how a server of the data service is doing: rates, queue, consumers.

penstock top tcp://host:5557                every second, until Ctrl-C
penstock top tcp://host:5557 --once
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from penstock.cli._target import bytes_text
from penstock.service.asking import ask


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("endpoint", help="where the server is")
    parser.add_argument("--once", action="store_true", help="show it once")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between two looks (%(default)g)")
    parser.add_argument("--keys", metavar="FILE", help="this client's keys, where the server wants some")


def run(options: argparse.Namespace) -> None:
    """Look again and again."""
    before = ask(options.endpoint, keys=options.keys)
    if options.once:
        print(shown(before, None))
        return
    while True:
        time.sleep(max(0.1, options.every))
        now = ask(options.endpoint, keys=options.keys)
        print(f"\033[H\033[J{shown(now, before)}", flush=True)
        before = now


def shown(now: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Return a text for people; rates are those since the look before, or since the server was started."""
    old = before or {"seconds": 0.0, "batches": 0, "bytes": 0}
    seconds = max(1e-9, now["seconds"] - old["seconds"])
    batches, nbytes = ((now[name] - old[name]) / seconds for name in ("batches", "bytes"))
    rates = f"{batches:,.1f} batches/s, {bytes_text(nbytes)}/s, "
    lines = [
        now["pipeline"],
        f"mode {now['mode']}, up for {now['seconds']:,.0f} s, {now['batches']:,} batches, {bytes_text(now['bytes'])}",
        rates + f"read ahead: {sum(now['queue'])} batches, peers dropped: {now['dropped']}",
        "",
        f"{'consumer':10}{'epoch':>8}{'batches':>12}{'bytes':>12}{'under way':>11}{'silent':>9}",
    ]
    for one in now["consumers"]:
        epoch = "-" if one["epoch"] is None else one["epoch"]
        lines.append(
            f"{one['name']:10}{epoch:>8}{one['batches']:>12,}{bytes_text(one['bytes']):>12}{one['under_way']:>11}"
            f"{one['silent']:>7.1f} s"
        )
    if not now["consumers"]:
        lines.append("nobody is here")
    return "\n".join(lines)
