"""Objects by URL: against servers on loopback, with a cache on the disk that is bounded, shared and survives kills."""

from __future__ import annotations

import functools
import http.server
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, MissingExtra, StoreError
from penstock.storage import kept_index, tar_index
from penstock.storage import remote as module
from penstock.storage import remote_folder as folders
from penstock.testing import check_dataset

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")
pytestmark = pytest.mark.leaks("fsspec keeps one thread with an event loop, and its sockets, for the life of a process")


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and does what the test wants before."""

    def do_GET(self):
        """Answer, or not."""
        plan = self.server.plan
        self.server.asked.append((self.command, self.path))
        if self.command == "GET" and plan:
            what = plan.pop(0)
            if what == "drop":
                self.connection.close()
                return
            if what == "short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"only this")
                self.connection.close()
                return
            if isinstance(what, int):
                self.send_error(what)
                return
        super().do_GET() if self.command == "GET" else super().do_HEAD()

    do_HEAD = do_GET  # noqa: N815  the server's own name for it

    def log_message(self, *args):
        """Be silent."""


@pytest.fixture
def server(tmp_path):
    """A server on loopback over a folder of twenty files."""
    folder = tmp_path / "served"
    folder.mkdir()
    for k in range(20):
        (folder / f"{k:02d}.bin").write_bytes(f"object {k} ".encode() * 100)
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(folder)))
    made.daemon_threads = True
    made.plan, made.asked, made.folder = [], [], folder
    made.url = f"http://127.0.0.1:{made.server_address[1]}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def cache(tmp_path):
    """Where objects are kept, and with little patience."""
    return functools.partial(ps.Remote, cache=tmp_path / "cache", wait=0.01)


def gets(server):
    """Return what was asked for with GET."""
    return [path for command, path in server.asked if command == "GET"]


def contents(n=20):
    """Return what the server has."""
    return [f"object {k} ".encode() * 100 for k in range(n)]


def test_contract(server, cache):
    """Every promise of a description holds with fetching in it, shuffled, in processes, and as a stream."""
    urls = [f"{server.url}/{k:02d}.bin" for k in range(20)]
    dataset = ps.items(urls).shuffle().fetch(cache()).map(len).batch(4)
    check_dataset(dataset, executors=(ps.Processes(2), ps.Threads(3)), epochs=(0,))
    assert list(ps.items(urls).fetch(cache())) == contents()
    assert list(ps.stream(urls).fetch(cache()).batch(20, collate=list)) == [contents()]


def test_each_object_is_fetched_once(server, cache):
    """However many workers ask, and however far they look ahead, each object comes over the network once."""
    dataset = ps.items([f"{server.url}/{k % 20:02d}.bin" for k in range(60)]).fetch(cache(ahead=5))
    with dataset.shuffle().batch(3, collate=list).loader(workers=ps.Processes(3)) as loader:
        assert sum(len(batch) for batch in loader) == 60
    assert sorted(gets(server)) == sorted(set(gets(server)))
    assert list(dataset) == contents() * 3
    assert len(gets(server)) == 20


def test_looks_ahead(server, cache):
    """While one item is read, those behind it are on their way, in the order that they come in."""
    dataset = (
        ps.items([f"{server.url}/{k:02d}.bin" for k in range(20)]).select([7, 3, 11, 5, 2, 0]).fetch(cache(ahead=3))
    )
    assert dataset[0] == contents()[7]
    for thread in list(dataset.node.ahead.pending.values()):
        thread.join()
    assert sorted(gets(server)) == ["/03.bin", "/05.bin", "/07.bin", "/11.bin"]


def test_pictures_by_pattern(server, cache):
    """A pattern over HTTP reads the index of a folder; the paths are sorted, and look like what was asked for."""
    found = ps.files(f"{server.url}/*.bin", remote=cache())
    assert list(found) == [f"{server.url}/{k:02d}.bin" for k in range(20)]
    assert found.fetch(cache())[3] == contents()[3]
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize("plan", [["drop"], ["short"], [500, 503], [429, "drop", "short"]])
def test_failures_that_pass(server, cache, plan):
    """A connection that is lost, an answer that is cut off, a server that is busy: it is tried again, and is right."""
    server.plan.extend(plan)
    assert ps.items([f"{server.url}/01.bin"]).fetch(cache(ahead=0))[0] == contents()[1]
    assert not server.plan


def test_failures_that_stay(server, cache):
    """What is not there, or forbidden, is not tried again; what fails every time says how often, and the URL."""
    dataset = ps.items([f"{server.url}/{name}" for name in ("none.bin", "00.bin", "01.bin")]).fetch(
        cache(ahead=0, retries=2)
    )
    with pytest.raises(StoreError, match=r"none\.bin does not exist") as caught:
        dataset[0]
    assert any("none.bin" in note for note in caught.value.__notes__)
    server.plan[:] = [403]
    with pytest.raises(StoreError, match=r"00\.bin cannot be fetched.*403"):
        dataset[1]
    server.plan[:] = ["drop"] * 30
    with pytest.raises(StoreError, match=r"01\.bin could not be fetched in 3 attempts"):
        dataset[2]
    server.plan.clear()
    assert list(dataset.on_error("skip")) == contents(2)


def test_a_store_by_url(server, cache):
    """A store is fetched as a whole, opened in each process, and fetched anew when it is another one."""
    ps.arrays(np.arange(30.0)).save(server.folder / "x.npy")
    dataset = ps.open(f"{server.url}/x.npy?download=1", remote=cache())
    check_dataset(dataset.batch(4), executors=(ps.Processes(2),), epochs=(0,))
    assert len(gets(server)) == 1
    ps.arrays(np.arange(40.0)).save(server.folder / "x.npy", replace=True)
    assert len(ps.open(f"{server.url}/x.npy?download=1", remote=cache())) == 40
    with pytest.raises(StoreError, match="replaced since"):
        pickle.loads(pickle.dumps(dataset))[0]
    with pytest.raises(StoreError, match="does not exist"):
        ps.open(f"{server.url}/y.npy", remote=cache())


def test_shards_by_url(server, cache):
    """Shards by a pattern with braces, or as a list, are one store, whose records say where they are from."""
    for shard in (0, 1):
        ps.range(3).map(lambda k, s=shard: {"txt": f"{s}{k}"}).save(server.folder / f"s-{shard}.tar")
    expected = ["00", "01", "02", "10", "11", "12"]
    for urls in (f"{server.url}/s-{{0..1}}.tar", [f"{server.url}/s-0.tar", f"{server.url}/s-1.tar"]):
        dataset = ps.open(urls, remote=cache())
        assert [item["txt"] for item in dataset] == expected
    assert len([path for path in gets(server) if path.endswith(".tar")]) == 2
    with pytest.raises(StoreError, match="does not exist"):
        ps.open(f"{server.url}/s-{{0..2}}.tar", remote=cache())


def test_using_an_object_does_not_change_it(server, cache, monkeypatch):
    """Who opened a store before reads on while others use it or fetch it again; an index beside it stays good."""
    monkeypatch.setattr(kept_index, "MANY", 3)
    ps.range(5).map(lambda k: {"__key__": f"k{k}", "cls": k}).save(server.folder / "s.tar")
    first = ps.open(f"{server.url}/s.tar", remote=cache())
    with monkeypatch.context() as patched:
        patched.setattr(tar_index, "build", lambda *args, **how: pytest.fail("the index was made again"))
        assert ps.open(f"{server.url}/s.tar", remote=cache())[4]["cls"] == 4
    assert first[3]["cls"] == 3
    second = ps.open(f"{server.url}/s.tar", remote=cache())
    os.unlink(cache().fetch(f"{server.url}/s.tar", cache().version(f"{server.url}/s.tar")))
    ps.open(f"{server.url}/s.tar", remote=cache())
    assert second[2]["cls"] == 2


def test_shards_that_do_not_fit_together(server, cache):
    """Shards beyond the cache are refused as one store, and read one after the other, resumable within each."""
    for shard in range(8):
        numbers = ps.range(5 * shard, 5 * shard + 5)
        numbers.map(lambda k: {"__key__": f"k{k}", "cls": k}).save(server.folder / f"s-{shard}.tar")
    urls = [f"{server.url}/s-{shard}.tar" for shard in range(8)]
    small = cache(limit=65_000, ahead=1)  # of 10,240 bytes each
    with pytest.raises(StoreError, match="does not fit into the cache beside the others"):
        ps.open(urls, remote=small)
    dataset = ps.items(urls).shuffle().flat_map(lambda url: ps.open(url, remote=small)).map(lambda item: item["cls"])
    assert sorted(dataset) == list(range(40))
    check_dataset(dataset.batch(4), executors=(ps.Threads(2),), epochs=(0,))


def test_the_cache_is_bounded(server, cache, tmp_path):
    """Never more bytes than were allowed; what was used longest ago goes first."""
    remote = cache(limit=5000, ahead=0)
    urls = [f"{server.url}/{k:02d}.bin" for k in range(20)]
    objects = tmp_path / "cache" / "remote" / "objects"
    for k in (0, 1, 2, 0, 3, 0, 4, 0, 5):
        assert remote.read(urls[k]) == contents()[k]
        os.utime(remote.folder.place(urls[k]), ns=(time.monotonic_ns(), 0))
        assert sum(path.stat().st_size for path in objects.iterdir()) <= 5000
    assert remote.has(urls[0])
    assert not remote.has(urls[1])
    with pytest.raises(StoreError, match=r"900 bytes, and the cache holds 800 bytes"):
        cache(limit=800).read(urls[9])


def test_many_processes_share_a_small_cache(server, cache, tmp_path):
    """Processes that throw out one another's objects still read the right ones, within the bound."""
    dataset = ps.items([f"{server.url}/{k:02d}.bin" for k in range(20)]).fetch(cache(limit=6000, ahead=2)).shuffle()
    with dataset.batch(2, collate=list).loader(workers=ps.Processes(3)) as loader:
        for _ in range(2):
            assert sorted(x for batch in loader for x in batch) == sorted(contents())
    objects = tmp_path / "cache" / "remote" / "objects"
    assert sum(path.stat().st_size for path in objects.iterdir()) <= 6000


def test_what_was_taken_counts_before_it_is_written(tmp_path):
    """Room that a writer took is not given to another, though nothing of the object is in its file yet."""
    folder = folders.Folder(str(tmp_path), 1000)
    folder.prepare()
    with folder.arriving(folder.place("memory://one")) as one, folder.arriving(folder.place("memory://two")) as two:
        one.grow(700)
        for path in (one.path, two.path):
            open(path, "wb").close()
        with pytest.raises(folders.Full, match="too small for all that is fetched at once"):
            two.grow(400)
        assert two.taken == 0
        two.grow(300)


KILLED = """
import os, signal, sys
import penstock as ps
from penstock.storage import remote_folder as folder
url, cache, when = sys.argv[1:]
def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)
if when == "early":
    folder.Folder.take = die
else:
    folder.flush = die
ps.Remote(cache=cache).read(url)
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_kill_in_the_middle(server, cache, tmp_path, when):
    """Who is killed while it fetches leaves nothing that is taken for an object; what it left is tidied up."""
    url = f"{server.url}/03.bin"
    done = subprocess.run([sys.executable, "-c", KILLED, url, str(tmp_path / "cache"), when], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path / "cache" / "remote" / "partial")) == (1 if when == "early" else 2)
    assert not cache().has(url)
    folders.looked.clear()
    assert cache().read(url) == contents()[3]
    assert os.listdir(tmp_path / "cache" / "remote" / "partial") == []


def test_secrets_are_not_shown(cache):
    """What a file system is told may hold secrets: no text of ours shows it."""
    remote = cache(storage_options={"key": "hush"})
    dataset = ps.items(["file:///x"]).fetch(remote)
    assert "hush" not in repr(remote) + repr(dataset) + dataset.draw() + dataset.node.fingerprint()


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda r: ps.Remote(limit="ten"), ArgumentError, "4GB"),
        (lambda r: ps.Remote(cache=3), ArgumentTypeError, "cache must be a folder"),
        (lambda r: ps.Remote(retries=-1), ArgumentError, "retries"),
        (lambda r: ps.Remote(wait="1"), ArgumentError, "wait"),
        (lambda r: ps.Remote(storage_options=["a"]), ArgumentTypeError, "storage_options"),
        (lambda r: ps.items([3]).fetch(r())[0], ArgumentTypeError, "must be a URL"),
        (lambda r: ps.files("memory://none/*.x", remote=r()), ArgumentError, "nothing matches"),
        (lambda r: ps.files("file:///etc/*", "/etc/*", remote=r()), ArgumentError, "no protocol"),
        (lambda r: ps.items(["nonsense://x/y"]).fetch(r())[0], StoreError, "nonsense"),
    ],
)
def test_wrong_arguments(cache, call, kind, words):
    """What cannot work is refused with a remedy."""
    with pytest.raises(kind, match=words):
        call(cache)


def test_a_missing_library_is_named(cache, monkeypatch):
    """A protocol whose library is not installed says what to install."""

    def missing(*args, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    monkeypatch.setattr(module, "systems", {})
    with pytest.raises(MissingExtra, match="s3fs"):
        cache().read("s3://bucket/x")


@pytest.fixture(scope="module")
def bucket():
    """An object store on loopback, with ten objects in a bucket."""
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    made = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": f"http://{host}:{port}",
        "client_kwargs": {"region_name": "us-east-1"},
    }
    import s3fs

    system = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False, **options)
    system.call_s3("create_bucket", Bucket="train")  # mkdir would name a region that S3 wants unnamed
    for k in range(10):
        system.pipe_file(f"train/deep/{k}.bin", f"object {k} ".encode() * 100)
    yield options
    made.stop()


@pytest.mark.filterwarnings("ignore")
def test_an_object_store(bucket, cache):
    """The objects of a bucket by pattern, in processes; one that is not there is named."""
    remote = cache(storage_options=bucket)
    files = ps.files("s3://train/**/*.bin", remote=remote)
    assert list(files) == [f"s3://train/deep/{k}.bin" for k in range(10)]
    check_dataset(files.shuffle().fetch(remote).batch(3, collate=list), executors=(ps.Processes(2),), epochs=(0,))
    with pytest.raises(StoreError, match=r"s3://train/none\.bin does not exist"):
        ps.items(["s3://train/none.bin"]).fetch(remote)[0]
    with pytest.raises(ArgumentError, match="nothing matches"):
        ps.files("s3://train/*.gif", remote=remote)


@pytest.mark.parametrize("plan", [["drop"], [503, 500], [429, 502]])
def test_failures_of_the_first_question(server, cache, plan, monkeypatch):
    """A server that fails already when it is asked about an object is asked again: that is not a missing file."""
    monkeypatch.setattr(Server, "do_HEAD", failing(Server.do_HEAD))
    server.heads = [what for what in plan for _ in range(2)]  # fsspec asks by GET where HEAD fails
    assert ps.items([f"{server.url}/01.bin"]).fetch(cache(ahead=0))[0] == contents()[1]


def test_failures_of_the_first_question_that_stay(server, cache, monkeypatch):
    """What fails every time is no missing file either: the error says what the server said."""
    monkeypatch.setattr(Server, "do_HEAD", failing(Server.do_HEAD))
    monkeypatch.setattr(Server, "do_GET", failing(Server.do_GET))
    dataset = ps.items([f"{server.url}/01.bin"]).fetch(cache(ahead=0, retries=1))
    server.heads = [500] * 9
    with pytest.raises(StoreError, match=r"01\.bin could not be fetched in 2 attempts.*500"):
        dataset[0]
    server.heads = [403] * 9
    with pytest.raises(StoreError, match=r"01\.bin cannot be fetched.*403"):
        dataset[0]
    server.heads = [404] * 9
    with pytest.raises(StoreError, match=r"01\.bin does not exist"):
        dataset[0]


def test_nobody_listens(cache):
    """A server that is not there is no missing file."""
    with pytest.raises(StoreError, match="could not be fetched in 1 attempts"):
        ps.items(["http://127.0.0.1:1/x"]).fetch(cache(ahead=0, retries=0))[0]


def test_a_fetched_store_that_is_none_names_its_url(server, cache):
    """An error of a store that was fetched says from where."""
    (server.folder / "x.lmdb").write_bytes(b"<html>")
    with pytest.raises(StoreError, match="no LMDB file") as caught:
        ps.open(f"{server.url}/x.lmdb", remote=cache())
    assert any(f"{server.url}/x.lmdb" in note for note in caught.value.__notes__)


def failing(answer):
    """Return an answer of the server that fails as often as the test wants."""

    def instead(self):
        heads = getattr(self.server, "heads", [])
        what = heads.pop(0) if heads else None
        if what == "drop":
            self.close_connection = True
        elif what is not None:
            self.send_error(what)
        else:
            answer(self)

    return instead
