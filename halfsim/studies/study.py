"""What a study is: a claim, the grid of runs and tables that shows it, and the numbers that must come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfsim.policy import Policy
from halfsim.studies import report, runner
from halfsim.studies.grid import Part, Table, TableJob, jobs_of
from halfsim.studies.store import load

__all__ = ["Check", "Study"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A number of the results that must land in a range.

    Parameters
    ----------
    name : str
        What is checked, in a few words.
    part : str
        Name of a part or of a computed table.
    row : str or dict
        Row of the part; of a computed table the value of its first column, or columns and values that one row has.
    measure : str
        A measure of the task at the end, a share of the ledger, or a column of the table; of runs, the mean over seeds.
    low, high : float
        The range, both ends included.
    against : str, optional
        Another row: checked is the difference to it.
    relative : bool
        Whether the ratio to the other row is checked instead of the difference.
    data : str
        Name of the data that the part must have for this to be checked, "" for any: others that stand in for them, as
        digits do for Fashion-MNIST, need not show the same.

    Raises
    ------
    ValueError
        If `low` exceeds `high`, or `relative` is set without `against`.

    Examples
    --------
    >>> from halfsim.studies import Check
    >>> Check(name="learns", part="digits", row="mixed", measure="accuracy", low=0.9, high=1.0).against is None
    True
    """

    name: str
    part: str
    row: Any
    measure: str
    low: float
    high: float
    against: Any = None
    relative: bool = False
    data: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"Check: {self.name}: low={self.low!r} must not exceed high={self.high!r}")
        if self.relative and self.against is None:
            raise ValueError(f"Check: {self.name}: relative=True needs the row that it is relative to, against=...")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question put to the simulator.

    Parameters
    ----------
    name : str
        Name on the command line.
    summary : str
        One line for a list.
    claim : str
        What the results are expected to show.
    paper : str
        What the paper reports, with table or figure.
    limits : str
        What tasks this small cannot claim.
    parts : tuple of Part or Table
        Runs and computed tables.
    checks : tuple of Check
        Numbers that must come out.
    seeds : int
        How many seeds it takes by default.
    order : int
        Place in lists.

    Raises
    ------
    ValueError
        If two parts have one name, or a check names a part or row that is not there.

    Examples
    --------
    >>> from halfsim.studies import STUDIES
    >>> STUDIES["quickstart"].seeds, [part.name for part in STUDIES["quickstart"].parts]
    (3, ['weights', 'scale'])
    """

    name: str
    summary: str
    claim: str
    parts: tuple[Part | Table, ...]
    paper: str = ""
    limits: str = ""
    checks: tuple[Check, ...] = ()
    seeds: int = 3
    order: int = 0

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if len(set(names)) != len(names):
            raise ValueError(f"Study: parts {names} of {self.name} must differ in name")
        for check in self.checks:
            part = next((part for part in self.parts if part.name == check.part), None)
            if part is None:
                raise ValueError(f"Check: {check.name}: part={check.part!r} is unknown; known are {', '.join(names)}")
            if isinstance(part, Part):
                rows = [row.name for row in part.rows]
                for row in (check.row, *([] if check.against is None else [check.against])):
                    if row not in rows:
                        raise ValueError(f"Check: {check.name}: row {row!r} is unknown; known are {', '.join(rows)}")

    def run(
        self,
        out: Path,
        seeds: int | Sequence[int] | None = None,
        jobs: int | None = None,
        progress: bool = True,
        scheduler: str | None = None,
    ) -> Path:
        """Run what is not finished yet, then write results, tables and figures.

        Parameters
        ----------
        out : Path
            Folder of the results; it is made if missing. A run whose summary is there is not run again, one with a
            checkpoint goes on.
        seeds : int or sequence of int, optional
            How many seeds, 0 and up, or which; those of the study by default.
        jobs : int, optional
            Processes; the number of processors by default. Results do not depend on it. With more than one, a script
            that calls this must be importable (``if __name__ == "__main__":``).
        progress : bool
            Whether to show a progress bar on standard error.
        scheduler : str, optional
            Address of a Dask scheduler, ``tcp://HOST:8786``, instead of local processes.

        Returns
        -------
        Path
            `out`, with ``results.json``, tables, figures, the report, and ``runs/``.

        Raises
        ------
        ValueError
            If `seeds` is no positive number, or they are not different non-negative integers.
        FileNotFoundError
            If workers of the scheduler write where this machine cannot see it.
        RuntimeError
            If workers die time after time.
        """
        out = Path(out)
        grid = jobs_of(self.parts, runner.check_seeds(self.seeds if seeds is None else seeds))
        found = runner.execute(grid, out / "runs", jobs, progress, scheduler)
        made = list(zip(grid, found, strict=True))
        runs = [summary for job, summary in made if not isinstance(job, TableJob)]
        tables = [summary for job, summary in made if isinstance(job, TableJob)]
        report.write(self, runs, tables, out)
        return out

    def report(self, out: Path) -> str:
        """Return the tables of a finished run of this study as text.

        Parameters
        ----------
        out : Path
            Folder that a run of the study wrote to.

        Returns
        -------
        str
            Markdown.

        Raises
        ------
        FileNotFoundError
            If `out` holds no results of it.
        """
        return report.read(self.name, Path(out))

    def failed(self, out: Path) -> list[dict[str, Any]]:
        """Return the checks of a finished run of this study that did not come out, with what was found.

        Parameters
        ----------
        out : Path
            Folder that a run of the study wrote to.

        Returns
        -------
        list of dict
            As ``results.json`` has them: the claim, the range, and what was found; empty if all came out.
        """
        return [check for check in load(Path(out) / "results.json")["checks"] if check["passed"] is False]

    @property
    def policies(self) -> list[Policy]:
        """All policies of all parts."""
        return [row.policy for part in self.parts if isinstance(part, Part) for row in part.rows]
