"""Outputs of GPUs that others published, as vectors/CITATIONS.toml lists them: loaded, one set per board and format."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from halfsim.tensorcores import TABLE, TensorCore

__all__ = ["CITATIONS", "WORDS", "Published", "load", "table"]

CITATIONS = Path(__file__).resolve().parent.parent / "vectors" / "CITATIONS.toml"
WORDS = {"f32": np.uint32, "f16": np.uint16}


@dataclass(frozen=True)
class Published:
    """Outputs of one board, one dot product each, as bit patterns."""

    source: str
    gpu: str
    row: TensorCore
    a: Any = field(repr=False)
    b: Any = field(repr=False)
    c: Any = field(repr=False)
    d: Any = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.source}, {self.gpu}, {self.row.output}"


def table() -> list[dict[str, Any]]:
    citations: list[dict[str, Any]] = tomllib.loads(CITATIONS.read_text())["citations"]
    return citations


def _row(support: dict[str, Any], output: str) -> TensorCore:
    wanted = (support["architecture"], support["instructions"][0], output, support["inputs"][0])
    (row,) = (row for row in TABLE if (row.architecture, row.instruction, row.output, row.inputs) == wanted)
    return row


def load(folder: Path) -> list[Published]:
    """Every published set in the folder of published outputs."""
    with np.load(folder / "khattak_mikaitis_fp16.npz") as file:
        arrays = {name: file[name] for name in file.files}
    facts = json.loads((folder / "facts.json").read_text())
    sets = []
    for citation in table():
        for support in citation["supports"]:
            for output, count in support["outputs"].items():
                if count:
                    column = support["column"]
                    operands = _archived(arrays, column, output) if column + "_A" in arrays else _listed(facts, column)
                    sets.append(Published(citation["source"], support["gpu"], _row(support, output), *operands))
    return sets


def _archived(arrays: dict[str, Any], column: str, output: str) -> tuple[Any, ...]:
    width = output[1:]
    return tuple(arrays[f"{column}_{name}"] for name in ("A", "B", f"C{width}", f"D{width}"))


def _listed(facts: dict[str, Any], column: str) -> tuple[Any, ...]:
    probes = facts["dot16_probes"]
    if column in probes["columns"]:
        rows, places = probes["rows"], [probes["columns"].index(name) for name in ("A", "B", "C", column)]
    else:
        rows = facts["dot4_probes"]["gpus"][column]["rows"]
        places = [facts["dot4_probes"]["columns"].index(name) for name in "ABCD"]
    texts = [[row[place] for row in rows] for place in places]
    factors = [
        np.array([[int(x, 16) for x in text.split()] for text in column]).astype(np.uint16) for column in texts[:2]
    ]
    return (*factors, *(np.array([int(text, 16) for text in column]).astype(np.uint32) for column in texts[2:]))
