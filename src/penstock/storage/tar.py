"""Tar archives as WebDataset has them: a record is some members beside one another that share a key.

    000000.jpg  000000.cls  000001.jpg  000001.cls  …       {"__key__": "000000", "jpg": b"…", "cls": 3}, …
    └─key┘ └extension                                       of imgs/a.seg.png, the key is imgs/a, the extension seg.png

Archives, called shards when there are several, are read at random: their headers are read once (``tar_index``), and
records come from a map of the file. Compressed ones, and any with ``stream=True``, are read from the front. What is in
an archive is data and nothing else: it is never unpacked, and its names are no paths here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.graph.checking import choice, flag, short
from penstock.graph.storing import Format, Reader, Tape
from penstock.storage import patterns
from penstock.storage.extensions import Extensions
from penstock.storage.kept_index import WAYS, without
from penstock.storage.tar_index import index_of
from penstock.storage.tar_members import BLOCK, Archive
from penstock.storage.tar_reading import Fields, TarReader, TarTape, packing
from penstock.storage.tar_writing import create_tar

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def open_tar(  # noqa: PLR0913  each is one thing that users of archives want to say
    path: str,
    *,
    decode: bool | str | dict[str, str] = True,
    fields: Sequence[str] | None = None,
    copy: bool | None = None,
    stream: bool | None = None,
    index: str = "auto",
    truncated: str = "refuse",
    trust_pickle: bool = False,
) -> Reader | Tape:
    """Open archives.

    Args:
        path: an archive, a folder of some, a pattern such as ``train-{000..146}.tar``, or a list of paths.
        decode: True: ``json``, ``txt``, ``cls``, ``npy`` and ``npz`` (and their other names, as WebDataset has them)
            become values; images and the rest stay bytes. ``"images"``: images become arrays, too. False: all
            stay bytes. A dict of words by extension, ``{"jpg": "image", "json": "bytes"}``: as True, but for these.
        fields: the extensions that are wanted, and ``"__key__"``: the others are not read, and a record that lacks one
            is an error. None: all that a record has, and its key.
        copy: None: byte strings are ``bytes``, arrays are read-only views of the file in memory. False: byte strings
            are views, too, as read-only arrays of ``uint8``. True: nothing is a view.
        stream: True: read from the front, without an index. False: insist on positions. None: from the front only what
            is compressed.
        index: ``"auto"``: an index of 20,000 members and more is kept beside its archive, as ``<archive>.index``, where
            that is possible; ``"beside"``: any is, or it is an error; ``"memory"``: none is looked for or kept.
        truncated: ``"refuse"`` an archive that ends early, or ``"keep"`` its records that are certainly whole.
        trust_pickle: decode ``pkl`` and ``pyd``, which run whatever they say.

    Raises:
        StoreError: an archive is missing, truncated, or none.

    A file must not be shortened while it is open; a new one under its name is noticed. Of a Sequence, ranks take
    their parts of every batch (``loader(shard=…)``); of a stream, a rank may open its own ``paths[rank::world]``.

    >>> import penstock as ps, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photos = ps.range(5).map(lambda k: {"__key__": f"photo{k}", "jpg": b"...", "cls": k % 2})
    ...     shards = photos.save(f"{folder}/train", "tar", max_count=2)
    ...     ps.open(f"{folder}/train/train-{{000000..000002}}.tar")[3]
    {'__key__': 'photo3', 'jpg': b'...', 'cls': 1}
    """
    where = f"open({path!r})"
    if copy is not None:
        flag(copy, where, "copy")
    if stream is not None:
        flag(stream, where, "stream")
    flag(trust_pickle, where, "trust_pickle")
    choice(index, WAYS, where, "index")
    choice(truncated, ("refuse", "keep"), where, "truncated")
    keep = truncated == "keep"
    known = Fields(checked_fields(fields, where), Extensions(decode, copy, trust_pickle=trust_pickle, where=where))
    try:
        paths = [file for found in without(patterns.files(path)) for file in shards(found)]
        packed = [file for file in paths if packing(file) is not None] if stream is not True else []
        if packed and stream is False:
            raise ArgumentError(f"{where}: {packed[0]} is compressed, so it has no positions. Unpack it: gunzip.")
        if packed or stream:
            return TarTape(paths, known, keep=keep)
        return TarReader(paths, [index_of(file, index, keep=keep) for file in paths], known)
    except OSError as error:
        raise StoreError(f"{where}: {error.strerror}: {error.filename}") from error


def checked_fields(fields: object, where: str) -> list[str] | None:
    """Return the fields that are wanted, in their order."""
    if fields is None:
        return None
    if isinstance(fields, str) or not isinstance(fields, Sequence) or not all(isinstance(f, str) for f in fields):
        raise ArgumentTypeError(
            f"{where}: fields must be a list of extensions, such as ['jpg', 'cls'], not {short(fields)}."
        )
    if not fields:
        raise ArgumentError(f"{where}: fields is empty. Leave it out for all fields.")
    return [field.lower().lstrip(".") for field in fields]


def shards(path: str) -> list[str]:
    """Return an archive, or those of a folder, sorted by their names."""
    if not os.path.isdir(path):
        return [path]
    found = sorted(name for name in os.listdir(path) if name.lower().endswith(SUFFIXES) and name[0] != ".")
    if not found:
        raise StoreError(f"the folder {path} has no archives in it: no name ends in {', '.join(SUFFIXES)}.")
    return [os.path.join(path, name) for name in found]


def recognise(path: str) -> bool:
    """Tell whether something is a folder of archives, or begins as an archive does."""
    with contextlib.suppress(OSError, StoreError):
        if os.path.isdir(path):
            return bool(shards(path))
        with open(path, "rb") as file:
            start = file.read(BLOCK)
        return Archive(lambda at, size: start[at : at + size], path).header(0) is not None
    return False


FORMAT = Format("tar", SUFFIXES, open_tar, create_tar, recognise, patterns=True)
