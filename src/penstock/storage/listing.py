"""Lists of files in a text: a path a line, or a table with a column of paths and one of labels.

    cats/1.jpg 0           train.txt       ps.open("train.txt", "list")
    file,class             labels.csv      ps.open("labels.csv", "list", column="file", label="class")
    cats/1.jpg,cat

The whole list is read once and travels to worker processes in shared memory. The files that it names are not looked at.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.graph.checking import choice, short
from penstock.graph.storing import Format, Reader
from penstock.storage.folder import LABELS, Labelled

Column = int | str
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def open_list(  # noqa: PLR0913  what differs between lists
    file: str,
    *,
    column: Column | None = None,
    label: Column | None = None,
    labels: str = "auto",
    separator: str | None = None,
    root: str | None = None,
    encoding: str = "utf-8",
) -> Reader:
    """Read a list of files.

    Args:
        file: the text. Empty lines are left out.
        column: that of the paths: a number from 0, or a name, in which case the first line has the columns' names. The
            first by default.
        label: the column of the labels, likewise. Without it, the second column where every line has just two.
        labels: ``"number"``: items are (path, number): labels that are whole numbers are what they are, others are
            numbered in the order of their names. ``"name"``: (path, label as it stands there). ``"none"``: paths.
            ``"auto"``: numbers where there are labels.
        separator: what stands between columns: a comma in ``.csv``, a tab in ``.tsv``, both with the quotes of CSV.
            Elsewhere a label is what follows the last blank or tab of a line; with ``label=None`` and
            ``labels="none"``, a whole line is a path.
        root: the folder that relative paths are in; that of the list by default. Paths with ``://`` stay as they are.
        encoding: of the text.

    Raises:
        StoreError: a line lacks a column, or it is no such text; names the line.
    """
    where = f"open({file!r}, 'list')"
    choice(labels, LABELS, where, "labels")
    for name, value in (("column", column), ("label", label)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, str))):
            raise ArgumentTypeError(f"{where}: {name} must be a column's number or name, not {short(value)}.")
        if isinstance(value, int) and value < 0:
            raise ArgumentError(f"{where}: {name} is counted from 0, and cannot be {value}.")
    separator = separator or next((s for ending, s in SEPARATORS.items() if file.lower().endswith(ending)), None)
    if separator is not None and len(separator) != 1:
        raise ArgumentError(f"{where}: separator must be one character, not {separator!r}.")
    if separator is None and (column is not None or label is not None):
        raise ArgumentError(f"{where}: with columns, say what stands between them: separator='\\t'.")
    try:
        with open(file, encoding=encoding, newline="") as text:
            if separator is None:
                rows = parted(text, whole_lines=labels == "none")
            else:
                rows = columns(csv.reader(text, delimiter=separator), column, label, where)
            found = list(rows)
    except (OSError, UnicodeError, csv.Error, LookupError) as error:
        raise StoreError(f"{where}: it cannot be read as a list: {error}") from error
    if not found:
        raise StoreError(f"{where}: it is empty.")
    folder = os.path.dirname(file) if root is None else os.path.abspath(os.path.expanduser(root))
    return labelled(folder, found, labels, where)


def parted(lines: Any, *, whole_lines: bool) -> Iterator[tuple[int, str, str | None]]:
    """Yield number, path and label of lines without a separator of their own."""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        parts = [line] if whole_lines else line.rsplit(None, 1)
        yield number, parts[0], parts[1] if len(parts) == 2 else None


def columns(rows: Any, path: Column | None, label: Column | None, where: str) -> Iterator[tuple[int, str, str | None]]:
    """Yield number, path and label of a table's lines."""
    at, of = 0 if path is None else path, label
    if isinstance(at, str) or isinstance(of, str):
        names: list[str] = next(rows, [])
        at, of = (place_of(column, names, where) for column in (at, of))
    guess = path is None and label is None
    for row in rows:
        if not row:
            continue
        second = 1 if guess and len(row) == 2 else of
        last = max(at, -1 if second is None else second)
        if last >= len(row):
            raise StoreError(f"{where}: line {rows.line_num} has {len(row)} columns, and column {last} is asked for.")
        yield rows.line_num, row[at], None if second is None else row[second]


def place_of(column: Column | None, names: Sequence[str], where: str) -> Any:
    """Return the number of a column."""
    if not isinstance(column, str):
        return column
    choice(column, names, where, "a column")
    return names.index(column)


def labelled(folder: str, found: list[tuple[int, str, str | None]], labels: str, where: str) -> Reader:
    """Return the reader of a list's lines."""
    bare = next((number for number, _, label in found if label is None), None)
    if bare is not None and any(label is not None for _, _, label in found):
        raise StoreError(
            f"{where}: line {bare} has no label, and others have. Say labels='none' for paths alone; paths with blanks "
            "need a separator."
        )
    for number, path, _ in found:
        if not path or "\0" in path:
            raise StoreError(f"{where}: line {number} has no path.")
    names = [os.fsencode(path) for _, path, _ in found]
    if labels == "none" or (bare is not None and labels == "auto"):
        return Labelled(folder, names, None, (), "none")
    if bare is not None:
        raise StoreError(f"{where}: there are no labels in it.")
    given = [str(label).strip() for _, _, label in found]
    if labels != "name":
        try:
            return Labelled(folder, names, list(map(int, given)), (), "number")
        except (ValueError, OverflowError):
            pass  # names, then
    classes = sorted(set(given))
    number_of = {name: k for k, name in enumerate(classes)}
    kind = "name" if labels == "name" else "number"
    return Labelled(folder, names, [number_of[label] for label in given], classes, kind)


FORMAT = Format("list", (".lst",), open_list)
