"""What Tensorpack's flows use, and programs beside them: random generators, serialization, progress.

As in Tensorpack, the modules ``argtools``, ``fs``, ``serialize``, ``stats`` and ``timer`` are imported by name.
"""

from typing import NoReturn

from penstock.compat.tensorpack.utils import logger
from penstock.compat.tensorpack.utils.utils import (
    change_env,
    execute_only_once,
    fix_rng_seed,
    get_rng,
    get_tqdm,
    get_tqdm_kwargs,
    humanize_time_delta,
)

__all__ = [
    "change_env",
    "execute_only_once",
    "fix_rng_seed",
    "get_rng",
    "get_tqdm",
    "get_tqdm_kwargs",
    "humanize_time_delta",
    "logger",
]


def __getattr__(name: str) -> NoReturn:
    """Say of a module that is left out that it is."""
    from penstock.compat.tensorpack.left_out import BESIDE, left_out

    if name in BESIDE.split():
        raise left_out("utils", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
