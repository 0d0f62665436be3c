"""dpipe's batch iterators on Penstock: ``from penstock.compat.dpipe.batch_iter import Infinite``.

The migration page, docs/migrating/dpipe.md, says what differs, and what to write instead.
"""

from penstock.compat.absent import answer as _answer
from penstock.compat.dpipe import batch_iter, itertools

__all__ = ["batch_iter", "itertools"]

_answer(globals())
