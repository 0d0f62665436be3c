"""stream as an operation: read again from the front, resumed by replay, closed when given up."""

from __future__ import annotations

import itertools
import threading

import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, ClosedError, EndedQuietly, StateError
from penstock.testing import Scrambled, check_dataset


def numbers():
    """Yield some numbers."""
    yield from range(9)


class Again:
    """An iterable that counts how often it is begun, and can be read again."""

    def __init__(self, n):
        self.n = n
        self.begun = 0

    def __iter__(self):
        """Begin once more."""
        self.begun += 1
        return iter(range(self.n))


@pytest.mark.parametrize(
    "dataset",
    [
        ps.stream([]),
        ps.stream([3, 1, 2]),
        ps.stream(numbers),
        ps.stream(range(9)),
        ps.stream({"a": 1, "b": 2}),
        ps.stream("text"),
        ps.stream(itertools.count),
        ps.stream(lambda: [1, 2, 3]),
        ps.stream(ps.range(9).shuffle()),
        ps.stream(numbers).map(lambda x, rng: (x, rng.random()), rng=True).filter(lambda p: p[0] % 2).batch(2),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds over a stream."""
    check_dataset(dataset, limit=12)


@pytest.mark.parametrize(
    "once",
    [iter([1]), (x for x in [1]), map(str, [1]), zip([1], [2], strict=True), enumerate([1])],
    ids=lambda x: type(x).__name__,
)
def test_what_can_be_read_once_is_refused(once):
    """An iterator is refused when it is given: there would be no second epoch and no resume."""
    with pytest.raises(ArgumentTypeError, match=r"is an iterator: it can be read once.*function that makes it"):
        ps.stream(once)


def test_a_function_is_called_anew_for_every_epoch():
    """Each epoch begins the source again."""
    source = Again(3)
    with ps.stream(source).loader() as loader:
        assert [list(loader) for _ in range(3)] == [[0, 1, 2]] * 3
    assert source.begun == 3


def test_nothing_is_read_before_it_is_asked_for():
    """Describing, and beginning to iterate, do not touch the source."""
    source = Again(3)
    iterator = iter(ps.stream(source).map(str))
    assert source.begun == 0
    assert next(iterator) == "0"


def test_resuming_replays():
    """Resuming reads the source again from its front and drops what came before."""
    source = Again(9)
    dataset = ps.stream(source)
    with dataset.loader() as loader:
        assert list(itertools.islice(loader, 4)) == [0, 1, 2, 3]
        saved = loader.state_dict()
    assert saved["position"] == 4
    with dataset.loader(workers=Scrambled()) as loader:
        loader.load_state_dict(saved)
        assert list(loader) == [4, 5, 6, 7, 8]
    assert source.begun == 2


def test_a_source_that_has_become_shorter_is_an_error():
    """A state that lies behind the end of what the source now gives is never taken for a quiet end."""
    source = Again(9)
    dataset = ps.stream(source)
    state = {"epoch": 0, "position": 7}
    source.n = 5
    with pytest.raises(Exception, match=r"5|7"):
        list(dataset.resume(state))


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_errors_of_the_source_come_at_their_place(workers):
    """An exception of the source comes behind the items before it, as itself, and again when asked again."""

    def torn():
        yield from range(5)
        raise OSError("torn")

    found = []
    with ps.stream(torn).map(lambda x: x).loader(workers=workers) as loader:
        with pytest.raises(OSError, match="torn"):
            for x in loader:
                found.append(x)
        assert found == [0, 1, 2, 3, 4]
        loader.load_state_dict(loader.state_dict())
        with pytest.raises(OSError, match="torn"):
            list(loader)


def test_errors_of_the_source_are_named():
    """An exception of the source says which item of which stream it was, and where the stream was written."""

    def torn():
        yield 1
        raise OSError("torn")

    with pytest.raises(OSError, match="torn") as caught:
        list(ps.stream(torn))
    notes = "\n".join(getattr(caught.value, "__notes__", []))
    assert "item 1 of stream(" in notes
    assert __file__ in notes


def test_a_generator_is_closed_when_given_up():
    """The `finally` of a generator runs at the break, at the close and at the end."""
    closed = []

    def source():
        try:
            yield from range(9)
        finally:
            closed.append(1)

    dataset = ps.stream(source).map(str)
    with dataset.loader() as loader:
        assert next(iter(loader)) == "0"
    assert closed == [1]
    with dataset.loader() as loader:
        iterator = iter(loader)
        next(iterator)
        del iterator
        assert closed == [1, 1]
        assert len(list(loader)) == 9
    assert closed == [1, 1, 1]


def test_a_function_that_returns_nothing_iterable_is_refused():
    """A forgotten `yield` or `return` is told, with the function's name."""

    def forgot():
        return None

    with pytest.raises(ArgumentTypeError, match=r"forgot\(\) returned None \(NoneType\), which cannot be iterated"):
        list(ps.stream(forgot))


def test_a_function_that_stops_is_an_error():
    """A function that raises StopIteration instead of returning an iterator does not give an empty epoch."""

    def stop():
        raise StopIteration

    with pytest.raises(EndedQuietly, match="stop"):
        list(ps.stream(stop))


def test_a_function_that_returns_the_same_iterator_is_an_error():
    """A function whose iterator is used up gives an error in the second epoch, not an empty epoch."""
    used = iter([1, 2, 3])

    def same_again():
        return used

    with ps.stream(same_again).loader() as loader:
        assert list(loader) == [1, 2, 3]
        with pytest.raises(ArgumentTypeError, match="iterator"):
            list(loader)


# ------------------------------------------------------------------------------- sources that resume by themselves


class Counter:
    """An iterator that can say where it is."""

    def __init__(self, n):
        self.n = n
        self.at = 0
        self.steps = 0

    def __iter__(self):
        """Return itself."""
        return self

    def __next__(self):
        if self.at == self.n:
            raise StopIteration
        self.at += 1
        self.steps += 1
        return self.at * 10

    def state_dict(self):
        """Return where it is."""
        return {"at": self.at, "kind": "counter"}

    def load_state_dict(self, state):
        """Go there."""
        assert state["kind"] == "counter"
        self.at = state["at"]


class Iterable:
    """An iterable dataset with the state in itself, as PyTorch's and Hugging Face's have it."""

    def __init__(self, n):
        self.n = n
        self.at = 0
        self.epoch = 0

    def set_epoch(self, epoch):
        """Note the epoch."""
        self.epoch = epoch

    def __iter__(self):
        """Go on where it is."""
        while self.at < self.n:
            self.at += 1
            yield 100 * self.epoch + self.at

    def state_dict(self):
        """Return where it is."""
        return {"at": self.at}

    def load_state_dict(self, state):
        """Go there."""
        self.at = state["at"]


class Holder:
    """An iterable whose iterators can say where they are, and count their steps."""

    def __init__(self, n):
        self.n = n
        self.made = []

    def __iter__(self):
        """Make an iterator."""
        self.made.append(Counter(self.n))
        return self.made[-1]


@pytest.mark.parametrize(
    "dataset",
    [
        ps.stream(Holder(9)),
        ps.stream(Holder(0)),
        ps.stream(Counter(9)),
        ps.stream(Iterable(9)),
        ps.stream(lambda: Counter(9)),
        ps.stream(lambda: Iterable(9)),
        ps.stream(Iterable(9)).filter(lambda x: x % 2).map(lambda x, rng: (x, rng.random()), rng=True).batch(2),
        ps.stream(Counter(9)).map(float).prefetch(2).batch(4),
        ps.zip(ps.stream(Holder(9)), ps.stream(Iterable(7))),
        ps.stream(Iterable(4)).repeat(2),
    ],
    ids=repr,
)
def test_contract_of_sources_with_a_state(dataset):
    """Every promise of a description holds over sources that resume by themselves; the description does not move."""
    check_dataset(dataset, limit=12)
    check_dataset(dataset, limit=3, epochs=(0,), executors=(ps.Threads(1),))


@pytest.mark.parametrize("workers", [ps.Inline(), Scrambled()], ids=repr)
def test_a_source_with_a_state_reads_nothing_again(workers):
    """Resuming loads the state instead of reading again; the state stands in the position, as plain JSON."""
    source = Holder(100)
    dataset = ps.stream(source)
    with dataset.loader(workers=workers) as loader:
        assert list(itertools.islice(loader, 40))[-1] == 400
        saved = loader.state_dict()
    assert saved["position"] == [40, {"state": {"at": 40, "kind": "counter"}}]
    with dataset.loader(workers=workers) as loader:
        loader.load_state_dict(saved)
        assert next(iter(loader)) == 410
    assert source.made[-1].steps < 100
    assert source.made[-1].at - source.made[-1].steps == 40


def test_an_epoch_is_told_to_a_source_that_wants_to_know():
    """set_epoch is called with the number of the epoch before it is read."""
    with ps.stream(Iterable(3)).loader() as loader:
        assert [list(loader) for _ in range(3)] == [[1, 2, 3], [101, 102, 103], [201, 202, 203]]


def test_epochs_that_are_read_at_once_do_not_disturb_one_another():
    """Of an iterable that is told its epoch, each reading has a copy: another epoch's changes neither it nor the source."""

    class Told:
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __iter__(self):
            for number in range(3):
                yield self.epoch, number

    source = Told()
    dataset = ps.stream(source)
    both = ps.zip(dataset.epoch(4), dataset.epoch(7))
    assert list(both) == [((4, number), (7, number)) for number in range(3)]
    assert source.epoch is None


def test_an_epoch_that_is_left_moves_nothing():
    """The dataset that was given stays where it is, so that the next epoch begins at the front."""
    source = Iterable(5)
    with ps.stream(source).loader() as loader:
        assert next(iter(loader)) == 1
        assert list(loader) == [101, 102, 103, 104, 105]
    assert (source.at, source.epoch) == (0, 0)


def test_states_of_another_kind_are_refused():
    """A state of a source that has none now, one that is no JSON, and one that the source refuses, are errors."""
    state = {"epoch": 0, "position": [4, {"state": {"at": 4}}]}
    with pytest.raises(StateError, match=r"stream\(numbers\) has no load_state_dict"):
        list(ps.stream(numbers).resume(state))
    with pytest.raises(StateError, match=r"load_state_dict\(\) of Counter refuses.*'kind'"):
        list(ps.stream(Counter(9)).resume(state))

    class Odd(Counter):
        def state_dict(self):
            return {"at": {self.at}}

    with pytest.raises(ArgumentTypeError, match=r"state_dict\(\) of Odd must return plain JSON"):
        list(ps.stream(Odd(9)))


def test_a_source_that_cannot_be_copied_is_told():
    """An iterable with a state that cannot be copied is refused, with the way that works."""

    class Held(Iterable):
        def __deepcopy__(self, memo):
            raise TypeError("a socket")

    with pytest.raises(ArgumentTypeError, match=r"cannot be copied: a socket\. Give the function that makes it"):
        list(ps.stream(Held(3)))
    assert list(ps.stream(lambda: Held(3))) == [1, 2, 3]


def test_asking_again_in_line_replays():
    """When a generator has failed, the same iteration tries again from where it stood; it does not end quietly."""
    broken = [True]

    def torn():
        yield 1
        if broken:
            broken.pop()
            raise OSError("torn")
        yield 2

    iterator = iter(ps.stream(torn))
    assert next(iterator) == 1
    with pytest.raises(OSError, match="torn"):
        next(iterator)
    assert list(iterator) == [2]


def test_pytorchs_iterable_datasets():
    """PyTorch's IterableDataset is a stream, and resumes by itself where it can."""
    data = pytest.importorskip("torch.utils.data")

    class Plain(data.IterableDataset):
        def __iter__(self):
            return iter(range(5))

    class Stateful(Iterable, data.IterableDataset):
        pass

    check_dataset(ps.stream(Plain()), limit=6)
    check_dataset(ps.stream(Stateful(5)), limit=6)


def test_hugging_faces_iterable_datasets():
    """A streaming dataset of Hugging Face is a stream, and resumes by its own state."""
    datasets = pytest.importorskip("datasets")
    streamed = datasets.Dataset.from_dict({"x": list(range(9))}).to_iterable_dataset(num_shards=3)
    check_dataset(ps.stream(streamed), limit=12)


def test_label():
    """A stream is printed with its function's name or its kind of iterable."""
    assert ps.stream(numbers).node.label() == "stream(numbers)"
    assert ps.stream([1]).node.label() == "stream(list)"


class Rewound:
    """Its own iterator, which begins anew when it is asked again after its end, as many are written."""

    def __init__(self, count):
        self.count = count
        self.next = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.next == self.count:
            self.next = 0
            raise StopIteration
        self.next += 1
        return self.next

    def state_dict(self):
        """Return the place."""
        return {"next": self.next}

    def load_state_dict(self, state):
        """Go to a place."""
        self.next = state["next"]


def test_an_end_is_an_end():
    """Steps that ask again after the end get nothing, even where the iterator would begin anew."""
    dataset = ps.stream(Rewound(5)).batch(2, collate=list)
    assert list(itertools.islice(dataset, 9)) == [[1, 2], [3, 4], [5]]
    check_dataset(dataset)
    check_dataset(ps.stream(lambda: Rewound(5)).batch(3).rebatch(2))


def test_a_loader_is_closed_while_another_thread_is_in_the_generator():
    """Closing does not fail; the generator is closed by the thread that is in it."""
    inside, go, ended = threading.Event(), threading.Event(), threading.Event()

    def numbers():
        try:
            yield 1
            inside.set()
            go.wait(20)
            yield 2
        finally:
            ended.set()

    loader = ps.stream(numbers).loader()
    errors = []

    def read():
        try:
            errors.extend(loader)
        except ClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert inside.wait(20)
    loader.close()
    go.set()
    thread.join(20)
    assert ended.wait(20)
