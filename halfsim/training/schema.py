"""The top level of a configuration, checked key by key, and how a mistake in it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["ConfigError", "TopLevel", "made", "validated"]

_Count = Annotated[int, Field(ge=1)]
_PLACE = re.compile(r"^[A-Za-z_]+: ")


class ConfigError(ValueError):
    """What is wrong with a configuration, in one sentence that names the file and the key."""


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
    # What a finished run wrote beside its configuration.
    data: dict[str, str] = {}
    code: dict[str, str] = {}


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
        key = ".".join(str(part) for part in first["loc"] if part in table or len(first["loc"]) == 1)
        known = [name for name in TopLevel.model_fields if name not in ("data", "code")]
        if first["type"] == "extra_forbidden":
            alike = get_close_matches(key, known, n=1)
            meant = f"; did you mean {alike[0]}?" if alike else ""
            message = f"{key} is unknown{meant}; known are {', '.join(known)}"
        elif first["type"] == "missing":
            message = f"{key} is missing"
        else:
            message = f"{key}={first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise ConfigError(f"{where}: {message}") from None
