"""What a simulation did, and what it did not: operators, losses by module, and the first infinity or NaN."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.ledger import Ledger, is_special

__all__ = ["Counts", "Report", "Tally"]

_PART = 1 << 16  # elements
_EVERY = 8
_LARGEST, _BEYOND = np.float32(65504.0), np.float32(65536.0)


@dataclass
class Counts:
    """Losses of the results of a module, and of float32 operands that were rounded to take part in its operations.

    What rounding an operand of a product, a sum or a normalisation takes off, as that of a float32 weight, is no loss
    of the result: it is counted by itself, at every use. Elementwise operations count it with that of the result.

    Attributes
    ----------
    elements : int
        Results counted: all, but of products with binary16 accumulators, whose losses another product shows, those of
        the first and then of every eighth of a module and pass.
    inexact, overflow, underflow, flushed : int
        Those that differ from the same operation of the same operands in binary32; of these, those infinite as stored
        (or the largest number, where the rounding stops there) but not in binary32; those smaller than the smallest
        normal number; and those stored as zero.
    invalid : int
        Those that are NaN but not in binary32.
    swallowed, additions : int
        Of the additions watched, those that left the sum as it was, and all: in a few elements of the first and then of
        every eighth product of a module; of stacks of matrices, in the product of the first ones.
    rounded, rounded_overflow, rounded_flushed : int
        Operands that rounding to the stored format changed; of these, those that became infinite, and those that became
        zero.
    """

    elements: int = 0
    inexact: int = 0
    overflow: int = 0
    underflow: int = 0
    flushed: int = 0
    invalid: int = 0
    swallowed: int = 0
    additions: int = 0
    rounded: int = 0
    rounded_overflow: int = 0
    rounded_flushed: int = 0


@dataclass
class Report:
    """What happened inside of `simulate`.

    Attributes
    ----------
    simulated : Counter
        Calls by operator.
    not_simulated : dict of (operator, reason) to Counter
        Calls by module, of operators on floating-point numbers that PyTorch computed itself.
    modules : dict of str to Counts
        Losses by the path of the module, those of its backward pass with them.
    first : dict or None
        ``{"module", "operator", "phase", "call"}`` of the first operator that made an infinity or a NaN of finite
        numbers; `call` counts simulated calls.
    notes : list of str
        What the policy or the arguments say and nothing obeyed; complete when the block has ended.
    """

    simulated: Counter[str] = field(default_factory=Counter)
    not_simulated: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    modules: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    first: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "simulated": dict(self.simulated),
            "not_simulated": [
                {"operator": operator, "reason": reason, "modules": dict(modules)}
                for (operator, reason), modules in self.not_simulated.items()
            ],
            "modules": {name: asdict(counts) for name, counts in self.modules.items()},
            "first": self.first,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"{sum(self.simulated.values())} calls of {len(self.simulated)} operators simulated"]
        for (operator, reason), modules in sorted(self.not_simulated.items()):
            where = ", ".join(sorted(name or "outside" for name in modules))
            lines.append(f"not simulated: {operator}, {sum(modules.values())} calls in {where}: {reason}")
        if self.first is not None:
            where = self.first["module"] or "outside of modules"
            lines.append(f"first Inf or NaN: {self.first['operator']} in {where}, {self.first['phase']}")
        lines += [f"note: {note}" for note in self.notes]
        names = [each.name for each in fields(Counts)]
        rows: list[tuple[str, ...]] = [("module", *names)]
        rows += [
            (name or "outside", *(str(getattr(counts, key)) for key in names)) for name, counts in self.modules.items()
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(names) + 1)]
        for row in rows:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


class Tally(Ledger):
    """The books of a machine, kept by module in a report.

    Parameters
    ----------
    report : Report
        Where to count.
    counting : bool
        Whether losses are counted; infinities and NaNs are noted in any case.
    normal : float
        The smallest normal number of what is stored.

    Attributes
    ----------
    special : bool
        Whether a result since this was last set to False holds an infinity or a NaN.
    """

    trusts_wide_sums = True

    def __init__(self, report: Report, counting: bool, normal: float) -> None:
        super().__init__()
        self.sampling = counting
        self.special = False
        self._report, self._normal = report, np.float32(normal)
        self._products: Counter[tuple[str, str]] = Counter()

    def count(self, layer: str, kind: str, exact: Array, stored: Array) -> None:
        """Count the losses of a result."""
        if not self.sampling:
            return
        counts = self._report.modules[layer]
        counts.elements += stored.size
        wide, narrow = np.ravel(exact), np.ravel(stored)
        for start in range(0, narrow.size, _PART):
            part = slice(start, start + _PART)
            _count(counts, self._normal, *(x[part].astype(np.float32, copy=False) for x in (wide, narrow)))

    def operand(self, layer: str, values: Array, stored: Array) -> None:
        """Count what rounding a float32 operand took off."""
        if not self.sampling:
            return
        narrow = stored.astype(np.float32, copy=False)
        differs = narrow != values
        changed = int(np.count_nonzero(differs))
        if not changed:
            return
        counts = self._report.modules[layer]
        counts.rounded += changed
        counts.rounded_flushed += int(np.count_nonzero(differs & (narrow == 0)))
        if not np.abs(narrow).max() < np.inf:
            counts.rounded -= int(np.count_nonzero(np.isnan(values)))
            counts.rounded_overflow += int(np.count_nonzero(differs & np.isinf(narrow)))

    def watch(self, layer: str, tensor: str, stored: Array) -> None:
        """Note whether a result holds an infinity or a NaN."""
        if not self.special and self._report.first is None:
            self.special = is_special(np.asarray(stored))

    def compare(self, layer: str, exact: Array, stored: Array) -> None:
        """Keep no book of errors."""

    def watches(self, layer: str, product: str) -> bool:
        """Whether a product is watched: the first of a layer and pass, and every eighth then."""
        number = self._products[layer, product]
        self._products[layer, product] += 1
        return number % _EVERY == 0

    def swallow(self, layer: str, product: str, pair: tuple[int, int]) -> None:
        """Count watched additions."""
        counts = self._report.modules[layer]
        counts.swallowed += pair[0]
        counts.additions += pair[1]


def _count(counts: Counts, normal: np.float32, exact: Array, stored: Array) -> None:
    differs = exact != stored
    inexact = int(np.count_nonzero(differs))
    if not inexact:
        return
    size = np.abs(stored)
    if size.max() < _LARGEST:
        # Nothing is infinite or a NaN: passes over all cost less than a choice of elements.
        counts.inexact += inexact
        counts.underflow += int(np.count_nonzero(differs & (size < normal)))
        counts.flushed += int(np.count_nonzero(differs & (size == 0)))
        return
    exact, stored = exact[differs], stored[differs]
    nan = np.isnan(stored)
    different = ~(nan & np.isnan(exact))
    size = np.abs(stored)
    counts.inexact += int(np.count_nonzero(different & ~nan))
    counts.invalid += int(np.count_nonzero(nan & different))
    beyond = np.isinf(stored) | ((size == _LARGEST) & (np.abs(exact) >= _BEYOND))
    counts.overflow += int(np.count_nonzero(np.isfinite(exact) & beyond))
    counts.underflow += int(np.count_nonzero(size < normal))
    counts.flushed += int(np.count_nonzero(size == 0))
