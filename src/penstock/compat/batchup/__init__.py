"""BatchUp's interface on Penstock: ``from penstock.compat.batchup import data_source, work_pool``.

Mini-batches out of arrays and what looks like them, made in line or in a pool of threads or processes. The migration
page, docs/migrating/batchup.md, says what differs, and what to write instead.
"""

from penstock.compat.absent import answer as _answer
from penstock.compat.batchup import data_source, image, sampling, work_pool

__all__ = ["data_source", "image", "sampling", "work_pool"]

_answer(globals())
