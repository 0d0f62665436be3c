"""What a conversion has done so far, on disk: so that the same command goes on after Ctrl-C, a kill or a power cut.

    train.tar                   the destination; is not there before it is complete
    .train.tar.converting/      locked while a conversion is at work
        journal.json            what is being converted, and which stage it is in
        records.lmdb            the records that have been read; grows by a transaction at a time

Where the destination is LMDB, the records file becomes the destination in the end; else it is written from there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import penstock as ps
from penstock.errors import StateError, StoreError

if TYPE_CHECKING:
    from typing import Self

READING, VERIFYING = "reading", "verifying"
FEW = 3  # records


class Journal:
    """The folder of a conversion under way; a context manager that holds its lock."""

    def __init__(self, destination: str) -> None:
        parent, name = os.path.split(os.path.abspath(destination))
        self.folder = os.path.join(parent, f".{name}.converting")
        self.records = os.path.join(self.folder, "records.lmdb")
        self.entry: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if not os.path.isdir(os.path.dirname(self.folder)):
            raise StoreError(f"there is no folder {os.path.dirname(self.folder)}. Make it first.")
        os.makedirs(self.folder, exist_ok=True)
        self.lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.lock)
            raise StoreError(f"another conversion is at work in {self.folder}.") from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.lock)

    def begin(self, dataset: Any, source: str) -> int:
        """Begin, or find where an earlier attempt stopped; return how many records there are already.

        Raises:
            StoreError: the earlier attempt was to convert something else.
        """
        path = os.path.join(self.folder, "journal.json")
        with dataset.loader() as loader:
            state = loader.state_dict()
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    self.entry = json.load(file)
                try:
                    loader.load_state_dict(self.entry["state"])
                except StateError as error:
                    raise StoreError(
                        f"{self.folder} has the beginnings of converting {self.entry['source']}, which is not what is "
                        f"converted now. Say --restart to begin anew. {error}"
                    ) from None
                return len(ps.open(self.records)) if os.path.exists(self.records) else 0
        self.write(source=source, state=state, stage=READING)
        return 0

    def write(self, **changes: Any) -> None:
        """Change the entry, whole or not at all."""
        self.entry |= changes
        path = os.path.join(self.folder, "journal.json")
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(self.entry, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)

    def fill(self, dataset: Any, done: int, **how: Any) -> Any:
        """Read what has not been read; return all records, opened."""
        if not os.path.exists(self.records):
            ps.range(0).save(self.records)
        rest = dataset[done:] if isinstance(dataset, ps.Sequence) else dataset.skip(done)
        return rest.save(self.records, append=True, **how)

    def attempt(self, dataset: Any, name: str, format: str | None, options: dict[str, Any], **how: Any) -> None:
        """Write the first records as the destination will be: what it cannot hold shows before hours of reading."""
        path = os.path.join(self.folder, name)
        dataset.take(FEW).save(path, format, **how, **options)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    @property
    def worth_keeping(self) -> bool:
        """Whether records have been read."""
        return os.path.exists(self.records) and len(ps.open(self.records)) > 0

    def clear(self) -> None:
        """Remove the folder's content."""
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def finish(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
