"""Penstock keeps a training loop's accelerator fed: same batches on any workers, resumable anywhere, never hanging."""

from penstock.choosing import Compose, Maybe, OneOf, SomeOf
from penstock.executors.inline import Inline
from penstock.executors.processes import Processes
from penstock.executors.threads import Threads
from penstock.graph.context import empty
from penstock.graph.execution import Executor
from penstock.graph.packing import Packing
from penstock.graph.padding import Pad
from penstock.graph.policy import Retry, Skip
from penstock.joining import concat, interleave, mix, switch, zip
from penstock.loader import Loader
from penstock.opening import open
from penstock.ranks import rank_and_world
from penstock.sequence import Sequence
from penstock.service.client import connect
from penstock.service.serving import serve
from penstock.sources import arrays, files, items, queue, range, stream, synthetic
from penstock.stream import Stream

__all__ = [
    "Compose",
    "Executor",
    "Inline",
    "Loader",
    "Maybe",
    "OneOf",
    "Packing",
    "Pad",
    "Processes",
    "Retry",
    "Sequence",
    "Skip",
    "SomeOf",
    "Stream",
    "Threads",
    "arrays",
    "concat",
    "connect",
    "empty",
    "files",
    "interleave",
    "items",
    "mix",
    "open",
    "queue",
    "range",
    "rank_and_world",
    "serve",
    "stream",
    "switch",
    "synthetic",
    "zip",
]

__version__ = "0.1.0.dev0"
