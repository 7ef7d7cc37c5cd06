"""Matrix products of libraries, for the study of the order they sum in: observations, no claim of exactness."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.device import Device, DeviceError, UnsupportedError

__all__ = ["LIBRARY_CALLS", "SHAPES", "LibraryCall", "matrices"]

SHAPES = ((128, 128, 128), (64, 64, 1024), (256, 64, 256), (16, 16, 4096))
"""(m, n, k) that are recorded."""


def _imported(package: str) -> ModuleType | None:
    """A package that is not there, or that finds not all of its own libraries, is None."""
    try:
        return importlib.import_module(package)
    except (ImportError, OSError):
        return None


def _cublas(module: ModuleType) -> str:
    """Return which cuBLAS computes: as CuPy asks it, else the installed distributions of it, as they are on PyPI."""
    if module.__name__ == "cupy":
        try:
            return str(module.cuda.cublas.getVersion(module.cuda.device.get_cublas_handle()))
        except (AttributeError, ImportError, OSError, RuntimeError):  # the last without a GPU
            pass
    # A list may hold one that is not loaded: two of them can be installed beside each other, for two versions of CUDA.
    # Remains of a distribution have no name.
    named = ((item.metadata["Name"], item) for item in metadata.distributions() if "Name" in item.metadata)
    found = sorted({f"{name} {item.version}" for name, item in named if name.startswith("nvidia-cublas")})
    return f"of {', '.join(found)}" if found else "unknown"


def _torch_matmul(torch: ModuleType, A: NDArray[Any], B: NDArray[Any], mode: str, place: str) -> NDArray[Any]:
    """Multiply with torch; `mode` chooses how far its matrix product may lower the accumulator's precision."""
    flags = torch.backends.cuda.matmul
    accumulate = hasattr(flags, "allow_fp16_accumulation")
    if mode == "f16-accumulate" and not accumulate:
        raise UnsupportedError(f"capture: torch {torch.__version__} has no allow_fp16_accumulation")
    before = flags.allow_fp16_reduced_precision_reduction, accumulate and flags.allow_fp16_accumulation
    try:
        flags.allow_fp16_reduced_precision_reduction = mode != "no-reduced-precision"
        if accumulate:
            flags.allow_fp16_accumulation = mode == "f16-accumulate"
        left, right = (torch.from_numpy(item.view(np.float16)).to(place) for item in (A, B))
        product: NDArray[Any] = torch.matmul(left, right).cpu().numpy()
    finally:
        flags.allow_fp16_reduced_precision_reduction = before[0]
        if accumulate:
            flags.allow_fp16_accumulation = before[1]
    return product.view(np.uint16)


def _cupy_matmul(cupy: ModuleType, A: NDArray[Any], B: NDArray[Any], mode: str, place: str) -> NDArray[Any]:
    """Multiply with CuPy, which calls cuBLAS."""
    product: NDArray[Any] = cupy.asnumpy(cupy.matmul(*(cupy.asarray(item.view(np.float16)) for item in (A, B))))
    return product.view(np.uint16)


@dataclass(frozen=True, slots=True)
class LibraryCall:
    """One way of calling a library's matrix product.

    Parameters
    ----------
    package : str
        Module to import.
    mode : str
        What is asked of it.
    call : callable
        ``call(module, A, B, mode, place)`` on patterns.
    place : str
        Where torch computes.
    """

    package: str
    mode: str
    call: Callable[[ModuleType, NDArray[Any], NDArray[Any], str, str], NDArray[Any]] = field(repr=False)
    place: str = "cuda"

    @property
    def name(self) -> str:
        """Key in files."""
        return f"{self.package}.matmul.{self.mode}"

    @property
    def opcode(self) -> str:
        """The library and cuBLAS with their versions and, from torch, that of the CUDA it was built for."""
        module = _imported(self.package)
        if module is None:
            return f"{self.package} (not installed)"
        built = getattr(getattr(module, "version", None), "cuda", None)
        version = f"{module.__version__}{f' for CUDA {built}' if built else ''}"
        return f"{self.package} {version}, cuBLAS {_cublas(module)}: matmul, {self.mode}"

    def supported(self, capability: tuple[int, int]) -> bool:
        """Every GPU."""
        return True

    def probed(self, device: Device) -> LibraryCall:
        """Return the call once the library sees a GPU."""
        self._module()
        return self

    def _module(self) -> ModuleType:
        module = _imported(self.package)
        if module is None:
            raise UnsupportedError(f"capture: {self.package} is not installed, or not whole")
        try:
            seen = self.place != "cuda" or self.package != "torch" or module.cuda.is_available()
            if seen and self.package == "cupy":
                seen = module.cuda.runtime.getDeviceCount() > 0
        except RuntimeError:
            seen = False
        if not seen:
            raise UnsupportedError(f"capture: {self.package} sees no GPU")
        return module

    def measure(self, device: Device, operands: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the binary16 product of operands named A and B."""
        module = self._module()
        try:
            return self.call(module, operands["A"], operands["B"], self.mode, self.place)
        except RuntimeError as error:
            raise DeviceError(f"capture: {self.name} failed: {str(error).splitlines()[0]}") from None

    def machine_code(self, device: Device) -> str:
        """Nothing: the library chooses its kernel."""
        return "unavailable: the library chooses its kernel"


LIBRARY_CALLS = (
    *(LibraryCall("torch", mode, _torch_matmul) for mode in ("default", "no-reduced-precision", "f16-accumulate")),
    LibraryCall("cupy", "default", _cupy_matmul),
)


def matrices(seed: int, shape: tuple[int, int, int]) -> dict[str, NDArray[Any]]:
    """Return A and B with N(0, 1) elements."""
    m, n, k = shape
    rng = np.random.default_rng([seed, m, n, k, 7])
    A, B = rng.standard_normal((m, k)).astype(np.float16), rng.standard_normal((k, n)).astype(np.float16)
    return {"A": A.view(np.uint16), "B": B.view(np.uint16)}
