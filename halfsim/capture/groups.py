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
from halfsim.capture.libraries import LIBRARY_CALLS, SHAPES, matrices
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS, MatrixInstruction, widths_of_wgmma
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


def _experiments(name: str) -> Group:
    item = MATRIX_INSTRUCTIONS[name]
    shape = (item.m, item.n, item.k)
    return Group(
        f"experiments.{name}",
        (item,),
        lambda seed: experiments(item.output, shape),
        labels=EXPERIMENTS[item.output],
    )


def _of_shape(family: str, m: int, n: int, k: int) -> tuple[MatrixInstruction, ...]:
    wanted = (family, m, n, k)
    return tuple(item for item in MATRIX_INSTRUCTIONS.values() if (item.family, item.m, item.n, item.k) == wanted)


def _tiles(family: str, m: int, n: int, k: int, per_class: int, classes: int | None = None) -> Group:
    return Group(
        f"{family}.m{m}n{n}k{k}",
        _of_shape(family, m, n, k),
        lambda seed: tiles(seed, (m, n, k), per_class, classes),
        coverage=CLASSES,
    )


def _chains(family: str, m: int, n: int, k: int, longest: int) -> Group:
    uniform = tuple(item for item in _of_shape(family, m, n, k) if item.output == item.addend)
    return Group(f"chain.{family}.m{m}n{n}k{k}", uniform, lambda seed: chains(seed, (m, n, k), longest))


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


def _groups() -> tuple[Group, ...]:
    named = ("mma.m16n8k16", "mma.m16n8k8", "wmma.m16n16k16", "mma.m8n8k4")
    made = [_experiments(f"{shape}.{kind}") for shape in named for kind in ("f32", "f16")]
    made += [_tiles("mma", 16, 8, 16, 20), _tiles("mma", 16, 8, 8, 12), _chains("mma", 16, 8, 16, 4096)]
    made += [_experiments(f"wgmma.m64n8k16.{kind}") for kind in ("f32", "f16")]
    # Tiles per class, and classes: a tile of n = 256 has 16,384 results.
    sizes = zip(widths_of_wgmma(), ((6, None), (2, None), (1, 6), (1, 3)), strict=True)
    made += [_tiles("wgmma", 64, n, 16, *size) for n, size in sizes]
    made += [_chains("wgmma", 64, 8, 16, 1024), _tiles("wmma", 16, 16, 16, 6), _tiles("mma", 8, 8, 4, 16)]
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
