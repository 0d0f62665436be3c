"""SeqTools' document on minibatches, as a program: run on ours, unchanged but for the import, and for shorter times."""

from __future__ import annotations

import time

import pytest

from penstock.compat import seqtools

FILES = [f"file{number}" for number in range(1, 11)]


def load(some_file):
    """Stand for reading a file: it takes a while, and no processor."""
    time.sleep(0.005)
    return list(range(10) if some_file == "file10" else range(200))


def preprocess(x):
    """Stand for work: it takes the processor."""
    began = time.perf_counter()
    while time.perf_counter() - began < 0.00001:
        pass
    return x


def expected():
    """Return all samples, in order."""
    return [x for _ in FILES[:-1] for x in range(200)] + list(range(10))


def test_files_as_one_sequence_of_samples():
    """Ten files read as one sequence have the length and the items that the document prints."""
    all_samples = seqtools.unbatch(seqtools.smap(load, FILES), 200, 10)
    assert (len(all_samples), all_samples[-2], all_samples[-1]) == (1810, 8, 9)
    assert list(all_samples) == expected()


def test_defining_computes_nothing():
    """No file is loaded before a sample is read."""
    calls = []
    seqtools.batch(seqtools.unbatch(seqtools.smap(calls.append, FILES), 200, 10), 64)
    assert calls == []


def test_the_debug_hook_shows_the_loads(capsys):
    """The hook sees each load, by the file's number: a batch is evaluated anew for each random read."""
    loaded_files = seqtools.instrument.debug(seqtools.smap(load, FILES), lambda i, _: print(f"loading file {i} ..."))
    all_samples = seqtools.unbatch(loaded_files, 200, 10)
    print(all_samples[-2])
    print(all_samples[-1])
    assert capsys.readouterr().out.splitlines() == ["loading file 9 ...", "8", "loading file 9 ...", "9"]


def test_the_cache_saves_loads():
    """Behind the cache, neighbouring reads load a file once; and all reads in order load each file once."""
    calls = []

    def noted(some_file):
        calls.append(some_file)
        return load(some_file)

    all_samples = seqtools.unbatch(seqtools.add_cache(seqtools.smap(noted, FILES), 2), 200, 10)
    assert (all_samples[-2], all_samples[-1], calls) == (8, 9, ["file10"])
    calls.clear()
    assert list(all_samples) == expected()
    assert calls == FILES


@pytest.mark.parametrize("method", [None, "thread", "process"])
def test_minibatches(method):
    """The whole pipeline gives the same batches in line, in threads and in processes, with the document's arguments."""
    loaded_files = seqtools.add_cache(seqtools.smap(load, FILES), 2)
    all_samples = seqtools.unbatch(loaded_files, 200, 10)
    preprocessed_samples = seqtools.smap(preprocess, all_samples)
    minibatches = seqtools.batch(preprocessed_samples, 64, collate_fn=list)
    if method is not None:
        minibatches = seqtools.prefetch(minibatches, max_cached=100, method=method, nworkers=2)
    batches = list(minibatches)
    assert [len(batch) for batch in batches] == [64] * 28 + [18]
    assert [x for batch in batches for x in batch] == expected()
