"""transform: a function of the iterator of all items, resumed by replay; or a class that resumes by itself."""

from __future__ import annotations

import itertools

import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, EndedQuietly, StateError
from penstock.testing import Scrambled, check_dataset


def differences(numbers):
    """Yield how far each number is from the one before."""
    last = next(numbers, None)
    for number in numbers:
        yield number - last
        last = number


def pairs(numbers):
    """Yield twice as many items."""
    for number in numbers:
        yield number
        yield -number


class Sums:
    """Sums of three neighbours; keeps what it has summed in its state."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.parts = []

    def __next__(self):
        while len(self.parts) < 3:
            self.parts.append(next(self.numbers))
        total = sum(self.parts)
        del self.parts[:2]
        return total

    def state_dict(self):
        """Return the numbers that will be needed again."""
        return {"parts": self.parts, "kind": "sums", "scale": 0.5}

    def load_state_dict(self, state):
        """Go on with those."""
        assert state["kind"] == "sums"
        self.parts = state["parts"]


@pytest.mark.parametrize("function", [differences, pairs, Sums, lambda xs: map(str, xs), enumerate, lambda xs: []])
@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0),
        ps.range(1),
        ps.range(12).shuffle(),
        ps.stream(range(9)).filter(lambda x: x % 3),
        ps.range(5).shuffle().repeat(),
    ],
    ids=repr,
)
def test_contract(function, dataset):
    """Every promise of a description holds with a transform in it."""
    check_dataset(dataset.transform(function), limit=14)


def test_contract_of_what_stands_behind():
    """And with steps behind it, and in processes."""
    dataset = ps.range(20).map(float).transform(Sums).map(lambda x, rng: x + rng.random(), rng=True).batch(2)
    check_dataset(dataset, executors=(ps.Processes(2),))
    check_dataset(ps.range(5).transform(differences).repeat(3))
    check_dataset(ps.range(9).transform(pairs).prefetch(2))


def test_it_is_the_function():
    """It gives what the function gives of an ordinary iterator."""
    numbers = [3, 1, 4, 1, 5, 9, 2, 6]
    assert list(ps.items(numbers).transform(differences)) == list(differences(iter(numbers)))
    assert list(ps.items(numbers).transform(pairs)) == list(pairs(iter(numbers)))


def test_a_class_with_a_state_reads_nothing_again():
    """A class resumes from its state and the input's position; a generator function by reading from the front."""
    read = []
    source = ps.range(1000).map(lambda x: read.append(x) or x)
    for function, again in ((Sums, 2), (pairs, 13)):
        dataset = source.transform(function)
        with dataset.loader() as loader:
            list(itertools.islice(loader, 24))
            saved = loader.state_dict()
        read.clear()
        with dataset.loader() as loader:
            loader.load_state_dict(saved)
            next(iter(loader))
        assert len(read) == again


@pytest.mark.parametrize("function", [differences, Sums])
@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_an_error_of_the_input_loses_nothing(function, workers):
    """When the input fails, the error comes as itself, and when it works again, so does everything."""
    broken = [True]

    def shaky(x):
        if x == 5 and broken:
            broken.pop()
            raise OSError("torn")
        return x

    expected = list(ps.range(9).transform(function))
    found = []
    with ps.range(9).map(shaky).transform(function).loader(workers=workers) as loader:
        iterator = iter(loader)
        with pytest.raises(OSError, match="torn") as caught:
            for x in iterator:
                found.append(x)
        assert "item 5 of map(shaky)" in "\n".join(caught.value.__notes__)
        found += list(iterator)
    assert found == expected
    broken.append(True)
    cursor = iter(ps.range(9).map(shaky).transform(function))
    found = []
    with pytest.raises(OSError, match="torn"):
        for x in cursor:
            found.append(x)
    assert found + list(cursor) == expected


def test_errors_are_named():
    """An error of the function itself says which item of which step it was, and where that was written."""

    def torn(numbers):
        yield next(numbers)
        raise OSError("torn")

    with pytest.raises(OSError, match="torn") as caught:
        list(ps.range(3).transform(torn))
    notes = "\n".join(caught.value.__notes__)
    assert "item 1 of transform(torn)" in notes
    assert __file__ in notes


def test_a_generator_is_closed():
    """Its `finally` runs when the loop is left."""
    closed = []

    def careful(numbers):
        try:
            yield from numbers
        finally:
            closed.append(1)

    with ps.range(9).transform(careful).loader() as loader:
        next(iter(loader))
    assert closed == [1]


def test_what_cannot_be_iterated_is_refused():
    """A forgotten yield, and a function that stops, are errors and no empty epochs."""

    def forgot(numbers):
        return None

    def stop(numbers):
        raise StopIteration

    with pytest.raises(ArgumentTypeError, match=r"transform\(forgot\): forgot\(\) returned None.*yield"):
        list(ps.range(3).transform(forgot))
    with pytest.raises(EndedQuietly, match="stop"):
        list(ps.range(3).transform(stop))


def test_states_that_are_not_plain_are_refused():
    """A state that is not JSON is told with the class; one that the class refuses, too."""

    class Odd(Sums):
        def state_dict(self):
            return {"parts": {1, 2}}

    class Strict(Sums):
        def load_state_dict(self, state):
            raise KeyError("version")

    with pytest.raises(ArgumentTypeError, match=r"transform\(.*Odd\): state_dict\(\) of Odd must return plain JSON"):
        list(ps.range(9).transform(Odd))
    with ps.range(9).transform(Strict).loader() as loader:
        next(iter(loader))
        saved = loader.state_dict()
        loader.load_state_dict(saved)
        with pytest.raises(StateError, match=r"load_state_dict\(\) of Strict refuses.*version"):
            list(loader)


def test_a_shorter_input_is_an_error():
    """A state behind the end of what now comes is never taken for a quiet end."""
    dataset = ps.range(3).transform(pairs)
    with pytest.raises(StateError, match="ended after 6 items, before the saved position 7"):
        list(dataset.resume({"epoch": 0, "position": 7}))


@pytest.mark.parametrize("position", [[1], [1, 2], {"state": 3}, "x", -1, 1.5], ids=repr)
def test_positions_that_do_not_fit_are_refused(position):
    """A position of another shape is refused when it is loaded."""
    dataset = ps.range(9).transform(pairs)
    with dataset.loader() as loader, pytest.raises(StateError):
        loader.load_state_dict({**loader.state_dict(), "position": position})


def test_bad_arguments():
    """What cannot be called with one iterator is refused at once."""
    with pytest.raises(ArgumentTypeError, match=r"transform\(\): function must be a function"):
        ps.range(3).transform(3)
    with pytest.raises(ArgumentTypeError, match=r"transform\(\): .*lambda\(\) must work with one argument"):
        ps.range(3).transform(lambda: 0)


def test_an_end_is_an_end():
    """A class that would begin anew after its end is not asked again."""

    class Rewound:
        def __init__(self, items):
            self.items = iter([*range(2)])

        def __next__(self):
            try:
                return next(self.items)
            except StopIteration:
                self.items = iter([7])
                raise

    assert list(ps.range(3).transform(Rewound).batch(3, collate=list).take(5)) == [[0, 1]]
