"""The coverage model: classes of operands, class of the result and flags, of an operation in one rounding direction.

A bin is a combination of these. It is reachable if some operands fall in it. Which bins are is found by trying all
operands, once (``reachable.json``) or on the spot; by argument (`outcomes`), where there are too many; or by trying
every order of every two classes, where nothing else matters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.environment import IEEE, Environment, Tininess
from halfsim.rounding import ALIASES, Rounding, RoundingLike, Stochastic, as_rounding
from halfsim.testvectors.bins import CLASSES, bin_name, bin_of, indices, outcome_name
from halfsim.testvectors.cases.plan import Operands
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.outcomes import Outcomes, outcomes, rule_of
from halfsim.testvectors.patterns import FORMATS, word_of
from halfsim.testvectors.subjects import Subject

__all__ = ["Coverage", "Reachable", "argued", "key", "measure", "reachable", "unreachable"]

_WIDEST = 19
_HOW = {
    "enumerated": "all operands were tried",
    "argued": "argued from where exact results lie",
    "compared": "every order of every two classes was tried",
}
# Two numbers and a third of every class, of both signs, so that every order of every two classes is among the pairs.
_MAGNITUDES = (0, 1, 2, 0x3FF, 0x400, 0x3C00, 0x7BFF, 0x7C00, 0x7C01, 0x7C02, 0x7DFF, 0x7E00, 0x7E01, 0x7FFF)
_ORDERED = np.array([sign | word for sign in (0, 0x8000) for word in _MAGNITUDES], np.uint16)


@dataclass(slots=True)
class Coverage:
    """Which bins some rows hit; add blocks as they come, and merge the coverage of parts.

    Parameters
    ----------
    subject : Subject
        The operation.
    hits : dict
        Rows per bin.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.coverage import Coverage
    >>> coverage = Coverage(subject("sqrt"))
    >>> operands = [np.arange(65536, dtype=np.uint16)]
    >>> coverage.add(operands, *coverage.subject.evaluate(operands))
    >>> coverage.named()[2]
    ('+subnormal -> +normal (no flag)', 31)
    """

    subject: Subject
    hits: dict[int, int] = field(default_factory=dict)

    def add(self, operands: Sequence[NDArray[Any]], result: NDArray[Any], flags: NDArray[np.uint8]) -> None:
        """Count the rows of a block.

        Parameters
        ----------
        operands, result : sequence of unsigned arrays, unsigned array
            Patterns, one array for each operand, and one for the results.
        flags : uint8 array
            `Flags` bits.
        """
        found_in = indices(self.subject, operands, result, flags)
        if not len(found_in):
            return
        if len(self.subject.operands) > 2:
            found, counts = np.unique(found_in, return_counts=True)
        else:
            every = np.bincount(found_in)
            found = np.flatnonzero(every)
            counts = every[found]
        for index, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.hits[index] = self.hits.get(index, 0) + count

    def merge(self, other: Coverage) -> None:
        """Count the rows of another part of the same vectors.

        Parameters
        ----------
        other : Coverage
            Of the same subject.
        """
        for index, count in other.hits.items():
            self.hits[index] = self.hits.get(index, 0) + count

    def named(self) -> list[tuple[str, int]]:
        """Return every bin that was hit, in words, and its rows."""
        return [(bin_name(self.subject, index), self.hits[index]) for index in sorted(self.hits)]


def measure(
    subject: Subject,
    blocks: Iterable[Operands],
    rounding: RoundingLike = "rne",
    environment: Environment = IEEE,
    options: tuple[str, ...] = (),
) -> Coverage:
    """Return the coverage of the rows of a plan, or of a part of it.

    Parameters
    ----------
    subject : Subject
        The operation.
    blocks : iterable of Operands
        Rows, as the ``blocks`` of a plan gives them.
    rounding : Rounding, Stochastic or str
        Rounding direction.
    environment : Environment
        NaN rule, tininess and flushing.
    options : tuple of str
        Keywords that are set.

    Returns
    -------
    Coverage
        Rows per bin; the coverage of parts merges into that of the whole.

    Examples
    --------
    >>> import halfsim as hs
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.cases import plan
    >>> from halfsim.testvectors.coverage import measure, reachable
    >>> fma = subject("fma")
    >>> hit = measure(fma, plan(fma, ["coverage"]).blocks(), "rup", hs.RISCV)
    >>> reachable(fma, "rup", hs.RISCV).share(hit)
    1.0
    """
    coverage = Coverage(subject)
    for block in blocks:
        result, flags = subject.evaluate(
            block.words, rounding=rounding, environment=environment, options=options, first=block.first
        )
        coverage.add(block.words, result, flags)
    return coverage


@dataclass(frozen=True, slots=True)
class Reachable:
    """The bins that operands can fall in.

    Parameters
    ----------
    how : str
        ``"enumerated"``: all operands were tried. ``"argued"``: exact results lie where `outcomes` says.
        ``"compared"``: every order of every two classes was tried, and the result depends on nothing else.
    rows : int
        Operands tried; 0 where argued.
    bins : frozenset of int
        The bins.
    """

    how: str
    rows: int
    bins: frozenset[int]

    @property
    def found(self) -> str:
        """How the bins were found, in words."""
        return _HOW[self.how]

    def missed(self, coverage: Coverage) -> list[str]:
        """Return the reachable bins that were not hit, in words."""
        return [bin_name(coverage.subject, index) for index in sorted(self.bins - coverage.hits.keys())]

    def share(self, coverage: Coverage) -> float:
        """Return the share of the reachable bins that were hit."""
        return len(self.bins & coverage.hits.keys()) / len(self.bins)

    def to_dict(self, coverage: Coverage) -> dict[str, Any]:
        """Return what was hit and what was missed as JSON can hold it."""
        return {
            "operation": coverage.subject.name,
            "rows": sum(coverage.hits.values()),
            "how": self.how,
            "reachable": len(self.bins),
            "hit": len(self.bins & coverage.hits.keys()),
            "missed": self.missed(coverage),
            "beyond": self.beyond(coverage),
        }

    def beyond(self, coverage: Coverage) -> list[str]:
        """Return the bins that were hit though they are not known as reachable, in words."""
        return [bin_name(coverage.subject, index) for index in sorted(coverage.hits.keys() - self.bins)]


def key(subject: Subject, rounding: RoundingLike, tininess: Tininess) -> str:
    """Return the key of a table of reachable bins; what cannot matter for a subject is not part of it."""
    mode = as_rounding(rounding, "coverage")
    parts = [subject.name]
    if subject.rounds:
        names = {value: alias for alias, value in ALIASES.items()}
        parts.append(names[mode] if isinstance(mode, Rounding) else "stochastic")
        if subject.name in ("multiply", "fma") or (subject.operation == "convert" and subject.result in FORMATS):
            parts.append(tininess.name.removesuffix("Rounding"))
    return "-".join(parts)


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    text = resources.files("halfsim.testvectors").joinpath("reachable.json").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = json.loads(text)
    return tables


def reachable(
    subject: Subject, rounding: RoundingLike, environment: Environment, options: tuple[str, ...] = ()
) -> Reachable | None:
    """Return the reachable bins of a subject in a direction, or None where nobody has looked.

    The bins are those of gradual underflow; where subnormals are flushed, and for stochastic rounding, there are none.
    """
    mode = as_rounding(rounding, "reachable")
    if environment.flush_inputs or environment.flush_results or isinstance(mode, Stochastic):
        return None
    if len(subject.operands) == 1 and TYPES[subject.operands[0]] <= _WIDEST:
        return _tried(subject, mode, environment, options, "enumerated")
    table = _tables().get(key(subject, mode, environment.tininess))
    if table is not None:
        return Reachable(table["how"], table["rows"], frozenset(int(word, 36) for word in table["bins"].split()))
    if rule_of(subject):
        return argued(subject, mode, environment)
    return None if subject.rounds else _tried(subject, mode, environment, options, "compared")


def argued(subject: Subject, rounding: Rounding, environment: Environment) -> Reachable:
    """Return the bins that `outcomes` leaves, of an operation that it has a rule for."""
    bins = set()
    for classes, found in _rows(subject, rounding, environment):
        for result, flags in found.possible:
            bins.add(bin_of(classes, result, flags))
    return Reachable("argued", 0, frozenset(bins))


def unreachable(
    subject: Subject, rounding: RoundingLike, environment: Environment
) -> Iterator[tuple[str, list[str], str]]:
    """Yield what operands of every choice of classes can give, and why they give nothing else.

    Parameters
    ----------
    subject : Subject
        The operation.
    rounding : Rounding or str
        Rounding direction.
    environment : Environment
        Tininess and NaN rule.

    Yields
    ------
    tuple of (str, list of str, str)
        Classes of the operands, the outcomes, and the reason. Nothing for operations without a rule: all their operands
        were tried, or every order of every two classes.
    """
    mode = as_rounding(rounding, "unreachable")
    if not rule_of(subject) or isinstance(mode, Stochastic):
        return
    for classes, found in _rows(subject, mode, environment):
        given = ", ".join(CLASSES[index] for index in classes)
        yield given, [outcome_name(*item) for item in sorted(found.possible)], found.reason


def _rows(subject: Subject, rounding: Rounding, environment: Environment) -> Iterator[tuple[tuple[int, ...], Outcomes]]:
    integers = {True: (0, 4, 5), False: (0, 4)}
    present = [range(len(CLASSES)) if kind in FORMATS else integers[kind.startswith("i")] for kind in subject.operands]
    for classes in product(*present):
        found = outcomes(subject, classes, rounding, environment)
        if found is not None:
            yield classes, found


@lru_cache(maxsize=64)
def _tried(
    subject: Subject, rounding: Rounding, environment: Environment, options: tuple[str, ...], how: str
) -> Reachable:
    if how == "enumerated":
        kind = subject.operands[0]
        operands = [np.arange(1 << TYPES[kind]).astype(word_of(kind))]
    else:
        operands = [column.ravel() for column in np.meshgrid(_ORDERED, _ORDERED)]
    coverage = Coverage(subject)
    result, flags = subject.evaluate(operands, rounding=rounding, environment=environment, options=options)
    coverage.add(operands, result, flags)
    return Reachable(how, len(operands[0]), frozenset(coverage.hits))
