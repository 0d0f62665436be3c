"""LMDB: a whole dataset in one file, a record a position; read in place from the page cache.

    key: position, 8 bytes, big-endian     value: record ┊ checksum, 8 bytes
    key: 0xff "names" chunk                 the records' own keys, 4,096 at a time; where there are any
    key: 0xff "penstock"                    count, schema, tag, kind of checksum, as JSON behind a crc32

A checksum counts the position in, so that a record in another's place is noticed, too.

Any LMDB library can read these files. Ours writes with py-lmdb, in large transactions and in the order of the keys; it
reads by ``lmdb_pages``, which can do without a lock, a transaction and trust. Other files are read, too: those that
Tensorpack wrote, and any whose values are to be had as bytes.
"""

from __future__ import annotations

import os

from penstock.errors import ArgumentError, StoreError
from penstock.graph.checking import choice, flag
from penstock.graph.storing import Format, Reader
from penstock.storage.lmdb_format import META, unsealed
from penstock.storage.lmdb_others import OtherReader
from penstock.storage.lmdb_pages import Pages
from penstock.storage.lmdb_reading import LmdbReader
from penstock.storage.lmdb_writing import create_lmdb, extend_lmdb


def open_lmdb(
    path: str,
    *,
    copy: bool | None = None,
    verify: str = "first",
    values: str | None = None,
    trust_pickle: bool = False,
) -> Reader:
    """Open an LMDB file, or a folder with a ``data.mdb``.

    Args:
        path: the file.
        copy: None: arrays are read-only views of the file's pages in memory, byte strings are ``bytes``. False: byte
            strings are views, too, as read-only arrays of ``uint8``. True: everything is copied and can be written to.
        verify: when checksums are compared: on the ``"first"`` reading of each record in a process, ``"always"``,
            or ``"never"``.
        values: what a file has that Penstock did not write: ``"bytes"`` (the default), ``"msgpack"`` or ``"pickle"``,
            as Tensorpack writes.
        trust_pickle: allow values that are pickles, which run whatever they say.

    Raises:
        StoreError: it is no such file, or truncated.
    """
    where = f"open({path!r})"
    choice(verify, ("first", "always", "never"), where, "verify")
    flag(trust_pickle, where, "trust_pickle")
    if copy is not None:
        flag(copy, where, "copy")
    if values is not None:
        choice(values, ("bytes", "msgpack", "pickle"), where, "values")
    file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    try:
        pages = Pages(file)
    except OSError as error:
        raise StoreError(f"{where}: {error.strerror}: {file}") from error
    try:
        found = pages.find(META)
    except StoreError:
        if values is None:
            raise
        found = None
    if found is None:
        return OtherReader(pages, values or "bytes", trust_pickle=trust_pickle)
    if values is not None:
        raise ArgumentError(f"{where}: values={values!r} is for files of others; Penstock wrote this one.")
    if (pages.last + 1) * pages.page > pages.size:
        raise pages.corrupt(pages.last, "is missing")
    try:
        meta = unsealed(bytes(found))
    except ValueError as error:
        raise StoreError(f"{file} is corrupt: its record about itself: {error}") from error
    return LmdbReader(pages, meta, copy, verify)


def recognise(path: str) -> bool:
    """Tell whether something begins as an LMDB file does."""
    file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    try:
        with open(file, "rb") as opened:
            return opened.read(20)[16:20] == b"\xde\xc0\xef\xbe"
    except OSError:
        return False


FORMAT = Format("lmdb", (".lmdb", ".mdb"), open_lmdb, create_lmdb, recognise, extend_lmdb)
