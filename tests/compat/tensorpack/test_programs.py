"""What programs that were written for Tensorpack rely on beyond its documented interface: forks, private names, old ones."""

# ruff: noqa: NPY002  programs of its time draw from the global generator

from __future__ import annotations

import importlib
import itertools
import logging
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

from penstock.compat import tensorpack
from penstock.compat.tensorpack import dataflow
from penstock.compat.tensorpack.dataflow import (
    BatchData,
    DataFlow,
    DataFromList,
    LMDBData,
    LMDBSerializer,
    LocallyShuffleData,
    MapData,
    MultiProcessMapData,
    MultiProcessRunner,
    MultiProcessRunnerZMQ,
    MultiThreadMapData,
    ProxyDataFlow,
    RepeatedData,
)
from penstock.compat.tensorpack.utils import fs, logger, stats, timer
from penstock.compat.tensorpack.utils.argtools import (
    call_only_once,
    log_once,
    map_arg,
    memoized,
    memoized_ignoreargs,
    memoized_method,
    shape2d,
    shape4d,
)
from penstock.compat.tensorpack.utils.serialize import loads
from penstock.errors import CorruptRecord

PARALLEL = [
    pytest.param(lambda ds, f: MultiProcessMapData(ds, 1, f, strict=True), id="map"),
    pytest.param(lambda ds, f: MultiProcessRunnerZMQ(MapData(ds, f), 1), id="runner"),
]


def plain(size):
    """Return a flow of lists of one number."""
    return DataFromList([[number] for number in range(size)], shuffle=False)


@pytest.mark.parametrize("parallel", PARALLEL)
def test_what_an_object_keeps_after_the_start_does_not_matter(parallel):
    """A method goes to processes as its object is at ``reset_state``, so the object can keep the iterator it gives."""

    class Batches:
        def __init__(self):
            self.offset = 10
            flow = parallel(plain(4), self.prepare)
            flow.reset_state()
            self.items = iter(flow)  # no pickle takes a generator
            self.offset = 20

        def prepare(self, dp):
            return [dp[0] + self.offset]

    assert [dp[0] for dp in Batches().items] == [10, 11, 12, 13]


@pytest.mark.parametrize("parallel", PARALLEL)
def test_what_cannot_travel_runs_here(parallel, tmp_path, caplog):
    """A flow that holds an open archive gives the same data, pass after pass, with a warning that says what stays here."""
    with zipfile.ZipFile(tmp_path / "numbers.zip", "w") as file:
        for number in range(3):
            file.writestr(f"{number}.txt", str(number * number))
    with zipfile.ZipFile(tmp_path / "numbers.zip") as archive, caplog.at_level(logging.WARNING, "tensorpack"):
        flow = parallel(plain(3), lambda dp: [int(archive.read(f"{dp[0]}.txt"))])
        flow.reset_state()
        assert [[dp[0] for dp in flow] for _ in range(2)] == [[0, 1, 4]] * 2
        assert "BufferedReader" in caplog.text
        assert "reset_state()" in caplog.text


@pytest.mark.parametrize("parallel", PARALLEL)
def test_what_modules_hold_reaches_processes(parallel, tmp_path, monkeypatch, caplog):
    """What a program set in its own modules before it started is set in processes, too, as it was in a fork."""
    (tmp_path / "settings_of_a_program.py").write_text("size = 1\n")
    (tmp_path / "steps_of_a_program.py").write_text(
        "import functools, threading\n"
        "import settings_of_a_program as settings\n"
        "side, lock = 1, threading.Lock()\n"
        "class Item:\n"
        "    def __init__(self, x): self.x = x\n"
        "    @functools.cached_property\n"
        "    def half(self): return self.x / 2\n"
        "@functools.lru_cache\n"
        "def scaled(x): return x * side * settings.size\n"
        "def step(dp):\n"
        "    with lock: return Item(scaled(dp[0]))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    steps = importlib.import_module("steps_of_a_program")
    monkeypatch.setattr(steps, "side", 10)
    monkeypatch.setattr(sys.modules["settings_of_a_program"], "size", 7)
    flow = parallel(plain(3), steps.step)
    flow.reset_state()
    items = list(flow)
    assert [item.x for item in items] == [0, 70, 140]
    assert all(type(item) is steps.Item for item in items)
    assert [items[2].half, caplog.text] == [70, ""]
    for name in ("steps_of_a_program", "settings_of_a_program"):
        del sys.modules[name]


@pytest.mark.parametrize("parallel", PARALLEL)
def test_a_fork_starts_workers_of_its_own(parallel):
    """A flow that was reset here can be read in a fork, as PyTorch's loader does it, and here."""
    flow = parallel(plain(4), lambda dp: [dp[0] + 1])
    flow.reset_state()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if [dp[0] for dp in flow] == [1, 2, 3, 4] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [dp[0] for dp in flow] == [1, 2, 3, 4]


def test_numpy_s_global_generator_goes_on_in_processes():
    """A program that seeds NumPy's global generator draws the same in one process; several do not draw alike."""

    def drawn(count):
        np.random.seed(5)
        flow = MultiProcessRunnerZMQ(MapData(plain(4), lambda dp: [int(np.random.randint(1 << 30))]), count)
        flow.reset_state()
        return [dp[0] for dp in flow]

    before = np.random.get_state()
    try:
        assert drawn(1) == np.random.RandomState(5).randint(1 << 30, size=4).tolist()
        assert len(set(drawn(2))) == 4
    finally:
        np.random.set_state(before)


class Part(LMDBData):
    """Every second key of a file, as programs on several machines read it."""

    def _set_keys(self, keys=None):
        self.keys = loads(self._txn.get(b"__keys__"))[1::2]

    def __iter__(self):
        with self._guard:
            if self._shuffle:
                self.rng.shuffle(self.keys)
            for key in self.keys:
                yield [key, self._txn.get(key)]


class Walk(LMDBData):
    """All entries, with a cursor."""

    def __iter__(self):
        cursor = self._txn.cursor()
        while cursor.next():
            assert cursor.item() == (cursor.key(), cursor.value())
            yield list(cursor.item())


@pytest.mark.parametrize("own", [True, False], ids=["Penstock's", "Tensorpack's"])
def test_flows_that_stand_on_lmdb_data(own, tmp_path, monkeypatch):
    """Subclasses of LMDBData read by key from its transaction, of files of either kind, here and in a process."""
    path = str(tmp_path / "rows.lmdb")
    if own:
        LMDBSerializer.save(DataFromList([[k, f"n{k}"] for k in range(6)], shuffle=False), path)
    else:
        lmdb = pytest.importorskip("lmdb")
        monkeypatch.setenv("TENSORPACK_SERIALIZE", "pickle")
        with lmdb.open(path, subdir=False, map_size=1 << 24) as file, file.begin(write=True) as writing:
            for k in range(6):
                writing.put(b"%08d" % k, pickle.dumps([k, f"n{k}"]))
            writing.put(b"__keys__", pickle.dumps([b"%08d" % k for k in range(6)]))
    part = MapData(Part(path, shuffle=False), LMDBSerializer._deserialize_lmdb)
    part.reset_state()
    assert list(part) == [[1, "n1"], [3, "n3"], [5, "n5"]]
    there = MultiProcessRunnerZMQ(MapData(Walk(path, shuffle=False), LMDBSerializer._deserialize_lmdb), 1)
    there.reset_state()
    assert [row[0] for row in there] == list(range(6))
    shuffled = Part(path)
    assert [len(shuffled), shuffled._size, sorted(key for key, _ in shuffled)] == [3, 6, sorted(shuffled.keys)]
    assert shuffled._txn.get(b"nothing") is None
    assert shuffled._txn.stat()["entries"] == 7
    assert [key for key, _ in dataflow.LMDBDataPoint(path, shuffle=False)] == list(range(6))


def test_pickles_are_read_only_where_the_environment_says_so(monkeypatch):
    """``loads`` refuses a pickle, names the remedy, and takes it where TENSORPACK_SERIALIZE=pickle."""
    data = pickle.dumps({"a": 1})
    monkeypatch.delenv("TENSORPACK_SERIALIZE", raising=False)
    with pytest.raises(CorruptRecord, match="TENSORPACK_SERIALIZE=pickle"):
        loads(data)
    monkeypatch.setenv("TENSORPACK_SERIALIZE", "pickle")
    assert loads(data) == {"a": 1}


def test_super_by_the_old_names():
    """``super().get_data()`` and ``super().size()`` find the method of the class below, not themselves again."""

    class Twice(DataFromList):
        def get_data(self):
            for dp in super().get_data():
                yield dp * 2

        def size(self):
            return super().size() + 1

    class Proxy(ProxyDataFlow):
        def get_data(self):
            yield from super().get_data()

    flow = Proxy(Twice([1, 2], shuffle=False))
    assert [list(flow), list(flow.get_data()), len(flow), flow.size()] == [[2, 4], [2, 4], 3, 3]


def test_a_size_beyond_all_is_no_length():
    """A flow that says 1e20, as some do for without end, runs without end in a process."""

    class Endless(DataFlow):
        def size(self):
            return int(1e20)

        def get_data(self):
            yield [1]

    flow = MultiProcessRunnerZMQ(Endless(), 1)
    flow.reset_state()
    assert len(list(itertools.islice(flow, 5))) == 5


def test_earlier_names_and_arguments():
    """Names, modules and arguments before 0.10 mean what they became; both names of one argument are an error."""
    from penstock.compat.tensorpack.dataflow import dftools, prefetch
    from penstock.compat.tensorpack.dataflow.parallel import PlasmaGetData, PlasmaPutData

    flow = dataflow.ThreadedMapData(plain(3), nr_thread=1, map_func=lambda dp: dp, strict=True)
    flow = PlasmaGetData(PlasmaPutData(prefetch.PrefetchDataZMQ(flow, nr_proc=1)))
    assert [dp[0] for dp in flow] == [0, 1, 2]
    assert MultiProcessRunner(plain(3), nr_prefetch=5).num_prefetch == 5
    assert [len(RepeatedData(plain(3), nr=2)), len(LocallyShuffleData(plain(3), 2, nr_reuse=3))] == [6, 9]
    assert dftools.dump_dataflow_to_lmdb is LMDBSerializer.save
    with pytest.raises(TypeError, match="num_thread"):
        MultiThreadMapData(plain(1), nr_thread=1, num_thread=1, map_func=abs)
    assert BatchData._batch_numpy([1, 2]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("from penstock.compat.tensorpack.dataflow.dataset import Cifar10", "dataset.Cifar10 .* nothing is downloaded"),
        ("from penstock.compat.tensorpack import QueueInput", "QueueInput .* import it from Tensorpack"),
        ("from penstock.compat.tensorpack.utils import viz", "utils.viz"),
        ("from penstock.compat.tensorpack.dataflow import dump_dataflow_to_process_queue", "_process_queue"),
        ("from penstock.compat.tensorpack.dataflow.imgaug import GaussianDeform", "imgaug.GaussianDeform"),
        ("from penstock.compat.tensorpack.utils import fs; fs.download('a', 'b')", "fs.download"),
    ],
)
def test_what_is_left_out_says_so(line, why):
    """An import of what is left out names it, says why, and points to the migration page."""
    if "imgaug" in line:
        pytest.importorskip("cv2")
    with pytest.raises(ImportError, match=f"(?s){why}.*docs/migrating/tensorpack.md"):
        exec(line, {})
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from penstock.compat.tensorpack import Nonsense", {})


def test_the_package_has_what_stands_beside_flows():
    """``from tensorpack import *`` gives flows, and the logger and the small functions besides."""
    assert {"BatchData", "dataset", "logger", "get_rng", "change_env", "execute_only_once"} <= set(tensorpack.__all__)
    assert all(hasattr(tensorpack, name) for name in tensorpack.__all__)


def test_small_functions(tmp_path, monkeypatch, caplog):
    """Decorators, shapes, folders, clocks and statistics do what their names say."""
    calls = []
    assert [memoized(lambda x: calls.append(x) or x)(1), shape2d(3), shape2d((4, 5))] == [1, [3, 3], [4, 5]]
    assert [shape4d(2), shape4d((3, 4), "NCHW")] == [[1, 2, 2, 1], [1, 1, 3, 4]]
    assert map_arg(a=lambda a: 10 * a)(lambda a, b=1: (a, b))(2) == (20, 1)
    first = memoized_ignoreargs(lambda x: x)
    assert [first(1), first(2)] == [1, 1]

    class Object:
        @memoized_method
        def kept(self, x):
            calls.append(x)

        @call_only_once
        def once(self):
            return 1

    one = Object()
    assert [one.kept(5), one.kept(5), calls] == [None, None, [1, 5]]
    assert [one.once(), Object().once()] == [1, 1]
    with pytest.raises(AssertionError, match="only be called once"):
        one.once()
    monkeypatch.setenv("TENSORPACK_DATASET", str(tmp_path))
    fs.mkdir_p(fs.get_dataset_path("a", "b"))
    (tmp_path / "a" / "c.txt").touch()
    assert list(fs.recursive_walk(str(tmp_path))) == [str(tmp_path / "a" / "c.txt")]
    assert [fs.normpath("gs://x//y"), fs.normpath("x//y")] == ["gs://x//y", "x/y"]
    moments, counter, accuracy = stats.OnlineMoments(), stats.StatCounter(), stats.Accuracy()
    values = np.random.RandomState(0).rand(7, 2)
    for value in values:
        moments.feed(value)
        counter.feed(value[0])
        accuracy.feed(1, 2)
    assert np.allclose(moments.mean, values.mean(0))
    assert np.allclose(moments.std, values.std(0, ddof=1))
    assert [counter.count, counter.max, accuracy.accuracy] == [7, values[:, 0].max(), 0.5]
    with caplog.at_level(logging.INFO, "tensorpack"), timer.timed_operation("counting"):
        log_once("said once")
        log_once("said once")
    assert [record.message.partition(",")[0] for record in caplog.records] == ["said once", "Counting finished"]
    watch = timer.Timer()
    watch.pause()
    assert [watch.is_paused(), watch.seconds() == watch.seconds()] == [True, True]


def test_a_folder_for_the_log(tmp_path):
    """What is logged goes to a file in the folder; one that has something in it needs an action."""
    before = logging.getLogger("tensorpack").level
    try:
        logger.set_logger_dir(str(tmp_path / "log"))
        logger.info("hello")
        assert "hello" in (tmp_path / "log" / "log.log").read_text()
        assert logger.get_logger_dir() == str(tmp_path / "log")
        with pytest.raises(OSError, match="not empty"):
            logger.set_logger_dir(str(tmp_path / "log"))
        logger.set_logger_dir(str(tmp_path / "log"), action="b")
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        handler = logger._file
        logging.getLogger("tensorpack").removeHandler(handler)
        handler.close()
        logger._file = None
        logging.getLogger("tensorpack").setLevel(before)


def test_a_file_that_a_program_has_open_can_be_read_besides(tmp_path):
    """An HDF5 file that a program opened by itself is read, and the other way round."""
    h5py = pytest.importorskip("h5py")
    path = str(tmp_path / "rows.h5")
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
    with h5py.File(path, "r") as file:
        flow = dataflow.HDF5Data(path, ["x"], shuffle=False)
        with h5py.File(path, "r") as again:
            assert [int(row[0]) for row in flow] == file["x"][:].tolist() == again["x"][:].tolist()
