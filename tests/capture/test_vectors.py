"""Every capture in the repository, and a GPU if there is one, against the simulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.capture import Agreement, DeviceError, Record, capture, check, open_device, read, report


def test_every_captured_result_equals_the_simulators(root: Path) -> None:
    found = list(check(root / "vectors" / "cuda"))
    wrong = [report(item) for item in found if not item.agrees]
    assert not wrong, "\n".join(wrong)
    assert sum(item.count for item in found if isinstance(item, Agreement)) >= 8_178_560


def test_every_file_beside_a_manifest_is_in_it(root: Path) -> None:
    folder = root / "vectors" / "cuda"
    assert (folder / "README.md").is_file()
    listed = {found.folder / entry["file"] for found in read(folder) for entry in found.manifest["groups"].values()}
    assert set(folder.rglob("*.npz")) == listed


@pytest.mark.gpu
def test_this_machines_gpu_answers_the_experiments_as_its_row_does(tmp_path: Path) -> None:
    try:
        device = open_device()
    except DeviceError as error:
        pytest.skip(str(error))
    capture(tmp_path, device, only=("experiments.mma", "experiments.wgmma", "arithmetic"))
    assert list(read(tmp_path)[0].records())
    wrong = [report(item) for item in check(tmp_path) if not item.agrees]
    assert not wrong, "\n".join(wrong)


ROUNDED: dict[str, Callable[[Any], Any]] = {
    "hsqrt": np.sqrt,
    "hrcp": np.reciprocal,
    "hrsqrt": lambda x: 1 / np.sqrt(x),
    "hexp": np.exp,
    "hexp2": np.exp2,
    "hexp10": lambda x: 10.0**x,
    "hlog": np.log,
    "hlog2": np.log2,
    "hsin": np.sin,
    "hcos": np.cos,
    "ex2.approx.f16": np.exp2,
    "tanh.approx.f16": np.tanh,
}
"""Functions of binary64 that an H200's are compared with."""
DIFFERING = {"ex2.approx.f16": 19_417, "tanh.approx.f16": 14_736}


def order(patterns: Any) -> Any:
    """Integers in the order of the numbers."""
    magnitude = patterns.astype(np.int64) & 0x7FFF
    return np.where(patterns & 0x8000, -magnitude, magnitude)


@pytest.fixture(scope="module")
def h200(root: Path) -> dict[tuple[str, str], Record]:
    (found,) = read(root / "vectors" / "cuda" / "9.0" / "nvidia-h200")
    groups = ("unary", "functions", "quotients", "library")
    return {(item.group, item.instruction): item for item in found.records() if item.group.split(".")[0] in groups}


def test_functions_of_cuda_are_the_rounded_functions_of_binary64(h200: dict[tuple[str, str], Record]) -> None:
    x = np.arange(1 << 16).astype(np.uint16).view(np.float16).astype(np.float64)
    found = {name: record.result for (_, name), record in h200.items() if name in ROUNDED}
    assert found.keys() == ROUNDED.keys()
    for name, result in found.items():
        with np.errstate(all="ignore"):
            wanted = ROUNDED[name](x).astype(np.float16)
        nan = np.isnan(wanted)
        assert (result[nan] == 0x7FFF).all() and not np.isnan(result.view(np.float16)[~nan]).any()
        distance = np.abs(order(result) - order(wanted.view(np.uint16)))[~nan]
        assert (np.count_nonzero(distance), distance.max()) == (DIFFERING.get(name, 0), int(name in DIFFERING)), name


def test_quotients_of_cuda_are_rounded_once(h200: dict[tuple[str, str], Record]) -> None:
    record = h200["quotients", "__hdiv"]
    a, b = (record.operands[name].view(np.float16) for name in "ab")
    assert np.array_equal(hs.to_bits(hs.divide(a, b, environment=hs.CUDA)), record.result)


def test_libraries_chain_blocks_of_sixteen(h200: dict[tuple[str, str], Record]) -> None:
    """Of a product that is not long; sums in binary16 of some."""
    equal = {}
    for (group, name), record in h200.items():
        if group.startswith("library"):
            A, B = (record.operands[each].view(np.float16) for each in "AB")
            row = "h100:f16" if "f16-accumulate" in name else "h100:f32"
            D = hs.matmul(A, B, accumulator=row).astype(np.float16).view(np.uint16)
            equal[group.removeprefix("library."), name] = float((record.result == D).mean())
    shapes = ("m128n128k128", "m64n64k1024", "m256n64k256", "m16n16k4096")
    wide = ("torch.matmul.default", "torch.matmul.no-reduced-precision", "cupy.matmul.default")
    assert [equal[shape, name] for shape in shapes for name in wide] == [1.0] * 9 + [0.96875] * 3
    narrow = [equal[shape, "torch.matmul.f16-accumulate"] for shape in shapes]
    assert narrow[0] == narrow[2] == 1.0 and max(narrow[1], narrow[3]) < 0.2
