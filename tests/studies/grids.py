"""A grid of a few short runs, and a script that makes it until someone kills it."""

from __future__ import annotations

from pathlib import Path

from halfsim.policy import named
from halfsim.studies.grid import Job, Part, jobs_of
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import Classification

__all__ = ["LONG", "contents", "grid", "part"]

LONG = 1000
"""Steps of a run that takes about a second: long enough to be killed under way."""

_BITS = ("config.toml", "events.jsonl", "hist.parquet")


def part(steps: int = 6) -> Part:
    """Digits under three policies."""
    return Part(
        name="tiny",
        title="Tiny",
        claim="Short runs.",
        task=Classification(dataset="digits"),
        settings=Settings(
            model=Perceptron(sizes=(64, 8, 10)),
            optimizer=Adam(rate=1e-3),
            batch=8,
            steps=steps,
            evaluate_every=max(steps // 2, 1),
            sample_every=max(steps // 3, 1),
        ),
        policies=tuple(named(name) for name in ("binary32", "mixed-scaled", "binary16-stochastic")),
        shown=("binary32", "mixed-scaled"),
    )


def grid(steps: int = 6, seeds: int = 2) -> list[Job]:
    """Its runs."""
    return jobs_of([part(steps)], range(seeds))


def contents(folder: Path) -> dict[str, bytes]:
    """Everything in the folders of runs that must not depend on how they were made."""
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for name in _BITS for path in folder.glob(f"*/{name}")}


if __name__ == "__main__":
    import sys

    from halfsim.studies.runner import execute

    execute(grid(LONG, 1), Path(sys.argv[1]), processes=int(sys.argv[2]), progress=False)
