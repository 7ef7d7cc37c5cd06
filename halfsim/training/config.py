"""Configurations as TOML files: read, checked key by key, changed from the command line, and swept.

```toml
batch = 8
steps = 4000
evaluate_every = 400

[task]
name = "classification"
dataset = "digits"

[model]
name = "perceptron"
sizes = [64, 128, 10]

[optimizer]
name = "adam"
rate = 2e-5

[policy]
base = "mixed"

[sweep]
seed = [0, 1, 2]
"policy.update" = ["master", "nearest", "stochastic", "kahan"]
```

A name alone stands for a table: ``policy = "mixed"``. Under ``[sweep]`` every key has a list of values, and all their
combinations are run; keys listed in ``zip = [...]`` take their values side by side.
"""

from __future__ import annotations

import copy
import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfsim.policy import from_table
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.fit import check_fit
from halfsim.training.models import MODELS
from halfsim.training.optim import OPTIMIZERS
from halfsim.training.registry import row_of
from halfsim.training.schema import ConfigError, made, validated
from halfsim.training.tasks import TASKS

__all__ = ["ConfigError", "Point", "change", "expand", "experiment", "read"]

_NAMES = {"task": "name", "model": "name", "optimizer": "name", "policy": "base"}


@dataclass(frozen=True, slots=True)
class Point:
    """One run of a sweep.

    Parameters
    ----------
    changes, table : dict
        The values of the swept keys, by dotted key, and the whole configuration with them.

    Examples
    --------
    >>> from halfsim.training.config import Point
    >>> Point({"seed": 1}, {"seed": 1, "steps": 10}).changes
    {'seed': 1}
    """

    changes: dict[str, Any]
    table: dict[str, Any]


def read(path: Path, changes: Iterable[str] = ()) -> dict[str, Any]:
    """Return the table of a TOML file, with changes of the form ``key=value``.

    Parameters
    ----------
    path : Path
        The file, UTF-8, with or without a byte order mark.
    changes : iterable of str
        ``KEY=VALUE``, the key with dots, the value as TOML writes it; one that TOML cannot read is a text.

    Returns
    -------
    dict
        The table, its ``sweep`` flat: dotted keys to lists.

    Raises
    ------
    ConfigError
        If the file is no TOML, a change has no ``=`` or a list that TOML cannot read, or the sweep would undo it.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from halfsim.training.config import read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "run.toml")
    ...     _ = path.write_text("steps = 10")
    ...     read(path, ["steps=20"])
    {'steps': 20, 'sweep': {}}
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    table["sweep"] = _flat(table.get("sweep", {}), path)
    made: dict[str, Any] = {}
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{text!r} is no change of a configuration; write KEY=VALUE such as policy.update=kahan")
        name, parsed = _unquoted(key.strip(), path), _parsed(value.strip())
        change(table, name, parsed)
        table["sweep"] = _flat(table["sweep"], path)
        made |= _flat({name: parsed}, path)
    for swept in (key for key in table["sweep"] if key != "zip"):
        if undone := [key for key in made if key == swept or key.startswith(f"{swept}.")]:
            raise ConfigError(
                f"{path}: [sweep] has {swept}, so that {undone[0]}={made[undone[0]]!r} would change nothing; "
                f"change sweep.{swept}=[...] instead"
            )
    return table


def _flat(sweep: Any, path: Path) -> dict[str, Any]:
    """Return a sweep with dotted keys: TOML makes tables of those that are not quoted."""
    if not isinstance(sweep, dict):
        raise ConfigError(f"{path}: sweep={sweep!r} must be a table of keys and lists of their values")
    found: dict[str, Any] = {}
    for key, value in sweep.items():
        inner = {f"{key}.{name}": item for name, item in _flat(value, path).items()} if isinstance(value, dict) else {}
        found |= inner or {key: value}
    return found


def _unquoted(key: str, path: Path) -> str:
    """Return a dotted key without TOML's quotes, as files have them under [sweep]."""
    try:
        return next(iter(_flat(tomllib.loads(f"{key} = 0"), path)))
    except (tomllib.TOMLDecodeError, StopIteration):
        return key


def _parsed(text: str) -> Any:
    """Return what a value is in TOML; a word that is nothing there stands for itself.

    A list or a table that is none in TOML, as one is that has words without quotes, is a `ConfigError`.
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text.startswith(("[", "{")):
            raise ConfigError(f"{text} is no value of TOML: {error}; inside of it texts need quotes") from None
        return text


def change(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of a table in place.

    Parameters
    ----------
    table : dict
        A table as `read` returns it.
    key : str
        With dots: ``"policy.update"``; below ``sweep`` the rest is one key.
    value : object
        What TOML can hold. A name on the way (``policy = "mixed"``) becomes a table of that name.

    Examples
    --------
    >>> from halfsim.training.config import change
    >>> table = {"policy": "mixed"}
    >>> change(table, "policy.update", "kahan")
    >>> table
    {'policy': {'base': 'mixed', 'update': 'kahan'}}
    """
    first, _, rest = key.partition(".")
    if first == "sweep" and rest:
        table.setdefault("sweep", {})[rest] = value
        return
    names = key.split(".")
    inner = table
    for name in names[:-1]:
        below = inner.get(name, {})
        if not isinstance(below, dict):
            below = {_NAMES.get(name, "kind"): below}
        inner[name] = inner = below
    inner[names[-1]] = value


def expand(table: Mapping[str, Any], where: str) -> list[Point]:
    """Return the runs of a configuration: one, or as many as its sweep has.

    Parameters
    ----------
    table : dict
        As `read` returns it.
    where : str
        Name of the file, for errors.

    Raises
    ------
    ConfigError
        If a swept key has no list of values, or lists side by side differ in length.

    Examples
    --------
    >>> from halfsim.training.config import expand
    >>> base = {"seed": 1, "sweep": {"seed": [1, 2], "steps": [10, 20]}}
    >>> [point.changes for point in expand(base, "here")]
    [{'seed': 1, 'steps': 10}, {'seed': 1, 'steps': 20}, {'seed': 2, 'steps': 10}, {'seed': 2, 'steps': 20}]
    """
    sweep = dict(table.get("sweep", {}))
    together = sweep.pop("zip", [])
    if not isinstance(together, list) or not all(key in list(sweep) for key in together):
        raise ConfigError(f"{where}: sweep.zip={together!r} must be a list of keys that [sweep] has")
    for key, values in sweep.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{where}: sweep.{key}={values!r} must be a list of at least one value")
    lengths = {key: len(sweep[key]) for key in together}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ConfigError(f"{where}: the lists of sweep.zip must be of one length, but {shown}")
    axes: list[list[dict[str, Any]]] = [
        [{key: value} for value in values] for key, values in sweep.items() if key not in together
    ]
    if together:
        rows = zip(*(sweep[key] for key in together), strict=True)
        axes.insert(0, [dict(zip(together, row, strict=True)) for row in rows])
    points = []
    for choice in itertools.product(*axes):
        changes = {key: value for part in choice for key, value in part.items()}
        mine = copy.deepcopy({key: value for key, value in table.items() if key != "sweep"})
        # A table before what is inside it, in whatever order the file has them.
        for key, value in sorted(changes.items(), key=lambda pair: pair[0].count(".")):
            change(mine, key, copy.deepcopy(value))
        points.append(Point(changes, mine))
    return points


def experiment(table: Mapping[str, Any], where: str) -> Experiment:
    """Return the experiment of a configuration without a sweep.

    Parameters
    ----------
    table : mapping
        As `read` returns it, or one of `expand`.
    where : str
        The file or run, which messages begin with.

    Raises
    ------
    ConfigError
        For an unknown or missing key, a value of another type or out of range, data that are not there or not those the
        configuration names, a batch larger than they are, or a network that does not fit them.

    Examples
    --------
    >>> from halfsim.training.config import experiment
    >>> table = {
    ...     "seed": 0, "batch": 8, "steps": 2, "evaluate_every": 2, "policy": {"base": "mixed"},
    ...     "task": {"name": "classification", "dataset": "digits"},
    ...     "model": {"name": "perceptron", "sizes": [64, 8, 10]}, "optimizer": {"name": "adam", "rate": 1e-3},
    ... }
    >>> one = experiment(table, "here")
    >>> one.policy.name, one.settings.steps
    ('mixed', 2)
    """
    named = {
        key: {_NAMES[key]: value} if key in _NAMES and isinstance(value, str) else value for key, value in table.items()
    }
    run = validated(named, where)
    model, optimizer, task = (
        made(where, key, row_of, registry, named[key])
        for key, registry in (("model", MODELS), ("optimizer", OPTIMIZERS), ("task", TASKS))
    )
    unnamed = {} if "base" in run.policy else {"name": "policy"}
    policy = made(where, "policy", from_table, {**unnamed, **run.policy})
    settings = Settings(
        model=model,
        optimizer=optimizer,
        batch=run.batch,
        steps=run.steps,
        evaluate_every=run.evaluate_every or run.steps,
        sample_every=run.sample_every,
        clip_norm=run.clip_norm,
    )
    found = made(where, "task", lambda: task.data.sha256)
    if run.data is not None and run.data.sha256 != found:
        raise ConfigError(f"{where}: data.sha256={run.data.sha256!r}, but the data of the task have {found}")
    made(where, f"batch={run.batch!r}", task.batches, run.seed, run.batch)
    shown = ", ".join(f"{key}={value!r}" for key, value in named["model"].items())
    made(where, f"model: {shown} does not fit task.name={named['task']['name']!r}", check_fit, model, task)
    return Experiment(task=task, settings=settings, policy=policy, seed=run.seed)
