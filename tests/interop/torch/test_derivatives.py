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
