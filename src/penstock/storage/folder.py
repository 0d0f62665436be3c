"""Folders of files: a path and the number of its class where each class has a folder, else paths.

    photos/cat/1.jpg      ("…/photos/cat/1.jpg", 0)
    photos/dog/2.jpg      ("…/photos/dog/2.jpg", 1)      classes: cat, dog

Nothing is read but names. They are one block of text, which worker processes share; none of them looks again.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentTypeError, StoreError
from penstock.graph.checking import choice, short
from penstock.graph.storing import Format, Reader

if TYPE_CHECKING:
    from penstock.graph.node import Indices

LABELS = ("auto", "number", "name", "none")
LITTER = {b"Thumbs.db", b"desktop.ini"}  # what systems leave in folders without a dot in front
IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
DEEP = 64  # folders within one another


class Texts:
    """Many byte strings as one block: shared between processes, where a list would be copied."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.block: NDArray[np.uint8] = np.frombuffer(b"".join(texts), np.uint8)
        self.ends: NDArray[np.int64] = np.cumsum([len(text) for text in texts], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> bytes:
        start = self.ends[index - 1] if index else 0
        return self.block[start : self.ends[index]].tobytes()


class Labelled(Reader):
    """Paths, with or without labels. It travels as it is: to list a million files again takes every worker seconds."""

    travels: ClassVar[bool] = True

    def __init__(
        self, root: str, names: Sequence[bytes], numbers: Sequence[int] | None, classes: Sequence[str], kind: str
    ) -> None:
        self.root = os.fsencode(root)
        self.names = Texts(names)
        self.numbers = None if numbers is None else np.array(numbers, np.int64)
        self.classes = tuple(classes)
        self.kind = kind
        check = zlib.crc32("\0".join(classes).encode(errors="surrogateescape"), zlib.crc32(self.names.ends.tobytes()))
        check = zlib.crc32(self.names.block.data, check)
        if self.numbers is not None:
            check = zlib.crc32(self.numbers.tobytes(), check)
        self.tag = f"{check:08x}"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Any:
        name = self.names[index]
        path = os.fsdecode(name if b"://" in name else os.path.join(self.root, name))
        if self.numbers is None or self.kind == "none":
            return path
        number = int(self.numbers[index])
        return path, (self.classes[number] if self.kind == "name" else number)

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return many items."""
        return [self[index] for index in (indices if isinstance(indices, range) else indices.tolist())]

    def key(self, index: int) -> str:
        """Return the path within the folder."""
        return os.fsdecode(self.names[index])

    def schema(self) -> Any:
        """Return the classes, in the order of their numbers."""
        return {"classes": list(self.classes)}


def open_folder(path: str, *, labels: str = "auto", extensions: Sequence[str] | None = None) -> Reader:
    """List the files of a folder and of those within it, in the order of their names' bytes.

    Args:
        path: the folder. Hidden files are left out.
        labels: ``"number"``: items are (path, number of the class), where each folder in it is a class, numbered in
            the order of their names. ``"name"``: (path, name of the class). ``"none"``: paths. ``"auto"``: numbers
            where all files lie in folders, paths where none does.
        extensions: only files with these endings, such as ``(".jpg", ".png")``, in small or capital letters.

    Raises:
        StoreError: it is no folder, or nothing is in it; or files stand beside folders of classes.
    """
    where = f"open({path!r})"
    choice(labels, LABELS, where, "labels")
    endings = checked_endings(extensions, where)
    if not os.path.isdir(path):
        raise StoreError(f"{where}: it is no folder.")
    names = sorted(name for name in listed(os.fsencode(path)) if endings is None or name.lower().endswith(endings))
    if not names:
        which = "" if extensions is None else f" that end in {', '.join(map(repr, extensions))}"
        raise StoreError(f"{where}: there are no files{which} in it.")
    loose = [name for name in names if b"/" not in name]
    if labels == "auto":
        labels = "none" if loose and len(loose) == len(names) else "number"
    if labels == "none":
        return Labelled(path, names, None, (), labels)
    if loose:
        raise StoreError(
            f"{where}: {os.fsdecode(loose[0])!r} lies beside the folders of the classes, so it has no class. Move it, "
            "or say labels='none' for paths alone, or extensions=… for some files only."
        )
    classes = sorted(entry.name for entry in os.scandir(os.fsencode(path)) if entry.is_dir() and visible(entry.name))
    number = {name: k for k, name in enumerate(classes)}
    numbers = [number[name.partition(b"/")[0]] for name in names]
    return Labelled(path, names, numbers, list(map(os.fsdecode, classes)), labels)


def checked_endings(extensions: object, where: str) -> tuple[bytes, ...] | None:
    """Return the endings of the files that are wanted, or refuse what are none."""
    if extensions is None:
        return None
    if isinstance(extensions, str) or not isinstance(extensions, Sequence) or not extensions:
        raise ArgumentTypeError(
            f"{where}: extensions must be a list of endings, such as ['.jpg', '.png'], not {short(extensions)}."
        )
    return tuple(os.fsencode(str(ending).lower()) for ending in extensions)


def visible(name: bytes) -> bool:
    """Tell whether a name is neither hidden nor litter."""
    return not name.startswith(b".") and name not in LITTER


def listed(root: bytes) -> Iterator[bytes]:
    """Yield the names of the files below a folder; links are followed, but not round in circles."""
    stack: list[tuple[bytes, tuple[tuple[int, int], ...]]] = [(b"", ())]
    while stack:
        inside, above = stack.pop()
        folder = os.path.join(root, inside) if inside else root
        status = os.stat(folder)
        me = (status.st_dev, status.st_ino)
        if me in above or len(above) > DEEP:
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if not visible(entry.name):
                    continue
                name = os.path.join(inside, entry.name) if inside else entry.name
                if entry.is_dir():
                    stack.append((name, (*above, me)))
                elif entry.is_file():
                    yield name


def recognise(path: str) -> bool:
    """Tell whether something is a folder of folders with pictures in them, and nothing else."""
    try:
        with os.scandir(path) as entries:
            found = [entry for entry in entries if visible(os.fsencode(entry.name))]
        if not found or not all(entry.is_dir() for entry in found):
            return False
        for folder in found:
            with os.scandir(folder.path) as entries:
                if any(entry.name.lower().endswith(IMAGES) for entry in entries):
                    return True
    except OSError:
        pass
    return False


FORMAT = Format("folder", (), open_folder, recognise=recognise)
