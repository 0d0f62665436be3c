"""Names and arguments that Tensorpack had before 0.10, for programs of that time.

``nr_proc``, ``nr_thread`` and ``nr_prefetch`` became ``num_…``. The modules ``prefetch`` and ``dftools`` beside this
one are of the same kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that takes arguments by earlier names: ``nr_x`` or ``nr`` for ``num_x`` or ``num``."""
    new = {f"nr{name.removeprefix('num')}": name for name in names}

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def taking(*args: P.args, **kwargs: P.kwargs) -> R:
            given: dict[str, Any] = {}
            for name, value in kwargs.items():
                today = new.get(name, name)
                if today in given:
                    raise TypeError(f"{function.__qualname__}() got {today!r} by two names")
                given[today] = value
            return function(*args, **given)

        return taking

    return decorated
