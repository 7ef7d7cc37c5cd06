"""TestFloat text both ways, for all that softfloatpy has: it gives what halfsim writes, and halfsim finds it right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import softfloatpy

from halfsim.testvectors import SUBJECTS, subject
from halfsim.testvectors.formats.names import TYPES
from tests.cli.running import invoke
from tests.oracles import softfloat

# halfsim's or TestFloat's name, where the binding has another one.
BINDING = {
    "f16_mulAdd": "f16_mul_add",
    "f16_roundToInt": "f16_round_to_int",
    "negative": "f16_neg",
    "isnan": "f16_is_nan",
    "isinf": "f16_is_inf",
    "issignaling": "f16_is_signaling_nan",
}
NAMES = [known.testfloat for known in SUBJECTS if known.testfloat] + list(BINDING)[2:]
MODES = {"rne": "after", "rtz": "before", "rdn": "after", "rup": "before", "rna": "after"}


def test_no_function_of_the_binding_is_left_out():
    there = {name for name in dir(softfloatpy) if name.startswith("f16_") or name.endswith("_to_f16")}
    assert {BINDING.get(name, name) for name in NAMES} == {name for name in there if "f128" not in name}


def settings(name: str, mode: str) -> tuple[list[str], dict[str, object]]:
    """Options of the command, and of SoftFloat."""
    known = subject(name)
    whole = "exact" in known.options
    options = ["--rounding", mode, "--tininess", MODES[mode], *(["--exact"] if whole else [])]
    return options, {"mode": mode, "tininess": MODES[mode], "exact": True if whole else None}


def spelled(name: str, operands: list[np.ndarray], mode: str) -> str:
    """The rows that `testfloat_gen` writes of SoftFloat's results."""
    known = subject(name)
    result, flags = softfloat.call(BINDING.get(name, name), *operands, **settings(name, mode)[1])
    digits = [(TYPES[kind] + 3) // 4 for kind in (*known.operands, known.result)]
    rows = zip(*(column.tolist() for column in (*operands, result, flags)), strict=True)
    return "".join(" ".join(f"{word:0{n}X}" for word, n in zip(row, [*digits, 2], strict=True)) + "\n" for row in rows)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_softfloat_gives_what_halfsim_writes(tmp_path: Path, name: str, mode: str):
    path = tmp_path / "x.txt"
    options, _ = settings(name, mode)
    arguments = ["--shard", f"{list(MODES).index(mode) + 1}/60", "--count", "3000", *options]
    shown = invoke("vectors", "generate", name, "-o", str(path), *arguments)
    assert shown.exit_code == 0, shown.stderr
    text = path.read_text()
    assert text.count("\n") > 20
    table = [[int(word, 16) for word in line.split()] for line in text.splitlines()]
    kinds = subject(name).operands
    operands = [np.array([row[i] for row in table], f"u{max(TYPES[kind], 8) // 8}") for i, kind in enumerate(kinds)]
    assert text == spelled(name, operands, mode)


@pytest.mark.parametrize("name", NAMES)
def test_halfsim_finds_what_softfloat_gives(tmp_path: Path, name: str):
    rng = np.random.default_rng(5)
    for mode in MODES:
        operands = [
            rng.integers(0, 1 << TYPES[kind], 300, dtype=np.uint64).astype(f"u{TYPES[kind] // 8}")
            for kind in subject(name).operands
        ]
        text = spelled(name, operands, mode)
        options, _ = settings(name, mode)
        arguments = ["-", "--operation", name, "--format", "testfloat", *options]
        shown = invoke("vectors", "check", *arguments, stdin=text)
        assert shown.exit_code == 0, shown.output
        assert "all 300 rows agree" in shown.stdout
        assert "could not be verified" in shown.stdout
    lines = text.splitlines()
    lines[41] = lines[41][:-1] + ("1" if lines[41][-1] == "0" else "0")
    shown = invoke("vectors", "check", *arguments, stdin="\n".join(lines) + "\n")
    assert shown.exit_code == 1
    assert "1 of 300 rows disagree" in shown.stdout
    assert "line 42: " in shown.stdout
