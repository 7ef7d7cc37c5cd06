"""Text for language models: CPython's own help topics, which are always there, or any UTF-8 file."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, resources
from pathlib import Path

import numpy as np

from halfsim.training.arithmetic import Array

__all__ = ["TOPICS", "UNITS", "UNKNOWN", "Corpus", "corpus", "tokens_of", "vocabulary_of"]

TOPICS = "pydoc"
UNITS = ("char", "word")
UNKNOWN = "<unk>"


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """A text as numbers.

    Parameters
    ----------
    name, file, sha256 : str
        What it is, the file it was read from, and that file's digest.
    vocabulary : tuple of str
        What the numbers stand for; 0 is every token that is not in it.
    train, test : array
        The tokens, int64, in the order of the text.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.data import Corpus
    >>> Corpus("abc", "abc.txt", "", ("<unk>", "a", "b"), np.array([1, 2]), np.array([0])).vocabulary[2]
    'b'
    """

    name: str
    file: str
    sha256: str
    vocabulary: tuple[str, ...]
    train: Array
    test: Array


@lru_cache(maxsize=4)
def corpus(text: str, unit: str, vocabulary: int, train: int, test: int, skip: int = 0) -> Corpus:
    """Return a text cut in tokens: `train` of them after the first `skip`, then `test` more.

    The vocabulary is "<unk>" and the `vocabulary` - 1 most frequent tokens of the training part, equally frequent
    ones by code point. A shorter text may have fewer.

    Parameters
    ----------
    text : str
        "pydoc" for the help topics of the Python that runs, in alphabetical order of their titles with two line feeds
        between them (they change between releases of Python: see the digest); else the path of a UTF-8 file.
    unit : str
        "char", or "word": words and single punctuation marks of the text in lower case.
    vocabulary, train, test, skip : int
        Sizes, in tokens.

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError
        When there is no such text.
    ValueError
        When the text is not UTF-8 or too short, or a size is not positive.

    Examples
    --------
    >>> from halfsim.training.data import corpus
    >>> hello = corpus("pydoc", "char", vocabulary=30, train=1000, test=100)
    >>> hello.vocabulary[:3], hello.train.shape
    (('<unk>', ' ', 'e'), (1000,))
    """
    if unit not in UNITS:
        raise ValueError(f"corpus: unit={unit!r} must be one of {', '.join(UNITS)}")
    if min(train, test) < 2 or vocabulary < 2 or skip < 0:
        raise ValueError(f"corpus: {vocabulary=}, {train=}, {test=} must be at least 2, and {skip=} at least 0")
    file, content, characters = _topics() if text == TOPICS else _file(text)
    tokens = tokens_of(characters, unit)
    if len(tokens) < skip + train + test:
        raise ValueError(
            f"corpus: text={text!r} has {len(tokens)} tokens of unit {unit!r}, and skip, train and test ask for "
            f"{skip + train + test}; lower them or pass a longer text"
        )
    parts = tokens[skip : skip + train], tokens[skip + train : skip + train + test]
    known = vocabulary_of(parts[0], vocabulary)
    number = {token: i for i, token in enumerate(known)}
    train_numbers, test_numbers = (np.array([number.get(token, 0) for token in part], np.int64) for part in parts)
    name = f"{Path(file).stem}, {unit}s"
    return Corpus(name, file, hashlib.sha256(content).hexdigest(), known, train_numbers, test_numbers)


def tokens_of(text: str, unit: str) -> list[str]:
    """Return the characters of a text, or the words and punctuation marks of its lower case.

    Examples
    --------
    >>> tokens_of("Call me Ishmael.", "word")
    ['call', 'me', 'ishmael', '.']
    """
    return list(text) if unit == "char" else re.findall(r"\w+|[^\w\s]", text.lower())


def vocabulary_of(tokens: Sequence[str], size: int) -> tuple[str, ...]:
    """Return "<unk>" and the `size` - 1 most frequent tokens, equally frequent ones by code point.

    Examples
    --------
    >>> vocabulary_of("banana", 3)
    ('<unk>', 'a', 'n')
    """
    ranked = sorted(Counter(tokens).items(), key=lambda item: (-item[1], item[0]))
    return UNKNOWN, *(token for token, _ in ranked[: size - 1])


def _topics() -> tuple[str, bytes, str]:
    try:
        topics: dict[str, str] = import_module("pydoc_data.topics").topics
        content = (resources.files("pydoc_data") / "topics.py").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ModuleNotFoundError(
            f"corpus: this Python comes without pydoc_data.topics ({error}); pass the path of a UTF-8 text"
        ) from None
    return "pydoc_data/topics.py", content, "\n\n".join(topics[title] for title in sorted(topics))


def _file(text: str) -> tuple[str, bytes, str]:
    path = Path(text)
    if not path.is_file():
        raise FileNotFoundError(f"corpus: text={text!r} is no file; pass {TOPICS!r} or the path of a UTF-8 text")
    content = path.read_bytes()
    try:
        return path.name, content, content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"corpus: text={text!r} is not UTF-8 at byte {error.start}; convert it") from None
