from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from halfsim.training.data import corpus
from halfsim.training.models import LSTM, Model, Transformer
from halfsim.training.tasks import Language
from tests.training.tasks.runs import descend, start, tapes, variables

TOPICS = Language(train=1500, test=300, length=8, vocabulary=40)


def test_windows_follow_each_other_and_targets_are_the_next_tokens() -> None:
    tokens = corpus("pydoc", "char", 40, 1500, 300).train
    x, y = TOPICS.data.train
    assert x.shape == y.shape == ((1500 - 1) // 8, 8)
    assert np.array_equal(x.reshape(-1), tokens[: x.size])
    assert np.array_equal(y.reshape(-1), tokens[1 : x.size + 1])
    assert TOPICS.data.test[0].shape == (299 // 8, 8)


def test_batches_are_windows_in_random_order_and_can_be_found_again() -> None:
    windows = {(bytes(x), bytes(y)) for x, y in zip(*TOPICS.data.train, strict=True)}
    stream = TOPICS.batches(2, 10)
    first = [stream.next() for _ in range(30)]
    epoch = [(bytes(a), bytes(b)) for x, y in first[:18] for a, b in zip(x, y, strict=True)]
    assert set(epoch) <= windows
    assert len(set(epoch)) > 0.9 * len(epoch)
    again = TOPICS.batches(2, 10)
    again.restore(stream.state())
    assert all(np.array_equal(a, b) for a, b in zip(stream.next(), again.next(), strict=True))


def test_a_text_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be , that is the question . " * 20, encoding="utf-8")
    task = Language(text=str(tmp_path / "text.txt"), unit="word", vocabulary=12, length=6, train=120, test=60, skip=12)
    assert task.data.name == "text, words"
    assert task.data.file == "text.txt"
    assert task.data.train[0].max() < 12
    with pytest.raises(ValueError, match="has 240 tokens of unit 'word'"):
        _ = Language(text=task.text, unit="word", vocabulary=12, length=6, train=200, test=60).data


def test_a_network_that_knows_nothing_has_the_perplexity_of_the_vocabulary() -> None:
    model = LSTM(vocabulary=40, embedding=3, hidden=4)
    factory = tapes("mixed")
    zeros = {name: np.zeros(shape, np.float32) for name, shape in model.shapes.items()}
    measures = TOPICS.evaluate(model, variables(zeros, factory().machine), factory)
    assert measures["perplexity"] == pytest.approx(40)
    assert measures["loss"] == pytest.approx(np.log(40))
    assert measures["accuracy"] == (TOPICS.data.test[1] == 0).mean()


MODELS = [
    LSTM(vocabulary=40, embedding=6, hidden=12, layers=2),
    Transformer(vocabulary=40, width=12, heads=3, layers=2, length=8),
]


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
@pytest.mark.parametrize("model", MODELS)
def test_networks_learn(model: Model, policy: str) -> None:
    measures, losses, _ = descend(TOPICS, model, policy, rate=0.5, steps=12, batch=24, scale=128.0)
    assert losses[""][-1] < 0.9 * losses[""][0]
    assert measures[1]["loss"] < measures[0]["loss"]


def test_measures_do_not_depend_on_how_windows_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = tapes("mixed")
    parameters = variables(start(MODELS[0]), factory().machine)
    together = TOPICS.evaluate(MODELS[0], parameters, factory)
    monkeypatch.setattr("halfsim.training.tasks.language._LOGITS", 7 * 8 * 40)
    assert TOPICS.evaluate(MODELS[0], parameters, factory) == together
