"""What PyTorch refuses is refused under a simulation, with the same error, however often it is tried."""

from __future__ import annotations

import pytest

import halfsim as hs
from halfsim.interop.torch import refusals

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

F = torch.nn.functional


def x(*shape, dtype=torch.float32):
    return torch.ones(*shape, dtype=dtype)


def whole(*shape):
    return torch.ones(*shape, dtype=torch.int64)


HALF, BFLOAT = torch.float16, torch.bfloat16
CALLS = {
    "label below": lambda: F.nll_loss(x(1, 3), torch.tensor([-1])),
    "label above": lambda: F.cross_entropy(x(2, 3), torch.tensor([0, 3])),
    "row below": lambda: F.embedding(torch.tensor([-1]), x(4, 1)),
    "row above": lambda: F.embedding(torch.tensor([4]), x(4, 1)),
    "dimension": lambda: x(2, 3).sum(dim=3),
    "half and bfloat16": lambda: torch.mm(x(2, 2, dtype=HALF), x(2, 2, dtype=BFLOAT)),
    "half layer": lambda: F.linear(x(2, 2), x(2, 2, dtype=HALF), x(2, dtype=HALF)),
    "whole numbers and fractions": lambda: torch.mm(torch.ones(2, 2, dtype=torch.int64), x(2, 2)),
    "layer of whole numbers": lambda: F.linear(torch.ones(2, 2, dtype=torch.int64), x(2, 2), x(2)),
    "celu of nothing": lambda: F.celu(x(2), alpha=0.0),
    "half layer without bias": lambda: F.linear(x(2, 2), x(2, 2, dtype=HALF)),
    "convolution of two types": lambda: F.conv2d(x(1, 1, 4, 4), x(1, 1, 2, 2, dtype=HALF)),
    "matrices to bmm": lambda: torch.bmm(x(2, 2), x(2, 2)),
    "stacks to mm": lambda: torch.mm(x(2, 2, 2), x(2, 2, 2)),
    "stacks of two lengths": lambda: torch.bmm(x(1, 3, 4), x(3, 4, 5)),
    "inner sizes": lambda: torch.mm(x(2, 3), x(2, 3)),
    "large kernel": lambda: F.conv2d(x(1, 1, 2, 2), x(1, 1, 3, 3)),
    "whole numbers out": lambda: torch.add(x(2), x(2), out=torch.zeros(2, dtype=torch.int64)),
    "product over whole numbers": lambda: whole(2).mul_(x(2)),
    "product added over them": lambda: whole(2).addcmul_(x(2), x(2)),
    "quotient added over them": lambda: whole(2).addcdiv_(x(2), x(2)),
    "rows added to them": lambda: whole(2).index_add_(0, whole(1), x(1)),
    "rows added to others": lambda: whole(2).index_add(0, whole(1), x(1)),
    "elements added to them": lambda: whole(2).index_put_((whole(1),), x(1), accumulate=True),
    "less a truth": lambda: x(2) - (x(2) > 0),
    "a truth less": lambda: (x(2) > 0) - x(2),
    "less True": lambda: x(2) - True,
    "True less": lambda: True - x(2),
    "distance of truths": lambda: torch.dist(x(2) > 0, x(2)),
    "softmax out of another type": lambda: torch.softmax(x(2), 0, out=x(2, dtype=HALF)),
    "deviation of whole numbers": lambda: torch.std(whole(2), 0, out=x(1)[0]),
    "variance of whole numbers": lambda: torch.var(whole(2), 0, out=x(1)[0]),
    "between whole numbers": lambda: torch.lerp(whole(2), whole(2), 0.5, out=x(2)),
    "power over whole numbers, in parts": lambda: whole(2).ldexp_(x(2)),
    "power of truths, in parts": lambda: torch.ldexp(x(2), x(2) > 0),
    "cross entropy of two types, in parts": lambda: F.binary_cross_entropy(x(2, dtype=HALF), x(2)),
    "stacks of truths": lambda: torch.bmm(x(1, 1, 2) > 0, x(1, 2, 1)),
    "einsum of truths": lambda: torch.einsum("ij,jk->ik", x(1, 2) > 0, x(2, 1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_error_is_that_of_pytorch(name):
    with pytest.raises((RuntimeError, IndexError)) as expected:
        CALLS[name]()
    with hs.torch.simulate("mixed") as report:
        # A number of the same value is another kind of call.
        x(2) - 1
        1 - x(2)
        for _ in range(2):
            with pytest.raises(type(expected.value)) as found:
                CALLS[name]()
            assert str(found.value) == str(expected.value)
    assert not report.not_simulated


def test_sums_in_whole_numbers_are_left():
    with hs.torch.simulate("mixed") as report:
        assert x(2, 3).sum(dtype=torch.int32) == 6
        assert x(2, 3).cumsum(0, dtype=torch.int64).dtype == torch.int64
    assert set(report.not_simulated) == {("sum", "numbers are int32"), ("cumsum", "numbers are int64")}


@pytest.mark.parametrize("operand", [whole(2, 3), x(2, 3), x(2, 3, dtype=HALF)], ids=lambda each: str(each.dtype))
@pytest.mark.parametrize("dtype", [torch.complex64, torch.float64])
def test_sums_in_types_that_are_not_simulated_are_left(operand, dtype):
    calls = {"sum": torch.sum, "mean": torch.mean, "cumsum": torch.cumsum}
    operand = operand * 4097 if operand.dtype != HALF else operand + 2**-10
    for name, call in calls.items():
        with hs.torch.simulate("binary16-pure") as report:
            found = call(operand, 0, dtype=dtype)
        assert torch.equal(found, call(operand, 0, dtype=dtype))
        assert list(report.not_simulated) == [(name, f"numbers are {str(dtype).removeprefix('torch.')}")]


def test_norms_in_binary64_are_left():
    with hs.torch.simulate("mixed") as report:
        assert torch.linalg.vector_norm(x(3) / 3, dtype=torch.float64) == (x(3) / 3).double().norm()
    assert ("linalg_vector_norm", "numbers are float64") in report.not_simulated


@pytest.mark.parametrize("name", ["sum", "cumsum"])
def test_sums_written_over_whole_numbers_are_left(name):
    thirds = torch.tensor([0.5, 1.6, 2.7])
    expected, target = (torch.zeros(() if name == "sum" else 3, dtype=torch.int64) for _ in range(2))
    call = getattr(torch, name)
    call(thirds, 0, out=expected)
    with hs.torch.simulate("mixed") as report:
        call(thirds, 0, out=target)
    assert torch.equal(target, expected)
    assert list(report.not_simulated) == [(name, "numbers are int64")]


def test_labels_that_are_ignored():
    labels = torch.tensor([0, -100, -7])
    with hs.torch.simulate("mixed"):
        assert F.nll_loss(-x(2, 3), labels[:2]) == 1
        assert F.nll_loss(-x(1, 3), labels[2:], ignore_index=-7, reduction="sum") == 0


def test_a_target_is_unchanged_by_a_refusal():
    target = x(2, 2)
    with hs.torch.simulate("mixed"), pytest.raises(RuntimeError, match="size"):
        target.add_(x(3, 3))
    assert torch.equal(target, x(2, 2))


def test_a_call_is_tried_once_for_every_kind(monkeypatch):
    tried, taken = [], refusals._taken
    refusals.ACCEPTED._known.clear()
    monkeypatch.setattr(refusals, "_taken", lambda func, *rest: tried.append(func) or taken(func, *rest))
    for factor in (0.5, 0.25):
        with hs.torch.simulate("mixed"):
            x(2, 2) * factor
            x(2, 3) * factor
    assert len(tried) == 2


def test_a_kernel_that_pytorch_lacks_is_no_refusal(monkeypatch):
    """Tensors without numbers may be refused, and the processor may have no kernel, where the arithmetic is known."""
    monkeypatch.setattr(refusals, "_taken", lambda *call: False)

    def lacking(*call):
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'")

    lacking._schema = torch.ops.aten.addmm.default._schema
    accepted = refusals.Accepted()
    accepted.check(0, lacking, (x(2, 2),), {}, [x(2, 2)])
    with hs.torch.simulate("mixed"):
        assert (x(2, 2) + x(2, 2)).tolist() == [[2.0, 2.0]] * 2


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_traces_are_refused():
    from torch.fx.experimental.proxy_tensor import make_fx

    layer = torch.nn.Linear(8, 4)
    traced = pytest.raises(RuntimeError, match=r"traced.*torch\.func\.jvp")
    with hs.torch.simulate("mixed"):
        with traced:
            torch.func.linearize(layer, x(3, 8))
        with traced:
            make_fx(layer)(x(3, 8))
        torch.func.jvp(layer, (x(3, 8),), (x(3, 8),))


def test_a_sparse_tensor_is_to_be_made_dense_before():
    with hs.torch.simulate("mixed"), pytest.raises(ValueError, match=r"to_dense\(\), called before the block"):
        torch.eye(3).to_sparse() @ x(3, 3)


@pytest.mark.filterwarnings("ignore:.*nested:UserWarning")
def test_nested_tensors_are_refused_but_jagged_ones():
    parts = [x(3, 4), x(2, 4)]
    with hs.torch.simulate("mixed") as report:
        with pytest.raises(ValueError, match=r"nested tensor.*unbind"):
            torch.nested.nested_tensor(parts) * 3
        product = torch.nested.nested_tensor(parts, layout=torch.jagged) * 3
    assert product.values().tolist() == [[3.0] * 4] * 5
    assert report.simulated["mul"] == 1
