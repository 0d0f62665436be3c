"""Show what is in a store: count, size, fields, some records; and warn of what is odd in it.

    penstock inspect train.lmdb
    penstock inspect photos-{000..012}.tar --all --strict

Looks at a thousand records, spread evenly, unless told otherwise, and warns of records that cannot be read, fields that
are missing or of different types or shapes, empty records, records with the same content, numbers that are NaN, and
pictures whose end is missing. The exit status is 1 where a record cannot be read; with --strict, where anything is odd.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

import penstock as ps
from penstock.cli._content import digest
from penstock.cli._progress import Progress
from penstock.cli._target import USAGE, bytes_text, counted, opened, setting, sized

SHOWN = 5  # examples of each oddity
DEEP = 4  # containers within containers that are looked into
ENDS = {b"\xff\xd8\xff": (b"\xff\xd9", "JPEG"), b"\x89PNG": (b"IEND\xaeB`\x82", "PNG")}
TAIL = 64  # bytes at the end of a picture in which its last mark must be: some are padded


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("path", help=USAGE)
    parser.add_argument("--format", help="the format, where its name does not say it")
    several: dict[str, Any] = {"type": setting, "action": "append", "default": [], "metavar": "NAME=VALUE"}
    parser.add_argument("--read", **several, help="an option of the format")
    parser.add_argument("--show", type=int, default=2, metavar="N", help="print N records (%(default)s)")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--look", type=counted, default=1000, metavar="N", help="look at N records (%(default)s)")
    group.add_argument("--all", action="store_true", help="look at all of them")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where anything is odd")


def run(options: argparse.Namespace) -> int:
    """Inspect."""
    dataset = opened(options.path, options.format, dict(options.read))
    length = dataset.node.length()
    size = sized(options.path)
    count = "records that are read from the front" if length is None else f"{length:,} record{'s' * (length != 1)}"
    print(f"{options.path}: {count}" + (f", {bytes_text(size)} on disk" if size else ""))
    survey = Survey()
    progress = Progress("inspect")
    total = None if length is None and options.all else min(n for n in (length, options.look) if n is not None)
    total = length if options.all else total
    for number, (index, item, error) in enumerate(records(dataset, length, None if options.all else options.look)):
        survey.add(index, item, error)
        if error is None and survey.readable <= options.show:
            progress.close()
            print(f"\n{looked(item, index)}")
        progress(number + 1, total)
    progress.close()
    for line in survey.lines():
        print(line)
    odd = survey.oddities()
    if odd:
        print("\nodd:")
        for line in odd:
            print(f"  {line}")
    return int(bool(survey.broken or (odd and options.strict)))


def records(dataset: Any, length: int | None, most: int | None) -> Iterator[tuple[int, Any, Exception | None]]:
    """Yield records with their numbers, or with the errors of those that cannot be read."""
    if isinstance(dataset, ps.Sequence) and length is not None:
        step = 1.0 if most is None else max(1.0, length / most)
        for number in range(length if most is None else min(length, most)):
            index = int(number * step)
            try:
                item = dataset[index]
            except Exception as error:  # noqa: BLE001  the next one may be readable
                yield index, None, error
            else:
                yield index, item, None
        return
    index = -1
    try:
        for index, item in enumerate(islice(dataset, most)):
            yield index, item, None
    except Exception as error:  # noqa: BLE001  nobody knows where the next one begins
        yield index + 1, None, error


def looked(item: Any, index: int) -> str:
    """Return what an item looks like, in words."""
    text = io.StringIO()
    ps.items([item]).peek(file=text)
    return text.getvalue().rstrip().replace("item 0 of 1", f"record {index}", 1)


@dataclass
class Column:
    """What one field of the records is."""

    kinds: Counter[str] = field(default_factory=Counter)
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    nbytes: int = 0
    empty: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    def add(self, index: int, value: Any) -> None:
        """Take in a value."""
        if isinstance(value, np.ndarray):
            self.kinds[str(value.dtype)] += 1
            self.shapes[value.shape] += 1
            self.nbytes += value.nbytes
            if not value.size:
                self.empty.append(index)
            elif value.dtype.kind == "f" and np.isnan(value).any():
                self.gaps.append(index)
            return
        self.kinds[str(value.dtype) if isinstance(value, np.generic) else type(value).__name__] += 1
        if isinstance(value, (bytes, str)):
            self.nbytes += len(value)
            if not value:
                self.empty.append(index)
            elif isinstance(value, bytes) and unfinished(value):
                self.cut.append(index)
        elif isinstance(value, (float, np.floating)) and np.isnan(value):
            self.gaps.append(index)

    def line(self, count: int) -> tuple[str, str, str]:
        """Return types, shapes and mean size, in words."""
        kinds = ", ".join(kind if n == count else f"{kind} ({n:,})" for kind, n in self.kinds.most_common(4))
        shapes = ""
        if len(self.shapes) == 1:
            shapes = str(next(iter(self.shapes)))
        elif self.shapes:
            shapes = f"{len(self.shapes):,} shapes, mostly {self.shapes.most_common(1)[0][0]}"
        mean = f"{bytes_text(self.nbytes / max(1, sum(self.kinds.values())))} each" if self.nbytes else ""
        return kinds, shapes, mean


class Survey:
    """What the records that were looked at have in common, and what not."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.readable = 0
        self.broken: list[tuple[int, Exception]] = []
        self.empty: list[int] = []
        self.first: dict[bytes, int] = {}
        self.twice: list[tuple[int, int]] = []

    def add(self, index: int, item: Any, error: Exception | None) -> None:
        """Take in a record."""
        if error is not None:
            self.broken.append((index, error))
            return
        self.readable += 1
        for name, value in fields(item):
            self.columns.setdefault(name, Column()).add(index, value)
        if item is None or (hasattr(item, "__len__") and len(item) == 0):
            self.empty.append(index)
            return
        found = self.first.setdefault(digest(item), index)
        if found != index:
            self.twice.append((index, found))

    def lines(self) -> list[str]:
        """Return the table of the fields."""
        if not self.columns:
            return []
        rows = [(name or "record", *column.line(self.readable)) for name, column in self.columns.items()]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        made = ["", f"fields, in {self.readable:,} record{'s' * (self.readable != 1)}:"]
        return made + [
            "  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]

    def oddities(self) -> list[str]:
        """Return a line for everything that is odd."""
        lines = []
        if self.broken:
            lines.append(f"{len(self.broken):,} cannot be read:")
            lines += [f"  record {index}: {type(error).__name__}: {error}" for index, error in self.broken[:SHOWN]]
        if self.empty:
            lines.append(f"{len(self.empty):,} empty: {listed(self.empty)}")
        if self.twice:
            pairs = ", ".join(f"{index} = {found}" for index, found in self.twice[:SHOWN])
            more = ", …" if len(self.twice) > SHOWN else ""
            lines.append(f"{len(self.twice):,} with the same content as another: {pairs}{more}")
        for name, column in self.columns.items():
            of = f"{name}: " if name else ""
            lines += [f"{of}{text}" for text in self.odd(column)]
        return lines

    def odd(self, column: Column) -> Iterator[str]:
        """Yield what is odd about a field."""
        there = sum(column.kinds.values())
        if there < self.readable:
            yield f"missing in {self.readable - there:,} of {self.readable:,}"
        if len(column.kinds) > 1:
            yield f"mixed types: {', '.join(f'{kind} in {n:,}' for kind, n in column.kinds.most_common(SHOWN))}"
        if len(column.shapes) > 1:
            few = ", ".join(f"{shape} in {n:,}" for shape, n in column.shapes.most_common(SHOWN))
            yield f"mixed shapes: {few}{', …' if len(column.shapes) > SHOWN else ''}"
        for places, what in ((column.empty, "empty"), (column.gaps, "NaN"), (column.cut, "pictures without their end")):
            if places and not (what == "empty" and places == self.empty):
                yield f"{len(places):,} {what}: {listed(places)}"


def fields(item: Any, name: str = "", depth: int = DEEP) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a record; those of nested ones behind a dot."""
    if isinstance(item, Mapping) and depth:
        for key, value in item.items():
            yield from fields(value, f"{name}.{key}" if name else str(key), depth - 1)
    elif isinstance(item, tuple) and depth:
        for key, value in enumerate(item):
            yield from fields(value, f"{name}.{key}" if name else str(key), depth - 1)
    else:
        yield name, item


def unfinished(data: bytes) -> bool:
    """Tell whether bytes begin as a picture and do not end as one."""
    return any(data.startswith(start) and end not in data[-TAIL:] for start, (end, _) in ENDS.items())


def listed(places: list[int]) -> str:
    """Return the first of some record numbers."""
    return f"record {', '.join(map(str, places[:SHOWN]))}{', …' if len(places) > SHOWN else ''}"
