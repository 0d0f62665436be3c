"""Draw a dataset's pipeline, a step a line.

A dataset may be a store, or the name of one in a module or a file; a function is called.

    penstock draw train:dataset         the dataset `dataset` of the module train
    penstock draw train.py:dataset      of a file; a function that returns a dataset is called
"""

from __future__ import annotations

import argparse

from penstock.cli._target import USAGE, opened


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("dataset", help=USAGE)


def run(options: argparse.Namespace) -> None:
    """Draw it."""
    print(opened(options.dataset).draw())
