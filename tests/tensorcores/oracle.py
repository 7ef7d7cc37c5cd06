"""The differential oracle mmasim: which of its instructions a row is, and what they make of a tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.tensorcores import TensorCore
from tests.tensorcores.tiles import Tile, held

__all__ = ["operations", "simulate"]

ARCHITECTURES = {
    "volta": "Volta",
    "turing": "Turing",
    "ampere": "Ampere",
    "ada": "Ada Lovelace",
    "hopper": "Hopper",
    "blackwell": "Blackwell",
    "rtx_blackwell": "RTX Blackwell",
}
TCGEN05 = {"f16": "k16.kind::f16", "bf16": "k16.kind::f16", "tf32": "k8.kind::tf32"}
WGMMA = {"f16": "k16", "bf16": "k16", "tf32": "k8"}


def operations(entry: TensorCore, second: str | None = None) -> list[Any]:
    """Every instruction of the oracle that a row stands for; `second` names the format of B where it is another."""
    pytest.importorskip("torch")
    if entry.generation.startswith("cdna"):
        amd = pytest.importorskip("mmasim.amd.sim", reason="the optional oracle mmasim is not installed")
        return [amd.MFMA(entry.generation.upper(), entry.instruction.removeprefix("v_mfma_"))]
    nv = pytest.importorskip("mmasim.nv_ptx.sim", reason="the optional oracle mmasim is not installed")
    architecture, out = ARCHITECTURES[entry.generation], entry.output
    factors = f"{entry.inputs}.{second or entry.inputs}"
    if entry.instruction == "wgmma":
        return [nv.WGMMA(architecture, f"m64n8{WGMMA.get(entry.inputs, 'k32')}.{out}.{factors}")]
    if entry.instruction == "tcgen05":
        kind = TCGEN05.get(entry.inputs, "k32.kind::f8f6f4")
        return [nv.TCGen05MMA(architecture, f"m128n16{kind}.{out}.{factors}")]
    found = [nv.MMA(architecture, f"{entry.instruction}.{out}.{factors}.{out}")]
    if entry.generation == "rtx_blackwell" and entry.instruction == "m16n8k32":
        found.append(nv.MMA(architecture, f"{entry.instruction}.kind::f8f6f4.{out}.{factors}.{out}"))
    return found


def simulate(operation: Any, tile: Tile) -> Any:
    """Instruction after instruction along K; patterns."""
    a, b = _tensor(tile.a, tile.inputs[0]), _tensor(np.ascontiguousarray(tile.b.T), tile.inputs[1])
    shape = (len(a), len(b), a.shape[1])
    a, b = a[:, None].expand(shape), b[None].expand(shape)
    import torch

    d = torch.from_numpy(tile.c)
    for k in range(0, shape[2], operation.k):
        d = operation.dpa(a[..., k : k + operation.k], b[..., k : k + operation.k], d)
    found = d.numpy().view(f"u{d.numpy().itemsize}")
    if type(operation).__module__ == "mmasim.amd.sim":
        found[np.isnan(d.numpy())] = 0x7FC00000  # one NaN for all: nobody compares those of AMD's hardware
    return found


def _tensor(words: Any, fmt: hs.Format) -> Any:
    import torch

    names = {hs.BFLOAT16: torch.bfloat16, hs.E5M2: torch.float8_e5m2, hs.E4M3: torch.float8_e4m3fn}
    if fmt not in names:
        return torch.from_numpy(held(words, fmt))
    return torch.from_numpy(words.astype(f"u{fmt.width // 8}")).view(names[fmt])
