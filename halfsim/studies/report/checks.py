"""What was expected of a study, and what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["evaluate"]


def evaluate(checks: Sequence[Any], parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks with what was found and whether it is in range.

    A number that is not there, or not finite, is found as None and fails.

    Parameters
    ----------
    checks : sequence of Check
        ``measure`` of ``variant`` in ``part`` must land in [``low``, ``high``]: the mean over seeds, or the cell of a
        computed table. With ``against``, its difference to that row, or with ``relative`` too, its ratio. The row of a
        computed table is the value of its first column, or a mapping of columns to values that one row alone has. A
        check with ``data`` is made only if the part has those, as it tells in its own ``data``.
    parts : sequence of mapping
        As ``results.json`` holds them.

    Returns
    -------
    list of dict
        One per check: its fields, ``found`` and ``passed``, None for one that is not made with the data at hand.
    """
    named = {part["name"]: part for part in parts}
    results = []
    for check in checks:
        found = _found(check, named.get(check.part))
        passed = found is not None and check.low <= found <= check.high if _is_made(check, named) else None
        fields = ("name", "part", "row", "measure", "low", "high", "against", "relative", "data")
        results.append({**{field: getattr(check, field) for field in fields}, "found": found, "passed": passed})
    return results


def _is_made(check: Any, named: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the part has the data that the check is for."""
    found = named.get(check.part, {}).get("data", [])
    return not check.data or check.data in found


def _found(check: Any, part: Mapping[str, Any] | None) -> float | None:
    if part is None:
        return None
    value = _value(part, check.row, check.measure)
    if check.against is None or value is None:
        return value
    base = _value(part, check.against, check.measure)
    if base is None or (check.relative and base == 0):
        return None
    return value / base if check.relative else value - base


def _value(part: Mapping[str, Any], row: Any, measure: str) -> float | None:
    """Return a number of a part's summary or table, None if it is not there or not finite."""
    if "rows" in part:
        wanted = row if isinstance(row, Mapping) else {part["columns"][0]: row}
        found = [
            line[measure]
            for line in part["rows"]
            if measure in line and all(str(line.get(column)) == str(value) for column, value in wanted.items())
        ]
    else:
        found = [
            {**line["measures"], **line["books"]}.get(measure, {}).get("mean")
            for line in part["summary"]
            if line["variant"] == row
        ]
    value = found[0] if len(found) == 1 else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
