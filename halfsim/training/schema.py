"""The top level of a configuration, checked key by key, and how a mistake in it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["ConfigError", "TopLevel", "made", "validated"]

_Count = Annotated[int, Field(ge=1, le=2**53)]
_PLACE = re.compile(r"^[A-Za-z_]+: ")


class ConfigError(ValueError):
    """What is wrong with a configuration, in one sentence that names the file and the key.

    Examples
    --------
    >>> from halfsim.training.config import experiment
    >>> experiment({"batch": 8, "steps": "many"}, "run.toml")
    Traceback (most recent call last):
    halfsim.training.schema.ConfigError: run.toml: steps='many': input should be a valid integer
    """


class _Data(BaseModel):
    """Which data a finished run had."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    file: str | None = None
    sha256: str | None = None


class _Code(BaseModel):
    """Which sources made a finished run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str | None = None
    sha256: str | None = None


_WRITTEN: dict[str, type[BaseModel]] = {"data": _Data, "code": _Code}
"""What a finished run wrote beside its configuration."""


class TopLevel(BaseModel):
    """The top level of a configuration."""

    model_config = ConfigDict(extra="forbid", strict=True)

    batch: _Count | Literal["full"]
    steps: _Count
    evaluate_every: _Count | None = None
    sample_every: _Count = 8
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    task: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    policy: dict[str, Any]
    sweep: dict[str, Any] = {}
    data: _Data | None = None
    code: _Code | None = None


def made(where: str, section: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a section of the file describes; of a mistake, say where it is."""
    try:
        return make(*arguments)
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise ConfigError(f"{where}: {section}: {_PLACE.sub('', str(error))}") from None


def validated(table: Mapping[str, Any], where: str) -> TopLevel:
    """Return the top level of a configuration; of what is wrong, the first mistake is told, unknown keys before all."""
    try:
        # TOML has what JSON has: lists stand for tuples, and integers for floats, but no text for a number.
        return TopLevel.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        # A key that is missing may be one that is misspelt.
        first = min(error.errors(include_url=False), key=lambda mistake: mistake["type"] != "extra_forbidden")
        section, *within = first["loc"]
        if within and section in _WRITTEN:
            prefix, key, fields = f"{section}.", ".".join(map(str, within)), _WRITTEN[str(section)].model_fields
        else:
            prefix, fields = "", TopLevel.model_fields
            key = ".".join(str(part) for part in first["loc"] if part in table or not within)
        if first["type"] == "extra_forbidden":
            known = [name for name in fields if prefix or name not in _WRITTEN]
            alike = get_close_matches(key, known, n=1)
            meant = f"; did you mean {prefix}{alike[0]}?" if alike else ""
            message = f"{prefix}{key} is unknown{meant}; known are {', '.join(prefix + name for name in known)}"
        elif first["type"] == "missing":
            message = f"{prefix}{key} is missing"
        else:
            message = f"{prefix}{key}={first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise ConfigError(f"{where}: {message}") from None
