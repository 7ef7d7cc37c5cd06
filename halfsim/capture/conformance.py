"""A whole check of captures: agreement per GPU and instruction, totals, what the results can tell, exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from halfsim.capture.checker import Agreement, check, report
from halfsim.capture.discrimination import Discrimination, joined
from halfsim.capture.reader import Damage
from halfsim.explanation.parts import columns

__all__ = ["Conformance", "conform"]

_HEAD = ("GPU", "instruction", "compared", "equal", "observed", "verdict")


@dataclass(frozen=True, slots=True)
class Conformance:
    """How everything below a path compares with the simulator.

    Parameters
    ----------
    path : str
        What was checked.
    agreements : tuple of Agreement
        One per group and instruction.
    damages : tuple of Damage
        What could not be read or compared.
    only : tuple of str
        What the names of groups were to begin with; empty for all groups.
    """

    path: str
    agreements: tuple[Agreement, ...]
    damages: tuple[Damage, ...]
    only: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether there is something, all of it can be read, and all that is compared is equal."""
        return bool(self.agreements) and not self.damages and all(item.agrees for item in self.agreements)

    @property
    def status(self) -> int:
        """Exit status: 0, or 1 on disagreement, damage, and where there is no capture, as nothing was verified."""
        return 0 if self.agrees else 1

    def by_instruction(self) -> dict[tuple[str, str], list[Agreement]]:
        """Agreements of all groups together, by GPU and instruction."""
        found: dict[tuple[str, str], list[Agreement]] = {}
        for item in self.agreements:
            found.setdefault((item.gpu, item.instruction), []).append(item)
        return found

    def summary(self) -> str:
        """Return the table of agreement, what the results can tell, and the totals."""
        if not self.agreements and not self.damages and self.only:
            names = " or ".join(self.only)
            return f"{self.path} holds no results of groups that begin with {names}, so nothing was compared"
        if not self.agreements and not self.damages:
            return (
                f"{self.path} holds no capture, so nothing was compared; on a machine with an NVIDIA GPU "
                f"record one: python -m halfsim.capture --out {self.path}"
            )
        rows = [_HEAD, *(self._row(*key, items) for key, items in self.by_instruction().items())]
        lines = list(columns(rows))
        for (gpu, name), items in self.by_instruction().items():
            lines += _power(f"{gpu}  {name}", joined(item.discrimination for item in items))
        count, equal = (sum(getattr(item, name) for item in self.agreements) for name in ("count", "equal"))
        gpus = len({item.gpu for item in self.agreements})
        lines += ["", f"{equal:,} of {count:,} results equal on {gpus} GPU(s), {self._observed():,} more observed only"]
        if self.damages:
            lines.append(f"{len(self.damages)} damaged: see DAMAGED above")
        return "\n".join(lines)

    def _observed(self) -> int:
        return sum(item.open for item in self.agreements)

    @staticmethod
    def _row(gpu: str, name: str, items: list[Agreement]) -> tuple[str, ...]:
        count, equal, observed = (sum(getattr(item, field) for item in items) for field in ("count", "equal", "open"))
        verdict = "observed only" if count == 0 else "agrees" if count == equal else f"{count - equal:,} DIFFER"
        return gpu, name, f"{count:,}", f"{equal:,}", f"{observed:,}", verdict

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "path": self.path,
            "agrees": self.agrees,
            "compared": sum(item.count for item in self.agreements),
            "equal": sum(item.equal for item in self.agreements),
            "observed": self._observed(),
            "results": [asdict(item) | {"agrees": item.agrees} for item in self.agreements],
            "damaged": [asdict(item) for item in self.damages],
        }


def _power(head: str, found: Iterable[Discrimination]) -> list[str]:
    """Say which neighbours of the row the results exclude, and which not."""
    items = tuple(found)
    if not items:
        return []
    told = ", ".join(f"{item.neighbour} ({item.told:,})" for item in items if item.told)
    lines = ["", f"{head} tells the row from: {told or 'none of its neighbours'}"]
    lines += [f"    cannot tell {item.neighbour}: {item.reason}" for item in items if not item.told]
    return lines


def conform(
    path: str | Path,
    say: Callable[[str], object],
    *,
    limit: int = 3,
    discriminate: bool = False,
    each: Callable[[Agreement | Damage], object] | None = None,
    only: Iterable[str] = (),
) -> Conformance:
    """Check all captures below a path, telling each result as it comes and the summary last.

    Parameters
    ----------
    path : str or Path
        A folder of captures, or one manifest.
    say : callable
        Gets the report of each instruction and the summary, as text.
    limit : int
        How many differences to describe per instruction.
    discriminate : bool
        Whether to find which neighbours of a row the results can tell.
    each : callable, optional
        Called after each instruction, for a progress bar.
    only : iterable of str
        Only groups whose names begin with one of these; none for all.

    Returns
    -------
    Conformance
        All of it.

    Raises
    ------
    ValueError
        If the path is neither a folder nor a manifest.
    """
    agreements, damages, only = [], [], tuple(only)
    for item in check(path, limit=limit, explain=True, discriminate=discriminate, only=only):
        if isinstance(item, Damage):
            damages.append(item)
        else:
            agreements.append(item)
        say(report(item))
        if each is not None:
            each(item)
    found = Conformance(str(path), tuple(agreements), tuple(damages), only)
    say(("\n" if agreements or damages else "") + found.summary())
    return found
