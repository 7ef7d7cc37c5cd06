"""Names, in headers and on the command line, of types, roundings and environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from enum import Enum
from typing import Any

import halfsim.environment as presets
from halfsim.environment import Environment, NaNRule
from halfsim.rounding import Rounding, RoundingLike, Stochastic, as_rounding

__all__ = ["TYPES", "environment_name", "environment_of", "rounding_name", "rounding_of", "type_width"]

TYPES: Mapping[str, int] = {
    "f16": 16,
    "f32": 32,
    "f64": 64,
    "bf16": 16,
    "tf32": 19,
    "e5m2": 8,
    "e4m3": 8,
    "bool": 1,
    **{f"{sign}{width}": width for sign in ("i", "ui") for width in (8, 16, 32, 64)},
}
"""Types of operands and results, as TestFloat names them where it has them, and their widths in bits."""

_PRESETS = ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA")


def type_width(name: str) -> int:
    """Return the width of a type in bits."""
    if name not in TYPES:
        raise ValueError(f"type_width: unknown type {name!r}; known are {', '.join(TYPES)}")
    return TYPES[name]


def environment_name(environment: Environment) -> str:
    """Return the preset nearest to an environment and, after it, every field that differs: ``RISCV tininess=...``.

    Parameters
    ----------
    environment : Environment
        A preset or any other.

    Returns
    -------
    str
        Such as ``"RISCV"``; `environment_of` reads it.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import halfsim as hs
    >>> from halfsim.testvectors.formats import environment_name
    >>> environment_name(replace(hs.RISCV, tininess=hs.Tininess.beforeRounding))
    'RISCV tininess=beforeRounding'
    """
    described = [(_differences(getattr(presets, name), environment), name) for name in _PRESETS]
    changes, name = min(described, key=lambda item: len(item[0]))
    return " ".join([name, *changes])


def _differences(base: Any, row: Any, prefix: str = "") -> list[str]:
    found = []
    for member in fields(base):
        old, new = getattr(base, member.name), getattr(row, member.name)
        if isinstance(old, NaNRule):
            found += _differences(old, new, "nan.")
        elif old != new:
            found.append(f"{prefix}{member.name}={new.name if isinstance(new, Enum) else str(new).lower()}")
    return found


def environment_of(text: str, function: str = "environment_of") -> Environment:
    """Return the environment that `environment_name` described.

    Parameters
    ----------
    text : str
        Name of a preset in any case, then ``FIELD=VALUE``, separated by spaces.
    function : str
        What messages begin with.

    Raises
    ------
    ValueError
        For an unknown preset, field or value.

    Examples
    --------
    >>> import halfsim as hs
    >>> from halfsim.testvectors.formats import environment_of
    >>> environment_of("RISCV tininess=beforeRounding").tininess.name
    'beforeRounding'
    >>> environment_of("ARM") == hs.ARM
    True
    """
    name, *changes = text.split()
    if name.upper() not in _PRESETS:
        raise ValueError(f"{function}: unknown environment {name!r}; known are {', '.join(_PRESETS)}")
    row: Environment = getattr(presets, name.upper())
    for change in changes:
        key, _, value = change.partition("=")
        try:
            if key.startswith("nan."):
                row = replace(row, nan=_changed(row.nan, key[4:], value))
            else:
                row = _changed(row, key, value)
        except (AttributeError, KeyError, TypeError):
            raise ValueError(f"{function}: environment {text!r} has no {change!r}; write e.g. {_EXAMPLE!r}") from None
    return row


_EXAMPLE = "RISCV tininess=beforeRounding flush_inputs=true"


def _changed(row: Any, key: str, value: str) -> Any:
    old = getattr(row, key)
    new = {"true": True, "false": False}[value] if isinstance(old, bool) else type(old)[value]
    return replace(row, **{key: new})


def rounding_name(rounding: RoundingLike) -> str:
    """Return the IEEE 754 name of a rounding direction, or ``stochastic:BITS:SEED:OFFSET``.

    Parameters
    ----------
    rounding : Rounding, Stochastic or str
        What every public function takes.

    Returns
    -------
    str
        What `rounding_of` reads.

    Raises
    ------
    TypeError
        If it is neither a rounding nor a name.
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> import halfsim as hs
    >>> from halfsim.testvectors.formats import rounding_name
    >>> rounding_name("rtz"), rounding_name(hs.Stochastic(bits=8, seed=3))
    ('roundTowardZero', 'stochastic:8:3:0')
    """
    mode = as_rounding(rounding, "rounding_name")
    if isinstance(mode, Rounding):
        return mode.name
    return f"stochastic:{mode.bits}:{mode.seed}:{mode.offset}"


def rounding_of(text: str, function: str = "rounding_of") -> Rounding | Stochastic:
    """Return the rounding that a name, an alias or ``stochastic:BITS:SEED[:OFFSET]`` stands for.

    Parameters
    ----------
    text : str
        Such as ``"rne"``, ``"roundTowardZero"`` or ``"stochastic:13:7"``.
    function : str
        What messages begin with.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> from halfsim.testvectors.formats import rounding_of
    >>> rounding_of("rup"), rounding_of("stochastic:8:3")
    (<Rounding.roundTowardPositive: 3>, Stochastic(bits=8, seed=3, offset=0))
    """
    if not text.startswith("stochastic"):
        try:
            return as_rounding(text, function)
        except ValueError as error:
            raise ValueError(str(error).replace("halfsim.Stochastic(...)", "stochastic:BITS:SEED")) from None
    try:
        _, bits, seed, *offset = text.split(":")
        return Stochastic(bits=int(bits), seed=int(seed, 0), offset=int(offset[0]) if offset else 0)
    except ValueError as error:
        detail = str(error) if str(error).startswith("Stochastic") else "write stochastic:BITS:SEED"
        raise ValueError(f"{function}: rounding {text!r}: {detail}") from None
