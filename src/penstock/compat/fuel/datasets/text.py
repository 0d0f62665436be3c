"""Text as numbers: a line of a file is an example."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import penstock as ps
from penstock.compat.fuel.datasets.base import Dataset
from penstock.compat.fuel.iterator import Reading
from penstock.compat.fuel.utils import find_in_data_path
from penstock.compat.fuel.utils.formats import open_


class TextFile(Dataset):
    r"""The lines of text files, as lists of the numbers that a dictionary has for their words or characters.

    Args:
        files: read one after the other; those that end with ``.gz`` are unpacked.
        dictionary: a number for every token.
        bos_token: stands before every sentence; none where it is None.
        eos_token: stands behind every sentence; none where it is None.
        unk_token: takes the place of tokens that the dictionary lacks; with None they are a ``KeyError``.
        level: ``"word"`` or ``"character"``.
        preprocess: called with every line, its end included; it returns a text.
        encoding: of the files; the system's by default.

    >>> import tempfile
    >>> from penstock.compat.fuel.datasets import TextFile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    ...     _ = file.write("the cat\nthe dog")
    ...     file.flush()
    ...     dataset = TextFile([file.name], {"<UNK>": 0, "</S>": 1, "the": 2, "cat": 3}, bos_token=None)
    ...     list(dataset.get_example_stream().get_epoch_iterator())
    [([2, 3, 1],), ([2, 0, 1],)]
    """

    provides_sources = ("features",)
    example_iteration_scheme = None

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        files: Iterable[str],
        dictionary: dict[str, int],
        bos_token: str | None = "<S>",  # noqa: S107  a token of a text
        eos_token: str | None = "</S>",  # noqa: S107
        unk_token: str | None = "<UNK>",  # noqa: S107
        level: str = "word",
        preprocess: Callable[[str], str] | None = None,
        encoding: str | None = None,
    ) -> None:
        for name, token in (("BOS", bos_token), ("EOS", eos_token), ("UNK", unk_token)):
            if token is not None and token not in dictionary:
                raise ValueError(f"TextFile: {name} token {token!r} is not in the dictionary.")
        if level not in ("word", "character"):
            raise ValueError(f"TextFile: level should be 'word' or 'character', not {level!r}.")
        self.files = files
        self.dictionary = dictionary
        self.bos_token = bos_token
        self.eos_token = eos_token
        self.unk_token = unk_token
        self.level = level
        self.preprocess = preprocess
        self.encoding = encoding
        super().__init__()

    def open(self) -> Iterator[str]:
        return Reading(ps.stream(functools.partial(lines, tuple(self.files), self.encoding)))

    def get_data(self, state: Any = None, request: Any = None) -> Any:
        if request is not None:
            raise ValueError(f"TextFile: it is read from the front, and takes no request: {request!r}.")
        sentence = next(state)
        if self.preprocess is not None:
            sentence = self.preprocess(sentence)
        tokens = sentence.split() if self.level == "word" else sentence.strip()
        data = [self.dictionary[self.bos_token]] if self.bos_token else []
        data.extend(self._get_from_dictionary(token) for token in tokens)
        if self.eos_token:
            data.append(self.dictionary[self.eos_token])
        return (data,)

    def _get_from_dictionary(self, token: str) -> int:
        number = self.dictionary.get(token)
        if number is not None:
            return number
        if self.unk_token is None:
            raise KeyError(f"token {token!r} is not in the dictionary, and there is no `unk_token` for it")
        return self.dictionary[self.unk_token]


class OneBillionWord(TextFile):
    """The One Billion Word corpus, as it is unpacked in a folder ``1-billion-word`` of the data path.

    Args:
        which_set: ``"training"`` or ``"heldout"``.
        which_partitions: numbers of its files: 1 to 99 of the one, 0 to 49 of the other.
        dictionary: as for ``TextFile``, which takes the other arguments, too.
    """

    def __init__(
        self, which_set: str, which_partitions: Iterable[int], dictionary: dict[str, int], **kwargs: Any
    ) -> None:
        names = {
            "training": (range(1, 100), "training-monolingual.tokenized.shuffled", "news.en-{:05d}-of-00100"),
            "heldout": (range(50), "heldout-monolingual.tokenized.shuffled", "news.en.heldout-{:05d}-of-00050"),
        }
        if which_set not in names:
            raise ValueError(f"OneBillionWord: which_set should be 'training' or 'heldout', not {which_set!r}.")
        numbers, folder, name = names[which_set]
        wanted = list(which_partitions)
        if not all(number in numbers for number in wanted):
            raise ValueError(f"OneBillionWord: partitions of {which_set!r} are in {numbers}, not {wanted}.")
        files = [find_in_data_path(os.path.join("1-billion-word", folder, name.format(number))) for number in wanted]
        super().__init__(files, dictionary, **kwargs)


def lines(files: Iterable[str], encoding: str | None) -> Iterator[str]:
    """Yield the lines of files."""
    for name in files:
        with open_(name, encoding=encoding) as file:
            yield from file
