from __future__ import annotations

import math

import numpy as np
import pytest

from halfsim.training.models import Transformer
from tests.training.models.test_model import output
from tests.training.tasks.runs import start

MODEL = Transformer(vocabulary=11, width=12, heads=3, layers=2, length=8, function="relu")
TOKENS = np.random.default_rng(0).integers(11, size=(3, 6))


def reference(model: Transformer, tokens: np.ndarray) -> np.ndarray:
    """The logits in binary64, one sequence, one head and one query at a time."""
    w = {name: value.astype(np.float64) for name, value in start(model).items()}
    width, each, (count, length) = model.width, model.width // model.heads, tokens.shape

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) * w[f"{name}.gain"] + w[f"{name}.shift"]

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["embedding.weight"][tokens] + w["position.weight"][:length]
    for layer in range(1, model.layers + 1):
        block = f"block{layer}"
        joined = linear(f"{block}.attention", norm(f"{block}.norm1", x))
        mixed = np.zeros((count, length, width))
        for n, head, t in np.ndindex(count, model.heads, length):
            q, k, v = (joined[n, :, part * width + head * each :][:, :each] for part in range(3))
            scores = np.exp([q[t] @ k[s] / math.sqrt(each) for s in range(t + 1)])
            mixed[n, t, head * each : (head + 1) * each] = scores @ v[: t + 1] / scores.sum()
        x = x + linear(f"{block}.projection", mixed)
        x = x + linear(f"{block}.contract", np.maximum(linear(f"{block}.expand", norm(f"{block}.norm2", x)), 0))
    return linear("linear1", norm("norm", x))


@pytest.mark.parametrize(("policy", "tolerance"), [("binary32", 1e-5), ("mixed", 2e-2)])
def test_logits_are_those_of_the_equations(policy: str, tolerance: float) -> None:
    _, y = output(MODEL, TOKENS, policy)
    assert np.abs(y.value - reference(MODEL, TOKENS)).max() < tolerance


def test_no_token_depends_on_later_ones() -> None:
    changed = TOKENS.copy()
    changed[:, 3] = (changed[:, 3] + 1) % 11
    before, after = output(MODEL, TOKENS, "mixed")[1].value, output(MODEL, changed, "mixed")[1].value
    assert np.array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any(axis=2).all()


def test_equal_tokens_differ_by_their_position() -> None:
    _, y = output(MODEL, np.zeros((1, 6), np.int64))
    assert len({row.tobytes() for row in y.value[0]}) == 6


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="Transformer: width=10 must be a multiple of heads=3"):
        Transformer(vocabulary=11, width=10, heads=3, layers=1, length=8)
    with pytest.raises(ValueError, match=r"function='swish' is unknown; known are gelu, relu"):
        Transformer(vocabulary=11, width=12, heads=3, layers=1, length=8, function="swish")
    with pytest.raises(ValueError, match="sequences of 9 tokens exceed length=8"):
        output(MODEL, np.zeros((1, 9), np.int64))
