"""`simulate`: a mode of PyTorch under which operators on floating-point numbers are computed as a policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from halfsim.arguments import tells_its_arguments
from halfsim.checks import integer
from halfsim.interop.torch.marks import Marks
from halfsim.interop.torch.mode import Mode
from halfsim.interop.torch.modules import Modules
from halfsim.interop.torch.report import Report
from halfsim.interop.torch.rules import PolicyLike, Rules, as_policy
from halfsim.interop.torch.threads import Started
from halfsim.policy import NoScale, WeightUpdate

__all__ = ["simulate"]

_NONE: Mapping[str, PolicyLike] = {}
_SWITCHES = Lock()
"""Held by the simulation that has set PyTorch's switches, which are those of all threads."""
_UNSCALE = "_amp_foreach_non_finite_check_and_unscale"


@tells_its_arguments
@contextmanager
def simulate(
    policy: PolicyLike,
    *,
    operators: Mapping[str, PolicyLike] = _NONE,
    modules: Mapping[str, PolicyLike] = _NONE,
    count: bool | int = True,
    rows: int = 16,
    seed: int = 0,
) -> Iterator[Report]:
    """Compute what PyTorch does inside in the arithmetic of a policy: forward, backward, and optimizer.

    Products go to `halfsim.matmul` with the policy's accumulators, sums start from a bias; sums, normalisation, softmax
    and losses are computed in the arithmetic of their reductions; elementwise operations round once each; what moves
    numbers or selects among them is exact. Every result is then stored as an activation or a gradient, except that
    losses, logarithms of probabilities, and tensors without dimensions stay in the arithmetic that made them.

    Parameters
    ----------
    policy : Policy or str
        A policy, the name of one, or a GPU's accumulator, ``"h100:f16"``, which stands for ``"mixed"`` with it.
    operators, modules : mapping of str to Policy or str
        Other policies, by patterns of operators' names (``"*softmax*"``) and of modules' paths (``"encoder.*"``); the
        value ``"torch"`` leaves them to PyTorch, and the report lists them. The first pattern that fits holds,
        operators before modules, and a module's for all modules in it; one that fits nothing is noted in the report.
        Names are the dispatcher's (``"addmm"``), or those of the functions ``linear matmul conv2d softmax log_softmax
        layer_norm group_norm batch_norm nll_loss`` and the like.
    count : bool or int
        Whether losses are counted by module, and additions watched in a sample of sums. What an accumulator in binary16
        lost is seen beside the binary32 sums of the same products: n > 1 makes those for the first product of a module
        and pass and for one in n then alone, and the report says how many results were left out. Infinities are noted
        in any case.
    rows : int
        Of matrix products with 1,024 results or more whose losses such sums must show, one row in so many is compared
        (where that were fewer than 64, more rows, of the first product of a module and pass and of one in some then),
        and every result that is zero, subnormal, infinite, NaN or the largest number. So what is inexact is counted in
        a sample, whose size the report says; everything else is counted in all results. 1 compares every row, which
        costs up to half of the product.
    seed : int
        Of stochastic rounding.

    Yields
    ------
    Report
        Filled while the block runs.

    Raises
    ------
    ValueError
        For unknown policies, and for a `seed` or `rows` that is no integer or too small; for tensors elsewhere than
        in the memory of the processor, of those on ``meta`` only beside others, sparse ones, and nested ones of
        another layout than ``torch.jagged``, which attention makes of jagged ones; and for bfloat16 numbers under a
        policy that says what they cannot have.
    TypeError
        For arguments of other types.
    RuntimeError
        Inside of another `simulate`, that of another thread as well, and of a function that is compiled; and for
        operators that are traced, as by ``torch.func.linearize``. What PyTorch refuses for its shapes and types, as
        factors of two types, or for an index that is outside, raises PyTorch's own error, but for types that its
        backward pass alone refuses; of numbers that an operator refuses, such as a negative `beta` of
        `smooth_l1_loss`, some are computed with, and a bias of several dimensions, which `linear` of other than
        matrices adds as any sum.

    See Also
    --------
    halfsim.torch.compare : The same model under several policies, layer by layer.

    Notes
    -----
    A float16 tensor holds binary16 numbers, a bfloat16 tensor bfloat16 numbers, and a float32 tensor numbers of the
    policy's format: operands are rounded to it, results are numbers of it. Under a policy with binary16 storage an
    operation with an operand that binary16 does not hold, such as a loss, is one of binary32, rounded once.
    Float32 tensors that PyTorch or the model copied from bfloat16 ones inside, and what is computed of their elements,
    hold bfloat16 numbers where the policy stores binary16: copied from float16, as by ``x.half().float()``, they do
    not, nor computed beside float16 tensors. What is written into a part of a float32 tensor of other numbers counts
    as those that were there, and the report notes it. The gradient of an operator is rounded as the operator was: to
    bfloat16 where that had bfloat16 numbers, else as the policy says, as in a table of embeddings or a norm of float32
    numbers before bfloat16 ones.
    Tensors on ``meta`` have shapes and no numbers: PyTorch answers for them.
    Parameters in float32 are master copies: they are rounded where they are used, and an optimizer moves them in
    the format of the policy's `optimizer_state`. Its `update` and `loss_scale` are for `LowPrecisionWeights` and
    `torch.amp.GradScaler` to obey; the report has a note where an optimizer made steps. Functions compiled by
    `torch.compile` run uncompiled. Weights that stay the same from call to call are kept rounded, and as the
    loops of matrix units decode them, 6 to 11 bytes an element or, of narrow ones, more, and 128 MiB at most a policy,
    until the block ends. What a checkpoint computes again is of the forward pass, and so is what any other node does
    with gradients enabled, unless the pass itself makes a graph, as ``create_graph=True`` says. PyTorch has modes by
    thread: what other threads compute inside is not simulated; the report lists the modules they call, and notes
    threads that start inside. Random numbers, windows and interpolation are PyTorch's own, and listed; numbers that
    a caller writes down, as in ``torch.tensor`` or ``full``, are rounded where they are used. Into float16 and
    bfloat16 tensors PyTorch writes them, as in ``fill_`` and ``x[0] = 0.1``, rounded to nearest, before anything
    can see it. A weight is a `torch.nn.Parameter`; other tensors are activations, and what changes a memory of
    losses or logarithms of probabilities in place stays in the arithmetic that made them. Under other roundings
    than to nearest, an operation with a number that binary16 lacks rounds twice: to binary32, to nearest, and when
    stored.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> layer = torch.nn.Linear(3, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2048.0, 1.0, 1.0]]))
    >>> with halfsim.torch.simulate("h100:f32") as report:
    ...     y = layer(torch.ones(1, 3))
    >>> y.item(), report.modules["Linear"].inexact
    (2050.0, 0)
    >>> from halfsim.policy import named
    >>> with halfsim.torch.simulate(named("binary16-pure")) as report:
    ...     y = layer(torch.ones(1, 3))
    >>> y.item(), report.modules["Linear"].inexact
    (2048.0, 1)
    """
    rules = Rules(as_policy(policy), operators, modules)
    seed = integer("simulate", "seed", seed, 0, 2**64 - 1)
    if any(isinstance(mode, Mode) for mode in torch.utils._python_dispatch._get_current_dispatch_mode_stack()):
        raise RuntimeError("simulate: inside of another simulate; end that one first, or give modules their own policy")
    if not hasattr(count, "__index__"):
        raise TypeError(
            f"simulate: count={count!r} is a {type(count).__name__}; pass True, False, or n to count the losses of "
            "binary16 accumulators in one product of n"
        )
    every = integer("simulate", "count", int(count), 0, 2**63 - 1)
    rows = integer("simulate", "rows", rows, 1, 2**63 - 1)
    if not _SWITCHES.acquire(blocking=False):
        raise RuntimeError(
            "simulate: another thread is inside of simulate, and PyTorch has one set of switches for all threads; "
            "simulate one after the other, or in processes of their own"
        )
    report = Report(count=every, rows=rows)
    with ExitStack() as stack:
        stack.callback(_SWITCHES.release)
        # Fused kernels of the processor are one operator each, of which nothing could be simulated.
        stack.enter_context(_switched(torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled))
        stack.enter_context(_switched(torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled))
        stack.enter_context(sdpa_kernel([SDPBackend.MATH]))
        try:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        except RuntimeError as error:
            raise RuntimeError(
                "simulate: inside of a function that torch.compile compiles; call that function inside of simulate, "
                "where it runs uncompiled"
            ) from error
        marks = Marks()
        followed = stack.enter_context(Modules(marks, report))
        stack.callback(_note, report, rules, followed, stack.enter_context(Started()))
        stack.enter_context(Mode(rules, report, marks, followed, seed))
        yield report


def _note(report: Report, rules: Rules, modules: Modules, threads: Started) -> None:
    """Say what nothing obeyed."""
    report.notes += [*rules.unused(), *threads.notes()]
    for policy in dict.fromkeys(rules.policies) if modules.stepped else ():
        if policy.update != WeightUpdate.master:
            report.notes.append(
                f"policy {policy.name!r}: its update is not that of an optimizer alone, which moves master copies; "
                "wrap the optimizer in halfsim.torch.LowPrecisionWeights with this policy, if it is not"
            )
        if policy.loss_scale != NoScale() and _UNSCALE not in report.simulated:
            report.notes.append(
                f"policy {policy.name!r}: its loss scale {policy.loss_scale!r} is not applied; use torch.amp.GradScaler"
            )


@contextmanager
def _switched(read: Callable[[], bool], write: Callable[[bool], Any]) -> Iterator[None]:
    """Switch something off, and then back to how it was."""
    before = read()
    write(False)
    try:
        yield
    finally:
        write(before)
