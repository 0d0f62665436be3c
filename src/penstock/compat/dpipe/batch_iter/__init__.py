"""Batches without end, made in the background: a source, transformers one after the other, and batches behind them."""

from penstock.compat.absent import answer as _answer
from penstock.compat.dpipe.batch_iter.expiration_pool import ExpirationPool, expiration_pool
from penstock.compat.dpipe.batch_iter.pipeline import (
    Infinite,
    Iterator,
    Loky,
    Threads,
    combine_batches,
    combine_pad,
    combine_to_arrays,
)
from penstock.compat.dpipe.batch_iter.sources import load_by_random_id, sample
from penstock.compat.dpipe.batch_iter.utils import (
    apply_at,
    multiply,
    pad_batch_equal,
    random_apply,
    sample_args,
    unpack_args,
    zip_apply,
)

__all__ = [
    "ExpirationPool",
    "Infinite",
    "Iterator",
    "Loky",
    "Threads",
    "apply_at",
    "combine_batches",
    "combine_pad",
    "combine_to_arrays",
    "expiration_pool",
    "load_by_random_id",
    "multiply",
    "pad_batch_equal",
    "random_apply",
    "sample",
    "sample_args",
    "unpack_args",
    "zip_apply",
]

_answer(globals(), {"make_infinite_batch_iter": "Use Infinite(…)."})
