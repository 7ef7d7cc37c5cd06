"""Compare captures with the simulator: agreement per GPU and instruction, and the first disagreements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.agreement import Agreement as Agreement
from halfsim.capture.agreement import Disagreement as Disagreement
from halfsim.capture.discrimination import of_record
from halfsim.capture.groups import GROUPS
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS
from halfsim.capture.model import expected
from halfsim.capture.reader import Damage, Record, scan, unlisted
from halfsim.capture.reasons import reasons
from halfsim.capture.scalar import ScalarInstruction

__all__ = ["Agreement", "Damage", "Disagreement", "check", "compare", "report"]

Model = Callable[[Record], NDArray[Any] | None]


def _hex(word: Any) -> str:
    return f"{int(word):0{2 * word.itemsize}x}"


def _factors(words: NDArray[Any]) -> list[str]:
    """K factors, without the zeros at the end."""
    used = np.flatnonzero(words)
    return [_hex(word) for word in words[: used[-1] + 1 if used.size else 1]]


def _operands(record: Record) -> list[str]:
    """Names of the operands that a scalar instruction takes: others of its group may take more."""
    rows = (item for group in GROUPS if group.name == record.group for item in group.instructions)
    found = (item for item in rows if isinstance(item, ScalarInstruction) and item.name == record.instruction)
    known = next(found, None)
    return [name for name in "abcr" if name in record.operands] if known is None else known.takes(record.operands)


def _disagreement(record: Record, index: tuple[int, ...], wanted: Any) -> Disagreement:
    instruction = MATRIX_INSTRUCTIONS.get(record.instruction)
    operands: dict[str, Any]
    if instruction is None:
        element = index[0]
        if record.result.shape[0] == 2 * record.operands["a"].shape[0]:  # packed results of unpacked operands
            element //= 2
        operands = {name: _hex(record.operands[name][element]) for name in _operands(record)}
        part, name = element, ""
    else:
        part, row, column = index[-3:]
        length = int(record.operands["K"][index[0]]) if "K" in record.operands else record.operands["A"].shape[2]
        operands = {
            "A": _factors(record.operands["A"][part, row, :length]),
            "B": _factors(record.operands["B"][part, :length, column]),
            "C": _hex(record.operands[f"C.{instruction.addend}"][part, row, column]),
        }
        name = record.labels[part] if record.labels else ""
    if record.coverage and "coverage" in record.operands:
        name = record.coverage[int(record.operands["coverage"][part])]
    return Disagreement(index, operands, _hex(record.result[index]), _hex(wanted[index]), name)


def compare(record: Record, limit: int = 3, model: Model = expected) -> Agreement:
    """Compare one record with a model.

    Parameters
    ----------
    record : Record
        What a GPU answered.
    limit : int
        How many differences to describe.
    model : callable
        What is expected of a record, by default the simulator's rows.

    Returns
    -------
    Agreement
        Counts, and the first differences with their operands.

    Raises
    ------
    ValueError
        If the results are not as many as the operands ask for.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.capture import Record, compare
    >>> operands = {"a": np.uint16([0x3C00, 0x8000])}
    >>> record = Record("a GPU", (9, 0), "unary", "neg.f16", "neg.f16", operands, np.uint16([0xBC00, 0x0000]))
    >>> agreement = compare(record)
    >>> agreement.equal, agreement.count, agreement.agrees
    (2, 2, True)
    """
    wanted = model(record)
    if wanted is None:
        return Agreement(record.gpu, record.group, record.instruction, 0, 0, record.result.size)
    if wanted.shape != record.result.shape:
        raise ValueError(
            f"check: {record.group} has results of {record.instruction} of shape {record.result.shape}, but its "
            f"operands give {wanted.shape}; capture that group again"
        )
    differs = wanted != record.result
    count, wrong = differs.size, int(differs.sum())
    first = [tuple(int(i) for i in index) for index in np.argwhere(differs)[:limit]]
    described = tuple(_disagreement(record, index, wanted) for index in first)
    return Agreement(
        record.gpu,
        record.group,
        record.instruction,
        count,
        count - wrong,
        0,
        described,
    )


def check(
    path: str | Path,
    *,
    limit: int = 3,
    model: Model = expected,
    explain: bool = False,
    discriminate: bool = False,
    only: Iterable[str] = (),
) -> Iterator[Agreement | Damage]:
    """Compare every captured result below a folder with the simulator.

    Parameters
    ----------
    path : str or Path
        For example ``vectors/cuda``, or the manifest of one capture.
    limit : int
        How many differences to describe per instruction.
    model : callable
        What is expected of a record.
    explain : bool
        Whether described differences get the reasons of the simulator's result.
    discriminate : bool
        Whether to find which neighbours of its row an instruction's results can tell from it.
    only : iterable of str
        Only groups whose names begin with one of these; none for all.

    Yields
    ------
    Agreement or Damage
        One per instruction and group; damage in place of what could not be read or compared.

    Raises
    ------
    ValueError
        If the path is neither a folder nor a manifest.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from halfsim.capture import Facts, check, report
    >>> from halfsim.capture.recorder import Recorder
    >>> facts = Facts(gpu="Stand-in", capability=(9, 0), driver="0", cuda="0.0")
    >>> arrays = {"a": np.uint16([0x3C00]), "D.neg.f16": np.uint16([0xBC00])}
    >>> entry = {"opcode": "neg.f16", "status": "recorded", "results": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Recorder(Path(folder), facts, seed=1).save("unary", arrays, {"neg.f16": entry})
    ...     [report(found) for found in check(folder)]
    ['Stand-in  unary  neg.f16: 1 of 1 equal']
    """
    known = {item.name for group in GROUPS for item in group.instructions}
    wanted = tuple(only)
    for found in scan(path):
        for record in (found,) if isinstance(found, Damage) else found.contents(wanted):
            if isinstance(record, Damage):
                yield record
                continue
            place = record.gpu, record.group, record.instruction
            if record.instruction not in known:
                yield Damage("check: this version does not know the instruction; update halfsim", *place)
                continue
            try:
                agreement = compare(record, limit, model)
                power = of_record(record) if discriminate else ()
            except (KeyError, IndexError, TypeError, ValueError) as error:
                text = str(error) if str(error).startswith("check: ") else "check: operands and results do not fit"
                yield Damage(f"{text.partition(';')[0]}; capture that group again", *place)
            else:
                first = agreement.first
                if explain:  # of the first ones alone: a long chain takes seconds
                    first = tuple(replace(item, reasons=reasons(record, item.index)) for item in first)
                yield replace(agreement, first=first, discrimination=power)
    if not wanted:
        yield from unlisted(path)


def report(agreement: Agreement | Damage) -> str:
    """Return one line, and below it the described differences with their reasons.

    Parameters
    ----------
    agreement : Agreement or Damage
        What `check` yields.

    Returns
    -------
    str
        Lines without an end of line.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.capture import Record, compare, report
    >>> operands = {"a": np.uint16([0x3C00, 0x7E01])}
    >>> record = Record("a GPU", (9, 0), "unary", "neg.f16", "neg.f16", operands, np.uint16([0x3C00, 0x7FFF]))
    >>> print(report(compare(record)))
    a GPU  unary  neg.f16: 1 of 2 equal
        [0]: a = 3c00: GPU 3c00, simulator bc00
    """
    if isinstance(agreement, Damage):
        place = "  ".join(part for part in (agreement.gpu, agreement.group, agreement.instruction) if part)
        return f"{place}: DAMAGED: {agreement.message}" if place else f"DAMAGED: {agreement.message}"
    head = f"{agreement.gpu}  {agreement.group}  {agreement.instruction}: "
    if agreement.count == 0:
        return head + f"{agreement.open:,} results, observed only"
    lines = [head + f"{agreement.equal:,} of {agreement.count:,} equal"]
    for item in agreement.first:
        lines += [f"    {item}", *(f"        {reason}" for reason in item.reasons)]
    return "\n".join(lines)
