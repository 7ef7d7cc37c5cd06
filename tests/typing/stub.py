"""The callables in `halfsim/__init__.pyi`: their types and documentation, written from the operations themselves.

Editors run nothing, and an operation is an object whose docstring is put together when it is made. So the stub spells
out what they show; ``python -m tests.typing.stub`` writes that part of it again.
"""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

from halfsim import conversion, linalg, operations, predicates
from halfsim.operation import Operation

__all__ = ["STUB", "written"]

STUB = Path(__file__).resolve().parents[2] / "halfsim" / "__init__.pyi"
_MARK = "# What can be called, as `python -m tests.typing.stub` writes it.\n"
_MODULES = (conversion, linalg, operations, predicates)
_KEPT: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "drop_whitespace": True}
_OTHERS = {"Conversion": "Cast", "Total": "Sum"}
_KINDS = {1: "Unary", 2: "Binary", 3: "Ternary"}


def _kind(value: Any) -> str:
    """Return the type of a callable."""
    if isinstance(value, linalg.MatrixProduct):
        # Nearly all products by that name are of matrices; of two vectors they are dot products.
        return f"_Product[{'_NDArray[_Any]' if value is linalg.matmul else '_Any'}]"
    if not isinstance(value, Operation):
        return f"_{_OTHERS[type(value).__name__]}"
    kind = "_Integral" if value.options else "_Scaling" if value.integers >= 0 else f"_{_KINDS[value.arity]}"
    return f"{kind}[np.{value.dtype.type.__name__}]"


def _documentation(value: Any) -> str:
    """Return a docstring: of operations without the sections that all of them share."""
    text = inspect.cleandoc(value.__doc__)
    if isinstance(value, Operation):
        shared, notes = text.index("Parameters\n---"), text.index("Notes\n---")
        text = text[:shared] + text[notes:]
    lines = [
        part
        for line in text.split("\n")
        for part in textwrap.wrap(line, 120, subsequent_indent=" " * (len(line) - len(line.lstrip())), **_KEPT) or [""]
    ]
    return f'{"r" if chr(92) in text else ""}"""{chr(10).join(lines)}\n"""\n'


def written() -> str:
    """Return the stub with its callables written anew."""
    head, mark, _ = STUB.read_text().partition(_MARK)
    assert mark, f"{STUB} has lost the line {_MARK!r}"
    return f"{head}{mark}\n" + "\n".join(
        f"{name}: {_kind(value)}  # from {module.__name__}\n{_documentation(value)}"
        for module in _MODULES
        for name, value in ((name, getattr(module, name)) for name in module.__all__)
        if hasattr(value, "flagged") and not isinstance(value, type)
    )


if __name__ == "__main__":
    STUB.write_text(written())
