"""The order of dimensions in memory, by which a model's `view` works or not, is PyTorch's own; and empty batches."""

from __future__ import annotations

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
