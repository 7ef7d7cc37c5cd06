"""What supports a row: captured outputs, simulators that were compared with the hardware, and inference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["SOURCES", "Evidence", "EvidenceKind", "claims", "compared", "confidence", "inferred", "sources"]

SOURCES = {
    "khattak2025": "Khattak and Mikaitis, arXiv:2512.07004",
    "mmascope": "mmascope fingerprints",
    "lookup1980": "logs of Fasi et al.'s tests",
    "mmasim2025": "MMA-Sim, arXiv:2511.10909",
    "cdnamodels2026": "MATLAB-tensor-core, the models of CDNA",
    "mcmodels2026": "MATLAB-tensor-core, the models of arXiv:2512.07004",
    "qqqtao2026": "Blackwell TensorCore Numerical Model",
    "fasi2021": "Fasi et al., PeerJ CS 7:e330",
}
"""Short titles of the entries of docs/references.bib that evidence may name."""

_DECISIVE = {"L / 2", "other rounding"}


class EvidenceKind(IntEnum):
    """How something is known, the weakest first; [@khattak2025] and [@mmascope] are published captures.

    Examples
    --------
    >>> import halfsim as hs
    >>> max(item.kind for item in hs.tensorcores.TABLE[0].evidence).name
    'publishedCapture'
    """

    inferred = 0
    """From another instruction, boards of another architecture, or properties that do not decide the row."""
    simulator = 1
    """A model that its authors say they compared with the instruction on the hardware."""
    publishedCapture = 2
    """Raw outputs of the hardware, published by others."""
    ownCapture = 3
    """Raw outputs in vectors/cuda."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One reason to believe a row.

    Parameters
    ----------
    kind : EvidenceKind
        How it is known.
    source : str
        Key in docs/references.bib, as of [@mmasim2025]; for an own capture its folder below vectors/cuda.
    gpus : tuple of str
        The boards, as the source names them.
    outputs : int
        Raw outputs that agree, of all boards together; 0 unless they are captures.
    coverage : tuple of str
        Classes of operands behind them.
    limits : str
        What it does not show.
    untold : tuple of str, optional
        Of a capture, the changes of the row that agree with all its outputs too, as keys in
        `halfsim.capture.discrimination.NEIGHBOURS`; `limits` names them.

    Raises
    ------
    ValueError
        If outputs are counted that nobody can see, a capture has none or does not say what it cannot tell, or the
        boards or limits are missing.

    Examples
    --------
    >>> import halfsim as hs
    >>> volta = hs.tensorcores.TABLE[0]
    >>> [(item.kind.name, item.source, item.outputs) for item in volta.evidence][:2]
    [('publishedCapture', 'khattak2025', 5000), ('publishedCapture', 'mmascope', 89)]
    """

    kind: EvidenceKind
    source: str
    gpus: tuple[str, ...]
    outputs: int = 0
    coverage: tuple[str, ...] = ()
    limits: str
    untold: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.gpus or not self.limits:
            raise ValueError(f"Evidence: {self.source} names no GPU or no limits; say both")
        if self.captured != (self.outputs > 0):
            raise ValueError(
                f"Evidence: {self.source} is {self.kind.name} with {self.outputs} outputs; captures, and no others, "
                "count raw outputs"
            )
        if self.captured != (self.untold is not None):
            raise ValueError(
                f"Evidence: {self.source} is {self.kind.name} with untold={self.untold!r}; captures, and no others, "
                "say what they cannot tell, () if nothing"
            )
        missing = [name for name in self.untold or () if name not in self.limits]
        if missing:
            raise ValueError(f"Evidence: the limits of {self.source} do not name {', '.join(missing)}; name them")

    @property
    def captured(self) -> bool:
        """Whether these are raw outputs of the hardware."""
        return self.kind >= EvidenceKind.publishedCapture

    @property
    def title(self) -> str:
        """Short title of the source."""
        return f"own capture {self.source}" if self.kind is EvidenceKind.ownCapture else SOURCES[self.source]

    @property
    def claim(self) -> str:
        """What is claimed, without the source."""
        boards = ", ".join(self.gpus)
        if self.captured:
            return f"{self.outputs:,} of {self.outputs:,} captured outputs agree ({boards})"
        if self.kind is EvidenceKind.simulator:
            return f"a simulator that its authors compared with {boards} agrees"
        return f"inferred from {boards}"

    def __str__(self) -> str:
        return f"{self.title}: {self.claim}; not shown: {self.limits}"


def compared(gpu: str, source: str = "mmasim2025") -> Evidence:
    """Return the evidence of a simulator that was compared with a board on random patterns."""
    return Evidence(
        kind=EvidenceKind.simulator,
        source=source,
        gpus=(gpu,),
        coverage=("random-bits",),
        limits="the outputs, which are not published",
    )


def inferred(source: str, gpu: str, limits: str) -> Evidence:
    """Return the evidence of an inference from a board."""
    return Evidence(kind=EvidenceKind.inferred, source=source, gpus=(gpu,), limits=limits)


def confidence(evidence: Iterable[Evidence]) -> str:
    """Return the mark of a row, derived from nothing but its evidence.

    A: raw outputs of the hardware agree and, all together, exclude another rounding of the result and blocks of half
    the length. B: two or more separate projects that compared their models with the hardware agree. C: one project
    only, or inference.
    """
    items = tuple(evidence)
    captures = [set(item.untold) for item in items if item.untold is not None]
    if captures and not _DECISIVE & captures[0].intersection(*captures):
        return "A"
    return "B" if len({item.source for item in items if item.kind is EvidenceKind.simulator}) > 1 else "C"


def sources(evidence: Iterable[Evidence]) -> str:
    """Return the titles, for an accumulator's `source`."""
    return "; ".join(dict.fromkeys(item.title for item in evidence))


def claims(evidence: Iterable[Evidence]) -> str:
    """Return claims and limits, for an accumulator's `evidence`."""
    return ". ".join(f"{item.claim}; not shown: {item.limits}" for item in evidence)
