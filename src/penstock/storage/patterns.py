"""Paths of several files in one text: braces as in a shell, wildcards, and lists.

shard-{000..012}.tar      shard-000.tar, shard-001.tar, … shard-012.tar, which must all be there
{train,more}/*.tar        what is there, sorted within each folder
shard-000.tar             itself, also where its name has braces or wildcards of its own
{a.tar,b.tar}             what a list of paths is written as; a backslash takes a character's meaning away
"""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator, Sequence

from penstock.errors import ArgumentError, StoreError

MOST = 1_000_000  # files of one pattern
RANGE = re.compile(r"(\d+)\.\.(\d+)(?:\.\.(\d+))?")
SPECIAL = re.compile(r"([\\{},])")
WILD = re.compile(r"[*?\[]")


def joined(paths: Sequence[str]) -> str:
    """Return the pattern that stands for some paths, each a file or a pattern itself.

    >>> joined(["a.tar", "b.tar"])
    '{a.tar,b.tar}'
    """
    if not paths:
        raise ArgumentError("open(): the list of paths is empty.")
    parts = [SPECIAL.sub(r"\\\1", path) if os.path.lexists(path) else path for path in paths]
    return parts[0] if len(parts) == 1 else f"{{{','.join(parts)}}}"


def files(pattern: str) -> list[str]:
    """Return the files and folders that a path or pattern stands for.

    Raises:
        StoreError: nothing, or not all of it, is there.
        ArgumentError: it stands for too many.
    """
    if os.path.lexists(pattern):
        return [pattern]
    found: list[str] = []
    for path in expanded(pattern):
        if os.path.lexists(path):
            found.append(path)
        elif WILD.search(path):
            hits = sorted(glob.glob(path, recursive=True), key=os.fsencode)
            if not hits:
                raise StoreError(f"nothing matches {path!r}.")
            found.extend(hits)
        else:
            of = "" if path == pattern else f" of {pattern!r}"
            raise StoreError(f"there is no file {path!r}{of}.")
    return found


def expanded(pattern: str) -> Iterator[str]:
    """Yield what braces stand for.

    >>> list(expanded("{a,b}-{08..10}.tar"))
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']
    """
    for number, path in enumerate(alternatives(pattern)):
        if number == MOST:
            raise ArgumentError(f"{pattern!r} stands for more than {MOST:,} files.")
        yield path


def alternatives(pattern: str) -> Iterator[str]:
    """Yield what a pattern stands for, from its first braces on."""
    at = 0
    while True:
        start = unescaped(pattern, at, "{")
        if start < 0:
            yield re.sub(r"\\([\\{},])", r"\1", pattern)
            return
        inner = parts(pattern, start)
        if inner is not None:
            break
        at = start + 1
    options, end = inner
    for option in options:
        for head in alternatives(option):
            for rest in alternatives(pattern[end:]):
                yield re.sub(r"\\([\\{},])", r"\1", pattern[:start]) + head + rest


def unescaped(text: str, start: int, wanted: str) -> int:
    """Return where one of some characters stands next without a backslash, or -1."""
    at = start
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] in wanted:
            return at
        at += 1
    return -1


def parts(pattern: str, start: int) -> tuple[Iterator[str], int] | None:
    """Return what the braces at a place choose from, and where they end; None where they are no choice."""
    depth, cuts, at = 1, [start], start + 1
    while depth:
        at = unescaped(pattern, at, "{},")
        if at < 0:
            return None
        sign = pattern[at]
        depth += (sign == "{") - (sign == "}")
        if depth == 0 or (depth == 1 and sign == ","):
            cuts.append(at)
        at += 1
    texts = [pattern[a + 1 : b] for a, b in itertools.pairwise(cuts)]
    if len(texts) > 1:
        return iter(texts), at
    match = RANGE.fullmatch(texts[0])
    return None if match is None else (numbers(*match.groups()), at)


def numbers(first: str, last: str, step: str | None) -> Iterator[str]:
    """Yield the numbers from one to another, as wide as they were written."""
    padded = any(len(text) > 1 and text[0] == "0" for text in (first, last))
    width = max(len(first), len(last)) if padded else 0
    a, b, by = int(first), int(last), max(1, int(step or 1))
    for number in range(a, b + 1, by) if a <= b else range(a, b - 1, -by):
        yield f"{number:0{width}d}"
