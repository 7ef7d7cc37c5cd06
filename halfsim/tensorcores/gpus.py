"""The GPUs whose rows are of one kind, as types: what a checker knows of ``row("h100")``."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["Cdna1", "Cdna2", "Cdna3", "Nvidia"]

_Boards: TypeAlias = Literal["v100", "t4", "a100", "a10", "l40s", "h100", "h200", "b200", "rtx5090"]
_Generations: TypeAlias = Literal["volta", "turing", "ampere", "ada", "hopper", "blackwell", "rtx_blackwell"]

Nvidia: TypeAlias = _Boards | _Generations
Cdna1: TypeAlias = Literal["mi100", "cdna1"]
Cdna2: TypeAlias = Literal["mi210", "mi250x", "cdna2"]
Cdna3: TypeAlias = Literal["mi300a", "mi300x", "cdna3"]
