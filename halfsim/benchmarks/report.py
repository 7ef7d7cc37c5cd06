"""What is said of measured rows: a table to read, and a document for programs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

from halfsim._version import __version__
from halfsim.benchmarks.measure import Against, Result
from halfsim.benchmarks.rows import Sizes

__all__ = ["document", "machine", "missed", "table"]

_PEERS = ("numpy", "numba", "torch", "apytypes", "gfloat", "pychop", "softfloatpy", "ml_dtypes", "mmasim", "mmaemu")
_MOST_MEMORY = 1.0
_HEAD = f"{'':44}{'rate':>14}{'roof':>7}{'memory':>8}  {'peer':<19}{'ratio':>9}{'floor':>8}{'goal':>7}"


def machine() -> dict[str, str]:
    """Return what the figures hold for: processor, versions of Python and of the peers that are installed."""
    from llvmlite import binding

    found = {
        "processor": binding.get_host_cpu_name(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "halfsim": __version__,
    }
    for name in _PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def missed(results: Sequence[Result]) -> list[str]:
    """Return a line for every ratio below its floor, and for every call that takes more memory than its operands."""
    # The floor is that of large products: what a small one or a thread more takes is bounded, and shown as it grows.
    hungry = [
        f"{result.family}, {result.name}: takes {result.memory:.2f} x its operands, not {_MOST_MEMORY}"
        for result in results
        if result.memory is not None and result.memory > _MOST_MEMORY and not result.family.startswith("growth")
    ]
    return hungry + [
        f"{result.family}, {result.name}: {against.ratio:.3g} x {against.peer}, not {against.floor:.3g}"
        for result in results
        for against in result.against
        if against.verdict == "below"
    ]


def table(results: Sequence[Result]) -> str:
    """Return the rows as text, a line for every peer.

    Parameters
    ----------
    results : sequence of Result
        In the order of the table.

    Returns
    -------
    str
        Without a line break at its end.
    """
    lines = [_HEAD]
    family = ""
    for result in results:
        if result.family != family:
            family = result.family
            lines += ["", family]
        memory = "" if result.memory is None else f"{result.memory:.2f}"
        start = f"  {result.name:<42}{_rate(result):>14}{100 * result.roof:>5.0f} %{memory:>8}  "
        # The limit has its share in a column; it has a line where a ratio to it is aimed at, or nobody else is there.
        shown = [peer for peer in result.against if peer.peer != result.limit or peer.floor is not None]
        for against in shown or result.against:
            lines.append(f"{start}{_against(against)}".rstrip())
            start = " " * len(start)
    return "\n".join(lines)


def _rate(result: Result) -> str:
    if result.unit == "elements":
        return f"{result.rate / 1e6:,.0f} M/s"
    return f"{result.rate / 1e9:,.3g} GMAC/s"


def _against(against: Against) -> str:
    aims = "".join(
        f"{aim:>{w}.3g}" if aim is not None else " " * w for aim, w in ((against.floor, 8), (against.goal, 7))
    )
    remarks = [against.verdict, against.note]
    if against.differ:
        remarks.append(f"differs in {against.differ:,} of {against.compared:,}")
    elif against.compared:
        remarks.append("same answers")
    return f"{against.peer:<19}{against.ratio:>9.3g}{aims}  {', '.join(remark for remark in remarks if remark)}"


def document(results: Sequence[Result], sizes: Sizes, rounds: int, unfinished: Sequence[str] = ()) -> dict[str, Any]:
    """Return everything as what JSON holds.

    Parameters
    ----------
    results : sequence of Result
        In the order of the table.
    sizes : Sizes
        Of the operands.
    rounds : int
        Turns of everybody.
    unfinished : sequence of str
        Families that were asked for and are not there, as the run was interrupted.

    Returns
    -------
    dict
        ``schema``, ``machine``, ``sizes``, ``rounds``, ``unfinished`` and ``rows``; ratios above 1 mean that halfsim is
        faster.
    """
    rows = [
        {**asdict(result), "against": [{**asdict(a), "verdict": a.verdict} for a in result.against]}
        for result in results
    ]
    said = {"sizes": sizes._asdict(), "rounds": rounds, "unfinished": list(unfinished)}
    return {"schema": 1, "machine": machine(), **said, "rows": rows}
