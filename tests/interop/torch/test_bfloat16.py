"""Bfloat16 numbers that PyTorch widens to float32 stay bfloat16 numbers, and are none of binary16."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from halfsim import BINARY32
from halfsim.policy import named

torch = pytest.importorskip("torch")
ml_dtypes = pytest.importorskip("ml_dtypes")

import halfsim.torch  # noqa: E402

F, BF = torch.nn.functional, torch.bfloat16
simulate = halfsim.torch.simulate


def b(x):
    """Round to bfloat16, by other code than the one under test."""
    return np.asarray(x, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)


def array(tensor):
    return tensor.detach().float().numpy()


def ascending(terms):
    """The sum over the last axis in binary32, one term after the other."""
    total = np.zeros(terms.shape[:-1], np.float32)
    for k in range(terms.shape[-1]):
        total = total + terms[..., k]
    return total


def drawn(*shape, seed=0, scale=1.0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).to(BF)


# Bit for bit what storing every result in bfloat16 gives.


class RMSNorm(torch.nn.Module):
    """As written by hand for language models: statistics in float32, the result in the type of the operand."""

    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(drawn(width, seed=5))

    def forward(self, x):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
        return self.weight * wide.to(x.dtype)


def rms_norm(x, weight):
    mean = b(ascending(b(x * x)) / np.float32(x.shape[-1]))[:, None]
    inverse = b(np.float32(1) / b(np.sqrt(b(mean + np.float32(1e-5)))))
    return b(weight * b(x * inverse))


@pytest.mark.parametrize("scale", [1.0, 300.0, 1e6, 1e-9])
@pytest.mark.parametrize("guard", [nullcontext, torch.no_grad, torch.inference_mode])
def test_a_norm_that_widens_by_hand(scale, guard):
    x, norm = drawn(6, 16, scale=scale), RMSNorm(16)
    with guard(), simulate("mixed") as report:
        y = norm(x)
    assert y.dtype == BF
    assert np.array_equal(array(y), rms_norm(array(x), array(norm.weight)))
    assert not report.not_simulated
    counts = report.modules["RMSNorm"]
    assert counts.overflow == counts.underflow == counts.rounded == 0


def test_pytorchs_own_norm_does_not_overflow():
    x = torch.tensor([[300.0, 400.0, 500.0]]).to(BF)
    with simulate("h100:f32"):
        y = torch.nn.RMSNorm(3, eps=1e-5).to(BF)(x)
    assert np.array_equal(array(y), rms_norm(array(x), np.ones(3, np.float32)))


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-9])
def test_attention_by_hand(scale):
    q, k, v = drawn(5, 8), drawn(7, 8, seed=1), drawn(7, 4, seed=2, scale=scale)
    with simulate("mixed"):
        y = (((q.float() @ k.float().mT) * 0.3).softmax(-1) @ v.float()).to(BF)
    scores = b(b(ascending(array(q)[:, None] * array(k)[None])) * np.float32(0.3))
    e = np.exp((scores - scores.max(1, keepdims=True)).astype(np.float64)).astype(np.float32)
    p = b(e / ascending(e)[:, None])
    assert np.array_equal(array(y), b(ascending(p[:, None] * array(v).T[None])))


NUMBERS = torch.tensor([1e6, -1e6, 1e-10, -1e-10, 30.0, -30.0, 2.5, -2.5, 1.0, 0.0]).to(BF)


def hardswish(x):
    return b(b(x * np.clip(b(x + np.float32(3)), 0, 6)) / np.float32(6))


def logsigmoid(x):
    z = b(np.exp(-np.abs(x).astype(np.float64)))
    return b(np.minimum(x, 0) - b(np.log1p(z.astype(np.float64))))


@pytest.mark.parametrize("expected", [hardswish, logsigmoid], ids=lambda f: f.__name__)
@pytest.mark.parametrize("guard", [nullcontext, torch.inference_mode])
def test_functions_that_are_taken_apart(expected, guard):
    with guard(), simulate("mixed") as report:
        y = getattr(F, expected.__name__)(NUMBERS)
    assert array(y).tolist() == expected(array(NUMBERS)).tolist()
    assert not report.not_simulated


# Near what PyTorch computes, at magnitudes that binary16 lacks.

BASE = torch.tensor([[1.0, -2, 3, -0.5], [0.25, 1.5, -1, 2], [-3, 0.75, 1, -1.25], [2, -0.125, 0.5, 1]])
ONES, WEIGHT = torch.ones(2, 4).to(BF), torch.tensor([[0.5, -1.0, 0.25, 2.0]]).to(BF)
NAMES = "elu selu celu gelu silu mish hardswish hardsigmoid softplus softsign tanhshrink logsigmoid softshrink tanh"
FUNCTIONS = {name: getattr(F, name) for name in NAMES.split()} | {
    "glu": F.glu,
    "leaky_relu": F.leaky_relu,
    "sqrt": lambda x: x.abs().sqrt(),
    "rsqrt": lambda x: x.abs().rsqrt(),
    "square": lambda x: x * x,
    "mean": lambda x: x.mean(0),
    "softmax": lambda x: x.softmax(-1),
    "logsumexp": lambda x: x.logsumexp(-1),
    "norm": lambda x: x.norm(dim=-1),
    "cumsum": lambda x: x.cumsum(-1),
    "linear": lambda x: F.linear(x, ONES),
    "conv1d": lambda x: F.conv1d(x[None], torch.ones(2, 4, 2).to(BF)),
    "attention": lambda x: F.scaled_dot_product_attention(ONES[None], ONES[None], x[None, :2]),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x[None], 3),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x[None, None], 3),
    "avg_pool1d": lambda x: F.avg_pool1d(x[None], 2),
    "widened": lambda x: (x.float() * 3 + 1).to(BF),
    "widened and kept": lambda x: x.float() * 3,
    "widened mean": lambda x: x.float().mean(),
    "widened sums": lambda x: x.float().sum(0) / 7,
    "widened, beside a narrow one": lambda x: x.float() * x,
    "joined": lambda x: torch.cat([x.float(), torch.zeros(1, 4)]) / 3,
    "selected": lambda x: x.float().masked_fill(x > 0, 0.3) * 2,
    "written to a row": lambda x: torch.zeros(2, 4).index_copy(0, torch.tensor([1]), x[:1].float()) * 0.5,
}
LOSSES = F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits
for reduction in ("none", "mean"):
    FUNCTIONS |= {
        f"{loss.__name__}, {reduction}": lambda x, f=loss, r=reduction: f(x, torch.ones_like(x), reduction=r)
        for loss in LOSSES
    }
RELATIVE = {"gelu": 2**-4}
"""Of what PyTorch's own kernel computes from a difference of near numbers."""
SCALES = {"large": 1e6, "small": 1e-10, "thirty": 12.0}


def outcome(function, start, upstream):
    x = start.clone().requires_grad_()
    y = function(x)
    y.backward(upstream)
    return y.detach().float(), x.grad.float()


@pytest.mark.parametrize("magnitude", SCALES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_near_pytorchs(name, magnitude):
    function, x = FUNCTIONS[name], (BASE * SCALES[magnitude]).to(BF)
    y = function(x)
    upstream = torch.linspace(0.5, 2, y.numel()).view_as(y).to(y.dtype)
    expected = outcome(function, x, upstream)
    with simulate("h100:f32"):
        found = outcome(function, x, upstream)
    for part, wanted, got in zip(("result", "gradient"), expected, found, strict=True):
        assert got.isfinite().equal(wanted.isfinite()), part
        # Kernels of PyTorch make zero of what is nothing beside the rest.
        nothing = (wanted == 0) & (got.abs() < 2**-20 * wanted.abs().max())
        torch.testing.assert_close(
            got.masked_fill(nothing, 0), wanted, rtol=RELATIVE.get(name, 2**-5), atol=0, msg=part
        )


NORMS = {
    "layer": lambda x: F.layer_norm(x, (32,)),
    "group": lambda x: F.group_norm(x.unflatten(1, (4, 8)), 2),
    "batch": lambda x: F.batch_norm(x, None, None, training=True),
    "root mean square": lambda x: F.rms_norm(x, (32,)),
    "by hand": lambda x: RMSNorm(32)(x),
    "of vectors": F.normalize,
}


@pytest.mark.parametrize("scale", [1e6, 30.0, 1e-3])
@pytest.mark.parametrize("name", NORMS)
def test_norms_are_near_pytorchs(name, scale):
    """Gradients are differences of numbers of their size, so that errors are measured by that of all of them."""
    x, function = drawn(16, 32, scale=scale), NORMS[name]
    upstream = drawn(*function(x).shape, seed=1)
    expected = outcome(function, x, upstream)
    with simulate("h100:f32"):
        found = outcome(function, x, upstream)
    for wanted, got in zip(expected, found, strict=True):
        assert (got - wanted).norm() <= 2**-6 * wanted.norm()


def test_gradients_that_binary16_lacks():
    model = torch.nn.MultiheadAttention(8, 2, batch_first=True).to(BF)
    x, upstream = drawn(1, 3, 8), drawn(1, 3, 8, seed=1, scale=1e-9)

    def gradients():
        operand = x.clone().requires_grad_()
        model.zero_grad()
        model(operand, operand, operand, need_weights=False)[0].backward(upstream)
        return [operand.grad, *(p.grad for p in model.parameters())]

    expected = gradients()
    with simulate("mixed"):
        found = gradients()
    for got, wanted in zip(found, expected, strict=True):
        assert (got - wanted).norm() <= 2**-5 * wanted.norm() + 1e-14


MODELS = {
    "transformer": (lambda: torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), (2, 5, 16)),
    "recurrent": (lambda: torch.nn.GRU(8, 16, batch_first=True), (3, 6, 8)),
    "convolutional": (
        lambda: torch.nn.Sequential(
            *(torch.nn.Conv1d(4, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Mish(), torch.nn.AdaptiveAvgPool1d(3)),
            *(torch.nn.Flatten(), torch.nn.Hardswish(), torch.nn.Linear(24, 5), torch.nn.LogSigmoid()),
        ),
        (4, 4, 8),
    ),
}


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("name", MODELS)
def test_models_have_gradients_at_any_scale_of_the_loss(name, scale):
    make, shape = MODELS[name]
    torch.manual_seed(3)
    model, x = make().to(BF), drawn(*shape)
    weights = torch.randn(1000)

    def outcome():
        model.zero_grad()
        operand = x.clone().requires_grad_()
        y = model(operand)
        y = (y[0] if isinstance(y, tuple) else y).float()
        ((y * weights[: y.numel()].view_as(y)).mean() * scale).backward()
        return y.detach(), operand.grad, *(p.grad for p in model.parameters())

    expected = outcome()
    with simulate("h100:f32"):
        found = outcome()
    largest = max(wanted.float().norm() for wanted in expected[2:])
    for got, wanted in zip(found, expected, strict=True):
        assert (got.float() - wanted.float()).norm() <= 2**-5 * wanted.float().norm() + 2**-10 * largest


@pytest.mark.parametrize("number", [1e-9, 1e6])
def test_autocast(number):
    x, layer = torch.ones(2, 1, 4, 4), torch.nn.Linear(4, 4)
    v = torch.full((2, 1, 4, 4), number)
    with simulate("mixed"), torch.autocast("cpu", dtype=BF):
        y = F.scaled_dot_product_attention(x, x, v)
        loss = F.mse_loss(layer(v[0, 0]), torch.zeros(4, 4))
    with torch.autocast("cpu", dtype=BF):
        torch.testing.assert_close(y, F.scaled_dot_product_attention(x, x, v), rtol=2**-6, atol=0)
        torch.testing.assert_close(loss, F.mse_loss(layer(v[0, 0]), torch.zeros(4, 4)), rtol=2**-5, atol=0)


@pytest.mark.parametrize("policy", ["v100:f32", "h100:f16", "binary16-pure"])
def test_products_without_such_an_instruction_are_refused_widened_or_not(policy):
    q, said = drawn(1, 2, 4), []
    for product in (
        lambda: F.linear(q[0], q[0]),
        lambda: F.scaled_dot_product_attention(q, q, q),
        lambda: q[0].float() @ q[0].float().T,
    ):
        with simulate(policy), pytest.raises(ValueError, match="has no twin with bfloat16 factors") as caught:
            product()
        said.append(str(caught.value))
    assert len(set(said)) == 1


# What holds such numbers, and what does not.

LESS = 1 + 2.0**-9
"""A number of binary16 and none of bfloat16."""
TINY = 1e-9
"""A number of bfloat16 (nearly), and zero in binary16."""


def is_brain(tensor):
    """Whether an operation rounds to bfloat16."""
    found = (tensor * 0 + LESS).flatten()[0].item()
    assert found in (1.0, LESS)
    return found == 1.0


HOLDS = {
    "a copy": lambda x: x.float(),
    "by way of float64": lambda x: x.double().float(),
    "a view": lambda x: x.float()[1:],
    "a copy of it": lambda x: x.float().clone(),
    "a transposed copy": lambda x: x.float().T.reshape(-1),
    "what it is beside": lambda x: torch.ones(2, 4) * x,
    "what it is joined with": lambda x: torch.cat([torch.ones(2, 4), x]),
    "a choice": lambda x: torch.where(x > 0, x.float(), 1.0),
    "its largest": lambda x: x.float().amax(0),
    "what it is copied to": lambda x: torch.zeros(2, 4).copy_(x),
    "what is added to": lambda x: torch.ones(2, 4).add_(x),
    "what is written to": lambda x: torch.mul(x.float(), 2, out=torch.zeros(2, 4)),
    "what PyTorch computes": lambda x: torch.special.i0e(x.float()),
    "sums in float32": lambda x: x.sum(0, dtype=torch.float32),
    "a softmax in float32": lambda x: x.softmax(0, dtype=torch.float32),
    "complex numbers": lambda x: torch.view_as_real(torch.view_as_complex(x.float().reshape(4, 2)) * 1j),
    "a weight in float32": lambda x: torch.nn.Parameter(x).float(),
}
HOLDS_NONE = {
    "what a part is copied to": lambda x: _with_row(torch.ones(2, 4) * 2, x[0]),
    "zeros like it beside others": lambda x: torch.zeros_like(x.float()) + torch.ones(2, 4),
    "filled with a number": lambda x: x.float().fill_(2.0),
    "drawn anew": lambda x: x.float().uniform_(),
    "a tensor beside": lambda x: torch.ones(2, 4),
    "by way of binary16": lambda x: x.half().float(),
    "a number beside": lambda x: torch.ones(2, 4) * x.float().max(),
    "written anew": lambda x: x.float().copy_(torch.ones(2, 4)),
    "set to zero": lambda x: x.float().zero_(),
    "a parameter of such numbers": lambda x: torch.nn.Parameter(x.float()).detach(),
    "a parameter they are copied to": lambda x: _given(torch.nn.Linear(4, 2), x).weight.detach(),
    "half": lambda x: torch.ones(2, 4).half().float(),
}


def _with_row(target, row):
    target[0] = row
    return target


def _given(layer, x):
    layer.load_state_dict({"weight": x, "bias": x[:, 0]})
    layer(torch.ones(1, 4))
    return layer


@pytest.mark.parametrize("guard", [nullcontext, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", [*HOLDS, *HOLDS_NONE])
def test_what_holds_bfloat16_numbers(name, guard):
    x = BASE[:2].to(BF)
    with guard(), simulate("mixed"):
        found = (HOLDS | HOLDS_NONE)[name](x)
        if name == "a parameter of such numbers":
            _ = torch.nn.Parameter(found) * 1
        assert is_brain(found) is (name in HOLDS)


def test_a_first_operation_on_both_types():
    with simulate("mixed"):
        found = torch.tensor([TINY]).to(BF) * torch.ones(1)
    # The copy was a first one; this block has none.
    x = torch.tensor([TINY]).to(BF)
    with simulate("mixed"):
        again = x * torch.ones(1)
    assert found.item() == again.item() == x.item()


def test_float32_tensors_beside_are_numbers_of_the_policy():
    x, narrow = torch.full((3,), TINY), torch.full((3,), TINY).to(BF)
    with simulate("mixed"):
        assert (narrow.float() * 1).tolist() == narrow.tolist()
        assert (x * 1).tolist() == [0.0] * 3


def test_a_constant_that_is_selected_is_a_bfloat16_number():
    scores = BASE.to(BF)
    with simulate("mixed") as report:
        found = scores.float().masked_fill(scores > 0, -1e9)
        low = scores.float().clamp(min=1e-9)
        between = scores.float().masked_fill(scores > 0, LESS)
    assert found.flatten()[0].item() == float(ml_dtypes.bfloat16(-1e9))
    assert low.min().item() == float(ml_dtypes.bfloat16(1e-9))
    assert between.flatten()[0].item() == 1.0
    assert report.first is None
    assert report.modules[""].overflow == 0


def test_an_operation_with_what_is_kept_rounds_once():
    x = drawn(3, 5)
    with simulate("mixed"):
        kept = x.float().log_softmax(-1)
        found = kept * 3
    assert not np.array_equal(array(kept), b(array(kept)))
    assert np.array_equal(array(found), b(array(kept) * np.float32(3)))


def test_nothing_is_noted_of_such_numbers_beside_a_loss():
    x = torch.tensor([[TINY, 2.0, 3.0]]).to(BF)
    with simulate("mixed") as report:
        torch.cat([x.float(), x.float().log_softmax(-1)])
    assert not report.notes


def test_policies_that_store_binary32_keep_what_float32_holds():
    x = drawn(8, 8)
    with simulate("binary32"):
        found = x.float() * x.float() * 3.1
        normed = RMSNorm(8)(x)
    assert torch.equal(found, x.float() * x.float() * 3.1)
    with simulate("mixed", modules={"*": "binary32"}):
        assert torch.equal(RMSNorm(8)(x), normed)


def test_a_module_in_binary32_passes_such_numbers_on():
    class Wide(torch.nn.Module):
        def forward(self, x):
            return x.float() * 1.0

    x = torch.tensor([[TINY, 1e6]]).to(BF)
    with simulate("mixed", modules={"Wide": "binary32"}):
        found = Wide()(x) * 3
    assert np.array_equal(array(found), b(array(x) * np.float32(3)))


def test_each_format_of_a_policy_is_asked():
    """What is stored in binary32 stays as it is, and what is stored in binary16 is bfloat16 here."""
    forward = replace(named("mixed"), name="forward", gradients=BINARY32)
    x = torch.tensor([[TINY * LESS, 1e6]]).to(BF)
    upstream = torch.tensor([[TINY, LESS]])
    with simulate(forward):
        operand = x.float().requires_grad_()
        y = operand * LESS
        y.backward(upstream)
    assert np.array_equal(array(y), b(array(x) * np.float32(LESS)))
    backward = replace(named("mixed"), name="backward", weights=BINARY32, activations=BINARY32)
    with simulate(backward):
        operand = x.float().requires_grad_()
        y = operand * operand
        y.backward(x.float())
    assert torch.equal(y.detach(), x.float() * x.float())
    assert np.array_equal(array(operand.grad), b(2 * b(array(x) * array(x))))


def test_an_optimizer_moves_master_copies_by_such_gradients():
    layer, x = torch.nn.Linear(4, 2), drawn(3, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.detach().clone()
    with simulate("mixed"):
        with torch.autocast("cpu", dtype=BF):
            loss = layer(x.float()).float().square().mean()
        loss.backward()
        optimizer.step()
    gradient = array(layer.weight.grad)
    assert np.array_equal(gradient, b(gradient))
    assert np.array_equal(array(layer.weight), array(before) - np.float32(0.1) * gradient)


def test_models_without_bfloat16_have_no_such_marks(monkeypatch):
    def refused(*args):
        raise AssertionError("asked")

    monkeypatch.setattr("halfsim.interop.torch.marks.Marks.brain", refused)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.Hardswish(), torch.nn.Dropout())
    for dtype in (torch.float32, torch.float16):
        with simulate("mixed"):
            model.to(dtype)(torch.ones(2, 4, dtype=dtype)).float().sum().backward()


# Copies that PyTorch makes where a mode sees whole operators alone.


def test_a_cast_in_inference_is_that_of_the_policy():
    down = replace(named("mixed"), name="down", rounding=halfsim.Rounding.roundTowardZero)
    x = torch.tensor([1.9999, -1.9999])
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), simulate(down) as report:
            y = x.half()
        assert y.tolist() == [1.9990234375, -1.9990234375]
        assert (report.modules[""].elements, report.modules[""].inexact) == (2, 2)


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_a_reshaped_copy_of_a_loss_stays_wide(guard):
    x = torch.linspace(0.1, 0.9, 12).reshape(3, 4)
    with guard(), simulate("mixed"):
        kept = x.log_softmax(-1)
        found = kept.T.reshape(-1) - kept.T.half().float().reshape(-1)
    assert (found != 0).any()


# Numbers of binary16 beside them.

FINE = 1.0009765625
"""Of binary16, and not of bfloat16."""


def fine(dtype=torch.float32):
    return torch.full((2,), FINE, dtype=dtype)


def brains():
    return torch.ones(2).bfloat16()


def one_place(value):
    target = fine()
    target[1] = value
    return target * 1


BESIDE = {
    "out of bfloat16": lambda: (
        torch.sub(fine().half(), torch.ones(2).half(), out=torch.empty(2).bfloat16()).half() + torch.ones(2).half()
    ),
    "out that held them": lambda: torch.mul(fine(), torch.ones(2), out=brains().float()),
    "out that held them, later": lambda: torch.mul(fine(), torch.ones(2), out=brains().float()) * 1,
    "added in place": lambda: fine(torch.float16).add_(torch.zeros(2).bfloat16()),
    "multiplied in place": lambda: fine(torch.float16).mul_(brains()),
    "added": lambda: fine(torch.float16) + torch.zeros(2).bfloat16(),
    "three": lambda: torch.addcmul(fine(torch.float16), torch.zeros(2).half(), torch.zeros(2).bfloat16()),
    "joined": lambda: torch.cat([fine(torch.float16), brains()])[:2] * 1,
    "zeros like": lambda: torch.zeros_like(brains().float()).add_(fine()),
    "new zeros": lambda: brains().float().new_zeros(2).add_(fine()),
    "ones like": lambda: torch.ones_like(brains().float()) * fine(),
    "filled": lambda: brains().float().fill_(1.0) * fine(),
    "set to zero": lambda: brains().float().zero_().add_(fine()),
    "made where they were": lambda: torch.ones(2, out=brains().float()) * fine(),
    "drawn": lambda: brains().float().uniform_(1, 1) * fine(),
}


@pytest.mark.parametrize("name", BESIDE)
def test_numbers_beside_bfloat16_ones_keep_their_bits(name):
    with halfsim.torch.simulate("mixed") as report:
        found = BESIDE[name]()
    assert torch.equal(found, torch.full_like(found, FINE))
    assert not report.notes


def test_a_product_written_where_they_were_is_one_of_binary16():
    a = torch.full((4, 4), FINE)
    with halfsim.torch.simulate("h100:f16"):
        assert torch.equal(torch.mm(a, a, out=torch.zeros(4, 4).bfloat16().float()), torch.mm(a, a))


def test_bfloat16_numbers_in_a_part_of_others_are_noted():
    with halfsim.torch.simulate("mixed") as report:
        found = one_place(torch.tensor([1e-9]).bfloat16()[0])
    assert found.tolist() == [FINE, 0.0]
    (note,) = report.notes
    assert "copy in no module: bfloat16 numbers are written into a part of a float32 tensor whose other" in note


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("copy", lambda part, x: part.copy_(x)),
        ("cat", lambda part, x: torch.cat([x], out=part)),
        ("mul", lambda part, x: torch.mul(x, 1, out=part)),
    ],
)
def test_numbers_in_a_part_of_bfloat16_ones_are_noted(name, write):
    with halfsim.torch.simulate("mixed") as report:
        target = brains().float()
        write(target[:1], fine()[:1])
        assert (target * 1).tolist() == [1.0, 1.0]
    (note,) = report.notes
    assert f"{name} in no module: numbers are written into a part of a float32 tensor whose other numbers are" in note


FIRST = torch.tensor([0])
PUTS = {
    "index_put": lambda t, x: t.__setitem__(FIRST, x),
    "index_put, a mask": lambda t, x: t.__setitem__(torch.tensor([True, False]), x),
    "scatter": lambda t, x: t.scatter_(0, FIRST, x),
    "put": lambda t, x: t.put_(FIRST, x),
    "index_copy": lambda t, x: t.index_copy_(0, FIRST, x),
    "masked_scatter": lambda t, x: t.masked_scatter_(torch.tensor([True, False]), x),
    "copy": lambda t, x: t[:1].copy_(x),
}
"""What writes into a part of a tensor, also where it fills its memory."""
ADDS = {
    "index_add": lambda t, x: t.index_add_(0, FIRST, x),
    "index_add, a multiple": lambda t, x: t.index_add_(0, FIRST, x, alpha=2),
    "index_put": lambda t, x: t.index_put_((FIRST,), x, accumulate=True),
    "put": lambda t, x: t.put_(FIRST, x, accumulate=True),
    "scatter_add": lambda t, x: t.scatter_add_(0, FIRST, x),
    "scatter": lambda t, x: t.scatter_(0, FIRST, x, reduce="add"),
    "scatter_reduce": lambda t, x: t.scatter_reduce_(0, FIRST, x, "sum"),
    "scatter_reduce, products": lambda t, x: t.scatter_reduce_(0, FIRST, x, "prod"),
    "index_reduce": lambda t, x: t.index_reduce_(0, FIRST, x, "prod"),
    "add": lambda t, x: t[:1].add_(x),
}


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")
@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter:UserWarning")
@pytest.mark.parametrize("guard", [nullcontext, torch.no_grad])
@pytest.mark.parametrize("name", [*PUTS, *(f"{name}, added" for name in ADDS)])
def test_bfloat16_numbers_put_among_others_are_noted(name, guard):
    put = (PUTS | {f"{name}, added": add for name, add in ADDS.items()})[name]
    with guard(), halfsim.torch.simulate("mixed") as report:
        target, x = fine(), brains().float()[:1]
        put(target, x)
        assert (target * 1)[1].item() == FINE
        assert not is_brain(target)
        assert is_brain(x)
    (note,) = report.notes
    assert f"{name.split(',')[0]} in no module: bfloat16 numbers are written into a part of a float32 tensor" in note


@pytest.mark.parametrize("guard", [nullcontext, torch.no_grad])
@pytest.mark.parametrize("name", PUTS)
def test_others_put_among_bfloat16_numbers_are_noted(name, guard):
    with guard(), halfsim.torch.simulate("mixed") as report:
        target = torch.full((2,), TINY).to(BF).float()
        PUTS[name](target, fine()[:1])
        assert (target * 1).tolist() == [1.0, float(ml_dtypes.bfloat16(TINY))]
    (note,) = report.notes
    assert f"{name.split(',')[0]} in no module: numbers are written into a part of a float32 tensor whose" in note


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")
@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter:UserWarning")
@pytest.mark.parametrize("name", ADDS)
def test_bfloat16_numbers_that_others_are_added_to_stay_such(name):
    with halfsim.torch.simulate("mixed") as report:
        target = torch.full((2,), TINY).to(BF).float()
        ADDS[name](target, fine()[:1])
        assert is_brain(target)
        assert (target * 1)[1].item() == float(ml_dtypes.bfloat16(TINY))
    assert not report.notes


NO_PART = {
    "a cosine": (lambda x: F.cosine_similarity(x[None], fine()[None]), True),
    "a number at least": (lambda x: x.clamp_min_(torch.tensor(0.1)), True),
    "numbers at least": (lambda x: x.clamp_(min=fine()), True),
    "between numbers": (lambda x: x.clamp_(torch.tensor(0.1), torch.tensor(2.0)), True),
    "filled at a mask": (lambda x: x.masked_fill_(x > 0, torch.tensor(0.1)), True),
    "filled at an index": (lambda x: x.index_fill_(0, FIRST, torch.tensor(0.1)), True),
    "filled in a part": (lambda x: x[:1].masked_fill_(x[:1] > 0, torch.tensor(0.1)), True),
    "others at least": (lambda x: fine().clamp_min_(x), True),
    "others, a number at least": (lambda x: fine().clamp_min_(x[0]), False),
    "others, filled at a mask": (lambda x: fine().masked_fill_(x > 2, x[0]), False),
    "others, all of them put": (lambda x: fine().copy_(x), True),
}


@pytest.mark.parametrize("name", NO_PART)
def test_nothing_is_noted_where_no_part_is_written(name):
    function, brain = NO_PART[name]
    with halfsim.torch.simulate("mixed") as report:
        assert is_brain(function(brains().float())) is brain
    assert not report.notes


def test_a_number_beside_elements_is_one_of_the_policy():
    with halfsim.torch.simulate("mixed"):
        number = torch.full((4,), TINY).to(BF).float().mean()
        assert (number * torch.ones(2)).tolist() == [0.0, 0.0]
        assert (number * 1).item() == number.item() > 0


def test_bfloat16_numbers_changed_in_part_stay_such():
    with halfsim.torch.simulate("mixed") as report:
        target = brains().float()
        target[:1].mul_(fine()[:1])
        assert target.tolist() == [1.0, 1.0]
    assert not report.notes


SEEDS = {
    "one element": lambda w, scale: (w.float()[:1] * scale).backward(),
    "given": lambda w, scale: (loss := w.float() * scale).backward(torch.ones_like(loss)),
    "one row": lambda w, scale: (w.float().mean(0, keepdim=True) * scale).backward(),
    "new zeros": lambda w, scale: (w.float().new_zeros(4).add_(w.float()).mean() * scale).backward(),
}


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("name", SEEDS)
def test_gradients_begin_at_any_scale(name, scale):
    found = []
    for guard in (nullcontext, lambda: halfsim.torch.simulate("mixed")):
        w = torch.arange(1, 5).to(BF).requires_grad_()
        with guard():
            SEEDS[name](w, scale)
        found.append(w.grad.float())
    assert torch.allclose(*found, rtol=2**-7, atol=0)


OUTS = {
    "cat": lambda x, out: torch.cat([x], out=out),
    "maximum": lambda x, out: torch.maximum(x, x, out=out),
    "where": lambda x, out: torch.where(x > 0, x, x, out=out),
    "neg": lambda x, out: torch.neg(x, out=out),
}


@pytest.mark.parametrize("name", OUTS)
def test_selections_are_written_as_they_are(name):
    x = torch.full((2,), TINY).to(BF)
    with halfsim.torch.simulate("mixed") as report:
        found = OUTS[name](x.float(), torch.empty(2)) * 1
    assert torch.equal(found.abs(), x.float())
    assert not report.notes


def test_random_numbers_are_written_beside_bfloat16_ones():
    with halfsim.torch.simulate("mixed"):
        means = torch.full((2,), TINY).to(BF).float()
        torch.rand(2, out=torch.empty(2))
        torch.normal(means, torch.ones(2), out=torch.empty(2))
        assert torch.equal(means * 1, means)


PLAIN = {
    "added": lambda x: torch.zeros(4).add_(x) * 1,
    "written": lambda x: torch.mul(x, 1, out=torch.zeros(4)) * 1,
    "joined": lambda x: torch.cat([x, x], out=torch.empty(8)) * 1,
    "zeros beside": lambda x: x + torch.zeros(4).clone(),
    "a mask": lambda x: x + torch.zeros(4).masked_fill(x < 0, -1e9),
    "a number": lambda x: torch.zeros(4) + 0.1,
    "rows": lambda x: torch.stack([x, x]).copy_(torch.zeros(2, 4).index_fill(0, torch.tensor([0]), 1) + x) * 1,
    "drawn": lambda x: torch.empty(4).uniform_(1, 1.1, generator=torch.Generator().manual_seed(2)) * 1,
    "a mean": lambda x: torch.zeros(4).mul_(0.9).add_(x, alpha=0.1) * 1,
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_bfloat16_tensor_elsewhere_changes_nothing(name):
    x, found = torch.full((4,), FINE), []
    for beside in (False, True):
        with halfsim.torch.simulate("mixed") as report:
            if beside:
                _ = brains() * 1
            found.append(PLAIN[name](x))
        assert not report.notes
    assert torch.equal(*found)
