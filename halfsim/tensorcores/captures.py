"""What the project's own captures support, as evidence; tests count the outputs again in vectors/cuda."""

from __future__ import annotations

from halfsim.tensorcores.evidence import Evidence, EvidenceKind

__all__ = ["h200"]

_CLASSES = (
    "random-bits",
    "finite-bits",
    "normal",
    "wide-exponents",
    "subnormal",
    "signed-zeros",
    "specials",
    "cancellation",
    "carry",
    "ties",
    "overflow",
    "sparse",
    "zero-exponent",
)


def h200(outputs: int, *untold: str) -> Evidence:
    """Return the evidence of the capture of an H200: single instructions, chains, and the named experiments.

    Parameters
    ----------
    outputs : int
        Outputs of the row's instructions in ``vectors/cuda/9.0/nvidia-h200``, all of which agree.
    *untold : str
        Changes of the row that agree with them too.
    """
    left = f"; changes of the row that agree too: {', '.join(untold)}" if untold else ""
    return Evidence(
        kind=EvidenceKind.ownCapture,
        source="9.0/nvidia-h200",
        gpus=("NVIDIA H200",),
        outputs=outputs,
        coverage=_CLASSES,
        limits=f"other boards of compute capability 9.0{left}",
        untold=untold,
    )
