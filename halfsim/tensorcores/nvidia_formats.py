"""The tensor cores of NVIDIA GPUs with other factors than binary16: bfloat16, TF32, E4M3 and E5M2.

No raw outputs can be had. The sources are simulators whose authors state comparisons with the hardware: [@mmasim2025]
for every row, on random patterns; [@mcmodels2026], the models behind [@khattak2025], on ordinary numbers through WMMA
and, for FP8, through mma.sync; [@qqqtao2026] for the RTX 5090.

FP8 on Ada and Hopper keeps 13 fraction bits, and its binary32 results have no more. On Hopper only wgmma is listed:
there, what mma.sync makes of FP8 is not known.
"""

from __future__ import annotations

from halfsim.formats import Format
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


_A100, _4090, _H100 = (compared("A100"),), (compared("RTX 4090"),), (compared("H100"),)
_B200, _PRO = (compared("B200"),), (compared("RTX PRO 6000"),)
_GA10X = (*_modelled("A2"), inferred("mmasim2025", "A100", "any board of compute capability 8.6"))
_GA10X_SMALL = (inferred("mmasim2025", "A100", "any board of compute capability 8.6"),)
_ADA = (compared("RTX 4090"), *_modelled("L40S", "RTX 1000 Ada"))
_ADA_FP8_EVIDENCE = (compared("RTX 4090"), *_modelled("RTX 1000 Ada"))
_HOPPER = (compared("H100"), *_modelled("H200"))
_HOPPER_WGMMA_FP8 = (
    compared("H100"),
    inferred("mcmodels2026", "H100", "wgmma, as its FP8 was issued through mma.sync"),
)
_BLACKWELL = (compared("B200"), *_modelled("B200"))
_RTX = (compared("RTX PRO 6000"), compared("RTX 5090", "qqqtao2026"))

_GA100 = ("ampere", "sm_80", ("a100",))
_GA10 = ("ampere", "sm_86", ("a10",))
_AD = ("ada", "sm_89", ("l40s",))
_GH = ("hopper", "sm_90", ("h100", "h200"))
_GH_A = ("hopper", "sm_90a", ("h100", "h200"))
_GB = ("blackwell", "sm_100", ("b200",))
_GB_A = ("blackwell", "sm_100a", ("b200",))
_GB20 = ("rtx_blackwell", "sm_120", ("rtx5090",))

# generation, architecture and boards; instruction, formats of the factors, of the result; rule; evidence.
_ROWS = (
    (_GA100, "m16n8k16", ("bf16",), _WIDE, _AMPERE_BF16, _A100),
    (_GA100, "m16n8k8", ("bf16",), _WIDE, _AMPERE_BF16, _A100),
    (_GA100, "m16n8k8", ("tf32",), _WIDE, _AMPERE_TF32, _A100),
    (_GA100, "m16n8k4", ("tf32",), _WIDE, _AMPERE_TF32, _A100),
    (_GA10, "m16n8k16", ("bf16",), _WIDE, _AMPERE_BF16, _GA10X),
    (_GA10, "m16n8k8", ("bf16",), _WIDE, _AMPERE_BF16, _GA10X_SMALL),
    (_GA10, "m16n8k8", ("tf32",), _WIDE, _AMPERE_TF32, _GA10X),
    (_GA10, "m16n8k4", ("tf32",), _WIDE, _AMPERE_TF32, _GA10X_SMALL),
    (_AD, "m16n8k16", ("bf16",), _WIDE, _AMPERE_BF16, _ADA),
    (_AD, "m16n8k8", ("bf16",), _WIDE, _AMPERE_BF16, _4090),
    (_AD, "m16n8k8", ("tf32",), _WIDE, _AMPERE_TF32, _ADA),
    (_AD, "m16n8k4", ("tf32",), _WIDE, _AMPERE_TF32, _4090),
    (_AD, "m16n8k32", _FP8, _BOTH, _ADA_FP8, _ADA_FP8_EVIDENCE),
    (_AD, "m16n8k16", _FP8, _BOTH, _ADA_FP8, _4090),
    (_GH, "m16n8k16", ("bf16",), _WIDE, _HOPPER_16, _HOPPER),
    (_GH, "m16n8k8", ("bf16",), _WIDE, _HOPPER_8, _H100),
    (_GH_A, "wgmma", ("bf16",), _WIDE, _HOPPER_16, _H100),
    (_GH, "m16n8k8", ("tf32",), _WIDE, _HOPPER_8, _HOPPER),
    (_GH, "m16n8k4", ("tf32",), _WIDE, _HOPPER_4, _H100),
    (_GH_A, "wgmma", ("tf32",), _WIDE, _HOPPER_8, _H100),
    (_GH_A, "wgmma", _FP8, _BOTH, _HOPPER_FP8, _HOPPER_WGMMA_FP8),
    (_GB, "m16n8k16", ("bf16",), _WIDE, _HOPPER_16, _BLACKWELL),
    (_GB, "m16n8k8", ("bf16",), _WIDE, _HOPPER_8, _B200),
    (_GB_A, "tcgen05", ("bf16",), _WIDE, _HOPPER_16, _B200),
    (_GB, "m16n8k8", ("tf32",), _WIDE, _HOPPER_8, _BLACKWELL),
    (_GB, "m16n8k4", ("tf32",), _WIDE, _HOPPER_4, _B200),
    (_GB_A, "tcgen05", ("tf32",), _WIDE, _HOPPER_8, _B200),
    (_GB_A, "tcgen05", _FP8, _BOTH, _BLACKWELL_FP8, _B200),
    (_GB20, "m16n8k16", ("bf16",), _WIDE, _HOPPER_16, _RTX),
    (_GB20, "m16n8k8", ("bf16",), _WIDE, _HOPPER_8, _PRO),
    (_GB20, "m16n8k8", ("tf32",), _WIDE, _HOPPER_8, _RTX),
    (_GB20, "m16n8k4", ("tf32",), _WIDE, _HOPPER_4, _PRO),
    (_GB20, "m16n8k32", _FP8, ("f32",), _BLACKWELL_FP8, _RTX),
    (_GB20, "m16n8k32", _FP8, ("f16",), _BLACKWELL_FP8, _PRO),
    (_GB20, "m16n8k16", _FP8, _BOTH, _HOPPER_16, _PRO),
)

ROWS: tuple[TensorCore, ...] = tuple(
    fused_row(generation, architecture, gpus, instruction, inputs, output, rule, evidence)
    for (generation, architecture, gpus), instruction, formats, outputs, rule, evidence in _ROWS
    for inputs in formats
    for output in outputs
)
"""Every row with other factors than binary16; the first of a key, its factors and output is its default instruction."""
