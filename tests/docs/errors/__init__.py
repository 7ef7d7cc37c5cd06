"""Calls that raise the errors that the reference documents, by function."""

from __future__ import annotations

from tests.docs.errors import arithmetic, studies, torch, training, vectors
from tests.docs.errors.row import Row

__all__ = ["TABLE"]

TABLE: list[Row] = [*arithmetic.ROWS, *training.ROWS, *studies.ROWS, *vectors.ROWS, *torch.ROWS]
