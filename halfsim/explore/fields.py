"""Fields of a request: every one is text, or a list of texts, as the page sends it; an error names its field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["MOST_BYTES", "FieldError", "blamed", "chosen", "text", "texts"]

MOST_BYTES = 1 << 16
"""Of a request."""


class FieldError(ValueError):
    """What is wrong with one field of a request."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def blamed(field: str) -> Iterator[None]:
    """Let errors of the front door name the field that they are about."""
    try:
        yield
    except FieldError:
        raise
    except (TypeError, ValueError) as error:
        raise FieldError(str(error), field) from error


def text(asked: Mapping[str, Any], field: str, default: str | None = None) -> str:
    """Return a field that holds text."""
    value = asked.get(field, default)
    if not isinstance(value, str):
        raise FieldError(f"{field} is a {type(value).__name__}; send text", field)
    return value


def texts(asked: Mapping[str, Any], field: str, most: int) -> list[str]:
    """Return a field that holds a list of at most so many texts."""
    value = asked.get(field)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FieldError(f"{field} is no list of texts; send one", field)
    if len(value) > most:
        raise FieldError(f"{field} has {len(value)} entries; send at most {most}", field)
    return value


def chosen(asked: Mapping[str, Any], field: str, known: Sequence[str]) -> str:
    """Return a field that holds one of the known names."""
    value = text(asked, field)
    if value not in known:
        raise FieldError(f"unknown {field} {value[:40]!r}; known are {', '.join(known)}", field)
    return value
