"""The row of one instruction of one GPU architecture."""

from __future__ import annotations

from dataclasses import dataclass

from halfsim.accumulators import MatrixUnit
from halfsim.tensorcores.evidence import Evidence, confidence

__all__ = ["TensorCore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorCore:
    """One instruction of one GPU architecture with one accumulator format.

    Parameters
    ----------
    generation, architecture : str
        Key of the generation, and the compute capability ("sm_80") or AMD's name ("gfx942").
    gpus : tuple of str
        Keys of the boards.
    instruction : str
        Shape of ``mma.sync`` [@ptx-isa], or instruction.
    inputs : str
        Format of the factors: ``"f16"``, ``"bf16"``, ``"tf32"``, ``"e4m3"`` or ``"e5m2"``, as PTX names them.
    output : str
        ``"f32"`` or ``"f16"``, the format of C and D.
    accumulator : FusedDotAdd, ExactDotAdd, PairwiseDotAdd or TwoStageDotAdd
        The arithmetic; its `source` and `evidence` are the text of the evidence.
    evidence : tuple of Evidence
        What supports the row.

    Raises
    ------
    ValueError
        If there is no evidence.

    Examples
    --------
    >>> import halfsim as hs
    >>> volta = hs.tensorcores.TABLE[0]
    >>> volta.instruction, volta.inputs, volta.output, volta.confidence
    ('m8n8k4', 'f16', 'f32', 'A')
    """

    generation: str
    architecture: str
    gpus: tuple[str, ...]
    instruction: str
    inputs: str
    output: str
    accumulator: MatrixUnit
    evidence: tuple[Evidence, ...]

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError(
                f"TensorCore: {self.generation} {self.instruction} {self.output} has no evidence; say what supports it"
            )

    @property
    def confidence(self) -> str:
        """``"A"``, ``"B"`` or ``"C"``: see `halfsim.tensorcores.evidence.confidence`."""
        return confidence(self.evidence)
