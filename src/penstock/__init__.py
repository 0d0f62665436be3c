"""Penstock keeps a training loop's accelerator fed: same batches on any workers, resumable anywhere, never hanging."""

from penstock.graph.context import empty
from penstock.executors.inline import Inline
from penstock.loader import Loader
from penstock.executors.processes import Processes
from penstock.sequence import Sequence
from penstock.stream import Stream
from penstock.executors.threads import Threads
from penstock.sources import arrays, concat, files, items, range, stream, zip

__all__ = [
    "Inline",
    "Loader",
    "Processes",
    "Sequence",
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
