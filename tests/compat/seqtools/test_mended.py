"""Faults of SeqTools 1.4.1 that the same programs do not have on ours."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import threading
import time
from collections import OrderedDict

import numpy as np
import pytest

from penstock.compat import seqtools
from penstock.compat.seqtools.evaluation import Prefetch


def square(x):
    """Return the square."""
    return x * x


@pytest.mark.parametrize("method", ["thread", "process"])
def test_negative_positions_of_prefetch(method):
    """p[-1] is the last item; it stopped a worker and hung."""
    ahead = seqtools.prefetch(seqtools.smap(square, range(10)), 2, method, 4)
    assert (ahead[-1], ahead[0], ahead[-10]) == (81, 0, 0)


def test_positions_beyond_the_end_of_prefetch():
    """p[len] is an IndexError; it was an EvaluationError."""
    ahead = seqtools.prefetch([1, 2], 2)
    for index in (2, -3):
        with pytest.raises(IndexError):
            ahead[index]


def test_slices_of_prefetch():
    """A slice is a sequence; it was a TypeError."""
    ahead = seqtools.prefetch(seqtools.smap(square, range(10)), 2)
    assert list(ahead[2:5]) == [4, 9, 16]


@pytest.mark.parametrize("method", ["thread", "process"])
def test_prefetch_of_nothing(method):
    """An empty sequence is empty; reading it was an EvaluationError."""
    assert list(seqtools.prefetch([], 2, method, 4)) == []


def test_nothing_is_asked_for_beyond_the_end():
    """No index from len on is evaluated; they were, up to max_buffered of them."""
    asked = []

    class Source:
        def __len__(self):
            return 5

        def __getitem__(self, index):
            asked.append(index)
            return index

    assert list(seqtools.prefetch(Source(), 2, max_buffered=10)) == [0, 1, 2, 3, 4]
    assert max(asked) == 4


def test_epochs_of_prefetch_do_not_mix():
    """A loop that is left early leaves nothing to the next one."""
    ahead = seqtools.prefetch(seqtools.smap(square, range(30)), 2)
    for _ in range(3):
        assert list(itertools.islice(ahead, 7)) == [x * x for x in range(7)]
    assert list(ahead) == [x * x for x in range(30)]
    assert list(ahead) == [x * x for x in range(30)]


def test_interleaved_readers_of_prefetch():
    """Two iterations at once give each its own items."""
    ahead = seqtools.prefetch(range(5), 2)
    assert list(zip(ahead, ahead, strict=True)) == [(i, i) for i in range(5)]


def test_threads_share_a_prefetch():
    """Threads that read at random get what they ask for; the original was not made for it."""
    ahead = seqtools.prefetch(seqtools.smap(square, range(50)), 2)
    wrong = []

    def read(seed):
        for index in np.random.default_rng(seed).integers(0, 50, 20).tolist():
            if ahead[index] != index * index:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_prefetch_from_another_thread():
    """Processes can be started outside the main thread; that was a ValueError."""
    result = []
    thread = threading.Thread(
        target=lambda: result.extend(seqtools.prefetch(seqtools.smap(square, range(5)), 1, "process", 4))
    )
    thread.start()
    thread.join()
    assert result == [0, 1, 4, 9, 16]


def test_a_worker_that_is_killed_is_replaced(tmp_path):
    """An item that kills one worker is computed by another; the sequence was lost."""

    def deadly(x):
        if x == 3 and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    assert list(seqtools.prefetch(seqtools.smap(deadly, range(8)), 2, "process", 4)) == list(range(8))


def test_an_item_that_kills_every_worker_is_an_error():
    """The error is a RuntimeError, as it was, and says which item it is."""

    def deadly(x):
        if x == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    with pytest.raises(RuntimeError, match="3"):
        list(seqtools.prefetch(seqtools.smap(deadly, range(8)), 1, "process", 4))


def test_an_item_that_cannot_travel_says_why():
    """The message has the reason; it had the characters {e}."""
    with pytest.raises(seqtools.EvaluationError) as caught:
        list(seqtools.prefetch(seqtools.smap(lambda x: threading.Lock(), range(3)), 1, "process", 4))
    assert "{e}" not in str(caught.value.__cause__)
    assert "lock" in str(caught.value.__cause__)


def test_giving_a_prefetch_up_does_not_wait_for_queued_items():
    """What nobody has begun is not computed; deleting it waited for all that was queued."""
    began, gate = [], threading.Event()

    def wait(x):
        began.append(x)
        if x:
            gate.wait()
        return x

    ahead = seqtools.prefetch(seqtools.smap(wait, range(20)), 2, max_buffered=20)
    assert ahead[0] == 0
    del ahead
    gate.set()
    assert len(began) < 20


def test_prefetch_with_a_cache_in_threads_and_processes_at_once():
    """A cache that threads are at work in can be handed to processes; a fork with its lock held hung."""
    cached = seqtools.add_cache(seqtools.smap(square, range(40)), 2)
    threads = seqtools.prefetch(seqtools.batch(cached, 2), 2, "thread", 4)
    processes = seqtools.prefetch(seqtools.batch(cached, 2), 2, "process", 4)
    first = threads[0]
    assert list(processes) == list(threads)
    assert first == [0, 1]


def test_a_cache_does_not_keep_threads_from_one_another():
    """Items of a cache are computed at the same time; a lock was held meanwhile."""
    for cache in (None, OrderedDict()):
        barrier, met = threading.Barrier(2, timeout=20), []

        def meet(x, barrier=barrier, met=met):
            if not met:
                barrier.wait()
                met.append(x)
            return x

        cached = seqtools.add_cache(seqtools.smap(meet, range(8)), 1, cache)
        assert list(seqtools.prefetch(cached, 2)) == list(range(8))


def test_a_cache_forgets_what_was_used_longest_ago():
    """0, 1, 0, 2, 0 computes 0 once; the oldest was forgotten, however often it was used."""
    calls = []
    cached = seqtools.add_cache(seqtools.smap(calls.append, range(3)), 2)
    for index in (0, 1, 0, 2, 0):
        cached[index]
    assert calls == [0, 1, 2]


def test_iteration_uses_the_cache():
    """A loop finds what is kept; it went past the cache."""
    calls = []
    cached = seqtools.add_cache(seqtools.smap(calls.append, range(3)), 3)
    list(cached), list(cached)
    assert calls == [0, 1, 2]


def test_a_kept_item_cannot_be_spoiled():
    """Changing an item that was read does not change what is kept."""
    cached = seqtools.add_cache(seqtools.smap(lambda x: [x], range(3)), 3)
    cached[0].append("spoiled")
    assert cached[0] == [0]


def test_any_mapping_can_be_a_cache():
    """A plain dict works, as the documentation says; it raised TypeError when it was full."""
    mine = {}
    cached = seqtools.add_cache(seqtools.smap(square, range(9)), 2, mine)
    assert (list(cached), mine) == ([x * x for x in range(9)], {7: 49, 8: 64})


def test_caches_and_prefetches_can_be_pickled():
    """A description with a cache or a prefetch in it travels; a lock kept it from that."""
    cached = seqtools.add_cache(seqtools.smap(square, range(4)), 2)
    own = seqtools.add_cache(seqtools.smap(square, range(4)), 2, {})
    for sequence in (cached, own, seqtools.prefetch(cached, 2)):
        list(sequence)
        assert list(pickle.loads(pickle.dumps(sequence))) == [0, 1, 4, 9]


def test_a_prefetch_inside_a_prefetch():
    """A stage with its own workers can stand before another, in threads or in processes."""
    for method in ("thread", "process"):
        inner = seqtools.prefetch(seqtools.smap(square, range(12)), 2, "thread", 4)
        outer = seqtools.prefetch(seqtools.smap(str, inner), 2, method, 4)
        assert isinstance(outer, Prefetch)
        assert list(outer) == [str(x * x) for x in range(12)]


def test_padding_a_full_last_batch():
    """A last batch that is full is left alone; it was padded to twice its size."""
    assert list(seqtools.batch(range(4), 2, pad=-1)) == [[0, 1], [2, 3]]
    assert list(seqtools.batch(range(5), 2, drop_last=True, pad=-1)) == [[0, 1], [2, 3]]


def test_batches_of_what_has_no_end():
    """An endless sequence can be batched; that was a TypeError."""
    assert seqtools.batch(seqtools.cycle([1, 2, 3]), 2)[10**9] == [3, 1]


def test_batch_sizes_are_checked_at_once():
    """A size of 0 is refused where it is written; it was a ZeroDivisionError when reading."""
    with pytest.raises(ValueError, match="batch"):
        seqtools.batch([1], 0)


def test_unbatching_nothing():
    """No batches have no rows; they had batch_size."""
    assert len(seqtools.unbatch([], 4)) == 0
    assert list(seqtools.unbatch([], 4, 2)) == []


def test_unbatching_batches_of_other_sizes():
    """A batch of another size than was said is an error; iteration and positions gave different items."""
    rows = seqtools.unbatch([[1, 2], [3, 4, 5], [6]], 2, 1)
    with pytest.raises(ValueError, match="3"):
        list(rows)
    with pytest.raises(ValueError, match="3"):
        rows[2]


def test_slices_past_the_end():
    """A slice past the end is empty; it had the last item."""
    view = seqtools.smap(square, [1, 2, 3])
    assert list(view[5:10]) == []
    assert len(seqtools.smap(square, [])[:3]) == 0
    assert list(view[1:]) == [4, 9]


def test_bounds_of_arange():
    """Positions are checked, and count from the end where they are negative; arange(5)[10] was 10."""
    numbers = seqtools.arange(5)
    assert numbers[-1] == 4
    with pytest.raises(IndexError):
        numbers[10]


def test_sequences_of_different_lengths():
    """A mapping of several is as long as the shortest, for len, positions and iteration alike."""
    both = seqtools.smap(lambda x, y: (x, y), [1, 2, 3], [4])
    assert (len(both), list(both), both[-1]) == (1, [(1, 4)], (1, 4))


def test_limits_of_cycle_and_repeat():
    """cycle(x, 0) is empty, and was endless; repeat(x, 0) and repeat(x, 1) work, and were refused."""
    assert list(seqtools.cycle([1], 0)) == []
    assert list(seqtools.cycle([], None)) == []
    assert (list(seqtools.repeat(1, 0)), list(seqtools.repeat(1, 1))) == ([], [1])


def test_slices_of_what_has_no_end():
    """The rest of an endless sequence is one."""
    assert seqtools.cycle("abc")[4:][0] == "b"
    assert list(seqtools.repeat(5)[10:13]) == [5, 5, 5]


def test_reading_an_iterable_past_its_end():
    """An iterable of unknown length ends a loop, raises IndexError beyond, and can be sliced and mapped."""
    numbers = seqtools.uniter(range(5), cache_size=2)
    assert list(numbers) == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        numbers[5]
    assert list(numbers[1:3]) == [1, 2]
    assert list(seqtools.smap(square, numbers)) == [0, 1, 4, 9, 16]
    assert list(seqtools.prefetch(seqtools.smap(square, numbers), 2)) == [0, 1, 4, 9, 16]


def test_what_can_only_be_iterated():
    """Iterables go through mappings, batches, joins and prefetches, again and again; one-shot iterators once."""

    class Lines:
        def __iter__(self):
            return iter("abc")

    view = seqtools.smap(str.upper, seqtools.interleave(Lines(), [1, 2][:0], "xy"))
    ahead = seqtools.prefetch(seqtools.batch(view, 2), 2)
    for _ in range(2):
        assert list(view) == list("AXBYC")
        assert list(ahead) == [["A", "X"], ["B", "Y"], ["C"]]
    assert list(seqtools.smap(str.upper, iter("abc"))) == list("ABC")
    with pytest.raises(TypeError):
        len(view)


def test_caches_of_what_has_no_end():
    """An endless sequence can be cached, in a mapping of your own, too."""
    for cache in (None, {}):
        assert seqtools.add_cache(seqtools.cycle([1, 2, 3]), 2, cache)[10**6] == 2


def test_debug_counts_while_iterating():
    """The hook is told each item's index in a loop; it was always 0."""
    seen = []
    list(seqtools.instrument.debug("abc", lambda i, value: seen.append((i, value))))
    assert seen == [(0, "a"), (1, "b"), (2, "c")]


def test_functions_travel_with_their_source(tmp_path, monkeypatch):
    """A SerializableFunc runs as it was written, whatever its file says later; no temporary module is imported."""
    (tmp_path / "steps_of_a_user.py").write_text("FACTOR = 3\ndef triple(x):\n    return FACTOR * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import steps_of_a_user

    function = seqtools.SerializableFunc(steps_of_a_user.triple)
    data = pickle.dumps(seqtools.smap(function, [1, 2]))
    (tmp_path / "steps_of_a_user.py").write_text("def triple(x):\n    return None\n")
    copy = pickle.loads(data)
    assert list(copy) == [3, 6]
    assert function(2) == 6
    again = seqtools.SerializableFunc(pickle.loads(pickle.dumps(function)))
    assert again(2) == 6


@pytest.mark.parametrize(
    "call",
    [
        lambda s: seqtools.prefetch(s, max_cached=4, nworkers=2, method="process"),
        lambda s: seqtools.prefetch(s, 4, 2, "process"),
        lambda s: seqtools.prefetch(s, 4, 2),
        lambda s: seqtools.prefetch(s, 4, 2, "sharedmem"),
        lambda s: seqtools.prefetch(s, max_cached=4, timeout=1),
        lambda s: seqtools.prefetch(s, 2, "thread", 2),
        lambda s: seqtools.prefetch(s, -1, max_buffered=2) if os.cpu_count() > 1 else seqtools.prefetch(s, 1),
    ],
)
def test_both_spellings_of_prefetch(call):
    """The arguments of SeqTools 0.8, which its document has, and those of 1.4 work."""
    ahead = call(seqtools.smap(square, range(9)))
    assert isinstance(ahead, Prefetch)
    assert list(ahead) == [x * x for x in range(9)]


@pytest.mark.parametrize("method", ["thread", "process"])
@pytest.mark.parametrize("arguments", ["", "*number", "number=None"])
def test_a_hook_may_do_without_the_number(method, arguments, tmp_path):
    """SeqTools 0.9 called a process' hook without arguments, 1.4 with a number; either spelling works."""
    hook = eval(f"lambda {arguments}: (folder / 'called').touch()", {"folder": tmp_path})
    assert list(seqtools.prefetch(range(4), 1, method, 2, start_hook=hook)) == [0, 1, 2, 3]
    assert (tmp_path / "called").exists()


def test_buffers_are_not_written_over():
    """What load_buffers gave stays as it is, while more comes."""
    with_hook = seqtools.load_buffers(lambda: np.full(2000, time.monotonic()), 2, 1, start_hook=lambda number: None)
    buffers = list(itertools.islice(with_hook, 6))
    with_hook.close()
    assert all(len(set(buffer.tolist())) == 1 for buffer in buffers)
    assert len({buffer[0] for buffer in buffers}) == 6


def test_a_view_is_a_way_to_penstock():
    """The dataset behind a sequence can be gone on with; and datasets are welcome where sequences are."""
    view = seqtools.smap(square, range(6))
    assert [batch.tolist() for batch in view.dataset.batch(3)] == [[0, 1, 4], [9, 16, 25]]
    assert list(seqtools.batch(view.dataset, 4)) == [[0, 1, 4, 9], [16, 25]]


def refuse(x):
    """Raise what no pickle can name."""

    class Local(Exception):
        pass

    if x == 2:
        raise Local("no good")
    return x


def test_errors_that_pickle_cannot_name_arrive_as_themselves():
    """With passthrough, such an error comes from a process as what it is; it was an EvaluationError with its text."""
    ahead = seqtools.prefetch(seqtools.smap(refuse, range(4)), 1, "process", 4)
    before = seqtools.seterr()
    seqtools.seterr("passthrough")
    try:
        with pytest.raises(Exception, match="no good") as caught:
            list(ahead)
    finally:
        seqtools.seterr(before)
    assert type(caught.value).__name__ == "Local"


def test_values_for_a_slice_without_end_are_counted():
    """More or fewer values than places are refused; an endless repetition took the last of any number."""
    values = seqtools.repeat(3)
    with pytest.raises(ValueError, match="11 places and 10 values"):
        values[80:91] = range(10)
    values[80:91] = range(11)
    assert values[0] == 10
