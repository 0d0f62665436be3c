"""Small programs that do the same on ours and, where it is installed, on BatchUp itself: draws, batches, errors."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest

OURS = "penstock.compat.batchup"
LARGE = 1 << 19
XS, YS = np.arange(10) * 10, np.arange(10) % 3


@pytest.fixture(params=[OURS, "batchup"])
def bu(request):
    """Our modules, and theirs."""
    if request.param != OURS:
        pytest.importorskip(request.param)

    class Modules:
        data_source = importlib.import_module(f"{request.param}.data_source")
        sampling = importlib.import_module(f"{request.param}.sampling")
        work_pool = importlib.import_module(f"{request.param}.work_pool")
        utils = importlib.import_module(f"{request.param}.image.utils")

    return Modules


def lists(batches, count=None):
    """Return batches as nested lists."""

    def plain(x):
        return [plain(part) for part in x] if isinstance(x, tuple) else np.asarray(x).tolist()

    return [plain(batch) for batch in itertools.islice(batches, count)]


def rng():
    """Return the generator that all draws here come from."""
    return np.random.RandomState(12345)


SAMPLES = {
    "in order": (lambda s: s.StandardSampler(10).in_order_indices_batch_iterator(4), "0123 4567 89"),
    "in order, repeated": (
        lambda s: s.StandardSampler(5, repeats=3).in_order_indices_batch_iterator(4),
        "0123 4012 3401 234",
    ),
    "in order, larger than a round": (
        lambda s: s.StandardSampler(3, repeats=4).in_order_indices_batch_iterator(7),
        "0120120 12012",
    ),
    "subset": (lambda s: s.SubsetSampler(np.array([5, 3, 8])).in_order_indices_batch_iterator(2), "53 8"),
    "subset, repeated": (
        lambda s: s.SubsetSampler(np.array([5, 3, 8]), repeats=2).in_order_indices_batch_iterator(4),
        "5385 38",
    ),
    "shuffled": (lambda s: s.StandardSampler(10).shuffled_indices_batch_iterator(4, rng()), "0739 6418 52"),
    "shuffled, repeated": (
        lambda s: s.StandardSampler(5, repeats=2).shuffled_indices_batch_iterator(4, rng()),
        "0431 2302 14",
    ),
    "subset, shuffled": (
        lambda s: s.SubsetSampler(np.array([5, 3, 8, 1]), repeats=2).shuffled_indices_batch_iterator(3, rng()),
        "513 881 53",
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_indices(bu, name):
    """A sampler gives the indices that are written down here."""
    make, expected = SAMPLES[name]
    assert ["".join(map(str, batch)) for batch in lists(make(bu.sampling))] == expected.split()


@pytest.mark.parametrize(("length", "repeats", "size"), [(5, 1, 2), (5, 3, 5), (5, 2, 4), (3, 3, 7), (4, 2, 2)])
def test_generators_are_left_alike(bu, length, repeats, size):
    """After an epoch the generator draws what it draws behind BatchUp's: one permutation more than rounds, of several."""
    used, plain = rng(), rng()
    list(bu.sampling.StandardSampler(length, repeats).shuffled_indices_batch_iterator(size, used))
    for _ in range(repeats if repeats == 1 else repeats + 1):
        plain.permutation(length)
    assert used.randint(1000) == plain.randint(1000)


def test_weights(bu):
    """Weighted draws come from the same calls of the generator, and classes are balanced."""
    weights = np.array([1.0, 0.0, 3.0])
    drawn = lists(bu.sampling.WeightedSampler(weights).shuffled_indices_batch_iterator(5, rng()), 2)
    plain = rng()
    assert drawn == [plain.choice(3, size=(5,), p=weights / 4).tolist() for _ in range(2)]
    subset = bu.sampling.WeightedSubsetSampler.class_balancing_sampler(YS, np.array([0, 3, 1]))
    assert subset.sub_weights.tolist() == [0.25, 0.25, 0.5]
    assert set(next(subset.shuffled_indices_batch_iterator(20, rng()))) == {0, 1, 3}
    with pytest.raises(NotImplementedError):
        next(bu.sampling.WeightedSampler(weights).in_order_indices_batch_iterator(2))
    with pytest.raises(ValueError):
        bu.sampling.WeightedSampler(np.zeros(3))


def arrays(d, **options):
    """Return a source of ten rows."""
    return d.ArrayDataSource([XS, YS], **options)


def composite(d, **options):
    """Return a composite of 10 rows and of 4."""
    return d.CompositeDataSource([arrays(d), d.ArrayDataSource([np.arange(4)], repeats=-1)], **options)


def choice(d, **options):
    """Return a choice of 10 rows and of 4."""
    return d.ChoiceDataSource([d.ArrayDataSource([XS]), d.ArrayDataSource([np.arange(4)])], **options)


def mapped(d):
    """Return a source with a function."""
    return arrays(d).map(lambda x, y: (x + 1, y))


def called(batch_size, **options):
    """Return batches of a function."""
    return iter([(np.arange(batch_size),), (np.arange(1),)])


SOURCES = {
    "arrays": (arrays, 10),
    "indices": (lambda d: arrays(d, indices=np.array([7, 2, 5]), include_indices=True), 3),
    "repeats": (lambda d: arrays(d, repeats=2), 20),
    "without end": (lambda d: arrays(d, repeats=-1), np.inf),
    "sampler": (lambda d: arrays(d, sampler=mine(d)), 20),
    "map": (mapped, 10),
    "callable": (lambda d: d.CallableDataSource(called, 5), 5),
    "iterator": (lambda d: d.IteratorDataSource(iter([(np.arange(3),)])), None),
    "composite": (composite, 10),
    "composite as a tree": (lambda d: composite(d, flatten=False), 10),
    "composite of composites": (lambda d: d.CompositeDataSource([composite(d, flatten=False), arrays(d)]), 10),
    "choice": (choice, 14),
    "choice, stratified": (lambda d: choice(d, stratified=True), 14),
    "composite with choice": (lambda d: d.CompositeDataSource([choice(d, stratified=True), arrays(d)]), 10),
}


def mine(d):
    """Return a sampler of the same library."""
    return importlib.import_module(d.__name__.replace("data_source", "sampling")).StandardSampler(10, 2)


EXPECTED = {
    "arrays": [[[0, 10, 20, 30], [0, 1, 2, 0]], [[40, 50, 60, 70], [1, 2, 0, 1]], [[80, 90], [2, 0]]],
    "indices": [[[7, 2, 5], [70, 20, 50], [1, 2, 2]]],
    "composite": [
        [[0, 10, 20, 30], [0, 1, 2, 0], [0, 1, 2, 3]],
        [[40, 50, 60, 70], [1, 2, 0, 1], [0, 1, 2, 3]],
        [[80, 90], [2, 0], [0, 1]],
    ],
    "choice": [[[0, 10, 20, 30]], [[0, 1, 2, 3]], [[40, 50, 60, 70]]],
    "choice, stratified": [[[0, 10, 20, 30]], [[0, 1, 2, 3]], [[40, 50, 60, 70]], [[80, 90]]],
}


@pytest.mark.parametrize("name", SOURCES)
def test_batches(bu, name):
    """A source tells its length and gives its batches; what is written down here, or what BatchUp's own gives."""
    make, samples = SOURCES[name]
    source = make(bu.data_source)
    assert source.num_samples() == samples
    found = lists(source.batch_iterator(batch_size=4), 8)
    if name in EXPECTED:
        assert found == EXPECTED[name]
    theirs = pytest.importorskip("batchup.data_source")
    assert found == lists(make(theirs).batch_iterator(batch_size=4), 8)


@pytest.mark.parametrize("name", [n for n in SOURCES if n not in {"callable", "iterator", "composite with choice"}])
def test_shuffled_batches(name):
    """The same seed gives the same batches as in BatchUp, and leaves the generator alike."""
    theirs, ours = pytest.importorskip("batchup.data_source"), importlib.import_module(f"{OURS}.data_source")
    make, _ = SOURCES[name]
    found = []
    for module in (theirs, ours):
        used = rng()
        batches = lists(make(module).batch_iterator(batch_size=3, shuffle=used), 8)
        indices = lists(make(module).batch_indices_iterator(batch_size=3, shuffle=used), 8)
        found.append((batches, indices, used.randint(1 << 30)))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", [n for n in SOURCES if n not in {"callable", "iterator", "map"}])
@pytest.mark.parametrize("shuffled", [False, True])
def test_pools(name, shuffled):
    """A pool gives the batches of the source itself."""
    ours = importlib.import_module(f"{OURS}.data_source")
    pools = importlib.import_module(f"{OURS}.work_pool")
    make, _ = SOURCES[name]
    options = [{"shuffle": rng()} if shuffled else {} for _ in range(2)]
    with pools.WorkerThreadPool(2) as pool:
        parallel = pool.parallel_data_source(make(ours), batch_buffer_size=4)
        assert parallel.num_samples() == make(ours).num_samples()
        found = lists(parallel.batch_iterator(3, **options[0]), 8)
    assert found == lists(make(ours).batch_iterator(3, **options[1]), 8)


def test_whole_data(bu):
    """Functions over all batches: joined, averaged, with arguments, with progress, and up to a number of batches."""
    source = bu.data_source.ArrayDataSource([XS.astype(float), YS])
    joined = source.batch_map_concat(lambda x, y: (x + y, y), batch_size=4)
    assert lists(joined) == [(XS + YS).tolist(), YS.tolist()]
    told = []

    def progress(iterator, total, leave):
        told.append((total, leave))
        return iterator

    mean = source.batch_map_mean(lambda k, x, y: float((k * x).sum()), 4, progress, prepend_args=(2,))
    assert [float(m) for m in mean] == [90.0]
    assert told == [(3, False)]
    assert float(source.batch_map_mean(lambda x, y: x, 4, sum_axis=0)[0]) == 45.0
    endless = bu.data_source.ArrayDataSource([XS], repeats=-1)
    assert lists(endless.batch_map_concat(lambda x: x, 4, n_batches=3)) == [(XS.tolist() * 2)[:12]]
    with pytest.raises(ValueError):
        endless.batch_map_concat(lambda x: x, 4)
    with pytest.raises(TypeError):
        source.batch_map_concat(lambda x, y: [x], 4)
    assert bu.data_source.batch_map_concat(lambda x: x, iter([])) is None


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda bu: bu.data_source.ArrayDataSource((XS,)), TypeError),
        (lambda bu: bu.data_source.ArrayDataSource([]), IndexError),
        (lambda bu: bu.data_source.ArrayDataSource([XS, XS[:3]]), ValueError),
        (lambda bu: bu.data_source.ArrayDataSource([XS], repeats=0), ValueError),
        (lambda bu: bu.data_source.ArrayDataSource([XS], repeats=-2), ValueError),
        (lambda bu: arrays(bu.data_source, sampler=bu.sampling.StandardSampler(10), repeats=2), ValueError),
        (lambda bu: arrays(bu.data_source, sampler=bu.sampling.StandardSampler(10), indices=XS), ValueError),
        (lambda bu: bu.data_source.CallableDataSource(called, "many"), TypeError),
        (lambda bu: bu.data_source.IteratorDataSource(iter([]), "many"), TypeError),
        (lambda bu: bu.data_source.coerce_data_source([]), ValueError),
        (lambda bu: bu.data_source.coerce_data_source([1, 2]), TypeError),
        (lambda bu: composite(bu.data_source).samples_by_indices(([1],)), ValueError),
        (lambda bu: choice(bu.data_source).samples_by_indices(([1],)), TypeError),
        (lambda bu: bu.data_source.IteratorDataSource(iter([])).map(tuple).samples_by_indices([1]), TypeError),
    ],
)
def test_refusals(bu, make, error):
    """What BatchUp refuses, ours refuses, with the same type."""
    with pytest.raises(error):
        make(bu)


def test_classes_to_derive_from_can_be_made(bu):
    """What is there to be derived from can be made, and does what it can: indices without samples, say."""
    source = bu.data_source.RandomAccessDataSource(5)
    assert lists(source.batch_indices_iterator(3)) == [[0, 1, 2], [3, 4]]
    assert (source.num_samples(), source.is_random_access) == (5, True)
    nothing, sampler = bu.data_source.AbstractDataSource(), bu.sampling.AbstractSampler()
    assert not nothing.is_random_access
    for call in (
        lambda: source.samples_by_indices_nomapping([0]),
        nothing.num_samples,
        lambda: nothing.batch_iterator(3),
        sampler.num_indices_generated,
        lambda: sampler.in_order_indices_batch_iterator(3),
        lambda: sampler.shuffled_indices_batch_iterator(3, rng()),
    ):
        with pytest.raises(NotImplementedError):
            call()


def test_pools_refuse_what_has_no_indices():
    """A pool takes sources of random access only, as BatchUp's do."""
    ours = importlib.import_module(f"{OURS}.data_source")
    with importlib.import_module(f"{OURS}.work_pool").WorkerThreadPool(1) as pool:
        for source in ([XS], ours.IteratorDataSource(iter([])), pool.parallel_data_source(arrays(ours))):
            with pytest.raises(TypeError):
                pool.parallel_data_source(source)


def test_bytes_as_floats(bu):
    """Bytes are read as floats in a range, also through a source."""
    images = bu.utils.ImageArrayUInt8ToFloat32(np.arange(6, dtype=np.uint8).reshape(3, 2) * 51, -1.0, 1.0)
    assert (images.shape, len(images), images.dtype) == ((3, 2), 3, np.float32)
    [(first,), (second,)] = bu.data_source.ArrayDataSource([images]).batch_iterator(2)
    np.testing.assert_allclose(first, [[-1.0, -0.6], [-0.2, 0.2]], atol=1e-6)
    np.testing.assert_allclose(second, [[0.6, 1.0]], atol=1e-6)


class Filling:
    """A function that fills the same arrays again and again."""

    kept = None

    def __call__(self, *numbers):
        if self.kept is None:
            self.kept = [np.empty(2, int), np.empty(LARGE, np.uint8)]
        for array in self.kept:
            array[:] = numbers[0].max() if isinstance(numbers[0], np.ndarray) else numbers[0]
        return tuple(self.kept)


def test_arrays_that_a_function_keeps():
    """Each result of a process arrives as it was when the function returned it; BatchUp pickles it at once."""
    ours = importlib.import_module(OURS)
    source = ours.data_source.ArrayDataSource([np.arange(200)]).map(Filling())
    with ours.work_pool.WorkerProcessPool(1) as pool:
        batches = pool.parallel_data_source(source).batch_iterator(1)
        assert [{*x.tolist(), *y[::500].tolist()} for x, y in batches] == [{number} for number in range(200)]
        done = pool.work_stream((Filling(), (number,)) for number in range(100))
        assert [{*x.tolist(), *y[::500].tolist()} for x, y in done.retrieve_iter()] == [{n} for n in range(100)]
