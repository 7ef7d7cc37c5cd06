"""A C interface of the simulator, for SystemVerilog's DPI and plain C: object file, header, SystemVerilog package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import halfsim.environment as environments
from halfsim import operations, predicates
from halfsim._version import __version__
from halfsim.accumulators import FusedDotAdd
from halfsim.core.control import Bit, control_word
from halfsim.environment import Environment
from halfsim.interop.machine_code import Function, dot_unit, elementwise, object_code
from halfsim.operation import Operation
from halfsim.rounding import ALIASES, Rounding
from halfsim.tensorcores import as_accumulator

__all__ = ["OPERATIONS", "UNITS", "write_dpi"]

OPERATIONS = (
    *("add", "subtract", "multiply", "divide", "sqrt", "fma", "remainder", "round_to_integral"),
    *("minimum_number", "maximum_number", "equal", "less", "less_equal"),
)
"""The operations that are written by default, as the package calls them."""
UNITS = ("v100:f32", "a100:f32", "h100:f32")
"""The matrix units whose dot products are written by default, as `as_accumulator` names them."""
_ENVIRONMENTS = ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA")
_BITS = {"TININESS_BEFORE": Bit.tininessBefore, "FLUSH_INPUTS": Bit.flushInputs, "FLUSH_RESULTS": Bit.flushResults,
         "EXACT": Bit.exact}  # fmt: skip
_FLAGS = ("INEXACT", "UNDERFLOW", "OVERFLOW", "DIVIDE_BY_ZERO", "INVALID")


def write_dpi(folder: str | Path, operations: Iterable[str] = OPERATIONS, units: Iterable[str] = UNITS) -> list[Path]:
    """Write the simulator as ``halfsim_dpi.o``, ``halfsim_dpi.h`` and ``halfsim_dpi_pkg.sv``.

    The object file is for the architecture of this machine. It holds the compiled core itself and needs neither Python
    nor a library but C's. Every operation is ``uint16_t halfsim_f16_NAME(uint16_t a, ..., uint32_t control, uint8_t
    *flags)``, where `control` is the OR of an environment, a rounding and options, all named in the header; relations
    return 0 or 1. A dot unit is ``uint32_t halfsim_dot_GPU_OUTPUT(const uint32_t *a, const uint32_t *b, uint32_t c)``,
    lane i of a and b in bits 16i to 16i+15, as packed vectors of SystemVerilog are passed.

    Parameters
    ----------
    folder : path
        Where the files go; made if need be.
    operations : iterable of str
        Operations of halfsim with binary16 operands, and binary16 or truth values as results.
    units : iterable of str
        Tensor cores of binary16 operands, as ``"h100:f32"``; one block of each.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        If a name is unknown, or such a function has no C form.
    RuntimeError
        If this machine cannot compile it.

    Examples
    --------
    >>> import tempfile
    >>> from halfsim.interop.dpi import write_dpi
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_dpi(folder, operations=["add"], units=[])]
    ['halfsim_dpi.o', 'halfsim_dpi.h', 'halfsim_dpi_pkg.sv']
    """
    rows = [_operation(name) for name in dict.fromkeys(operations)]
    blocks = [_unit(name) for name in dict.fromkeys(units)]
    code = object_code([*(_function(row) for row in rows), *(dot_unit(_unit_name(n), row) for n, row in blocks)])
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    texts = {
        "halfsim_dpi.o": code,
        "halfsim_dpi.h": _header(rows, blocks).encode(),
        "halfsim_dpi_pkg.sv": _package(rows, blocks).encode(),
    }
    for name, data in texts.items():
        _replace(target / name, data)
    return [target / name for name in texts]


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _operation(name: str) -> Operation:
    row = getattr(operations, name, None) or getattr(predicates, name, None)
    if not isinstance(row, Operation):
        raise ValueError(f"write_dpi: unknown operation {name!r}; known are those of halfsim, such as add or fma")
    if row.integers >= 0 or row.dtype not in (np.dtype(np.float16), np.dtype(np.bool_)):
        raise ValueError(
            f"write_dpi: {name} has integers among its operands or results and so no C form; drop it from the list"
        )
    return row


def _unit(name: str) -> tuple[str, FusedDotAdd]:
    row = as_accumulator(name, "write_dpi")
    if not isinstance(row, FusedDotAdd):
        raise ValueError(
            f"write_dpi: {name!r} is not a unit that sums a block at once; known are rows such as h100:f32"
        )
    return name, row


def _function(row: Operation) -> Function:
    return elementwise(f"halfsim_f16_{row.name}", row)


def _unit_name(name: str) -> str:
    return f"halfsim_dot_{name.replace(':', '_')}"


def _constants() -> dict[str, int]:
    """Return the names of control words' parts and of flags."""
    base = {name: getattr(environments, name) for name in _ENVIRONMENTS}
    return {
        **{
            name: control_word(Rounding.roundTiesToEven, row)
            for name, row in base.items()
            if isinstance(row, Environment)
        },
        **{alias.upper(): int(mode) for alias, mode in ALIASES.items()},
        **{name: 1 << bit for name, bit in _BITS.items()},
        **{name: 1 << position for position, name in enumerate(_FLAGS)},
    }


_HEAD = """\
// halfsim {version}: binary16 arithmetic. Written by halfsim; link with halfsim_dpi.o.
// control = environment | rounding | options, for example HALFSIM_RISCV | HALFSIM_RTZ | HALFSIM_TININESS_BEFORE.
"""


def _header(rows: list[Operation], blocks: list[tuple[str, FusedDotAdd]]) -> str:
    lines = [_HEAD.format(version=__version__) + "#ifndef HALFSIM_DPI_H\n#define HALFSIM_DPI_H\n#include <stdint.h>"]
    lines += [f"#define HALFSIM_{name} {value:#x}u" for name, value in _constants().items()]
    lines.append('#ifdef __cplusplus\nextern "C" {\n#endif')
    for row in rows:
        operands = "".join(f"uint16_t {x}, " for x in "abc"[: row.arity])
        lines.append(f"uint16_t halfsim_f16_{row.name}({operands}uint32_t control, uint8_t *flags);")
    for name, unit in blocks:
        lines.append(f"// {unit.terms} products and c: packed lanes of 16 bits, lane 0 lowest")
        lines.append(f"uint32_t {_unit_name(name)}(const uint32_t *a, const uint32_t *b, uint32_t c);")
    lines.append("#ifdef __cplusplus\n}\n#endif\n#endif")
    return "\n".join(lines) + "\n"


def _package(rows: list[Operation], blocks: list[tuple[str, FusedDotAdd]]) -> str:
    lines = [_HEAD.format(version=__version__) + "package halfsim_dpi_pkg;"]
    lines += [f"    localparam int unsigned HALFSIM_{name} = 32'h{value:x};" for name, value in _constants().items()]
    for row in rows:
        operands = "".join(f"input shortint unsigned {x}, " for x in "abc"[: row.arity])
        lines.append(
            f'    import "DPI-C" function shortint unsigned halfsim_f16_{row.name}'
            f"({operands}input int unsigned control, output byte unsigned flags);"
        )
    for name, unit in blocks:
        lanes = f"input bit [{16 * unit.terms - 1}:0]"
        lines.append(
            f'    import "DPI-C" function int unsigned {_unit_name(name)}({lanes} a, {lanes} b, input int unsigned c);'
        )
    return "\n".join([*lines, "endpackage"]) + "\n"
