"""Operators that write several results, or one of another name than ``out``, where they are told."""

from __future__ import annotations

import pytest

import halfsim as hs

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

aten = torch.ops.aten
X = torch.randn(4, 3, generator=torch.Generator().manual_seed(7))
IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(8))
G, KERNEL = IMAGES.flip(0), IMAGES[:, :, :2, :2]
LABELS, PIXELS = torch.tensor([0, 2, 1, 0]), torch.zeros(2, 4, 4, dtype=torch.int64)
LOSS = torch.tensor(0.3)
NORM = X, None, None, None, None, True, 0.1, 1e-5
NO_STATISTICS = X, None, None, True, 0.1, 1e-5
ROWS = X, [3], None, None, 1e-5
GROUPS = X, None, None, 4, 3, 1, 1, 1e-5
WINDOWS = G[..., :2, :2], IMAGES, [2, 2], [2, 2], [0, 0], False, True, None
CONVOLVED = G[:, :2, :3, :3], IMAGES, KERNEL, [2], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, True]


def call(function, names, *args):
    """A function, its arguments, and the names of what it writes to."""
    return function, args, names.split()


CASES = {
    "batch_norm": (
        aten.native_batch_norm.default,
        call(aten.native_batch_norm.out, "out save_mean save_invstd", *NORM),
    ),
    "legit": (
        aten._native_batch_norm_legit.no_stats,
        call(aten._native_batch_norm_legit.no_stats_out, "out save_mean save_invstd", *NO_STATISTICS),
    ),
    "layer_norm": (aten.native_layer_norm.default, call(aten.native_layer_norm.out, "out0 out1 out2", *ROWS)),
    "group_norm": (aten.native_group_norm.default, call(aten.native_group_norm.out, "out0 out1 out2", *GROUPS)),
    "nll_loss": (
        aten.nll_loss_forward.default,
        call(aten.nll_loss_forward.output, "output total_weight", X, LABELS, None, 1, -100),
    ),
    "nll_loss2d": (
        aten.nll_loss2d_forward.default,
        call(aten.nll_loss2d_forward.output, "output total_weight", IMAGES, PIXELS, None, 0, -100),
    ),
    "var_mean": (aten.var_mean.correction, call(aten.var_mean.correction_out, "out0 out1", X, [0])),
    "mse_loss_backward": (
        aten.mse_loss_backward.default,
        call(aten.mse_loss_backward.grad_input, "grad_input", LOSS, X, X.flip(0), 1),
    ),
    "smooth_l1_loss_backward": (
        aten.smooth_l1_loss_backward.default,
        call(aten.smooth_l1_loss_backward.grad_input, "grad_input", LOSS, X, X.flip(0), 1, 1.0),
    ),
    "sigmoid_backward": (
        aten.sigmoid_backward.default,
        call(aten.sigmoid_backward.grad_input, "grad_input", X, X.sigmoid()),
    ),
    "tanh_backward": (aten.tanh_backward.default, call(aten.tanh_backward.grad_input, "grad_input", X, X.tanh())),
    "avg_pool2d_backward": (
        aten.avg_pool2d_backward.default,
        call(aten.avg_pool2d_backward.grad_input, "grad_input", *WINDOWS),
    ),
    "softmax_backward": (
        aten._softmax_backward_data.default,
        call(aten._softmax_backward_data.out, "grad_input", X, X.softmax(1), 1, torch.float32),
    ),
    "convolution_backward": (
        aten.convolution_backward.default,
        call(aten.convolution_backward.out, "out0 out1 out2", *CONVOLVED),
    ),
}


@pytest.mark.parametrize("policy", ["mixed", "binary32", "binary16-pure"])
@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_the_form_that_makes_them(name, sized, policy):
    makes, (writes, args, names) = CASES[name]
    with hs.torch.simulate(policy) as expected:
        made = makes(*args)
    wanted = [made] if isinstance(made, torch.Tensor) else list(made)
    targets = [torch.zeros_like(x) if sized else torch.empty(0) for x in wanted]
    with hs.torch.simulate(policy) as report:
        found = writes(*args, **dict(zip(names, targets, strict=True)))
    for target, one, each in zip(targets, wanted, [found] if len(targets) == 1 else found, strict=True):
        assert each is target
        assert torch.equal(target, one)
    assert report.simulated == expected.simulated
    assert not report.not_simulated


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.multinomial(X.abs(), 2, out=torch.empty(0, dtype=torch.int64)),
        lambda: aten.native_dropout.out(X, 0.5, True, out0=torch.empty(0), out1=torch.empty(0, dtype=torch.bool))[1],
    ],
)
def test_numbers_are_drawn_once(draw):
    found = []
    for policy in (None, "mixed"):
        torch.manual_seed(3)
        if policy is None:
            found.append((draw(), torch.rand(2)))
        else:
            with hs.torch.simulate(policy):
                found.append((draw(), torch.rand(2)))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_running_statistics_move_as_well():
    found = []
    for into in (False, True):
        running, into = (torch.zeros(3), torch.ones(3)), [torch.empty(0) for _ in range(3 * into)]
        with hs.torch.simulate("mixed"):
            made = torch.native_batch_norm(X, None, None, *running, True, 0.1, 1e-5, **({"out": into} if into else {}))
        found.append([*made, *running])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_loss_is_written_by_its_function():
    out = torch.empty(())
    with hs.torch.simulate("mixed"):
        found = torch._C._nn.nll_loss(X, LABELS, None, 1, -100, out=out)
        wanted = torch.nn.functional.nll_loss(X, LABELS)
    assert found is out
    assert torch.equal(out, wanted)


def test_numbers_as_wide_as_a_loss_stay_so():
    out = torch.empty(())
    with hs.torch.simulate("mixed"):
        torch._C._nn.nll_loss(X.log_softmax(1), LABELS, None, 1, -100, out=out)
        wanted = torch.nn.functional.nll_loss(X.log_softmax(1), LABELS)
    assert torch.equal(out, wanted)
    assert out != out.half().float()


@pytest.mark.parametrize("name", ["batch_norm", "nll_loss", "mse_loss_backward"])
def test_targets_of_another_type_are_refused_as_by_pytorch(name):
    _, (writes, args, names) = CASES[name]
    targets = {name: torch.empty(0, dtype=torch.int64) for name in names}
    with pytest.raises(RuntimeError) as expected:
        writes(*args, **targets)
    with hs.torch.simulate("mixed"), pytest.raises(RuntimeError) as found:
        writes(*args, **targets)
    assert str(found.value) == str(expected.value)
