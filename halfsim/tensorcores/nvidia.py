"""The tensor cores of NVIDIA GPUs with binary16 factors.

The sources: vectors/cuda holds captures of this project; [@khattak2025] and [@mmascope] published outputs of WMMA
m16n16k16, which the assembler makes of the generation's own instruction; [@lookup1980] published logs of the tests of
[@fasi2021], on the same; [@mmasim2025] and [@qqqtao2026] are simulators whose authors state comparisons with the
hardware. vectors/CITATIONS.toml says what each supports, and no row may claim more.

What captures cannot tell is measured: the changes of a row that agree with every output, by the names of
`halfsim.capture.discrimination`.

Volta's mixed form, C of binary16 beside a binary32 result, is the ``f32`` row with C widened. That is open for a
subnormal C, to which MMA-Sim gives the exponent -14.
"""

from __future__ import annotations

from dataclasses import replace

from halfsim.tensorcores.captures import h200
from halfsim.tensorcores.evidence import Evidence, EvidenceKind, compared, inferred
from halfsim.tensorcores.fused import Rule, fused_row
from halfsim.tensorcores.tensorcore import TensorCore

__all__ = ["ROWS"]

_VOLTA = Rule(4, 23, -131, -19)
_AMPERE = Rule(8, 24, -132, -20)
_HOPPER = Rule(16, 25, -133, -21)
_HOPPER_K8 = Rule(8, 25, -133, -21)

_ONE_BLOCK = "more than one block per output, zeros, NaN, infinities, subnormal results"
_NO_BITS = f"{_ONE_BLOCK}, the fraction bits"
_FEW_BITS = f"{_NO_BITS} but for a few outputs"
_TWIN = "; the two boards' files are identical"
_MIXED = "a subnormal C of binary16 beside a binary32 result, on which sources conflict"

_ORDER = ("L * 2", "order reversed")
_ZERO = ("z - 1", "z + 1")
_PLAIN = (*_ORDER, *_ZERO)
_BITS = ("F - 1", "F + 1", "normalised products", "C afterwards", "floored terms", "rounded terms")


def _but(*told: str) -> tuple[str, ...]:
    """What one block rounded to binary16 cannot tell, less what a few outputs do tell."""
    return tuple(name for name in (*_BITS, *_ORDER, "wide between blocks", *_ZERO) if name not in told)


def _published(
    source: str, gpus: tuple[str, ...], outputs: int, coverage: tuple[str, ...], limits: str, untold: tuple[str, ...]
) -> Evidence:
    return Evidence(
        kind=EvidenceKind.publishedCapture,
        source=source,
        gpus=gpus,
        outputs=outputs,
        coverage=coverage,
        limits=f"{limits}; changes of the row that agree too: {', '.join(untold)}",
        untold=untold,
    )


def _captured(limits: str, *gpus: str, untold: tuple[str, ...] = _PLAIN) -> Evidence:
    """Outputs of N(0, 1)-like operands, 5,000 per board and accumulator."""
    return _published("khattak2025", gpus, 5000 * len(gpus), ("normal",), limits, untold)


def _probed(architecture: str, *untold: str) -> Evidence:
    coverage = ("specials", "signed-zeros", "subnormal", "cancellation", "truncation", "block-order")
    limits = "which board, overflow, ordinary operands"
    untold = ("normalised products", "rounded terms", *untold, *_ZERO)
    return _published("mmascope", (f"{architecture}, board not named",), 89, coverage, limits, untold)


def _logged(outputs: int, *gpus: str) -> Evidence:
    untold = ("normalised products", "floored terms", "rounded terms", "L / 2", "other rounding", *_PLAIN)
    limits = "more than four products, special values"
    return _published("lookup1980", gpus, outputs, ("subnormal", "cancellation", "truncation"), limits, untold)


def _block_of(gpu: str) -> Evidence:
    """Captures of m16n8k16, whose block of eight is the whole of m16n8k8."""
    return inferred("khattak2025", gpu, "this shape, as m16n8k16 was captured, whose block it is")


_T4 = inferred("fasi2021", "T4", "blocks of eight rather than four, as only properties were tested")

# generation, architecture, boards, instruction, rule set; then the evidence for f32, and for f16.
_ROWS = (
    ("volta", "sm_70", ("v100",), "m8n8k4", _VOLTA,
     (_captured(f"{_ONE_BLOCK}, {_MIXED}", "V100"), _probed("Volta", "other rounding"), compared("V100")),
     (_captured(_NO_BITS, "V100", untold=_but()), compared("V100"))),
    ("turing", "sm_75", ("t4",), "m16n8k8", _AMPERE,
     (compared("T4"), _T4), (compared("T4"), _T4)),
    ("turing", "sm_75", ("t4",), "m8n8k4", _VOLTA,
     (replace(compared("T4"), limits=f"the outputs, which are not published; {_MIXED}"),), (compared("T4"),)),
    ("ampere", "sm_80", ("a100",), "m16n8k16", _AMPERE,
     (_captured(_ONE_BLOCK, "A100"), _probed("Ampere"), compared("A100")),
     (_captured(_FEW_BITS, "A100", untold=_but("F - 1", "floored terms")), compared("A100"))),
    ("ampere", "sm_80", ("a100",), "m16n8k8", _AMPERE,
     (compared("A100"), _block_of("A100")), (compared("A100"), _block_of("A100"))),
    ("ampere", "sm_86", ("a10",), "m16n8k16", _AMPERE,
     (_captured(_ONE_BLOCK, "A2"), _logged(26, "RTX 3080", "A10")),
     (_captured(_NO_BITS, "A2", untold=_but()),
      inferred("mmasim2025", "A100", "any board of compute capability 8.6"))),
    ("ampere", "sm_86", ("a10",), "m16n8k8", _AMPERE,
     *2 * ((_block_of("A2"), inferred("mmasim2025", "A100", "any board of compute capability 8.6")),)),
    ("ada", "sm_89", ("l40s",), "m16n8k16", _AMPERE,
     (_captured(_ONE_BLOCK + _TWIN, "L40S", "RTX 1000 Ada"), _logged(19, "RTX 4090"), compared("RTX 4090")),
     (_captured(_NO_BITS + _TWIN, "L40S", "RTX 1000 Ada", untold=_but("floored terms")), compared("RTX 4090"))),
    ("ada", "sm_89", ("l40s",), "m16n8k8", _AMPERE,
     *2 * ((compared("RTX 4090"), _block_of("L40S")),)),
    ("hopper", "sm_90", ("h100", "h200"), "m16n8k16", _HOPPER,
     (h200(104_704, *_ZERO), _captured(_ONE_BLOCK, "H100", "H200"), _probed("Hopper", *_ORDER), compared("H100")),
     (h200(65_536), _captured(_FEW_BITS, "H100", "H200", untold=_but("F + 1", "floored terms", "rounded terms")),
      compared("H100"))),
    ("hopper", "sm_90", ("h100", "h200"), "m16n8k8", _HOPPER_K8,
     (h200(25_088, *_ZERO), compared("H100")), (h200(25_344), compared("H100"))),
    ("hopper", "sm_90a", ("h100", "h200"), "wgmma", _HOPPER,
     (h200(130_048, *_ZERO), compared("H100")), (h200(131_072), compared("H100"))),
    ("blackwell", "sm_100", ("b200",), "m16n8k16", _HOPPER,
     (_captured(_ONE_BLOCK, "B200"), compared("B200")),
     (_captured(_FEW_BITS, "B200", untold=_but("F - 1", "normalised products")), compared("B200"))),
    ("blackwell", "sm_100", ("b200",), "m16n8k8", _HOPPER_K8, *2 * ((compared("B200"),),)),
    ("blackwell", "sm_100a", ("b200",), "tcgen05", _HOPPER, *2 * ((compared("B200"),),)),
    ("rtx_blackwell", "sm_120", ("rtx5090",), "m16n8k16", _HOPPER,
     (_logged(19, "RTX 5090"), compared("RTX PRO 6000"), compared("RTX 5090", "qqqtao2026")),
     (compared("RTX PRO 6000"), compared("RTX 5090", "qqqtao2026"))),
    ("rtx_blackwell", "sm_120", ("rtx5090",), "m16n8k8", _HOPPER_K8, *2 * ((compared("RTX PRO 6000"),),)),
)  # fmt: skip


ROWS: tuple[TensorCore, ...] = tuple(
    fused_row(generation, architecture, gpus, instruction, "f16", output, rule, evidence)
    for generation, architecture, gpus, instruction, rule, wide, narrow in _ROWS
    for output, evidence in (("f32", wide), ("f16", narrow))
)
"""Every row of an NVIDIA GPU with binary16 factors; the first of a key and output is its default instruction."""
