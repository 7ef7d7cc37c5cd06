"""A linear layer comes before it is taken apart, and whole without gradients: bits, counts, names are its parts'."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from contextlib import ExitStack

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import halfsim as hs  # noqa: E402
import halfsim.torch  # noqa: E402
from halfsim.interop.torch import facts  # noqa: E402
from halfsim.interop.torch import mode as modes  # noqa: E402
from halfsim.interop.torch.linear import Envelope, Layers  # noqa: E402
from halfsim.policy import named  # noqa: E402
from tests.processes import ROOT  # noqa: E402

AUTOGRAD = torch._C.DispatchKey.AutogradCPU


def layer(inputs=48, outputs=40, bias=True, dtype=torch.float16, kind=torch.nn.Linear):
    torch.manual_seed(5)
    made = kind(inputs, outputs, bias=bias).to(dtype)
    with torch.no_grad():
        # A column of zeros, one that overflows.
        made.weight[0], made.weight[1] = 0, 6e4
    return made


def operand(*shape, dtype=torch.float16):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7)).to(dtype)


@pytest.fixture
def whole(monkeypatch):
    """A list of the layers that came whole."""
    seen = []

    def noted(operands):
        seen.append(operands)
        return facts.layer_facts(operands)

    monkeypatch.setattr(modes, "layer_facts", noted)
    return seen


@pytest.fixture
def early(monkeypatch):
    """A list of the layers that came before PyTorch had taken them apart, with and without gradients."""
    seen, own = [], Layers.__call__

    def noted(self, x, weight, bias):
        seen.append(x.shape)
        return own(self, x, weight, bias)

    monkeypatch.setattr(Layers, "__call__", noted)
    return seen


CASES = {
    "layer": (layer(), operand(64, 48), True),
    "without a bias": (layer(bias=False), operand(64, 48), True),
    "float32": (layer(dtype=torch.float32), operand(64, 48, dtype=torch.float32), True),
    "bfloat16": (layer(dtype=torch.bfloat16), operand(64, 48, dtype=torch.bfloat16), True),
    "square": (layer(48, 48), operand(48, 48), True),
    "one row": (layer(), operand(1, 48), True),
    "no rows": (layer(), operand(0, 48), True),
    "transposed": (layer(), operand(48, 64).mT, True),
    "in a model": (torch.nn.Sequential(layer(), torch.nn.ReLU(), layer(40, 48)), operand(64, 48), True),
    "a stack": (layer(), operand(2, 32, 48), False),
    "a vector": (layer(), operand(48), False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("policy", ["mixed", "h100:f16", "h100:f32", "binary16-pure", "binary32"])
def test_it_gives_what_its_parts_give(name, policy, whole):
    module, x, comes_whole = CASES[name]
    if x.dtype == torch.bfloat16 and policy in ("h100:f16", "binary16-pure"):
        pytest.skip("bfloat16 numbers have no such sums")
    found = []
    for guard in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        whole.clear()
        with guard(), halfsim.torch.simulate(policy, rows=2) as report:
            found.append([module(x).detach() for _ in range(3)])
        found[-1].append(report.as_dict())
        assert bool(whole) == (comes_whole and guard is not torch.enable_grad)
    for results in found[1:]:
        assert results[3] == found[0][3]
        for y, expected in zip(results[:3], found[0][:3], strict=True):
            assert y.shape == expected.shape
            assert y.stride() == expected.stride()
            assert torch.equal(y.nan_to_num(7.0), expected.nan_to_num(7.0))
    assert set(found[0][3]["simulated"]) <= {"addmm", "mm", "mv", "add", "relu"}


def narrow_bias():
    made = layer()
    made.bias = torch.nn.Parameter(torch.ones(1).half())
    return made


OTHERS = {
    "a bias of one number": (narrow_bias(), operand(64, 48), {}),
    "left to PyTorch by a rule": (layer(), operand(64, 48), {"operators": {"linear": "torch"}}),
    "float64": (layer(dtype=torch.float64), operand(64, 48, dtype=torch.float64), {}),
    "special operands": (layer(48, 48), torch.full((48, 48), torch.nan).half(), {}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_becomes_of_it_becomes_of_its_parts(name, whole):
    (module, x, options), found = OTHERS[name], []
    for guard in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with guard(), halfsim.torch.simulate("mixed", **options) as report:
            y = module(x)
        found.append((y.dtype, y.nan_to_num(7.0).tolist(), report.as_dict()))
    assert found[0] == found[1] == found[2]
    assert len(whole) == 2


def test_what_autocast_copies_is_seen(whole):
    module, x, found = layer(), operand(64, 48), []
    for guard in (torch.enable_grad, torch.no_grad):
        with guard(), halfsim.torch.simulate("mixed") as report, torch.autocast("cpu", torch.bfloat16):
            y = module(x)
        found.append((y.dtype, y.nan_to_num(7.0).tolist(), report.as_dict()))
    assert found[0] == found[1]
    assert found[0][2]["simulated"] == {"_to_copy": 3, "addmm": 1}
    assert not whole


def test_transformed_layers(whole):
    module, x = layer(), operand(3, 64, 48)
    stacked = {name: torch.stack([p.detach()] * 3) for name, p in module.named_parameters()}

    def call(parameters, x):
        return torch.func.functional_call(module, parameters, (x,))

    found = []
    for guard in (torch.enable_grad, torch.no_grad):
        with guard(), halfsim.torch.simulate("h100:f16"):
            result = (
                torch.vmap(module)(x),
                torch.vmap(call)(stacked, x),
                torch.vmap(lambda s: s * module(x[0]))(x[:, 0, 0]),
            )
            gradient = torch.func.grad(lambda w: module(w[None] * x[0]).float().nan_to_num(0.0, 0.0).sum())(x[1, 0])
        found.append([y.detach().nan_to_num(7.0) for y in (*result, gradient)])
    for y, expected in zip(found[1], found[0], strict=True):
        assert torch.equal(y, expected)


class Doubled(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2


class Seen(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names = [*getattr(self, "names", []), func._schema.name]
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.graph = torch._C._dispatch_tls_is_dispatch_key_excluded(AUTOGRAD)
        return func(*args, **(kwargs or {}))


def hooked():
    made = layer()
    made.register_forward_pre_hook(graph)
    return made


def graph(*_):
    """Make a graph where one would not be looked for."""
    with torch.enable_grad():
        assert (torch.ones(1, requires_grad=True) * 2).grad_fn is not None


def own_forward():
    made = layer()
    made.forward = lambda x: (graph(), torch.nn.functional.linear(x, made.weight, made.bias))[1]
    return made


def parametrized():
    return torch.nn.utils.parametrizations.weight_norm(layer())


@pytest.mark.parametrize("make", [hooked, own_forward, parametrized, lambda: layer(kind=Doubled)])
def test_layers_that_do_more_are_taken_apart(make, whole):
    module, x = make(), operand(64, 48)
    with torch.no_grad(), halfsim.torch.simulate("h100:f16"):
        module(x)
    assert not whole


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_modes_and_transformations_see_the_parts(whole):
    module, x = layer(), operand(64, 48)
    with torch.no_grad(), halfsim.torch.simulate("h100:f32"):
        expected = module(x)
        assert len(whole) == 1
        with Seen() as seen:
            again = module(x)
        assert seen.names == ["aten::t", "aten::addmm"]
        assert torch.equal(again.nan_to_num(7.0), expected.nan_to_num(7.0))
        with Functions() as functions:
            module(x)
        assert functions.graph is False
        torch.vmap(module)(operand(3, 2, 48))
        with torch._C.DisableTorchFunction():
            module(x)
        with forward_ad.dual_level():
            y = module(forward_ad.make_dual(x, torch.ones_like(x)))
            assert forward_ad.unpack_dual(y).tangent is not None
    assert len(whole) == 1


@pytest.mark.parametrize("registered", ["register_module_forward_pre_hook", "register_module_forward_hook"])
def test_hooks_of_all_modules_make_graphs(registered, whole):
    handle = getattr(torch.nn.modules.module, registered)(graph)
    try:
        with torch.no_grad(), halfsim.torch.simulate("h100:f16"):
            layer()(operand(64, 48))
    finally:
        handle.remove()
    assert not whole


@pytest.mark.parametrize(
    "registered",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
@pytest.mark.parametrize("anywhere", [False, True])
def test_hooks_meet_tensors(registered, anywhere, early):
    module, x, met = layer(), operand(64, 48).requires_grad_(), []
    owner = torch.nn.modules.module if anywhere else module
    handle = getattr(owner, registered.replace("register_", "register_module_") if anywhere else registered)(
        lambda _, *given: met.extend(each for group in given for each in (group if type(group) is tuple else [group]))
    )
    try:
        with halfsim.torch.simulate("h100:f16"):
            module(x).float().sum().backward()
    finally:
        handle.remove()
    assert met
    assert all(isinstance(each, torch.Tensor | None) for each in met)
    assert not early
    assert x.grad is not None


def nodes(node):
    return (node.name(), [nodes(following) for following, _ in node.next_functions if following is not None])


@pytest.mark.parametrize("bias", [False, True])
def test_autograd_makes_the_nodes_that_it_makes_elsewhere(bias, early):
    module, x = layer(bias=bias), operand(64, 48)
    expected = nodes(module(x).grad_fn)
    with halfsim.torch.simulate("h100:f16"):
        y = module(x)
    assert len(early) == 1
    assert nodes(y.grad_fn) == expected
    assert not hasattr(y, "_operand")


def test_gradients_of_gradients(early):
    """Also through a checkpoint, which calls the layer again in the backward pass."""
    module, found = layer(dtype=torch.float32), []

    def call(x):
        return module(x)[:, 2:].sin().sum()

    for kind in (torch.nn.Linear, type("Linear", (torch.nn.Linear,), {})):
        module.__class__ = kind
        x = operand(64, 48, dtype=torch.float32).requires_grad_()
        early.clear()
        with halfsim.torch.simulate("mixed") as report:
            (first,) = torch.autograd.grad(call(x), x, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), x)
            torch.utils.checkpoint.checkpoint(call, x, use_reentrant=False).backward()
        assert len(early) == (3 if kind is torch.nn.Linear else 0)
        found.append((first.detach(), second, x.grad, module.weight.grad.clone(), report.as_dict()))
        module.zero_grad()
    for y, expected in zip(*(group[:4] for group in found), strict=True):
        assert torch.equal(y, expected)
    assert found[0][4] == found[1][4]


def test_an_envelope_is_opened_by_the_function_alone():
    envelope = Envelope(operand(2, 3), lambda x, weight, bias: (x, weight, bias))
    weight = operand(4, 3)
    x, second, bias = torch.nn.functional.linear(envelope, weight, None)
    assert x.shape == (2, 3)
    assert second is weight
    assert bias is None


def keeps_gradients():
    """Whether autograd sees what is called now."""
    return (torch.ones(2, requires_grad=True) * 2).grad_fn is not None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_gradients_are_kept_after_an_error(error, whole, monkeypatch):
    module, x = layer(), operand(64, 48)

    def broken(*_):
        raise error

    for _ in range(2):
        with halfsim.torch.simulate("h100:f16"):
            with torch.no_grad(), pytest.raises(RuntimeError, match="cannot be multiplied"):
                module(operand(4, 5))
            assert keeps_gradients()
            monkeypatch.setattr(modes.Mode, "_computed", broken)
            try:
                with torch.no_grad():
                    module(x)
            except error:
                pass
            monkeypatch.undo()
            assert keeps_gradients()
            assert module(x).grad_fn is not None
        assert module(x).grad_fn is not None


def test_another_linear_function_is_called_as_it_is(whole, monkeypatch):
    module, x = layer(), operand(64, 48)
    own = torch.nn.functional.linear

    def regularised(x, w, b=None):
        with torch.enable_grad():
            q = w.detach().requires_grad_()
            torch.autograd.grad((q * q).sum(), q)
        return own(x, w, b)

    monkeypatch.setattr(torch.nn.functional, "linear", regularised)
    with torch.no_grad(), halfsim.torch.simulate("h100:f16"):
        module(x)


def test_a_layer_that_learns_its_width_from_its_input(whole):
    with halfsim.torch.simulate("h100:f16") as report:
        assert torch.nn.LazyLinear(5)(operand(4, 6, dtype=torch.float32)).shape == (4, 5)
    assert not {name for name, _ in report.not_simulated} & {"addmm", "linear"}


def test_below_autograd(early):
    """What passes autograd over, as kernels do, gets the bits and no graph."""
    module, x = layer(), operand(64, 48)
    with halfsim.torch.simulate("h100:f16"):
        expected = module(x)
        with torch._C._AutoDispatchBelowAutograd():
            y = module(x)
    assert y.grad_fn is None
    assert torch.equal(y.nan_to_num(7.0), expected.detach().nan_to_num(7.0))
    assert len(early) == 2


def test_weights_are_known_for_weights(whole):
    """What a policy stores weights in holds for a layer that came whole, and for its gradients afterwards."""
    module, x = layer(dtype=torch.float32), operand(64, 48, dtype=torch.float32)
    found = []
    for guard in (torch.enable_grad, torch.no_grad):
        with halfsim.torch.simulate("apex-O1") as report:
            with guard():
                module(x)
            module(x).sum().backward()
        found.append((module.weight.grad.clone(), report.as_dict()))
        module.zero_grad()
    assert torch.equal(*(grad for grad, _ in found))
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_random_words_of_a_weight_with_gaps(dtype, whole):
    module, x = layer(dtype=dtype), operand(64, 48, dtype=dtype)
    stochastic = named("mixed").rounded(hs.Stochastic(bits=13, seed=5), "stochastic")
    for weight in (torch.randn(40, 96)[:, ::2], torch.randn(1, 48).expand(40, 48)):
        module.weight, found = torch.nn.Parameter(weight.to(dtype)), []
        for guard in (torch.enable_grad, torch.no_grad, torch.inference_mode):
            with guard(), halfsim.torch.simulate(stochastic, seed=3) as report:
                found.append((module(x).detach().tolist(), report.as_dict()))
        assert found[0] == found[1] == found[2]


class Stopped(torch.nn.Module):
    """Ends as at Ctrl-C, the first time."""

    def __init__(self, error):
        super().__init__()
        self.error, self.stopped = error, False

    def forward(self, x):
        if not self.stopped:
            self.stopped = True
            raise self.error
        return x @ x.T


class Caught(torch.nn.Module):
    """Goes on where a part of it was interrupted."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        try:
            self.part(x)
        except BaseException:
            return x @ x.T


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, ValueError])
@pytest.mark.parametrize("kept", [False, True])
def test_interrupted_modules_are_at_work_no_longer(error, kept):
    x, after, exceptions = operand(4, 48), layer(), []
    with halfsim.torch.simulate("mixed", modules={"0": "torch", "1": "torch", "Caught.part": "torch"}) as report:
        try:
            torch.nn.Sequential(torch.nn.Identity(), Stopped(error))(x)
        except error as raised:
            exceptions += [raised] * kept
        x @ x.T
        after(x)
        Caught(Stopped(error))(x)
        x @ x.T
    assert not report.not_simulated
    assert set(report.modules) == {"", "Linear", "Caught"}
    assert report.modules[""].elements == 2 * 16


def test_a_functional_layer_in_inference_mode(whole):
    """Its weight belongs to no module at work, and its bias may be given by name."""
    module, x = layer(), operand(64, 48)
    found = []
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), halfsim.torch.simulate("h100:f16") as report:
            found.append(torch.nn.functional.linear(x, module.weight, bias=module.bias).nan_to_num(7.0))
        found.append(report.as_dict())
    assert torch.equal(found[0], found[2])
    assert found[1] == found[3]
    assert len(whole) == 1


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("module", [layer(), torch.nn.ReLU(), torch.nn.Sequential(layer(), torch.nn.ReLU())])
def test_operands_end_with_the_call(module, grad):
    """Without a collection of cycles, which may be long in coming."""
    gc.collect()
    gc.disable()
    try:
        with torch.set_grad_enabled(grad), halfsim.torch.simulate("mixed"):
            x = operand(7, 48)
            seen = weakref.ref(x)
            module(x).sum()
            del x
            assert seen() is None
    finally:
        gc.enable()


def test_an_optimizer_ends_with_its_step():
    gc.disable()
    try:
        with halfsim.torch.simulate("mixed"):
            weight = torch.nn.Parameter(torch.ones(3))
            weight.grad = torch.ones(3)
            seen = weakref.ref(weight)
            torch.optim.SGD([weight], lr=0.1).step()
            del weight
            assert seen() is None
    finally:
        gc.enable()


PATCHES = {
    "forward": (
        "own = torch.nn.Linear.forward\n"
        "torch.nn.Linear.forward = lambda self, input: (input.shape, own(self, input))[1]\n"
    ),
    "function": (
        "own = torch.nn.functional.linear\n"
        "torch.nn.functional.linear = lambda x, *rest: (x.numel(), own(x, *rest))[1]\n"
    ),
}


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("first", [False, True])
def test_what_stands_in_the_place_of_pytorchs_functions_gets_tensors(patch, first):
    code = (
        "import torch\n"
        + ("" if first else "import halfsim.torch\n")
        + PATCHES[patch]
        + "import halfsim.torch\nm = torch.nn.Linear(4, 3)\nwith halfsim.torch.simulate('mixed') as report:\n"
        "    m(torch.ones(2, 4))\n    with torch.no_grad():\n        m(torch.ones(2, 4))\nprint(dict(report.simulated))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "{'addmm': 2}\n", done.stderr[-1000:]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.complex(*torch.randn(2, 64, 48)).conj().imag,
        lambda: torch._neg_view(operand(64, 48, dtype=torch.float32)),
        lambda: torch._efficientzerotensor((64, 48)),
    ],
    ids=["imaginary", "negative", "zero"],
)
def test_operands_that_are_no_plain_memory(make):
    module, x, found = layer(dtype=torch.float32), make(), []
    for guard in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with guard(), halfsim.torch.simulate("mixed"):
            found.append(module(x).detach().nan_to_num(7.0).tolist())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16])
def test_results_are_no_views(dtype):
    module, x = layer(dtype=dtype), operand(64, 48, dtype=dtype)
    with halfsim.torch.simulate("mixed"):
        with torch.no_grad():
            y = module(x)
        assert not y._is_view()
        y.add_(torch.ones(40, requires_grad=True, dtype=dtype))
    assert y.requires_grad


@pytest.mark.parametrize("grad", [True, False])
def test_where_the_mode_is_switched_off_nothing_is_simulated(grad, early):
    module, x = layer(), operand(64, 48)
    with torch.set_grad_enabled(grad):
        expected = module(x)
        with halfsim.torch.simulate("binary16-pure") as report:
            with torch.utils._python_dispatch._disable_current_modes(), Seen() as seen:
                y = module(x)
            with torch._C._DisableTorchDispatch():
                again = module(x)
    assert torch.equal(y.nan_to_num(7.0), expected.nan_to_num(7.0))
    assert torch.equal(again.nan_to_num(7.0), expected.nan_to_num(7.0))
    assert seen.names == ["aten::t", "aten::addmm"]
    assert not early
    assert not report.simulated


class Bad(torch.nn.Module):
    def forward(self, x):
        raise ValueError


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bad = Bad()

    def forward(self, x):
        try:
            self.bad(x)
        except ValueError:
            return x @ x.T


@pytest.mark.parametrize("before", [True, False])
def test_hooks_after_an_error_are_at_work_in_the_module(before):
    x, stack = operand(6, 8), ExitStack()

    def hook(*_):
        _ = x + x

    def register():
        stack.callback(torch.nn.modules.module.register_module_forward_hook(hook, always_call=True).remove)

    with stack:
        if before:
            register()
        with halfsim.torch.simulate("mixed") as report:
            if not before:
                register()
            Outer()(x)
    # Of the hook's two calls one is in a module that is at work, before or after it has ended, and one may be in none.
    found = {name: counts.elements for name, counts in report.modules.items()}
    assert found == ({"bad": 48, "Outer": 84} if before else {"Outer": 84, "": 48})
