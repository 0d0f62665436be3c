"""What an older library has and its interface here has not: whoever asks for it is told so, and where to read on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NoReturn

ROOT = __package__ + "."
LIBRARIES: set[str] = set()  # that have said what they leave out
INSTEAD: dict[str, str] = {}  # by full name: what to write instead


class Finder:
    """Asked last of all for a module of such a library, it says that there is none."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG004  the protocol's
        """Refuse what no other finder has found, also as the ``name`` of ``from package import name``."""
        library, _, rest = name.removeprefix(ROOT).partition(".")
        if name.startswith(ROOT) and rest and library in LIBRARIES:
            raise ModuleNotFoundError(said(name))  # without name=, or Python would hide it


def answer(module: dict[str, Any], instead: Mapping[str, str] | None = None) -> None:
    """Let a module, which hands over its ``globals()``, answer whoever asks it for what is not there.

    Args:
        module: what answers.
        instead: of some names, what to write instead.
    """
    LIBRARIES.add(module["__name__"].removeprefix(ROOT).partition(".")[0])
    INSTEAD.update({f"{module['__name__']}.{name}": words for name, words in (instead or {}).items()})

    def ask(name: str) -> NoReturn:
        if name.startswith("_"):  # protocols of Python's own ask, too
            raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
        raise AttributeError(said(f"{module['__name__']}.{name}"))

    module["__getattr__"] = ask


def said(name: str) -> str:
    """Return what to tell whoever asks for a name."""
    library = name.removeprefix(ROOT).partition(".")[0]
    words = [f"There is no {name}.", INSTEAD.get(name), f"What is left out: docs/migrating/{library}.md."]
    return " ".join(filter(None, words))


sys.meta_path.append(Finder)
