"""How a program's flows and functions reach processes: with what their modules hold now, as a fork would have it.

A function of a module is mostly sent by its name, and found again where the module is imported anew. Programs that were
written for forks set things in their modules before they start: a size, a configuration, a flag of the command line.
Imported anew, these would silently have their defaults. So functions and classes of the program's own modules travel
by value, with the globals that they name; those of installed libraries go by name as ever. Locks arrive as new ones.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import cloudpickle


@contextlib.contextmanager
def modules_as_they_are() -> Iterator[None]:
    """Let what is sent inside take the program's own modules along as they are."""
    known = cloudpickle.list_registry_pickle_by_value()
    own = [module for name, module in list(sys.modules.items()) if name not in known and is_own(name, module)]
    kinds = [kind for kind in REDUCED if kind not in copyreg.dispatch_table]
    try:
        copyreg.dispatch_table.update({kind: REDUCED[kind] for kind in kinds})
        for module in own:
            cloudpickle.register_pickle_by_value(module)
        yield
    finally:
        for kind in kinds:
            copyreg.dispatch_table.pop(kind, None)
        for module in own:
            with contextlib.suppress(ValueError):  # another thread has done it
                cloudpickle.unregister_pickle_by_value(module)


def is_own(name: str, module: object) -> bool:
    """Tell whether a module is the program's own: written in Python, and neither installed nor Penstock's."""
    if not isinstance(module, ModuleType) or module.__name__ != name or name in {"__main__", "penstock"}:
        return False
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or name.startswith("penstock."):
        return False
    above = name.count(".") + (os.path.basename(file) == "__init__.py")
    return not is_installed(os.path.abspath(os.path.join(os.path.dirname(file), *[os.pardir] * above)))


@functools.cache
def is_installed(folder: str) -> bool:
    """Tell whether what lies in a folder is installed there: packages with their records, or Python's own."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if f"{folder}{os.sep}".startswith(tuple(f"{path}{os.sep}" for path in paths)):
        return True
    with contextlib.suppress(OSError):
        return any(name.endswith(".dist-info") for name in os.listdir(folder))
    return False


REDUCED: dict[type, Callable[[Any], Any]] = {
    type(threading.Lock()): lambda _: (threading.Lock, ()),
    type(threading.RLock()): lambda _: (threading.RLock, ()),
}
