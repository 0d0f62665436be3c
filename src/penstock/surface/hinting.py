"""Hints for whoever hands a function what it does not take: the option that was meant, or how it is said here.

    batch(64, drop_last=True)     batch() has no option drop_last. Say last="drop".

A call costs one more frame and nothing else: what is wrong is looked for when Python has refused the call. Signature,
docstring and type are those of the function itself. Of a class that users make values of, the call is ``__init__``.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from penstock.errors import ArgumentTypeError

F = TypeVar("F", bound=Callable[..., Any])

COUNTS = ("workers", "num_workers", "n_workers", "max_workers", "num_threads", "num_processes", "n_jobs", "size")

# Options of other libraries, and what to say here; with a method's name before, only of that method.
OPTIONS = {
    "num_workers": "Workers are the loader's: .loader(workers=Processes(4)).",
    "n_workers": "Workers are the loader's: .loader(workers=Processes(4)).",
    "num_threads": "Threads are the loader's: .loader(workers=Threads(4)).",
    "num_parallel_calls": "All steps share the loader's workers: .loader(workers=Processes(4)).",
    "workers": "Workers are the loader's: .loader(workers=Processes(4)).",
    "multiprocessing_context": "Workers are a value: .loader(workers=Processes(4)).",
    "deterministic": "The order is always the same, on any workers.",
    "in_order": "The order is always the same, on any workers.",
    "persistent_workers": "A loader keeps its workers from epoch to epoch until it is closed.",
    "prefetch_factor": "Say how much may be under way: .loader(window=…, window_bytes=…).",
    "prefetch": "Say how much may be under way: .loader(window=…, window_bytes=…).",
    "buffer_size": "Say how much may be under way: .loader(window=…, window_bytes=…).",
    "pin_memory": "Use penstock.adapters.torch.on_device(loader, device), which pins what it copies.",
    "worker_init_fn": "Say workers=Processes(4, on_start=function); workers need no seeds.",
    "start_hook": "Say workers=Processes(4, on_start=function).",
    "generator": "Say .seed(7) in front; a function gets its item's generator with .map(function, rng=True).",
    "seed": "Say .seed(7) before the first random step.",
    "random_state": "Say .seed(7) before the first random step.",
    "reshuffle_each_iteration": "Every epoch has an order of its own; .epoch(0) fixes one.",
    "drop_last": 'Say last="drop".',
    "drop_remainder": 'Say last="drop".',
    "collate_fn": "Say collate=function.",
    "batch_fn": "Say collate=function.",
    "batch_size": "Say .batch(64), where 64 is the size.",
    "sampler": "The order is the dataset's: .shuffle().",
    "batch_sampler": "Batches are the dataset's: .batch(64).",
    "rank": "Say .loader(shard=(rank, world size)).",
    "world_size": "Say .loader(shard=(rank, world size)).",
    "num_replicas": "Say .loader(shard=(rank, world size)).",
    "num_shards": "Say .loader(shard=(rank, world size)), or .shard(rank, world size, last=…).",
    "shard.index": "The rank comes first: shard(rank, world size, last=…).",
    "shard.world_size": "The rank, then the world size: shard(rank, world size, last=…).",
    "shard.drop_remainder": 'Say last="drop".',
    "ignore_errors": 'Say .on_error("skip").',
    "with_indices": "Say .enumerate() in front, and .starmap(function).",
    "batched": "Say .batch(64) in front.",
    "fn": "The function comes first, without a name.",
    "func": "The function comes first, without a name.",
    "map_func": "The function comes first, without a name.",
    "map.input_columns": 'Say at="image", or at=("image", "mask").',
    "map.columns": 'Say at="image", or at=("image", "mask").',
    "map.field": 'Say at="image", or at=("image", "mask").',
    "map.fields": 'Say at=("image", "mask").',
    "map.key": 'Say at="image".',
    "map.index": "Say at=0.",
    "probability": "Say p=0.5.",
    "prob": "Say p=0.5.",
    "device": "Use penstock.adapters.torch.on_device(loader, device).",
    "batch.batch_size": "The size comes first: batch(64).",
    "batch.key": "Say .group(key, size).",
    "group.batch_size": "The size comes second: group(key, 64).",
    "rebatch.batch_size": "The size comes first: rebatch(64).",
    "bucket.batch_size": "The items per batch come third: bucket(len, [64, 128], 32).",
    "bucket.bucket_batch_sizes": "The items per batch come third: bucket(len, [64, 128], [32, 16, 8]).",
    "bucket.bucket_boundaries": "The boundaries come second: bucket(len, [64, 128], 32).",
    "bucket.element_length_func": "The function that measures comes first: bucket(len, [64, 128], 32).",
    "bucket.drop_remainder": 'Say last="drop".',
    "batch_by.max_tokens": "The budget comes first: batch_by(8192, len).",
    "batch_by.max_batch_size": "Say max_items=64.",
    "batch_by.key": "The function that measures comes second: batch_by(8192, len).",
    "pack.length": "The length of a row comes first: pack(2048).",
    "pack.max_length": "The length of a row comes first: pack(2048).",
    "pack.size": "The length of a row comes first: pack(2048).",
    "pack.strategy": 'Say how="best_fit", "first_fit" or "concat_split".',
    "pack.padding_value": "Say value=0.",
    "pack.pad": "Say value=0.",
    "batch.num_workers": "Workers are the loader's: .loader(workers=Processes(4)).",
    "shuffle.size": "Say window=1000, or nothing: a Sequence is shuffled as a whole.",
    "padding_values": "Say collate=penstock.Pad(value=0).",
    "padded_shapes": "Say collate=penstock.Pad().",
    "loader.prefetch_factor": "Say window=…, window_bytes=….",
    "loader.prefetch": "Say window=…, window_bytes=….",
    "loader.shuffle": "Shuffling is the dataset's: .shuffle().loader().",
    "loader.num_workers": "Say workers=Processes(4).",
    "loader.num_threads": "Say workers=Threads(4).",
    "loader.rank": "Say shard=(rank, world size).",
    "loader.world_size": "Say shard=(rank, world size).",
    "loader.seed": "Say .seed(7) before the first random step of the dataset.",
    "loader.drop_last": 'Say .batch(64, last="drop").',
    "loader.collate_fn": "Say .batch(64, collate=function).",
    "loader.epochs": "Iterate the loader once for every epoch, or say .repeat(3) before.",
    "loader.num_epochs": "Iterate the loader once for every epoch, or say .repeat(3) before.",
    "connect.mode": 'The server says it: serve(dataset, endpoint, mode="share").',
    "connect.rank": "Say shard=(rank, world size).",
    "hwm": "Say window=16: so many batches may be on their way.",
    "serve.num_workers": "Say workers=Processes(4).",
    "shuffle.seed": "Say .seed(7) in front: .seed(7).shuffle().",
    "shuffle.random_state": "Say .seed(7) in front: .seed(7).shuffle().",
    "shuffle.buffer_size": "A Sequence is shuffled as a whole: shuffle(). Within a window: shuffle(window=1000).",
    "shuffle.buffer": "A Sequence is shuffled as a whole: shuffle(). Within a window: shuffle(window=1000).",
    "shuffle.initial": "Nothing is filled before the first item comes: shuffle(window=1000).",
    "prefetch.buffer_size": "The count comes first: prefetch(8).",
    "prefetch.n": "The count comes first: prefetch(8).",
    "take.n": "The count comes first: take(100).",
    "skip.n": "The count comes first: skip(100).",
    "windows.stride": "Say step=2.",
    "windows.shift": "Say step=2.",
    "windows.hop": "Say step=2.",
    "windows.window_size": "The size comes first: windows(16).",
    "split.test_size": "Say the shares: split(0.8, 0.2).",
    "split.train_size": "Say the shares: split(0.8, 0.2).",
    "split.at": "Say edges=[100, 200].",
    "split.lengths": "Say the shares: split(0.8, 0.2), split(1000, 200).",
    "split.fractions": "Say the shares: split(0.8, 0.2).",
    "split.random_state": "Say seed=1.",
    "split.generator": "Say seed=1.",
    "split.shuffle": "Say seed=1; without a seed, parts are neighbouring items.",
    "folds.n_splits": "The count comes first: folds(5).",
    "folds.random_state": "Say seed=1.",
    "folds.shuffle": "Say seed=1; without a seed, parts are neighbouring items.",
    "evaluate.reduce": 'Say combine="concat", "mean", "sum" or a function.',
    "sample.replace": "Say replacement=False.",
    "sample.n": "The count comes first, without a name.",
    "sample.frac": "Say the count: sample(len(dataset) // 2).",
    "sample.num_samples": "The count comes first, without a name.",
    "mix.probabilities": 'Say weights=[…], how="random".',
    "mix.probs": 'Say weights=[…], how="random".',
    "mix.rates": 'Say weights=[…], how="random".',
    "mix.proportions": "Say weights=[…].",
    "mix.seed": "Say .seed(7) behind the source of the first member, whose seed is the mix's.",
    "mix.stopping_strategy": 'Say stop="first", "all" or "repeat".',
    "mix.stop_on_empty_dataset": 'Say stop="first" or "all".',
    "interleave.stopping_strategy": 'Say stop="first" or "all".',
    "interleave.stop_on_empty_dataset": 'Say stop="first" or "all".',
    "interleave.cycle_length": "All datasets take turns; block=4 gives each four items in a row.",
    "interleave.block_length": "Say block=4.",
    "repeat.count": "Say repeat(3).",
    "repeat.num_epochs": "Say repeat(3).",
    **{
        f"{kind}.{option}": hint
        for kind in ("Processes", "Threads", "Ray")
        for option, hint in {
            **dict.fromkeys(COUNTS, f"The count comes first: {kind}(4)."),
            "timeout": f"An item's time is the loader's: .loader(workers={kind}(4), timeout=60).",
            "initializer": "Say on_start=function.",
        }.items()
    },
    "Retry.max_attempts": "The count comes first: Retry(3).",
    "Retry.attempts": "The count comes first: Retry(3).",
    "Retry.retries": "The count comes first: Retry(3).",
    "Retry.count": "The count comes first: Retry(3).",
    "Retry.delay": "Say wait=0.1: seconds before the first new attempt.",
    "Retry.backoff": "Say wait=0.1: seconds before the first new attempt, doubled before each further one.",
    "Skip.budget": "The count comes first: Skip(10); for a share: Skip(fraction=0.01).",
    "Skip.limit": "The count comes first: Skip(10); for a share: Skip(fraction=0.01).",
    "Skip.max": "The count comes first: Skip(10); for a share: Skip(fraction=0.01).",
    "Pad.padding_value": "Say value=0.",
    "Pad.pad_value": "Say value=0.",
    "Maybe.prob": "The probability comes second: Maybe(function, 0.5).",
    "Maybe.probability": "The probability comes second: Maybe(function, 0.5).",
    "OneOf.probs": "Say weights=[0.7, 0.3].",
    "OneOf.p": "Say weights=[0.7, 0.3]; for each function or nothing: Maybe(function, p=0.5).",
    "SomeOf.n": "Say count=2.",
    "SomeOf.k": "Say count=2.",
    "files.recursive": 'Say files("photos/**/*.jpg"): ** goes through folders.',
    "files.shuffle": "Say .shuffle() behind; the paths are sorted.",
    "files.sort": "They are sorted.",
}

# Arguments that were handed over by place and have a name, and such as are missing.
BY_PLACE = {
    "shuffle": "A Sequence is shuffled as a whole: shuffle(). Within a window: shuffle(window=1000).",
    "loader": "Say workers=Processes(4), or Threads(4).",
    "batch": 'Say last="drop", collate=function.',
    "mix": "The datasets come in one list: mix([a, b], weights=[0.7, 0.3]).",
    "sort_within": "Say key=function.",
    "shard": 'Say last="drop".',
}
MISSING = {
    "shard.last": 'Say what becomes of items that are left over: last="drop", "pad", "keep" or "error".',
}


def hinted(function: F) -> F:
    """Return a function that says how it is called to whoever calls it wrongly."""
    tell = explain  # the function made below does not see the globals of this module

    def call(*args: Any, **options: Any) -> Any:  # noqa: RET503  the last line raises
        try:
            return function(*args, **options)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:
                raise  # raised within the function
            refused = error
        tell(function, refused, args, options)

    # With the globals of what is wrapped: by them doctest tells whose examples these are.
    made = types.FunctionType(
        call.__code__, function.__globals__, function.__name__, call.__defaults__, call.__closure__
    )
    return functools.update_wrapper(made, function)  # type: ignore[return-value]


def hinting(module: dict[str, Any]) -> None:
    """Do the same for all public functions of a module, which hands over its ``globals()`` at its end."""
    for name, value in list(module.items()):
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == module["__name__"]:
            module[name] = hinted(value)


def making(module: dict[str, Any]) -> None:
    """Do the same for making values of a module's public classes; it hands over its ``globals()`` at its end."""
    for name in module["__all__"]:
        init = vars(module[name]).get("__init__") if isinstance(module[name], type) else None
        if inspect.isfunction(init) and not hasattr(init, "__wrapped__"):
            module[name].__init__ = hinted(init)


def explain(function: Callable[..., Any], error: TypeError, args: tuple[Any, ...], options: dict[str, Any]) -> NoReturn:
    """Raise the error that says what is wrong with a call that Python refused."""
    name = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
    signature = inspect.signature(function)
    known = {p.name: p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    anything = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    wrong = [] if anything else [option for option in options if option not in known]
    usage = f"It is written {written(name, signature)}."
    if wrong:
        raise ArgumentTypeError(f"{name}() has no option {wrong[0]}. {meant(name, wrong[0], known) or usage}") from None
    places = [p for p in known.values() if p.kind is not p.KEYWORD_ONLY]
    if len(args) > len(places):
        extra = ", ".join(map(repr, args[len(places) :]))
        text = f"{name}(): there are more positional arguments than it takes: {extra[:60]}."
        raise ArgumentTypeError(f"{text} {BY_PLACE.get(name) or usage}") from None
    for option in known:
        if f"{name}.{option}" in MISSING and option not in options:
            raise ArgumentTypeError(f"{name}(): {option} is missing. {MISSING[f'{name}.{option}']} {usage}") from None
    text = str(error).removeprefix(function.__qualname__).removeprefix(name).removeprefix("()").strip()
    raise ArgumentTypeError(f"{name}(): {text}. {usage}") from None


def meant(name: str, option: str, known: dict[str, Any]) -> str | None:
    """Return what somebody meant who handed over an option that there is not."""
    hint = OPTIONS.get(f"{name}.{option}")
    if hint is None and (near := closest(option, known)):
        return f"Did you mean {near}?"
    theirs = [entry.removeprefix(f"{name}.") for entry in OPTIONS if entry.startswith(f"{name}.")]
    return hint or OPTIONS.get(option) or OPTIONS.get(f"{name}.{closest(option, theirs)}")


def closest(option: str, known: Iterable[str]) -> str | None:
    """Return what an option may have been meant to be, of those that are known."""
    return next(iter(difflib.get_close_matches(option, list(known), n=1, cutoff=0.75)), None)


def written(name: str, signature: inspect.Signature) -> str:
    """Return how a function is called, without types: ``batch(size, *, last='keep', collate=None)``."""
    kept = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    return f"{name}{signature.replace(parameters=kept, return_annotation=signature.empty)}"
