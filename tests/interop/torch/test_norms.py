"""Half models whose normalisation keeps its parameters in float32: the usual way to hold them."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from halfsim.interop.torch.refusals import ACCEPTED  # noqa: E402
from halfsim.policy import named  # noqa: E402

NORMS = {
    "layer": (lambda: torch.nn.LayerNorm(6), (7, 6)),
    "rows of images": (lambda: torch.nn.LayerNorm((3, 4)), (5, 2, 3, 4)),
    "group": (lambda: torch.nn.GroupNorm(2, 8), (3, 8, 5)),
    "batch": (lambda: torch.nn.BatchNorm1d(6), (16, 6)),
    "images": (lambda: torch.nn.BatchNorm2d(4), (3, 4, 5, 6)),
    "instance": (lambda: torch.nn.InstanceNorm2d(4, affine=True), (3, 4, 5, 6)),
    "without statistics": (lambda: torch.nn.BatchNorm1d(6, track_running_stats=False), (16, 6)),
}


def made(name, dtype):
    """A layer with parameters that are numbers of a type, held in that type and in float32, and an operand."""
    make, shape = NORMS[name]
    generator = torch.Generator().manual_seed(3)
    narrow = make().to(dtype)
    with torch.no_grad():
        for parameter in narrow.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    wide = copy.deepcopy(narrow).float()
    return narrow, wide, torch.randn(shape, generator=generator).to(dtype)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_parameters_in_float32_change_no_number_and_no_type(name, dtype, training):
    narrow, wide, x = made(name, dtype)
    found = []
    for module in (narrow, wide):
        module.train(training)
        operand = x.clone().requires_grad_()
        with halfsim.torch.simulate("mixed"):
            y = module(operand)
            (y * torch.linspace(-2, 2, y.numel()).to(dtype).view_as(y)).sum().backward()
        assert y.dtype == operand.grad.dtype == dtype
        found.append((y.detach(), operand.grad, [p.grad for p in module.parameters()]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    for half, full in zip(found[0][2], found[1][2], strict=True):
        assert half.dtype == dtype
        assert full.dtype == torch.float32
        if dtype == torch.bfloat16 and name in ("group", "instance"):
            # PyTorch's own expression of these two is evaluated in the parameter's type.
            assert torch.allclose(half.float(), full, rtol=2**-7, atol=2**-9)
        else:
            assert torch.equal(half.float(), full)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_results_have_pytorchs_type_and_are_near(name, dtype):
    _, wide, x = made(name, dtype)
    expected = wide(x)
    with halfsim.torch.simulate(named("binary32")):
        y = wide(x)
    assert y.dtype == expected.dtype == dtype
    assert torch.allclose(y.float(), expected.float(), rtol=2e-2 if dtype == torch.bfloat16 else 3e-3, atol=2e-2)


def test_gradients_of_float32_parameters_keep_what_a_policy_keeps():
    """Under a policy whose gradients are binary32 they are no numbers of binary16."""
    _, wide, x = made("layer", torch.float16)
    with halfsim.torch.simulate("binary32"):
        (wide(x).float() * torch.linspace(-2, 2, x.numel()).view_as(x)).sum().backward()
    assert not torch.equal(wide.weight.grad, wide.weight.grad.half().float())


def test_layers_around_it_get_their_own_type():
    model = torch.nn.Sequential(torch.nn.Linear(5, 6).half(), torch.nn.LayerNorm(6), torch.nn.Linear(6, 2).half())
    encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).half()
    encoder.norm1.float(), encoder.norm2.float()
    for grad in (True, False):
        with torch.set_grad_enabled(grad), halfsim.torch.simulate("mixed"):
            assert model(torch.ones(4, 5).half()).dtype == torch.float16
            assert encoder(torch.ones(2, 3, 8).half()).dtype == torch.float16


@pytest.mark.parametrize("index", [[0, 1, 9], [0, 1, -9]])
def test_an_index_outside_is_refused_as_pytorch_does_whatever_came_before(index):
    def call(places):
        return torch.zeros(4, 5).half().index_add(0, torch.tensor(places), torch.ones(3, 5).half())

    with pytest.raises((RuntimeError, IndexError)) as expected:
        call(index)
    with halfsim.torch.simulate("mixed"):
        call([0, 1, 2])
        with pytest.raises(type(expected.value)) as found:
            call(index)
    assert str(found.value) == str(expected.value)


@pytest.mark.filterwarnings("ignore:Using `torch.compile")
def test_compiled_modules_have_the_names_of_what_they_wrap():
    inner = torch.nn.Linear(4, 3)
    model = torch.nn.Sequential(torch.compile(inner, backend="eager"), torch.nn.ReLU())
    with torch.no_grad(), halfsim.torch.simulate("mixed", modules={"0": "torch"}) as report:
        model(torch.ones(2, 4))
    assert report.not_simulated["addmm", "left to PyTorch by a rule"] == {"0": 1}


class Inner(torch.nn.Module):
    """A module with a child of the name that `torch.compile` gives the one it wraps."""

    def __init__(self):
        super().__init__()
        self._orig_mod = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self._orig_mod(x)


@pytest.mark.filterwarnings("ignore:Using `torch.compile")
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("outer", ["", "0."])
def test_a_child_of_a_compilers_name_keeps_it(wrapped, outer):
    model = Inner()
    if wrapped:
        model = torch.compile(model, backend="eager")
    if outer:
        model = torch.nn.Sequential(model)
    name = f"{outer}_orig_mod"
    with torch.no_grad(), halfsim.torch.simulate("mixed", modules={name: "torch"}) as report:
        model(torch.ones(2, 4))
    assert report.not_simulated["addmm", "left to PyTorch by a rule"] == {name: 1}
    assert not report.notes


MOMENTUM = 0.125


def by_hand(x, running, factor):
    """The statistic of a batch, moved once."""
    return (1 - MOMENTUM) * running + MOMENTUM * factor(x.double().transpose(0, 1).flatten(1)).float()


STATISTICS = {
    "running_mean": lambda rows: rows.mean(1),
    "running_var": lambda rows: rows.var(1),
}


@pytest.mark.parametrize("parameters", [torch.float16, torch.float32])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_a_call_that_is_tried_before_moves_statistics_once(parameters, size):
    """Parameters of another type than the operand make a call of a new kind be tried on PyTorch's own kernel."""
    ACCEPTED._known.clear()
    norm = torch.nn.BatchNorm1d(3, momentum=MOMENTUM).to(parameters)
    expected = {name: getattr(norm, name).clone() for name in STATISTICS}
    generator = torch.Generator().manual_seed(size)
    with halfsim.torch.simulate("binary32"):
        for _ in range(2):
            x = torch.randn(8, 3, size, generator=generator).half()
            norm(x)
            expected = {name: by_hand(x, expected[name], factor) for name, factor in STATISTICS.items()}
    for name, value in expected.items():
        torch.testing.assert_close(getattr(norm, name), value.to(parameters), rtol=2e-3, atol=2e-3)


def test_a_call_that_is_refused_moves_no_statistics():
    ACCEPTED._known.clear()
    mean, variance = torch.zeros(3), torch.ones(3)
    x = torch.arange(24.0).reshape(8, 3).half()
    operands = x, torch.ones(3, dtype=torch.float64), torch.zeros(3), mean, variance, True, 0.5, 1e-5
    with halfsim.torch.simulate("mixed"), pytest.raises(RuntimeError):
        torch.ops.aten.native_batch_norm(*operands)
    assert torch.equal(mean, torch.zeros(3))
    assert torch.equal(variance, torch.ones(3))


def test_a_target_is_the_same_after_an_index_that_is_refused():
    target = torch.zeros(4).half()
    with halfsim.torch.simulate("mixed"), pytest.raises(IndexError):
        target.index_add_(0, torch.tensor([0, 9]), torch.ones(2).half())
    assert not target.any()


DIRECT = {
    "_native_batch_norm_legit": (True, 0.5, 1e-5),
    "_native_batch_norm_legit_no_training": (0.5, 1e-5),
    "native_batch_norm": (True, 0.5, 1e-5),
}


@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_operators_called_by_name_have_results_of_the_type_of_their_operand(name, dtype):
    call = getattr(torch.ops.aten, name)
    x = torch.arange(24.0).reshape(8, 3).to(dtype)
    parameters = torch.full((3,), 1.5), torch.full((3,), 0.5)

    def statistics():
        return torch.zeros(3), torch.ones(3)

    expected = call(x, *parameters, *statistics(), *DIRECT[name])
    with halfsim.torch.simulate("binary32") as report:
        found = call(x, *parameters, *statistics(), *DIRECT[name])
    assert report.simulated[name] == 1
    assert [part.dtype for part in found] == [part.dtype for part in expected]
    assert found[0].dtype == dtype
    torch.testing.assert_close(found[0], expected[0], rtol=2e-2, atol=2e-2)
