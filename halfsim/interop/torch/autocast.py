"""Autocast of the parts of operators, which `torch.inference_mode` takes apart below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from halfsim.interop.torch.operators import composite

__all__ = ["Autocast"]

_KEY = torch._C.DispatchKey.AutocastCPU
_has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
_included, _excluded = torch._C._dispatch_tls_local_include_set, torch._C._dispatch_tls_local_exclude_set


class Autocast:
    """Casts the parts of operators where PyTorch itself does: those of one that is an expression, and not cast itself.

    In a mode PyTorch's autocast is off: it comes before. With gradients, or without them as under `torch.no_grad`,
    expressions are taken apart before it.
    """

    def __init__(self) -> None:
        self._reaches = True

    @contextmanager
    def parts(self, func: Any) -> Iterator[None]:
        """Cast, or do not, what is called inside.

        Parameters
        ----------
        func : operator
            Whose parts are called.
        """
        before = self._reaches
        self._reaches = before and composite(func) and not _has_kernel(func.name(), "AutocastCPU")
        try:
            if self._reaches and _is_on():
                with torch._C._ForceDispatchKeyGuard(_included(), _excluded().remove(_KEY)):
                    yield
            else:
                yield
        finally:
            self._reaches = before


def _is_on() -> bool:
    """Whether autocast is on where an operator was called."""
    with torch._C._RestorePythonTLSSnapshot():  # type: ignore[attr-defined]
        return torch.is_autocast_enabled("cpu")
