"""Fuel's interface on Penstock: ``from penstock.compat.fuel.streams import DataStream``.

A dataset answers requests, a scheme makes them, a stream brings both together, transformers wrap streams. The migration
page, docs/migrating/fuel.md, says what differs, and what to write instead.

dataset.get_data(state, request)
   ▲                            DataStream ──► Transformer ──► Transformer ──► DataIterator ──► the loop
scheme.get_request_iterator()                                     │
                                       in a process: MultiProcessing; elsewhere: start_server and ServerDataStream
"""

from penstock.compat.absent import answer as _answer
from penstock.compat.fuel.config_parser import config

__all__ = ["config"]

__version__ = "0.2.0"  # of the interface that this one follows

_answer(
    globals(),
    {
        "bin": "Files that fuel-convert has written are read as before.",
        "downloaders": "Files that are in the data path are read as before.",
        "transformers.BackgroundProcess": "Use MultiProcessing(stream, max_store).",
        "utils.lock": "cache_file() needs no lock.",
    },
)
