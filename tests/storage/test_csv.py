"""CSV: records with types, at random; quotes, blanks, several files, compressed ones; what does not fit is named."""

from __future__ import annotations

import csv
import gzip
import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.storage import blocks
from penstock.testing import check_dataset, check_store

pa = pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True, scope="module")
def _arrow():
    """Let pyarrow make, before anything is compared, the pipe that it keeps for the signals of its CSV reader."""
    from pyarrow.csv import read_csv

    read_csv(io.BytesIO(b"x\n1\n"))


ITEMS = [
    {"i": k, "f": k / 2, "s": f'a "text",\nof {k}', "e": None if k % 2 else "", "n": k % 3 or None, "q": bool(k % 2)}
    for k in range(20)
]


def test_contract():
    """Numbers, booleans, texts with line breaks and quotes, nulls and empty texts keep the contract of stores."""
    check_store("a.csv", ITEMS, checked=False, ends=False)
    check_store("a.tsv", ITEMS[:5], checked=False, ends=False, processes=False)


@pytest.fixture
def small(monkeypatch):
    """Let blocks be small, so that few records have many."""
    monkeypatch.setattr(blocks, "BLOCK", 40)
    monkeypatch.setattr(blocks, "CHUNK", 64)


CELLS = st.text(st.sampled_from('ab,"\n\r é'), max_size=12)


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=30), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(8, 90)
)
def test_what_pythons_csv_wrote(tmp_path_factory, rows, ending, last, chunk):
    """Any texts that Python's csv wrote come back, wherever chunks and blocks are cut."""
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator=ending)
    writer.writerow(["x", "y"])
    writer.writerows(rows)
    text = target.getvalue()
    path.write_bytes((text if last or not rows else text[: -len(ending)]).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", chunk // 2)
        patch.setattr(blocks, "CHUNK", chunk)
        found = ps.open(path, types={"x": "string", "y": "string"})
        assert [(item["x"], item["y"]) for item in found] == rows
        assert [found[k]["x"] for k in range(len(rows))] == [x for x, _ in rows]


def test_types_are_worked_out(tmp_path, small):
    """Whole numbers, floats and booleans are told, over the whole file; all else, dates too, is text."""
    lines = ["a,b,c,d,e"]
    lines += [f"{k},{k if k < 90 else k + 0.5},true,2020-01-{k % 28 + 1:02},{k or 'x'}" for k in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = ps.open(tmp_path / "a.csv")
    assert found[5] == {"a": 5, "b": 5.0, "c": True, "d": "2020-01-06", "e": "5"}
    assert [type(v) for v in found[5].values()] == [np.int64, np.float64, np.bool_, str, str]
    found = ps.open(tmp_path / "a.csv", types={"d": "date32", "a": "uint8"}, columns=["d", "a"])
    assert found[5] == {"d": np.datetime64("2020-01-06"), "a": 5}
    assert found[5]["a"].dtype == np.uint8
    check_dataset(found, epochs=(0,), limit=5)


def test_a_value_that_does_not_fit(tmp_path, small):
    """A value of another type than was worked out is named with its file, and the remedy works."""
    lines = ["x,y", *[f"{k},{k}" for k in range(2000)]]
    lines[70] = "oops,1"
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = ps.open(tmp_path / "a.csv")
    with pytest.raises(CorruptRecord, match=r"a.csv.*oops.*types=\{"):
        list(found)
    assert ps.open(tmp_path / "a.csv", types={"x": "string"})[69]["x"] == "oops"


def test_blank_lines_and_rows_that_are_too_short(tmp_path):
    """Empty lines are none of the records, except of a single column; a row with too few values is named."""
    (tmp_path / "a.csv").write_bytes(b"\r\n\nx,y\r\n\r\n1,2\n\n\n3,4\r\n\r\n")
    assert [item["x"] for item in ps.open(tmp_path / "a.csv")] == [1, 3]
    (tmp_path / "b.csv").write_bytes(b"x\n1\n\n3\n")
    assert [item["x"] for item in ps.open(tmp_path / "b.csv")] == [1, None, 3]
    (tmp_path / "c.csv").write_bytes(b"x,y\n1,2\n3\n")
    with pytest.raises(StoreError, match=r"c.csv.*Expected 2 columns"):
        ps.open(tmp_path / "c.csv")


def test_dialects(tmp_path):
    """Delimiters, no header, a byte order mark, words for null, and quotes that are only characters."""
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbfx\ty\n1\tNA\n2\t5\n")
    assert list(ps.open(tmp_path / "a.tsv", nulls=["NA"])) == [{"x": 1, "y": None}, {"x": 2, "y": 5}]
    (tmp_path / "b.csv").write_text("1;2\n3;4\n")
    found = ps.open(tmp_path / "b.csv", header=["p", "q"], delimiter=";")
    assert list(found) == [{"p": 1, "q": 2}, {"p": 3, "q": 4}]
    (tmp_path / "c.csv").write_text('x,y\n5",a\n6",b\n7,c\n')
    assert [item["x"] for item in ps.open(tmp_path / "c.csv", quotes=False)] == ['5"', '6"', "7"]
    with pytest.raises(StoreError, match=r"c.csv"):
        list(ps.open(tmp_path / "c.csv"))


def test_files_of_pandas_and_pyarrow(tmp_path):
    """What pandas and pyarrow wrote is read."""
    from pyarrow.csv import write_csv

    table = pa.table({"x": [1.5, None, 2.5], "y": ["a", None, ""]})
    write_csv(table, tmp_path / "a.csv")
    assert list(ps.open(tmp_path / "a.csv")) == table.to_pylist()
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"x": [1.5, None], "y": ["a,b", "c\nd"]}).to_csv(tmp_path / "b.csv", index=False)
    assert list(ps.open(tmp_path / "b.csv")) == [{"x": 1.5, "y": "a,b"}, {"x": None, "y": "c\nd"}]


def test_several_files(tmp_path, small):
    """Files of a folder follow one another, rows are selected, batches have blocks; other columns are refused."""
    for k in range(2):
        ps.range(20).map(lambda x, k=k: {"x": 20 * k + x, "t": "ab"[x % 2]}).save(tmp_path / f"{k}.csv")
    found = ps.open(tmp_path / "*.csv", where=[("t", "==", "b"), ("x", ">", 15)], columns=["x"])
    assert [item["x"] for item in found] == list(range(17, 40, 2))
    check_dataset(found, epochs=(0,), limit=5)
    assert np.concatenate([b["x"] for b in ps.open(tmp_path, "csv", each="batch")]).tolist() == list(range(40))
    (tmp_path / "2.csv").write_text("x,y\n1,2\n")
    with pytest.raises(StoreError, match=r"2.csv has the columns"):
        ps.open(tmp_path, "csv")


def test_compressed(tmp_path):
    """A compressed file is a Stream, which resumes; a damaged one is named."""
    path = tmp_path / "a.csv.gz"
    lines = "x,y\n" + "".join(f"{k},t{k}\n" for k in range(300_000))
    path.write_bytes(gzip.compress(lines.encode(), 1))
    found = ps.open(path, where=("x", ">=", 299_990))
    assert isinstance(found, ps.Stream)
    assert [item["y"] for item in found] == [f"t{k}" for k in range(299_990, 300_000)]
    check_dataset(found, epochs=(0,))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match=r"a.csv.gz"):
        list(ps.open(path, columns=["x"]))


def test_arguments(tmp_path):
    """Options that mean nothing, and items that CSV has no place for, are refused."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    for options, match in (
        ({"columns": ["z"]}, "must be one of 'x', 'y'"),
        ({"types": {"z": "int8"}}, "must be one of 'x', 'y'"),
        ({"types": {"x": "integer"}}, "must be one of 'bool'"),
        ({"types": ["x"]}, "types must be a dict"),
        ({"header": "x,y"}, "header must be a list"),
        ({"delimiter": "||"}, "one character"),
        ({"delimiter": 3}, "one character"),
        ({"quotes": "no"}, "True or False"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
            ps.open(tmp_path / "a.csv", **options)
    for items, match in (
        ([{"x": [1]}], "CSV has no place"),
        ([1], "must be dicts"),
        ([{"x": 1}, {"y": 1}], "item 1 has the fields"),
    ):
        with pytest.raises(ArgumentTypeError, match=match):
            ps.items(items).save(tmp_path / "b.csv")
    with pytest.raises(ArgumentTypeError, match="only read"):
        ps.items([{"x": 1}]).save(tmp_path / "b.csv.gz")


def test_records_without_an_end(tmp_path, monkeypatch):
    """A quote that is never closed does not take memory without bounds; a file of carriage returns is named."""
    monkeypatch.setattr(blocks, "LONGEST", 1 << 16)
    monkeypatch.setattr(blocks, "CHUNK", 1 << 14)
    (tmp_path / "a.csv").write_text('x,y\n1,"2\n' + "3,4\n" * 100_000)
    with pytest.raises(StoreError, match="no end"):
        ps.open(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(b"x,y\r1,2\r3,4\r")
    with pytest.raises(StoreError, match="carriage returns"):
        ps.open(tmp_path / "b.csv")


def test_mutated_files(tmp_path, small):
    """A mutated file is read or refused by an error of ours."""
    ps.items(ITEMS).save(tmp_path / "a.csv")
    good = (tmp_path / "a.csv").read_bytes()
    draw = random.Random(5)
    for _ in range(200):
        made = bytearray(good)
        for _ in range(draw.choice([1, 2, 9])):
            made[draw.randrange(len(made))] = draw.choice(b'",\n\r\0\xff a1.e')
        (tmp_path / "b.csv").write_bytes(made)
        try:
            list(ps.open(tmp_path / "b.csv"))
        except StoreError as error:
            assert "b.csv" in str(error)  # noqa: PT017  most are errors, some are not


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("Name;Wert\nA;1,5\n".encode("utf-8-sig"), "delimiter=';'"),
        ("a,b\nM\u00fcller,1\n".encode("latin-1"), "iconv"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16.*iconv"),
        (b"a,b\n1,2\n3\n", "as many values"),
        (b'a,b\n"x,1\n2,3\n', "quotes=False"),
    ],
)
def test_errors_say_what_helps(tmp_path, content, remedy):
    """What Excel and others write is refused with the option, or the command, that helps."""
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(StoreError, match=f"(?s)a\\.csv.*{remedy}"):
        list(ps.open(tmp_path / "a.csv"))
