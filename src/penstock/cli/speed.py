"""Measure how fast a dataset can be read, and what each of its steps costs.

A dataset may be a store, or the name of one in a module or a file; a function is called.

    penstock speed train:dataset                    in line
    penstock speed train.py:dataset --workers 4     in four processes
    penstock speed train.lmdb                       a store
"""

from __future__ import annotations

import argparse

from penstock.cli._target import USAGE, add_workers, counted, opened, workers_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("dataset", help=USAGE)
    add_workers(parser)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to read (%(default)g)")
    parser.add_argument("--count", type=counted, metavar="N", help="read no more than N items")
    parser.add_argument("--batch", type=counted, metavar="N", help="put .batch(N) behind it")


def run(options: argparse.Namespace) -> None:
    """Measure it."""
    dataset = opened(options.dataset)
    if options.batch:
        dataset = dataset.batch(options.batch)
    print(dataset.speed(workers=workers_of(options), seconds=options.seconds, count=options.count))
