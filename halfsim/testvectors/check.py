"""Compare the rows of a file with the simulator: how many agree, which do not, and what each mistake looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from halfsim.testvectors.bins import bin_name, indices
from halfsim.testvectors.coverage import Coverage
from halfsim.testvectors.diagnosis import Setting
from halfsim.testvectors.evidence import Disagreement, Evidence
from halfsim.testvectors.formats import Block, VectorFileError, Vectors
from halfsim.testvectors.formats.block import nan_mask
from halfsim.testvectors.formats.digest import DigestError, digest_state

__all__ = ["Disagreement", "Report", "check"]


@dataclass(slots=True)
class Report:
    """How a file compares.

    Parameters
    ----------
    name : str
        The file.
    setting : Setting
        What it was compared with.
    rows, wrong : int
        Rows in all, and those that disagree.
    values, flags : int
        Disagreements of results, and of flags.
    mistakes : Counter
        Disagreements by what they look like. Beyond a million, only some of each kind of difference in each bin of the
        coverage model are looked at.
    first : list of Disagreement
        The first ones.
    examples : dict of str to Disagreement
        The first one of each mistake.
    bins : Counter
        Disagreements by the bin of the coverage model in which the right row falls, all of them; `bin_name` puts a bin
        in words.
    coverage : Coverage or None
        Bins of the coverage model that the rows hit, if they were counted.
    verified : bool
        Whether the file has a digest of its rows and they are those: none is missing, changed, or in another place.
    damage : str
        What is wrong with the file, if its rows are not those of its digest.

    Examples
    --------
    >>> from halfsim import IEEE
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.check import Report
    >>> from halfsim.testvectors.setting import Setting
    >>> Report("add.tv", Setting(subject("add"), "rne", IEEE), rows=3, wrong=1).wrong
    1
    """

    name: str
    setting: Setting
    rows: int = 0
    wrong: int = 0
    values: int = 0
    flags: int = 0
    mistakes: Counter[str] = field(default_factory=Counter)
    first: list[Disagreement] = field(default_factory=list)
    examples: dict[str, Disagreement] = field(default_factory=dict)
    bins: Counter[int] = field(default_factory=Counter)
    coverage: Coverage | None = None
    verified: bool = False
    damage: str = ""

    @property
    def unnamed(self) -> int:
        """Disagreements that were not looked at."""
        return self.wrong - self.mistakes.total()

    @property
    def subject(self) -> str:
        """What was checked: the name of the operation."""
        return self.setting.subject.name

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        from halfsim.testvectors.formats import environment_name, rounding_name

        return {
            "file": self.name,
            "operation": self.setting.subject.name,
            "rounding": rounding_name(self.setting.rounding),
            "environment": environment_name(self.setting.environment),
            "rows": self.rows,
            "digest": digest_state(self.verified, self.damage),
            "wrong": self.wrong,
            "wrong_values": self.values,
            "wrong_flags": self.flags,
            "not_looked_at": self.unnamed,
            "mistakes": dict(self.mistakes.most_common()),
            "bins": {bin_name(self.setting.subject, index): count for index, count in self.bins.most_common()},
            "first": [asdict(item) for item in self.first],
        }


def check(
    vectors: Vectors,
    setting: Setting,
    *,
    limit: int = 10,
    ignore_flags: bool = False,
    coverage: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Compare every row of a file with the simulator.

    Parameters
    ----------
    vectors : Vectors
        An opened file.
    setting : Setting
        What to compare with.
    limit : int
        How many disagreements to keep.
    ignore_flags : bool
        Whether flags are left out of the comparison.
    coverage : bool
        Whether the bins of the coverage model are counted that the rows, with the right results, hit.
    progress : callable, optional
        Called with the number of rows after each block.

    Returns
    -------
    Report
        Counts, mistakes and the first disagreements.

    Raises
    ------
    VectorFileError
        If the file holds no rows, or is damaged in any way but that its rows are not those of its digest: the report
        then says so.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from halfsim import IEEE
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.check import check
    >>> from halfsim.testvectors.formats import Block, Header, read, write
    >>> from halfsim.testvectors.setting import Setting
    >>> header = Header(operation="sqrt", operands=("f16",), result="f16", rounding="rne", rows=2)
    >>> wrong = Block((np.uint16([0x3C00, 0x4400]),), np.uint16([0x3C00, 0x4001]), np.zeros(2, np.uint8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "sqrt.tv")
    ...     _ = write(path, header, [wrong])
    ...     with read(path) as vectors:
    ...         report = check(vectors, Setting(subject("sqrt"), "rne", IEEE))
    >>> report.rows, len(report.first)
    (2, 1)
    """
    report = Report(vectors.name, setting, coverage=Coverage(setting.subject) if coverage else None)
    evidence = Evidence(setting, limit, ignore_flags)
    try:
        for block in vectors.blocks:
            _compare(block, setting, report, evidence, ignore_flags)
            if progress is not None:
                progress(len(block.result))
    except DigestError as error:
        # All rows have been compared: which of them are wrong says where to look.
        report.damage = str(error)
    if not report.rows:
        raise VectorFileError(report.name, 0, "holds no rows: nothing can be compared; was its writer stopped early?")
    report.verified = vectors.digest.verified
    report.mistakes, report.first, report.examples = evidence.conclude()
    return report


def _compare(block: Block, setting: Setting, report: Report, evidence: Evidence, ignore_flags: bool) -> None:
    wanted, raised = setting.evaluate(block.operands, report.rows)
    if report.coverage is not None:
        report.coverage.add(block.operands, wanted, raised)
    differs = wanted != block.result
    if block.mask is not None:
        # The file's own masks decide nothing: zeros would let everything pass.
        mask = nan_mask(wanted, setting.subject.result)
        differs = (((wanted ^ block.result) & mask) != 0) | (block.mask != mask)
    other_flags = np.zeros_like(differs) if ignore_flags else raised != block.flags
    wrong = np.flatnonzero(differs | other_flags)
    if wrong.size:
        hit = indices(setting.subject, [words[wrong] for words in block.operands], wanted[wrong], raised[wrong])
        report.bins.update(dict(zip(*(column.tolist() for column in np.unique(hit, return_counts=True)), strict=True)))
        evidence.add(block, report.rows, wrong, (wanted, block.flags if ignore_flags else raised), hit)
    report.rows += len(block.result)
    report.wrong += int(wrong.size)
    report.values += int(differs.sum())
    report.flags += int(other_flags.sum())
