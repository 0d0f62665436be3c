"""PyTorch: batches as tensors, without a copy; and on a device, copied while the batch before is worked on.

with photos.loader(workers=ps.Processes(4), shard="auto") as loader:
    batches = on_device(loader, "cuda")
    for batch in batches:                  # tensors, on the device already
        train(batch)
        saved = batches.state_dict()       # as of this batch, whatever has been copied ahead
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock import Loader
from penstock.errors import ArgumentTypeError

try:
    import torch
except ImportError as error:
    raise ImportError("penstock.adapters.torch needs PyTorch: pip install torch") from error

if TYPE_CHECKING:
    from typing import Self


def to_torch(batch: Any) -> Any:
    """Return a batch with its arrays as tensors that share their memory: of dicts, tuples, lists and dataclasses, too.

    Arrays that a tensor cannot look into are copied: read-only ones, which a tensor would let you write to, those
    with a negative stride, and those of another byte order. Texts and plain numbers stay as they are.

    >>> import numpy as np
    >>> array = np.zeros(3)
    >>> to_torch({"x": array, "name": ["a", "b"]})
    {'x': tensor([0., 0., 0.], dtype=torch.float64), 'name': ['a', 'b']}
    """
    return converted(batch, tensor)


def converted(batch: Any, array: Callable[[Any], Any]) -> Any:
    """Return a batch with a function applied to each of its arrays."""
    if isinstance(batch, (np.ndarray, torch.Tensor)):
        return array(batch)
    if isinstance(batch, Mapping):
        return {name: converted(value, array) for name, value in batch.items()}
    if isinstance(batch, tuple):
        values = [converted(value, array) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else tuple(values)
    if isinstance(batch, list):
        return [converted(value, array) for value in batch]
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = {f.name: converted(getattr(batch, f.name), array) for f in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **fields)
    return batch


def tensor(array: Any) -> Any:
    """Return the tensor of an array; what has no dtype in PyTorch stays an array."""
    if isinstance(array, torch.Tensor):
        return array
    if array.dtype.kind not in "biufc" or array.dtype in (np.longdouble, np.clongdouble):
        return array
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def tensors_of(batch: Any) -> list[Any]:
    """Return the tensors of a batch."""
    found: list[Any] = []
    converted(batch, found.append)
    return [value for value in found if isinstance(value, torch.Tensor)]


class OnDevice:
    """A loader's batches as tensors on a device; made by ``on_device``. Its state is that of the batch taken last."""

    def __init__(self, loader: Loader[Any], device: Any, ahead: int, *, pin: bool) -> None:
        self.loader = loader
        self.device = torch.device(device)
        self.ahead = ahead
        self.cuda = self.device.type == "cuda"
        self.pin = pin and self.cuda
        self._stream = torch.cuda.Stream(self.device) if self.cuda else None
        self._state: dict[str, Any] | None = None
        self._epoch: int | None = None

    def __iter__(self) -> Iterator[Any]:
        """Yield one epoch's batches; the copies of the next ``ahead`` are under way meanwhile."""
        batches = iter(self.loader)
        self._epoch = self.loader.epoch
        self._state = self.loader.state_dict()
        waiting: deque[tuple[Any, Any, dict[str, Any]]] = deque()
        try:
            for batch in batches:
                waiting.append((*self.send(batch), self.loader.state_dict()))
                if len(waiting) > self.ahead:
                    yield self.take(waiting.popleft())
            while waiting:
                yield self.take(waiting.popleft())
            self._state = self._epoch = None  # from here on, the loader itself knows best: the next epoch begins
        finally:
            batches.close()  # where the epoch is left in its middle; the state stays that of the batch taken last

    def send(self, batch: Any) -> tuple[Any, Any]:
        """Begin to copy a batch; return it, and the event that says when that is done."""
        if self._stream is None:
            return converted(batch, lambda array: self.moved(tensor(array))), None
        with torch.cuda.stream(self._stream):
            sent = converted(batch, lambda array: self.moved(tensor(array)))
            event = torch.cuda.Event()
            event.record(self._stream)
        return sent, event

    def moved(self, value: Any) -> Any:
        """Return a tensor on the device; what is none stays."""
        if not isinstance(value, torch.Tensor):
            return value
        if self.pin and value.device.type == "cpu":
            value = value.pin_memory()
        return value.to(self.device, non_blocking=self.pin)

    def take(self, entry: tuple[Any, Any, dict[str, Any]]) -> Any:
        """Let the current stream wait for a batch, and say that it uses it; return the batch."""
        batch, event, self._state = entry
        if event is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(event)
            for value in tensors_of(batch):
                value.record_stream(current)
        return batch

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return len(self.loader)

    @property
    def epoch(self) -> int:
        """The number of the epoch that is being read, or that the next iteration will read."""
        return self.loader.epoch if self._epoch is None else self._epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the loader's state as of the batch that was taken last."""
        return self.loader.state_dict() if self._state is None else self._state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state, as the loader does."""
        self.loader.load_state_dict(state)
        self._state = self._epoch = None

    def close(self) -> None:
        """Close the loader."""
        self.loader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def on_device(loader: Loader[Any], device: Any = "cpu", *, ahead: int = 1, pin: bool = True) -> OnDevice:
    """Return a loader's batches as tensors on a device.

    Args:
        loader: what ``dataset.loader(…)`` returned.
        device: ``"cuda"``, ``"cuda:1"``, ``"cpu"``, a ``torch.device``.
        ahead: how many batches are copied while one is worked on. They take memory on the device.
        pin: copy through page-locked memory, in a CUDA stream beside the one that works. It costs the processor a copy
            and lets the device copy by itself.

    The result is iterated, saved and restored as the loader is: use its ``state_dict``, not the loader's, which is
    ``ahead`` batches further.

    >>> import penstock as ps
    >>> with on_device(ps.range(4).batch(2).loader()) as batches:
    ...     [batch.tolist() for batch in batches]
    [[0, 1], [2, 3]]
    """
    if not isinstance(loader, Loader):
        raise ArgumentTypeError(
            f"on_device(): the first argument must be a loader, dataset.loader(…), not a {type(loader).__name__}."
        )
    if type(ahead) is not int or ahead < 0:
        raise ArgumentTypeError(f"on_device(): ahead must be a whole number of batches, not {ahead!r}.")
    return OnDevice(loader, device, ahead, pin=pin)
