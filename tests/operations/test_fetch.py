"""fetch: URLs become what is there; what comes next is fetched meanwhile, in the order that it comes in."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, StoreError
from penstock.testing import check_dataset

pytest.importorskip("fsspec")


@pytest.fixture
def urls(tmp_path):
    """Ten files by URL, without a network."""
    folder = tmp_path / "there"
    folder.mkdir()
    for k in range(10):
        (folder / f"{k}.bin").write_bytes(bytes([k]) * (k + 1))
    return [f"file://{folder}/{k}.bin" for k in range(10)]


@pytest.fixture
def remote(tmp_path):
    """A cache of its own."""
    return ps.Remote(cache=tmp_path / "cache", wait=0.01, ahead=3)


def settle(dataset):
    """Wait for what is fetched in the background."""
    for node in [dataset.node, *dataset.node.sources]:
        for thread in list(node.ahead.pending.values()) if hasattr(node, "ahead") else ():
            thread.join()


def test_contract(urls, remote):
    """Every promise of a description holds with fetch in it: sequences and streams, empty, of one, endless."""
    check_dataset(ps.items(urls).fetch(remote).batch(3, collate=list))
    check_dataset(ps.items(urls).shuffle().fetch(remote).map(len))
    check_dataset(ps.items(urls).repeat().fetch(remote), limit=25)
    check_dataset(ps.items(urls[:1]).fetch(remote))
    check_dataset(ps.items([]).fetch(remote))
    check_dataset(ps.stream(urls).fetch(remote).batch(3, collate=list))
    check_dataset(ps.items(urls).filter(lambda url: "7" not in url).fetch(remote))


def test_it_looks_ahead(urls, remote):
    """Behind the position that was asked for, as many as were allowed are fetched, and no more."""
    dataset = ps.items(urls).select([5, 1, 9, 3, 7, 0]).fetch(remote)
    assert dataset[0] == bytes([5]) * 6
    settle(dataset)
    assert [remote.has(urls[k]) for k in (5, 1, 9, 3, 7, 0)] == [True, True, True, True, False, False]


def test_functions_run_once(urls, remote):
    """Where the input runs a function, it is not called for what comes next: it might cost, or count."""
    calls = []
    dataset = ps.items(urls).map(lambda url: calls.append(url) or url).fetch(remote)
    assert dataset[0] == b"\0"
    assert calls == urls[:1]


def test_errors_name_the_url(urls, remote):
    """An object that is not there is an error at its own place, and in nobody else's way."""
    dataset = ps.items([urls[0], "file:///nowhere/x", urls[2]]).fetch(remote)
    with pytest.raises(StoreError, match="nowhere/x does not exist") as caught:
        list(dataset)
    assert any("file:///nowhere/x" in note for note in caught.value.__notes__)
    assert list(dataset.on_error("skip")) == [b"\0", b"\2\2\2"]
    settle(dataset)
    with pytest.raises(ArgumentTypeError, match="must be a URL"):
        ps.items([b"x"]).fetch(remote)[0]


def test_label(urls, remote, tmp_path):
    """Where things are kept is no part of what is read: a state fits any cache."""
    dataset = ps.items(urls).fetch(remote)
    assert dataset.node.label() == "fetch()"
    with dataset.loader() as loader:
        next(iter(loader))
        state = loader.state_dict()
    other = ps.items(urls).fetch(ps.Remote(cache=tmp_path / "other"))
    with other.loader() as loader:
        loader.load_state_dict(state)
        assert len(list(loader)) == 9
    settle(dataset)
    settle(other)
