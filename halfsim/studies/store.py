"""Results on disk: one file per run, written whole or not at all, named by everything that decides the run."""

from __future__ import annotations

import contextlib
import csv
import enum
import hashlib
import io
import json
import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import halfsim

__all__ = [
    "event_of",
    "load",
    "naming",
    "plain",
    "run_id",
    "save",
    "save_table",
    "source_digest",
    "write_atomically",
    "write_whole",
]


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: rows become objects named by their class, enum members their names.

    Numbers that JSON lacks become None. Fields that do not count in comparisons (sources, evidence) are left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        body = {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.compare}
        return {"row": type(value).__name__, **body}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return a digest of the package's sources: a run made by other code is another run."""
    package = Path(halfsim.__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_id(config: Mapping[str, Any]) -> str:
    """Return the name of a run: 16 hexadecimal digits of the digest of its resolved configuration."""
    text = json.dumps(plain(config), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name and move it in place, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(file: int, content: bytes | memoryview) -> None:
    """Write to an open file, in as many pieces as the system wants."""
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error of writing to it, which by itself names none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def save(path: Path, value: Any) -> None:
    """Write a value as JSON."""
    write_atomically(path, json.dumps(plain(value), indent=1, sort_keys=False, allow_nan=False) + "\n")


def load(path: Path) -> Any:
    """Return what a JSON file holds, None if there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def save_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as CSV."""
    rows = [plain(row) for row in rows]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(path, text.getvalue())


def event_of(path: Path, number: int, line: bytes, *needed: str) -> dict[str, Any]:
    """Return the event in a line of a run's events; ValueError names a line that is none, or lacks a key."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not event.keys() >= set(needed):
        raise ValueError(f"{path}: line {number} is damaged; delete the folder {path.parent} and run again")
    return event
