"""PyTorch's modules under simulation against the primitives of the training laboratory: equal bits under any policy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named
from halfsim.training import nn
from halfsim.training.machine import Machine
from halfsim.training.tape import Tape

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

MIXED = named("mixed")
_32 = hs.Sequential(format=hs.BINARY32)
POLICIES = {
    "pure": named("binary16-pure"),
    "binary32": named("binary32"),
    "gradients in binary32": replace(
        MIXED, name="g", gradients=hs.BINARY32, data_gradient=_32, weight_gradient=_32, forward="v100:f16"
    ),
    "activations in binary32": replace(
        MIXED, name="a", activations=hs.BINARY32, forward=_32, weight_gradient=_32, data_gradient="v100:f16"
    ),
    "weights in binary32": replace(
        MIXED, name="w", weights=hs.BINARY32, forward=_32, data_gradient=_32, weight_gradient="a100:f16"
    ),
    "pairwise, odd": MIXED.reducing(hs.Pairwise(format=hs.BINARY16, rounding="odd"), "p").rounded("odd", "p"),
    "flushing": replace(named("binary16-pure"), name="f", flush_to_zero=True, rounding="rdn"),
}
each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())


def numbers(*shape, scale=1.0, seed=0):
    return np.float16(np.random.default_rng([seed, *shape]).normal(size=shape) * scale)


def stored(arithmetic, x):
    return arithmetic.convert(np.float32(x))


def held(x):
    return torch.from_numpy(np.float32(x)).requires_grad_()


def same(found, expected):
    values = found.detach().float().numpy()
    np.testing.assert_array_equal(values.view(np.uint32), np.ascontiguousarray(expected, np.float32).view(np.uint32))


@each_policy
def test_layers_in_a_row(policy):
    x, w, b = numbers(6, 24), numbers(24, 40, scale=0.3), numbers(40)
    gain, shift, g = numbers(40, seed=1), numbers(40, seed=2), numbers(6, 40, scale=2.0**-12)
    machine = Machine(policy)
    tape = Tape(machine)
    variables = [tape.parameter(stored(machine.activations, x))]
    variables += [tape.parameter(stored(machine.weights, p)) for p in (w, b, gain, shift)]
    h = nn.linear(tape, *variables[:3])
    h = nn.sigmoid(tape, nn.tanh(tape, nn.layer_norm(tape, h, *variables[3:])))
    h = nn.attention_softmax(tape, h)
    tape.backward(h, stored(machine.gradients, g))

    linear, norm = torch.nn.Linear(24, 40), torch.nn.LayerNorm(40)
    for module, weight, bias in ((linear, w.T, b), (norm, gain, shift)):
        module.weight.data.copy_(torch.from_numpy(weight.copy()))
        module.bias.data.copy_(torch.from_numpy(bias))
    data = held(x)
    with hs.torch.simulate(policy) as report:
        y = torch.softmax(torch.sigmoid(torch.tanh(norm(linear(data)))), 1)
        y.backward(torch.from_numpy(np.float32(g)))
    assert not report.not_simulated
    same(y, h.value)
    found = (data.grad, linear.weight.grad.T, linear.bias.grad, norm.weight.grad, norm.bias.grad)
    for gradient, variable in zip(found, variables, strict=True):
        same(gradient, variable.gradient)


@each_policy
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_convolutions(policy, stride, padding):
    x, w, b = numbers(2, 7, 6, 3), numbers(3, 2, 3, 5, scale=0.3), numbers(5)
    machine = Machine(policy)
    tape = Tape(machine)
    variables = [tape.parameter(stored(machine.activations, x))]
    variables += [tape.parameter(stored(machine.weights, p)) for p in (w, b)]
    y = nn.conv2d(tape, *variables, stride=stride, padding=padding)
    g = numbers(*y.value.shape, scale=2.0**-6)
    tape.backward(y, stored(machine.gradients, g))

    data, kernel, bias = held(x.transpose(0, 3, 1, 2)), held(w.transpose(3, 2, 0, 1)), held(b)
    module = torch.nn.Conv2d(3, 5, (3, 2), stride, padding)
    module.weight.data, module.bias.data = kernel.data, bias.data
    with hs.torch.simulate(policy):
        found = module(data)
        found.backward(torch.from_numpy(np.float32(g.transpose(0, 3, 1, 2))))
    same(found, y.value.transpose(0, 3, 1, 2))
    same(data.grad, variables[0].gradient.transpose(0, 3, 1, 2))
    same(module.weight.grad, variables[1].gradient.transpose(3, 2, 0, 1))
    same(module.bias.grad, variables[2].gradient)


@each_policy
def test_embeddings_and_products_of_activations(policy):
    indices = np.array([[1, 4, 1], [0, 1, 4]])
    table, g = numbers(6, 8), numbers(2, 3, 3)
    machine = Machine(policy)
    tape = Tape(machine)
    variable = tape.parameter(stored(machine.weights, table))
    rows = nn.embedding(tape, variable, indices)
    y = nn.matmul(tape, rows, nn.transpose(tape, rows, (0, 2, 1)))
    tape.backward(y, stored(machine.gradients, g))

    module = torch.nn.Embedding(6, 8)
    module.weight.data.copy_(torch.from_numpy(table))
    with hs.torch.simulate(policy):
        found = module(torch.from_numpy(indices))
        product = found @ found.mT
        product.backward(torch.from_numpy(np.float32(g)))
    same(product, y.value)
    same(module.weight.grad, variable.gradient)


ALIKE = [POLICIES[name] for name in ("pure", "binary32", "pairwise, odd", "flushing")]
"""Policies that do not tell gradients from activations."""


@pytest.mark.parametrize("policy", [*ALIKE, MIXED.accumulating("h100:f16", "h100:f16")], ids=lambda p: p.name)
@pytest.mark.parametrize("settings", [{"stride": 2, "padding": 1}, {"dilation": 2, "padding": 3, "groups": 2}], ids=str)
def test_a_transposed_convolution_is_the_gradient_of_a_convolution(policy, settings):
    """The products are the same; what is forward of one is a data gradient of the other."""
    x, w, g = numbers(2, 4, 7, 7), numbers(6, 4 // settings.get("groups", 1), 3, 3), numbers(2, 6, 9, 9, seed=3)
    there = torch.nn.Conv2d(4, 6, 3, bias=False, **settings)
    back = torch.nn.ConvTranspose2d(6, 4, 3, bias=False, **settings)
    for module in (there, back):
        module.weight.data.copy_(torch.from_numpy(w))
    image = held(x)
    with hs.torch.simulate(policy):
        y = there(image)
        incoming = torch.from_numpy(np.float32(g))[..., : y.shape[2], : y.shape[3]].contiguous()
        y.backward(incoming)
        other = incoming.clone().requires_grad_()
        z = back(other)
    same(z, image.grad.numpy())
    with hs.torch.simulate(policy):
        z = back(other)
        z.backward(torch.from_numpy(np.float32(x)))
    same(other.grad, y.detach().numpy())
    same(back.weight.grad, there.weight.grad.numpy())
