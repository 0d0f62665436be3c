"""The program that the nursery runs, started by its path: ``boot.py CONTROL_FD TRAINER SEARCH_PATH …``.

It keeps the package closed. What a worker needs is a few modules, found under ``penstock`` without the package's own
code, which loads every public name: that would be half of the time to the first batch. When a user's function in a
worker says ``import penstock`` and asks for a name, the package opens.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from importlib.util import find_spec, module_from_spec
from typing import Any


class Closed(types.ModuleType):
    """A package whose own code runs when somebody asks for a name that is not there.

    Submodules that are imported before are kept aside: ``stream`` is a module of the package until its own code makes
    it a function, and nobody must find the module.
    """

    lock = threading.RLock()
    opening = False
    aside: dict[str, types.ModuleType] = {}  # noqa: RUF012  there is one such package in a process

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) and not type(self).opening:
            self.aside[name] = value
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        cls = type(self)
        with cls.lock:
            if not cls.opening and self.__spec__ is not None and self.__spec__.loader is not None:
                cls.opening = True
                self.__dict__.update(self.aside)
                self.__spec__.loader.exec_module(self)
                self.__class__ = types.ModuleType  # type: ignore[assignment]
        return types.ModuleType.__getattribute__(self, name)


def main(control: str, trainer: str, *path: str) -> None:
    """Become the nursery."""
    gc.disable()  # what modules are made of stays; looking for garbage in it would take a twentieth of the start
    sys.path[:] = path
    spec = find_spec("penstock")
    assert spec is not None
    package = sys.modules["penstock"] = module_from_spec(spec)
    package.__class__ = Closed
    from penstock.executors.nursery import serve

    serve(int(control), int(trainer))


if __name__ == "__main__":
    main(*sys.argv[1:])
