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
from halfsim.interop.torch.rules import PolicyLike, as_policy
from halfsim.interop.torch.tensors import array_of, tensor_of
from halfsim.policy.update import UpdateLike, as_update
from halfsim.training.machine import Machine
from halfsim.training.weights import Weights, make_weights

__all__ = ["LowPrecisionWeights"]


class LowPrecisionWeights:
    """A `torch.optim` optimizer at work on binary16 weights.

    At every step the optimizer moves a binary32 copy of each weight, a master copy or the stored weight itself;
    the difference Δ then moves the stored weight. All its own operations are PyTorch's, or simulated inside of
    `simulate`. Parameters may be float16 tensors or float32 tensors that hold binary16 numbers; they are rounded at
    once, to nearest. A closure is given to the optimizer, which may call it again and again, as LBFGS does; it sees
    the copies rounded to what is stored. Weights that others wrote between two steps, as a model's `load_state_dict`
    does, are where the next step starts.

    `torch.amp.GradScaler` refuses to unscale the gradients of float16 parameters: with it, pass float32 parameters.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The optimizer. Schedulers take this optimizer, not the wrapper.
    update : str, WeightUpdate, Rounding or Stochastic, optional
        By default the policy's. ``"master"``: the copy stays in binary32, and the weight is its rounding.
        ``"nearest"``, or a rounding r:
        w = r(w + r(Δ)). ``"stochastic"``: w + Δ is rounded once, up with the probability of what is cut off.
        ``"kahan"``: what rounding takes off is kept in binary16 and added to the next Δ.
    seed : int
        Of stochastic updates. Word i of the weights, in the order of the optimizer's parameters, decides on weight i
        of them.
    policy : Policy or str, optional
        Whose rounding and flushing hold for what is stored; by default ``"mixed"``.

    Attributes
    ----------
    lost, moves : int
        Updates Δ ≠ 0 that left the weight as it was, and all of them.

    Raises
    ------
    TypeError
        For what is no optimizer, and for parameters that are neither float16 nor float32.
    ValueError
        For an unknown update, and parameters elsewhere than on the processor; at a step, for parameters that the
        optimizer was given later.

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
        update: UpdateLike | None = None,
        *,
        seed: int = 0,
        policy: PolicyLike = "mixed",
    ) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"LowPrecisionWeights: optimizer={optimizer!r} is a {type(optimizer).__name__}; pass a "
                "torch.optim.Optimizer, such as torch.optim.SGD(model.parameters(), lr=0.1)"
            )
        self.optimizer = optimizer
        base = as_policy(policy, "LowPrecisionWeights")
        chosen = replace(
            base.stored(BINARY16, base.name),
            update=base.update if update is None else as_update(update, "LowPrecisionWeights"),
        )
        self._seed = integer("LowPrecisionWeights", "seed", seed, 0, 2**64 - 1)
        self._machine = Machine(chosen, seed=self._seed)
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for p in self._parameters:
            if not p.is_cpu:
                raise ValueError(
                    f"LowPrecisionWeights: a parameter is on {p.device}; make the optimizer of model.cpu()"
                )
            if p.dtype not in (torch.float16, torch.float32):
                raise TypeError(
                    f"LowPrecisionWeights: a parameter is {p.dtype}; pass float16 or float32 parameters, as "
                    "model.half() or model.float() makes them"
                )
        self._dtypes = [p.dtype for p in self._parameters]
        self._widen()
        with _disable_current_modes():
            flat = [array_of(p).reshape(-1).astype(np.float32) for p in self._parameters]
            self._weights: Weights = make_weights(
                np.concatenate(flat) if flat else np.zeros(0, np.float32), self._machine, self._seed
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
        """Forget all gradients.

        Parameters
        ----------
        set_to_none : bool
            Whether gradients become None rather than zero, as PyTorch has it.
        """
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step; return the loss that the closure returned.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew and its gradients, for optimizers that ask for it.

        Returns
        -------
        object
            The loss that the closure returned, None without one.

        Raises
        ------
        ValueError
            If the optimizer has other parameters than it had at first.
        """
        self._check()
        with _disable_current_modes():
            self._follow()
        kept = [p.data for p in self._parameters]
        start = self._weights.full.astype(np.float32)
        self._exchange([tensor_of(values.copy(), torch.float32) for values in self._split(start)])
        try:
            loss = self.optimizer.step() if closure is None else self.optimizer.step(self._evaluated(closure))
            # Infinities have no difference.
            with _disable_current_modes(), np.errstate(all="ignore"):
                moved = [array_of(p).reshape(-1) for p in self._parameters]
                delta = (np.concatenate(moved) if moved else start) - start
        finally:
            self._exchange(kept)
        unchanged = self._weights.move(delta)
        moves = delta != 0
        self.moves += int(np.count_nonzero(moves))
        self.lost += int(np.count_nonzero(moves & unchanged))
        with _disable_current_modes():
            self._write(self._weights.stored)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on but the gradients, in tensors, and the counts."""
        weights = {name: torch.from_numpy(np.asarray(part).copy()) for name, part in self._weights.state().items()}
        counts = {"lost": self.lost, "moves": self.moves}
        return {"optimizer": self.optimizer.state_dict(), "weights": weights, **counts, **self._machine.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, the weights too.

        Parameters
        ----------
        state : dict
            What `state_dict` of the same optimizer, rule and parameters returned.

        Raises
        ------
        ValueError
            If parts of that are missing.
        """
        parts = "optimizer", "weights", "lost", "moves", *self._machine.state()
        missing = [name for name in parts if name not in state]
        if missing:
            raise ValueError(
                f"LowPrecisionWeights.load_state_dict: state has no {', '.join(map(repr, missing))}; pass what "
                "LowPrecisionWeights.state_dict returned"
            )
        # An optimizer takes its state over in the type of its parameters, which for a step is binary32.
        kept = [p.data for p in self._parameters]
        self._exchange([values.float() for values in kept])
        try:
            self.optimizer.load_state_dict(state["optimizer"])
        finally:
            self._exchange(kept)
        self._weights.restore({name: part.numpy() for name, part in state["weights"].items()})
        self._machine.restore(state)
        self.lost, self.moves = state["lost"], state["moves"]
        with _disable_current_modes():
            self._write(self._weights.stored)

    def __getstate__(self) -> dict[str, Any]:
        """Return what `pickle`, `copy.deepcopy` and `torch.save` keep: optimizer and parameters with the rest."""
        made = {"_machine": (self._machine.policy, self._machine.state()), "_weights": self._weights.state()}
        return {**self.__dict__, **made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        (policy, drawn), parts = state["_machine"], state["_weights"]
        self._machine = Machine(policy, seed=self._seed)
        self._weights = make_weights(parts["stored"].astype(np.float32), self._machine, self._seed)
        self._weights.restore(parts)
        self._machine.restore(drawn)

    def _widen(self) -> None:
        """Give the state that an optimizer made when it was itself made the type of the copies it moves."""
        with _disable_current_modes():
            for p in self._parameters:
                state = self.optimizer.state.get(p, {})
                for name, x in state.items():
                    if isinstance(x, torch.Tensor) and x.dtype == torch.float16:
                        state[name] = x.float()

    def _check(self) -> None:
        """Refuse parameters of which there are no stored weights."""
        now = [p for group in self.param_groups for p in group["params"]]
        if len(now) != len(self._parameters) or any(p is not q for p, q in zip(now, self._parameters, strict=True)):
            raise ValueError(
                "LowPrecisionWeights: the optimizer has other parameters than it had at first; make a new "
                "LowPrecisionWeights of it after optimizer.add_param_group"
            )

    def _follow(self) -> None:
        """Take over weights that others wrote."""
        found = [array_of(p).reshape(-1).astype(np.float32) for p in self._parameters]
        values, stored = np.concatenate(found) if found else np.zeros(0, np.float32), self._weights.stored
        written = (values != stored) & ~(np.isnan(values) & np.isnan(stored))
        if written.any():
            parts = self._weights.state()
            new = {"master": values[written], "stored": self._machine.weights.convert(values[written])}
            for name, part in parts.items():
                if part.ndim:
                    part[written] = new.get(name, 0)
            self._weights.restore(parts)

    def _exchange(self, values: list[torch.Tensor]) -> None:
        """Give the parameters other memories, and their gradients the same type."""
        with _disable_current_modes():
            for p, data in zip(self._parameters, values, strict=True):
                gradient = p.grad
                p.grad = None
                p.data = data
                p.grad = None if gradient is None else gradient.to(data.dtype)

    def _evaluated(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Return a closure that sees what would be stored of the copies as they are."""

        def evaluate() -> Any:
            copies = [p.data for p in self._parameters]
            with _disable_current_modes():
                narrow = [self._machine.weights.convert(array_of(x)) for x in copies]
            self._exchange([tensor_of(x, dtype) for x, dtype in zip(narrow, self._dtypes, strict=True)])
            try:
                return closure()
            finally:
                self._exchange(copies)

        return evaluate

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
