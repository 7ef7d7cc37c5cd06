"""Policies from plain tables, such as a part of a TOML file holds; every mistake is named with its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from enum import Enum
from typing import Any

from halfsim.accumulators import Compensated, Exact, FusedDotAdd, Pairwise, Sequential
from halfsim.environment import DefaultNaN, Environment, InvalidInteger, NaNOperand, NaNRule, Tininess
from halfsim.formats import Format, Specials
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.policy.loss_scale import DynamicScale, LayerScale, NoScale, StaticScale
from halfsim.policy.names import named
from halfsim.policy.reduction import PRODUCTS, REDUCTIONS
from halfsim.policy.row import Policy
from halfsim.policy.writing import FORMATS, KINDS
from halfsim.rounding import Stochastic

__all__ = ["from_table"]


def _kinds(*rows: type) -> dict[str, type]:
    return {KINDS.get(row, row.__name__): row for row in rows}


_SUMS = _kinds(Sequential, Pairwise, Compensated, Exact, FusedDotAdd, ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd)
_SCALES = _kinds(NoScale, StaticScale, DynamicScale, LayerScale)
_FORMAT_FIELDS = ("weights", "activations", "gradients", "optimizer_state", "format", "output")
_ROWS: dict[str, dict[str, type]] = {
    **dict.fromkeys((*PRODUCTS, *REDUCTIONS), _SUMS),
    **dict.fromkeys(("update", "rounding", "align", "join"), _kinds(Stochastic)),
    **dict.fromkeys(_FORMAT_FIELDS, _kinds(Format)),
    "loss_scale": _SCALES,
    "environment": _kinds(Environment),
    "nan": _kinds(NaNRule),
}
_MEMBERS: dict[str, type[Enum]] = {
    "specials": Specials,
    "tininess": Tininess,
    "default": DefaultNaN,
    "operand": NaNOperand,
    "invalid_integer": InvalidInteger,
}


def from_table(table: Mapping[str, Any]) -> Policy:
    """Return the policy that a plain table describes.

    Parameters
    ----------
    table : mapping
        Fields of `halfsim.policy.Policy`, all optional but `name`, as `Policy.as_table` writes them: formats,
        roundings and accumulators by name, other rows as tables with a `kind`, which names of loss scales without
        settings (``"none"``, ``"dynamic"``, ``"layer"``) may stand for. With the key `base`, the name of a policy, the
        others change it, and a table without `kind` changes single settings of the row that the base has; without a
        `name` the policy is then called by its base and the changes.

    Returns
    -------
    Policy
        Equal to the policy whose table it is.

    Raises
    ------
    ValueError
        For an unknown key, name or kind, with a suggestion, and for values that a policy cannot have.
    TypeError
        For values of another type than a field has.

    Examples
    --------
    >>> from halfsim.policy import from_table
    >>> policy = from_table({"base": "mixed-scaled", "weight_gradient": "h100:f16", "loss_scale": {"scale": 8}})
    >>> policy.loss_scale, policy.name
    (StaticScale(scale=8.0), 'mixed-scaled, weight_gradient=h100:f16, loss_scale.scale=8')
    """
    if not isinstance(table, Mapping):
        raise TypeError(f"from_table: table={table!r} is a {type(table).__name__}; pass a dict of a policy's fields")
    _known("", table, [field.name for field in fields(Policy)] + ["base"])
    changes = {key: value for key, value in table.items() if key != "base"}
    base = named(table["base"]) if "base" in table else None
    if base is None and "name" not in table:
        raise ValueError("from_table: a policy needs a 'name', or the name of the policy to start from as its 'base'")
    values = {key: _value(key, key, value, getattr(base, key, None)) for key, value in changes.items()}
    if base is None:
        return Policy(**values)
    return replace(base, **{"name": ", ".join([base.name, *_leaves("", changes)]), **values})


def _leaves(prefix: str, table: Mapping[str, Any]) -> list[str]:
    """Return "key=value" of everything in a table, with dotted keys."""
    found = []
    for key, value in table.items():
        nested = isinstance(value, Mapping)
        found += _leaves(f"{prefix}{key}.", value) if nested else [f"{prefix}{key}={value}"]
    return found


def _value(where: str, key: str, value: Any, base: object) -> Any:
    """Return what a value of a table stands for in the field `key`; `base` is what the field holds without it."""
    if isinstance(value, list | tuple) and key == "inputs":
        return tuple(_value(f"{where}[{i}]", "format", item, None) for i, item in enumerate(value))
    if isinstance(value, Mapping):
        if key not in _ROWS:
            raise TypeError(f"from_table: {where}={dict(value)!r} is a table; pass a single value")
        return _row(where, value, _ROWS[key], base)
    if key == "loss_scale" and isinstance(value, int | float) and not isinstance(value, bool):
        raise TypeError(
            f"from_table: {where}={value!r} is a {type(value).__name__}; a constant scale is a table: "
            f"{{kind = 'static', scale = {value!r}}}"
        )
    if not isinstance(value, str):
        return value
    if key in _MEMBERS:
        return _choice(where, value, _MEMBERS[key].__members__)
    if key == "loss_scale":
        return _row(where, {"kind": value}, _SCALES, None)
    if key in _FORMAT_FIELDS:
        return _choice(where, value, FORMATS)
    return FORMATS.get(value, value) if key in REDUCTIONS else value


def _row(where: str, table: Mapping[str, Any], kinds: Mapping[str, type], base: object) -> Any:
    """Return the row of a table: of its `kind`, or else the base with other settings, or else of the only kind."""
    given = {key: value for key, value in table.items() if key != "kind"}
    changed = type(base) if "kind" not in table and type(base) in kinds.values() else None
    kind: Any
    if changed is not None:
        kind = changed
    elif "kind" in table:
        kind = _choice(f"{where}.kind", table["kind"], kinds)
    elif len(kinds) == 1:
        kind = next(iter(kinds.values()))
    else:
        raise ValueError(f"from_table: {where} lacks its 'kind'; known are {', '.join(kinds)}")
    settings = {field.name: field for field in fields(kind) if field.compare}
    if changed is not None and not settings and given:
        others = ", ".join(name for name in kinds if kinds[name] is not changed)
        raise ValueError(f"from_table: {where} has no {', '.join(given)} here; give its 'kind' too, one of {others}")
    _known(where, given, settings)
    values = {
        key: _value(f"{where}.{key}", key, value, getattr(base, key, None) if changed else None)
        for key, value in given.items()
    }
    if changed is not None:
        return replace(base, **values)  # type: ignore[type-var]
    needed = [name for name, field in settings.items() if field.default is MISSING and name not in given]
    if needed:
        raise ValueError(f"from_table: {where} lacks {', '.join(needed)}, which {kind.__name__} has no default for")
    return kind(**values)


def _choice(where: str, value: object, known: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"from_table: {where}={value!r} is a {type(value).__name__}; pass one of {', '.join(known)}")
    if value not in known:
        raise ValueError(f"from_table: unknown {where}={value!r}{_meant(value, known)} known are {', '.join(known)}")
    return known[value]


def _known(where: str, keys: Collection[str], known: Collection[str]) -> None:
    for key in keys:
        if key not in known:
            place = f" of {where}" if where else ""
            raise ValueError(
                f"from_table: unknown key {key!r}{place}{_meant(key, known)} known are {', '.join(known) or 'none'}"
            )


def _meant(text: object, known: Collection[str]) -> str:
    alike = get_close_matches(str(text), known, n=1)
    return f"; did you mean {alike[0]!r}?" if alike else ";"
