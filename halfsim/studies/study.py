"""What a study is: a claim, and the grid of runs that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from halfsim.policy import Policy
from halfsim.studies import report, runner
from halfsim.studies.grid import Part, jobs_of

__all__ = ["Study"]


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
    parts : tuple of Part
        Each a task under several policies.
    """

    name: str
    summary: str
    claim: str
    parts: tuple[Part, ...]

    def run(self, out: Path, seeds: int | Sequence[int] = 3, jobs: int | None = None, progress: bool = True) -> Path:
        """Run what is not finished yet, then write results, tables and figures.

        Parameters
        ----------
        out : Path
            Folder of the results; it is made if missing. A run whose record is there is not run again.
        seeds : int or sequence of int
            How many seeds, 0 and up, or which.
        jobs : int, optional
            Processes; the number of processors by default. Results do not depend on it. With more than one, a script
            that calls this must be importable (``if __name__ == "__main__":``).
        progress : bool
            Whether to show a progress bar on standard error.

        Returns
        -------
        Path
            `out`, with ``results.json``, ``results.csv``, ``report.md``, one PNG per figure, and ``runs/``.
        """
        out = Path(out)
        grid = jobs_of(self.parts, runner.check_seeds(seeds))
        runs = runner.execute(grid, out / "runs", jobs, progress)
        report.write(self.name, self.summary, self.claim, self.parts, runs, out)
        return out

    def report(self, out: Path) -> str:
        """Return the tables of a finished run of this study as text.

        Raises
        ------
        FileNotFoundError
            If `out` holds no results of it.
        """
        return report.read(self.name, Path(out))

    @property
    def policies(self) -> list[Policy]:
        """All policies of all parts."""
        return [policy for part in self.parts for policy in part.policies]
