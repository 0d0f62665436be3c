"""Tensorpack's DataFlow on Penstock: ``from penstock.compat.tensorpack.dataflow import *``.

Flows are iterables of datapoints (lists or dicts of components), with ``reset_state()`` and, mostly, ``len``. The
migration page, docs/migrating/tensorpack.md, says what differs, and what to write instead. As of Tensorpack, flows are
names of the package, too, and so are the logger and what else stands beside them: ``from penstock.compat.tensorpack
import BatchData, logger``.
"""

from typing import Any

from penstock.compat.tensorpack import utils
from penstock.compat.tensorpack.dataflow import *  # noqa: F403
from penstock.compat.tensorpack.dataflow import __all__ as _flows
from penstock.compat.tensorpack.utils import *  # noqa: F403

__all__ = list(_flows)
__all__ += utils.__all__


def __getattr__(name: str) -> Any:
    """Say of a name of Tensorpack's that is left out that it is."""
    from penstock.compat.tensorpack.left_out import TRAINING, left_out

    if name in TRAINING.split():
        raise left_out("", name)
    from penstock.compat.tensorpack import dataflow

    try:
        return getattr(dataflow, name)  # what needs OpenCV, or has an earlier name
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
