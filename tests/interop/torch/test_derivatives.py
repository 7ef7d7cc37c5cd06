"""Second derivatives, in which PyTorch asks tensors without numbers for the shapes of zeros that it does not write."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

F = torch.nn.functional
X = torch.tensor([[1.0, -2.0, 0.5], [0.25, -0.75, 3.0]])
ZEROS = torch.zeros(2, 3)

FUNCTIONS = {
    "abs": lambda x: x.abs() + x * x,
    "norm of order 1": lambda x: x.norm(p=1) ** 2,
    "largest": lambda x: x.norm(p=float("inf")) ** 2,
    "normalized": lambda x: F.normalize(x, p=1.0) ** 2,
    "l1 loss": lambda x: F.l1_loss(x, ZEROS) * x,
    "softsign": lambda x: F.softsign(x),
    "renormed": lambda x: torch.renorm(x, 1, 0, 2.0) ** 2,
    "i0e": lambda x: torch.special.i0e(x) * x,
    "i1e": lambda x: torch.special.i1e(x) * x,
    "smooth": lambda x: F.smooth_l1_loss(x, ZEROS, reduction="none"),
    "relu": lambda x: F.relu(x) ** 2,
    "sign": lambda x: x.sign() * x,
}


def penalty(function, start):
    """The gradient of the squared gradient."""
    x = start.clone().requires_grad_()
    (g,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((g * g).sum(), x)
    return second


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_gradient_penalties(name, dtype):
    function, x = FUNCTIONS[name], X.to(dtype)
    if name in ("l1 loss", "smooth"):
        global_zeros = ZEROS.to(dtype)
        function = {
            "l1 loss": lambda x: F.l1_loss(x, global_zeros) * x,
            "smooth": lambda x: F.smooth_l1_loss(x, global_zeros, reduction="none"),
        }[name]
    try:
        expected = penalty(function, x)
    except NotImplementedError:
        pytest.skip("PyTorch has no such kernel")
    with halfsim.torch.simulate("mixed"):
        found = penalty(function, x)
    assert found.dtype == dtype
    tolerance = 2**-5 if dtype == torch.bfloat16 else 2**-8
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=4 * tolerance)


def test_a_hessian():
    def function(x):
        return (x.abs() * x * x).sum() + x.norm(p=1) ** 2

    expected = torch.autograd.functional.hessian(function, X[0])
    with halfsim.torch.simulate("mixed"):
        found = torch.autograd.functional.hessian(function, X[0])
    torch.testing.assert_close(found, expected, rtol=2**-9, atol=2**-9)


def test_zeros_that_are_not_written_down_are_zeros():
    zero, x = torch._efficientzerotensor(3), torch.tensor([1.0, 0.1, -3.0])
    with halfsim.torch.simulate("mixed") as report:
        found = zero + x, x - zero, zero * x, x * zero, x @ zero, zero + zero, torch.stack([zero, x]), zero.sum() + x
    for got, wanted in zip(found, (x, x, 0 * x, 0 * x, 0 * x[0], 0 * x, torch.stack([0 * x, x]), x), strict=True):
        assert got.shape == wanted.shape
        assert ((got == wanted) | (got == wanted.half())).all()
    assert not report.not_simulated


def test_tensors_without_numbers_have_shapes():
    with halfsim.torch.simulate("mixed") as report:
        layer = torch.nn.Linear(3, 2, device="meta")
        y = F.softmax(layer(torch.ones(4, 3, device="meta")).relu().half(), -1)
    assert (y.shape, y.dtype, y.device.type) == ((4, 2), torch.float16, "meta")
    assert not report.simulated
    assert not report.not_simulated


@pytest.mark.parametrize("operator", [torch.add, torch.mul, torch.maximum, torch.matmul])
@pytest.mark.parametrize("first", [True, False])
def test_a_tensor_elsewhere_beside_one_here_is_refused(operator, first):
    pair = torch.ones(3), torch.ones(3, device="meta")
    with halfsim.torch.simulate("mixed"), pytest.raises(ValueError, match=r"got a tensor on meta, and only the proc"):
        operator(*(pair if first else pair[::-1]))


# PyTorch compiles its own derivatives along a direction, in a way that it calls deprecated.
along_directions = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

NARROW = [torch.float16, torch.bfloat16]
V = torch.tensor([0.5, -2.0, 1.0])


@pytest.mark.parametrize("dtype", [torch.float32, *NARROW], ids=str)
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum() * 2,
        lambda x: 1 + x.sum(),
        lambda x: x[0] / 4,
        lambda x: F.softsign(x.sum()),
        lambda x: F.multilabel_soft_margin_loss(x, x.sign()),
    ],
)
def test_numbers_inside_of_vmap(function, dtype):
    x = X.to(dtype)
    expected = torch.func.vmap(function)(x)
    with halfsim.torch.simulate("mixed") as report:
        found = torch.func.vmap(function)(x)
    assert found.dtype == expected.dtype == dtype
    assert not report.not_simulated
    tolerance = 2**-7 if dtype == torch.bfloat16 else 2**-10
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


LINEAR_IN_PARTS = {
    "addcmul": lambda v: lambda x: torch.addcmul(x, v, v, value=0.5),
    "addcdiv": lambda v: lambda x: torch.addcdiv(x, v, v, value=0.5),
    "ldexp": lambda v: lambda x: torch.ldexp(x, v.sign()),
    "addr": lambda v: lambda x: torch.addr(x.outer(x), v, v, alpha=0.5),
    "index_add": lambda v: lambda x: x.index_add(0, torch.tensor([2, 0, 1]), v, alpha=0.5),
}


@along_directions
@pytest.mark.parametrize("dtype", [torch.float32, *NARROW], ids=str)
@pytest.mark.parametrize("name", LINEAR_IN_PARTS)
def test_what_does_not_change_along_a_direction(name, dtype):
    """PyTorch passes its derivative as zeros that are nowhere in memory."""
    v = V.to(dtype)
    expected = torch.func.jvp(LINEAR_IN_PARTS[name](v), (v,), (v,))
    with halfsim.torch.simulate("mixed"):
        found = torch.func.jvp(LINEAR_IN_PARTS[name](v), (v,), (v,))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        # All numbers are such that nothing is rounded.
        assert torch.equal(one, other)


@along_directions
@pytest.mark.parametrize("dtype", [torch.float32, *NARROW], ids=str)
def test_derivatives_of_derivatives_along_directions(dtype):
    v = V.to(dtype)
    function = torch.func.jacrev(torch.func.jacfwd(lambda x: F.mse_loss(x, v) * 3))
    with halfsim.torch.simulate("mixed"):
        assert torch.equal(function(v), 2 * torch.eye(3, dtype=dtype))


NORMS = {
    "layer": lambda: (torch.nn.LayerNorm(8), (6, 8)),
    "layer without parameters": lambda: (torch.nn.LayerNorm(8, elementwise_affine=False), (6, 8)),
    "group": lambda: (torch.nn.GroupNorm(2, 4), (3, 4, 8)),
    "batch": lambda: (torch.nn.BatchNorm1d(8), (16, 8)),
    "batch alone": lambda: (torch.nn.BatchNorm1d(8, track_running_stats=False), (16, 8)),
    "instance": lambda: (torch.nn.InstanceNorm1d(4, affine=True), (3, 4, 8)),
}


def along(model, x, direction):
    with torch.autograd.forward_ad.dual_level():
        y = model(torch.autograd.forward_ad.make_dual(x, direction))
        return torch.autograd.forward_ad.unpack_dual(y)


@along_directions
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, *NARROW], ids=str)
@pytest.mark.parametrize("name", NORMS)
def test_normalisation_along_a_direction_has_the_type_of_pytorch(name, dtype, training):
    norm, shape = NORMS[name]()
    model = torch.nn.Sequential(norm, torch.nn.Linear(8, 2)).to(dtype).train(training)
    draw = torch.Generator().manual_seed(4)
    x, direction = (torch.randn(shape, generator=draw).to(dtype) for _ in range(2))
    expected = along(model, x, direction)
    with halfsim.torch.simulate("mixed"):
        found, plain = along(model, x, direction), model(x)
    tolerance = 2**-5 if dtype == torch.bfloat16 else 2**-8
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype == dtype
        torch.testing.assert_close(one, other, rtol=tolerance, atol=2 * tolerance)
    # A derivative beside it changes no result.
    assert torch.equal(found.primal, plain) or (name == "batch" and not training)


def test_statistics_stay_in_float32_without_a_direction():
    x = X.half()
    with halfsim.torch.simulate("mixed"):
        _, mean, inverse = torch.native_layer_norm(x, (3,), None, None, 1e-5)
    assert mean.dtype == inverse.dtype == torch.float32
