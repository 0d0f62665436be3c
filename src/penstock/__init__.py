"""Penstock keeps a training loop's accelerator fed: same batches on any workers, resumable anywhere, never hanging."""

from penstock.executors.inline import Inline
from penstock.executors.processes import Processes
from penstock.executors.threads import Threads
from penstock.graph.context import empty
from penstock.graph.execution import Executor
from penstock.graph.policy import Retry, Skip
from penstock.joining import concat, zip
from penstock.loader import Loader
from penstock.sequence import Sequence
from penstock.sources import arrays, files, items, range, stream
from penstock.stream import Stream

__all__ = [
    "Executor",
    "Inline",
    "Loader",
    "Processes",
    "Retry",
    "Sequence",
    "Skip",
    "Stream",
    "Threads",
    "arrays",
    "concat",
    "empty",
    "files",
    "items",
    "range",
    "stream",
    "zip",
]
