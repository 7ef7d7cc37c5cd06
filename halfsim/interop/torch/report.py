"""What a simulation did, and what it did not: operators, losses by module, and the first infinity or NaN."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from halfsim.training.ledger import WATCHED

__all__ = ["EVERY", "Counts", "Report"]

EVERY = 32
"""Products of a module and pass from one whose additions are watched to the next."""


@dataclass
class Counts:
    """Losses of the results of a module, and of float32 operands that were rounded to take part in its operations.

    A product is compared with the binary32 sum of the same factors where its accumulator delivers less, where that is
    binary16 in a sample of the rows unless `rows` is 1; and with what the accumulator itself delivered where that is
    binary32 or more: then the losses are those of storing it, and not what the sums of a tensor core lost. Other
    results are compared with the same operation of the same operands in binary32. Those kept, as losses and sums of all
    elements are, count alike.

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
        Those that differ from what they are compared with; of these, those infinite as stored (or 65504, where the
        rounding stops at the largest number of binary16; one of another format does not tell) but not in the
        comparison; those below the smallest normal; those stored as 0.
    invalid : int
        Those that are NaN but not in the comparison.
    swallowed, additions : int
        Of the additions watched, those that left the sum as it was, and all watched: a sample, in sixteen elements of
        the first and of one product in 32 then of a module and pass; of stacks of matrices, in that of the first ones.
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
        losses another product must show, the first of a module and pass is, and one in `count` then, at no fixed
        distance.
    rows : int
        What `simulate` was given: of such products one row in so many is compared, mostly others in the next product,
        or where that were fewer than 64, more of one product in some; and every result that is zero, subnormal,
        infinite, NaN or the largest number, with others of its row where there are many. Those of fewer than 1,024
        results are compared whole.
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
        watched = f"additions: a sample, {WATCHED} sums of one product in {EVERY} of a module and pass"
        left = sum(counts.uncounted for counts in self.modules.values())
        if self.count == 1 and not left:
            return f"losses: of all results; {watched}"
        reasons = []
        if self.count > 1:
            reasons.append(f"as count={self.count} takes the first of a module and pass, and one in {self.count} then")
        if self.rows > 1:
            sample = f"as rows={self.rows} compares one row in {self.rows}, and every result out of the ordinary"
            exact = "inexact is of that sample, and overflow, underflow, flushed and invalid of all"
            reasons.append(f"{sample}: {exact}" if self.count == 1 else sample)
        return (
            f"losses: of all results but {left}, of products whose losses another product must show, "
            f"{', and '.join(reasons)}; {watched}"
        )
