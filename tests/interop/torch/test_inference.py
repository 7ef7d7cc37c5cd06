"""Under `torch.inference_mode`, operators that PyTorch else takes apart reach the simulation whole."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from halfsim.policy import named

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import halfsim.torch  # noqa: E402
from halfsim.interop.torch.autocast import Autocast  # noqa: E402

F, aten = torch.nn.functional, torch.ops.aten

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(3))
HALF = X.half().reshape(2, 2, 8)
CASES = {
    "std of all": lambda: X.std(unbiased=False),
    "biased std of a row": lambda: X[0].std(unbiased=False),
    "variance kept": lambda: X.var(-1, keepdim=True),
    "biased variance": lambda: torch.var(X, 0, unbiased=False),
    "variance and mean": lambda: torch.cat(torch.var_mean(X, 0, False)),
    "softmax to float32": lambda: F.softmax(HALF, -1, dtype=torch.float32),
    "softmax to float64": lambda: F.softmax(HALF, -1, dtype=torch.float64),
    "log_softmax to float32": lambda: F.log_softmax(HALF, -1, dtype=torch.float32),
    "square": X.square,
    "quotient of whole numbers": lambda: torch.true_divide(torch.arange(5), 3),
    "quotient": lambda: torch.divide(X, 3.0),
    "attention": lambda: F.scaled_dot_product_attention(HALF, HALF, HALF),
    "einsum": lambda: torch.einsum("ij,kj->ik", X, X),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("policy", ["mixed", "h100:f16", "binary16-pure"])
def test_it_gives_what_no_grad_gives(name, policy):
    found = []
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), halfsim.torch.simulate(policy) as report:
            found.append((CASES[name](), sorted(report.not_simulated)))
    (expected, listed), (result, again) = found
    assert result.dtype == expected.dtype
    assert result.tolist() == expected.tolist()
    assert again == listed


COPIES = {
    "half": lambda x: x.half(),
    "type": lambda x: x.to(torch.float16),
    "type of another": lambda x: x.to(HALF),
    "type and device": lambda x: x.to("cpu", torch.float16),
    "the same": lambda x: x.to(torch.float32),
    "order": lambda x: x.t().contiguous(),
    "shape": lambda x: x.t().reshape(-1),
    "shape of another": lambda x: x.t().reshape_as(x),
    "row": lambda x: x.t().flatten(),
    "one row": lambda x: x.t().ravel(),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_those_of_no_grad(name):
    """Rounded as the policy says, and counted; or as wide as what they are copies of."""
    found = []
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), halfsim.torch.simulate(named("mixed").rounded("rtz", "zero")) as report:
            copied, wide = COPIES[name](X / 3), COPIES[name](X.log_softmax(-1))
            rest = wide - wide.half().to(wide.dtype)
        found.append((copied, wide, rest, dict(report.simulated), str(report.modules)))
    for one, other in zip(*found, strict=True):
        assert one == other if not isinstance(one, torch.Tensor) else torch.equal(one, other)
    assert rest.any() == (wide.dtype == torch.float32)


DROPS = {
    "dropout": lambda: F.dropout(X, 0.5, True),
    "in place": lambda: F.dropout(X.clone(), 0.25, True, True),
    "layer": lambda: torch.nn.Dropout()(X),
    "channels": lambda: F.dropout1d(X[None], 0.5, True),
    "kept variance": lambda: F.alpha_dropout(X, 0.5, True),
    "with its mask": lambda: torch.native_dropout(X, 0.5, True)[0],
    "nothing dropped": lambda: torch.native_dropout(X, 0.5, False)[0],
    "all dropped": lambda: torch.native_dropout(X, 1.0, True)[0],
}


@pytest.mark.parametrize("name", DROPS)
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_masks_are_pytorchs_own(name, guard):
    found = []
    for simulated in (False, True):
        torch.manual_seed(5)
        with guard():
            if simulated:
                with halfsim.torch.simulate("binary32") as report:
                    found.append(DROPS[name]())
            else:
                found.append(DROPS[name]())
    torch.testing.assert_close(found[1], found[0])
    assert not report.not_simulated


def test_what_is_left_to_pytorch_writes_where_it_is_told():
    out = torch.empty(8)
    with halfsim.torch.simulate("mixed") as report:
        torch.linalg.vector_norm(X, 3, 0, out=out)
    assert out.tolist() == torch.linalg.vector_norm(X, 3, 0).tolist()
    assert [name for name, _ in report.not_simulated] == ["linalg_vector_norm"]


def test_numbers_that_a_gradient_selects_are_rounded():
    x = torch.tensor([3.0, 0.1, -3.0], requires_grad=True)
    with halfsim.torch.simulate("binary16-pure"):
        F.huber_loss(x, torch.zeros(3)).backward()
    assert x.grad.tolist() == x.grad.half().tolist()
    assert x.grad[0].item() == torch.tensor(1 / 3).half().item()


def test_lists_of_tensors_that_pytorch_has_no_single_operator_for():
    with halfsim.torch.simulate("mixed") as report:
        (least,) = torch._foreach_minimum([X], 1.5)
        torch._foreach_minimum_([X.clone()], [X])
    assert least.tolist() == X.clamp(max=1.5).tolist()
    assert not report.not_simulated


def test_operators_that_take_functions_are_refused():
    with halfsim.torch.simulate("mixed"), pytest.raises(RuntimeError, match=r"higher_order\.cond takes functions"):
        torch.cond(torch.tensor(True), lambda x: x * 2, lambda x: x * 3, (X,))


def test_attention_has_a_row_of_its_own():
    model = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    found = halfsim.torch.compare(model, torch.randn(1, 4, 16), [named("mixed")])
    assert found.layers[0].layer == "self_attn"


def test_patterns_are_texts():
    with pytest.raises(TypeError, match="modules has the key 3, a int"):
        halfsim.torch.simulate("mixed", modules={3: "mixed"}).__enter__()


# Autocast, which stands above a mode, and above what `torch.inference_mode` leaves to it.

SQUARE = torch.randn(6, 6, generator=torch.Generator().manual_seed(5))
SEQUENCE = torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(6))


def layer(make, narrow=True):
    """A call of a layer on numbers of the type of autocast."""
    torch.manual_seed(2)
    module = make()

    def call():
        x = SEQUENCE if narrow is False else SEQUENCE.to(torch.get_autocast_dtype("cpu"))
        return module(x[0] if isinstance(module, torch.nn.RNNCellBase) else x)

    return call


CAST = {
    "einsum": lambda: torch.einsum("ij,jk->ik", SQUARE, SQUARE),
    "tensordot": lambda: torch.tensordot(SQUARE, SQUARE, 1),
    "multi_dot": lambda: torch.linalg.multi_dot([SQUARE, SQUARE, SQUARE[0]]),
    "chain_matmul": lambda: torch.chain_matmul(SQUARE, SQUARE),
    "cov": lambda: torch.cov(SQUARE),
    "corrcoef": lambda: torch.corrcoef(SQUARE),
    "matrix_power": lambda: torch.matrix_power(SQUARE, 3),
    "linear": lambda: F.linear(SQUARE, SQUARE),
    "attention": lambda: F.scaled_dot_product_attention(SEQUENCE, SEQUENCE, SEQUENCE),
    "softmax": lambda: F.softmax(SQUARE, -1),
    "cross entropy": lambda: F.cross_entropy(SQUARE @ SQUARE, torch.arange(6)),
    "several": lambda: F.layer_norm(torch.einsum("ij,kj->ik", SQUARE, SQUARE), (6,)) @ SQUARE,
    "LSTM": layer(lambda: torch.nn.LSTM(6, 4, 2, bidirectional=True)),
    "GRU": layer(lambda: torch.nn.GRU(6, 4)),
    "RNN": layer(lambda: torch.nn.RNN(6, 4)),
    "LSTMCell": layer(lambda: torch.nn.LSTMCell(6, 4)),
    "GRUCell": layer(lambda: torch.nn.GRUCell(6, 4)),
    "RNNCell": layer(lambda: torch.nn.RNNCell(6, 4)),
    "encoder": layer(lambda: torch.nn.TransformerEncoderLayer(6, 2, 8).eval(), narrow=False),
}


def leaves(result):
    return torch.utils._pytree.tree_flatten(result)[0]


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated:UserWarning")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", CAST)
def test_autocast_reaches_the_parts_of_operators(name, dtype):
    with torch.inference_mode(), torch.autocast("cpu", dtype=dtype):
        expected = [x.dtype for x in leaves(CAST[name]())]
    found = []
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), torch.autocast("cpu", dtype=dtype), halfsim.torch.simulate("h100:f32") as report:
            found.append([(x.dtype, x.tolist()) for x in leaves(CAST[name]())])
        assert not report.not_simulated
    assert [kind for kind, _ in found[1]] == expected
    assert found[0] == found[1]


def test_autocast_ends_where_pytorch_ends_it():
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), halfsim.torch.simulate("h100:f32"):
        with torch.autocast("cpu", enabled=False):
            off = torch.einsum("ij,jk->ik", SQUARE, SQUARE)
        on = torch.einsum("ij,jk->ik", SQUARE, SQUARE)
        assert torch.is_autocast_enabled("cpu")
    assert (off.dtype, on.dtype) == (torch.float32, torch.bfloat16)
    with torch.inference_mode(), halfsim.torch.simulate("h100:f32"):
        assert torch.einsum("ij,jk->ik", SQUARE, SQUARE).dtype == torch.float32


class Probe(TorchDispatchMode):
    """Notes whether autocast is on inside of the parts of operators, one in the parts of another."""

    def __init__(self):
        super().__init__()
        self.autocast, self.found = Autocast(), []

    def inside(self, *operators):
        with ExitStack() as stack:
            for operator in operators:
                stack.enter_context(self.autocast.parts(operator))
            return torch.is_autocast_enabled("cpu")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        einsum, matmul, add = aten.einsum.default, aten.matmul.default, aten.add.Tensor
        for operators in (
            (),
            (einsum,),
            (matmul,),
            (add,),
            (einsum, einsum),
            (matmul, einsum),
            (add, einsum),
            (einsum,),
        ):
            self.found.append(self.inside(*operators))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("enabled", [True, False])
def test_autocast_is_off_inside_of_what_is_cast_itself_and_of_what_is_no_expression(enabled):
    probe = Probe()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled), probe:
        torch.neg(SQUARE)
    assert probe.found == [enabled and on for on in (False, True, False, False, True, False, False, True)]
