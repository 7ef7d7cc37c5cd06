from __future__ import annotations

import hashlib
import pydoc_data.topics
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from halfsim.training.data import corpus
from halfsim.training.data.text import tokens_of, vocabulary_of


def test_the_topics_are_one_text_in_alphabetical_order() -> None:
    topics = pydoc_data.topics.topics
    whole = "\n\n".join(text for _, text in sorted(topics.items()))
    found = corpus("pydoc", "char", 96, 5000, 400, 300)
    assert found.file == "pydoc_data/topics.py"
    assert found.sha256 == hashlib.sha256(Path(pydoc_data.topics.__file__).read_bytes()).hexdigest()
    known = set(found.vocabulary)
    for tokens, start, count in ((found.train, 300, 5000), (found.test, 5300, 400)):
        expected = [c if c in known else "<unk>" for c in whole[start : start + count]]
        assert [found.vocabulary[i] for i in tokens] == expected


def test_words_are_the_most_frequent_of_the_training_part(tmp_path: Path) -> None:
    text = "The cat, the CAT and the dog; a dog!  Über-cat. zebra zebra zebra zebra zebra"
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    found = corpus(str(tmp_path / "t.txt"), "word", 5, 14, 4)
    words = re.findall(r"[a-zü]+|[,;!.-]", text.lower())
    counts = Counter(words[:14])
    assert found.vocabulary == ("<unk>", "the", "cat", "dog", "!")
    assert sorted(counts, key=lambda word: (-counts[word], word))[:4] == list(found.vocabulary[1:])
    assert found.train.tolist() == [1, 2, 0, 1, 2, 0, 1, 3, 0, 0, 3, 4, 0, 0]
    assert found.test.tolist() == [2, 0, 0, 0]
    assert found.train.dtype == np.int64
    assert found.name == "t, words"


def test_a_small_text_has_a_small_vocabulary() -> None:
    assert vocabulary_of("abba", 10) == ("<unk>", "a", "b")
    assert tokens_of("a b", "char") == ["a", " ", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unit": "byte"}, "unit='byte' must be one of char, word"),
        ({"train": 1}, "train=1"),
        ({"vocabulary": 1}, "vocabulary=1"),
        ({"skip": -1}, "skip=-1"),
        ({"train": 10**8}, r"has \d+ tokens of unit 'char', and skip, train and test ask for 100000010"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corpus(**{"text": "pydoc", "unit": "char", "vocabulary": 9, "train": 10, "test": 10, **arguments})  # type: ignore[arg-type]


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"corpus: text='.*none.txt' is no file"):
        corpus(str(tmp_path / "none.txt"), "char", 9, 10, 10)
    (tmp_path / "latin.txt").write_bytes(b"abc\xe9" * 10)
    with pytest.raises(ValueError, match=r"latin.txt' is not UTF-8 at byte 3"):
        corpus(str(tmp_path / "latin.txt"), "char", 9, 10, 10)
