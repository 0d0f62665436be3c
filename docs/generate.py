"""Writes docs/operations.md, the reference of all operations, from the docstrings: run python docs/generate.py.

A theme is a module: its docstring's first line is the heading. Whatever is public appears, whoever adds it.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import penstock as ps

PAGE = Path(__file__).parent / "operations.md"
HEAD = """# The operations

All that a dataset can be made of and all that it can do, from the docstrings of the code: `help(ps.Sequence.batch)`
says the same. What PyTorch, tf.data, Grain and others call it stands in [elsewhere.md](elsewhere.md). This page is
written by `python docs/generate.py`.

`import penstock as ps` goes before each example.
"""
# The order of the themes; what is not named here comes behind, so a new module needs no change.
THEMES = (
    "sources", "opening", "joining", "surface.transforming", "choosing", "surface.streaming", "surface.ordering",
    "sequence", "stream", "parting", "surface.batching", "surface.dataset", "surface.evaluating", "surface.described",
    "surface.watching", "loader", "watching", "ranks", "executors", "graph", "storage", "service",
)  # fmt: skip
TITLES = {
    "sequence": "Sequences: what needs positions",
    "stream": "Streams: what is read from the front",
    "surface.dataset": "Reading",
    "surface.described": "Looking at a description",
    "choosing": "Functions made of functions",
    "loader": "The loader",
    "ranks": "Ranks",
    "opening": "Stores on disk",
    "executors": "Where work runs",
    "graph": "Values",
    "surface.watching": "Watching what a dataset gives",
    "watching": "Watching a loader",
    "storage": "Objects by URL",
    "service": "The data service",
}
SECTION = re.compile(r"^(Args|Raises|Returns|Yields):$")


class Entry(NamedTuple):
    """One public thing."""

    name: str
    thing: Callable[..., Any]
    where: str  # which datasets have it; empty for functions and classes


def entries() -> list[Entry]:
    """Return everything public, in the order of the code: functions and classes, and the methods of datasets."""
    kinds = {"sequences": ps.Sequence, "streams": ps.Stream}
    found: dict[str, tuple[list[str], Any]] = {}
    for word, kind in kinds.items():
        for name in dir(kind):
            thing = inspect.unwrap(getattr(kind, name, None))
            if not name.startswith("_") and inspect.isfunction(thing):
                found.setdefault(name, ([], thing))[0].append(word)
    made = [Entry(name, thing, " and ".join(words)) for name, (words, thing) in found.items()]
    for name in ps.__all__:
        thing = inspect.unwrap(getattr(ps, name))
        if callable(thing) and thing not in kinds.values():
            made.append(Entry(f"ps.{name}", thing, ""))
    for name, value in vars(ps.Loader).items():
        thing = value.fget if isinstance(value, property) else value
        if not name.startswith("_") and inspect.isfunction(thing):
            made.append(Entry(f"loader.{name}", thing, ""))
    return sorted(made, key=lambda entry: (entry.thing.__module__, line_of(entry.thing)))


def line_of(thing: Any) -> int:
    """Return where a thing is written, in its file."""
    return inspect.getsourcelines(thing)[1]


def theme_of(entry: Entry) -> str:
    """Return the module whose theme an entry belongs to; a package's modules share one."""
    module = entry.thing.__module__.removeprefix("penstock.")
    package = module.partition(".")[0]
    return package if package in THEMES else module


def title_of(theme: str) -> str:
    """Return the heading of a theme: what its module says it is for."""
    text = inspect.getdoc(sys.modules[f"penstock.{theme}"]) or theme
    return TITLES.get(theme) or plain(text.partition("\n")[0].rstrip("."))


def signature_of(entry: Entry) -> str:
    """Return how something is called, without types; a property by its name."""
    if isinstance(getattr(ps.Loader, entry.name.removeprefix("loader."), None), property):
        return entry.name
    try:
        signature = inspect.signature(entry.thing)
    except ValueError:
        return entry.name
    kept = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    kept = [p if p.default is p.empty or not callable(p.default) else p.replace(default=Named(p.default)) for p in kept]
    text = f"{entry.name}{signature.replace(parameters=kept, return_annotation=signature.empty)}"
    return f".{text}" if entry.where else text


class Named:
    """A function as a default: shown by its name."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __repr__(self) -> str:
        return str(getattr(self.function, "__name__", self.function))


def sentence_of(thing: Any) -> str:
    """Return the first sentence of a docstring."""
    paragraph = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    text = " ".join(paragraph.split())
    return plain(re.split(r"(?<=[.!?]) (?=[A-Z])", text, maxsplit=1)[0])


def plain(text: str) -> str:
    """Return a docstring's text as Markdown."""
    return text.replace("``", "`")


def body_of(thing: Any) -> list[str]:
    """Return a docstring as Markdown: arguments as a list, examples fenced."""
    lines: list[str] = []
    for block in (inspect.getdoc(thing) or "").split("\n\n"):
        head, _, rest = block.partition("\n")
        if SECTION.match(head):
            lines += [f"**{head.rstrip(':')}**", "", *listed(rest), ""]
        elif block.lstrip().startswith(">>>"):
            lines += ["```python", *inspect.cleandoc(block).splitlines(), "", "```", ""]
        elif block.startswith("    "):  # a drawing
            lines += ["```text", *block.splitlines(), "```", ""]
        elif block:
            lines += [plain(block), ""]
    return lines


def listed(text: str) -> list[str]:
    """Return a section's entries as a list, each with what belongs to it on one line."""
    made: list[str] = []
    for line in textwrap.dedent(text).splitlines():
        name, colon, rest = line.partition(":")
        if not line.startswith(" ") and colon and re.fullmatch(r"[\w*, ()|.]+", name):
            made.append(f"- `{name}`:{plain(rest)}")
        elif made:
            made[-1] += f" {plain(line.strip())}"
        else:
            made.append(plain(line))
    return made


def escaped(text: str) -> str:
    """Return a text that may stand in a table."""
    return text.replace("|", "\\|")


def anchor(title: str) -> str:
    """Return what a heading is called in links."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def page() -> str:
    """Return the whole page."""
    themes: dict[str, list[Entry]] = {}
    for entry in entries():
        themes.setdefault(theme_of(entry), []).append(entry)
    order = sorted(themes, key=lambda theme: (THEMES.index(theme) if theme in THEMES else len(THEMES), theme))
    lines = [HEAD, "| | |", "|---|---|"]
    for theme in order:
        lines.append(f"| **{escaped(title_of(theme))}** | |")
        for entry in themes[theme]:
            name = escaped(f".{entry.name}" if entry.where else entry.name)
            lines.append(f"| [`{name}`](#{anchor(heading_of(entry))}) | {escaped(sentence_of(entry.thing))} |")
    for theme in order:
        lines += ["", f"## {title_of(theme)}", ""]
        for entry in themes[theme]:
            only = entry.where if entry.where and " and " not in entry.where else ""
            lines += [f"### {heading_of(entry)}", "", f"`{signature_of(entry)}`", ""]
            lines += [f"*Of {only} only.*", ""] if only else []
            lines += body_of(entry.thing)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def heading_of(entry: Entry) -> str:
    """Return the heading of an entry."""
    return entry.name


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
