"""The networks of the paper: published totals, and every layer beside what PyTorch makes of the same description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from halfsim.training.accounting import PAPER, Network
from halfsim.training.accounting.convolutional import ALEXNET, RESNET_50, VGG_D
from halfsim.training.accounting.recurrent import BIG_LSTM, DEEP_SPEECH


@pytest.mark.parametrize(
    ("network", "total"), [(ALEXNET, 60_965_224), (VGG_D, 138_357_544), (RESNET_50, 25_557_032)], ids=lambda x: str(x)
)
def test_parameters_are_the_published_number(network: Network, total: int) -> None:
    assert network.parameters == total


def test_vgg_has_the_published_total_and_its_two_largest_layers() -> None:
    by_name = {layer.name: layer for layer in VGG_D.layers}
    assert by_name["fc6"].parameters == 102_764_544
    assert by_name["conv1_1"].activations == 224 * 224 * 64
    # 13 maps of convolutions, 5 of pools, the input and the head: the 15.2 million numbers that courses quote.
    assert round(VGG_D.activations / 1e6, 1) == 15.2


def test_deep_speech_has_the_published_total_in_millions() -> None:
    assert round(DEEP_SPEECH.parameters / 1e6) == 115
    by_name = {layer.name: layer for layer in DEEP_SPEECH.layers}
    assert by_name["conv1"].parameters == 41 * 11 * 32 + 64


def test_big_lstm_has_the_published_totals() -> None:
    assert round(BIG_LSTM.parameters / 1e9, 1) == 1.8
    # 151 million without embedding and softmax, in the comparison of [@shazeer2017].
    assert round(sum(x.parameters for x in BIG_LSTM.layers if x.name.startswith("lstm")) / 1e6) == 151


def test_a_batch_touches_a_tenth_of_big_lstm() -> None:
    assert BIG_LSTM.gradients(BIG_LSTM.batch) < BIG_LSTM.parameters / 10
    assert BIG_LSTM.gradients(10**7) == BIG_LSTM.parameters


def test_names_of_layers_are_unique() -> None:
    for network in PAPER:
        names = [layer.name for layer in network.layers]
        assert len(names) == len(set(names))


# -------------------------------------------------------------------------------------------------- beside PyTorch


def outputs(torch: Any, model: Any, x: Any) -> Iterator[tuple[Any, int, int]]:
    """Yield the modules of a chain with their parameters and the numbers in their outputs for one example."""
    for module in model:
        x = module(x)
        yield module, sum(p.numel() for p in module.parameters()), x.numel()


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


def check_chain(torch: Any, network: Network, model: Any, size: int) -> None:
    """Compare layer by layer, passing over ReLU, which works in place, and reshaping."""
    x = torch.empty(1, 3, size, size, device="meta")
    found = [(0, x.numel())]
    for module, parameters, numbers in outputs(torch, model, x):
        if isinstance(module, torch.nn.LocalResponseNorm):
            numbers *= 2  # divisor and quotient
        if not isinstance(module, torch.nn.ReLU | torch.nn.Flatten):
            found.append((parameters, numbers))
    assert [(layer.parameters, layer.activations) for layer in network.layers] == found


def test_alexnet_is_that_of_pytorch(torch: Any) -> None:
    nn = torch.nn
    with torch.device("meta"):
        model = [
            nn.Conv2d(3, 96, 11, 4),
            nn.ReLU(),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.MaxPool2d(3, 2),
            nn.Flatten(),
            *(nn.Linear(9216, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000), nn.Softmax(1)),
        ]
    check_chain(torch, ALEXNET, model, 227)


def test_vgg_is_that_of_pytorch(torch: Any) -> None:
    nn, model, inputs = torch.nn, [], 3
    with torch.device("meta"):
        for outputs_ in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
            model.append(nn.Conv2d(inputs, outputs_, 3, padding=1) if outputs_ else nn.MaxPool2d(2))
            inputs = outputs_ or inputs
        model += [nn.Flatten(), nn.Linear(25088, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000), nn.Softmax(1)]
    check_chain(torch, VGG_D, model, 224)


def test_resnet_is_that_of_pytorch(torch: Any) -> None:
    nn, found = torch.nn, []

    def normalized(x: Any, outputs_: int, kernel: int, stride: int, tensors: int) -> Any:
        convolution = nn.Conv2d(x.shape[1], outputs_, kernel, stride, kernel // 2, bias=False)
        norm = nn.BatchNorm2d(outputs_)
        y = norm(convolution(x))
        parameters = sum(p.numel() for module in (convolution, norm) for p in module.parameters())
        found.append((parameters, tensors * y.numel()))
        return y

    with torch.device("meta"):
        x = torch.empty(1, 3, 224, 224)
        found.append((0, x.numel()))
        x = nn.MaxPool2d(3, 2, 1)(normalized(x, 64, 7, 2, 2))
        found.append((0, x.numel()))
        for width, blocks, first_stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                y = normalized(normalized(x, width, 1, stride, 2), width, 3, 1, 2)
                y = normalized(y, 4 * width, 1, 1, 1)
                x = normalized(x, 4 * width, 1, stride, 1) + y if block == 0 else x + y
                found.append((0, x.numel()))
        x = x.mean((2, 3))
        linear = nn.Linear(2048, 1000)
        found += [(0, x.numel()), (sum(p.numel() for p in linear.parameters()), 1000), (0, 1000)]
    assert [(layer.parameters, layer.activations) for layer in RESNET_50.layers] == found


def test_recurrent_layers_are_those_of_pytorch(torch: Any) -> None:
    nn, by_name = torch.nn, {layer.name: layer for layer in (*DEEP_SPEECH.layers, *BIG_LSTM.layers)}
    with torch.device("meta"):
        rows = {
            "gru1": nn.GRU(1312, 2640),
            "gru3": nn.GRU(2640, 2640),
            "lstm1": nn.LSTM(1024, 8192, proj_size=1024),
            "lstm2": nn.LSTM(1024, 8192, proj_size=1024),
        }
    for name, module in rows.items():
        # PyTorch adds two biases to every gate where one does.
        once = sum(p.numel() for key, p in module.named_parameters() if not key.startswith("bias_hh"))
        assert by_name[name].parameters == once
    with torch.device("meta"):
        x = torch.empty(1, 1, 161, 100)
        convolutions = [nn.Conv2d(1, 32, (41, 11), (2, 2), (20, 5)), nn.Conv2d(32, 32, (21, 11), (2, 1), (10, 5))]
        sizes = [numbers for _, _, numbers in outputs(torch, convolutions, x)]
    assert [by_name["conv1"].activations, by_name["conv2"].activations] == [2 * size for size in sizes]
    assert sizes[1] == 1312 * 50
