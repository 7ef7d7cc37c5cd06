"""The order of dimensions in memory, by which a model's `view` works or not, is PyTorch's own; and empty batches."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
LAYERS = {
    "convolution": lambda: nn.Conv2d(4, 8, 3, padding=1),
    "by points": lambda: nn.Conv2d(4, 8, 1),
    "by groups": lambda: nn.Conv2d(4, 8, 3, groups=2, padding=1),
    "its weight last": lambda: nn.Conv2d(4, 8, 1).to(memory_format=torch.channels_last),
    "transposed": lambda: nn.ConvTranspose2d(4, 8, 3),
    "batch": lambda: nn.BatchNorm2d(4),
    "batch, inference": lambda: nn.BatchNorm2d(4).eval(),
    "batch alone": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "group": lambda: nn.GroupNorm(2, 4),
    "instance": lambda: nn.InstanceNorm2d(4),
    "instance, inference": lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True).eval(),
    "mean": lambda: nn.AvgPool2d(2, stride=1),
    "adaptive mean": lambda: nn.AdaptiveAvgPool2d(3),
    "one mean": lambda: nn.AdaptiveAvgPool2d(1),
    "maximum": lambda: nn.MaxPool2d(2, stride=1),
    "adaptive maximum": lambda: nn.AdaptiveMaxPool2d(2),
    "power": lambda: nn.LPPool2d(2, 2, stride=1),
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softmax": nn.Softmax2d,
}
VOLUMES = {
    "convolution": lambda: nn.Conv3d(4, 8, 3, padding=1),
    "transposed": lambda: nn.ConvTranspose3d(4, 8, 2),
    "batch": lambda: nn.BatchNorm3d(4),
    "group": lambda: nn.GroupNorm(2, 4),
}


def strides(layer, x):
    """Of the result and of the gradient of the operand."""
    operand = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(operand)
    y.sum().backward()
    return y.shape, y.stride(), operand.grad.stride()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_images(name, last, dtype):
    layer, x = LAYERS[name]().to(dtype), torch.randn(2, 4, 6, 6).to(dtype)
    if last:
        x = x.to(memory_format=torch.channels_last)
    wanted = strides(layer, x)
    with halfsim.torch.simulate("mixed"):
        assert strides(layer, x) == wanted


GRADIENTS = {
    "glu": lambda y: functional.glu(y, 1),
    "variance": lambda y: y.var(-1),
    "variance of images": lambda y: y.var((2, 3)),
    "deviation": lambda y: y.std(1),
    "gelu": functional.gelu,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_images(name):
    """As a hook sees them, before they are added to that of a tensor."""

    def seen():
        found = []
        x = torch.randn(2, 4, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
        y = x * 1.0
        y.register_hook(lambda gradient: found.append(gradient.stride()))
        GRADIENTS[name](y).sum().backward()
        return found

    wanted = seen()
    with halfsim.torch.simulate("mixed"):
        assert seen() == wanted


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name):
    layer, x = VOLUMES[name](), torch.randn(2, 4, 3, 6, 6).to(memory_format=torch.channels_last_3d)
    wanted = strides(layer, x)
    with halfsim.torch.simulate("mixed"):
        assert strides(layer, x) == wanted


@pytest.mark.parametrize("name", ["convolution", "by points", "batch", "batch, inference", "instance, inference"])
def test_images_of_one_point(name):
    """Of which an array says nothing of the order, and any strides are as good."""
    layer, x = LAYERS[name](), torch.randn(2, 4, 1, 1)
    layer.eval()
    wanted = layer(x).stride()
    with halfsim.torch.simulate("mixed"):
        assert layer(x).stride() == wanted


def steps(tensor):
    """Of dimensions longer than one element, which alone say where elements lie."""
    return tuple(step for step, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)


def beside(function, *operands):
    """Return the strides of results and gradients, in PyTorch and simulated, for gradients spread and as stored."""

    def found():
        inner = [x.detach().requires_grad_() for x in operands]
        y = function(*inner)
        gradients = [torch.ones(()).expand(y.shape), torch.ones(y.shape)]
        made = [torch.autograd.grad(y, inner, g, retain_graph=True, allow_unused=True) for g in gradients]
        return [steps(x) for x in (y, *itertools.chain(*made)) if x is not None]

    wanted = found()
    with halfsim.torch.simulate("binary32", count=False):
        return wanted, found()


def lasting(x, order):
    """Return a tensor in its own order, with channels last, or with its last two dimensions turned round."""
    if order == "turned":
        return x.mT.contiguous().mT
    last = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=last) if order == "last" else x


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("weight", ["plain", "last"])
@pytest.mark.parametrize("image", ["plain", "last", "turned"])
@pytest.mark.parametrize("rank", [2, 3])
def test_convolutions(rank, image, weight, transposed):
    """In every order of images and weights, of which kernels of one point or channel have only strides to tell it."""
    function = getattr(functional, f"conv{'_transpose' * transposed}{rank}d")
    for batch, size, channels, groups in itertools.product((1, 2), (1, 3), (1, 4), (1, 2)):
        if channels % groups:
            continue
        x = torch.randn(batch, channels, *(4, 5, 6)[:rank])
        shape = (channels, 6 // groups) if transposed else (6, channels // groups)
        w = torch.randn(*shape, *[size] * rank)
        wanted, found = beside(
            lambda x, w, groups=groups: function(x, w, groups=groups), lasting(x, image), lasting(w, weight)
        )
        assert found == wanted, (batch, size, channels, groups)


SPREAD = {
    "add": torch.add,
    "mul": torch.mul,
    "div": torch.div,
    "rsub": torch.rsub,
    "lerp": lambda a, b: torch.lerp(a, b, a[:1]),
    "addcmul": lambda a, b: torch.addcmul(a[:1], a, b),
    "addcdiv": lambda a, b: torch.addcdiv(b, a, b),
    "where": lambda a, b: torch.where(a > 0, a, b),
    "mse_loss": lambda a, b: functional.mse_loss(a + 0 * b, b + 0 * a, reduction="none"),
    "ldexp": torch.ldexp,
    "powers of a number": lambda a, b: 2.0**a + 2.0**b,
    "a number in between": lambda a, b: a * torch.tensor(2.0) + b,
}


@pytest.mark.parametrize("name", SPREAD)
def test_operands_of_which_none_has_the_shape_of_the_result(name):
    operands = {
        "both turned": (torch.randn(5, 1, 10).permute(2, 1, 0), torch.randn(5, 10).t()),
        "one turned": (torch.randn(5, 1, 10).permute(2, 1, 0), torch.randn(10, 5)),
        "neither": (torch.randn(10, 1, 5), torch.randn(10, 5)),
        "one of the shape": (torch.randn(10, 10, 5), torch.randn(5, 10).t()),
        "spread": (torch.randn(10, 1, 1).expand(10, 10, 1), torch.randn(5, 10).t()),
    }
    for a, b in operands.values():
        for pair in ((a, b), (b, a)):
            wanted, found = beside(SPREAD[name], *pair)
            assert found == wanted


TURNED = {
    "smooth_l1_loss": lambda x: functional.smooth_l1_loss(x, torch.ones(7, 5).t()),
    "every smooth_l1_loss": lambda x: functional.smooth_l1_loss(x, torch.ones(5, 7), reduction="none"),
    "huber_loss": lambda x: functional.huber_loss(x, torch.ones(7, 5).t()),
    "every huber_loss": lambda x: functional.huber_loss(x, torch.ones(5, 7), reduction="none"),
    "every mse_loss": lambda x: functional.mse_loss(x, torch.ones(5, 7), reduction="none"),
    "binary_cross_entropy": lambda x: functional.binary_cross_entropy(x.sigmoid(), torch.ones(5, 7), reduction="none"),
    "max": torch.max,
    "min": torch.min,
    "median": torch.median,
    "amax": torch.amax,
    "elu": functional.elu,
    "selu": functional.selu,
    "celu": functional.celu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "softplus": functional.softplus,
    "logsigmoid": functional.logsigmoid,
    "leaky_relu": functional.leaky_relu,
    "logit": lambda x: x.sigmoid().logit(),
    "index_put": lambda x: x.index_put((torch.tensor([0, 1]),), torch.ones(2, 7), accumulate=True),
}


@pytest.mark.parametrize("name", TURNED)
def test_a_matrix_turned_round(name):
    wanted, found = beside(TURNED[name], torch.randn(7, 5).t())
    assert found == wanted


WINDOWS = {
    "unpooled": lambda x: functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2),
    "mirrored": lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
    "replicated": lambda x: functional.pad(x, (1, 1, 1, 1), mode="replicate"),
    "wrapped": lambda x: functional.pad(x, (1, 1, 1, 1), mode="circular"),
    "padded": lambda x: functional.pad(x, (1, 1, 1, 1)),
}
VOLUME_WINDOWS = {
    "unpooled": lambda x: functional.max_unpool3d(*functional.max_pool3d(x, 2, return_indices=True), 2),
    "adaptive maximum": lambda x: functional.adaptive_max_pool3d(x, 2),
    "mirrored": lambda x: functional.pad(x, (1,) * 6, mode="reflect"),
    "replicated": lambda x: functional.pad(x, (1,) * 6, mode="replicate"),
}


@pytest.mark.parametrize("order", ["plain", "last", "turned"])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows_and_frames(name, order):
    wanted, found = beside(WINDOWS[name], lasting(torch.randn(2, 3, 6, 6), order))
    assert found == wanted


@pytest.mark.parametrize("order", ["plain", "last", "turned"])
@pytest.mark.parametrize("name", VOLUME_WINDOWS)
def test_windows_and_frames_of_volumes(name, order):
    wanted, found = beside(VOLUME_WINDOWS[name], lasting(torch.randn(2, 3, 4, 4, 6), order))
    assert found == wanted


def test_one_volume_whose_channels_come_last():
    """Of as many dimensions as a batch of images."""
    x = torch.randn(4, 4, 6, 3).movedim(-1, 0)
    wanted, found = beside(lambda x: functional.adaptive_max_pool3d(x, 2), x)
    assert found == wanted


def test_the_numbers_are_those_of_the_other_order():
    layer = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.AvgPool2d(2), nn.GroupNorm(2, 8))
    start = {name: value.clone() for name, value in layer.state_dict().items()}
    x, found = torch.randn(2, 4, 8, 8), []
    for order in (torch.contiguous_format, torch.channels_last):
        operand = x.to(memory_format=order).detach().requires_grad_()
        layer.load_state_dict(start)
        layer.zero_grad()
        with halfsim.torch.simulate("h100:f16") as report:
            y = layer(operand)
            (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        found.append((y.detach(), operand.grad, report.as_dict()))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][2]["modules"] == found[1][2]["modules"]
    with halfsim.torch.simulate("mixed"):
        assert layer(x.to(memory_format=torch.channels_last)).permute(0, 2, 3, 1).view(-1, 8).shape == (18, 8)


@pytest.mark.parametrize("shape", [(0, 8), (0, 8, 3), (2, 8, 0)])
def test_groups_of_nothing(shape):
    layer, found = nn.GroupNorm(2, 8), []
    for policy in (None, "mixed"):
        layer.zero_grad()
        x = torch.randn(shape, requires_grad=True)
        if policy is None:
            y = layer(x)
            y.sum().backward()
        else:
            with halfsim.torch.simulate(policy):
                y = layer(x)
                y.sum().backward()
        found.append([y.shape, x.grad.shape, *(p.grad.isnan().tolist() for p in layer.parameters())])
    assert found[0] == found[1]


CHAINS = {
    "one channel": lambda: torch.nn.Sequential(torch.nn.Conv2d(6, 1, 3), torch.nn.Conv2d(1, 5, 3)),
    "one point": lambda: torch.nn.Sequential(
        torch.nn.Conv2d(6, 4, 8), torch.nn.ConvTranspose2d(4, 4, 3), torch.nn.Conv2d(4, 3, 1)
    ),
    "pooled": lambda: torch.nn.Sequential(torch.nn.MaxPool2d(8), torch.nn.Conv2d(6, 5, 1), torch.nn.Conv2d(5, 5, 1)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_one_channel_and_one_point_hand_their_order_on(name):
    wanted, found = beside(CHAINS[name](), torch.randn(4, 6, 8, 8).contiguous(memory_format=torch.channels_last))
    assert found == wanted
