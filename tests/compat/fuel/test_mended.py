"""Faults of Fuel 0.2.0 that the same programs do not have on ours."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import threading

import h5py
import numpy as np
import pytest

from penstock.compat.fuel.converters.base import fill_hdf5_file
from penstock.compat.fuel.datasets import H5PYDataset, IndexableDataset, IterableDataset, TextFile
from penstock.compat.fuel.schemes import ConstantScheme, SequentialScheme, ShuffledScheme
from penstock.compat.fuel.server import FRONTS, Course, recv_arrays, send_arrays, serve
from penstock.compat.fuel.streams import DataStream, ServerDataStream
from penstock.compat.fuel.transformers import (
    Batch,
    Cache,
    Filter,
    Mapping,
    MultiProcessing,
    Padding,
    Rename,
    SortMapping,
    Transformer,
    Unpack,
)
from penstock.compat.fuel.transformers.defaults import ToBytes
from penstock.compat.fuel.transformers.image import ImagesFromBytes, MinimumImageDimensions, RandomFixedSizeCrop
from penstock.compat.fuel.transformers.sequences import Window
from penstock.compat.fuel.utils.parallel import producer_consumer


def shuffled(count=12, size=4):
    dataset = IndexableDataset({"x": np.arange(count), "y": [[row] * 2 for row in range(count)]})
    return DataStream(dataset, iteration_scheme=ShuffledScheme(count, size))


def rows(epoch):
    return [np.asarray(data[0]).tolist() for data in epoch]


def epochs(stream, count=2):
    return [rows(stream.get_epoch_iterator()) for _ in range(count)]


def fail_at(number, data):
    if number in np.asarray(data[0]):
        raise KeyError(f"row {number}")
    return data


def kill_once(path, data):
    if 5 in np.asarray(data[0]) and not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return data


class Noisy(Transformer):
    """Adds what it draws, so that it shows whether draws repeat."""

    def __init__(self, data_stream):
        super().__init__(data_stream, data_stream.produces_examples)
        self.rng = np.random.RandomState(3)

    def transform_batch(self, batch):
        return (batch[0] + self.rng.randint(1000),)


@pytest.fixture
def served():
    """Make a server of a stream, and clients of it."""
    open_ = []

    def start(stream, **options):
        server = serve(stream, "tcp://127.0.0.1:*", **options)
        open_.append(server)
        port = int(server.endpoint.rsplit(":", 1)[1])

        def client(**more):
            found = ServerDataStream(stream.sources, produces_examples=False, host="127.0.0.1", port=port, **more)
            open_.append(found)
            return found

        return client

    yield start
    for one in reversed(open_):
        one.close()


# The server -----------------------------------------------------------------------------------------------------------


def test_leaving_an_epoch_leaves_nothing_for_the_next_over_the_wire(served):
    """After a break the next epoch is whole; it was what was left of the one before."""
    client = served(shuffled())()
    next(client.get_epoch_iterator())
    assert rows(client.get_epoch_iterator()) == epochs(shuffled())[1]


def test_two_clients_get_every_batch(served):
    """Each of two clients reads whole epochs; they took batches, and the ends of epochs, from one another."""
    connect = served(shuffled())
    one, two = connect(), connect()
    pairs = list(zip(one.get_epoch_iterator(), two.get_epoch_iterator(), strict=True))
    assert [first[0].tolist() for first, _ in pairs] == [second[0].tolist() for _, second in pairs]
    assert epochs(one, 1) == epochs(two, 1) == epochs(shuffled())[1:]


def test_an_error_in_the_served_stream_reaches_the_client(served):
    """The client's loop ends with an error that names it; it waited for ever."""
    client = served(Mapping(shuffled(), functools.partial(fail_at, 5)))()
    with pytest.raises(Exception, match="row 5"):
        epochs(client, 1)


def test_a_server_that_is_gone_is_an_error():
    """A client without a server stops after its time-out; it waited for ever."""
    with (
        ServerDataStream(("x",), produces_examples=False, host="127.0.0.1", port=9, timeout=0.5) as client,
        pytest.raises(Exception, match=r"127\.0\.0\.1"),
    ):
        next(client.get_epoch_iterator())


def test_what_is_no_plain_array_is_served(served):
    """Structured arrays, texts and ragged lists arrive; they were errors on one side or the other."""
    pair = np.dtype([("a", "i4"), ("b", "f8", 2)])
    data = {"s": np.ones(2, pair), "t": ["one", "two"], "r": [[1], [2, 3]]}
    stream = DataStream(IndexableDataset(data), iteration_scheme=SequentialScheme(2, 2))
    ((s, t, r),) = served(stream)().get_epoch_iterator()
    assert s.dtype == pair
    assert t.tolist() == ["one", "two"]
    assert [row.tolist() for row in r] == [[1], [2, 3]]


def test_reading_goes_on_through_the_server(served):
    """An epoch iterator of a client, pickled midway, goes on at its batch; it could not be (issue 157)."""
    client = served(shuffled())()
    reading = client.get_epoch_iterator()
    begun = [next(reading)[0].tolist() for _ in range(2)]
    travelled = pickle.loads(pickle.dumps(reading))
    assert begun + rows(travelled) == epochs(shuffled())[0]
    assert rows(travelled.data_stream.get_epoch_iterator()) == epochs(shuffled())[1]
    fresh = pickle.loads(pickle.dumps(reading)).data_stream
    assert rows(fresh.get_epoch_iterator()) == epochs(shuffled())[1]
    travelled.data_stream.close()
    fresh.close()


def test_later_clients_and_augmentation(served):
    """A client that comes later reads from the first epoch on, with the same draws of transformers."""
    connect = served(Noisy(shuffled()))
    expected = epochs(Noisy(shuffled()), 3)
    assert epochs(connect(), 3) == expected
    assert epochs(connect(), 3) == expected


class Locked(Transformer):
    """Holds what cannot be copied."""

    def __init__(self, data_stream):
        super().__init__(data_stream, data_stream.produces_examples)
        self.lock = threading.Lock()

    def transform_batch(self, batch):
        return batch


def test_a_stream_that_cannot_be_copied_is_served_once(served):
    """One client reads its epochs, in order; a second one, which would need a copy, is told so."""
    connect = served(Locked(shuffled()))
    assert epochs(connect(), 3) == epochs(shuffled(), 3)
    with pytest.raises(Exception, match="cannot be copied"):
        epochs(connect(), 1)


def test_a_generator_is_served(served):
    """What a generator gives is an epoch, and then there is no more."""
    stream = DataStream(IterableDataset({"x": (number for number in range(5))}))
    assert epochs(served(stream)()) == [[[0], [1], [2], [3], [4]], []]


def test_a_late_reader_of_a_long_course():
    """Only the last epochs' beginnings are kept; an earlier epoch is read again from the first, to the same numbers."""
    course = Course(Noisy(shuffled()))
    expected = epochs(Noisy(shuffled()), 10)
    assert [rows(course.read(epoch)) for epoch in range(10)] == expected
    assert rows(course.read(3)) == expected[3]
    assert rows(course.read(9)) == expected[9]
    assert len(course._fronts) == 1 + FRONTS


def test_the_document_s_call_works():
    """ServerDataStream(("features",)) is enough; the released code asked for produces_examples."""
    with ServerDataStream(("features",)) as stream:
        assert stream.produces_examples is False
        with pytest.raises(ValueError, match="no request"):
            stream.get_data([0])


def test_arrays_over_a_socket():
    """Structured arrays go over a socket of one's own, Python objects are refused before anything is sent."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
        pull.connect(f"tcp://127.0.0.1:{push.bind_to_random_port('tcp://127.0.0.1')}")
        sent = [np.arange(6).reshape(2, 3).T, np.ones(2, [("a", "i4", (2, 2)), ("b", [("c", "u1")])]), np.zeros((0, 3))]
        send_arrays(push, sent)
        send_arrays(push, None, stop=True)
        for before, after in zip(sent, recv_arrays(pull), strict=True):
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
        with pytest.raises(StopIteration):
            recv_arrays(pull)
        with pytest.raises(ValueError, match="Python objects"):
            send_arrays(push, [np.array([None])])


# MultiProcessing ------------------------------------------------------------------------------------------------------


def test_multiprocessing_gives_the_stream_s_epochs():
    """Epochs are those of the stream itself, with the draws of schemes and transformers."""
    background = MultiProcessing(Noisy(shuffled()), max_store=3)
    try:
        assert epochs(background, 3) == epochs(Noisy(shuffled()), 3)
    finally:
        background.close()


def test_leaving_an_epoch_leaves_nothing_for_the_next_of_a_process():
    """After a break the next epoch is whole; it was what was left of the one before."""
    background = MultiProcessing(shuffled())
    try:
        next(background.get_epoch_iterator())
        assert epochs(background, 2) == epochs(shuffled(), 3)[1:]
    finally:
        background.close()


def test_an_error_in_the_process_is_raised_here():
    """The original exception reaches the loop; the loop waited for ever. The next epoch can be read."""
    background = MultiProcessing(Mapping(shuffled(), functools.partial(fail_at, 5)))
    try:
        for _ in range(2):
            with pytest.raises(KeyError, match="row 5"):
                epochs(background, 1)
    finally:
        background.close()


def test_a_process_that_dies_is_replaced(tmp_path):
    """The epoch is whole although its process was killed; the loop waited for ever."""
    background = MultiProcessing(Mapping(shuffled(), functools.partial(kill_once, str(tmp_path / "killed"))))
    try:
        assert epochs(background) == epochs(shuffled())
    finally:
        background.close()


def test_a_producer_that_fails_is_an_error():
    """producer_consumer raises where the producer has failed; it waited for ever."""
    with pytest.raises(RuntimeError, match="exit code"):
        producer_consumer(os.getppid, lambda socket: socket.recv())  # getppid takes no socket


def test_a_producer_and_a_consumer():
    """What the producer pushes, the consumer pulls, and its result is returned."""
    import operator

    assert producer_consumer(print, lambda socket: 7) == 7
    found = producer_consumer(operator.methodcaller("send_json", [1, 2]), lambda socket: socket.recv_json())
    assert found == [1, 2]


# Streams in this process ----------------------------------------------------------------------------------------------


def test_windows_of_the_data_are_applied_once():
    """IndexableDataset with start and stop; the window was applied twice, and any start was an error."""
    dataset = IndexableDataset({"x": list(range(10))}, start=2, stop=7)
    assert dataset.num_examples == 5
    assert dataset.get_data(request=[0, 4]) == ([2, 6],)
    assert IndexableDataset(list(range(10)), start=8).get_data(request=slice(0, 2)) == ([8, 9],)


def test_a_filter_gives_dicts():
    """Filter respects as_dict; it gave tuples."""
    stream = Filter(DataStream(IterableDataset([1, 2, 3])), lambda data: data[0] % 2)
    assert list(stream.get_epoch_iterator(as_dict=True)) == [{"data": 1}, {"data": 3}]


@pytest.mark.parametrize(("chunk", "size", "expected"), [(3, 5, [5, 5, 2]), (5, 3, [3, 3, 3, 3]), (4, 5, [5, 5, 2])])
def test_a_cache_gives_what_is_asked_for(chunk, size, expected):
    """Requests larger than a chunk are filled, and the last examples are not lost: [3, 3, 3, 3] came for [5, 5, 2]."""
    stream = Cache(shuffled(12, chunk), ConstantScheme(size))
    for epoch in epochs(stream):
        assert [len(batch) for batch in epoch] == expected
        assert sorted(row for batch in epoch for row in batch) == list(range(12))


def test_unpack_leaves_nothing_for_the_next_epoch():
    """After a break the next epoch has all its examples, and no others; those of the batch at hand came again."""
    stream = Unpack(shuffled())
    next(stream.get_epoch_iterator())
    assert sorted(rows(stream.get_epoch_iterator())) == list(range(12))


def test_a_window_leaves_nothing_for_the_next_epoch():
    """After a break the next epoch begins with the first sequence."""
    stream = Window(0, 2, 1, False, DataStream(IterableDataset([[1, 2, 3, 4], [5, 6, 7]])))
    next(stream.get_epoch_iterator())
    assert next(stream.get_epoch_iterator()) == ([1, 2], [3])
    assert Window(0, 2, 1, False, DataStream(IterableDataset([[1]])), "next").sources == ("data", "next")


def test_padding_does_not_narrow():
    """The type of padded data holds every sequence; it was the first one's, and 2.5 became 2."""
    stream = DataStream(IndexableDataset({"x": [[1], [2.5, 3.5], []]}), iteration_scheme=SequentialScheme(3, 3))
    ((data, mask),) = Padding(stream).get_epoch_iterator()
    assert data.tolist() == [[1, 0], [2.5, 3.5], [0, 0]]
    assert mask.tolist() == [[1, 0], [1, 1], [0, 0]]


def test_batches_of_different_shapes():
    """Examples of different shapes become an array of objects, as with NumPy 1, and an error with NumPy 2."""
    ((data,),) = Batch(DataStream(IterableDataset([[1], [2, 3]])), ConstantScheme(2)).get_epoch_iterator()
    assert data.dtype == object
    assert data.tolist() == [[1], [2, 3]]


def test_batches_of_different_shapes_are_sorted():
    """SortMapping keeps ragged columns as arrays of objects, sorted, so that they can be taken apart and padded."""
    lengths = [3, 1, 4, 1, 5, 9]
    data = {"x": [np.arange(n) for n in lengths], "n": lengths}
    stream = Batch(DataStream(IterableDataset(data)), ConstantScheme(6))
    ordered = Batch(Unpack(Mapping(stream, SortMapping(lambda pair: len(pair[0])))), ConstantScheme(3))
    found = list(Padding(ordered, mask_sources=("x",), mask_dtype="int8").get_epoch_iterator())
    assert [(x.shape, mask.sum(1).tolist(), n.tolist()) for x, mask, n in found] == [
        ((3, 3), [1, 1, 3], [1, 1, 3]),
        ((3, 9), [4, 5, 9], [4, 5, 9]),
    ]


def test_names_may_change_places():
    """Rename exchanges two names; the second was not found any more, or the wrong one changed."""
    assert Rename(shuffled(), {"x": "y", "y": "x"}).sources == ("y", "x")
    assert Rename(shuffled(), {"q": "r"}, on_non_existent="ignore").sources == ("x", "y")


def test_texts_that_are_packed(tmp_path):
    """TextFile reads .gz files as text, in an encoding; every word was unknown, or it was an error."""
    import gzip

    path = str(tmp_path / "words.txt.gz")
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("für dich\n")
    dataset = TextFile([path], {"für": 5, "<UNK>": 0}, bos_token=None, eos_token=None, encoding="utf-8")
    assert list(dataset.get_example_stream().get_epoch_iterator()) == [([5, 0],)]


def test_labels_of_the_wrapped_stream_stay():
    """ToBytes does not change the axis labels of the stream that it wraps."""
    stream = DataStream(
        IndexableDataset({"x": [np.zeros(2, "u1")]}, axis_labels={"x": ("batch", "n")}),
        iteration_scheme=SequentialScheme(1, 1),
    )
    assert ToBytes(stream).axis_labels == {"x": ("batch", "bytes")}
    assert stream.axis_labels == {"x": ("batch", "n")}


def test_images_without_labels():
    """Transformers of images take streams without axis labels, gray images and floats; they were TypeErrors."""
    stream = DataStream(
        IndexableDataset({"image": [np.zeros((1, 4, 6), np.float32)]}), iteration_scheme=SequentialScheme(1, 1)
    )
    ((small,),) = MinimumImageDimensions(stream, (8, 8)).get_epoch_iterator()
    assert (small[0].shape, small[0].dtype) == ((1, 8, 12), np.float32)
    ((part,),) = RandomFixedSizeCrop(stream, (2, 3)).get_epoch_iterator()
    assert part[0].shape == (1, 2, 3)
    assert ImagesFromBytes(stream).axis_labels == {"image": ("batch", "channel", "height", "width")}


def test_the_filter_of_an_enlargement_is_used():
    """MinimumImageDimensions resamples as it was told; it did it in one way, whatever was said."""
    image = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    stream = DataStream(IndexableDataset({"image": [image]}), iteration_scheme=SequentialScheme(1, 1))
    near, smooth = (
        next(MinimumImageDimensions(stream, (8, 8), resample=name).get_epoch_iterator())[0][0]
        for name in ("nearest", "bilinear")
    )
    np.testing.assert_array_equal(near, image.repeat(2, 1).repeat(2, 2))
    assert (smooth != near).any()


def test_hdf5_goes_on_in_another_process(tmp_path):
    """An epoch iterator over a file, pickled midway, opens the file again; it said that it was not open."""
    path = str(tmp_path / "data.hdf5")
    with h5py.File(path, "w") as file:
        fill_hdf5_file(file, [("train", "x", np.arange(12)), ("test", "x", np.arange(100, 103))])
    dataset = H5PYDataset(path, which_sets=("train",))
    stream = DataStream(dataset, iteration_scheme=ShuffledScheme(12, 4))
    reading = stream.get_epoch_iterator()
    next(reading)
    frozen = pickle.dumps(reading)
    left = rows(reading)
    stream.close()
    assert H5PYDataset._file_handles == {}
    travelled = pickle.loads(frozen)
    assert rows(travelled) == left
    travelled.data_stream.close()
    background = MultiProcessing(DataStream(dataset, iteration_scheme=ShuffledScheme(12, 4)))
    try:
        assert rows(background.get_epoch_iterator())[1:] == left
    finally:
        background.close()
        background.data_stream.close()
    assert H5PYDataset._file_handles == {}
