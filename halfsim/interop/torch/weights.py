"""An optimizer whose weights are binary16: what it makes of them moves them as a policy's update says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import _disable_current_modes

from halfsim.checks import integer
from halfsim.formats import BINARY16
from halfsim.interop.torch.tensors import array_of, tensor_of
from halfsim.policy import Policy, named
from halfsim.policy.update import UpdateLike
from halfsim.training.machine import Machine
from halfsim.training.weights import Weights, make_weights

__all__ = ["LowPrecisionWeights"]


class LowPrecisionWeights:
    """A `torch.optim` optimizer at work on binary16 weights.

    At every step the optimizer moves a binary32 copy of each weight, a master copy or the stored weight itself;
    the difference Δ then moves the stored weight. All its own operations are PyTorch's, or simulated inside of
    `simulate`. Parameters may be float16 tensors or float32 tensors that hold binary16 numbers; they are rounded at
    once, to nearest.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The optimizer; schedulers are given this one.
    update : str, WeightUpdate, Rounding or Stochastic
        ``"master"``: the copy stays in binary32, and the weight is its rounding. ``"nearest"``, or a rounding r:
        w = r(w + r(Δ)). ``"stochastic"``: w + Δ is rounded once, up with the probability of what is cut off.
        ``"kahan"``: what rounding takes off is kept in binary16 and added to the next Δ.
    seed : int
        Of stochastic updates. Word i of the weights, in the order of the optimizer's parameters, decides on weight i
        of them.
    policy : Policy, optional
        Whose rounding and flushing hold for what is stored; by default ``"mixed"``.

    Raises
    ------
    TypeError
        For parameters that are neither float16 nor float32.
    ValueError
        For an unknown update.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> w = torch.nn.Parameter(torch.ones(1000))
    >>> for update in ("nearest", "stochastic", "kahan", "master"):
    ...     _ = w.data.fill_(1.0)
    ...     optimizer = halfsim.torch.LowPrecisionWeights(torch.optim.SGD([w], lr=2**-14), update=update)
    ...     for _ in range(64):
    ...         w.grad = torch.full_like(w, -1.0)
    ...         optimizer.step()
    ...     print(update, round(w.mean().item() - 1, 4))
    nearest 0.0
    stochastic 0.0039
    kahan 0.0039
    master 0.0039
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        update: UpdateLike = "master",
        *,
        seed: int = 0,
        policy: Policy | None = None,
    ) -> None:
        self.optimizer = optimizer
        base = policy or named("mixed")
        chosen = replace(base.stored(BINARY16, base.name), update=update)
        seed = integer("LowPrecisionWeights", "seed", seed, 0, 2**64 - 1)
        self._machine = Machine(chosen, seed=seed)
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for p in self._parameters:
            if p.dtype not in (torch.float16, torch.float32):
                raise TypeError(
                    f"LowPrecisionWeights: a parameter is {p.dtype}; pass float16 or float32 parameters, as "
                    "model.half() or model.float() makes them"
                )
        with _disable_current_modes():
            flat = [array_of(p).reshape(-1).astype(np.float32) for p in self._parameters]
            self._weights: Weights = make_weights(
                np.concatenate(flat) if flat else np.zeros(0, np.float32), self._machine, seed
            )
            self._write(self._weights.stored)
        self.lost = self.moves = 0

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the optimizer."""
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:
        """The state of the optimizer."""
        return self.optimizer.state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step; return the loss that the closure returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        kept = [(p.data, p.grad) for p in self._parameters]
        start = self._weights.full.astype(np.float32)
        with _disable_current_modes():
            for p, values in zip(self._parameters, self._split(start), strict=True):
                gradient = p.grad
                p.grad = None
                p.data = tensor_of(values.copy(), torch.float32)
                p.grad = None if gradient is None else gradient.float()
        try:
            self.optimizer.step()
            with _disable_current_modes():
                moved = [array_of(p).reshape(-1) for p in self._parameters]
                delta = (np.concatenate(moved) if moved else start) - start
        finally:
            for p, (data, gradient) in zip(self._parameters, kept, strict=True):
                p.grad = None
                p.data = data
                p.grad = gradient
        unchanged = self._weights.move(delta)
        moves = delta != 0
        self.moves += int(np.count_nonzero(moves))
        self.lost += int(np.count_nonzero(moves & unchanged))
        with _disable_current_modes():
            self._write(self._weights.stored)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on but the gradients."""
        return {"optimizer": self.optimizer.state_dict(), "weights": self._weights.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, the weights too."""
        self.optimizer.load_state_dict(state["optimizer"])
        self._weights.restore(state["weights"])
        with _disable_current_modes():
            self._write(self._weights.stored)

    def _split(self, flat: Any) -> list[Any]:
        parts, start = [], 0
        for p in self._parameters:
            parts.append(flat[start : start + p.numel()].reshape(p.shape))
            start += p.numel()
        return parts

    def _write(self, stored: Any) -> None:
        with torch.no_grad():
            for p, values in zip(self._parameters, self._split(stored), strict=True):
                p.copy_(torch.from_numpy(values.copy()))
