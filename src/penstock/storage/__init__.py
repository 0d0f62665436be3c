"""Stores: numbered records on disk, one format a file, reading and writing together.

``graph/storing.py`` says what a format is and, in its first lines, exactly what a new one must do. In short: a file
here that ends in

    FORMAT = Format("name", (".suffix",), NameReader, NameRecorder)

whose reader has ``tag``, ``len`` and ``[i]`` and whose recorder has ``append`` and ``finish``, and a test file that
calls ``penstock.testing.check_store``. ``formats`` finds it by looking into this folder. Everything else is written
once: lazy opening in every process, names for errors, states that fit one content only, temporary names, flushing,
renaming. A long format has files ``<name>_<theme>.py`` beside its own, which are not asked for a ``FORMAT``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import pkgutil

from penstock.errors import ArgumentError, StoreError
from penstock.graph.checking import choice
from penstock.graph.storing import Format
from penstock.storage.patterns import files


@functools.cache
def formats() -> dict[str, Format]:
    """Return all formats by name; each is imported here, and none imports its library yet."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if "_" in module.name:  # a theme of a format, not one of its own
            continue
        format_ = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FORMAT", None)
        if isinstance(format_, Format):
            found[format_.name] = format_
    return dict(sorted(found.items()))


def format_of(path: str, given: str | Format | None, where: str) -> Format:
    """Return the format that was named, or else the one that a path's suffix, or its content, tells.

    Raises:
        ArgumentError: there is no such format, or nothing tells it.
    """
    if isinstance(given, Format):
        return given
    known = formats()
    if given is not None:
        choice(given, known, where, "format")
        return known[given]
    name = path.rstrip("/").lower()
    fitting = [(len(s), f) for f in known.values() for s in f.suffixes if name.endswith(s)]
    if fitting:
        return max(fitting, key=lambda pair: pair[0])[1]
    found = path
    with contextlib.suppress(StoreError, ArgumentError):  # whoever opens it says what is wrong with a pattern
        found = files(path)[0]
    if os.path.exists(found):
        for format_ in known.values():
            if format_.recognise is not None and format_.recognise(found):
                return format_
    raise ArgumentError(f"{where}: nothing tells the format of {path!r}. {advice(found, known)}")


def advice(path: str, known: dict[str, Format]) -> str:
    """Return what to do about a path whose format nothing tells."""
    if os.path.isdir(path):
        return (
            "It is a folder, and not one with a folder of pictures for each class and nothing beside them. Say "
            "format='folder' for the paths of the files in it, or the format of its files."
        )
    if path.lower().endswith(".json"):
        return (
            "Say format='jsonl' where each line is a value; where the whole file is one list: "
            "penstock.items(json.load(file))."
        )
    suffixes = ", ".join(sorted({s for f in known.values() for s in f.suffixes}))
    return f"Its name ends in none of {suffixes}. Say format=…, one of {', '.join(map(repr, known))}."
