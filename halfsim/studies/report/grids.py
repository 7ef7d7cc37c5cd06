"""The tables of a report, as cells of text that Markdown and HTML both show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from halfsim.studies.report.gradients import shares
from halfsim.studies.report.measures import interval, measure, number, spread

__all__ = ["Cell", "Grid", "books", "checks", "computed", "gradients", "memory", "outcomes", "tally"]

DASH = "\N{EN DASH}"
_BOOKS = (
    "updates_lost", "gradients_flushed", "gradients_overflowed", "gradient_error", "swallowed", "steps_skipped",
    "training_loss",
)  # fmt: skip


class Cell(NamedTuple):
    """What a cell says, and whether it is to be noticed."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its caption, its head, its rows, and which columns are words; the others are numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[int, ...] = (0,)


def outcomes(part: Mapping[str, Any]) -> Grid:
    """Return what the runs of a part reached, and how far from the baseline."""
    names = _names(part, "measures")
    head = ["policy", "n", *(text for name in names for text in (measure(name).head, "Δ [95 %]"))]
    rows = [
        (
            Cell(row["variant"]),
            Cell(str(row["seeds"])),
            *(cell for name in names for cell in _pair(row["measures"].get(name), name)),
        )
        for row in part["summary"]
    ]
    return Grid("Outcome", tuple(head), tuple(rows))


def _pair(found: Mapping[str, Any] | None, name: str) -> tuple[Cell, Cell]:
    """Return the cells of a measure and of its difference to the baseline; strong if zero is not in its interval.

    Equal differences in all seeds, such as that of one and the same example, have no spread to judge them by.
    """
    if found is None:
        return Cell(DASH), Cell("")
    gap = found["difference"]
    if gap is None or gap["n"] == 0:
        return _mean(found, name), Cell("")
    if gap["mean"] is None:
        return _mean(found, name), Cell("NaN")
    ends = None if gap["low"] is None else (gap["low"], gap["high"])
    # Shares of examples are not exact in binary64, nor are their differences.
    has_spread = ends is not None and gap["sd"] > 1e-9 * abs(gap["mean"])
    strong = ends is not None and has_spread and not ends[0] <= 0 <= ends[1]
    return _mean(found, name), Cell(interval(gap["mean"], ends, measure(name)), strong)


def _mean(found: Mapping[str, Any], name: str) -> Cell:
    if found["mean"] is None:
        return Cell(f"NaN in {found['nan']} of {found['n']}", True)
    return Cell(spread(found["mean"], found["sd"], measure(name)))


def books(part: Mapping[str, Any]) -> Grid:
    """Return what was lost on the way: means of the ledger's shares over seeds."""
    known = _names(part, "books")
    names = [name for name in (*_BOOKS, *known) if name in known and name not in ("not_finite", "seconds")]
    rows = []
    for row in part["summary"]:
        means = [row["books"].get(name) for name in dict.fromkeys(names)]
        cells = [
            Cell(DASH if one is None else "NaN" if one["mean"] is None else number(one["mean"], measure(name)))
            for name, one in zip(dict.fromkeys(names), means, strict=True)
        ]
        rows.append((Cell(row["variant"]), *cells))
    heads = (measure(name).head for name in dict.fromkeys(names))
    return Grid("What was lost", ("policy", *heads), tuple(rows))


def gradients(part: Mapping[str, Any]) -> Grid | None:
    """Return where the gradients of the part's histogram lie; None without any."""
    found = part.get("gradients")
    if not found:
        return None
    rows = []
    for kind, counts in found["counts"].items():
        some = shares(counts, found["lowest"])
        cells = (Cell(f"{100 * some[name]:.3g}") for name in ("zero", "lost", "below", "subnormal"))
        rows.append((Cell(f"{kind}s"), *cells, Cell(f"{counts[-1]:,}")))
    which = f"gradients of {found['row']}, {'with its' if found['scaled'] else 'without'} loss scale"
    head = (which, "zero %", "< 2^-25 %", "< 2^-24 %", "2^-24 … 2^-14 %", "not finite")
    return Grid("Gradients", head, tuple(rows))


def memory(part: Mapping[str, Any]) -> Grid | None:
    """Return the bytes that each policy holds by class of tensor, and their ratio to the baseline; None without any."""
    held: Mapping[str, Mapping[str, int]] = part["bytes"]
    if not held:
        return None
    classes = list(dict.fromkeys(name for row in held.values() for name in row))
    first = sum(next(iter(held.values())).values())
    rows = []
    for name, found in held.items():
        total = sum(found.values())
        cells = [Cell(f"{found[kind]:,}" if kind in found else DASH) for kind in classes]
        rows.append((Cell(name), *cells, Cell(f"{total:,}"), Cell(f"{total / first:.2f}" if first else DASH)))
    return Grid("Memory, bytes", ("policy", *classes, "all", "ratio"), tuple(rows))


def computed(part: Mapping[str, Any]) -> Grid:
    """Return a computed table as it is."""
    rows = tuple(tuple(Cell(_plain(row.get(column))) for column in part["columns"]) for row in part["rows"])
    columns = enumerate(part["columns"])
    words = tuple(i for i, name in columns if any(isinstance(row.get(name), str) for row in part["rows"]))
    return Grid("", tuple(name.replace("_", " ") for name in part["columns"]), rows, words)


def checks(found: Sequence[Mapping[str, Any]]) -> Grid:
    """Return what was expected, what was found, and whether that is as expected."""
    rows = tuple(
        (
            Cell(check["name"]),
            Cell(_subject(check)),
            Cell(f"{_bound(check['low'], '−∞')} … {_bound(check['high'], '∞')}"),
            Cell(_plain(check["found"])),
            _verdict(check),
        )
        for check in found
    )
    return Grid("", ("expectation", "number", "expected", "found", "met"), rows, (0, 1))


def _verdict(check: Mapping[str, Any]) -> Cell:
    if check["passed"] is None:
        return Cell(f"checked with {check['data']} only")
    return Cell("yes" if check["passed"] else "NO", not check["passed"])


def tally(found: Sequence[Mapping[str, Any]]) -> str:
    """Return how many checks were met, of those that the data at hand allow, as a sentence without its stop."""
    judged = [check for check in found if check["passed"] is not None]
    left = len(found) - len(judged)
    met = sum(check["passed"] for check in judged)
    return f"{met} of {len(judged)} met" + (f", {left} not checked with these data" if left else "")


def _subject(check: Mapping[str, Any]) -> str:
    sign = "/" if check["relative"] else "−"
    against = "" if check["against"] is None else f" {sign} {_row(check['against'])}"
    return f"{check['measure'].replace('_', ' ')} of {_row(check['row'])}{against}"


def _row(row: Any) -> str:
    """Return the name of a row: words as they are, numbers after their column."""
    if not isinstance(row, Mapping):
        return str(row)
    return ", ".join(value if isinstance(value, str) else f"{key} {value}" for key, value in row.items())


def _bound(value: float | None, infinite: str) -> str:
    # JSON has no infinity.
    return infinite if value is None else _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    whole = float(value).is_integer() and abs(value) < 2**53
    return (f"{int(value):,}" if whole else f"{value:.4g}").replace("-", "−").replace("inf", "∞")


def _names(part: Mapping[str, Any], group: str) -> list[str]:
    return list(dict.fromkeys(name for row in part["summary"] for name in row[group]))
