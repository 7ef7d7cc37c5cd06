"""The same model under several policies, layer by layer: where it goes wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from halfsim.formats import BFLOAT16, BINARY16, Format
from halfsim.interop.torch.modules import paths
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.rules import PolicyLike, as_policy
from halfsim.interop.torch.simulation import simulate
from halfsim.interop.torch.tensors import tensors_in
from halfsim.policy import Policy
from halfsim.training.arithmetic import Array

__all__ = ["Comparison", "LayerError", "compare"]


@dataclass(frozen=True)
class LayerError:
    """How far the output of a layer is from the reference.

    Attributes
    ----------
    policy, layer : str
        Name of the policy, and path of the module; a module that is called again has its number after a ``#``.
    operator : str
        Class of the module.
    max_ulp, rms_ulp : float
        Largest and root mean squared distance in units in the last place: the spacing of the stored format at the
        reference. Infinite where a number is not finite and the reference is.
    cosine : float
        Of the angle to the reference, both taken as vectors; NaN where one is zero or not finite.
    relative : float
        Norm of the distance over the norm of the reference.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> layer = torch.nn.Linear(3, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2048.0, 1.0, 1.0]]))
    >>> error = halfsim.torch.compare(layer, torch.ones(1, 3), ["binary16-pure"]).layers[0]
    >>> error.operator, error.max_ulp, error.cosine
    ('Linear', 1.0, 1.0)
    """

    policy: str
    layer: str
    operator: str
    max_ulp: float
    rms_ulp: float
    cosine: float
    relative: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    layers : tuple of LayerError
        Policy by policy, in the order in which layers end.
    first : dict of str to str or None
        By policy the first layer whose relative distance exceeds the threshold, or that is not finite where the
        reference is.
    outputs : dict of str to tensor or tuple
        Results of the model by policy, that of the reference under ``"reference"``.
    reports : dict of str to Report
        Reports of the simulations. Where one simulated nothing, as of a float64 model, the printed table says so.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> layer = torch.nn.Linear(3, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2048.0, 1.0, 1.0]]))
    >>> print(halfsim.torch.compare(layer, torch.ones(1, 3), ["h100:f32", "binary16-pure"], threshold=1e-4))
    policy         layer   max ulp  rms ulp  cosine    relative
    h100:f32       output  0        0        1.000000  0.00e+00
    binary16-pure  output  1        1        1.000000  9.76e-04
    h100:f32: no layer diverges
    binary16-pure: first divergence in output
    """

    layers: tuple[LayerError, ...]
    first: dict[str, str | None]
    outputs: dict[str, Any]
    reports: dict[str, Report]

    def as_dict(self) -> dict[str, Any]:
        """Return the table and the first divergences as plain values."""
        return {"layers": [asdict(layer) for layer in self.layers], "first": self.first}

    def __str__(self) -> str:
        head = ("policy", "layer", "max ulp", "rms ulp", "cosine", "relative")
        rows = [head]
        rows += [
            (x.policy, x.layer, f"{x.max_ulp:.4g}", f"{x.rms_ulp:.3g}", f"{x.cosine:.6f}", f"{x.relative:.2e}")
            for x in self.layers
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [
            f"{policy}: {self._verdict(policy) if layer is None else f'first divergence in {layer}'}"
            for policy, layer in self.first.items()
        ]
        return "\n".join(lines)

    def _verdict(self, policy: str) -> str:
        """Return what is said of a policy under which no layer diverges."""
        report = self.reports[policy]
        if report.simulated or not report.not_simulated:
            return "no layer diverges"
        reasons = sorted({reason for _, reason in report.not_simulated})
        return f"nothing was simulated: {', '.join(reasons)}"


def compare(
    model: torch.nn.Module,
    inputs: Any,
    policies: Sequence[PolicyLike] | Mapping[str, PolicyLike],
    *,
    reference: torch.dtype = torch.float64,
    threshold: float = 0.01,
    seed: int = 0,
) -> Comparison:
    """Run a model under several policies and measure every layer's output against a wide run.

    Every run starts from the same inputs, so that errors of a layer are those of all before it and its own, and from
    the same state of PyTorch's generator: random choices of the model, as of dropout, are the same in every run. What
    is drawn in the type of a tensor, as by ``randn_like``, ``rand_like`` and ``bernoulli``, is the same in runs of
    that type alone: compare a float32 model with ``reference=torch.float32`` then. So are parameters that the first
    call makes, as of ``LazyLinear``: make that call before. Neither model nor inputs are changed.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on the processor.
    inputs : tensor, tuple or dict
        Its input, positional inputs (a list or a named tuple as well), or inputs by keyword.
    policies : sequence of Policy or str, or mapping of str to them
        As `simulate` takes them; the keys of a mapping are names.
    reference : torch dtype
        ``torch.float64`` or ``torch.float32``: PyTorch's own arithmetic, without simulation.
    threshold : float
        The relative distance from which on a layer counts as diverged.
    seed : int
        Of stochastic rounding.

    Returns
    -------
    Comparison
        The table, printable; `halfsim.plotting.layer_errors` draws it.

    Raises
    ------
    TypeError
        For what is no module, for a single policy, and for a threshold that is no number.
    ValueError
        For another reference, no policies, two of one name, and a model or inputs elsewhere than on the processor.
    RuntimeError
        As of `simulate`.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
    >>> found = halfsim.torch.compare(model, torch.randn(8, 64), ["h100:f32", "h100:f16"])
    >>> [(layer.policy, layer.layer) for layer in found.layers][:3]
    [('h100:f32', '0'), ('h100:f32', '1'), ('h100:f32', '2')]
    >>> wide, narrow = (max(x.rms_ulp for x in found.layers if x.policy == p) for p in ("h100:f32", "h100:f16"))
    >>> wide < narrow
    True
    """
    if reference not in (torch.float64, torch.float32):
        raise ValueError(f"compare: reference={reference} is no wide type; pass torch.float64 or torch.float32")
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"compare: model={model!r} is a {type(model).__name__}; pass a torch.nn.Module")
    tensors = (*model.parameters(), *model.buffers(), *tensors_in(inputs))
    if elsewhere := ", ".join(sorted({str(x.device) for x in tensors if not x.is_cpu})):
        raise ValueError(f"compare: the model or its inputs are on {elsewhere}; move all to the processor with .cpu()")
    if not isinstance(threshold, int | float):
        raise TypeError(f"compare: threshold={threshold!r} is a {type(threshold).__name__}; pass a number such as 0.01")
    chosen = _named(policies)
    exact, output = _run(copy.deepcopy(model).to(reference), _cast(inputs, reference))
    layers, first, outputs, reports = [], {}, {"reference": output}, {}
    for name, policy in chosen.items():
        with simulate(policy, seed=seed, rows=1) as report:
            found, outputs[name] = _run(copy.deepcopy(model), _cast(inputs, None))
        stored = _format(policy, model)
        rows = [_error(name, layer, found[layer], exact[layer], stored) for layer in found if layer in exact]
        layers += rows
        first[name] = next((row.layer for row in rows if row.max_ulp == np.inf or row.relative > threshold), None)
        reports[name] = report
    return Comparison(tuple(layers), first, outputs, reports)


def _named(policies: Sequence[PolicyLike] | Mapping[str, PolicyLike]) -> dict[str, Policy]:
    if isinstance(policies, str | Policy) or not isinstance(policies, Iterable):
        raise TypeError(f"compare: policies={policies!r} is no list of policies; pass one, such as ['mixed']")
    if isinstance(policies, Mapping):
        found = {name: as_policy(policy, "compare") for name, policy in policies.items()}
    else:
        listed = [as_policy(policy, "compare") for policy in policies]
        found = {policy.name: policy for policy in listed}
        if len(found) < len(listed):
            raise ValueError("compare: policies hold two of one name; pass a dict whose keys tell them apart")
    if not found:
        raise ValueError("compare: policies is empty; pass at least one, such as ['mixed']")
    return found


def _format(policy: Policy, model: torch.nn.Module) -> Format:
    """Return what activations of a model are stored in."""
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    if dtype in (torch.float16, torch.bfloat16):
        return BINARY16 if dtype == torch.float16 else BFLOAT16
    return policy.activations


def _cast(inputs: Any, dtype: torch.dtype | None) -> Any:
    """Return copies of tensors, those of floating-point numbers in a type."""
    if isinstance(inputs, torch.Tensor):
        fresh = inputs.detach().clone()
        return fresh.to(dtype) if dtype is not None and fresh.is_floating_point() else fresh
    if isinstance(inputs, tuple | list):
        # A named tuple takes its fields one by one.
        return getattr(type(inputs), "_make", type(inputs))(_cast(x, dtype) for x in inputs)
    if isinstance(inputs, dict):
        return {key: _cast(x, dtype) for key, x in inputs.items()}
    return inputs


def _computes(module: torch.nn.Module) -> bool:
    """Whether a module has no module in it, or parameters beside it."""
    return not list(module.children()) or bool(list(module.parameters(recurse=False)))


def _run(model: torch.nn.Module, inputs: Any) -> tuple[dict[str, tuple[str, Array]], Any]:
    """Return (class, output) of every call of a module that `_computes`, and of the model; and its result."""
    found: dict[str, tuple[str, Array]] = {}

    def keep(path: str, module: torch.nn.Module) -> Any:
        def hook(module: torch.nn.Module, args: Any, output: Any) -> None:
            for tensor in tensors_in(output):
                if tensor.is_floating_point():
                    calls = sum(name.partition("#")[0] == path for name in found)
                    values = tensor.detach().double().numpy().copy()
                    found[path if not calls else f"{path}#{calls + 1}"] = type(module).__name__, values
                    return

        return module.register_forward_hook(hook)

    # One with parameters of its own, as attention has, computes beside the modules in it.
    named = paths(model)
    handles = [keep(path, module) for path, module in named if path and _computes(module)]
    # A module of that name keeps it.
    handles.append(keep("whole output" if "output" in dict(named) else "output", model))
    try:
        # A model that was compiled before calls no hook that it has got since.
        with torch.no_grad(), torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
            torch.manual_seed(0)
            if isinstance(inputs, dict):
                result = model(**inputs)
            else:
                result = model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found, result


def _error(policy: str, layer: str, found: tuple[str, Array], exact: tuple[str, Array], stored: Format) -> LayerError:
    values, reference = found[1].reshape(-1), exact[1].reshape(-1)
    with np.errstate(all="ignore"):
        distance = np.where(values == reference, 0.0, np.abs(values - reference))
        same = np.isnan(values) & np.isnan(reference)
        ulps = np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance) / _spacing(reference, stored))
        size = np.linalg.norm(values) * np.linalg.norm(reference)
        cosine = float(values @ reference / size) if size and np.isfinite(size) else float("nan")
        relative = float(np.linalg.norm(distance) / np.linalg.norm(reference))
    if not ulps.size:
        return LayerError(policy, layer, found[0], 0.0, 0.0, float("nan"), float("nan"))
    return LayerError(
        policy, layer, found[0], float(ulps.max()), float(np.sqrt(np.mean(ulps * ulps))), min(cosine, 1.0), relative
    )


def _spacing(x: Array, stored: Format) -> Array:
    """Return the distance of neighbouring numbers of a format at x, that of its largest ones beyond them."""
    _, exponent = np.frexp(np.where(np.isfinite(x), x, stored.largest))
    bounded = np.where(x == 0, stored.emin, np.clip(exponent - 1, stored.emin, stored.emax))
    return np.ldexp(1.0, bounded - (stored.precision - 1))
