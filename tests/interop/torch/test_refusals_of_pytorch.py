"""What PyTorch refuses is refused under a simulation, with the same error, however often it is tried."""

from __future__ import annotations

import itertools

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


def places(*numbers):
    return torch.tensor(numbers)


PLACED = {
    "max_unpool1d": lambda i, t: F.max_unpool1d(x(1, 1, 3, dtype=t), i.reshape(1, 1, 3), 2),
    "max_unpool2d": lambda i, t: F.max_unpool2d(x(1, 1, 1, 3, dtype=t), i.reshape(1, 1, 1, 3), 2),
    "max_unpool3d": lambda i, t: F.max_unpool3d(x(1, 1, 1, 1, 3, dtype=t), i.reshape(1, 1, 1, 1, 3), 2),
    "multi_margin_loss": lambda i, t: F.multi_margin_loss(x(3, 3, dtype=t), i),
    "multilabel_margin_loss": lambda i, t: F.multilabel_margin_loss(x(1, 3, dtype=t), i.reshape(1, 3)),
    "index_reduce": lambda i, t: x(3, dtype=t).index_reduce(0, i, x(3, dtype=t), "prod"),
    "scatter_reduce": lambda i, t: x(3, dtype=t).scatter_reduce(0, i, x(3, dtype=t), "mean"),
    "unsafe_index": lambda i, t: torch.ops.aten._unsafe_index(x(3, dtype=t), [i]),
    "scatter_add": lambda i, t: x(3, dtype=t).scatter_add(0, i, x(3, dtype=t)),
    "index_add": lambda i, t: x(3, dtype=t).index_add_(0, i, x(3, dtype=t)),
    "index_put": lambda i, t: x(3, dtype=t).index_put((i,), x(3, dtype=t), accumulate=True),
    "nll_loss": lambda i, t: F.nll_loss(x(3, 3, dtype=t), i),
    "embedding": lambda i, t: F.embedding(i, x(3, 2, dtype=t)),
}


def outcome(call, *args):
    """The class and the words of an error, or None."""
    try:
        call(*args)
    except Exception as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize("name", PLACED)
@pytest.mark.parametrize("dtype", [torch.float32, HALF, BFLOAT])
def test_a_place_outside_is_refused_after_any_call_of_its_kind(name, dtype):
    call = PLACED[name]
    refused = 0
    for bad in (places(0, -1, 1), places(0, 99, 1), places(-7, 2, 1)):
        expected = outcome(call, bad, dtype)
        if expected is not None and "not implemented" in expected[1]:
            # PyTorch has no such loss.
            continue
        with hs.torch.simulate("mixed"):
            assert outcome(call, places(0, 2, 1), dtype) is None
            assert outcome(call, bad, dtype) == expected
        refused += expected is not None
    assert refused or "margin" in name


def layer(bias, columns=2):
    made = torch.nn.Linear(2, columns)
    made.bias = torch.nn.Parameter(bias)
    return made


ADDED = {
    "addmm": lambda addend: torch.addmm(addend, x(2, 2), x(2, 2)),
    "addmm in halves": lambda addend: torch.addmm(addend.half(), x(2, 2, dtype=HALF), x(2, 2, dtype=HALF)),
    "addmm of nothing": lambda addend: torch.addmm(addend, x(2, 2), x(2, 2), beta=0),
    "addmm out": lambda addend: torch.addmm(addend, x(2, 2), x(2, 2), out=torch.empty(0)),
    "addmm in place": lambda addend: addend.clone().addmm_(x(2, 2), x(2, 2)),
    "addmv": lambda addend: torch.addmv(addend, x(2, 2), x(2)),
    "addr": lambda addend: torch.addr(addend, x(2), x(2)),
    "baddbmm": lambda addend: torch.baddbmm(addend, x(3, 2, 2), x(3, 2, 2)),
    "addbmm": lambda addend: torch.addbmm(addend, x(3, 2, 2), x(3, 2, 2)),
    "activation": lambda addend: torch._addmm_activation(addend, x(2, 2), x(2, 2)),
    "addmm of one number": lambda addend: torch.addmm(addend, x(1, 2), x(2, 1)),
    "addmm of one number out": lambda addend: torch.addmm(addend, x(1, 2), x(2, 1), out=torch.empty(0)),
    "addmm of one column": lambda addend: torch.addmm(addend, x(3, 2), x(2, 1)),
    "addmm of one number in place": lambda addend: addend.clone().addmm_(x(1, 2), x(2, 1)),
    "addmv of one row": lambda addend: torch.addmv(addend, x(1, 2), x(2)),
    "addmv of one row in place": lambda addend: addend.clone().addmv_(x(1, 2), x(2)),
    "baddbmm of columns": lambda addend: torch.baddbmm(addend, x(3, 2, 2), x(3, 2, 1)),
    "addbmm in place": lambda addend: addend.clone().addbmm_(x(3, 2, 2), x(3, 2, 2)),
    "linear to one column": lambda bias: F.linear(x(2, 2), x(1, 2), bias),
    "layer to one column": lambda bias: layer(bias, 1)(x(2, 2)),
    "convolution to one channel": lambda bias: F.conv1d(x(1, 2, 2), x(1, 2, 1), bias),
    "transposed convolution to one": lambda bias: F.conv_transpose1d(x(1, 2, 2), x(2, 1, 1), bias),
    "linear": lambda bias: F.linear(x(2, 2), x(2, 2), bias),
    "layer": lambda bias: layer(bias)(x(2, 2)),
    "convolution": lambda bias: F.conv1d(x(1, 2, 2), x(2, 2, 1), bias),
}
SHAPES = [shape for n in range(5) for shape in itertools.product((1, 2, 3), repeat=n) if n < 4 or shape[0] == 1]


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("gradients", [False, True])
def test_addends_are_those_that_pytorch_takes(name, gradients):
    refused, taken = 0, 0
    for shape in SHAPES:
        addend, shapes = x(shape), []

        def call(addend, shapes=shapes):
            shapes.append(ADDED[name](addend).shape)

        with torch.set_grad_enabled(gradients):
            expected = outcome(call, addend)
            with hs.torch.simulate("mixed"):
                for _ in range(2):
                    assert outcome(call, addend) == expected
        assert len(set(shapes)) == (expected is None)
        taken, refused = taken + (expected is None), refused + (expected is not None)
    assert refused
    assert taken


EMPTY = {
    "power": lambda a, b: a.pow_(b),
    "floor": lambda a, b: a.floor_divide_(b),
    "quotient": lambda a, b: a.div_(b),
    "cut quotient": lambda a, b: a.div_(b, rounding_mode="trunc"),
    "floor of a quotient": lambda a, b: a.div_(b, rounding_mode="floor"),
    "sum": lambda a, b: a.add_(b),
    "product": lambda a, b: a.mul_(b),
    "difference": lambda a, b: a.sub_(b),
    "products added": lambda a, b: a.addcmul_(b, b),
    "quotients added": lambda a, b: a.addcdiv_(b, b),
    "between": lambda a, b: a.lerp_(b, 0.5),
    "between by weights": lambda a, b: a.lerp_(a, b),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("length", [0, 1])
def test_a_target_is_not_expanded(name, length):
    call = EMPTY[name]
    expected = outcome(call, x(length, 1, 3), x(length, 10, 3))
    assert expected is not None
    target = x(length, 1, 3)
    with hs.torch.simulate("mixed"):
        for _ in range(2):
            assert outcome(call, target, x(length, 10, 3)) == expected
        assert outcome(call, x(length, 10, 3), x(length, 1, 3)) is None
    assert target.shape == (length, 1, 3)


@pytest.mark.parametrize("shape", [(3,), (1,), (1, 1), (2, 1), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, HALF, torch.int64])
def test_a_tensor_is_filled_with_no_row(shape, dtype):
    target = torch.zeros(2, 3, dtype=dtype)
    expected = outcome(target.fill_, x(shape))
    assert "0-dimension value tensor" in expected[1]
    with hs.torch.simulate("mixed"):
        assert outcome(target.fill_, x(shape)) == expected
    assert not target.any()


WITHOUT_NUMBERS = {
    "adaptive mean": lambda: F.adaptive_avg_pool2d(x(2, 3, 0, 2), 2),
    "transposed convolution": lambda: F.conv_transpose1d(x(2, 1, 0), x(1, 1, 3)),
    "framed convolution": lambda: F.conv1d(x(2, 1, 0), x(1, 1, 3), padding=2),
}


@pytest.mark.parametrize("name", WITHOUT_NUMBERS)
def test_what_has_no_numbers_is_refused_as_by_pytorch(name):
    expected = outcome(WITHOUT_NUMBERS[name])
    assert expected is not None
    with hs.torch.simulate("mixed"):
        for _ in range(2):
            assert outcome(WITHOUT_NUMBERS[name]) == expected


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_mkldnn"])
def test_only_numbers_in_their_places_are_filled(layout):
    target = getattr(torch.eye(3), layout)()
    with hs.torch.simulate("mixed"):
        for value in (1.0, torch.tensor(1.0)):
            with pytest.raises(ValueError, match=r"fill got a tensor of layout .* pass tensor\.to_dense\(\)"):
                target.fill_(value)


def row(dtype):
    return torch.arange(1.0, 5.0, dtype=dtype)


SHARED = {
    "sum in place": lambda a: a[1:].add_(a[:-1]),
    "sum out": lambda a: torch.add(a[1:], 1.0, out=a[:-1]),
    "power in place": lambda a: a[1:].pow_(a[:-1]),
    "product added in place": lambda a: a[1:].addcmul_(a[:-1], a[1:]),
    "lists": lambda a: torch._foreach_add_([a[1:]], [a[:-1]]),
    "function out": lambda a: torch.exp(a[1:], out=a[:-1]),
    "in parts": lambda a: torch.ops.aten.hardswish.out(a[1:], out=a[:-1]),
    "turned": lambda a: a.reshape(2, 2).t().add_(a.reshape(2, 2)),
    "one element": lambda a: a.mul_(a[2]),
    "first of them": lambda a: a.add_(a[:1]),
    "rows added": lambda a: a[1:].index_add_(0, places(0, 1, 2), a[:-1]),
    "rows added to themselves": lambda a: a.index_add_(0, places(3, 2, 1, 0), a),
    "elements added to themselves": lambda a: a.scatter_add_(0, places(3, 2, 1, 0), a),
    "copied to itself": lambda a: torch.cat([a], out=a),
    "elements added": lambda a: a[1:].scatter_add_(0, places(0, 1, 2), a[:-1]),
    "copied": lambda a: a[1:].copy_(a[:-1]),
}
APART = {
    "other elements": lambda a: a[:2].add_(a[2:]),
    "every second one": lambda a: a[::2].add_(a[1::2]),
    "the same": lambda a: a.add_(a),
    "the same out": lambda a: torch.add(a, a, out=a),
    "the same view": lambda a: torch.add(a[1:], 1.0, out=a[1:]),
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_a_target_that_shares_a_part_of_an_operand_is_refused(name, dtype):
    expected = outcome(SHARED[name], row(dtype))
    assert expected is not None
    assert "refer to a single memory location" in expected[1]
    with hs.torch.simulate("mixed"):
        # Without shared memory it is a call of the same kind.
        outcome(SHARED["sum in place"], row(dtype))
        x(3, dtype=dtype).add_(x(3, dtype=dtype))
        operand = row(dtype)
        assert outcome(SHARED[name], operand) == expected
    assert torch.equal(operand, row(dtype))


@pytest.mark.parametrize("name", APART)
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_a_target_that_shares_no_element_or_all_is_computed(name, dtype):
    found, expected = row(dtype), row(dtype)
    APART[name](expected)
    with hs.torch.simulate("mixed") as report:
        APART[name](found)
    assert report.simulated["add"] == 1
    assert torch.equal(found, expected)


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
    accepted.check(0, lacking, (x(2), x(2, 2), x(2, 2)), {}, [x(2, 2)])
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
        with pytest.raises(ValueError, match=r"fill got a nested tensor.*unbind"):
            torch.nested.nested_tensor(parts).fill_(torch.tensor(1.0))
        product = torch.nested.nested_tensor(parts, layout=torch.jagged) * 3
    assert product.values().tolist() == [[3.0] * 4] * 5
    assert report.simulated["mul"] == 1
