"""What PyTorch computed on a GPU against `halfsim.torch.simulate` with that GPU's sums, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from halfsim.policy import named  # noqa: E402
from tests.interop.gpu_operators import calls, results  # noqa: E402

H200 = named("paper-mixed").accumulating("h100:f32", "sums of an H200")
CALLS = {name: call for name, call, _ in calls()}
# Shares of equal results, where not all are: what the library does otherwise.
OTHERWISE = {
    "linear": (0.995, "the library adds the bias after the product, in binary32"),
    "conv2d": (0.6, "the library adds the bias to the rounded product"),
    "softmax": (0.999, "the library's exponential has another last bit"),
    "layer_norm": (0.999, "the library's sums have another order, or its functions another last bit"),
    "gelu": (0.999, "the library's error function has another last bit"),
    "mm 64 x 64 x 4096": (0.95, "presumably the library splits k"),
    "perceptron": (0.995, "the library adds the bias after the product, in binary32"),
    "scaled_dot_product_attention": (0.3, "presumably its kernel keeps parts of the softmax in binary32"),
}


@pytest.fixture(scope="module")
def recorded(root: Path) -> dict[str, Any]:
    with np.load(root / "vectors" / "pytorch" / "nvidia-h200.npz") as file:
        return dict(file)


def operands(recorded: dict[str, Any], name: str) -> list[Any]:
    count = sum(key.startswith(f"{name}/") and "result" not in key for key in recorded)
    return [torch.from_numpy(recorded[f"{name}/{i}"].copy()) for i in range(count)]


def test_every_record_is_compared(recorded: dict[str, Any]) -> None:
    assert {key.rpartition("/")[0] for key in recorded} - {""} == CALLS.keys()
    assert str(recorded["torch"]) == "2.11.0+cu130, NVIDIA H200"


@pytest.mark.parametrize("name", CALLS)
def test_simulated_operators_give_the_bits_of_the_gpu(recorded: dict[str, Any], name: str) -> None:
    given = operands(recorded, name)
    with halfsim.torch.simulate(H200):
        found = results(CALLS[name], given)
    pairs = [(y.detach().numpy(), recorded[f"{name}/result {i}"]) for i, y in enumerate(found)]
    assert all(got.dtype == want.dtype == np.float16 and got.shape == want.shape for got, want in pairs)
    equal = np.concatenate([(got.view(np.uint16) == want.view(np.uint16)).ravel() for got, want in pairs])
    if name not in OTHERWISE:
        assert equal.all(), f"{equal.sum()} of {equal.size}"
    else:
        least, _ = OTHERWISE[name]
        assert least <= equal.mean() < 1, f"{equal.sum()} of {equal.size}"
