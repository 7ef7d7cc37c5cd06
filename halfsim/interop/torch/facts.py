"""What is known of an operator of PyTorch before it is called."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch

from halfsim.interop.torch.operators import (
    EXACT,
    FOREACH,
    HANDLERS,
    QUIET,
    RANDOM,
    WHOLE,
    Handler,
    composite,
    layer,
    written,
)

__all__ = ["COPIES", "Facts", "facts_of", "layer_facts"]

COPIES = {"_to_copy", "clone", "contiguous", "copy"}
_VIEWS_OR_COPIES = {"contiguous", "flatten", "ravel", "reshape", "reshape_as", "to"}
"""Expressions in others that PyTorch calls views, and that may be copies, of another type too."""


class Facts(NamedTuple):
    """What the name and the schema of an operator say."""

    space: str
    """Its namespace."""
    full: str
    name: str
    """Without the underscore of those in place."""
    changes: bool
    """Whether it changes its first operand."""
    view: bool
    handler: Handler | None
    composite: bool
    """Whether it is an expression in others."""
    direct: bool
    """Whether no call with an operand is but computed by the handler."""
    quiet: bool
    """Whether the handler leaves NumPy nothing to warn of."""


@cache
def facts_of(func: Any) -> Facts:
    """Return the facts on an operator."""
    space, _, full = func._schema.name.partition("::")
    changes = func._schema.is_mutable and full.endswith("_")
    name = full.removesuffix("_") if changes else full
    parts = space == "aten" and composite(func)
    # Where results go to several tensors, or to one of another name, the handler makes them before.
    elsewhere = written(func) not in ([], ["out"])
    handler = None if parts or elsewhere else HANDLERS.get(full) or HANDLERS.get(name)
    others = space != "aten" or name in COPIES or name in EXACT or name in RANDOM
    direct = not (handler is None or others or func.is_view or full.startswith(FOREACH) or name.startswith(WHOLE))
    view = func.is_view and not (parts and name in _VIEWS_OR_COPIES)
    return Facts(space, full, name, changes, view, handler, parts, direct, handler in QUIET)


@cache
def layer_facts(operands: int) -> Facts:
    """Return the facts on a linear layer of two or three operands that comes whole: it has the name of its product."""
    product = torch.ops.aten.mm if operands == 2 else torch.ops.aten.addmm
    return facts_of(product.default)._replace(handler=layer)
