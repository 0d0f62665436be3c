"""Every exception that Penstock raises of its own accord.

    PenstockError
    ├── ArgumentError        (ValueError)   a value that an operation cannot use
    ├── ArgumentTypeError    (TypeError)    a value of a kind that an operation cannot use
    ├── LengthError          (TypeError)    len() of a dataset whose length is unknown or endless
    ├── CollateError         (ValueError)   items that cannot be stacked into one batch
    ├── DecodeError          (ValueError)   a file that is no image, or a damaged one
    ├── StateError           (ValueError)   a saved state that belongs to something else
    ├── LedgerError          (RuntimeError) an epoch that delivered another number of items than it planned
    ├── ClosedError          (RuntimeError) use after close
    ├── EndedQuietly         (RuntimeError) a user function raised StopIteration, which would have ended the epoch
    ├── UnsupportedPlatform  (RuntimeError) a part that this operating system lacks what it needs for
    ├── MissingExtra         (ImportError)  a part that needs a library which is not installed
    ├── StoreError           (ValueError)   a file or folder that cannot be read, or written, as a store
    │   └── CorruptRecord    (ValueError)   bytes that are not the record that they should be
    ├── WorkerError          (RuntimeError) a worker, not the work, failed
    │   ├── WorkerDied                      an item killed every worker that tried it
    │   ├── WorkerNotStarted                workers cannot start, with their own words
    │   └── ItemTimeout      (TimeoutError) an item took longer than the loader's timeout
    ├── ServiceError         (RuntimeError) the data service cannot do what was asked; says what helps
    │   ├── ServerLost       (RuntimeError) a server that was silent for longer than the timeout; a TimeoutError, too
    │   └── ServerRefused    (RuntimeError) a server that does not let us in, or not with these wishes
    └── RemoteError          (RuntimeError) stands in for a worker's exception that cannot travel

What a user's own function raises is never wrapped: it arrives with its own type, and with notes.
"""


class PenstockError(Exception):
    """The root of the exceptions that Penstock raises of its own accord."""


class ArgumentError(PenstockError, ValueError):
    """A value that an operation cannot use; says the value, the operation and the remedy."""


class ArgumentTypeError(PenstockError, TypeError):
    """A value of a kind that an operation cannot use; says the value, the operation and the remedy."""


class LengthError(PenstockError, TypeError):
    """The length of a dataset that has no end, or whose length shows only when it is read."""


class CollateError(PenstockError, ValueError):
    """Items that cannot be stacked into one batch; names the field and the shapes."""


class DecodeError(PenstockError, ValueError):
    """A file that is no image, a damaged one, or one that declares too many pixels; names the file."""


class StateError(PenstockError, ValueError):
    """A saved state that belongs to another description, or is no state at all."""


class LedgerError(PenstockError, RuntimeError):
    """An epoch that delivered another number of items than it planned: a fault of Penstock, never hidden."""


class ClosedError(PenstockError, RuntimeError):
    """A loader, or an iterator of it, that was used after its end."""


class EndedQuietly(PenstockError, RuntimeError):
    """A user function raised StopIteration, which would have ended the epoch without a word."""


class UnsupportedPlatform(PenstockError, RuntimeError):
    """A part of Penstock that needs what this operating system does not have."""


class MissingExtra(PenstockError, ImportError):
    """A part of Penstock that needs a library which is not installed; says what to install."""


class StoreError(PenstockError, ValueError):
    """A file or folder that cannot be read, or written, as a store; names it, and what is wrong."""


class CorruptRecord(StoreError):
    """Bytes that are not the record that they should be."""


class WorkerError(PenstockError, RuntimeError):
    """A worker, not the work, failed."""


class WorkerDied(WorkerError):
    """An item killed each worker that tried to compute it."""


class WorkerNotStarted(WorkerError):
    """No worker could start; carries what it said."""


class ItemTimeout(WorkerError, TimeoutError):
    """An item took longer than the loader's timeout; has the stack of the worker that is stuck in it."""


class ServiceError(PenstockError, RuntimeError):
    """The data service cannot do what was asked; says what helps."""


class ServerLost(ServiceError, TimeoutError):
    """A server that was silent for longer than the timeout, with no other to take over its share."""


class ServerRefused(ServiceError):
    """A server that does not let this consumer in, or not with these wishes; says why."""


class RemoteError(PenstockError, RuntimeError):
    """Stands in for an exception of a worker that cannot be rebuilt here; carries its text."""
