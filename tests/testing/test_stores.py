"""The contract of stores: formats made for this test keep it, and each that breaks a promise is caught."""

from __future__ import annotations

import json
import os
import signal

import pytest

import penstock as ps
from penstock.errors import CorruptRecord, StoreError
from penstock.graph.storing import Format, Reader, Recorder, Tape, sampled
from penstock.testing import check_store

ITEMS = [{"k": k, "text": "x" * k} for k in range(12)]


class LinesReader(Reader):
    """JSON lines, counted at the end, all in memory."""

    def __init__(self, path, *, strict: bool = True):
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
        if strict and (len(lines) < 2 or lines[-1] or lines[-2] != str(len(lines) - 2).encode()):
            raise StoreError(f"{path} is truncated.")
        self.path = path
        self.lines = lines[:-2]
        self.tag = sampled(path)

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        try:
            check, _, text = self.lines[index].partition(b" ")
            if int(check) != sum(text) * 31 + len(text):
                raise ValueError("another sum")
            return json.loads(text)
        except ValueError as error:
            raise CorruptRecord(f"record {index} of {self.path}: {error}") from error


class LinesTape(Tape):
    """The same, read from the front."""

    def __init__(self, path):
        self.reader = LinesReader(path)
        self.tag = self.reader.tag

    def read(self, position):
        for k in range(position, len(self.reader)):
            yield self.reader[k], k + 1


class LinesRecorder(Recorder):
    """Writes them."""

    def __init__(self, path):
        self.file = open(path, "wb")  # noqa: SIM115
        self.count = 0

    def append(self, item, key=None):
        text = json.dumps(item).encode()
        self.file.write(f"{sum(text) * 31 + len(text)} ".encode() + text + b"\n")
        self.count += 1

    def finish(self):
        self.file.write(f"{self.count}\n".encode())

    def close(self):
        self.file.close()


LINES = Format("lines", (".lines",), LinesReader, LinesRecorder)


def test_a_small_format_keeps_it():
    """Sixty lines of a new format, with positions, keep the whole contract."""
    check_store("a.lines", ITEMS, format=LINES)


def test_a_small_tape_keeps_it():
    """A format that is read from the front only keeps the whole contract, resuming included."""
    check_store("a.lines", ITEMS, format=Format("lines", (".lines",), LinesTape, LinesRecorder))


class Forgetful(LinesReader):
    """Gives something else at random."""

    def many(self, indices):
        return [self[max(0, index - 1)] for index in indices]


class Mute(LinesReader):
    """Has the same tag whatever it contains."""

    def __init__(self, path):
        super().__init__(path)
        self.tag = "same"


class Trusting(LinesReader):
    """Notices nothing."""

    def __init__(self, path):
        super().__init__(path, strict=False)


class Blind(LinesReader):
    """Never looks at the sums."""

    def __getitem__(self, index):
        try:
            return json.loads(self.lines[index].partition(b" ")[2])
        except ValueError as error:
            raise CorruptRecord(f"record {index} of {self.path}: {error}") from error


class Anonymous(LinesReader):
    """Does not say which file is broken."""

    def __getitem__(self, index):
        try:
            return super().__getitem__(index)
        except CorruptRecord as error:
            raise CorruptRecord("corrupt") from error


class Dying(LinesReader):
    """Dies of a broken file."""

    def __getitem__(self, index):
        try:
            return super().__getitem__(index)
        except CorruptRecord:
            os.kill(os.getpid(), signal.SIGKILL)


class Open(LinesReader):
    """Leaves a descriptor open."""

    kept: list[int] = []  # noqa: RUF012

    def __init__(self, path):
        super().__init__(path)
        self.kept.append(os.open(path, os.O_RDONLY))


class Large(LinesReader):
    """Is as it should be; its recorder is not."""


class Losing(LinesRecorder):
    """Forgets the last item."""

    def append(self, item, key=None):
        if self.count < len(ITEMS) - 1:
            super().append(item, key)


class Beside(LinesRecorder):
    """Writes the final name at once, past the folder that it was given."""

    def __init__(self, path):
        super().__init__(path)
        final = os.path.join(os.path.dirname(os.path.dirname(path)), os.path.basename(path))
        with open(final, "wb"):
            pass


BROKEN = {
    "other items at random": (Forgetful, LinesRecorder, "was read where"),
    "no tag": (Mute, LinesRecorder, "another content has the same tag"),
    "truncated": (Trusting, LinesRecorder, "cut to"),
    "changed": (Blind, LinesRecorder, "changed, it reads other items"),
    "anonymous": (Anonymous, LinesRecorder, "changed, it reads other items"),
    "dying": (Dying, LinesRecorder, "SIGKILL"),
    "open": (Open, LinesRecorder, "left behind: .*descriptor"),
    "losing": (Large, Losing, "12 items were saved, 11 are read"),
    "beside": (Large, Beside, "exists"),
}


@pytest.mark.parametrize(("reader", "recorder", "match"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_format_is_caught(reader, recorder, match):
    """Each broken promise is an AssertionError that says which, or the store's own error."""
    with pytest.raises((AssertionError, StoreError), match=match):
        check_store("a.lines", ITEMS, format=Format("lines", (".lines",), reader, recorder), processes=False)
    while Open.kept:
        os.close(Open.kept.pop())


def test_few_items_are_not_enough():
    """Less than three items would show nothing."""
    with pytest.raises(AssertionError, match="at least three"):
        check_store("a.lines", ITEMS[:2], format=LINES)


def test_a_format_of_a_users_own_is_opened_by_value(tmp_path):
    """A format that is not in the package is given as it is, and travels to worker processes."""
    store = ps.items(ITEMS).save(tmp_path / "a.lines", LINES)
    assert repr(store).endswith("'lines')>")
    with store.batch(5, collate=list).loader(workers=ps.Processes(1)) as loader:
        assert [item for batch in loader for item in batch] == ITEMS
