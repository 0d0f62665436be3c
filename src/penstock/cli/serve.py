"""Serve a dataset's batches to training loops in other processes, on this machine or on others.

    penstock serve train:dataset --bind tcp://127.0.0.1:5557 --workers 8
    penstock serve train:dataset --bind tcp://0.0.0.0:5557 --keys keys --mode share --state-file state.json
    penstock serve train:dataset --bind ipc:///tmp/batches --bind tcp://127.0.0.1:5557

A training loop reads them with penstock.connect("tcp://host:5557"). Ctrl-C or SIGTERM ends the server.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any, NoReturn

import penstock as ps
from penstock.cli._target import USAGE, add_workers, counted, opened, workers_of
from penstock.errors import ServiceError

PLACE = "tcp://127.0.0.1:5557"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("dataset", help=USAGE)
    parser.add_argument("--bind", action="append", metavar="ENDPOINT", help=f"where to wait; may be repeated ({PLACE})")
    parser.add_argument(
        "--connect", action="append", metavar="ENDPOINT", help="connect to a consumer that waits instead"
    )
    parser.add_argument(
        "--mode", choices=("mirror", "share", "shard"), default="mirror", help="who gets what (%(default)s)"
    )
    add_workers(parser)
    parser.add_argument(
        "--state-file", metavar="FILE", help="with --mode share: what is finished; a restart goes on there"
    )
    parser.add_argument(
        "--keys", metavar="FOLDER", help="the folder of `penstock keys`: encrypt, and let in who is listed"
    )
    parser.add_argument("--window", type=counted, metavar="N", help="batches to read ahead")
    parser.add_argument("--window-bytes", metavar="N", help='bytes to read ahead, such as "256MB"')
    parser.add_argument("--patience", type=float, metavar="S", help="seconds that a consumer may be silent")
    parser.add_argument("--metrics", metavar="HOST:PORT", help="answer Prometheus there")


def run(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    names = ("window", "window_bytes", "patience", "metrics", "keys", "state_file")
    said: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    places = options.connect or options.bind or [PLACE]
    dataset = opened(options.dataset)
    signal.signal(signal.SIGTERM, ended)
    workers = workers_of(options)
    with ps.serve(dataset, places, mode=options.mode, workers=workers, bind=not options.connect, **said) as server:
        print(f"serving {dataset!r} at {', '.join(server.endpoints)}, mode {options.mode}. Ctrl-C ends it.", flush=True)
        try:
            server.wait()
        except (KeyboardInterrupt, SystemExit):
            print("closing", file=sys.stderr)
        else:
            raise ServiceError("the server has stopped by itself; what is above says why")


def ended(*_: object) -> NoReturn:
    """End as by Ctrl-C."""
    raise SystemExit(0)
