"""Tensorpack's DataFlow on Penstock: ``from penstock.compat.tensorpack.dataflow import *``.

Flows are iterables of datapoints (lists or dicts of components), with ``reset_state()`` and, mostly, ``len``. The
migration page, docs/migrating/tensorpack.md, says what differs, and what to write instead. As of Tensorpack, flows are
names of the package, too: ``from penstock.compat.tensorpack import BatchData, imgaug``.
"""

from penstock.compat.tensorpack.dataflow import *  # noqa: F403
from penstock.compat.tensorpack.dataflow import __all__ as __all__
