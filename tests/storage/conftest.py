"""Archives as other software writes and reads them, for all tests of tar."""

from __future__ import annotations

import io
import tarfile

import pytest

ENTRIES = [
    ("a.jpg", b"1"),
    ("a.cls", b"2" * 511),
    ("b.jpg", b"3" * 512),
    ("README", b"no extension"),
    ("b.CLS", b""),
    (".hidden", b"no key"),
    ("d/c.seg.png", b"4" * 513),
    ("d/c.jpg", b"5"),
    ("ä/ü.jpg", b"6"),
    ("a.jpg", b"7"),
]


@pytest.fixture
def entries():
    """Names and content of members: of records, of none, empty, as long as blocks, in capitals, beyond ASCII."""
    return ENTRIES


def written(path, entries, form=tarfile.GNU_FORMAT, mode="w"):
    """Write members with Python's tarfile: pairs of a name and bytes, or TarInfo objects."""
    with tarfile.open(path, mode, format=form) as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            name, data = entry
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.fixture
def archive():
    """`archive(path, entries)`: write an archive with Python's tarfile; its path."""
    return written


def read(path):
    """Read records with Python's tarfile: the definition that ours is compared with."""
    records = []
    with tarfile.open(path) as tar:
        for member in tar:
            head, _, base = member.name.rpartition("/")
            key, dot, extension = base.partition(".")
            if not member.isreg() or not dot or not key:
                continue
            key = f"{head}/{key}" if head else key
            if not records or records[-1]["__key__"] != key:
                records.append({"__key__": key})
            records[-1][extension.lower()] = tar.extractfile(member).read()
    return records


@pytest.fixture
def by_tarfile():
    """`by_tarfile(path)`: the records of an archive, read with Python's tarfile."""
    return read


def classes_of(dataset):
    """Return the classes of all records."""
    return [item["cls"] for item in dataset]


@pytest.fixture
def classes():
    """`classes(dataset)`: the classes of all records."""
    return classes_of
