"""Fuel's document on parallel data processing: its programs, in one process and in two."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from penstock.compat.fuel.datasets import IndexableDataset
from penstock.compat.fuel.schemes import ShuffledScheme
from penstock.compat.fuel.streams import DataStream
from penstock.compat.fuel.transformers import Transformer

SERVER = '''
    """server.py"""
    import sys
    import time

    from penstock.compat.fuel.datasets import IndexableDataset
    from penstock.compat.fuel.schemes import ShuffledScheme
    from penstock.compat.fuel.server import start_server
    from penstock.compat.fuel.streams import DataStream
    from penstock.compat.fuel.transformers import Transformer

    class Bottleneck(Transformer):
        def __init__(self, *args, **kwargs):
            self.slowdown = kwargs.pop("slowdown", 0)
            super(Bottleneck, self).__init__(*args, **kwargs)

        def get_data(self, request=None):
            if request is not None:
                raise ValueError
            time.sleep(self.slowdown)
            return next(self.child_epoch_iterator)

    def create_data_stream(slowdown=0):
        dataset = IndexableDataset({"features": [[row] * 128 for row in range(1000)]})
        iteration_scheme = ShuffledScheme(examples=1000, batch_size=100)
        return Bottleneck(
            data_stream=DataStream.default_stream(dataset=dataset, iteration_scheme=iteration_scheme),
            slowdown=slowdown)

    if __name__ == "__main__":
        start_server(create_data_stream(0.005), port=int(sys.argv[1]), host="127.0.0.1")
'''

TRAIN = '''
    """train.py"""
    import argparse
    import time

    import numpy

    from penstock.compat.fuel.streams import ServerDataStream

    from server import create_data_stream

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("port", type=int)
        parser.add_argument("-p", "--parallel", action="store_true")
        args = parser.parse_args()
        if args.parallel:
            data_stream = ServerDataStream(("features",), port=args.port)
        else:
            data_stream = create_data_stream(0.005)
        start = time.time()
        for i in range(5):
            for data, in data_stream.get_epoch_iterator():
                time.sleep(0.01)
                print(*numpy.asarray(data)[:, 7])
        print("Training took {} seconds".format(time.time() - start))
'''


class Bottleneck(Transformer):
    """The document's transformer, which waits."""

    def __init__(self, *args, **kwargs):
        self.slowdown = kwargs.pop("slowdown", 0)
        super().__init__(*args, **kwargs)

    def get_data(self, request=None):
        if request is not None:
            raise ValueError
        return next(self.child_epoch_iterator)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_toy_example():
    """Five epochs of ten batches of lists of rows, as the document's loop reads them; a request is a ValueError."""
    dataset = IndexableDataset({"features": [[0] * 128] * 1000})
    iteration_scheme = ShuffledScheme(examples=1000, batch_size=100)
    stream = Bottleneck(
        data_stream=DataStream.default_stream(dataset=dataset, iteration_scheme=iteration_scheme), slowdown=0.005
    )
    batches = [data for _ in range(5) for data in stream.get_epoch_iterator()]
    assert len(batches) == 50
    assert all(len(features) == 100 and features[0] == [0] * 128 for (features,) in batches)
    with pytest.raises(ValueError):
        stream.get_data([1, 2])


def test_server_and_train_in_two_processes(tmp_path):
    """Train.py alone, and train.py -p beside server.py, read the same batches in the same order."""
    (tmp_path / "server.py").write_text(textwrap.dedent(SERVER))
    (tmp_path / "train.py").write_text(textwrap.dedent(TRAIN))
    port = free_port()

    def train(*flags):
        run = subprocess.run(
            [sys.executable, "train.py", port, *flags], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        *rows, last = run.stdout.splitlines()
        assert last.startswith("Training took")
        return rows

    alone = train()
    server = subprocess.Popen([sys.executable, "server.py", port], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        assert train("-p") == alone
        assert len(alone) == 50
        assert sorted(map(int, " ".join(alone[:10]).split())) == list(range(1000))
        assert alone[0] != alone[10]
    finally:
        server.send_signal(signal.SIGINT)
        _, complaints = server.communicate()
    assert b"batches" not in complaints


def test_transformer_of_batches():
    """A transformer of the user's defines what it does to examples, to batches, or to both."""

    class Doubled(Transformer):
        def transform_batch(self, batch):
            return tuple(2 * np.asarray(part) for part in batch)

    dataset = IndexableDataset({"x": np.arange(4)})
    stream = Doubled(DataStream(dataset, iteration_scheme=ShuffledScheme(4, 2)), produces_examples=False)
    assert sorted(int(x) for (batch,) in stream.get_epoch_iterator() for x in batch) == [0, 2, 4, 6]
    with pytest.raises(NotImplementedError, match="does not support examples"):
        next(Doubled(dataset.get_example_stream(), produces_examples=True).get_epoch_iterator())


def test_without_opencv():
    """Everything that is not an image works without OpenCV, and images are decoded by Pillow."""
    program = """
import sys
from io import BytesIO
sys.modules["cv2"] = None
import numpy as np
from PIL import Image
from penstock.compat.fuel.datasets import IterableDataset
from penstock.compat.fuel.streams import DataStream
from penstock.compat.fuel.transformers.image import ImagesFromBytes
file = BytesIO()
Image.fromarray(np.full((4, 5, 3), 7, np.uint8)).save(file, "PNG")
stream = DataStream(IterableDataset({"x": [file.getvalue()]}))
print([pixels.shape for (pixels,) in ImagesFromBytes(stream).get_epoch_iterator()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "[(3, 4, 5)]\n"
