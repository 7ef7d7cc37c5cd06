"""Rows of the vocabulary as plain tables: numbers, texts, lists and tables of them, as TOML and JSON hold."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from halfsim import formats
from halfsim.accumulators import Accumulator
from halfsim.formats import Format
from halfsim.policy.loss_scale import DynamicScale, LayerScale, NoScale, StaticScale
from halfsim.rounding import ALIASES, Rounding, Stochastic
from halfsim.tensorcores import SUMS, TABLE, as_accumulator

__all__ = ["FORMATS", "KINDS", "table_of"]

FORMATS = {row.name: row for row in vars(formats).values() if isinstance(row, Format)}
"""The formats that have a name of their own."""

KINDS: dict[type, str] = {
    Stochastic: "stochastic",
    NoScale: "none",
    StaticScale: "static",
    DynamicScale: "dynamic",
    LayerScale: "layer",
}
"""What `kind` is for rows that do not use the name of their class."""

_ALIASES = {rounding: alias for alias, rounding in ALIASES.items()}


def table_of(value: Any) -> Any:
    """Return a row, or what stands in one, as plain data; fields that are not compared are left out."""
    if isinstance(value, Rounding):
        return _ALIASES[value]
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Format) and FORMATS.get(value.name) == value:
        return value.name
    if isinstance(value, Accumulator) and value in _names():
        return _names()[value]
    if isinstance(value, tuple):
        return [table_of(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        body = {field.name: table_of(getattr(value, field.name)) for field in fields(value) if field.compare}
        return {"kind": KINDS.get(type(value), type(value).__name__), **body}
    return value


@lru_cache(maxsize=1)
def _names() -> dict[Accumulator, str]:
    """Return the first and shortest name of every accumulator that has one."""
    cores = [(gpu, entry) for entry in TABLE for gpu in entry.gpus]
    candidates = [
        *SUMS,
        *(f"{gpu}:{entry.output}" for gpu, entry in cores if entry.inputs == "f16"),
        *(f"{gpu}:{entry.output}:{entry.inputs}" for gpu, entry in cores),
        *(f"{gpu}:{entry.output}:{entry.instruction}:{entry.inputs}" for gpu, entry in cores),
    ]
    found: dict[Accumulator, str] = {}
    for name in candidates:
        found.setdefault(as_accumulator(name), name)
    return found
