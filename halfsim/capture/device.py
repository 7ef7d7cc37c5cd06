"""What a capture needs of a GPU: facts, and one launch that takes arrays and returns an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from halfsim.capture.ptx import Kernel

__all__ = ["Device", "DeviceError", "Facts", "Instruction", "LostError", "UnsupportedError"]


class DeviceError(RuntimeError):
    """The GPU, its driver, or a launch failed; the message is one sentence.

    Examples
    --------
    >>> from halfsim.capture import open_device
    >>> open_device(gpu=99)
    Traceback (most recent call last):
    halfsim.capture.device.DeviceError: capture: ...
    """


class LostError(DeviceError):
    """The GPU no longer answers this process; a fresh one may go on.

    Examples
    --------
    >>> import tempfile
    >>> from halfsim.capture import Facts, LostError, capture
    >>> class Hanging:
    ...     facts = Facts(gpu="Hanging", capability=(9, 0), driver="0", cuda="0.0")
    ...     def launch(self, *arguments):
    ...         raise LostError("capture: a kernel runs for more than 30 s")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         capture(folder, Hanging(), only=["unary"])
    ...     except LostError as error:
    ...         print(str(error).split("; ")[1])
    everything so far is written, and the same command continues with the rest
    """


class UnsupportedError(DeviceError):
    """The GPU has no such instruction, or the machine no such library; the message says who refused.

    Examples
    --------
    >>> import tempfile
    >>> from halfsim.capture import Facts, UnsupportedError, capture
    >>> class Refusing:
    ...     facts = Facts(gpu="Refusing", capability=(9, 0), driver="0", cuda="0.0")
    ...     def launch(self, *arguments):
    ...         raise UnsupportedError("capture: cuModuleLoadData failed with CUDA_ERROR_INVALID_PTX (218)")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     folder = capture(folder, Refusing(), only=["unary"], progress=print)
    Refusing, compute capability 9.0, driver 0, CUDA 0.0
    [ 1/1] unary: 18 unsupported, 0 KiB, ... s
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Where a result came from.

    Parameters
    ----------
    gpu : str
        Marketing name, as the driver gives it.
    capability : tuple of two int
        Compute capability.
    driver, cuda : str
        Versions of the driver and of the CUDA it implements, whose assembler made the machine code.

    Examples
    --------
    >>> from halfsim.capture import Facts
    >>> Facts(gpu="NVIDIA H100", capability=(9, 0), driver="560.35", cuda="12.6").capability
    (9, 0)
    """

    gpu: str
    capability: tuple[int, int]
    driver: str
    cuda: str


class Device(Protocol):
    """A GPU, or what stands in for one in tests.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.capture import Device, Facts
    >>> from halfsim.capture.ptx import Kernel
    >>> class Zeros:
    ...     facts = Facts(gpu="Zeros", capability=(9, 0), driver="0", cuda="0.0")
    ...     def launch(self, kernel, blocks, operands, result, numbers=()):
    ...         return np.zeros(*result)
    ...     def machine_code(self, kernel):
    ...         return "none: this is no machine"
    ...     def reset(self):
    ...         pass
    >>> device: Device = Zeros()
    >>> device.launch(Kernel("neg.f16", "", 32), 1, [np.ones(2, np.uint16)], ((2,), np.uint16))
    array([0, 0], dtype=uint16)
    """

    @property
    def facts(self) -> Facts:
        """Provenance."""

    def launch(
        self,
        kernel: Kernel,
        blocks: int,
        operands: Sequence[NDArray[Any]],
        result: tuple[tuple[int, ...], DTypeLike],
        numbers: Sequence[tuple[int, int]] = (),
    ) -> NDArray[Any]:
        """Run a kernel: operands and a zeroed result of (shape, dtype) in its memory, then (value, bits) numbers.

        Parameters
        ----------
        kernel : Kernel
            PTX of one entry point, and the threads of a block.
        blocks : int
            Blocks of the grid.
        operands : sequence of array
            Copied to the device's memory, in the order of the kernel's pointers.
        result : (tuple of int, dtype)
            Shape and dtype of the array that the kernel writes, zero before.
        numbers : sequence of (int, int)
            Values and their bits, passed after the pointers.

        Returns
        -------
        array
            The result, copied back.

        Raises
        ------
        DeviceError
            If the kernel cannot be loaded or fails; `UnsupportedError` if the GPU has no such instruction, `LostError`
            if it no longer answers.
        """

    def machine_code(self, kernel: Kernel) -> str:
        """Return the opcodes of a launched kernel's machine code in order, or why they are not available.

        Threads may call it side by side.

        Parameters
        ----------
        kernel : Kernel
            One that `launch` has run.
        """

    def reset(self) -> None:
        """Recover from a failed launch; raise `LostError` if that is impossible."""


class Instruction(Protocol):
    """Something whose results are recorded."""

    @property
    def name(self) -> str:
        """Key in files."""

    @property
    def opcode(self) -> str:
        """The PTX instruction, or the library call with its version."""

    def supported(self, capability: tuple[int, int]) -> bool:
        """Whether a GPU of this compute capability has it."""

    def probed(self, device: Device) -> Instruction:
        """Return the instruction ready to be measured; raise if what it needs is missing or its operands go astray."""

    def measure(self, device: Device, operands: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return its results for named operands."""

    def machine_code(self, device: Device) -> str:
        """Return the machine code's opcodes, or why they are not available."""
