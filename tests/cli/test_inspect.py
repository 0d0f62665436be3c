"""inspect: what is in a store, and what is odd about it."""

from __future__ import annotations

import io

import numpy as np
import pytest

import penstock as ps
from penstock.cli import main
from penstock.cli.inspect import unfinished


@pytest.fixture
def inspect(tmp_path, monkeypatch, capsys):
    """Save items, inspect them; return the status and what was printed."""
    monkeypatch.chdir(tmp_path)

    def run(items, *options):
        ps.items(items).save("a.lmdb", replace=True)
        status = main(["inspect", "a.lmdb", *options])
        return status, capsys.readouterr().out

    return run


def test_a_store_in_order(inspect):
    """Count, size, records and fields are shown, and nothing is odd."""
    status, text = inspect([{"x": k, "image": np.full((2, 3), k, "u1")} for k in range(20)], "--strict")
    assert status == 0
    assert text.startswith("a.lmdb: 20 records, ")
    assert "record 0: dict of 2\n  x      int           0\n  image  uint8 (2, 3)  all 0" in text
    assert "fields, in 20 records:\n  x      int\n  image  uint8  (2, 3)  6 bytes each" in text
    assert "odd" not in text


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([1, 2, "x", 4.5], ["mixed types: int in 2, str in 1, float in 1"]),
        ([np.zeros(2), np.ones(3)], ["mixed shapes: (2,) in 1, (3,) in 1"]),
        ([np.zeros(2), np.ones(2, "f4")], ["mixed types: float64 in 1, float32 in 1"]),
        ([{"a": 1, "b": 2}, {"a": 2}], ["b: missing in 1 of 2"]),
        ([b"", b"a", None], ["2 empty: record 0, 2"]),
        ([{"a": b""}, {"a": b"x"}], ["a: 1 empty: record 0"]),
        ([5, 6, 5, 6, 5], ["3 with the same content as another: 2 = 0, 3 = 1, 4 = 0"]),
        ([np.array([1.0, np.nan]), np.array([1.0, 2.0])], ["1 NaN: record 0"]),
        ([{"i": b"\xff\xd8\xff" + b"x" * 200}], ["i: 1 pictures without their end: record 0"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_odd(inspect, items, said):
    """Each oddity is named with the records that have it, and fails where that was asked for."""
    status, text = inspect(items)
    assert status == 0
    assert all(words in text for words in said), text
    assert inspect(items, "--strict")[0] == 1


def test_a_damaged_record(tmp_path, monkeypatch, capsys):
    """Records that cannot be read are counted and named, the others are looked at, and the status says so."""
    monkeypatch.chdir(tmp_path)
    ps.range(30).map(lambda x: f"record number {x} of many" * 10).save("a.lmdb")
    data = bytearray((tmp_path / "a.lmdb").read_bytes())
    at = data.find(b"record number 17 of")
    data[at + 3] ^= 0xFF
    (tmp_path / "a.lmdb").write_bytes(data)
    assert main(["inspect", "a.lmdb"]) == 1
    text = capsys.readouterr().out
    assert "1 cannot be read:" in text
    assert "record 17: CorruptRecord" in text
    assert "fields, in 29 records" in text
    (tmp_path / "a.lmdb").write_bytes(data[:5000])
    assert main(["inspect", "a.lmdb"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_how_many_are_looked_at(inspect):
    """A number of records is spread over the store; --all looks at each; a stream is read from the front."""
    items = list(range(100))
    assert "fields, in 10 records" in inspect(items, "--look", "10", "--show", "0")[1]
    assert "record 90" in inspect(items, "--look", "10", "--show", "10")[1]
    assert "fields, in 100 records" in inspect(items, "--all")[1]


def test_streams(tmp_path, monkeypatch, capsys):
    """A stream is read until it fails, and where that was is said."""
    (tmp_path / "source.py").write_text(
        "import penstock as ps\nbad = ps.range(9).filter(lambda x: True).map(lambda x: 1 / (x - 5))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "source.py:bad"]) == 1
    text = capsys.readouterr().out
    assert "records that are read from the front" in text
    assert "record 5: ZeroDivisionError" in text


def test_pictures():
    """Whole pictures end as they should, also with bytes behind; cut ones do not."""
    cv2 = pytest.importorskip("cv2")
    for suffix in (".jpg", ".png"):
        data = cv2.imencode(suffix, np.zeros((20, 20, 3), np.uint8))[1].tobytes()
        assert not unfinished(data)
        assert not unfinished(data + b"\0" * 8)
        assert unfinished(data[:-20])
    assert not unfinished(io.BytesIO(b"text").read())
