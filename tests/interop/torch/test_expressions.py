"""Operators that are taken apart by other expressions than PyTorch's own, which its kernels do not agree with."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

functional = torch.nn.functional


def both(function):
    """What PyTorch computes, and what it is under a simulation in which all numbers of these tests are exact enough."""
    wanted = function()
    with halfsim.torch.simulate("mixed"):
        return wanted, function()


TARGETS = {
    "as PyTorch documents it": [[3, 0, -1, 1]],
    "padded": [[3, 0, -1, -1]],
    "none": [[-1, 0, 1, 2]],
    "all": [[0, 1, 2, 3]],
    "one twice": [[2, 2, -1, 0]],
    "several rows": [[3, 0, -1, 1], [0, 1, 2, 3], [-1, -1, -1, -1], [2, 2, -1, 0], [1, -1, 3, -1]],
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_targets_end_at_the_first_that_is_none(name, flat, reduction):
    target = torch.tensor(TARGETS[name])
    start = torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    if flat:
        start, target = start[0], target[0]

    def loss():
        x = start.clone().requires_grad_()
        found = functional.multilabel_margin_loss(x, target, reduction=reduction)
        found.sum().backward()
        return found.detach(), x.grad

    for wanted, got in zip(*both(loss), strict=True):
        assert wanted.shape == got.shape
        assert torch.allclose(wanted, got, atol=4e-3)


def test_a_probability_that_is_right_has_no_gradient():
    def gradient():
        x = torch.tensor([1.0, 0.0, 0.5]).requires_grad_()
        functional.binary_cross_entropy(x, torch.tensor([1.0, 0.0, 1.0])).backward()
        return x.grad

    wanted, got = both(gradient)
    assert torch.allclose(wanted, got, atol=1e-3)


POOLS = {
    "maximum": lambda x: functional.max_pool2d(x, 2),
    "adaptive maximum": lambda x: functional.adaptive_max_pool2d(x, 2),
    "maximum of sequences": lambda x: functional.max_pool1d(x[:, :, 0], 2),
    "mean": lambda x: functional.avg_pool2d(x, 2),
    "adaptive mean": lambda x: functional.adaptive_avg_pool2d(x, 2),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools_of_an_empty_batch(name):
    def gradient():
        x = torch.randn(0, 4, 6, 6, requires_grad=True)
        y = POOLS[name](x)
        y.sum().backward()
        return y.shape, x.grad.shape

    wanted, got = both(gradient)
    assert wanted == got


FILLS = {
    "all": lambda x: x.fill_(x[0, 1]),
    "a slice": lambda x: x[0].fill_(x[0, 1]),
    "from elsewhere in its memory": lambda x: x[0].fill_(x[1, 1]),
    "by an index": lambda x: x.__setitem__(slice(None), x[0, 1]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("name", FILLS)
def test_tensors_are_filled_with_a_number_of_their_own(name, dtype):
    def filled():
        x = torch.arange(6).to(dtype).reshape(2, 3)
        FILLS[name](x)
        return x

    assert torch.equal(*both(filled))


def test_a_loss_stays_wide_where_it_is_filled_with_its_own():
    """What is filled holds numbers that binary16 lacks, and is not rounded where it is used."""
    x = torch.linspace(0.1, 0.9, 6)
    with halfsim.torch.simulate("mixed"):
        found = x.log_softmax(0)
        number = found[3].item()
        found.fill_(found[3])
        rest = found - torch.full((6,), number).half().float()
    assert found.tolist() == [number] * 6
    assert (rest != 0).all()
