"""Summaries and events of runs as they lie on disk, made up: what a report is tested with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["KINDS", "check", "events", "part", "run", "study", "table", "write_events"]

KINDS = ("weight", "activation", "activation gradient", "weight gradient", "update")
LAYERS = ("conv1", "bn1", "conv2", "fc")


def run(part: str, row: str, seed: int, measures: dict[str, list[float | None]], **more: Any) -> dict[str, Any]:
    """One summary; measures end with what the run reached."""
    points = max(map(len, measures.values()), default=1)
    rng = np.random.default_rng(seed)
    bins = np.exp(-((np.arange(77) - 36) ** 2) / 30)
    histogram = [500, *rng.poisson(1000 * bins).tolist(), 0]
    return {
        "part": part,
        "variant": row,
        "id": hashlib.sha256(f"{part}/{row}/{seed}".encode()).hexdigest()[:16],
        "config": {
            "seed": seed,
            "policy": {"update": "master"},
            "data": {"name": "digits", "file": "digits.csv.gz", "sha256": "09" * 32},
        },
        "seed": seed,
        "measures": measures,
        "steps": [10 * i for i in range(points)],
        "reported": [2.0] * points,
        "scale": [[0, 1024.0]],
        "skipped": [],
        "log": [],
        "first_nonfinite": None,
        "ledger": {
            "updates_lost": 0.25,
            "gradients_flushed": 0.5,
            "gradients_overflowed": 0.0,
            "gradient_error": 0.01,
            "swallowed": 0.125,
            "layers": {},
            "histograms": dict.fromkeys(KINDS, histogram),
            "lowest_exponent": -60,
        },
        "bytes": {"weights": 2000, "master": 4000, "activations": 90000, "gradients": 2000},
        "weights_sha256": "ab" * 32,
        "seconds": 1.5,
        "provenance": {"halfsim": "0.1.0", "python": "3.11.7", "processor": "A processor", "threads": 1},
        **more,
    }


def part(name: str, rows: list[str], shown: list[str] | None = None, **more: str) -> Any:
    """A part as a study has it."""
    return SimpleNamespace(
        name=name,
        title=more.get("title", f"Part {name}"),
        claim=more.get("claim", "Rows differ."),
        rows=[SimpleNamespace(name=row) for row in rows],
        shown=rows if shown is None else shown,
    )


def table(name: str, figure: str = "", columns: tuple[str, ...] = (), **drawing: Any) -> Any:
    """A computed table as a study has it."""
    return SimpleNamespace(
        name=name,
        title=f"Table {name}",
        claim="It grows.",
        columns=columns,
        figure=figure,
        drawing=drawing,
        caption="It is drawn.",
    )


def check(**fields: Any) -> Any:
    """A check as a study has it."""
    return SimpleNamespace(**{"name": "as expected", "against": None, "relative": False, "data": "", **fields})


def study(*parts: Any, checks: tuple[Any, ...] = (), **texts: str) -> Any:
    """A study."""
    words = {"name": "tiny", "summary": "a small thing", "claim": "It works.", "paper": "", "limits": "", **texts}
    return SimpleNamespace(parts=parts, checks=checks, **words)


def events(seed: int, flushed: float, lost: float, layers: tuple[str, ...] = LAYERS, samples: int = 24) -> list[Any]:
    """The events of one run: a loss per step, the ledger at every fifth."""
    rng = np.random.default_rng(seed)
    lines: list[Any] = []
    for step in range(5 * samples):
        lines.append({"step": step, "phase": "", "loss": 2.0, "scale": 1024.0, "skipped": False, "why": ""})
        if step % 5 == 0:
            lines.append({"step": step, **_sample(rng, flushed, lost, layers)})
    return lines


def _sample(rng: np.random.Generator, flushed: float, lost: float, layers: tuple[str, ...]) -> dict[str, Any]:
    ledger: dict[str, Any] = {}
    for depth, layer in enumerate(layers):
        some = int(4000 * min(flushed * 2.0**-depth * rng.uniform(0.5, 1), 1))
        empty = {"elements": 5000, "zero": 1000, "flushed": 0, "subnormal": 9, "overflowed": 0, "nan": 0}
        ledger[layer] = {kind: dict(empty) for kind in KINDS}
        ledger[layer]["activation gradient"]["flushed"] = some
        ledger[layer]["weight gradient"]["flushed"] = some // 8
        ledger[layer]["update"] |= {"moves": 4000}
        ledger[layer]["update"]["lost"] = int(4000 * min(lost * rng.uniform(0.8, 1), 1))
    swallowed = {layer: {"forward": [int(rng.integers(100)), 100_000]} for layer in layers}
    return {"ledger": ledger, "swallowed": swallowed, "error": {}, "histogram": {}}


def write_events(folder: Path, name: str, lines: list[Any]) -> Path:
    """Write events where a run would; returns the file."""
    path = folder / "runs" / name / "events.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
