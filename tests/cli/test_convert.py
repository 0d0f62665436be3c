"""convert: between formats, what is written is compared, and what was interrupted goes on where it stood."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import penstock as ps
from penstock.cli import main
from penstock.cli._content import digest
from penstock.cli._progress import Progress, clock
from penstock.testing import same


def record(x):
    """Return a record of several kinds."""
    return {"x": x, "name": f"record {x}", "image": np.full((2, 3), x, np.uint8)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder with a store of 50 records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    ps.range(50).map(record).save("a.lmdb")
    return tmp_path


def left(folder):
    """Return the names of what conversions leave behind while they are under way."""
    return [path.name for path in Path(folder).iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("way", [[], ["--direct"], ["--threads", "2"], ["--verify", "count"], ["--verify", "none"]])
def test_round_trip(here, way, capsys):
    """From LMDB to LMDB and to arrays and back: all records, compared, and nothing left beside them."""
    assert main(["convert", "a.lmdb", "b.lmdb", *way]) == 0
    assert main(["convert", "b.lmdb", "c.npz", "--map", *["map.py:arrays"], *way]) == 1  # there is no map.py yet
    (here / "map.py").write_text("def arrays(item):\n    return {'x': item['x'], 'image': item['image']}\n")
    assert main(["convert", "b.lmdb", "c.npz", "--map", "map.py:arrays", *way]) == 0
    assert main(["convert", "c.npz", "d.lmdb", *way]) == 0
    assert "50 records" in capsys.readouterr().out
    for path in ("b.lmdb", "d.lmdb"):
        found = ps.open(path)
        assert [int(item["x"]) for item in found] == list(range(50))
        assert same(found[7]["image"], record(7)["image"])
    assert not left(here)


def test_options(here, capsys):
    """Options of both formats, names of records, a part of the source."""
    assert (
        main(
            [
                "convert",
                "a.lmdb",
                "b.store",
                "--to",
                "lmdb",
                "--key",
                "name",
                "--take",
                "5",
                "--write",
                "checksum=crc32",
            ]
        )
        == 0
    )
    found = ps.open("b.store")
    assert len(found) == 5
    assert main(["convert", "b.store", "c.lmdb", "--from", "lmdb", "--read", "verify=always"]) == 0
    assert main(["convert", "b.store", "d.lmdb", "--from", "lmdb", "--read", "verfy=always"]) == 1
    assert "verify" in capsys.readouterr().err
    assert main(["convert", "a.lmdb", "e.lmdb", "--key", "nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
    assert not left(here)


def test_what_exists_is_not_replaced(here, capsys):
    """A destination that exists is replaced when that is said, and only by something complete."""
    ps.range(3).save("b.lmdb")
    assert main(["convert", "a.lmdb", "b.lmdb"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert list(ps.open("b.lmdb")) == [0, 1, 2]
    assert main(["convert", "a.lmdb", "b.lmdb", "--replace"]) == 0
    assert len(ps.open("b.lmdb")) == 50
    assert not left(here)


def test_what_a_format_cannot_hold_shows_at_once(here, capsys):
    """A destination that cannot hold such records is refused after a few of them, with the format's own words."""
    (here / "source.py").write_text(
        "import penstock as ps\nread = []\ndataset = ps.range(1000).map(lambda x: read.append(x) or {'x': [x, 'a']})\n"
    )
    assert main(["convert", "source.py:dataset", "a.npy"]) == 1
    assert "a.npy" in capsys.readouterr().err
    assert len(sys.modules.pop("source").read) < 10
    assert not left(here)
    assert not os.path.exists("a.npy")


def test_what_was_read_is_kept_when_writing_fails(here, monkeypatch, capsys):
    """Where writing fails after hours of reading, what was read is not lost, and the next attempt only writes."""
    (here / "source.py").write_text(
        "import os\nimport penstock as ps\ndef f(x):\n    if os.path.exists('read'): raise OSError('read again')\n"
        "    return 'odd' if x == 9 and not os.path.exists('fixed') else x\ndataset = ps.range(10).map(f)\n"
    )
    assert main(["convert", "source.py:dataset", "a.npy"]) == 1
    assert "is kept in" in capsys.readouterr().err
    assert left(here) == [".a.npy.converting"]
    (here / "fixed").touch()
    assert main(["convert", "source.py:dataset", "a.npy"]) == 1  # it still is what was read then
    (here / "read").touch()
    assert main(["convert", "source.py:dataset", "b.lmdb", "--verify", "none"]) == 1
    assert "read again" in capsys.readouterr().err
    assert left(here) == [".a.npy.converting"]
    (here / "read").unlink()
    assert main(["convert", "source.py:dataset", "a.npy", "--restart"]) == 0
    assert not left(here)


def test_a_difference_is_found(here, monkeypatch, capsys):
    """Records that come back as something else fail the comparison, by number and field."""
    real = ps.open

    def lying(path, *args, **options):
        found = real(path, *args, **options)
        return found.map(lambda item: item | {"x": 0} if item["x"] == 7 else item) if "b.lmdb" in str(path) else found

    ps.range(50).map(record).save("b.lmdb")
    monkeypatch.setattr(ps, "open", lying)
    from penstock.cli import convert

    options = type(
        "Options",
        (),
        {"verify": "content", "destination": "b.lmdb", "source": "a.lmdb", "workers": None, "threads": None},
    )
    with pytest.raises(ps.errors.StoreError, match=r"record 7 of b\.lmdb .* in 'x'"):
        convert.verify(real("a.lmdb"), lying("b.lmdb"), options)
    with pytest.raises(ps.errors.StoreError, match=r"b\.lmdb has 40 records, and a\.lmdb has more"):
        convert.verify(real("a.lmdb"), real("b.lmdb").take(40), options)
    options.verify = "count"
    with pytest.raises(ps.errors.StoreError, match="40"):
        convert.verify(real("a.lmdb"), real("b.lmdb").take(40), options)
    convert.verify(real("a.lmdb"), lying("b.lmdb"), options)


SOURCE = """
import time, os
import penstock as ps
def slow(x):
    with open("read.log", "a") as log:
        log.write(f"{x}\\n")
    if x == 150 and not os.path.exists("go"):
        open("reached", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)
    return {"x": x, "text": "y" * 100}
dataset = ps.range(300).map(slow)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("destination", ["out.lmdb", "out.npz"])
def test_it_goes_on(tmp_path, number, destination, monkeypatch):
    """Interrupted or killed in the middle, the same command goes on behind what was committed, and all is there."""
    (tmp_path / "source.py").write_text(SOURCE)
    command = [sys.executable, "-c", STARTED, "convert", "source.py:dataset", destination, "--verify", "count"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "reached", process)
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), error
    if number == signal.SIGINT:
        assert "the same command goes on" in error
    assert left(tmp_path) == [f".{destination}.converting"]
    assert not (tmp_path / destination).exists()
    (tmp_path / "go").touch()
    (tmp_path / "read.log").unlink()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=40)
    assert done.returncode == 0, done.stderr
    assert "going on behind the 150 records" in done.stderr
    read = [int(x) for x in (tmp_path / "read.log").read_text().split()]
    assert min(read) == 150
    monkeypatch.chdir(tmp_path)
    assert [int(item["x"]) for item in ps.open(destination)] == list(range(300))
    assert not left(tmp_path)


# A commit after every record, so that nothing depends on how fast the machine is.
STARTED = """
import sys
from penstock.storage import lmdb_writing
lmdb_writing.PAUSE = -1.0
from penstock.cli import main
sys.exit(main())
"""


def wait_for(path, process):
    """Wait until a file is there."""
    end = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_another_source_is_not_mixed_in(here, capsys):
    """What was begun with one source is not continued with another; --restart forgets it."""
    os.mkdir(".b.lmdb.converting")
    with ps.range(9).loader() as loader:
        entry = {"source": "other", "state": loader.state_dict(), "stage": "reading"}
    (here / ".b.lmdb.converting" / "journal.json").write_text(json.dumps(entry))
    ps.range(2).save(".b.lmdb.converting/records.lmdb")
    assert main(["convert", "a.lmdb", "b.lmdb"]) == 1
    assert "--restart" in capsys.readouterr().err
    assert main(["convert", "a.lmdb", "b.lmdb", "--restart"]) == 0
    assert len(ps.open("b.lmdb")) == 50


def test_a_kill_during_the_comparison(here):
    """Where everything had been written, only the comparison is done again."""
    (here / "map.py").write_text("def x(item):\n    return item['x']\n")
    with ps.open("a.lmdb").map(lambda item: item["x"]).loader() as loader:
        state = loader.state_dict()
    state["pipeline"][-1] = "map(x)"
    os.mkdir(".b.npy.converting")
    entry = {"source": "a.lmdb", "state": state, "stage": "verifying"}
    (here / ".b.npy.converting" / "journal.json").write_text(json.dumps(entry))
    np.save("b.npy", np.arange(50))
    before = os.stat("b.npy").st_mtime_ns
    assert main(["convert", "a.lmdb", "b.npy", "--map", "map.py:x"]) == 0
    assert os.stat("b.npy").st_mtime_ns == before
    assert not left(here)


def test_streams(here):
    """A source that is read from the front is converted and continued as well."""
    (here / "source.py").write_text(
        "import penstock as ps\ndataset = ps.stream([{'x': x} for x in range(20)]).filter(lambda item: item['x'] % 2)\n"
    )
    assert main(["convert", "source.py:dataset", "b.lmdb"]) == 0
    assert [item["x"] for item in ps.open("b.lmdb")] == list(range(1, 20, 2))


def test_two_at_once(here, capsys):
    """Two conversions into one destination do not write into one another's folder."""
    from penstock.cli._journal import Journal

    with Journal("b.lmdb"):
        assert main(["convert", "a.lmdb", "b.lmdb"]) == 1
    assert "another conversion" in capsys.readouterr().err


def test_progress(monkeypatch, capsys):
    """On a terminal there is one line with rate and time left; in a log, a line now and then."""
    now = [0.0]
    monkeypatch.setattr("penstock.cli._progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress("read", before=100)
    now[0] = 2.0
    progress(50, 200)
    progress.close()
    assert "read: 150 of 200 records, 25/s, 2.0 s left" in capsys.readouterr().err
    assert [clock(x) for x in (0, 3.21, 42, 200, 18_420)] == ["0 s", "3.2 s", "42 s", "3:20 min", "5:07 h"]


def test_digest_travels():
    """The check sum can be computed in worker processes."""
    with ps.range(4).map(digest).loader(workers=ps.Processes(1)) as loader:
        assert list(loader) == [digest(x) for x in range(4)]


def test_a_destination_of_no_format(here, capsys):
    """A destination whose name says no format is refused at once, under the name that was given, with the option."""
    assert main(["convert", "a.lmdb", "b.foo"]) == 1
    said = capsys.readouterr().err
    assert "'b.foo'" in said
    assert ".converting" not in said
    assert "--to FORMAT" in said
    assert left(here) == []
