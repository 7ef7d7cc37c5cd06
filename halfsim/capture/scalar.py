"""The instructions of the CUDA cores on binary16: arithmetic, minimum and maximum, comparisons, conversions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.device import Device
from halfsim.capture.ptx import Kernel, elementwise_kernel, width

__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "EXTREMA",
    "FROM_BINARY16",
    "FUSED",
    "INTEGERS",
    "STOCHASTIC",
    "TO_BINARY16",
    "UNARY",
    "ScalarInstruction",
]

INTEGERS = ("s16", "u16", "s32", "u32", "s64", "u64")
_WORDS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
_THREADS = 128


@dataclass(frozen=True, slots=True)
class ScalarInstruction:
    """One instruction applied to every element.

    Parameters
    ----------
    opcode : str
        The PTX instruction.
    operands : tuple of str
        Operand types; ``"f16x2"`` takes two neighbouring elements at once.
    result : str
        Type of the result; ``"pred"`` is recorded as 0 or 1.
    target, version : str
        The architecture and the PTX version that it needs.
    """

    opcode: str
    operands: tuple[str, ...]
    result: str
    target: str = "sm_53"
    version: str = "6.5"

    @property
    def name(self) -> str:
        """Key in files: the opcode."""
        return self.opcode

    @property
    def kernel(self) -> Kernel:
        """The program that issues it."""
        return elementwise_kernel(self.opcode, self.operands, self.result, self.version, self.target, _THREADS)

    def supported(self, capability: tuple[int, int]) -> bool:
        """Whether a GPU of this compute capability has it."""
        number = 10 * capability[0] + capability[1]
        wanted = int(self.target.removeprefix("sm_").rstrip("a"))
        return number == wanted if self.target.endswith("a") else number >= wanted

    def probed(self, device: Device) -> ScalarInstruction:
        """Return the instruction: nothing about one element per thread needs a probe."""
        return self

    def machine_code(self, device: Device) -> str:
        """Return the opcodes of the kernel's machine code."""
        return device.machine_code(self.kernel)

    def takes(self, operands: Iterable[str]) -> list[str]:
        """Return which of a group's operands it takes, in order: the first of a, b, c, r that exist."""
        return [name for name in "abcr" if name in operands][: len(self.operands)]

    def measure(self, device: Device, operands: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the results for operands named a, b, c, r."""
        arrays = []
        for name, kind in zip(self.takes(operands), self.operands, strict=True):
            words = np.ascontiguousarray(operands[name]).view(_WORDS[width(kind)])
            arrays.append(np.pad(words, (0, -words.size % _THREADS)))
        count = arrays[0].size
        stored = device.launch(self.kernel, count // _THREADS, arrays, ((count,), _WORDS[width(self.result)]))
        whole = stored.view(np.uint16) if self.result == "f16x2" else stored
        # Packed operands hold two elements per word, other operands one.
        scale = 2 if self.result == "f16x2" and self.operands[0] != "f16x2" else 1
        return whole[: scale * operands["a"].size]


def _make(
    opcodes: Iterable[str], operands: Iterable[str], result: str, target: str = "sm_53", version: str = "6.5"
) -> tuple[ScalarInstruction, ...]:
    return tuple(ScalarInstruction(opcode, tuple(operands), result, target, version) for opcode in opcodes)


def _both(
    names: Iterable[str], modifiers: Iterable[str], arity: int, target: str = "sm_53", version: str = "6.5"
) -> tuple[ScalarInstruction, ...]:
    """Each of the names with each of the modifiers, scalar and packed."""
    names, modifiers = tuple(names), tuple(modifiers)
    made: tuple[ScalarInstruction, ...] = ()
    for kind in ("f16", "f16x2"):
        opcodes = [f"{name}{modifier}.{kind}" for name in names for modifier in modifiers]
        made += _make(opcodes, [kind] * arity, kind, target, version)
    return made


ARITHMETIC = _both(("add.rn", "sub.rn", "mul.rn"), ("", ".ftz", ".sat", ".ftz.sat"), 2)
FUSED = _both(("fma.rn",), ("", ".ftz", ".sat", ".ftz.sat"), 3) + _both(
    ("fma.rn",), (".relu", ".ftz.relu"), 3, "sm_80", "7.0"
)
EXTREMA = _both(("min", "max"), ("", ".ftz", ".NaN", ".ftz.NaN"), 2, "sm_80", "7.0")
_RELATIONS = ("eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
COMPARISONS = _make((f"setp.{name}{ftz}.f16" for name in _RELATIONS for ftz in ("", ".ftz")), ("f16", "f16"), "pred")
_DIRECTIONS = ("rn", "rz", "rm", "rp")
UNARY = (
    _make((f"cvt.{mode}i{tail}.f16.f16" for mode in _DIRECTIONS for tail in ("", ".sat")), ("f16",), "f16")
    + _both(("neg", "abs"), ("", ".ftz"), 1)
    + _make(("ex2.approx.f16", "tanh.approx.f16"), ("f16",), "f16", "sm_75", "7.0")
)
FROM_BINARY16 = (
    _make(("cvt.f32.f16", "cvt.ftz.f32.f16", "cvt.sat.f32.f16"), ("f16",), "f32")
    + _make(("cvt.f64.f16", "cvt.sat.f64.f16"), ("f16",), "f64")
    + tuple(ScalarInstruction(f"cvt.{mode}i.{kind}.f16", ("f16",), kind) for kind in INTEGERS for mode in _DIRECTIONS)
)
TO_BINARY16: dict[str, tuple[ScalarInstruction, ...]] = {
    "f32": _make(
        (f"cvt.{mode}{tail}.f16.f32" for mode in _DIRECTIONS for tail in ("", ".ftz", ".sat")), ("f32",), "f16"
    )
    + _make((f"cvt.{mode}.relu.f16.f32" for mode in ("rn", "rz")), ("f32",), "f16", "sm_80", "7.0")
    + _make((f"cvt.{mode}.f16x2.f32" for mode in ("rn", "rz")), ("f32", "f32"), "f16x2", "sm_80", "7.0"),
    "f64": _make((f"cvt.{mode}{tail}.f16.f64" for mode in _DIRECTIONS for tail in ("", ".sat")), ("f64",), "f16"),
    **{kind: _make((f"cvt.{mode}.f16.{kind}" for mode in _DIRECTIONS), (kind,), "f16") for kind in INTEGERS},
}
"""Conversions to binary16, by source type."""
STOCHASTIC = tuple(
    ScalarInstruction(f"cvt.rs{tail}.f16x2.f32", ("f32", "f32", "u32"), "f16x2", target, version)
    for target, version in (("sm_100a", "8.7"), ("sm_103a", "8.8"))
    for tail in ("", ".relu", ".satfinite")
)
"""Stochastic rounding with given random bits; of two rows of one name, a GPU has one."""
