"""The tensor cores of NVIDIA GPUs with other factors than binary16: bfloat16, TF32, E4M3 and E5M2.

Raw outputs exist of Hopper alone, captured by this project. The other sources are simulators whose authors state
comparisons with the hardware: [@mmasim2025] for every row, on random patterns; [@mcmodels2026], the models behind
[@khattak2025], on ordinary numbers through WMMA and, for FP8, through mma.sync; [@qqqtao2026] for the RTX 5090.

FP8 on Ada and Hopper keeps 13 fraction bits, and its binary32 results have no more. On Hopper only wgmma is listed:
there mma.sync widens FP8 to binary16 and adds C last, as `halfsim.capture.emulated` says.
"""

from __future__ import annotations

from halfsim.formats import Format
from halfsim.tensorcores.captures import h200
from halfsim.tensorcores.evidence import Evidence, EvidenceKind, compared, inferred
from halfsim.tensorcores.fused import Rule, fused_row
from halfsim.tensorcores.tensorcore import TensorCore

__all__ = ["ROWS"]

_E8M13 = Format("E8M13", 22, 14, -126, 127)

_AMPERE_BF16 = Rule(8, 24, -132, -20)
_AMPERE_TF32 = Rule(4, 24, -132, -20)
_ADA_FP8 = Rule(16, 13, -132, -20, _E8M13)
_HOPPER_16 = Rule(16, 25, -133, -21)
_HOPPER_8 = Rule(8, 25, -133, -21)
_HOPPER_4 = Rule(4, 25, -133, -21)
_HOPPER_FP8 = Rule(32, 13, -133, -21, _E8M13)
_BLACKWELL_FP8 = Rule(32, 25, -133, -21)

_ZERO = ("z - 1", "z + 1")
_WIDE, _BOTH = ("f32",), ("f32", "f16")
_FP8 = ("e4m3", "e5m2")


def _modelled(*gpus: str) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            kind=EvidenceKind.simulator,
            source="mcmodels2026",
            gpus=(gpu,),
            coverage=("normal",),
            limits="special values, subnormal numbers, overflow; the factors, which are not published",
        )
        for gpu in gpus
    )


_ON_A100, _ON_4090, _ON_H100 = (compared("A100"),), (compared("RTX 4090"),), (compared("H100"),)
_ON_B200, _ON_PRO = (compared("B200"),), (compared("RTX PRO 6000"),)
_FROM_A100 = (inferred("mmasim2025", "A100", "any board of compute capability 8.6"),)
_ON_A2 = (*_modelled("A2"), *_FROM_A100)
_ON_ADA = (compared("RTX 4090"), *_modelled("L40S", "RTX 1000 Ada"))
_FP8_ON_ADA = (compared("RTX 4090"), *_modelled("RTX 1000 Ada"))
_ON_HOPPER = (compared("H100"), *_modelled("H200"))
_FP8_ON_H100 = (
    compared("H100"),
    inferred("mcmodels2026", "H100", "wgmma, as its FP8 was issued through mma.sync"),
)
_ON_BLACKWELL = (compared("B200"), *_modelled("B200"))
_ON_RTX = (compared("RTX PRO 6000"), compared("RTX 5090", "qqqtao2026"))

_SM80 = ("ampere", "sm_80", ("a100",))
_SM86 = ("ampere", "sm_86", ("a10",))
_SM89 = ("ada", "sm_89", ("l40s",))
_SM90 = ("hopper", "sm_90", ("h100", "h200"))
_SM90A = ("hopper", "sm_90a", ("h100", "h200"))
_SM100 = ("blackwell", "sm_100", ("b200",))
_SM100A = ("blackwell", "sm_100a", ("b200",))
_SM120 = ("rtx_blackwell", "sm_120", ("rtx5090",))

# generation, architecture and boards (above); instruction, formats of the factors, of the result; rule; evidence.
_ROWS = (
    (_SM80, "m16n8k16", ("bf16",), _WIDE, _AMPERE_BF16, _ON_A100),
    (_SM80, "m16n8k8", ("bf16",), _WIDE, _AMPERE_BF16, _ON_A100),
    (_SM80, "m16n8k8", ("tf32",), _WIDE, _AMPERE_TF32, _ON_A100),
    (_SM80, "m16n8k4", ("tf32",), _WIDE, _AMPERE_TF32, _ON_A100),
    (_SM86, "m16n8k16", ("bf16",), _WIDE, _AMPERE_BF16, _ON_A2),
    (_SM86, "m16n8k8", ("bf16",), _WIDE, _AMPERE_BF16, _FROM_A100),
    (_SM86, "m16n8k8", ("tf32",), _WIDE, _AMPERE_TF32, _ON_A2),
    (_SM86, "m16n8k4", ("tf32",), _WIDE, _AMPERE_TF32, _FROM_A100),
    (_SM89, "m16n8k16", ("bf16",), _WIDE, _AMPERE_BF16, _ON_ADA),
    (_SM89, "m16n8k8", ("bf16",), _WIDE, _AMPERE_BF16, _ON_4090),
    (_SM89, "m16n8k8", ("tf32",), _WIDE, _AMPERE_TF32, _ON_ADA),
    (_SM89, "m16n8k4", ("tf32",), _WIDE, _AMPERE_TF32, _ON_4090),
    (_SM89, "m16n8k32", _FP8, _BOTH, _ADA_FP8, _FP8_ON_ADA),
    (_SM89, "m16n8k16", _FP8, _BOTH, _ADA_FP8, _ON_4090),
    (_SM90, "m16n8k16", ("bf16",), _WIDE, _HOPPER_16, (h200(63_232), *_ON_HOPPER)),
    (_SM90, "m16n8k8", ("bf16",), _WIDE, _HOPPER_8, (h200(53_504), *_ON_H100)),
    (_SM90A, "wgmma", ("bf16",), _WIDE, _HOPPER_16, (h200(229_888), *_ON_H100)),
    (_SM90, "m16n8k8", ("tf32",), _WIDE, _HOPPER_8, (h200(62_720), *_ON_HOPPER)),
    (_SM90, "m16n8k4", ("tf32",), _WIDE, _HOPPER_4, (h200(52_224), *_ON_H100)),
    (_SM90A, "wgmma", ("tf32",), _WIDE, _HOPPER_8, (h200(227_840), *_ON_H100)),
    (_SM90A, "wgmma", ("e4m3",), ("f32",), _HOPPER_FP8, (h200(151_040, *_ZERO), *_FP8_ON_H100)),
    (_SM90A, "wgmma", ("e4m3",), ("f16",), _HOPPER_FP8, (h200(171_520, *_ZERO), *_FP8_ON_H100)),
    (_SM90A, "wgmma", ("e5m2",), ("f32",), _HOPPER_FP8, (h200(167_424, *_ZERO), *_FP8_ON_H100)),
    (_SM90A, "wgmma", ("e5m2",), ("f16",), _HOPPER_FP8, (h200(239_104, *_ZERO), *_FP8_ON_H100)),
    (_SM100, "m16n8k16", ("bf16",), _WIDE, _HOPPER_16, _ON_BLACKWELL),
    (_SM100, "m16n8k8", ("bf16",), _WIDE, _HOPPER_8, _ON_B200),
    (_SM100A, "tcgen05", ("bf16",), _WIDE, _HOPPER_16, _ON_B200),
    (_SM100, "m16n8k8", ("tf32",), _WIDE, _HOPPER_8, _ON_BLACKWELL),
    (_SM100, "m16n8k4", ("tf32",), _WIDE, _HOPPER_4, _ON_B200),
    (_SM100A, "tcgen05", ("tf32",), _WIDE, _HOPPER_8, _ON_B200),
    (_SM100A, "tcgen05", _FP8, _BOTH, _BLACKWELL_FP8, _ON_B200),
    (_SM120, "m16n8k16", ("bf16",), _WIDE, _HOPPER_16, _ON_RTX),
    (_SM120, "m16n8k8", ("bf16",), _WIDE, _HOPPER_8, _ON_PRO),
    (_SM120, "m16n8k8", ("tf32",), _WIDE, _HOPPER_8, _ON_RTX),
    (_SM120, "m16n8k4", ("tf32",), _WIDE, _HOPPER_4, _ON_PRO),
    (_SM120, "m16n8k32", _FP8, ("f32",), _BLACKWELL_FP8, _ON_RTX),
    (_SM120, "m16n8k32", _FP8, ("f16",), _BLACKWELL_FP8, _ON_PRO),
    (_SM120, "m16n8k16", _FP8, _BOTH, _HOPPER_16, _ON_PRO),
)

ROWS: tuple[TensorCore, ...] = tuple(
    fused_row(generation, architecture, gpus, instruction, inputs, output, rule, evidence)
    for (generation, architecture, gpus), instruction, formats, outputs, rule, evidence in _ROWS
    for inputs in formats
    for output in outputs
)
"""Every row with other factors than binary16; the first of a key, its factors and output is its default instruction."""
