"""Functions of CUDA C on binary16 (hdiv, hsqrt ...): recorded, not promised, where a compiler can be found."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.device import Device, DeviceError, UnsupportedError
from halfsim.capture.ptx import Kernel

__all__ = ["FUNCTIONS", "QUOTIENTS", "FunctionCall", "compile_cuda"]

_THREADS = 128


def _header_folders() -> list[str]:
    """Folders with cuda_fp16.h: the toolkit's, or those of NVIDIA's Python packages and CuPy."""
    roots = [os.environ.get(name, "") for name in ("CUDA_PATH", "CUDA_HOME")] + ["/usr/local/cuda"]
    folders = [Path(root, "include") for root in roots if root]
    for package, pattern in (
        ("nvidia", "**/include"),
        ("cupy", "_core/include/cupy/_cuda/*"),
        ("cupy", "_core/include"),
    ):
        try:
            found = importlib.import_module(package).__path__
        except ImportError:
            continue
        folders += [folder for root in found for folder in sorted(Path(root).glob(pattern))]
    return [str(folder) for folder in folders if Path(folder, "cuda_fp16.h").is_file()]


def _by_bindings(source: str, options: list[str]) -> str | None:
    """NVRTC through cuda-bindings, which numba-cuda brings."""
    try:
        nvrtc = importlib.import_module("cuda.bindings.nvrtc")
        status, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
        arguments = [option.encode() for option in options]
        if int(status) or int(nvrtc.nvrtcCompileProgram(program, len(arguments), arguments)[0]):
            return None
        text: bytes = b" " * nvrtc.nvrtcGetPTXSize(program)[1]
        nvrtc.nvrtcGetPTX(program, text)
    except (ImportError, OSError, RuntimeError, AttributeError, TypeError):
        return None
    return text.decode().rstrip("\0")


def _by_cupy(source: str, options: list[str]) -> str | None:
    """NVRTC through CuPy."""
    try:
        nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        program = nvrtc.createProgram(source, "kernel.cu", (), ())
        nvrtc.compileProgram(program, options)
        text = nvrtc.getPTX(program)
    except (ImportError, OSError, RuntimeError, AttributeError, TypeError):
        return None
    return text.decode().rstrip("\0") if isinstance(text, bytes) else str(text)


def _by_nvcc(source: str, architecture: str) -> str | None:
    """The toolkit's compiler."""
    path = shutil.which("nvcc")
    if path is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file, made = Path(folder, "kernel.cu"), Path(folder, "kernel.ptx")
        file.write_text(source)
        command = [path, "-ptx", f"-arch={architecture}", str(file), "-o", str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return made.read_text() if done.returncode == 0 else None


@lru_cache(maxsize=64)
def compile_cuda(source: str, capability: tuple[int, int]) -> str:
    """Return the PTX of CUDA C for a compute capability, by NVRTC (cuda-bindings, then CuPy) or else nvcc.

    Raises
    ------
    UnsupportedError
        If none of them is there, or none finds ``cuda_fp16.h``.
    """
    number = f"{capability[0]}{capability[1]}"
    options = [f"--gpu-architecture=compute_{number}", *(f"--include-path={folder}" for folder in _header_folders())]
    text = _by_bindings(source, options) or _by_cupy(source, options) or _by_nvcc(source, f"compute_{number}")
    if text is None:
        raise UnsupportedError(
            "capture: functions of CUDA C need NVRTC (pip install 'halfsim[cuda]' or cupy) or nvcc, with cuda_fp16.h"
        )
    return text


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One function of cuda_fp16.h, compiled by whatever compiler is there.

    Parameters
    ----------
    name : str
        The function.
    arity : int
        How many binary16 operands it takes.
    """

    name: str
    arity: int

    @property
    def opcode(self) -> str:
        """The function; its PTX depends on the header's version."""
        return f"{self.name}() of cuda_fp16.h"

    def supported(self, capability: tuple[int, int]) -> bool:
        """Every GPU with binary16 arithmetic has it."""
        return capability >= (5, 3)

    def source(self) -> str:
        """CUDA C of a kernel that calls it once per element."""
        names = "ab"[: self.arity]
        parameters = ", ".join(f"const __half *{name}" for name in names)
        arguments = ", ".join(f"{name}[i]" for name in names)
        return (
            "#include <cuda_fp16.h>\n"
            f'extern "C" __global__ void kernel({parameters}, __half *d)\n'
            "{\n    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
            f"    d[i] = {self.name}({arguments});\n}}\n"
        )

    def kernel(self, device: Device) -> Kernel:
        """The compiled program."""
        return Kernel(self.opcode, compile_cuda(self.source(), device.facts.capability), _THREADS)

    def probed(self, device: Device) -> FunctionCall:
        """Return the function once it compiles."""
        self.kernel(device)
        return self

    def measure(self, device: Device, operands: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the results for operands named a and b."""
        arrays = [np.pad(operands[name], (0, -operands[name].size % _THREADS)) for name in "ab"[: self.arity]]
        count = arrays[0].size
        if any(item.dtype != np.uint16 for item in arrays):
            raise DeviceError(f"capture: {self.name} takes uint16 patterns, got {[str(item.dtype) for item in arrays]}")
        stored = device.launch(self.kernel(device), count // _THREADS, arrays, ((count,), np.uint16))
        return stored[: operands["a"].size]

    def machine_code(self, device: Device) -> str:
        """Return the opcodes of the kernel's machine code."""
        return device.machine_code(self.kernel(device))


FUNCTIONS = tuple(
    FunctionCall(name, 1)
    for name in ("hsqrt", "hrcp", "hrsqrt", "hexp", "hexp2", "hexp10", "hlog", "hlog2", "hsin", "hcos")
)
QUOTIENTS = (FunctionCall("__hdiv", 2),)
