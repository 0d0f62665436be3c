"""Convert a dataset from one format to another; goes on after an interruption, and compares both in the end.

    penstock convert photos-{000..012}.tar photos.lmdb
    penstock convert table.parquet table.h5 --read columns='["x", "y"]'
    penstock convert a.npy b.tar --map convert.py:to_record     every item through a function of yours
    penstock convert train:dataset train.lmdb --workers 4       whatever a pipeline computes

Records are read once, into .DST.converting beside the destination, from which the same command goes on after Ctrl-C,
a kill or a power cut. The destination appears when it is complete; LMDB files are that very file, other formats are
written from it, so for a while there are two copies on the disk (--direct does without, and cannot go on). In the end
both are read again and compared, record by record: arrays, lists and tuples, numbers and their NumPy types, None and
missing fields count as equal, because formats differ in these.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import penstock as ps
from penstock.cli._content import digest
from penstock.cli._journal import READING, VERIFYING, Journal
from penstock.cli._progress import Progress, clock
from penstock.cli._target import USAGE, add_workers, bytes_text, counted, named, opened, setting, sized, workers_of
from penstock.errors import ArgumentError, StoreError
from penstock.storage import format_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", metavar="SRC", help=USAGE)
    parser.add_argument("destination", metavar="DST", help="a path; its suffix says the format")
    parser.add_argument("--from", dest="source_format", metavar="FORMAT", help="the source's format: lmdb, tar, …")
    parser.add_argument("--to", metavar="FORMAT", help="the destination's format")
    several: dict[str, Any] = {"type": setting, "action": "append", "default": [], "metavar": "NAME=VALUE"}
    parser.add_argument("--read", **several, help="an option of the source's format")
    parser.add_argument("--write", **several, help="an option of the destination's format")
    parser.add_argument("--map", metavar="FILE.py:FUNCTION", help="send every item through a function first")
    parser.add_argument("--key", metavar="FIELD", help="the field of items that names each record")
    parser.add_argument("--take", type=counted, metavar="N", help="only the first N records")
    add_workers(parser)
    how = ("content", "count", "none")
    parser.add_argument("--verify", choices=how, default=how[0], help="what to compare in the end (%(default)s)")
    parser.add_argument("--replace", action="store_true", help="replace a destination that exists")
    parser.add_argument("--restart", action="store_true", help="forget what an earlier attempt has done")
    parser.add_argument("--direct", action="store_true", help="write the destination at once; nothing to go on from")


def run(options: argparse.Namespace) -> int:
    """Convert."""
    began = time.monotonic()
    try:
        format_of(options.destination, options.to, options.destination)
    except ArgumentError as error:
        error.add_note("On the command line: --to FORMAT.")
        raise
    source = opened(options.source, options.source_format, dict(options.read))
    if options.map:
        source = source.map(named(options.map))
    if options.take:
        source = source.take(options.take)
    how: dict[str, Any] = {} if options.key is None else {"key": Field(options.key)}
    if options.direct:
        refuse_existing(options)
        with shown("convert") as progress:
            made = source.save(
                options.destination,
                options.to,
                progress=progress,
                replace=options.replace,
                workers=workers_of(options),
                **how,
                **dict(options.write),
            )
        verify(source, made, options)
    else:
        made = staged(source, how, options)
    seconds = time.monotonic() - began
    said = {"content": "same count and content as", "count": "same count as", "none": "not compared with"}
    count = f"{len(made):,} records, " if isinstance(made, ps.Sequence) else ""
    size = bytes_text(sized(options.destination))
    print(f"{options.destination}: {count}{size}, in {clock(seconds)}; {said[options.verify]} {options.source}")
    return 0


def staged(source: Any, how: dict[str, Any], options: argparse.Namespace) -> Any:
    """Convert by way of a folder beside the destination; return the destination, opened."""
    with Journal(options.destination) as journal:
        if options.restart:
            journal.clear()
        try:
            done = journal.begin(source, options.source)
            if journal.entry["stage"] == READING:
                refuse_existing(options)
                made = read(source, done, how, journal, options)
            else:
                made = ps.open(options.destination, options.to)
                verify(source, made, options)
        except BaseException as error:
            if journal.worth_keeping:
                error.add_note(f"What was read is kept in {journal.folder}: the same command goes on from there.")
            else:
                journal.finish()
            raise
        journal.finish()
    return made


def read(source: Any, done: int, how: dict[str, Any], journal: Journal, options: argparse.Namespace) -> Any:
    """Read what has not been read, write it, compare it."""
    if done:
        sys.stderr.write(f"going on behind the {done:,} records of an earlier attempt\n")
    elif not becomes(options):
        journal.attempt(source, os.path.basename(options.destination), options.to, dict(options.write), **how)
    total = source.node.length()
    with shown("read", done) as progress:

        def told(count: int, _: int | None) -> None:
            progress(count, total)

        records = journal.fill(source, done, progress=told, workers=workers_of(options), **how)
    return moved(source, journal, options) if becomes(options) else written(source, records, how, journal, options)


def becomes(options: argparse.Namespace) -> bool:
    """Tell whether the file that records are kept in can become the destination."""
    lmdb = options.to == "lmdb" or (options.to is None and options.destination.endswith((".lmdb", ".mdb")))
    return lmdb and not options.write and not os.path.isdir(options.destination)


def moved(source: Any, journal: Journal, options: argparse.Namespace) -> Any:
    """Compare, then put the records file in the destination's place."""
    verify(source, ps.open(journal.records), options)
    os.replace(journal.records, options.destination)
    return ps.open(options.destination, options.to)


def written(source: Any, records: Any, how: dict[str, Any], journal: Journal, options: argparse.Namespace) -> Any:
    """Write the destination from the records; then compare."""
    with shown("write") as progress:
        made = records.save(
            options.destination, options.to, progress=progress, replace=options.replace, **how, **dict(options.write)
        )
    journal.write(stage=VERIFYING)
    verify(source, made, options)
    return made


def refuse_existing(options: argparse.Namespace) -> None:
    """Refuse a destination that exists before anything is read."""
    if os.path.lexists(options.destination) and not options.replace:
        raise StoreError(f"{options.destination} exists. Say --replace to put the new one in its place.")


def verify(source: Any, made: Any, options: argparse.Namespace) -> None:
    """Compare the source with what was written.

    Raises:
        StoreError: they differ; names the first record that does.
    """
    if options.verify == "none":
        return
    total = source.node.length()
    if options.verify == "count" and None not in (total, made.node.length()):
        if len(made) != total:
            raise StoreError(f"{options.destination} has {len(made):,} records, and {options.source} has {total:,}.")
        return
    look: Callable[[Any], bytes] = digest if options.verify == "content" else nothing
    missing = object()
    with shown("compare") as progress:
        workers = workers_of(options)
        with source.map(look).loader(workers=workers) as ours, made.map(look).loader(workers=workers) as theirs:
            for number, (a, b) in enumerate(zip_longest(ours, theirs, fillvalue=missing)):
                if a is missing or b is missing:
                    fewer, more = (options.source, options.destination)[:: 1 if a is missing else -1]
                    raise StoreError(f"{fewer} has {number:,} records, and {more} has more.")
                if a != b:
                    raise StoreError(different(source, made, number, options))
                progress(number + 1, total)


def different(source: Any, made: Any, number: int, options: argparse.Namespace) -> str:
    """Return what to say of a record that is not what it was."""
    text = f"record {number} of {options.destination} is not what {options.source} has there"
    if isinstance(source, ps.Sequence) and isinstance(made, ps.Sequence):
        ours, theirs = source[number], made[number]
        if isinstance(ours, dict) and isinstance(theirs, dict):
            fields = [name for name in {**ours, **theirs} if digest(ours.get(name)) != digest(theirs.get(name))]
            text += f", in {', '.join(map(repr, fields[:5]))}"
    remedy = "--verify count accepts that; --map brings items to another form."
    return f"{text}: this format does not keep it as it is. {remedy}"


@contextmanager
def shown(what: str, done: int = 0) -> Iterator[Progress]:
    """Show progress while something lasts."""
    progress = Progress(what, done)
    try:
        yield progress
    finally:
        progress.close()


def nothing(item: Any) -> bytes:  # noqa: ARG001  it is a digest
    """Return the same for every item: only their number counts."""
    return b""


class Field:
    """Names a record by one of its fields."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, item: Any) -> str:
        try:
            return str(item[self.name])
        except (KeyError, TypeError, IndexError) as error:
            raise StoreError(f"--key {self.name}: an item has no such field: {type(item).__name__}.") from error
