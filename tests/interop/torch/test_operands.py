"""Operands of every operator are rounded to the format of the policy, in whatever format it then computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

F = torch.nn.functional
FLUSHED = replace(named("mixed"), name="flushed", flush_to_zero=True)


def raw(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def rounded(x):
    return x.detach().half().float()


def places():
    return torch.tensor([[0, 1, 2, 1, 0, 3, 5, 7]] * 4)


FUNCTIONS = {
    "sum": lambda x, w: x.sum(1),
    "total": lambda x, w: x.sum(),
    "mean": lambda x, w: x.mean(1),
    "var": lambda x, w: x.var(1),
    "std": lambda x, w: x.std(1),
    "norm": lambda x, w: torch.linalg.vector_norm(x, 2, 1),
    "cumsum": lambda x, w: x.cumsum(1),
    "logsumexp": lambda x, w: x.logsumexp(1),
    "softmax": lambda x, w: x.softmax(1),
    "log_softmax": lambda x, w: x.log_softmax(1),
    "layer_norm": lambda x, w: F.layer_norm(x, (8,), w, w),
    "group_norm": lambda x, w: F.group_norm(x, 2, w, w),
    "batch_norm": lambda x, w: F.batch_norm(x, None, None, w, w, training=True),
    "inference": lambda x, w: F.batch_norm(x, torch.full((8,), 0.1), torch.full((8,), 0.7), w, w),
    "avg_pool2d": lambda x, w: F.avg_pool2d(x[None, None], 2),
    "mse": lambda x, w: F.mse_loss(x, w.expand(4, 8)),
    "mse of each": lambda x, w: F.mse_loss(x, w.expand(4, 8), reduction="none"),
    "cross entropy": lambda x, w: F.cross_entropy(x, torch.tensor([0, 3, 7, 1]), w.detach().abs()) + w.sum() * 0,
    "binary": lambda x, w: F.binary_cross_entropy_with_logits(x, w.sigmoid().expand(4, 8)),
    "scale": lambda x, w: x * 3.3,
    "quotient": lambda x, w: x / 3.3 + w,
    "scatter_add": lambda x, w: torch.zeros(4, 8).scatter_add(1, places(), x),
    "index_put": lambda x, w: torch.zeros(8).index_put((places(),), x, accumulate=True),
    "linear": lambda x, w: F.linear(x, w[None], w[:1]),
    "bias": lambda x, w: (x + w).exp(),
    "max": lambda x, w: x.clamp(-0.3, 0.3) * w,
    "embedding": lambda x, w: F.embedding(torch.tensor([1, 1, 3]), x).sum(0) * w,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
@pytest.mark.parametrize("policy", ["mixed", "binary16-pure", FLUSHED], ids=["mixed", "pure", "flushed"])
def test_raw_operands_are_rounded(policy, function):
    x, w, g = raw(4, 8), raw(8, seed=1), raw(4 * 8 * 8, seed=2)
    found = []
    for prepare in (torch.clone, rounded):
        one, other = (prepare(t).requires_grad_() for t in (x, w))
        with hs.torch.simulate(policy) as report:
            y = function(one, other)
            y.backward(prepare(g[: y.numel()]).reshape(y.shape) if y.ndim else None)
        found.append((y.detach(), one.grad, other.grad))
        assert not report.not_simulated
    (y, *gradients), (expected, *others) = found
    assert torch.equal(y, expected)
    for a, b in zip(gradients, others, strict=True):
        # What only moves a gradient, as the derivative of a sum does, leaves it raw.
        assert (a is b is None) or torch.equal(rounded(a), b)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_sums_of_subnormals_are_flushed_in_either_type(dtype):
    with hs.torch.simulate(FLUSHED):
        assert torch.full((8,), 2.0**-15, dtype=dtype).sum().item() == 0


@pytest.mark.parametrize("factor", [3.5, 3.3])
def test_a_factor_that_binary16_lacks_does_not_keep_subnormals(factor):
    with hs.torch.simulate(FLUSHED):
        y = torch.full((2,), 2.0**-15) * factor
    assert y.tolist() == [0.0, 0.0]


def test_a_weight_that_an_optimizer_moved_is_rounded_like_one_before():
    w = torch.nn.Parameter(torch.full((2,), 1 + 2.0**-12))
    optimizer = torch.optim.SGD([w], lr=2.0**-13)
    found = []
    with hs.torch.simulate("mixed"):
        for _ in range(2):
            found.append((w * torch.full((2,), 1 + 2.0**-10)).tolist())
            w.grad = torch.ones(2)
            optimizer.step()
    assert found == [[1 + 2.0**-10] * 2] * 2
    assert w[0].item() == 1.0
