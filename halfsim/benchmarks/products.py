"""The rows of matrix products: sums in order, tensor cores, and how the cost grows with K."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.accumulators import Accumulator, factor_formats
from halfsim.benchmarks.peers import installed
from halfsim.benchmarks.rows import OURS, Case, Contender, Row, Sizes
from halfsim.core._processor import has_feature
from halfsim.tensorcores import as_accumulator

__all__ = ["PRODUCTS"]

_UNIT = "multiply-adds"
# The peers' edge: a tile of so many rows and columns over all of K is their best batching.
_TILE = 64
_Peers = Callable[[NDArray[Any], NDArray[Any]], Sequence[Contender | None]]


def _matrices(accumulator: Accumulator, rows: int, terms: int, columns: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Normally distributed factors in the formats of an accumulator."""
    rng = np.random.default_rng(terms)
    left, right = factor_formats(accumulator)
    shapes = (rows, terms), (terms, columns)
    a, b = (hs.convert(rng.standard_normal(s), f) for s, f in zip(shapes, (left, right), strict=True))
    return a, b


def _case(accumulator: Any, shape: tuple[int, int, int], others: _Peers, *, threads: int = 1) -> Case:
    rows, terms, columns = shape
    model = as_accumulator(accumulator)
    A, B = _matrices(model, rows, terms, columns)
    wide = A.astype(np.float32), B.astype(np.float32)

    def call(wanted: int) -> Any:
        if hs.get_num_threads() != wanted:
            hs.set_num_threads(wanted)
        return hs.matmul(A, B, accumulator=model)

    work = rows * terms * columns
    result = call(1)
    ours = Contender(OURS, lambda: call(threads), work, A.nbytes + B.nbytes + result.nbytes, answer=lambda made: made)
    sgemm = Contender("sgemm", lambda: wide[0] @ wide[1], work, note="sums in another order")
    peers = [sgemm, *(peer for peer in others(A, B) if peer is not None)]
    if threads > 1:
        peers.append(Contender("one thread", lambda: call(1), work, answer=lambda made: made))
    return Case(ours, peers, A.nbytes + B.nbytes, "sgemm", by_bytes=False)


def _square(accumulator: Any, others: _Peers, sizes: Sizes) -> Case:
    return _case(accumulator, (sizes.order, sizes.order, sizes.order), others)


def _none(a: NDArray[Any], b: NDArray[Any]) -> Sequence[Contender]:
    return ()


def _numpy16(a: NDArray[Any], b: NDArray[Any]) -> Sequence[Contender]:
    """NumPy's product of binary16: binary32 sums, rounded once."""
    rows = max(1, len(a) // 16)
    work = rows * a.shape[1] * b.shape[1]
    return [Contender("numpy float16 @", lambda: a[:rows] @ b, work, note="sums in binary32")]


def _mmasim(architecture: str, instruction: str, a: NDArray[Any], b: NDArray[Any]) -> Sequence[Contender | None]:
    """MMA-Sim, one tile over all of K in one call of its own arithmetic."""
    amd = architecture.startswith("CDNA")
    torch, sim = installed("torch"), installed("mmasim.amd.sim" if amd else "mmasim.nv_ptx.sim")
    if torch is None or sim is None:
        return ()
    torch.set_num_threads(1)
    operation = (sim.MFMA if amd else sim.MMA)(architecture, instruction)
    tile, terms = min(_TILE, *a.shape, *b.shape), a.shape[1]
    left = torch.from_numpy(a[:tile].copy()).to(operation.a_type)[:, None].expand(tile, tile, terms)
    right = torch.from_numpy(b.T[:tile].copy()).to(operation.b_type)[None].expand(tile, tile, terms)
    zeros = torch.zeros(tile, tile, dtype=operation.d_type)
    call = lambda: operation.arithmetic_op.dpa(left, right, zeros)  # noqa: E731
    answer = lambda made: made.numpy()  # noqa: E731
    return [Contender("mmasim", call, tile * tile * terms, answer=answer, part=np.s_[:tile, :tile])]


def _mmaemu(a: NDArray[Any], b: NDArray[Any]) -> Sequence[Contender | None]:
    """Mmaemu's tensor core of 8-bit factors."""
    torch, mmaemu = installed("torch"), installed("mmaemu")
    if torch is None or mmaemu is None:
        return ()
    left, right = (torch.from_numpy(x.copy()).to(torch.float8_e4m3fn) for x in (a, b.T))
    call = lambda: mmaemu.accumulate(left, right, use_fast_accum=True, profile="ada", splitk=1)  # noqa: E731
    return [Contender("mmaemu", call, a.shape[0] * b.size, answer=lambda made: made.numpy())]


def _eight_bits(a: NDArray[Any], b: NDArray[Any]) -> Sequence[Contender | None]:
    return [*_mmasim("Ada Lovelace", "m16n8k32.f32.e4m3.e4m3.f32", a, b), *_mmaemu(a, b)]


def _block_targets(terms: int) -> Mapping[str, tuple[float, float]]:
    wide = has_feature("avx512f")
    table = (
        {4: (0.07, 0.13), 8: (0.10, 0.17), 16: (0.12, 0.20)}
        if wide
        else {4: (0.05, 0.08), 8: (0.07, 0.11), 16: (0.08, 0.13)}
    )
    return {"sgemm": table[terms], "mmasim": (150.0, 400.0)}


def _rows() -> list[Row]:
    half = partial(hs.Sequential, format=hs.BINARY16, fused=True)
    native = has_feature("avx512fp16")
    nearest, directed = ((1.0, 2.0), (1.0, 2.0)) if native else ((0.05, 0.10), (0.025, 0.036))
    rows = [Row("binary32 sums", "fused, to nearest", _UNIT, partial(_square, hs.FP32, _none), {"sgemm": (0.7, 0.97)})]
    for mode, words, aim in (
        ("rne", "to nearest", nearest),
        ("rtz", "toward zero", directed),
        ("rup", "upward", directed),
        ("rdn", "downward", directed),
        ("rna", "to nearest, ties away", (0.025, 0.036)),
        ("odd", "to odd", (0.025, 0.036)),
    ):
        make = partial(_square, half(rounding=mode), _numpy16)
        rows.append(Row("binary16 sums", f"fused, {words}", _UNIT, make, {"sgemm": aim}))
    random = hs.Stochastic(bits=13, seed=1)
    make = partial(_square, half(rounding=random), _numpy16)
    rows.append(Row("binary16 sums", "fused, 13 random bits", _UNIT, make, {"sgemm": (0.012, 0.02)}))
    for rounding, words in (
        ("rne", "to nearest"),
        ("rtz", "toward zero"),
        ("odd", "to odd"),
        (random, "13 random bits"),
    ):
        make = partial(_square, hs.Sequential(format=hs.BINARY16, rounding=rounding), _numpy16)
        rows.append(Row("binary16 sums", f"unfused, {words}", _UNIT, make))
    for name, architecture, instruction, terms in (
        ("v100:f32", "Volta", "m8n8k4.f32.f16.f16.f32", 4),
        ("v100:f16", "Volta", "m8n8k4.f16.f16.f16.f16", 4),
        ("a100:f32", "Ampere", "m16n8k16.f32.f16.f16.f32", 8),
        ("a100:f16", "Ampere", "m16n8k16.f16.f16.f16.f16", 8),
        ("h100:f32", "Hopper", "m16n8k16.f32.f16.f16.f32", 16),
        ("h100:f16", "Hopper", "m16n8k16.f16.f16.f16.f16", 16),
    ):
        make = partial(_square, name, partial(_mmasim, architecture, instruction))
        rows.append(Row("tensor cores", f"{name}, blocks of {terms}", _UNIT, make, _block_targets(terms)))
    for name, architecture, instruction in (
        ("a100:f32:bf16", "Ampere", "m16n8k16.f32.bf16.bf16.f32"),
        ("h100:f32:tf32", "Hopper", "m16n8k8.f32.tf32.tf32.f32"),
        ("ada:f16:e5m2", "Ada Lovelace", "m16n8k32.f16.e5m2.e5m2.f16"),
        ("mi100:f32", "CDNA1", "f32_16x16x16f16"),
        ("mi250x:f32", "CDNA2", "f32_16x16x16f16"),
        ("mi300x:f32", "CDNA3", "f32_16x16x16_f16"),
    ):
        make = partial(_square, name, partial(_mmasim, architecture, instruction))
        rows.append(Row("matrix units", name, _UNIT, make))
    rows.append(Row("matrix units", "ada:f32:e4m3", _UNIT, partial(_square, "ada:f32:e4m3", _eight_bits)))
    for words, model in (("exact", hs.Exact()), ("pairwise", hs.Pairwise()), ("compensated", hs.Compensated())):
        rows.append(Row("other sums", words, _UNIT, partial(_square, model, _none)))
    for terms in (16, 64, 256, 1024, 4096):
        make = partial(_grown, terms)
        rows.append(Row("growth with K", f"h100:f32, 64 x {terms} x 64", _UNIT, make))
    for threads in (2, 4, 8):
        make = partial(_threads, threads)
        rows.append(Row("growth with threads", f"h100:f32, {threads} threads", _UNIT, make))
    aims = {"one thread": (1 / 1.10, 1 / 1.02)}
    return [*rows, Row("two threads", "h100:f32", _UNIT, partial(_threads, 2), aims)]


def _grown(terms: int, _: Sizes) -> Case:
    return _case("h100:f32", (64, terms, 64), _none)


def _threads(threads: int, sizes: Sizes) -> Case:
    return _case("h100:f32", (sizes.order,) * 3, _none, threads=threads)


PRODUCTS = tuple(_rows())
"""Rows of matrix products."""
