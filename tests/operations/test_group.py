"""group and bucket: against a plain definition, with bounded memory, and small states that resume anywhere."""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, EndedQuietly
from penstock.testing import check_dataset, same


def rest(x):
    """Return a key."""
    return int(x) % 5


def size(x):
    """Return a size from 1 to 7."""
    return int(x) % 7 + 1


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).group(rest, 3),
        ps.range(1).group(rest, 3),
        ps.range(40).group(rest, 3),
        ps.range(40).shuffle().group(rest, 3, last="drop"),
        ps.range(40).shuffle().group(rest, 4, open=2),
        ps.range(40).shuffle().filter(lambda x: x % 3).group(rest, 4, within=6),
        ps.range(40).shuffle().group(rest, 4, within=1),
        ps.range(40).group(rest, 1),
        ps.stream(range(40)).group(rest, 3, collate=list).unbatch(),
        ps.range(7).repeat().group(rest, 3),
        ps.range(0).bucket(size, [3, 5], 4),
        ps.range(40).shuffle().bucket(size, [3, 5], 4),
        ps.range(40).shuffle().bucket(size, [3, 5], [1, 2, 3], last="drop"),
        ps.range(40).shuffle().bucket(size, [3, 5], budget=12),
        ps.range(40).shuffle().bucket(size, [], budget=7),
        ps.stream(range(40)).bucket(size, [4], 3, within=9),
        ps.range(7).repeat().bucket(size, [4], budget=20),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with groups in it."""
    check_dataset(dataset, limit=20)


def test_processes():
    """Items made by processes are grouped like those made in line."""
    check_dataset(ps.range(40).shuffle().group(rest, 3), limit=20, executors=(ps.Processes(2),), epochs=(0,))


def grouped(items, key, count, last="keep", most=10**9, within=10**9):
    """Return the batches: the definition."""
    groups, made = {}, []

    def close(name):
        group = groups.pop(name)[1]
        if len(group) == count or last == "keep":
            made.append(group)

    for number, item in enumerate(items):
        name = key(item)
        groups.setdefault(name, (number, []))[1].append(item)
        if len(groups[name][1]) == count:
            close(name)
        while groups:
            oldest = min(groups, key=lambda name: groups[name][0])
            if len(groups) <= most and number + 1 - groups[oldest][0] < within:
                break
            close(oldest)
    for name in sorted(groups, key=lambda name: groups[name][0]):
        close(name)
    return made


@given(
    st.lists(st.integers(0, 9), max_size=40),
    st.integers(1, 4),
    st.sampled_from(["keep", "drop"]),
    st.integers(1, 6),
    st.integers(1, 20),
)
def test_groups(items, count, last, most, within):
    """Batches are those of the definition, with every limit."""
    dataset = ps.items(items).group(lambda x: x % 7, count, last=last, open=most, within=within, collate=list)
    assert list(dataset) == grouped(items, lambda x: x % 7, count, last, most, within)


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 4))
def test_buckets(items, count):
    """Buckets are groups by the place of the size among the boundaries."""
    dataset = ps.items(items).bucket(lambda x: x, [4, 9], count, collate=list)
    assert list(dataset) == grouped(items, lambda x: bisect_right([4, 9], x), count)


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(20, 60))
def test_buckets_with_a_budget(items, budget):
    """With a budget every batch is of one bucket, within the budget when padded, and nothing is lost."""
    found = list(ps.items(items).bucket(lambda x: x, [4, 9], budget=budget, collate=list))
    assert sorted(itertools.chain(*found)) == sorted(items)
    for batch in found:
        assert len({bisect_right([4, 9], x) for x in batch}) == 1
        assert max(batch) * len(batch) <= budget


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 4), st.integers(1, 12), st.data())
def test_states_resume_anywhere(items, count, within, data):
    """From any state exactly the rest comes, and no more than ``within`` items and a few are read again."""
    read = []

    def look(x):
        read.append(x)
        return x

    dataset = ps.items(items).map(look).group(lambda x: x % 11, count, within=within, open=4, collate=list)
    with dataset.loader() as loader:
        states, found = [loader.state_dict()], []
        reads = [0]
        for batch in loader:
            found.append(batch)
            states.append(json.loads(json.dumps(loader.state_dict())))
            reads.append(len(read))
    where = data.draw(st.integers(0, len(found)))
    read.clear()
    with dataset.loader() as loader:
        loader.load_state_dict(states[where])
        assert same(list(loader), found[where:])
    assert len(read) - (len(items) - reads[where]) <= within


def test_a_rare_key_keeps_states_small():
    """With as many groups open as may be, a state stays below a kilobyte."""
    dataset = ps.range(20_000).shuffle().group(lambda x: x % 64, 300, open=64, collate=len)
    with dataset.loader() as loader:
        for _ in itertools.islice(loader, 3):
            assert len(json.dumps(loader.state_dict())) < 1024


def test_arrays_of_one_shape():
    """Images of different shapes are stacked, group by group."""
    images = [np.full((1 + k % 2, 2), k) for k in range(8)]
    found = list(ps.items(images).group(np.shape, 2))
    assert [b.shape for b in found] == [(2, 1, 2), (2, 2, 2)] * 2


def test_ranks_divide_each_batch():
    """Ranks take their parts of every batch; one that is too short is refused, with the remedy."""
    dataset = ps.range(43).group(rest, 4, last="drop")
    parts = []
    for rank in range(2):
        with dataset.loader(shard=(rank, 2)) as loader:
            parts.append([b.tolist() for b in loader])
    assert [a + b for a, b in zip(*parts, strict=True)] == [b.tolist() for b in dataset]
    short = [ps.range(43).group(rest, 4), ps.range(42).bucket(size, [3], 5)]
    for dataset in short:
        with (
            dataset.loader(shard=(0, 3)) as loader,
            pytest.raises(ArgumentError, match=r'divided over 3 ranks.*last="drop"'),
        ):
            list(loader)
    for make in (lambda: ps.range(9).group(rest, 2), lambda: ps.range(9).bucket(size, [3], [2, 4])):
        with pytest.raises(ArgumentError, match="3 ranks"):
            make().loader(shard=(0, 3))


def boom(*_):
    """Fail."""
    raise ZeroDivisionError


def stop(*_):
    """Stop."""
    raise StopIteration


@pytest.mark.parametrize("base", [ps.items([5, 6, 7]), ps.stream([5, 6, 7])], ids=repr)
def test_errors_of_functions_keep_their_type(base):
    """What a user's function raises arrives as it is, with the step and the line; StopIteration ends nothing."""
    for dataset in (base.group(boom, 2), base.group(bool, 2, collate=boom), base.bucket(boom, [3], 2)):
        with pytest.raises(ZeroDivisionError) as caught:
            list(dataset)
        assert dataset.node.label() in "\n".join(caught.value.__notes__)
        assert __file__ in "\n".join(caught.value.__notes__)
    for dataset in (base.group(stop, 2), base.group(bool, 2, collate=stop), base.bucket(stop, [3], 2)):
        with pytest.raises(EndedQuietly):
            list(dataset)


def test_an_error_loses_nothing():
    """After an error of one batch, the next try gives that batch: no group is lost with it."""
    fails = [True]

    def fussy(rows):
        if 3 in rows and fails:
            fails.clear()
            raise ZeroDivisionError
        return list(rows)

    dataset = ps.range(12).group(lambda x: x % 3, 2, collate=fussy)
    with dataset.loader() as loader:
        epoch = iter(loader)
        found = []
        with pytest.raises(ZeroDivisionError):
            for batch in epoch:
                found.append(batch)
        found.extend(epoch)
    assert found == grouped(range(12), lambda x: x % 3, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.group("shape", 3), ["group()", "key", "function", "'shape'"]),
        (lambda d: d.group(rest, 0), ["group()", "size", "at least 1"]),
        (lambda d: d.group(rest, 2, open=65), ["group()", "at most 64", "65"]),
        (lambda d: d.group(rest, 2, open=0), ["group()", "open", "at least 1"]),
        (lambda d: d.group(rest, 2, within=0), ["group()", "within", "at least 1"]),
        (lambda d: d.group(rest, 2, last="error"), ["group()", "last"]),
        (lambda d: list(d.group(lambda x: [x], 2)), ["group(", "dict's key", "[0] (list)", "tuple"]),
        (lambda d: d.bucket(3, [3], 2), ["bucket()", "size", "function"]),
        (lambda d: d.bucket(len, [3, 3], 2), ["bucket()", "boundaries", "grow"]),
        (lambda d: d.bucket(len, 3, 2), ["bucket()", "boundaries"]),
        (lambda d: d.bucket(len, ["a"], 2), ["bucket()", "boundaries"]),
        (lambda d: d.bucket(len, range(64), 2), ["bucket()", "63 boundaries"]),
        (lambda d: d.bucket(len, [3]), ["bucket()", "budget="]),
        (lambda d: d.bucket(len, [3], 2, budget=3), ["bucket()", "budget="]),
        (lambda d: d.bucket(len, [3], budget=0), ["bucket()", "budget", "above 0"]),
        (lambda d: d.bucket(len, [3], [1, 2, 3]), ["bucket()", "2 buckets", "3 numbers"]),
        (lambda d: d.bucket(len, [3], [1, 0]), ["bucket()", "at least 1"]),
        (lambda d: list(d.bucket(str, [3], 2)), ["bucket(", "str()", "0 or more"]),
        (lambda d: list(d.bucket(size, [3], budget=2)), ["bucket(", "has size 3", "budget"]),
    ],
)
def test_mistakes(make, words):
    """What cannot work is refused with the value, the operation and the remedy."""
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        make(ps.range(10))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("where", [0, 1, 5])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_error_of_the_key_loses_nothing(where, size):
    """After an error of the key the next try asks it again of the same item, whether or not anything is held."""
    fails = [True]

    def fussy(x):
        if x == where and fails:
            fails.clear()
            raise ZeroDivisionError
        return x % 2

    found = []
    with ps.range(8).group(fussy, size, collate=list).loader() as loader:
        epoch = iter(loader)
        with pytest.raises(ZeroDivisionError):
            found.extend(epoch)
        found.extend(epoch)
    assert found == grouped(range(8), lambda x: x % 2, size)


def torn(x):
    """Return what is left of a division by two, but for one item."""
    if x == 6:
        raise OSError("torn")
    return x % 2


@pytest.mark.parametrize(
    "behind",
    [
        lambda d: d.group(torn, 2),
        lambda d: d.bucket(torn, [1], 2),
        lambda d: d.batch_by(3, torn),
        lambda d: d.batch_while(lambda items, item: torn(item) < 2),
    ],
)
def test_errors_behind_steps_that_leave_items_out(behind):
    """Behind a filter or a flat_map, too, a function's error comes as it is, in line, and names the source's item."""
    for dataset in (ps.range(9).filter(lambda x: x > 2), ps.range(9).flat_map(lambda x: [x] * (x % 5))):
        with pytest.raises(OSError, match="torn") as caught:
            list(behind(dataset))
        assert any("item 6 of" in note for note in caught.value.__notes__)
