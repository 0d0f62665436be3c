"""Parquet: what pyarrow and pandas wrote is read as it is meant; only what is needed is read; bad files are named."""

from __future__ import annotations

import datetime as dt
import decimal
import operator
import random
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.storage.parquet import ParquetReader
from penstock.testing import check_dataset, check_store, same

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ITEMS = [
    {
        "ragged": np.arange(k, dtype="f4"),
        "image": np.full((2, 3), k, "u1"),
        "number": k,
        "text": f"text {k}",
        "bytes": bytes([k]) * k,
        "holes": None if k % 3 == 0 else np.int16(k),
        "date": np.datetime64("2020-01-01") + k,
        "flag": bool(k % 2),
    }
    for k in range(20)
]


def test_contract():
    """Fields of all kinds, with nulls, in several row groups, keep the contract of stores."""
    check_store("a.parquet", ITEMS, saving={"group": 7}, checked=False)


def test_contract_of_selected_rows():
    """So do the rows that a condition leaves, of the columns that were asked for."""
    options = {"columns": ["number", "text"], "where": ("number", ">=", 0)}
    items = [{"number": item["number"], "text": item["text"]} for item in ITEMS]
    check_store("a.parquet", items, saving={"group": 7}, opening=options, checked=False, processes=False)


def test_contract_of_whole_groups():
    """So do whole row groups as items."""
    groups = ps.range(20).map(lambda k: {"x": k, "y": str(k)})
    for each in ("batch", "arrow"):
        path = Path(pytest.importorskip("tempfile").mkdtemp()) / "a.parquet"
        groups.save(path, group=6)
        found = ps.open(path, each=each)
        check_dataset(found, epochs=(0,))
        assert len(found) == 4
        whole = found[1] if each == "batch" else found[1].to_pydict()
        assert list(whole["x"]) == list(range(6, 12))
        assert whole["y"] == [str(k) for k in range(6, 12)]
        path.unlink()
        path.parent.rmdir()


COLUMNS = {
    "int8": pa.array([1, 2, 3], pa.int8()),
    "uint64": pa.array([1, None, 1 << 63], pa.uint64()),
    "half": pa.array(np.array([1, 2, 3], "f2")),
    "float": pa.array([1.5, None, float("nan")], pa.float32()),
    "bool": pa.array([True, None, False]),
    "date32": pa.array([dt.date(2020, 1, 1), None, dt.date(1960, 1, 1)]),
    "timestamp": pa.array([1, None, 3], pa.timestamp("us", "Europe/Berlin")),
    "duration": pa.array([1, 2, 3], pa.duration("ms")),
    "text": pa.array(["a", None, ""]),
    "large": pa.array(["a", "b", "c"], pa.large_string()),
    "bytes": pa.array([b"a", None, b""]),
    "fixed bytes": pa.array([b"ab", b"cd", None], pa.binary(2)),
    "dictionary": pa.array(["a", None, "a"]).dictionary_encode(),
    "numbers": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
    "numbers and nulls": pa.array([[1, None], [2], []], pa.list_(pa.int32())),
    "texts": pa.array([["a"], None, ["b", None]]),
    "vectors": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
    "matrices": pa.array([[[1, 2]], [[3, 4]], [[5, 6]]], pa.list_(pa.list_(pa.int8(), 2), 1)),
    "vectors and nulls": pa.array([[1, 2], None, [5, 6]], pa.list_(pa.float32(), 2)),
    "structs": pa.array([{"a": 1, "b": [{"c": "x"}]}, None, {"a": None, "b": []}]),
    "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int32())),
    "decimal": pa.array([decimal.Decimal("1.5"), None, decimal.Decimal("2.5")]),
    "nothing": pa.array([None, None, None]),
    "time": pa.array([dt.time(1, 2), None, dt.time(3)]),
}


def meant(array, row):
    """Return what an item should have for a value of Arrow."""
    kind = array.type
    value = (
        array[row].as_py() if not pa.types.is_timestamp(kind) and not pa.types.is_duration(kind) else array[row].value
    )
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        return np.datetime64(value, kind.unit)
    if pa.types.is_duration(kind):
        return np.timedelta64(value, kind.unit)
    if pa.types.is_date32(kind):
        return np.datetime64(value, "D")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.dtype(kind.to_pandas_dtype()).type(value)
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind.value_type
        while pa.types.is_fixed_size_list(inner):
            inner = inner.value_type
        if pa.types.is_primitive(inner) and None not in value:
            return np.array(value, inner.to_pandas_dtype())
    return value


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_that_pyarrow_wrote(tmp_path, name):
    """Every kind of column gives the values that are meant, one by one and many at once, nulls as None."""
    column = COLUMNS[name]
    pq.write_table(pa.table({"k": [0, 1, 2], name: column}), tmp_path / "a.parquet", row_group_size=2)
    found = ps.open(tmp_path / "a.parquet")
    values = [meant(column, row) for row in range(3)]
    assert same([item[name] for item in found], values), f"{[item[name] for item in found]} != {values}"
    assert same([found[k][name] for k in range(3)], values)
    assert same([item[name] for item in found[::-1]], values[::-1])
    check_dataset(found, epochs=(0,))


def test_items_are_the_callers_own(tmp_path):
    """What a caller does to an item changes nothing that is read later."""
    ps.items([{"x": np.arange(6.0).reshape(2, 3), "y": np.arange(3)}] * 3).save(tmp_path / "a.parquet")
    found = ps.open(tmp_path / "a.parquet")
    for value in found[0].values():
        value[:] = 7
    for batch in found.batch(2):
        batch["x"][:] = 7
    assert same(found[0], {"x": np.arange(6.0).reshape(2, 3), "y": np.arange(3)})


def test_files_of_pandas(tmp_path):
    """What pandas wrote, with an index, categories, times and missing values, is read."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "x": [1.5, None, 2.5],
            "kind": pandas.Categorical(["a", "b", "a"]),
            "at": pandas.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "n": pandas.array([1, None, 3], "Int64"),
        },
        index=["p", "q", "r"],
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = list(ps.open(tmp_path / "a.parquet"))
    assert [item["kind"] for item in found] == ["a", "b", "a"]
    assert [item["n"] for item in found] == [1, None, 3]
    assert [item["x"] for item in found] == [1.5, None, 2.5]
    assert found[0]["at"] == np.datetime64("2020-01-01")
    assert found[1]["at"] is None
    assert [item["__index_level_0__"] for item in found] == ["p", "q", "r"]


def test_saved_tables_are_read_by_pyarrow(tmp_path):
    """What save wrote is an ordinary table, with row groups as long as was asked for."""
    ps.range(10).map(lambda k: {"x": np.float32(k), "y": [k] * k}).save(tmp_path / "a.parquet", group=4)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column("x").type == pa.float32()
    assert table.column("y").to_pylist()[3] == [3, 3, 3]
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(k).num_rows for k in range(3)] == [4, 4, 2]
    file.close()


# ---------------------------------------------------------------------------------------------------- what is read


@pytest.fixture
def loaded(monkeypatch):
    """Record which columns of which row groups are read."""
    seen = []
    table = ParquetReader.table

    def spy(self, number, names):
        seen.append((number, tuple(names)))
        return table(self, number, names)

    monkeypatch.setattr(ParquetReader, "table", spy)
    return seen


def test_groups_are_read_once_and_only_what_is_asked_for(tmp_path, loaded):
    """Reading in order reads each row group once, and the chosen columns only; so does a shuffle in their blocks."""
    ps.range(40).map(lambda k: {"x": k, "y": k}).save(tmp_path / "a.parquet", group=10)
    loaded.clear()
    found = ps.open(tmp_path / "a.parquet", columns=["y"], cache=0)
    assert loaded == []
    assert [item["y"] for item in found] == list(range(40))
    assert loaded == [(k, ("y",)) for k in range(4)]
    loaded.clear()
    assert sorted(item["y"] for item in found.shuffle(block=10, blocks=1)) == list(range(40))
    assert sorted(loaded) == [(k, ("y",)) for k in range(4)]


def test_what_statistics_exclude_is_not_read(tmp_path, loaded):
    """A condition reads its own columns of the row groups that can have such rows, and nothing else when it opens."""
    ps.range(40).map(lambda k: {"x": k, "y": str(k)}).save(tmp_path / "a.parquet", group=10)
    loaded.clear()
    found = ps.open(tmp_path / "a.parquet", where=[("x", ">=", 18), ("x", "<", 22)])
    assert loaded == [(1, ("x",)), (2, ("x",))]
    assert [item["y"] for item in found] == ["18", "19", "20", "21"]
    assert len(ps.open(tmp_path / "a.parquet", where=("x", ">", 100))) == 0


WORDS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}
NUMBERS = st.integers(-1, 6)
CLAUSES = st.one_of(
    st.tuples(st.just("x"), st.sampled_from(sorted(set(WORDS) - {"in", "not in"})), NUMBERS),
    st.tuples(st.just("x"), st.sampled_from(["in", "not in"]), st.lists(NUMBERS, max_size=3)),
    st.tuples(st.just("t"), st.sampled_from(["==", "!=", "<", ">="]), st.sampled_from(["a", "b", "c"])),
)


@given(st.lists(st.lists(CLAUSES, min_size=1, max_size=2), min_size=1, max_size=2), st.integers(1, 7))
def test_conditions_mean_what_they_say(tmp_path_factory, where, group):
    """Any condition selects the rows that plain Python selects; a null is never selected by a comparison."""
    path = tmp_path_factory.mktemp("where") / "a.parquet"
    items = [{"x": None if k == 3 else k % 6, "t": "abc"[k % 3]} for k in range(12)]
    ps.items(items).save(path, group=group)
    found = ps.open(path, where=where)
    wanted = [
        item
        for item in items
        if any(all(item[n] is not None and WORDS[w](item[n], v) for n, w, v in clauses) for clauses in where)
    ]
    assert list(found) == wanted


def test_nulls_in_conditions(tmp_path):
    """None is compared by == and != alone."""
    ps.items([{"x": 1}, {"x": None}]).save(tmp_path / "a.parquet")
    assert list(ps.open(tmp_path / "a.parquet", where=("x", "==", None))) == [{"x": None}]
    assert list(ps.open(tmp_path / "a.parquet", where=("x", "!=", None))) == [{"x": 1}]
    with pytest.raises(ArgumentError, match="None can be compared"):
        ps.open(tmp_path / "a.parquet", where=("x", "<", None))


# --------------------------------------------------------------------------------------------------------- folders


def test_partitioned_folder(tmp_path, loaded):
    """A partitioned folder has its partitions as columns; whole files are excluded by their names."""
    table = pa.table({"x": range(9), "year": [2023, 2024, 2025] * 3, "town": ["a b", "c/d", None] * 3})
    pq.write_to_dataset(table, tmp_path / "set", partition_cols=["year", "town"])
    found = ps.open(tmp_path / "set")
    assert sorted(item["x"] for item in found) == list(range(9))
    for item in found:
        assert item["year"] == 2023 + item["x"] % 3
        assert item["town"] == ["a b", "c/d", None][item["x"] % 3]
    check_dataset(found, epochs=(0,), limit=4)
    loaded.clear()
    some = ps.open(tmp_path / "set", columns=["x"], where=("year", ">", 2024))
    assert [item["x"] for item in some] == [2, 5, 8]
    assert {number for number, _ in loaded} == {2}
    with pytest.raises(StoreError, match=r"year=2023.*part-0|nothing|no whole"):
        damage(tmp_path / "set")


def damage(folder):
    """Cut off a file of a folder, and open that."""
    file = min(folder.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-5])
    ps.open(folder)


def test_folder_and_pattern(tmp_path):
    """Files of a folder, and of a pattern, follow one another by name; a state fits a copy, and no other content."""
    for k in range(3):
        ps.range(3).map(lambda x, k=k: {"x": 3 * k + x}).save(tmp_path / f"p{k}.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".p0.parquet.crc").write_text("x")
    for path in (tmp_path, tmp_path / "p*.parquet", tmp_path / "p{0..2}.parquet"):
        found = ps.open(path)
        assert [item["x"] for item in found] == list(range(9))
        assert found.node.handle.tag == ps.open(tmp_path).node.handle.tag
    note = str(ps.open(tmp_path).node.handle.reader().key(4))
    assert note == "row 1 of row group 0 in p1.parquet"


def test_files_that_do_not_fit_together(tmp_path):
    """Another type, or a missing column, is named with its file; other columns can still be read."""
    pq.write_table(pa.table({"x": [1], "y": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [2], "y": ["b"]}), tmp_path / "b.parquet")
    with pytest.raises(StoreError, match=r"b.parquet.*'y'.*string"):
        ps.open(tmp_path)
    assert [item["x"] for item in ps.open(tmp_path, columns=["x"])] == [1, 2]
    pq.write_table(pa.table({"y": [1]}), tmp_path / "b.parquet")
    with pytest.raises(StoreError, match=r"b.parquet has no column 'x'"):
        ps.open(tmp_path)


# ------------------------------------------------------------------------------------------------------- bad files


def test_arguments(tmp_path):
    """Columns, conditions and units that cannot be are refused with what can."""
    ps.items([{"number": 1, "t": "a"}]).save(tmp_path / "a.parquet")
    for options, match in (
        ({"columns": ["nummer"]}, "Did you mean 'number'"),
        ({"columns": "number"}, "list of names"),
        ({"columns": []}, "list of names"),
        ({"where": ("nummer", "==", 1)}, "Did you mean 'number'"),
        ({"where": ("number", "is", 1)}, "a comparison of where"),
        ({"where": ("number", "in", 3)}, "list of values"),
        ({"where": "number > 3"}, "a comparison such as"),
        ({"where": ("number", "==", "a")}, "cannot be compared"),
        ({"each": "rows"}, "Did you mean 'row'"),
        ({"cache": "1GB"}, "number of bytes"),
        ({"cache": -1}, "at least 0"),
        ({"column": ["number"]}, "Did you mean 'columns'"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
            ps.open(tmp_path / "a.parquet", **options)


def test_items_that_cannot_be_saved(tmp_path):
    """An item that is no row, has other fields, or does not fit the types is named; nothing is left."""
    for items, match in (
        ([1], "must be dicts"),
        ([{}], "must be dicts"),
        ([{"x": 1}, {"y": 1}], "item 1 has the fields"),
        ([{"x": 1}, {"x": "a"}], "'x' of item 1"),
        ([{"x": np.zeros((2, 2))}, {"x": np.zeros((2, 3))}], "'x' of item 1.*shapes"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(2, "f4")}], "'x' of item 1.*dtypes"),
        ([{"x": object()}], "'x' of item 0"),
        ([{"x": 1 << 70}], "'x' of item 0"),
        ([{"x": 1}] * 2000 + [{"x": "a"}], "'x' of item 2000"),
    ):
        with pytest.raises(ArgumentTypeError, match=match):
            ps.items(items).save(tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="compression"):
        ps.items([{"x": 1}]).save(tmp_path / "a.parquet", compression="zipp")
    assert not list(tmp_path.iterdir())


def test_a_file_that_changes_while_it_is_read(tmp_path):
    """A file that is replaced under an open dataset is an error, not other rows."""
    ps.range(20).map(lambda k: {"x": k}).save(tmp_path / "a.parquet", group=10)
    found = ps.open(tmp_path / "a.parquet")
    assert found[0] == {"x": 0}
    ps.range(20).map(lambda k: {"x": -k}).save(tmp_path / "a.parquet", group=10, replace=True)
    with pytest.raises(StoreError, match="replaced"):
        found[15]


def test_a_changed_page_is_noticed(tmp_path):
    """What save wrote has checksums: a changed byte in a page is an error that names record and file."""
    ps.range(3000).map(lambda k: {"x": k * 0.1}).save(tmp_path / "a.parquet", compression=None)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.parquet").write_bytes(data)
    found = ps.open(tmp_path / "a.parquet")
    with pytest.raises(CorruptRecord, match=r"row group 0 of .*a.parquet") as caught:
        found[5]
    assert any("record 5" in note for note in caught.value.__notes__) or "record 5" in str(caught.value)


def test_two_columns_of_one_name(tmp_path):
    """Columns that share a name are refused: a dict would lose one."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="more than one column"):
        ps.open(tmp_path / "a.parquet")


def mutated(data, draw):
    """Return bytes with something wrong: a few changed, or a stretch cut out, doubled or zeroed."""
    made = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(made))
        if draw.random() < 0.5:
            at = max(0, len(made) - 1 - draw.randrange(min(len(made), 600)))  # the footer
        if draw.random() < 0.8:
            made[at] = draw.randrange(256)
        else:
            end = min(len(made), at + draw.randrange(1, 40))
            made[at:end] = draw.choice([b"", made[at:end] * 2, bytes(end - at)])
    return bytes(made)


def test_mutated_files(tmp_path):
    """A mutated file is read or refused by an error of ours; memory stays bounded."""
    ps.items(ITEMS).save(tmp_path / "a.parquet", group=7)
    good = (tmp_path / "a.parquet").read_bytes()
    draw = random.Random(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        (tmp_path / "b.parquet").write_bytes(mutated(good, draw))
        try:
            found = ps.open(tmp_path / "b.parquet")
            for k in range(0, min(len(found), 20), 3):
                found[k]
        except StoreError as error:
            assert "b.parquet" in str(error)  # noqa: PT017  most are errors, some are not
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_text_and_bytes_of_many_rows(tmp_path, suffix):
    """Rows beyond the first thousand go into the same columns."""
    dataset = ps.range(2500).map(lambda x: {"x": x, "text": str(x), "bytes": b"%d" % x, "list": ["a"] * (x % 3)})
    opened = dataset.save(tmp_path / f"rows{suffix}", progress=False)
    assert [opened[k]["text"] for k in (0, 1023, 1024, 2499)] == ["0", "1023", "1024", "2499"]
    assert opened[2499]["bytes"] == b"2499"
    assert len(opened) == 2500
