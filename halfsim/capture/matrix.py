"""The matrix instructions, and how their operands travel to the registers and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.device import Device, DeviceError
from halfsim.capture.layouts import (
    accumulator_fragment,
    gather,
    left_fragment,
    right_fragment,
    scatter,
    shared_image,
)
from halfsim.capture.ptx import Kernel, mma_kernel, wgmma_kernel, wmma_kernel
from halfsim.capture.words import bits, encode

__all__ = ["FP8_PAIRS", "MATRIX_INSTRUCTIONS", "LayoutError", "MatrixInstruction", "widths_of_wgmma"]

_WORDS: dict[str, type[np.unsignedinteger[Any]]] = {"f32": np.uint32, "f16": np.uint16}
# Byte offsets of core matrices adjacent in k and in n, the leading and the stride dimension byte offset of a matrix
# descriptor: without swizzle and with k contiguous, the PTX ISA has the leading one lead to the next core matrix along
# k, the stride one to the next eight columns. Then with the two exchanged, should a probe of the layout say so.
_STRIDES = ((128, 256), (256, 128))


class LayoutError(DeviceError):
    """Exact products of small integers came out wrong: the operands did not arrive where they should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixInstruction:
    """One matrix multiply-accumulate instruction.

    Parameters
    ----------
    family : str
        ``"mma"``, ``"wmma"`` or ``"wgmma"``.
    m, n, k : int
        Shape of one tile.
    output, addend : str
        ``"f32"`` or ``"f16"``: formats of D and of C.
    target : str
        The architecture that the kernel is written for.
    version : str
        PTX version it needs.
    inputs : tuple of two str
        PTX's names of the formats of A and B.
    strides : tuple of two int
        Descriptor of the operand in shared memory (wgmma only).
    """

    family: str
    m: int
    n: int
    k: int
    output: str
    addend: str
    target: str
    version: str
    inputs: tuple[str, str] = ("f16", "f16")
    strides: tuple[int, int] = _STRIDES[0]

    @property
    def name(self) -> str:
        """Key in files: family, shape, formats of A and B unless binary16, of D, and of C where that differs."""
        inputs = "" if self.inputs == ("f16", "f16") else "." + "-".join(dict.fromkeys(self.inputs))
        mixed = "" if self.addend == self.output else f".{self.addend}"
        return f"{self.family}.m{self.m}n{self.n}k{self.k}{inputs}.{self.output}{mixed}"

    @property
    def opcode(self) -> str:
        """The PTX instruction."""
        shape, output, addend = f"m{self.m}n{self.n}k{self.k}", self.output, self.addend
        factors = ".".join(self.inputs)
        if self.family == "mma":
            return f"mma.sync.aligned.{shape}.row.col.{output}.{factors}.{addend}"
        if self.family == "wmma":
            return f"wmma.mma.sync.aligned.row.row.{shape}.{output}.{addend}"
        return f"wgmma.mma_async.sync.aligned.{shape}.{output}.{factors}"

    @property
    def kernel(self) -> Kernel:
        """The program that issues it."""
        width = bits(self.inputs[0])
        if self.family == "wmma":
            return wmma_kernel(self.opcode, self.output, self.addend, self.version, self.target)
        if self.family == "wgmma":
            return wgmma_kernel(self.opcode, self.n, self.output, self.version, self.target, transposable=width == 16)
        left, right = left_fragment(self.m, self.k, width), right_fragment(self.k, width)
        words = [fragment.row.shape[1] * width // 32 for fragment in (left, right)]
        for kind in (self.addend, self.output):
            elements = accumulator_fragment(self.m, self.n, kind).row.shape[1]
            words.append(elements if kind == "f32" else elements // 2)
        return mma_kernel(self.opcode, (words[0], words[1], words[2], words[3]), self.version, self.target)

    def supported(self, capability: tuple[int, int]) -> bool:
        """Whether a GPU of this compute capability has it; architecture-specific ones (sm_90a) exist there alone."""
        number = 10 * capability[0] + capability[1]
        wanted = int(self.target.removeprefix("sm_").rstrip("a"))
        return number == wanted if self.target.endswith("a") else number >= wanted

    def multiply(
        self, device: Device, A: NDArray[Any], B: NDArray[Any], C: NDArray[Any], steps: int | None = None
    ) -> NDArray[Any]:
        """Return D of (tiles, m, K) @ (tiles, K, n) + C: K / k instructions, each result the next one's C.

        Parameters
        ----------
        device : Device
            Where to run.
        A, B, C : arrays of unsigned integers
            Bit patterns, as wide as an element in a register; C in the format of the addend.
        steps : int, optional
            Instructions to issue, by default all of K.
        """
        steps = A.shape[2] // self.k if steps is None else steps
        if steps > 1 and self.output != self.addend:
            raise ValueError(f"capture: {self.name} cannot be chained, as C and D differ in format; pass K={self.k}")
        left = A[:, :, : steps * self.k].reshape(len(A), self.m, steps, self.k).transpose(2, 0, 1, 3)
        right = B[:, : steps * self.k].reshape(len(B), steps, self.k, self.n).transpose(1, 0, 2, 3)
        if self.family == "wmma":
            return device.launch(
                self.kernel, len(A), (left, right, C), ((len(A), self.m, self.n), _WORDS[self.output]), [(steps, 32)]
            )
        return self._from_registers(device, left, right, C, steps)

    def _from_registers(
        self, device: Device, left: NDArray[Any], right: NDArray[Any], C: NDArray[Any], steps: int
    ) -> NDArray[Any]:
        count, width = len(C), bits(self.inputs[0])
        held = left_fragment(self.m, self.k, width)
        padding = -count % held.tiles
        if padding:
            left, right = (np.pad(item, ((0, 0), (0, padding), (0, 0), (0, 0))) for item in (left, right))
            C = np.pad(C, ((0, padding), (0, 0), (0, 0)))
        total = count + padding
        registers = gather(left.reshape(-1, self.m, self.k), held)
        numbers = [(steps, 32)]
        if self.family == "wgmma":
            image = shared_image(right.reshape(-1, self.k, self.n))
            factors = np.pad(image, ((0, 0), (0, max(0, 512 - image.shape[1]))))
            numbers.append((self.strides[0] >> 4 << 16 | self.strides[1] >> 4 << 32, 64))
        else:
            factors = gather(right.reshape(-1, self.k, self.n), right_fragment(self.k, width))
        addend, output = (accumulator_fragment(self.m, self.n, kind) for kind in (self.addend, self.output))
        issues = total // held.tiles
        result = (issues, *output.row.shape), _WORDS[self.output]
        D = device.launch(self.kernel, issues, (registers, factors, gather(C, addend)), result, numbers)
        return scatter(D, output, (self.m, self.n))[:count]

    def machine_code(self, device: Device) -> str:
        """Return the opcodes of the kernel's machine code."""
        return device.machine_code(self.kernel)

    def measure(self, device: Device, operands: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return D of operands named A, B and C.f32 or C.f16; with ``steps``, one D per entry of it."""
        A, B, C = operands["A"], operands["B"], operands[f"C.{self.addend}"]
        if "K" not in operands:
            return self.multiply(device, A, B, C)
        return np.stack([self.multiply(device, A, B, C, int(k) // self.k) for k in operands["K"]])

    def probed(self, device: Device) -> MatrixInstruction:
        """Return the instruction with operands that are known to arrive: integers whose sums every rule gets exactly.

        Raises
        ------
        LayoutError
            If no known layout gives the exact product.
        """
        rng = np.random.default_rng(0)
        # Integers to 7 are numbers of E5M2 too, and no sum of 32 products passes 2048, where binary16 begins to skip.
        A, B = rng.integers(-7, 8, (8, self.m, self.k)), rng.integers(-7, 8, (8, self.k, self.n))
        C = rng.integers(-64, 65, (8, self.m, self.n))
        floats = {"f16": np.float16, "f32": np.float32}
        left, right = (encode(kind, item) for kind, item in zip(self.inputs, (A, B), strict=True))
        addend = C.astype(floats[self.addend]).view(_WORDS[self.addend])
        exact = (A @ B + C).astype(floats[self.output]).view(_WORDS[self.output])
        for strides in _STRIDES if self.family == "wgmma" else _STRIDES[:1]:
            variant = replace(self, strides=strides)
            if np.array_equal(variant.multiply(device, left, right, addend), exact):
                return variant
        raise LayoutError(f"capture: {self.name} gave wrong products of small integers, so its operands are misplaced")


def widths_of_wgmma() -> tuple[int, ...]:
    """Return the values of n that are captured, of 8, 16, ... 256."""
    return 8, 16, 64, 256


FP8_PAIRS = tuple((left, right) for left in ("e4m3", "e5m2") for right in ("e4m3", "e5m2"))
"""Formats of A and B of 8-bit instructions."""


def _rows() -> list[tuple[str, int, int, int, str, str, str, str, tuple[str, str]]]:
    both, mixed = (("f32", "f32"), ("f16", "f16")), (("f32", "f16"), ("f16", "f32"))
    half, brain, tensor = ("f16", "f16"), ("bf16", "bf16"), ("tf32", "tf32")
    rows = [("mma", 16, 8, 16, *kinds, "sm_80", "7.0", half) for kinds in both]
    rows += [("mma", 16, 8, 8, *kinds, "sm_75", "6.5", half) for kinds in both]
    rows += [("mma", 8, 8, 4, *kinds, "sm_70", "6.4", half) for kinds in (*both, mixed[0])]
    rows += [("wmma", 16, 16, 16, *kinds, "sm_70", "6.3", half) for kinds in (*both, *mixed)]
    rows += [("mma", 16, 8, k, *both[0], "sm_80", "7.0", brain) for k in (16, 8)]
    rows += [("mma", 16, 8, k, *both[0], "sm_80", "7.0", tensor) for k in (8, 4)]
    for pair in FP8_PAIRS:
        rows.append(("mma", 16, 8, 32, *both[0], "sm_89", "8.4", pair))
        rows.append(("mma", 16, 8, 32, *both[1], "sm_89", "8.7", pair))
        rows += [("mma", 16, 8, 16, *kinds, "sm_89", "8.7", pair) for kinds in both]
    for n in widths_of_wgmma():
        rows += [("wgmma", 64, n, 16, *kinds, "sm_90a", "8.0", half) for kinds in both]
        rows.append(("wgmma", 64, n, 16, *both[0], "sm_90a", "8.0", brain))
        rows.append(("wgmma", 64, n, 8, *both[0], "sm_90a", "8.0", tensor))
        rows += [("wgmma", 64, n, 32, *kinds, "sm_90a", "8.0", pair) for pair in FP8_PAIRS for kinds in both]
    return rows


def _instructions() -> dict[str, MatrixInstruction]:
    named = {}
    for family, m, n, k, output, addend, target, version, inputs in _rows():
        item = MatrixInstruction(
            family=family, m=m, n=n, k=k, output=output, addend=addend, target=target, version=version, inputs=inputs
        )
        named[item.name] = item
    return named


MATRIX_INSTRUCTIONS: dict[str, MatrixInstruction] = _instructions()
"""By name."""
