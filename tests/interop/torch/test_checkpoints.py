"""What the backward pass computes again is in the forward pass: checkpoints change no bit of a gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest

import halfsim as hs
from halfsim.interop.torch import modules as followed
from halfsim.interop.torch import nodes
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

F = torch.nn.functional
MIXED = named("mixed")
SUM32 = hs.Sequential(format=hs.BINARY32)
APART = replace(MIXED, name="apart", forward="h100:f16", data_gradient="h100:f32", weight_gradient="h100:f32")
WIDE_GRADIENTS = replace(
    MIXED, name="wide", gradients=hs.BINARY32, data_gradient=SUM32, weight_gradient=SUM32, forward="v100:f16"
)


class Block(torch.nn.Module):
    """A function with a bias and more terms than a tensor core sums at once."""

    def __init__(self, reentrant=None):
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.w, self.b = (torch.nn.Parameter(torch.randn(*n, generator=random)) for n in ((40, 40), (40,)))
        self.reentrant = reentrant

    def inner(self, x):
        return torch.tanh(F.linear(x, self.w, self.b) * 0.3)

    def forward(self, x):
        if self.reentrant is None:
            return self.inner(x)
        return torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=self.reentrant)


def gradients(reentrant, policy, graph=False):
    """Return the output, the gradients, and the report."""
    block, x = Block(reentrant), torch.randn(5, 40, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with hs.torch.simulate(policy) as report:
        y = block(x)
        loss = y.square().sum()
        if graph:
            first = torch.autograd.grad(loss, [block.w, x], create_graph=True)
            loss = loss + sum(g.square().sum() for g in first)
        loss.backward()
    return [y.detach(), block.w.grad, block.b.grad, x.grad], report


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("policy", [MIXED, APART, WIDE_GRADIENTS], ids=lambda policy: policy.name)
def test_checkpointed_functions(policy, reentrant):
    expected, _ = gradients(None, policy)
    found, report = gradients(reentrant, policy)
    assert all(map(torch.equal, found, expected))
    # Both times, and backward, in the module that called the function; the loss is outside.
    assert report.simulated["tanh"] == 2
    assert set(report.modules) == {"", "Block"}
    plain, twice = (gradients(each, policy)[1].modules["Block"].elements for each in (None, reentrant))
    assert twice == plain + 3 * 5 * 40


def test_a_pass_that_makes_a_graph_of_itself():
    """Gradients are enabled in it as they are in what is computed again."""
    expected, plain = gradients(None, APART, graph=True)
    found, _ = gradients(False, APART, graph=True)
    assert all(map(torch.equal, found, expected))
    # Without a graph the first gradients have the same bits: they are of the backward pass in both.
    block, x = Block(), torch.randn(5, 40).requires_grad_()
    with hs.torch.simulate(APART):
        each = [torch.autograd.grad(block(x).square().sum(), [block.w, x], create_graph=on) for on in (False, True)]
    assert all(map(torch.equal, *each))
    assert plain.simulated["tanh"] == 1


class Again(torch.autograd.Function):
    """A function that keeps its operands alone."""

    @staticmethod
    def forward(ctx, function, *operands):
        ctx.function = function
        ctx.save_for_backward(*operands)
        with torch.no_grad():
            return function(*operands)

    @staticmethod
    def backward(ctx, g):
        operands = [x.detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            y = ctx.function(*operands)
        return None, *torch.autograd.grad(y, operands, g)


def test_nodes_that_compute_again_themselves():
    def function(x, w, b):
        return torch.tanh(F.linear(x, w, b) * 0.3)

    found = []
    for call in (function, lambda *operands: Again.apply(function, *operands)):
        block, x = Block(), torch.randn(5, 40, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with hs.torch.simulate(WIDE_GRADIENTS):
            call(x, block.w, block.b).square().sum().backward()
        found.append([x.grad, block.w.grad, block.b.grad])
    assert all(map(torch.equal, *found))


def test_a_gradient_that_a_module_asks_for():
    """A force from an energy: its products are those of a backward pass although a module is at work."""

    class Force(torch.nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x):
            return torch.autograd.grad(self.block(x).square().sum(), x)[0]

    block, x = Block(), torch.randn(5, 40, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with hs.torch.simulate(WIDE_GRADIENTS):
        found = Force(block)(x)
        (expected,) = torch.autograd.grad(block(x).square().sum(), x)
    assert torch.equal(found, expected)
    assert not torch.equal(found, found.half().float())


def test_what_is_known_of_nodes_stays_bounded(monkeypatch):
    monkeypatch.setattr(nodes, "_LIMIT", 16)
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    made = []
    enter = followed.Modules.__enter__
    monkeypatch.setattr(followed.Modules, "__enter__", lambda self: made.append(self) or enter(self))
    with hs.torch.simulate("mixed") as report:
        for _ in range(20):
            layers(torch.ones(1, 2)).sum().backward()
            with torch.no_grad():
                layers(torch.ones(1, 2))
    runs = made[0]._nodes
    assert len(runs._starts) == len(runs._values) <= 16
    # Results of both passes, the gradients of weights and biases, and from the second time on sums of these.
    assert report.modules["0"].elements == 20 * (2 + 2 + 4 + 2) + 19 * (4 + 2)
