from __future__ import annotations

import numpy as np
import pytest

from halfsim.training.models import LSTM
from tests.training.models.test_model import output
from tests.training.tasks.runs import start

MODEL = LSTM(vocabulary=11, embedding=5, hidden=7, layers=2)
TOKENS = np.random.default_rng(0).integers(11, size=(3, 6))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def reference(model: LSTM, tokens: np.ndarray) -> np.ndarray:
    """The logits in binary64, as the equations of the memory cell say."""
    w = {name: value.astype(np.float64) for name, value in start(model).items()}
    sequence = [w["embedding.weight"][tokens[:, t]] for t in range(tokens.shape[1])]
    for layer in range(1, model.layers + 1):
        weight, bias = w[f"lstm{layer}.weight"], w[f"lstm{layer}.bias"]
        h = c = np.zeros((len(tokens), model.hidden))
        states = []
        for x in sequence:
            of_x, of_h = weight[: x.shape[1]], weight[x.shape[1] :]
            i, f, g, o = np.split(x @ of_x + h @ of_h + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states.append(h)
        sequence = states
    return np.stack(sequence, 1) @ w["linear1.weight"] + w["linear1.bias"]


@pytest.mark.parametrize(("policy", "tolerance"), [("binary32", 1e-6), ("mixed", 5e-3)])
def test_logits_are_those_of_the_equations(policy: str, tolerance: float) -> None:
    _, y = output(MODEL, TOKENS, policy)
    assert np.abs(y.value - reference(MODEL, TOKENS)).max() < tolerance


def test_forget_gates_start_open_and_the_other_biases_at_zero() -> None:
    bias = start(MODEL)["lstm2.bias"]
    assert bias.tolist() == [0.0] * 7 + [1.0] * 7 + [0.0] * 14


def test_no_token_depends_on_later_ones() -> None:
    changed = TOKENS.copy()
    changed[:, 3] = (changed[:, 3] + 1) % 11
    before, after = output(MODEL, TOKENS, "mixed")[1].value, output(MODEL, changed, "mixed")[1].value
    assert np.array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any(axis=2).all()
