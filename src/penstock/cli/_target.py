"""What a command is given to read: a store on disk, or a dataset of a module: ``module:name``, ``file.py:name``."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
from typing import Any

import penstock as ps
from penstock.errors import ArgumentError

USAGE = "a store on disk, or module:dataset, or file.py:dataset"


def opened(target: str, format: str | None = None, options: dict[str, Any] | None = None) -> Any:
    """Return the dataset that a word of the command line means.

    Raises:
        ArgumentError: it is no store, and no dataset of a module.
    """
    if ":" in target and not os.path.lexists(target) and "://" not in target:
        found = named(target)
        made = found() if callable(found) and not isinstance(found, (ps.Sequence, ps.Stream)) else found
        if not isinstance(made, (ps.Sequence, ps.Stream)):
            raise ArgumentError(f"{target} is {type(made).__name__}, not a dataset, nor a function that returns one.")
        return made
    if target.endswith(".py") and format is None:
        raise ArgumentError(f"{target} is a program: say which dataset of it, as in {target}:dataset.")
    return ps.open(target, format, **(options or {}))


def named(target: str) -> Any:
    """Import ``module:name`` or ``file.py:name``; the working directory is looked into first, as ``python -m`` does.

    Raises:
        ArgumentError: there is no such module, or no such name in it.
    """
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        module = loaded(place)
    else:
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise  # something that the module itself imports
            raise ArgumentError(f"{target}: there is no module {error.name!r}, nor a file of that name.") from None
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            words = ", ".join(word for word in vars(module) if not word.startswith("_"))
            raise ArgumentError(f"{target}: there is no {part!r} in {place}. There are: {words[:200]}.") from None
    return found


def loaded(path: str) -> Any:
    """Run a file as a module of its name."""
    if not os.path.isfile(path):
        raise ArgumentError(f"there is no file {path!r} in {os.getcwd()}.")
    name = os.path.basename(path).removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec.loader.exec_module(module)
    return module


def setting(text: str) -> tuple[str, Any]:
    """Parse ``name=value``: JSON where it is such, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    words = {"True": True, "False": False, "None": None}
    if value in words:
        return name, words[value]
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where work runs."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--workers", type=counted, metavar="N", help="compute in N worker processes; in line by default")
    group.add_argument("--threads", type=counted, metavar="N", help="compute in N threads")


def workers_of(options: argparse.Namespace) -> ps.Executor | None:
    """Return the executor that was asked for."""
    if options.workers:
        return ps.Processes(options.workers)
    return ps.Threads(options.threads) if options.threads else None


def counted(text: str) -> int:
    """Parse a count of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def sized(path: str) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path) if os.path.exists(path) else 0
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def bytes_text(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
