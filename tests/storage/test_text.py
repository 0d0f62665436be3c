"""Text files: any line at once, in any encoding whose newlines can be found; compressed ones from the front."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.storage import text as module
from penstock.testing import check_dataset, check_store

LINES = ["to be", "", "or not", "zwölf Boxkämpfer 🥊", "x" * 5000, "the end"]


def write(path, data):
    """Write bytes."""
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_store(name):
    """What is written is read, in threads, processes and forks; kills, failures and replacements do no harm."""
    check_store(name, LINES, checked=False, ends=name.endswith("gz"))


@pytest.mark.parametrize("data", [b"", b"one", b"one\n", b"\n", b"\n\n", b"a\r\nb\r\n", b"a\rb\nc\r", b"a\n\nb"])
def test_what_a_line_is(tmp_path, data):
    r"""Lines are what splitting at newlines gives, with \r\n as one, and no empty line behind the last newline."""
    path = write(tmp_path / "a.txt", data)
    expected = [line.decode().removesuffix("\n") for line in io.BytesIO(data)]
    expected = [
        line.removesuffix("\r") if raw.endswith(b"\r\n") else line
        for line, raw in zip(expected, io.BytesIO(data), strict=True)
    ]
    dataset = ps.open(path)
    assert list(dataset) == expected
    assert [dataset[k] for k in range(len(dataset))] == expected
    check_dataset(dataset, epochs=(0,))


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=9), max_size=30), st.data())
def test_any_lines_in_any_order(tmp_path_factory, lines, data):
    """Any texts come back, in any order, with pieces of the file of any size; so do those of each encoding."""
    path = tmp_path_factory.getbasetemp() / "any.txt"
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "utf-32"]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    chunk, module.CHUNK = module.CHUNK, data.draw(st.sampled_from([4, 8, 64]))
    together, module.TOGETHER = module.TOGETHER, data.draw(st.sampled_from([1, 10, 1000]))
    try:
        dataset = ps.open(path, encoding=encoding)
        assert list(dataset) == lines
        places = data.draw(st.permutations(range(len(lines))))
        assert list(dataset.select(places)) == [lines[k] for k in places]
        assert list(dataset[2:7]) == lines[2:7]
    finally:
        module.CHUNK, module.TOGETHER = chunk, together


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "gb18030", "euc_kr"])
def test_other_encodings(tmp_path, encoding):
    """Encodings in which a newline is a newline are read as Python reads them."""
    text = {"latin-1": "größe\nß\n", "cp1252": "€\nü\n"}.get(
        encoding, "表ソ\nabc\n" if encoding != "euc_kr" else "한글\nabc\n"
    )
    path = write(tmp_path / "a.txt", text.encode(encoding))
    assert list(ps.open(path, encoding=encoding)) == text.splitlines()


def test_order_of_bytes_in_front(tmp_path):
    """A mark of the order of bytes is heeded, and is no part of the first line."""
    for encoding in ("utf-16", "utf-32"):
        for order in ("-be", "-le"):
            path = write(tmp_path / "a.txt", ("\ufeff" + "añ\nb").encode(encoding + order))
            assert list(ps.open(path, encoding=encoding)) == ["añ", "b"]
    assert list(ps.open(write(tmp_path / "a.txt", b"\xef\xbb\xbfa\nb\n"))) == ["a", "b"]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_compressed_text_is_a_stream(tmp_path, ending, pack):
    """It is read from the front, and goes on at any line."""
    path = write(tmp_path / f"a.txt{ending}", pack.compress("\n".join(LINES).encode()))
    dataset = ps.open(path)
    assert isinstance(dataset, ps.Stream)
    assert list(dataset) == LINES
    check_dataset(dataset.batch(2, collate=list), epochs=(0,))


def test_a_bomb_takes_no_memory(tmp_path, monkeypatch):
    """A line without end in a small file is refused at the limit."""
    monkeypatch.setattr(module, "LONGEST", 1 << 16)
    monkeypatch.setattr(module, "TOGETHER", 1 << 12)
    path = write(tmp_path / "a.txt.gz", gzip.compress(b"a\n" + b"x" * (1 << 22)))
    with pytest.raises(CorruptRecord, match="line of more than"):
        list(ps.open(path))
    dataset = ps.open(write(tmp_path / "a.txt", b"a\n" + b"x" * (1 << 18)))
    assert dataset[0] == "a"
    with pytest.raises(CorruptRecord, match="line 2"):
        dataset[1]
    with pytest.raises(CorruptRecord, match="line 2"):
        list(dataset)


def test_wrong_bytes_name_the_line(tmp_path):
    """A line that is no text of its encoding names file and line, and can be left out; others are not harmed."""
    path = write(tmp_path / "a.txt", b"one\n\xff\xfe\nthree\n")
    dataset = ps.open(path)
    assert dataset[2] == "three"
    with pytest.raises(CorruptRecord, match=r"line 2 of .*a\.txt") as caught:
        list(dataset)
    assert any("line 2" in note for note in caught.value.__notes__)
    assert list(dataset.on_error("skip")) == ["one", "three"]
    assert list(ps.open(path, errors="replace"))[1] == "\ufffd\ufffd"


def test_a_file_that_changes(tmp_path):
    """A file that became another is noticed when it is opened again, a shorter one at what is missing."""
    path = write(tmp_path / "a.txt", b"one\ntwo\nthree\n")
    dataset, other = ps.open(path), ps.open(path)
    assert dataset[0] == "one"
    os.truncate(path, 5)
    with pytest.raises(CorruptRecord, match="line 3"):
        dataset[2]
    with pytest.raises(StoreError, match="has changed"):
        other[0]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda p: ps.open(p, encoding="utf-9"), ArgumentError, "unknown encoding"),
        (lambda p: ps.open(p, encoding="utf-7"), ArgumentError, "Convert it"),
        (lambda p: ps.open(p, encoding="iso2022_jp"), ArgumentError, "Convert it"),
        (lambda p: ps.open(p, encoding="cp037"), ArgumentError, "Convert it"),
        (lambda p: ps.open(p, errors="shrug"), ArgumentError, "shrug"),
        (lambda p: ps.open(p.with_name("none.txt")), StoreError, "no such file"),
        (lambda p: ps.range(3).save(p.with_name("b.txt")), ArgumentTypeError, "a line is a text"),
        (lambda p: ps.items(["a\nb"]).save(p.with_name("b.txt")), ArgumentError, "end of a line"),
    ],
)
def test_wrong_arguments(tmp_path, call, kind, words):
    """What cannot work is refused with a remedy."""
    with pytest.raises(kind, match=words):
        call(write(tmp_path / "a.txt", b"one\n"))


def test_damaged_archives(tmp_path):
    """A thousand damaged files: each gives lines or a CorruptRecord, never anything else."""
    draw, said = random.Random(0), set()
    for pack, ending, count in ((gzip, ".gz", 600), (bz2, ".bz2", 200), (lzma, ".xz", 200)):
        good = pack.compress("\n".join(LINES * 3).encode())
        for _ in range(count):
            data = bytearray(good[: draw.randrange(len(good))] if draw.random() < 0.3 else good)
            for _ in range(draw.randrange(1, 4) if data else 0):
                data[draw.randrange(len(data))] = draw.randrange(256)
            path = write(tmp_path / f"a.txt{ending}", bytes(data))
            try:
                list(ps.open(path))
            except StoreError as error:
                said.add(os.path.basename(str(path)) in str(error))
    assert said == {True}
