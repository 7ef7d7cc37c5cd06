"""Find the reachable bins of pairs of operands: ``python -m halfsim.testvectors.reachable`` writes ``reachable.json``.

All 2**32 pairs are tried, some minutes for an operation in a direction. What is in the file already stays; give
``--again`` to begin anew. The bins must be those that `halfsim.testvectors.outcomes` argues for.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click
import numpy as np

import halfsim as hs
from halfsim.testvectors.bins import CLASSES, classify, encoded
from halfsim.testvectors.coverage import key
from halfsim.testvectors.formats.files import replacing
from halfsim.testvectors.subjects import SUBJECTS, Subject

__all__ = ["main"]

_FILE = Path(__file__).with_name("reachable.json")
_ARITHMETIC = ("add", "subtract", "multiply", "divide", "remainder")


def enumerate_pairs(subject: Subject, rounding: str, environment: hs.Environment) -> set[int]:
    """Return the bins of all 2**32 pairs."""
    every = np.arange(1 << 16, dtype=np.uint16)
    second = classify(every, "f16").astype(np.int64) * (32 * len(CLASSES))
    hit = np.zeros((len(CLASSES), 32 * len(CLASSES) ** 2), np.bool_)
    first = classify(every, "f16")
    for a in range(1 << 16):
        result, flags = subject.evaluate(
            [np.full(1 << 16, a, np.uint16), every], rounding=rounding, environment=environment
        )
        hit[first[a], second + classify(result, subject.result).astype(np.int64) * 32 + flags] = True
    return set(np.flatnonzero(hit).tolist())


def _settings(subject: Subject) -> dict[str, tuple[str, hs.Environment]]:
    """Return every setting that may have bins of its own, by its key."""
    found: dict[str, tuple[str, hs.Environment]] = {}
    for mode in ("rne", "rna", "rtz", "rup", "rdn", "odd"):
        for tininess in hs.Tininess:
            environment = dataclasses.replace(hs.RISCV, tininess=tininess)
            found.setdefault(key(subject, mode, tininess), (mode, environment))
    return found


@click.command()
@click.option("--op", "operations", multiple=True, help="Only these operations.")
@click.option("--again", is_flag=True, help="Do what is in the file already, too.")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), default=_FILE, show_default=True)
def main(operations: tuple[str, ...], again: bool, out: Path) -> None:
    """Find the reachable bins of the coverage model; 2**32 pairs take about a minute in each direction of rounding."""
    table = json.loads(out.read_text()) if out.exists() else {}
    subjects = [s for s in SUBJECTS if s.name in _ARITHMETIC]
    chosen = [s for s in subjects if not operations or s.name in operations]
    todo = [(name, s, *setting) for s in chosen for name, setting in _settings(s).items() if again or name not in table]
    with click.progressbar(todo, label="reachable bins", file=sys.stderr, item_show_func=_shown) as bar:
        for name, subject, rounding, environment in bar:
            bins = enumerate_pairs(subject, rounding, environment)
            table[name] = {"how": "enumerated", "rows": 1 << 32, "bins": encoded(bins)}
            with replacing(out) as temporary:
                temporary.write_text(json.dumps(table, indent=0, sort_keys=True) + "\n", encoding="utf-8")


def _shown(item: tuple[str, Subject, str, hs.Environment] | None) -> str:
    return item[0] if item else ""


if __name__ == "__main__":
    main()
