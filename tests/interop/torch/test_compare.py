"""Errors layer by layer, and the operator of PyTorch's own."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from halfsim.interop.torch.comparison import _spacing  # noqa: E402


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(32, 4))


@pytest.fixture
def x():
    return torch.randn(8, 64, generator=torch.Generator().manual_seed(1))


def test_errors_are_those_of_a_run_by_hand(model, x):
    found = hs.torch.compare(model.eval(), x, ["h100:f32", "binary16-pure"])
    with torch.no_grad():
        exact = model.double()(x.double())
        model.float()
        with hs.torch.simulate("binary16-pure"):
            y = model(x)
    row = next(row for row in found.layers if (row.policy, row.layer) == ("binary16-pure", "output"))
    spacing = torch.from_numpy(np.spacing(np.abs(exact.numpy()).astype(np.float16)).astype(np.float64))
    # NumPy's spacing is that of the rounded number; it is the same but next to a power of two.
    ulps = (y.double() - exact).abs() / spacing
    assert row.max_ulp == pytest.approx(ulps.max().item(), rel=1e-12)
    assert row.rms_ulp == pytest.approx(ulps.square().mean().sqrt().item(), rel=1e-12)
    assert row.relative == pytest.approx(((y.double() - exact).norm() / exact.norm()).item(), rel=1e-12)
    assert row.operator == "Sequential"
    assert torch.equal(found.outputs["binary16-pure"], y)
    assert torch.equal(found.outputs["reference"], exact)
    assert [row.layer for row in found.layers if row.policy == "binary16-pure"] == ["0", "1", "2", "3", "output"]


def test_random_choices_are_the_same_in_every_run(model, x):
    model.train()
    state = torch.get_rng_state()
    found = hs.torch.compare(model, x, ["mixed"])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(row.relative < 5e-3 for row in found.layers)


@pytest.mark.parametrize("draw", [torch.randn_like, torch.rand_like, lambda h: torch.bernoulli(h * 0 + 0.3)])
def test_what_is_drawn_in_the_type_of_a_tensor_is_that_of_a_reference_in_the_same_type(draw, x):
    class Noise(torch.nn.Module):
        def forward(self, x):
            return x + draw(x)

    wide, same = (
        hs.torch.compare(Noise(), x, ["mixed"], reference=dtype).layers[0].relative
        for dtype in (torch.float64, torch.float32)
    )
    assert same < 5e-3 < wide


Pair = namedtuple("Pair", "left right")


def test_a_named_tuple_is_a_tuple_of_inputs_or_one_of_them(x):
    class Sum(torch.nn.Module):
        def forward(self, pair):
            return pair.left + pair.right

    layer = torch.nn.Bilinear(64, 64, 4)
    for model, inputs, plain in ((Sum(), (Pair(x, x),), Pair(x, x)), (layer, Pair(x, x), (x, x))):
        found = hs.torch.compare(model, inputs, ["mixed"])
        exact = plain[0].double() * 2 if model is not layer else model.double()(x.double(), x.double())
        assert torch.equal(found.outputs["reference"], exact)


def test_a_model_of_which_nothing_is_simulated_is_told(x):
    found = hs.torch.compare(torch.nn.Linear(64, 4).double(), x.double(), ["mixed"])
    assert str(found).endswith("mixed: nothing was simulated: numbers are float64")
    assert str(hs.torch.compare(torch.nn.Identity(), x, ["mixed"])).endswith("no layer diverges")


def test_neither_model_nor_inputs_change(model, x):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    original = x.clone()
    hs.torch.compare(model, x, ["mixed"], reference=torch.float32)
    assert torch.equal(x, original)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_first_divergence(x):
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 64))
    for layer, scale in zip(model, (1.0, 500.0, 1e-3), strict=True):
        torch.nn.init.constant_(layer.weight, scale)
        torch.nn.init.zeros_(layer.bias)
    found = hs.torch.compare(model, torch.ones(2, 64), {"narrow": "mixed", "wide": "binary32"})
    # 64 · 64 · 500 is beyond binary16.
    assert found.first == {"narrow": "1", "wide": None}
    rows = {(row.policy, row.layer): row for row in found.layers}
    assert math.isinf(rows["narrow", "1"].max_ulp)
    assert math.isnan(rows["narrow", "1"].cosine)
    assert rows["wide", "2"].cosine == pytest.approx(1.0)
    assert "narrow: first divergence in 1" in str(found)
    assert "wide: no layer diverges" in str(found)
    assert found.reports["narrow"].first["module"] == "1"


def test_layers_that_are_called_twice_and_inputs_by_keyword():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, *, x, mask):
            return self.layer(self.layer(x)) * mask

    found = hs.torch.compare(Twice(), {"x": torch.ones(1, 4), "mask": torch.tensor([1, 0, 1, 1])}, ["mixed"])
    assert [row.layer for row in found.layers] == ["layer", "layer#2", "output"]


def part(compiled):
    def made(module):
        return torch.compile(module, backend="eager") if compiled else module

    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.inner = torch.nn.Parameter(torch.ones(4)), torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.inner(x) * self.scale

    torch.manual_seed(2)
    linear, scaled = torch.nn.Linear(4, 4), Scaled()
    return made(torch.nn.Sequential(linear, torch.nn.ReLU(), made(torch.nn.Sequential(made(scaled)))))


@pytest.mark.filterwarnings("ignore:Using `torch.compile")
def test_layers_of_a_compiled_model_have_the_names_that_rules_and_report_have():
    operand, compiled = torch.randn(2, 4, generator=torch.Generator().manual_seed(3)), part(compiled=True)
    # Code that was compiled for a model without hooks calls none.
    compiled(operand)
    plain, found = (hs.torch.compare(model, operand, ["mixed"]) for model in (part(compiled=False), compiled))
    assert [row.layer for row in found.layers] == ["0", "1", "2.0.inner", "2.0", "output"]
    assert found.layers[:-1] == plain.layers[:-1]
    assert set(found.reports["mixed"].modules) == {"0", "2.0.inner", "2.0"}


def test_spacings():
    x = np.array([0.0, 2.0**-24, 2.0**-14, 1.0, 1.5, 2.0, -2.0, 65504.0, 1e6, np.inf])
    expected = [2.0**-24, 2.0**-24, 2.0**-24, 2.0**-10, 2.0**-10, 2.0**-9, 2.0**-9, 32.0, 32.0, 32.0]
    assert _spacing(x, hs.BINARY16).tolist() == expected


def test_mistakes_in_comparisons(model, x):
    with pytest.raises(ValueError, match="two of one name"):
        hs.torch.compare(model, x, ["mixed", replace(named("mixed"), rounding="rtz")])
    with pytest.raises(ValueError, match="empty"):
        hs.torch.compare(model, x, [])
    with pytest.raises(ValueError, match="no wide type"):
        hs.torch.compare(model, x, ["mixed"], reference=torch.float16)


# The operator.


def half(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).half()


@pytest.mark.parametrize("accumulator", ["fp16", "fp32", "v100:f16", "h100:f32", "exact"])
def test_the_operator_multiplies_as_halfsim_does(accumulator):
    a, b = half(3, 5, 40).requires_grad_(), half(40, 7, seed=1).requires_grad_()
    y = hs.torch.matmul(a, b, accumulator)
    g = half(3, 5, 7, seed=2)
    y.backward(g.to(y.dtype))
    one, other, incoming = (t.detach().numpy() for t in (a, b, g))
    expected = hs.matmul(one, other, accumulator=accumulator)
    assert y.detach().numpy().dtype == expected.dtype
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    da = hs.matmul(incoming, other.T, accumulator=accumulator).astype(np.float16)
    np.testing.assert_array_equal(a.grad.numpy(), da)
    # The gradient of a stack that was one matrix is PyTorch's sum.
    db = hs.matmul(one.swapaxes(1, 2), incoming, accumulator=accumulator).astype(np.float16)
    torch.testing.assert_close(b.grad, torch.from_numpy(db).sum(0))


def test_pytorch_accepts_the_operator():
    for accumulator in ("fp16", "h100:f32"):
        arguments = half(3, 4).requires_grad_(), half(4, 5).requires_grad_(), accumulator
        found = torch.library.opcheck(torch.ops.halfsim.matmul, arguments)
        assert set(found.values()) == {"SUCCESS"}


def test_the_operator_compiles():
    a, b = half(3, 40), half(40, 5)

    def model(a, b):
        return torch.relu(hs.torch.matmul(a, b, "h100:f16")) + 1

    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(a, b), model(a, b))


def test_the_operator_in_a_simulation_is_not_listed():
    a, b = half(2, 2), half(2, 2)
    with hs.torch.simulate("mixed") as report:
        hs.torch.matmul(a, b, "h100:f16")
    assert not report.not_simulated


def test_mistakes_of_the_operator():
    with pytest.raises(TypeError, match=r"a is torch.float32.*half"):
        hs.torch.matmul(torch.ones(2, 2), half(2, 2))
    with pytest.raises(ValueError, match="two dimensions"):
        hs.torch.matmul(half(2), half(2, 2))
    with pytest.raises(ValueError, match="h101"):
        hs.torch.matmul(half(2, 2), half(2, 2), "h101:f32")
