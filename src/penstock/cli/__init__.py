"""The command ``penstock``: one command a file, found by looking into this folder.

    penstock COMMAND …          python -m penstock COMMAND …

A file here is a command of its name, unless that begins with an underscore. It has

    its docstring               the first line says what the command does, the rest is shown by --help
    arguments(parser)           adds its arguments to an ``argparse.ArgumentParser``
    run(options)                does it; returns the exit status, or None for 0

What goes wrong is raised: ``main`` says it in one line, and the traceback only where ``--debug`` asks for it. The exit
status is 0, or 1 where the command failed, 2 where it was called wrongly, 130 where Ctrl-C ended it.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import penstock

if TYPE_CHECKING:
    from types import ModuleType

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """A parser that says which option was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the call, and how to get help."""
        unknown = re.search(r"unrecognized arguments: (-\S+?)(=|\s|$)", message)
        if unknown:
            near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1)
            message += f". Did you mean {near[0]}?" if near else ""
        say(f"{self.prog}: {message}", f"How it is called: {self.prog} --help")
        sys.exit(MISUSED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    Args:
        arguments: those behind the program's name; by default this process's own.

    >>> main(["--version"])
    penstock ...
    0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        return dispatch([word for word in words if word != "--debug"])
    except SystemExit as end:  # of argparse
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt as error:
        notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith("penstock: ")]  # where it was
        say("", "penstock: interrupted", *notes)
        return INTERRUPTED
    except BrokenPipeError:  # `penstock inspect x | head`: nobody reads on
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001  whatever it is, a person is told
        if debug:
            traceback.print_exc()
        else:
            say(*described(error))
        return FAILED


def dispatch(words: list[str]) -> int:
    """Find the command and run it."""
    if words in (["--version"], ["-V"]):
        print(f"penstock {penstock.__version__}")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if words else MISUSED
    name, known = words[0], commands()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        say(f"penstock: there is no command {name!r}.{meant}", f"There are: {', '.join(known)}.")
        return MISUSED
    module = command(name)
    text = module.__doc__ or ""
    parser = Parser(
        prog=f"penstock {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    module.arguments(parser)
    return int(module.run(parser.parse_args(words[1:])) or 0)


def commands() -> list[str]:
    """Return the names of all commands, sorted."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))


def command(name: str) -> ModuleType:
    """Import a command."""
    return importlib.import_module(f"{__name__}.{name}")


def overview() -> str:
    """Return what there is, a line for each command."""
    names = commands()
    width = max(map(len, names), default=0)
    lines = [f"  {name:<{width}}  {(command(name).__doc__ or '').splitlines()[0]}" for name in names]
    return "\n".join(
        ["usage: penstock COMMAND …", "", *lines, "", "penstock COMMAND --help says more; --debug shows tracebacks."]
    )


def described(error: Exception) -> list[str]:
    """Return the lines that tell a person of an error; the type only where it is neither ours nor the system's."""
    ours = isinstance(error, (OSError, ImportError)) or type(error).__module__.startswith("penstock.")
    text = str(error) or type(error).__name__
    lines = [f"penstock: {text if ours else f'{type(error).__name__}: {text}'}"]
    lines += [f"  {note.removeprefix('penstock: ')}" for note in getattr(error, "__notes__", ())]
    return lines if ours else [*lines, "  (--debug shows the whole traceback)"]


def say(*lines: str) -> None:
    """Write lines to standard error."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
