"""What a simulation did, and what it did not: operators, losses by module, and the first infinity or NaN."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from halfsim.core.control import control_word
from halfsim.environment import IEEE
from halfsim.kernels.census import LOSSES, losses16, losses32
from halfsim.rounding import Rounding
from halfsim.training.arithmetic import Array
from halfsim.training.ledger import WATCHED, Ledger, is_special

__all__ = ["Counts", "Report", "Tally"]

_LEAST = 16
"""Rows that are compared at least."""
_EVERY = 8
"""Products of a module and pass from one whose additions are watched to the next."""
_NEAREST = control_word(Rounding.roundTiesToEven, IEEE)


@dataclass
class Counts:
    """Losses of the results of a module, and of float32 operands that were rounded to take part in its operations.

    A product is compared with the binary32 sum of the same factors where its accumulator delivers binary16, in a sample
    of its rows unless `rows` is 1; and with what the accumulator itself delivered where that is binary32: then the
    losses are those of storing it, and not what the sums of a tensor core lost. Other results are compared with the
    same operation of the same operands in binary32. Those kept, as losses and sums of all elements are, count alike.

    What rounding an operand of a product, a sum or a normalisation takes off, as that of a float32 weight, is no loss
    of the result: it is counted by itself, at every use. Elementwise operations count it with that of the result.

    Attributes
    ----------
    elements : int
        Results counted.
    uncounted : int
        Results beside those. What `rows` left out are normal numbers below the largest, of which none can be anything
        but inexact, so that overflow, underflow, flushed and invalid are those of all results; of products that `count`
        left out, all that follows lacks.
    inexact, overflow, underflow, flushed : int
        Those that differ from what they are compared with; of these, those infinite as stored (or the largest number,
        where the rounding stops there) but not in the comparison; those below the smallest normal; those stored as 0.
    invalid : int
        Those that are NaN but not in the comparison.
    swallowed, additions : int
        Of the additions watched, those that left the sum as it was, and all watched: a sample, in sixteen elements of
        the first and of every eighth product of a module and pass; of stacks of matrices, in that of the first ones.
    rounded, rounded_overflow, rounded_flushed : int
        Operands that rounding to the stored format, or flushing, changed; of these, those made infinite, and made zero.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> with halfsim.torch.simulate("binary16-pure") as report:
    ...     _ = torch.tensor([[2048.0, 1.0], [300.0, 300.0]]) @ torch.tensor([[1.0], [300.0]])
    >>> report.modules[""]
    Counts(elements=2, uncounted=0, inexact=1, overflow=1, ..., additions=4, ...)
    """

    elements: int = 0
    uncounted: int = 0
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
    count : int
        What `simulate` was given: 1 where every result is counted, 0 where none is; otherwise, of the products whose
        losses another product must show, the first of a module and pass is, and every `count`-th then.
    rows : int
        What `simulate` was given: of such a product, one row in so many is compared, sixteen at least and others in the
        next product, and every row with a result that is zero, subnormal, infinite, NaN or the largest number.
    first : dict or None
        ``{"module", "operator", "phase", "call"}`` of the first operator that made an infinity or a NaN of finite
        numbers; `call` counts simulated calls.
    notes : list of str
        What the policy or the arguments say and nothing obeyed; complete when the block has ended.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> with halfsim.torch.simulate("h100:f32") as report:
    ...     _ = torch.fft.fft(torch.ones(2, 2) @ torch.ones(2, 2))
    >>> report.simulated, list(report.not_simulated)
    (Counter({'mm': 1}), [('_fft_r2c', 'no arithmetic is known for it')])
    """

    simulated: Counter[str] = field(default_factory=Counter)
    not_simulated: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    modules: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    first: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    count: int = 1
    rows: int = 1

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
            "count": self.count,
            "rows": self.rows,
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
        lines.append(self._counted())
        if not self.count:
            return "\n".join(lines)
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

    def _counted(self) -> str:
        """Return what the counts below cover."""
        if not self.count:
            return "losses: not counted, as count=False says"
        watched = f"additions: a sample, {WATCHED} sums of one product in {_EVERY} of a module and pass"
        left = sum(counts.uncounted for counts in self.modules.values())
        if self.count == 1 and not left:
            return f"losses: of all results; {watched}"
        reasons = []
        if self.count > 1:
            reasons.append(f"as count={self.count} takes the first of a module and pass, and one in {self.count} then")
        if self.rows > 1:
            sample = f"as rows={self.rows} compares one row in {self.rows}, and all with a result out of the ordinary"
            exact = "inexact is of that sample, and overflow, underflow, flushed and invalid of all"
            reasons.append(f"{sample}: {exact}" if self.count == 1 else sample)
        return (
            f"losses: of all results but {left}, of products whose losses another product must show, "
            f"{', and '.join(reasons)}; {watched}"
        )


class Tally(Ledger):
    """The books of a machine, kept by module in a report.

    Parameters
    ----------
    report : Report
        Where to count, and whether; infinities and NaNs are noted in any case.
    normal : float
        The smallest normal number of what is stored.

    Attributes
    ----------
    special : bool
        Whether a result since this was last set to False holds an infinity or a NaN.
    """

    trusts_wide_sums = True

    def __init__(self, report: Report, normal: float) -> None:
        super().__init__()
        self.sampling = report.count > 0
        self.special = False
        self._report, self._normal = report, np.float32(normal).view(np.int32)
        self._products: Counter[tuple[str, str]] = Counter()

    def count(self, layer: str, kind: str, exact: Array, stored: Array) -> None:
        """Count the losses of a result."""
        if not self.sampling:
            return
        self._report.modules[layer].elements += stored.size
        self.lost(layer, exact, stored)

    def lost(self, layer: str, exact: Array, stored: Array) -> None:
        """Count what a result lost that is counted already, in a type that is narrower than the policy's format."""
        if not self.sampling:
            return
        counts = self._report.modules[layer]
        found = self._losses(exact, stored)
        counts.inexact += found["inexact"]
        counts.overflow += found["overflow"]
        counts.underflow += found["underflow"]
        counts.flushed += found["flushed"]
        counts.invalid += found["invalid"]

    def _losses(self, exact: Array, stored: Array) -> dict[str, int]:
        """Return how many elements lost something in being stored, by what they lost."""
        if stored.flags.f_contiguous and exact.flags.f_contiguous:
            # In the order of memory, which costs no copy.
            exact, stored = exact.T, stored.T
        wide = np.ravel(exact).astype(np.float32, copy=False).view(np.uint32)
        narrow = np.ravel(stored)
        counts = np.zeros(len(LOSSES), np.int64)
        if narrow.dtype == np.float16:
            losses16(wide, narrow.view(np.uint16), self._normal, _NEAREST, counts)
        else:
            losses32(wide, narrow.astype(np.float32, copy=False).view(np.uint32), self._normal, counts)
        return dict(zip(LOSSES, counts.tolist(), strict=True))

    def operand(self, layer: str, values: Array, stored: Array) -> None:
        """Count what rounding a float32 operand, or flushing a float16 one, took off."""
        if not self.sampling:
            return
        found = self._losses(values, stored)
        if found["inexact"]:
            counts = self._report.modules[layer]
            counts.rounded += found["inexact"]
            counts.rounded_flushed += found["flushed"]
            if found["overflow"]:
                counts.rounded_overflow += int(np.count_nonzero(np.isinf(stored) & np.isfinite(values)))

    def watch(self, layer: str, tensor: str, stored: Array) -> None:
        """Note whether a result holds an infinity or a NaN."""
        if not self.special and self._report.first is None:
            self.special = is_special(np.asarray(stored))

    def compare(self, layer: str, exact: Array, stored: Array) -> None:
        """Keep no book of errors."""

    def watches(self, layer: str, product: str) -> tuple[bool, int, int]:
        """Return whether a product is counted, as the report's `count` says, and whether it is one of those watched."""
        number = self._products[layer, product]
        self._products[layer, product] += 1
        return number % self._report.count == 0, 0 if number % _EVERY else WATCHED, number

    def compared(self, layer: str, stored: Array, number: int) -> Array | None:
        """Return which rows of a product are compared with another, as the report's `rows` says; None for all."""
        step = min(self._report.rows, len(stored) // _LEAST)
        if stored.ndim != 2 or step < 2:
            return None
        chosen = _extraordinary(stored)
        chosen[number % step :: step] = True
        rows = np.flatnonzero(chosen)
        if len(rows) == len(stored):
            return None
        self.skip(layer, (len(stored) - len(rows)) * stored.shape[1])
        return rows

    def skip(self, layer: str, elements: int) -> None:
        """Note results of a product that is not counted."""
        self._report.modules[layer].uncounted += elements

    def swallow(self, layer: str, product: str, pair: tuple[int, int]) -> None:
        """Count watched additions."""
        counts = self._report.modules[layer]
        counts.swallowed += pair[0]
        counts.additions += pair[1]


def _extraordinary(stored: Array) -> Array:
    """Return which rows hold a number that is zero, subnormal, the largest of binary16, infinite or NaN."""
    narrow = stored.dtype == np.float16
    word, mask, normal, largest = (
        (np.uint16, 0x7FFF, 0x0400, 0x7BFF) if narrow else (np.uint32, 0x7FFFFFFF, 0x38800000, 0x477FE000)
    )
    patterns: Any = stored.view(word)
    size = (patterns & word(mask)) - word(normal)
    return np.asarray((size >= word(largest - normal)).any(axis=1))
