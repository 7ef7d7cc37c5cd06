"""The GPU behind the CUDA driver library, called directly: no toolkit, no compiler and no Python package is needed."""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from halfsim.capture.device import DeviceError, Facts, LostError, UnsupportedError
from halfsim.capture.ptx import Kernel

__all__ = ["CudaDevice", "disassemble"]

_LOG_BYTES = 8192
_ERROR_LOG, _ERROR_LOG_BYTES, _TARGET = 5, 6, 9  # CUjit_option
_ACCELERATED = 0x10000  # CUjit_target of sm_90a less that of sm_90
_PTX_INPUT = 1  # CUjitInputType
_MAJOR, _MINOR = 75, 76  # CUdevice_attribute
# Results that mean "not for this GPU": invalid PTX, no binary, unsupported PTX version, invalid source.
_REFUSALS = {200, 209, 218, 222, 300}
_NOT_READY = 600
_PATIENCE = 30.0  # seconds; the longest kernel takes milliseconds


def _library() -> Any:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise DeviceError(
            f"capture: no NVIDIA driver was found here ({name} does not load); run it on a machine with an NVIDIA GPU"
        ) from None


def _driver_version() -> str:
    """Version of the kernel driver, through the management library."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(96)
        if nvml.nvmlInit_v2() == 0 and nvml.nvmlSystemGetDriverVersion(text, 96) == 0:
            return text.value.decode()
    except (OSError, AttributeError):
        pass
    return "unavailable"


@lru_cache(maxsize=512)  # a disassembler takes longer than anything the GPU does here
def disassemble(binary: bytes) -> str:
    """Return the machine code's opcodes, or why there are none: the CUDA toolkit's disassembler is optional."""
    for tool, arguments in (("nvdisasm", ["-c"]), ("cuobjdump", ["--dump-sass"])):
        path = shutil.which(tool)
        if path is None:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "kernel.cubin")
                file.write_bytes(binary)
                done = subprocess.run(
                    [path, *arguments, str(file)], capture_output=True, text=True, timeout=60, check=False
                )
        except (OSError, subprocess.TimeoutExpired):
            continue
        opcodes = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]+)", done.stdout)
        if done.returncode == 0 and opcodes:
            while opcodes[-1] == "NOP":
                opcodes.pop()
            return " ".join(opcodes)[:8000]
    return "unavailable: no nvdisasm or cuobjdump that reads this GPU's code is on the PATH"


def _by_ptxas(kernel: Kernel, capability: tuple[int, int]) -> bytes | None:
    """Machine code by the toolkit's assembler, if there is one: it may be newer than the driver's."""
    path = shutil.which("ptxas")
    if path is None:
        return None
    suffix = "a" if _target(kernel).endswith("a") else ""
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, made = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
            source.write_text(kernel.ptx)
            command = [path, f"-arch=sm_{capability[0]}{capability[1]}{suffix}", str(source), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            return made.read_bytes() if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return None


def _target(kernel: Kernel) -> str:
    found = re.search(r"\.target (sm_\w+)", kernel.ptx)
    return found[1] if found else ""


class CudaDevice:
    """One GPU.

    Parameters
    ----------
    ordinal : int
        Number of the GPU, as the driver counts.

    Raises
    ------
    DeviceError
        Without a driver or such a GPU.
    """

    def __init__(self, ordinal: int = 0) -> None:
        self._cuda = _library()
        self._call("cuInit", 0)
        count = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if not 0 <= ordinal < count.value:
            raise DeviceError(f"capture: gpu={ordinal} does not exist; the driver sees {count.value} GPU(s)")
        self._device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(self._device), ordinal)
        self._context = ctypes.c_void_p()
        self._modules: dict[str, Any] = {}
        self._binaries: dict[str, bytes] = {}
        self._retain()
        self._facts = self._read_facts()

    @property
    def facts(self) -> Facts:
        """Provenance."""
        return self._facts

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._cuda, function)(*arguments)
        if status:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorName(status, ctypes.byref(text))
            name = (text.value or b"unknown error").decode()
            kind = UnsupportedError if status in _REFUSALS else DeviceError
            raise kind(f"capture: {function} failed with {name} ({status})")

    def _retain(self) -> None:
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self._call("cuCtxSetCurrent", self._context)

    def _read_facts(self) -> Facts:
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, 256, self._device)
        numbers = []
        for attribute in (_MAJOR, _MINOR):
            value = ctypes.c_int()
            self._call("cuDeviceGetAttribute", ctypes.byref(value), attribute, self._device)
            numbers.append(value.value)
        version = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        return Facts(
            gpu=name.value.decode(),
            capability=(numbers[0], numbers[1]),
            driver=_driver_version(),
            cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        )

    def _assemble(self, kernel: Kernel) -> Any:
        """Return the loaded module, its machine code made by the driver's assembler, else the toolkit's.

        The last resort is the driver's loader of PTX, which keeps the machine code to itself.
        """
        if kernel.ptx in self._modules:
            return self._modules[kernel.ptx]
        target = _target(kernel)
        wanted = [_ACCELERATED + int(target[3:-1])] if target.endswith("a") else []
        makers: list[Callable[[], bytes | None]]
        makers = [*(partial(self._link, kernel, number) for number in wanted), partial(self._link, kernel)]
        makers.append(partial(_by_ptxas, kernel, self._facts.capability))
        refusal: DeviceError | None = None
        for maker in makers:
            try:
                binary = maker()
                if binary is not None:
                    return self._load(kernel, binary, binary)
            except DeviceError as error:
                refusal = refusal if isinstance(refusal, UnsupportedError) else error
        try:
            return self._load(kernel, kernel.ptx.encode() + b"\0", b"")
        except DeviceError as error:
            raise (refusal or error) from None

    def _load(self, kernel: Kernel, image: bytes, binary: bytes) -> Any:
        module = ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), image)
        self._modules[kernel.ptx], self._binaries[kernel.ptx] = module, binary
        return module

    def _link(self, kernel: Kernel, target: int | None = None) -> bytes:
        """Machine code by the driver's assembler, for this GPU or an explicit CUjit_target."""
        log = ctypes.create_string_buffer(_LOG_BYTES)
        named = {_ERROR_LOG: ctypes.addressof(log), _ERROR_LOG_BYTES: _LOG_BYTES}
        if target is not None:
            named[_TARGET] = target
        options, values = (ctypes.c_int * len(named))(*named), (ctypes.c_void_p * len(named))(*named.values())
        state, image, size = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        source = kernel.ptx.encode() + b"\0"
        self._call("cuLinkCreate_v2", len(named), options, values, ctypes.byref(state))
        try:
            self._call(
                "cuLinkAddData_v2", state, _PTX_INPUT, source, ctypes.c_size_t(len(source)), b"kernel", 0, None, None
            )
            self._call("cuLinkComplete", state, ctypes.byref(image), ctypes.byref(size))
            return ctypes.string_at(image, size.value)
        except DeviceError as error:
            lines = [line for line in log.value.decode(errors="replace").splitlines() if line.strip()]
            raise type(error)(f"{error}: {lines[0].strip()}" if lines else str(error)) from None
        finally:
            self._cuda.cuLinkDestroy(state)

    def machine_code(self, kernel: Kernel) -> str:
        """Return the opcodes of a launched kernel's machine code in order, or why they are not available."""
        binary = self._binaries.get(kernel.ptx)
        return disassemble(binary) if binary else "unavailable: the driver loaded the PTX and keeps its machine code"

    def _wait(self) -> None:
        """Wait for the launch, but not forever: nothing else ends a kernel that hangs."""
        end = time.monotonic() + _PATIENCE
        while self._cuda.cuStreamQuery(None) == _NOT_READY:
            if time.monotonic() > end:
                raise LostError(f"capture: a kernel runs for more than {_PATIENCE:g} s")
            time.sleep(1e-4)
        self._call("cuCtxSynchronize")

    def launch(
        self,
        kernel: Kernel,
        blocks: int,
        operands: Sequence[NDArray[Any]],
        result: tuple[tuple[int, ...], DTypeLike],
        numbers: Sequence[tuple[int, int]] = (),
    ) -> NDArray[Any]:
        """Run a kernel and return its result."""
        module = self._assemble(kernel)
        function = ctypes.c_void_p()
        self._call("cuModuleGetFunction", ctypes.byref(function), module, b"kernel")
        output = np.zeros(*result)
        arrays = [*(np.ascontiguousarray(item) for item in operands), output]
        held: list[Any] = []
        try:
            for array in arrays:
                pointer = ctypes.c_uint64()
                self._call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(max(array.nbytes, 16)))
                held.append(pointer)
                self._copy("cuMemcpyHtoD_v2", pointer, array.ctypes.data, array.nbytes)
            wanted = [ctypes.c_uint64(value) if bits == 64 else ctypes.c_uint32(value) for value, bits in numbers]
            parameters = [*held, *wanted]
            table = (ctypes.c_void_p * len(parameters))(*(ctypes.addressof(item) for item in parameters))
            self._call("cuLaunchKernel", function, blocks, 1, 1, kernel.threads, 1, 1, 0, None, table, None)
            self._wait()
            self._copy("cuMemcpyDtoH_v2", output.ctypes.data, held[-1], output.nbytes)
        except LostError:
            held.clear()  # freeing memory would wait for the kernel
            raise
        finally:
            for pointer in held:
                self._cuda.cuMemFree_v2(pointer)
        return output

    def _copy(self, function: str, target: Any, source: Any, size: int) -> None:
        as_pointer = [ctypes.c_void_p(item) if isinstance(item, int) else item for item in (target, source)]
        self._call(function, *as_pointer, ctypes.c_size_t(size))

    def reset(self) -> None:
        """Start again with a fresh context if the old one is poisoned, as a failed launch leaves it."""
        if self._cuda.cuCtxSynchronize() == 0:
            return
        self._modules.clear()
        try:
            self._call("cuDevicePrimaryCtxReset_v2", self._device)
            self._retain()
            self._call("cuCtxSynchronize")
        except DeviceError as error:
            raise LostError(f"{error}, after a failed launch") from None
