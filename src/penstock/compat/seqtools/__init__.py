"""SeqTools' interface on Penstock: ``import penstock.compat.seqtools as seqtools``.

Lazy sequences with ``len``, ``[i]`` and slices, whose items are computed when they are read. The migration page,
docs/migrating/seqtools.md, says what differs, and what to write instead.
"""

from penstock.compat.absent import answer as _answer
from penstock.compat.seqtools import instrument
from penstock.compat.seqtools.buffering import add_cache
from penstock.compat.seqtools.errors import EvaluationError, seterr
from penstock.compat.seqtools.evaluation import load_buffers, prefetch
from penstock.compat.seqtools.indexing import arange, case, cycle, gather, interleave, repeat, switch, take, uniter
from penstock.compat.seqtools.mapping import smap, starmap
from penstock.compat.seqtools.serialization import SerializableFunc
from penstock.compat.seqtools.shape import batch, collate, concatenate, split, unbatch

__all__ = [
    "EvaluationError",
    "SerializableFunc",
    "add_cache",
    "arange",
    "batch",
    "case",
    "collate",
    "concatenate",
    "cycle",
    "gather",
    "instrument",
    "interleave",
    "load_buffers",
    "prefetch",
    "repeat",
    "seterr",
    "smap",
    "split",
    "starmap",
    "switch",
    "take",
    "unbatch",
    "uniter",
]

_answer(
    globals(),
    {
        "batches": "It is called batch.",
        "eager_iter": "Use prefetch(sequence, nworkers, method, max_buffered).",
        "reindex": "Use gather(sequence, indexes).",
        "PrefetchException": "Errors arrive as EvaluationError.",
        "EagerAccessException": "Errors arrive as EvaluationError.",
    },
)
