"""What is captured, in order of importance: a run that is cut off has the most decisive groups complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture import elements, scalar
from halfsim.capture.device import Instruction
from halfsim.capture.experiments import EXPERIMENTS, experiments
from halfsim.capture.functions import FUNCTIONS, QUOTIENTS
from halfsim.capture.ladders import ladders, rungs
from halfsim.capture.libraries import LIBRARY_CALLS, SHAPES, matrices
from halfsim.capture.matrix import FP8_PAIRS, MATRIX_INSTRUCTIONS, MatrixInstruction, widths_of_wgmma
from halfsim.capture.tiles import CLASSES, chains, tiles

__all__ = ["GROUPS", "Group"]

Operands = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Group:
    """Instructions that share operands; one file.

    Parameters
    ----------
    name : str
        Name of the file.
    instructions : tuple of Instruction
        What is measured.
    make : callable
        Seed to operands.
    coverage : tuple of str
        Names of the coverage classes behind the operand ``coverage``.
    labels : tuple of str
        Names of the tiles, for experiments.
    """

    name: str
    instructions: tuple[Instruction, ...]
    make: Callable[[int], Operands] = field(repr=False)
    coverage: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


_HALF, _BRAIN, _TENSOR = ("f16", "f16"), ("bf16", "bf16"), ("tf32", "tf32")


def _experiments(item: MatrixInstruction) -> Group:
    shape = (item.m, item.n, item.k)
    if item.inputs == _HALF:
        make, labels = partial(_named, kind=item.output, shape=shape), EXPERIMENTS[item.output]
    else:
        make = partial(_ladders, inputs=item.inputs, output=item.output, shape=shape)
        labels = tuple(rung.name for rung in rungs(item.inputs, item.output, 2 * item.k))
    return Group(f"experiments.{item.name}", (item,), make, labels=labels)


def _named(seed: int, kind: str, shape: tuple[int, int, int]) -> Operands:
    return experiments(kind, shape)


def _ladders(seed: int, inputs: tuple[str, str], output: str, shape: tuple[int, int, int]) -> Operands:
    return ladders(inputs, output, shape)


def _alike(family: str, m: int, n: int, k: int, inputs: tuple[str, str]) -> tuple[MatrixInstruction, ...]:
    """Instructions of one shape and of one pair of formats of A and B: they share operands."""
    wanted = (family, m, n, k, inputs)
    return tuple(
        item for item in MATRIX_INSTRUCTIONS.values() if (item.family, item.m, item.n, item.k, item.inputs) == wanted
    )


def _title(family: str, m: int, n: int, k: int, inputs: tuple[str, str]) -> str:
    return f"{family}.m{m}n{n}k{k}" + ("" if inputs == _HALF else "." + "-".join(dict.fromkeys(inputs)))


def _addends(items: Iterable[MatrixInstruction]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.addend for item in items))


def _tiles(
    family: str,
    shape: tuple[int, int, int],
    per_class: int,
    classes: int | None = None,
    inputs: tuple[str, str] = _HALF,
) -> Group:
    items = _alike(family, *shape, inputs)
    make = partial(tiles, shape=shape, per_class=per_class, classes=classes, inputs=inputs, addends=_addends(items))
    return Group(_title(family, *shape, inputs), items, make, coverage=CLASSES)


def _chains(family: str, shape: tuple[int, int, int], longest: int, inputs: tuple[str, str] = _HALF) -> Group:
    items = tuple(item for item in _alike(family, *shape, inputs) if item.output == item.addend)
    make = partial(chains, shape=shape, longest=longest, inputs=inputs, addends=_addends(items))
    return Group(f"chain.{_title(family, *shape, inputs)}", items, make)


def _elements(name: str, instructions: Iterable[Instruction], arity: int, count: int) -> Group:
    return Group(name, tuple(instructions), lambda seed: elements.tuples(seed, arity, count), coverage=elements.CLASSES)


def _every_binary16(seed: int) -> Operands:
    return {"a": np.arange(1 << 16).astype(np.uint16)}


def _conversions() -> list[Group]:
    made = [Group("cvt.from-f16", scalar.FROM_BINARY16, _every_binary16)]
    for kind, count in (("f32", 16384), ("f64", 8192)):
        make = partial(elements.wide_floats, kind=kind, count=count)
        made.append(Group(f"cvt.{kind}", scalar.TO_BINARY16[kind], make))
    for kind in scalar.INTEGERS:
        make = partial(elements.from_integers, kind=kind, count=8192)
        made.append(Group(f"cvt.{kind}", scalar.TO_BINARY16[kind], make))
    made.append(Group("cvt.rs", scalar.STOCHASTIC, partial(elements.stochastic, count=8192)))
    return made


def _binary16() -> list[Group]:
    named = ("mma.m16n8k16", "wgmma.m64n8k16", "mma.m16n8k8", "wmma.m16n16k16", "mma.m8n8k4")
    made = [_experiments(MATRIX_INSTRUCTIONS[f"{shape}.{kind}"]) for shape in named for kind in ("f32", "f16")]
    made += [_tiles("mma", (16, 8, 16), 20), _tiles("mma", (16, 8, 8), 12), _chains("mma", (16, 8, 16), 4096)]
    # Tiles per class, and classes: a tile of n = 256 has 16,384 results.
    sizes = zip(widths_of_wgmma(), ((4, None), (2, None), (1, 6), (1, 2)), strict=True)
    made += [_tiles("wgmma", (64, n, 16), *size) for n, size in sizes]
    made += [_chains("wgmma", (64, 8, 16), 1024), _tiles("wmma", (16, 16, 16), 6), _tiles("mma", (8, 8, 4), 16)]
    # The only chains of Turing and of Volta.
    made += [_chains("mma", (16, 8, 8), 1024), _chains("mma", (8, 8, 4), 512)]
    return made


def _other_formats() -> list[Group]:
    """Matrix instructions on bfloat16, TF32 and FP8: the experiments of all, then tiles, then chains."""
    wide = (("mma", (16, 8, 16), _BRAIN), ("mma", (16, 8, 8), _TENSOR))
    narrow = (("mma", (16, 8, 8), _BRAIN), ("mma", (16, 8, 4), _TENSOR))
    bytewise = tuple(("mma", (16, 8, k), pair) for k in (32, 16) for pair in FP8_PAIRS)
    kinds = ((16, _BRAIN), (8, _TENSOR), *((32, pair) for pair in FP8_PAIRS))
    grouped = tuple(("wgmma", (64, 8, k), inputs) for k, inputs in kinds)
    made = [
        _experiments(item)
        for family, shape, inputs in (*grouped, *wide, *bytewise, *narrow)
        for item in _alike(family, *shape, inputs)
    ]
    made += [_tiles(family, shape, 8, inputs=inputs) for family, shape, inputs in wide]
    made += [_tiles(family, shape, 4, inputs=inputs) for family, shape, inputs in (*bytewise, *narrow)]
    for n, classes, some in ((8, None, kinds), (16, 4, kinds), (64, 1, kinds), (256, 1, kinds)):
        made += [_tiles("wgmma", (64, n, k), 1, classes, inputs) for k, inputs in some]
    made += [_chains(family, shape, 512, inputs) for family, shape, inputs in (*wide, *bytewise[:4])]
    made += [_chains(family, shape, 256, inputs) for family, shape, inputs in grouped]
    return made


def _groups() -> tuple[Group, ...]:
    made = [*_binary16(), *_other_formats()]
    made += [
        _elements("arithmetic", scalar.ARITHMETIC, 2, 16384),
        _elements("fma", scalar.FUSED, 3, 16384),
        _elements("minimum-maximum", scalar.EXTREMA, 2, 8192),
        _elements("comparisons", scalar.COMPARISONS, 2, 8192),
        Group("unary", scalar.UNARY, _every_binary16),
        *_conversions(),
        Group("functions", FUNCTIONS, _every_binary16),
        _elements("quotients", QUOTIENTS, 2, 16384),
    ]
    for shape in SHAPES:
        m, n, k = shape
        made.append(Group(f"library.m{m}n{n}k{k}", LIBRARY_CALLS, partial(matrices, shape=shape)))
    return tuple(made)


GROUPS: tuple[Group, ...] = _groups()
"""Every group, the most decisive first."""
