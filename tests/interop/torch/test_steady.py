"""Weights that stay the same are decoded once: no bit and no count is another, whatever writes to them."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import halfsim as hs  # noqa: E402
import halfsim.torch  # noqa: E402
from halfsim.interop.torch import steady  # noqa: E402
from halfsim.interop.torch.steady import Steady  # noqa: E402
from halfsim.policy import named  # noqa: E402
from halfsim.tensorcores import as_accumulator  # noqa: E402


def draw(*shape, seed=3, scale=1.0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).half()


def layer(inputs=96, outputs=80, dtype=torch.float16, **options):
    made = torch.nn.Linear(inputs, outputs, **options).to(dtype)
    with torch.no_grad():
        made.weight.copy_(draw(outputs, inputs, seed=5, scale=0.1))
        # Zeros, one that overflows, one that is subnormal.
        made.weight[0], made.weight[1], made.weight[2] = 0, 6e4, 6e-8
    return made


def patterns(tensor):
    return tensor.detach().contiguous().view(torch.int16 if tensor.dtype == torch.float16 else torch.int32)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("policy", ["h100:f32", "h100:f16", "v100:f16", "a100:f32", "mixed", "binary16-pure"])
def test_bits_and_counts_are_those_of_products_that_decode(policy, dtype, grad, used, monkeypatch):
    model = torch.nn.Sequential(layer(dtype=dtype), torch.nn.ReLU(), layer(80, 80, dtype=dtype, bias=False))
    inputs = [draw(rows, 96, seed=rows).to(dtype) for rows in (33, 1, 64, 33)]
    found = []
    for keeps in (True, False):
        if not keeps:
            monkeypatch.setattr(Steady, "find", lambda *_: None)
        with torch.set_grad_enabled(grad), halfsim.torch.simulate(policy) as report:
            results = [patterns(model(x)) for x in inputs]
        found.append((results, report.as_dict()))
    assert all(torch.equal(*pair) for pair in zip(found[0][0], found[1][0], strict=True))
    assert found[0][1] == found[1][1]
    # The first call of each looks at the numbers, the second rounds and decodes them.
    plain = policy in ("mixed", "binary16-pure") and dtype == torch.float16
    assert used == ([] if plain else [False, False, *[True] * 6])


def fill(layer, value):
    with torch.no_grad():
        layer.weight[5, 7] = value


def through_numpy(layer, value):
    layer.weight.detach().numpy()[5, 7] = value


def through_data(layer, value):
    layer.weight.data[5, 7] = value


def other_memory(layer, value):
    made = layer.weight.data.clone()
    made[5, 7] = value
    layer.weight.data = made


def other_parameter(layer, value):
    other_memory(layer, value)
    layer.weight = torch.nn.Parameter(layer.weight.data)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("write", [fill, through_numpy, through_data, other_memory, other_parameter])
@pytest.mark.parametrize("value", [1.0, np.inf, np.nan, -0.0, 6e-8])
@pytest.mark.parametrize("before", [0.0, 2.0])
def test_whatever_is_written_is_computed_with(write, value, before, dtype, used):
    module, x = layer(dtype=dtype), draw(16, 96, seed=9).to(dtype)
    fill(module, before)
    with torch.no_grad(), halfsim.torch.simulate("h100:f32"):
        for _ in range(3):
            module(x)
        write(module, value)
        found = [patterns(module(x)) for _ in range(3)]
        through_numpy(module, before)
        found.append(patterns(module(x)))
    assert used[:3] == [False, True, True]
    # To nearest, as PyTorch rounds.
    weight, bias = module.weight.detach().half().numpy(), module.bias.detach().half().numpy()
    start = np.broadcast_to(bias.astype(np.float32), (16, 80))
    for number, y in enumerate(found):
        weight[5, 7] = value if number < 3 else before
        expected = hs.convert(hs.matmul(x.half().numpy(), weight.T, start, accumulator="h100:f32"), hs.BINARY16)
        assert torch.equal(y, patterns(torch.from_numpy(expected).to(dtype)))


WIDE = hs.Sequential(format=hs.BINARY32)
MIXED, CHAIN = (named("mixed").accumulating(row, "own") for row in ("h100:f16", "fp16"))
OTHERS = {
    "toward zero": replace(MIXED, rounding="rtz"),
    "flushing": replace(MIXED, flush_to_zero=True),
    "stochastic": replace(MIXED, rounding=hs.Stochastic(bits=13, seed=7)),
    "wide gradients": replace(MIXED, gradients=hs.BINARY32, data_gradient=WIDE, weight_gradient=WIDE),
    "toward zero, no unit": replace(CHAIN, rounding="rtz"),
    "flushing, no unit": replace(CHAIN, flush_to_zero=True),
    "stochastic, no unit": replace(CHAIN, rounding=hs.Stochastic(bits=13, seed=7)),
    "wide weights": replace(MIXED, weights=hs.BINARY32, forward=WIDE, data_gradient=WIDE),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("name", OTHERS)
def test_other_policies_keep_the_same_bits_and_counts(name, dtype, used, monkeypatch):
    """With changes between calls, of which some are below what rounding to binary16 leaves."""
    found = []
    for keeps in (True, False):
        module, x = layer(dtype=dtype), draw(16, 96, seed=9).to(dtype) / 3
        with torch.no_grad():
            module.bias.copy_(draw(80, seed=2) / 3)
        if not keeps:
            monkeypatch.setattr(Steady, "find", lambda *_: None)
            monkeypatch.setattr(Steady, "vector", lambda *_: None)
        with torch.no_grad(), halfsim.torch.simulate(OTHERS[name], seed=3) as report:
            results = [patterns(module(x)) for _ in range(3)]
            for write in ((7, 5, 2e-8), (7, 6, 1e5), (7, 7, 0.1)):
                module.weight[write[:2]] = write[2]
                module.bias[write[0]] += write[2]
                results += [patterns(module(x)) for _ in range(2)]
        found.append((results, report.as_dict()))
    assert all(torch.equal(*pair) for pair in zip(found[0][0], found[1][0], strict=True))
    assert found[0][1] == found[1][1]
    rounds = dtype == torch.float32
    kept = {"stochastic": not rounds, "stochastic, no unit": False, "wide weights": False}
    kept |= {"toward zero, no unit": rounds, "flushing, no unit": rounds}
    assert any(used) == kept.get(name, True)


def test_one_memory_as_it_is_and_transposed(used):
    """A square weight, which both ways have in common."""
    weight, x = torch.nn.Parameter(draw(80, 80, seed=4)), draw(16, 80, seed=6)
    found = []
    with torch.no_grad(), halfsim.torch.simulate("h100:f32"):
        found.extend((patterns(x @ weight), patterns(torch.nn.functional.linear(x, weight))) for _ in range(4))
    for plain, turned in found:
        for y, b in ((plain, weight.detach().numpy()), (turned, weight.detach().numpy().T)):
            expected = hs.convert(hs.matmul(x.numpy(), b, accumulator="h100:f32"), hs.BINARY16)
            assert np.array_equal(y.numpy(), expected.view(np.int16))
    assert used == [False] * 2 + [True] * 6


def test_activations_are_no_weights(used):
    with torch.no_grad(), halfsim.torch.simulate("h100:f32"):
        for _ in range(3):
            torch.mm(draw(16, 96), draw(96, 80))
    assert not used


def whole(memory):
    return memory.astype(np.float16), None


def find(kept, numbers, rows=8, name=1):
    return kept.find(as_accumulator("h100:f32"), name, rows, numbers, whole)


def test_what_is_trained_is_soon_left_alone():
    kept, numbers = Steady(), draw(96, 80).numpy()
    assert find(kept, numbers) is None
    for step in range(steady._CHANGES):
        assert find(kept, numbers) is not None
        numbers[0, 0] = step + 50
        assert find(kept, numbers) is None
    assert [find(kept, numbers) for _ in range(3)] == [None] * 3
    assert kept._size == 0


def test_few_and_large_products_are_left_alone():
    kept, numbers = Steady(), draw(96, 80).numpy()
    for _ in range(3):
        assert find(kept, numbers, rows=steady._ROWS + 1) is None
        assert find(kept, numbers[:40]) is None
        assert find(kept, numbers[::2, ::2]) is None
    assert kept._size == 0


def test_memory_has_a_limit(monkeypatch):
    numbers = draw(96, 80).numpy()
    kept = Steady()
    monkeypatch.setattr(steady, "_LIMIT", 5 * numbers.nbytes)
    found = [[find(kept, numbers, name=name) is not None for name in range(3)] for _ in range(3)]
    # One, with its numbers twice and 5 bytes of each decoded, for which there is room once two others are given up.
    assert found == [[False] * 3, [False, False, True], [False, False, True]]
    weight = find(kept, numbers, name=2)
    assert kept._size == weight.nbytes <= steady._LIMIT
    assert weight.nbytes == 2 * numbers.nbytes + weight.decoded.panels.nbytes


def test_numbers_are_copied():
    """Of a factor in C order, too, whose columns need no other copy."""
    kept, numbers = Steady(), draw(96, 80).numpy()
    find(kept, numbers)
    assert not np.shares_memory(find(kept, numbers).columns, numbers)


@pytest.mark.parametrize("name", ["h100:f32", "v100:f16"])
def test_an_odd_number_of_elements(name, used):
    module, x = layer(97, 81), draw(5, 97)
    with torch.no_grad(), halfsim.torch.simulate(name):
        first, second, third = (patterns(module(x)) for _ in range(3))
        assert torch.equal(first, second)
        assert torch.equal(first, third)
        with torch.no_grad():
            module.weight[80, 96] += 1
        assert not torch.equal(first[:, 80], patterns(module(x))[:, 80])
    assert used == [False, True, True, False]


@pytest.mark.parametrize("grad", [True, False])
def test_memory_ends_with_the_block(grad, monkeypatch):
    """Without waiting for cycles of references to be collected."""
    made, own = [], Steady.__init__

    def noted(self):
        own(self)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Steady, "__init__", noted)
    module, x = layer(), draw(16, 96)
    gc.collect()
    gc.disable()
    try:
        with torch.set_grad_enabled(grad), halfsim.torch.simulate("h100:f32") as report:
            results = [module(x) for _ in range(2)]
        assert [weight() for weight in made] == [None]
    finally:
        gc.enable()
    assert len(results) == 2
    assert report.simulated
