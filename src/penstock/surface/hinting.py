"""Hints for whoever hands a function what it does not take: the option that was meant, or how it is said here.

    batch(64, drop_last=True)     batch() has no option drop_last. Say last="drop".

A call costs one more frame and nothing else: what is wrong is looked for when Python has refused the call. Signature,
docstring and type are those of the function itself.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from penstock.errors import ArgumentTypeError

F = TypeVar("F", bound=Callable[..., Any])

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
    "worker_init_fn": "Workers need no seeds; what a worker should keep, a function caches when it is called first.",
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
    "index": "Say .loader(shard=(rank, world size)), or .shard(rank, world size, last=…).",
    "ignore_errors": 'Say .on_error("skip").',
    "with_indices": "Say .enumerate() in front, and .starmap(function).",
    "batched": "Say .batch(64) in front.",
    "fn": "The function comes first, without a name.",
    "func": "The function comes first, without a name.",
    "map_func": "The function comes first, without a name.",
    "probability": "Say p=0.5.",
    "prob": "Say p=0.5.",
    "device": "Use penstock.adapters.torch.on_device(loader, device).",
    "batch.batch_size": "The size comes first: batch(64).",
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
    "shuffle.seed": "Say .seed(7) in front: .seed(7).shuffle().",
    "shuffle.random_state": "Say .seed(7) in front: .seed(7).shuffle().",
    "shuffle.buffer_size": "A Sequence is shuffled as a whole: shuffle(). Within a window: shuffle(window=1000).",
    "shuffle.buffer": "A Sequence is shuffled as a whole: shuffle(). Within a window: shuffle(window=1000).",
    "shuffle.initial": "Nothing is filled before the first item comes: shuffle(window=1000).",
    "sample.replace": "Say replacement=False.",
    "sample.n": "The count comes first, without a name.",
    "sample.frac": "Say the count: sample(len(dataset) // 2).",
    "sample.num_samples": "The count comes first, without a name.",
    "mix.probabilities": 'Say weights=[…], how="random".',
    "mix.seed": "Say .seed(7) behind the source of the first member, whose seed is the mix's.",
    "mix.stopping_strategy": 'Say stop="first", "all" or "repeat".',
    "repeat.count": "Say repeat(3).",
    "repeat.num_epochs": "Say repeat(3).",
    "files.recursive": 'Say files("photos/**/*.jpg"): ** goes through folders.',
    "files.shuffle": "Say .shuffle() behind; the paths are sorted.",
    "files.sort": "They are sorted.",
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


def explain(function: Callable[..., Any], error: TypeError, args: tuple[Any, ...], options: dict[str, Any]) -> NoReturn:
    """Raise the error that says what is wrong with a call that Python refused."""
    name = function.__name__
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
        raise ArgumentTypeError(f"{text} {usage}") from None
    text = str(error).removeprefix(function.__qualname__).removeprefix(name).removeprefix("()").strip()
    raise ArgumentTypeError(f"{name}(): {text}. {usage}") from None


def meant(name: str, option: str, known: dict[str, Any]) -> str | None:
    """Return what somebody meant who handed over an option that there is not."""
    hint = OPTIONS.get(f"{name}.{option}")
    if hint is None and (near := difflib.get_close_matches(option, known, n=1, cutoff=0.75)):
        return f"Did you mean {near[0]}?"
    return hint or OPTIONS.get(option)


def written(name: str, signature: inspect.Signature) -> str:
    """Return how a function is called, without types: ``batch(size, *, last='keep', collate=None)``."""
    kept = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    return f"{name}{signature.replace(parameters=kept, return_annotation=signature.empty)}"
