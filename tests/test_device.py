"""The front door of calls with ``device="cuda"``: what it refuses, and what it needs.

Their bits are tested in tests/kernels/test_cuda.py. Refusals are tested in Numba's simulator, in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from halfsim.kernels.dlpack import array_interface

ROOT = Path(__file__).resolve().parent.parent
ONE = np.float16([1, 2, 3])


def run(code: str, **variables: str) -> str:
    """Run Python in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class OnGpu:
    """What a GPU's array says of itself."""

    def __init__(self, array: np.ndarray, device: tuple[int, int] = (2, 0)) -> None:
        self.array = array
        self.device = device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, stream: int | None = None) -> object:
        assert stream == 1, "the default stream"
        return self.array.__dlpack__()


@pytest.mark.parametrize("call", [hs.add, hs.add.flagged, hs.matmul, hs.dot.flagged], ids=repr)
def test_an_array_on_a_gpu_needs_the_keyword(call):
    with pytest.raises(TypeError, match=r"operand (a|A) is on a GPU; pass device='cuda', or copy it to the host first"):
        call(OnGpu(ONE), ONE)


def test_conversions_sums_and_addends_on_a_gpu_need_the_keyword():
    for call in (
        lambda x: hs.convert(x, hs.E4M3),
        hs.sum,
        lambda x: hs.matmul(ONE, ONE, x),
        hs.to_bits,
        hs.sqrt,
    ):
        with pytest.raises(TypeError, match="is on a GPU; pass device='cuda'"):
            call(OnGpu(ONE, (13, 1)))


@pytest.mark.parametrize("device", ["gpu", "CUDA", "cpu", 0])
def test_an_unknown_device_is_named(device):
    for call in (
        lambda: hs.add(ONE, ONE, device=device),
        lambda: hs.convert(ONE, hs.E4M3, device=device),
        lambda: hs.matmul(ONE, ONE, device=device),
        lambda: hs.sum(ONE, device=device),
    ):
        with pytest.raises(ValueError, match=rf"device={device!r} is not known; pass 'cuda', or None for the CPU"):
            call()


def test_without_a_gpu_one_sentence_says_what_is_missing():
    code = """
import numpy as np, halfsim as hs
try:
    hs.add(np.float16(1), np.float16(1), device="cuda")
except RuntimeError as error:
    print(error)
"""
    said = run(code, CUDA_VISIBLE_DEVICES="-1")
    assert said.startswith("add: device='cuda' cannot be used, as no NVIDIA GPU with a working driver")
    assert said.endswith("install halfsim[cuda] on a machine with an NVIDIA GPU and its driver, or drop the keyword\n")


def test_the_simulator_is_refused_with_one_sentence():
    code = """
import numpy as np, halfsim as hs
try:
    hs.matmul(np.ones((1, 1), np.float16), np.ones((1, 1), np.float16), device="cuda")
except RuntimeError as error:
    print(error)
"""
    said = run(code, NUMBA_ENABLE_CUDASIM="1")
    assert said.startswith("matmul: device='cuda' cannot be used, as Numba simulates CUDA (NUMBA_ENABLE_CUDASIM")


def test_nothing_of_cuda_is_imported_before_it_is_asked_for():
    code = """
import sys, numpy as np, halfsim as hs
hs.add(np.float16(1), np.float16(1))
print([name for name in sys.modules if name.startswith("numba.cuda") or name == "halfsim.kernels.cuda"])
"""
    assert run(code) == "[]\n"


def test_the_simulator_refuses_with_one_sentence():
    code = """
import numpy as np, halfsim as hs
from numba import cuda
from tests.device_calls import simulate
simulate()
one = np.float16([1, 2, 3])
device = cuda.to_device(one)
calls = [
    lambda: hs.add(cuda.to_device(np.float32([1])), one, device="cuda"),
    lambda: hs.add(device, one, out=one, device="cuda"),
    lambda: hs.add(device, one, out=cuda.to_device(np.float32([1, 2, 3])), device="cuda"),
    lambda: hs.add(device, one, out=cuda.to_device(np.float16([1])), device="cuda"),
    lambda: hs.add(device, one[:2], device="cuda"),
    lambda: hs.add(device, one, where=np.ones(3), device="cuda"),
    lambda: hs.add(device, one, where=np.ones(2, bool), device="cuda"),
    lambda: hs.convert(cuda.to_device(np.ones(2, complex)), hs.BINARY16, device="cuda"),
    lambda: hs.matmul(device, one, cuda.to_device(np.ones(2)), device="cuda"),
    lambda: hs.matmul(device, one, cuda.to_device(np.ones(2, np.float32)), device="cuda"),
    lambda: hs.scaleb(device, device, device="cuda"),
    lambda: hs.add(device, one, devices="cuda"),
]
for call in calls:
    try:
        call()
    except (TypeError, ValueError) as error:
        print(type(error).__name__, error)
"""
    said = run(code, NUMBA_ENABLE_CUDASIM="1", NUMBA_DISABLE_JIT="1").splitlines()
    starts = (
        "TypeError add: operand a is of type float32 array on the GPU, not float16; round it first",
        "TypeError add: out is of type ndarray, but an operand is on the GPU and so is the result; pass an array on",
        "TypeError add: out has dtype float32, but the result is float16; pass an array of that dtype",
        "ValueError add: out has shape (1,), but the operands broadcast to (3,); pass that shape",
        "ValueError add: operand shapes do not broadcast together: a (3,), b (2,); trailing dimensions",
        "TypeError add: where has dtype float64; pass a boolean mask",
        "ValueError add: where has shape (2,), which does not broadcast to the result's (3,); pass a mask of that",
        "TypeError convert: x on the GPU has dtype complex128; pass float16, float32, float64 or an integer dtype",
        "TypeError matmul: C is a float64 array; pass float16 or float32",
        "ValueError matmul: C has shape (2,), which does not broadcast to the result's (); pass that shape",
        "TypeError scaleb: operand b has dtype float16; pass signed integers",
        "TypeError add: unknown keyword 'devices'; known are rounding, environment, out, where, device",
    )
    assert len(said) == len(starts), said
    for sentence, start in zip(said, starts, strict=True):
        assert sentence.startswith(start), sentence


def test_dlpack_and_the_array_interface_are_accepted():
    code = """
import numpy as np, halfsim as hs
from types import SimpleNamespace
from tests.device_calls import simulate
from tests.test_device import OnGpu
simulate()
one = np.float16([[1, 2], [3, 4]])
described = SimpleNamespace(__cuda_array_interface__={**one.__array_interface__, "strides": one.strides})
print(hs.add(OnGpu(one), OnGpu(one.T), device="cuda").tolist())
print(hs.sum(described, axis=0, device="cuda").tolist())
target = np.zeros((2, 2), np.float16)
hs.add(one, described, out=OnGpu(target.T), device="cuda")
print(target.tolist())
try:
    hs.add(one, OnGpu(one, (2, 3)), device="cuda")
except TypeError as error:
    print(error)
"""
    assert run(code, NUMBA_ENABLE_CUDASIM="1", NUMBA_DISABLE_JIT="1").splitlines() == [
        "[[2.0, 5.0], [5.0, 8.0]]",
        "[4.0, 6.0]",
        "[[2.0, 6.0], [4.0, 8.0]]",
        "add: b, a OnGpu, cannot be read on the GPU (it lies on device 3, and the current one is 0); pass a plain "
        "array in the memory of the current CUDA device",
    ]


def test_results_are_of_the_library_of_the_operands():
    code = """
import sys
from types import ModuleType
import numpy as np, halfsim as hs
from tests.device_calls import simulate
simulate()
class ndarray:
    def __init__(self, array, **options):
        self.__cuda_array_interface__, self.owner, self.options = array.__cuda_array_interface__, array, options
class Held:
    def __init__(self, array):
        self.owner = array
        self.__cuda_array_interface__ = {**array.__array_interface__, "strides": array.strides}
one = np.float16([[1, 2], [3, 4]])
for library, function in ("cupy", "asarray"), ("torch", "as_tensor"), ("other", "asarray"):
    module = sys.modules[library] = ModuleType(library)
    kind = type("Array", (ndarray,), {"__module__": library + ".inner"})
    setattr(module, function, kind)
    x = type("Parameter", (kind,), {"__module__": "model"})(Held(one))
    made = [
        hs.add(x, one, device="cuda"),
        hs.add(one, x, where=one > 1, device="cuda"),
        *hs.add.flagged(x, x, device="cuda"),
        hs.convert(x, hs.BINARY32, device="cuda"),
        hs.matmul(one, x, accumulator="h100:f32", device="cuda"),
        hs.sum(x, device="cuda"),
    ]
    print(library, *(type(y).__name__ for y in made), getattr(made[0], "options", None))
    if library != "other":
        words = np.asarray(made[0].owner).tolist()
        print(words, made[0].__cuda_array_interface__["data"] == made[0].owner.__cuda_array_interface__["data"])
    out = Held(np.zeros((2, 2), np.float16))
    assert hs.add(x, x, out=out, device="cuda") is out and (out.owner == one + one).all()
    assert isinstance(hs.add(one, one, device="cuda"), np.ndarray)
"""
    arrays = "FakeCUDAArray " * 7
    assert run(code, NUMBA_ENABLE_CUDASIM="1", NUMBA_DISABLE_JIT="1").splitlines() == [
        "cupy " + "Array " * 7 + "{}",
        "[[2.0, 4.0], [6.0, 8.0]] True",
        "torch " + "Array " * 7 + "{'device': 'cuda'}",
        "[[2.0, 4.0], [6.0, 8.0]] True",
        f"other {arrays}None",
    ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "uint8", "bool"])
def test_dlpack_is_read_without_a_copy(dtype):
    array = np.arange(24).reshape(4, 6).astype(dtype)[::2, 1::2]
    described, owner = array_interface(OnGpu(array))
    assert described["shape"] == (2, 3) and described["strides"] == array.strides
    assert np.dtype(described["typestr"]) == array.dtype
    assert described["data"] == (array.__array_interface__["data"][0], False)
    assert owner is not None


def test_dlpack_lets_the_memory_go():
    freed = []

    class Watched(np.ndarray):
        def __del__(self) -> None:
            freed.append(True)

    array = np.arange(3.0).view(Watched)
    _, owner = array_interface(OnGpu(array))
    del array
    assert not freed
    del owner
    assert freed


@pytest.fixture
def torch():
    """PyTorch with a GPU."""
    module = pytest.importorskip("torch", reason="needs torch with CUDA")
    if not module.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return module


@pytest.mark.gpu
def test_tensors_are_read_and_written_in_place(torch):
    a, b = np.float16([[1, 2048, 65504]]), np.float16([[0.1], [1], [-16]])
    x, y = torch.tensor(a, device="cuda"), torch.tensor(b, device="cuda")
    out = torch.zeros((3, 3), dtype=torch.float16, device="cuda")
    assert hs.add(x, y, rounding="rup", out=out.T, device="cuda") is not None
    np.testing.assert_array_equal(out.T.cpu().numpy(), hs.add(a, b, rounding="rup"))
    product = hs.matmul(y, x, accumulator="h100:f32", device="cuda")
    assert isinstance(product, torch.Tensor) and product.is_cuda and product.dtype == torch.float32
    value, flags = hs.less.flagged(x, y, device="cuda")
    assert (value.dtype, flags.dtype, flags.shape) == (torch.bool, torch.uint8, (3, 3))
    assert hs.add(x[:, :0], y[:, :0], device="cuda").shape == (3, 0)
    np.testing.assert_array_equal(product.cpu().numpy(), hs.matmul(b, a, accumulator="h100:f32"))


@pytest.mark.gpu
def test_work_of_another_stream_is_waited_for(torch):
    with torch.cuda.stream(torch.cuda.Stream()):
        x = torch.full((1 << 22,), 1.5, dtype=torch.float16, device="cuda")
        for _ in range(50):
            x = x * -1
        result = hs.negative(x, device="cuda")
    assert bool((result == -1.5).all())


@pytest.mark.gpu
def test_dlpack_alone_is_enough(torch):
    class OnlyDLPack:
        def __init__(self, tensor):
            self.__dlpack__, self.__dlpack_device__ = tensor.__dlpack__, tensor.__dlpack_device__

    x = torch.arange(12, device="cuda").to(torch.float16).reshape(3, 4)[:, ::2]
    result = hs.sqrt(OnlyDLPack(x), device="cuda")
    np.testing.assert_array_equal(result.copy_to_host(), hs.sqrt(x.cpu().numpy()))


@pytest.mark.gpu
def test_a_tensor_that_tracks_gradients_is_refused(torch):
    x = torch.ones(3, dtype=torch.float16, device="cuda", requires_grad=True)
    with pytest.raises(TypeError, match=r"a, a Tensor, cannot be read on the GPU .*; pass a plain array"):
        hs.sqrt(x, device="cuda")
