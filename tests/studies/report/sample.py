"""A whole study, made up: two parts, computed tables, checks, every figure, and texts that would break a page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from halfsim.studies import report
from tests.studies.report import records

__all__ = ["ROWS", "make"]

ROWS = ("binary32", "master, scale 1024", "binary16 weights", "dynamic <script>alert(1)</script>", 'pure | $x^2 & "q"')


def make(out: Path) -> dict[str, Any]:
    """Write the study to a folder and return what results.json holds."""
    runs = [_run(out, row, i, seed) for seed in range(3) for i, row in enumerate(ROWS)]
    words = [
        records.run("words", row, 0, {"loss": [5.5, 5.0 + i]}, ledger={}, bytes={}, scale=[[0, 1.0]])
        for i, row in enumerate(("binary32", "mixed"))
    ]
    return report.write(_study(), [*runs, *words], _tables(), out)


def _run(out: Path, row: str, i: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, i])
    steps = np.arange(13)
    decay = 0.5 + 1.8 * np.exp(-steps / (4 + 3 * i)) + 0.05 * rng.standard_normal(13)
    loss = decay.tolist()
    accuracy = np.clip(1 - decay / 2.6, 0, 1).tolist()
    more: dict[str, Any] = {}
    if i == 3:
        more = {
            "scale": [[0, 2.0**24], [2, 2.0**23], [3, 2.0**22], [60, 2.0**23], [90 + seed, 2.0**22]],
            "skipped": [1, 2, 89 + seed],
            "log": ["step 1: a gradient overflowed: step skipped, scale 16777216 -> 8388608"],
        }
    if i == 4 and seed:
        loss[7:] = [None] * 6
        more = {"first_nonfinite": {"layer": "conv1", "tensor": "activation gradient", "step": 61}}
    held = {"weights": 2000, "activations": 90000, "gradients": 2000}
    held = {kind: size * (2 if i == 0 else 1) for kind, size in held.items()} | {"optimizer": 8000}
    made = records.run("digits", row, seed, {"loss": loss, "accuracy": accuracy}, bytes=held, **more)
    made["ledger"] |= {
        "updates_lost": [0.01, 0.01, 0.93, 0.01, 0.95][i],
        "gradients_flushed": [0, 0.08, 0.5, 0, 0.97][i],
    }
    if i:
        records.write_events(
            out, made["id"], records.events(seed, [0, 0.01, 0.3, 0.0, 0.9][i], [0, 0, 0.9, 0, 0.95][i])
        )
    return made


def _study() -> Any:
    parts = (
        records.part("digits", list(ROWS), title="Weights: a classifier of digits, small steps"),
        records.part("words", ["binary32", "mixed"], title="A language model"),
        records.table("error", "halfsim.plotting:error_against_length", ("accumulator", "K", "error")),
        records.table("sweep", "halfsim.plotting:lost_updates"),
        records.table("scales", "halfsim.plotting:required_scale"),
        records.table("pairs", "halfsim.plotting:disagreement", title="final weights that differ"),
    )
    expect = records.check
    checks = (
        expect(name="the master copy loses nothing", part="digits", row=ROWS[1], measure="accuracy",
               against="binary32", low=-0.5, high=0.5),
        expect(name="binary16 weights fail", part="digits", row=ROWS[2], measure="accuracy", low=-math.inf, high=0.2),
        expect(name="sums of 32,768 addends are wrong by a third", part="error", measure="error",
               row={"accumulator": "fp16", "K": 32768}, low=0.01, high=1.0),
    )  # fmt: skip
    return records.study(
        *parts,
        checks=checks,
        name="sample",
        summary="every section of a report, with made-up numbers",
        claim="A report is readable on a desk, on a phone and on paper, whatever the names in it are. " * 2,
        paper="Figure 2a: without a master copy of the weights, 80 % of the accuracy is lost <b>(Table 1)</b>.",
        limits="These numbers are made up: they claim nothing about training at all.",
    )


def _tables() -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    sums = [
        {"accumulator": name, "K": 2**k, "error": start * 2.0 ** (k * power) * rng.uniform(0.7, 1.4)}
        for name, start, power in (
            ("fp16", 1e-5, 1.0),
            ("fp32", 1e-7, 0.1),
            ("v100:f16", 1e-5, 0.7),
            ("h100:f16", 1e-5, 0.5),
        )
        for k in range(6, 16)
        for _ in range(2)
    ]
    sweep = [
        {"policy": policy, "rate": 10.0**-k, "updates_lost": lost, "accuracy_gap": gap * lost**6}
        for policy, gap in (("binary16 weights", -0.7), ("stochastic", -0.01))
        for k, lost in enumerate((0.05, 0.3, 0.6, 0.8, 0.95), 2)
    ]
    scales = [
        {"model": "perceptron", "smallest_99": 1.0, "smallest_999": 8.0, "largest": 2.0**20},
        {"model": "detector", "smallest_99": 2.0**10, "smallest_999": 2.0**12, "largest": 2.0**25},
        {"model": "language model with a long name", "smallest_99": 64.0, "smallest_999": None, "largest": 2.0**15},
    ]
    pairs = [
        {"first": a, "second": b, "share": share}
        for a, b, share in (("V100", "A100", 0.31), ("V100", "H100", 0.92), ("A100", "H100", 0.004))
    ]
    computed = {"error": sums, "sweep": sweep, "scales": scales, "pairs": pairs}
    provenance = {"halfsim": "0.1.0", "python": "3.11.7", "processor": "Another processor", "threads": 2}
    return [
        {"part": name, "variant": "", "id": name, "config": {}, "rows": rows, "seconds": 0.1, "provenance": provenance}
        for name, rows in computed.items()
    ]
