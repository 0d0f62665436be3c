"""Keys: who is on the list gets in, and nobody else, whatever they know."""

from __future__ import annotations

import json
import os
import stat
import urllib.request

import pytest

import penstock as ps
from penstock.cli import main
from penstock.errors import ArgumentError, ServerLost, ServerRefused
from penstock.service.asking import ask
from penstock.service.keys import make_client, make_server, read

zmq = pytest.importorskip("zmq")
TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def keys(tmp_path):
    """A folder of keys with one client."""
    folder = tmp_path / "keys"
    assert main(["keys", str(folder), "alice"]) == 0
    return folder


def test_who_is_listed_gets_in(keys):
    """A client with its file reads, over an encrypted connection; the server's figures need a key, too."""
    with ps.serve(ps.range(10), TCP, keys=keys) as server:
        assert list(ps.connect(server.endpoint, keys=keys / "alice.json", timeout=20)) == list(range(10))
        assert ask(server.endpoint, keys=str(keys / "alice.json"))["batches"] == 10
        with pytest.raises(ServerLost):
            ask(server.endpoint, timeout=0.3)


def test_files_are_for_their_owner(keys):
    """Secrets and folders are readable by their owner only, and a file that is not is refused with the remedy."""
    for name in ("server.json", "alice.json"):
        assert stat.S_IMODE(os.stat(keys / name).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(keys / "clients").st_mode) == 0o700
    os.chmod(keys / "alice.json", 0o644)
    with pytest.raises(ArgumentError, match="chmod 600"):
        next(iter(ps.connect("tcp://127.0.0.1:1", keys=keys / "alice.json")))
    os.chmod(keys / "server.json", 0o640)
    with pytest.raises(ArgumentError, match="chmod 600"):
        ps.serve(ps.range(1), TCP, keys=keys)


def test_a_stranger_who_knows_the_servers_key(keys, tmp_path):
    """CURVE alone admits whoever has the server's public key; here such a client is refused, and told so at once."""
    public, secret = zmq.curve_keypair()
    stranger = tmp_path / "stranger.json"
    fields = {"public": public.decode(), "secret": secret.decode(), "server": make_server(str(keys))}
    stranger.write_text(json.dumps(fields))
    stranger.chmod(0o600)
    with ps.serve(ps.range(10), TCP, keys=keys) as server:
        with pytest.raises(ServerRefused, match="not on the server's list"):
            list(ps.connect(server.endpoint, keys=stranger, timeout=20))
        assert list(ps.connect(server.endpoint, keys=keys / "alice.json")) == list(range(10))


def test_who_is_taken_off_the_list_is_out(keys):
    """Removing a client's public key shuts it out of a server that is running."""
    with ps.serve(ps.range(3), TCP, keys=keys) as server:
        remote = ps.connect(server.endpoint, keys=keys / "alice.json", timeout=20)
        assert len(list(remote)) == 3
        (keys / "clients" / "alice.public").unlink()
        with pytest.raises(ServerRefused):
            list(remote)


def test_without_a_key_or_with_too_many(keys, tmp_path):
    """A client without keys at a server with some is told so at once, and the other way round; nobody hangs."""
    with ps.serve(ps.range(3), TCP, keys=keys) as server, pytest.raises(ServerRefused, match="It wants keys"):
        list(ps.connect(server.endpoint))
    with ps.serve(ps.range(3), TCP) as server, pytest.raises(ServerRefused, match="It has no keys"):
        list(ps.connect(server.endpoint, keys=keys / "alice.json"))
    make_client(str(tmp_path / "other"), "alice")
    with ps.serve(ps.range(3), TCP, keys=keys) as server, pytest.raises(ServerLost, match="or others"):
        list(ps.connect(server.endpoint, keys=tmp_path / "other" / "alice.json", timeout=1))


@pytest.mark.parametrize("name", ["../up", "a/b", "server", "", "-x y"])
def test_names_are_names(tmp_path, name):
    """A client's name is a file's name and nothing else."""
    with pytest.raises(ArgumentError, match="cannot be a client's name"):
        make_client(str(tmp_path), name)


def test_keys_are_not_overwritten(keys):
    """Making a client again, or the server's keys, leaves the old ones alone."""
    before = read(str(keys / "server.json"), "test")
    assert make_server(str(keys)) == before.public
    with pytest.raises(ArgumentError, match="already"):
        make_client(str(keys), "alice")
    assert "secret" not in repr(before).lower().replace("secret=", "")
    assert before.secret not in repr(before)


def test_what_is_no_file_of_keys(tmp_path):
    """A file of something else is refused, with the way to make keys."""
    for text in ("", "[]", '{"public": "x"}', "{}"):
        path = tmp_path / "x.json"
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ArgumentError, match="penstock keys"):
            read(str(path), "test")


def test_figures_for_people_and_prometheus(capsys):
    """`penstock top` and the Prometheus page show the same figures."""
    with ps.serve(ps.range(10), TCP, metrics="127.0.0.1:0") as server:
        reading = iter(ps.connect(server.endpoint, window=2))
        next(reading)
        assert main(["top", server.endpoint, "--once"]) == 0
        shown = capsys.readouterr().out
        assert "mode mirror" in shown
        assert "consumer" in shown
        with urllib.request.urlopen(f"http://{server.metrics}/metrics", timeout=5) as page:
            body = page.read().decode()
        assert "penstock_consumers 1" in body
        assert "penstock_consumer_under_way{" in body
        reading.close()
    with pytest.raises(ArgumentError, match="host:port"):
        ps.serve(ps.range(1), TCP, metrics="9100")
