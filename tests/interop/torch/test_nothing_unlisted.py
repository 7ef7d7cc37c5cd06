"""What PyTorch computes itself inside of `simulate` is listed, and what is selected is a number of the format."""

from __future__ import annotations

from dataclasses import replace

import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def scattered(how):
    index = torch.zeros(4096, dtype=torch.long)
    return torch.zeros(1).half().scatter(0, index, torch.ones(4096).half(), reduce=how)


def quantised():
    return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)


def quantised_linear():
    layer = torch.ao.nn.quantized.Linear(4, 2)
    return layer(torch.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torch.quint8))


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("scatter", lambda: scattered("multiply")),
        ("round", lambda: torch.round(torch.ones(3) / 3, decimals=2)),
        ("normal", lambda: torch.normal(torch.zeros(3), torch.ones(3))),
        ("normal", lambda: torch.normal(0.0, 1.0, (3,))),
        ("normal", lambda: torch.empty(3).normal_()),
        ("uniform", lambda: torch.empty(3).uniform_()),
        ("randn", lambda: torch.randn(3)),
        ("rand_like", lambda: torch.rand_like(torch.ones(3))),
        ("abs", lambda: torch.ones(3, dtype=torch.complex64).abs()),
        ("sgn", lambda: torch.ones(3, dtype=torch.complex64).sgn()),
        ("mul", lambda: torch.ones(3) * 1j),
        ("mul", lambda: F.conv1d(*(torch.ones(n, dtype=torch.complex64) for n in ((1, 1, 4), (1, 1, 2), (1,))))),
        ("atan", lambda: torch.atan(torch.arange(5))),
        ("sinh", lambda: torch.sinh(torch.arange(5))),
        ("asin", lambda: torch.asin(torch.arange(2))),
        ("atan2", lambda: torch.atan2(torch.arange(5), torch.arange(5))),
        ("i0", lambda: torch.special.i0(torch.arange(5))),
        ("cumprod", lambda: torch.arange(1, 15).cumprod(0, dtype=torch.float32)),
        ("linspace", lambda: torch.linspace(0, 1, 7)),
        ("logspace", lambda: torch.logspace(0, 1, 7)),
        ("hann_window", lambda: torch.hann_window(7)),
        ("arange", lambda: torch.arange(0, 1, 0.1)),
        ("mean", lambda: quantised().mean()),
        ("quantize_per_tensor", quantised),
        ("dequantize", lambda: quantised().dequantize()),
        ("quantized::linear", quantised_linear),
        ("upsample_linear1d", lambda: F.interpolate(torch.ones(1, 1, 1500), size=3000, mode="linear")),
        ("upsample_bilinear2d", lambda: F.interpolate(torch.ones(1, 1, 5, 5), size=(9, 9), mode="bilinear")),
        ("grid_sampler_2d", lambda: F.grid_sample(torch.ones(1, 1, 5, 5), torch.zeros(1, 3, 3, 2), align_corners=True)),
        ("_to_copy", lambda: torch.ones(3).to(torch.float8_e4m3fn)),
        ("copy", lambda: torch.zeros(3).to(torch.float8_e5m2).copy_(torch.ones(3))),
        ("maximum", lambda: torch.maximum(torch.ones(3), torch.ones(3), out=torch.zeros(3).half())),
        ("affine_grid_generator", lambda: F.affine_grid(torch.ones(1, 2, 3), [1, 1, 4, 4], align_corners=False)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_listed(name, compute):
    with hs.torch.simulate("binary16-pure") as report:
        compute()
    assert name in {operator for operator, _ in report.not_simulated}


def test_random_numbers_are_drawn_once():
    torch.manual_seed(0)
    expected = torch.randn(3), torch.randn(3)
    torch.manual_seed(0)
    with hs.torch.simulate("mixed"):
        found = torch.randn(3), torch.randn(3)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    "compute",
    [
        lambda: torch.arange(5) * 2 + torch.zeros(5, dtype=torch.long),
        lambda: torch.zeros(3) + torch.ones(3) + torch.full((3,), 2.0),
        lambda: torch.arange(5).float() + torch.arange(5, dtype=torch.float32),
        lambda: F.dropout(torch.ones(30), 0.5),
        lambda: torch.eye(3)[torch.arange(2)],
    ],
)
def test_what_is_exact_is_not_listed(compute):
    with hs.torch.simulate("binary16-pure") as report:
        compute()
    assert not report.not_simulated


def test_scattered_sums_are_those_of_the_policy():
    with hs.torch.simulate("binary16-pure") as report:
        found = scattered("add")
    assert found.item() == 2048
    assert not report.not_simulated


@pytest.mark.parametrize(
    "select",
    [
        lambda x: x.clamp(max=0.1),
        lambda x: x.clone().clamp_(0.1, 0.1),
        lambda x: F.hardtanh(x, -0.1, 0.1),
        lambda x: F.threshold(x, 2, 0.1),
        lambda x: torch.where(x > 2, x, 0.1),
        lambda x: torch.where(x > 2, x, torch.tensor(0.1)),
        lambda x: x.masked_fill(x > 0, 0.1),
        lambda x: x.clone().masked_fill_(x > 0, 0.1),
        lambda x: F.pad(x, (1, 1), value=0.1),
        lambda x: x.index_fill(0, torch.tensor([1]), 0.1),
        lambda x: x.scatter(0, torch.tensor([1]), 0.1),
    ],
)
def test_selected_constants_are_numbers_of_the_format(select):
    with hs.torch.simulate("mixed") as report:
        y = select(torch.ones(3))
    assert y.min().item() == torch.tensor(0.1).half().item()
    assert not report.not_simulated
    with hs.torch.simulate("binary32"):
        y = select(torch.ones(3))
    assert y.min().item() == torch.tensor(0.1).item()


def test_a_master_copy_keeps_its_constants():
    w = torch.nn.Parameter(torch.ones(3))
    with hs.torch.simulate("mixed"), torch.no_grad():
        w.clamp_(max=0.1)
    assert w[0].item() == torch.tensor(0.1).item()


def test_interpolation_is_that_of_pytorch():
    x = torch.rand(1, 1, 1500)
    expected = F.interpolate(x, size=3000, mode="linear")
    with hs.torch.simulate("mixed"):
        found = F.interpolate(x, size=3000, mode="linear")
    assert torch.equal(found, expected)


def test_copies_of_whole_numbers_and_of_lists_are_rounded_as_the_policy_says():
    down = replace(named("mixed"), name="down", rounding=hs.Rounding.roundTowardZero)
    targets = [torch.zeros(1).half()]
    with hs.torch.simulate(down) as report:
        whole = torch.arange(2048, 2056).half()
        torch._foreach_copy_(targets, [torch.tensor([2051.0])])
    assert whole.tolist() == [2048, 2048, 2050, 2050, 2052, 2052, 2054, 2054]
    assert targets[0].item() == 2050
    assert not report.not_simulated


def test_copies_in_bfloat16_are_those_of_the_policy():
    x = torch.tensor([1 + 2.0**-9, 3.0])
    target = torch.zeros(2).bfloat16()
    with hs.torch.simulate("mixed") as report:
        found = x.bfloat16(), target.copy_(x)
    assert all(y.tolist() == [1.0, 3.0] for y in found)
    assert (report.modules[""].elements, report.modules[""].inexact) == (4, 2)
    assert not report.not_simulated
    down = replace(named("mixed"), name="down", rounding=hs.Rounding.roundTowardZero)
    with hs.torch.simulate(down), pytest.raises(ValueError, match="pass float16 tensors"):
        x.bfloat16()


def test_a_copy_has_the_order_of_memory_that_is_asked_for():
    x = torch.randn(2, 3, 4, 5)
    with hs.torch.simulate("mixed"):
        y = x.to(torch.float16, memory_format=torch.channels_last)
    assert y.stride() == x.to(memory_format=torch.channels_last).stride()
    assert torch.equal(y, x.half())


def test_a_result_is_written_to_a_tensor_of_another_shape():
    a, b = torch.randn(4), torch.randn(4, 3)
    with hs.torch.simulate("mixed"):
        out = torch.empty(3)
        found = torch.matmul(a, b, out=out)
        expected = a @ b
    assert found is out
    assert torch.equal(out, expected)


def test_a_memory_set_to_zero_is_no_longer_wide():
    x = torch.randn(4, 6)
    with hs.torch.simulate("mixed"):
        b = torch.empty(4, 6)
        b.copy_(x.log_softmax(-1))
        b.zero_().add_(x)
        found = b * x
        expected = (torch.zeros(4, 6) + x) * x
    assert torch.equal(found, expected)
    assert torch.equal(b, b.half().float())


RAW, FITTING = torch.randn(4, 6), torch.arange(24.0).reshape(4, 6)


def into_a_row(others):
    held = others.clone()
    held[0] = others[0].log_softmax(-1)
    return held


def made_in_a_row(others):
    held = others.clone()
    torch.log_softmax(others[:1], -1, out=held[:1])
    return held


def beside_a_loss(others):
    held = others.log_softmax(-1)
    held[2] = others[2]
    return held


def a_number_of_a_loss(others):
    held = others[0].clone()
    held[1] = torch.nn.functional.cross_entropy(others, torch.zeros(len(others), dtype=torch.int64))
    return held


BESIDE = [
    a_number_of_a_loss,
    lambda others: torch.cat([others, others.log_softmax(-1)]),
    lambda others: torch.where(others > 0, others, others.log_softmax(-1)),
    into_a_row,
    made_in_a_row,
    beside_a_loss,
]


@pytest.mark.parametrize("make", BESIDE)
def test_numbers_that_share_a_memory_with_wide_ones_are_noted(make):
    with hs.torch.simulate("mixed") as report:
        make(RAW)
        make(RAW)
    (note,) = report.notes
    assert "in no module: a memory holds numbers wider than the policy stores" in note
    for policy, others in (("mixed", FITTING), ("binary32", RAW)):
        with hs.torch.simulate(policy) as report:
            make(others)
        assert not report.notes


def test_a_memory_that_is_written_anew_is_no_longer_wide():
    with hs.torch.simulate("mixed") as report:
        held = RAW.log_softmax(-1)
        held.copy_(RAW)
        assert torch.equal(held * held, RAW * RAW)
        held.copy_(RAW.log_softmax(-1))
        assert torch.equal(held * 1.0, RAW.log_softmax(-1) * 1.0)
    assert not report.notes


# Attention to nothing.


def test_attention_to_nothing_is_nothing():
    q = torch.randn(1, 2, 4, 8)
    mask = torch.ones(4, 4).bool()
    mask[2] = False
    gradients = []
    for simulated in (False, True):
        leaf = q.clone().requires_grad_()
        if simulated:
            with hs.torch.simulate("binary32"):
                y = F.scaled_dot_product_attention(leaf, leaf, leaf, attn_mask=mask)
                y.square().sum().backward()
        else:
            F.scaled_dot_product_attention(leaf, leaf, leaf, attn_mask=mask).square().sum().backward()
        gradients.append(leaf.grad)
    assert (y[0, :, 2] == 0).all()
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


def test_padding_of_all_keys_is_what_pytorch_makes_of_it():
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    x, padded = torch.randn(2, 4, 8), torch.tensor([[True] * 4, [False] * 4])
    expected, _ = attention(x, x, x, key_padding_mask=padded, need_weights=False)
    with hs.torch.simulate("binary32"):
        found, _ = attention(x, x, x, key_padding_mask=padded, need_weights=False)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


# What ends a step of an optimizer.


class Failing(torch.optim.SGD):
    def _init_group(self, *args):
        raise ArithmeticError


def test_a_step_that_fails_ends():
    model, x = torch.nn.Linear(64, 8), torch.randn(4, 64)
    with hs.torch.simulate("binary16-pure"), torch.no_grad():
        expected = model(x) * 3 + x[:, :8]
    optimizer = Failing(model.parameters(), lr=0.1)
    with hs.torch.simulate("binary16-pure") as report:
        with pytest.raises(ArithmeticError):
            optimizer.step()
        with torch.no_grad():
            found = model(x) * 3 + x[:, :8]
    assert torch.equal(found, expected)
    assert found.half().float().equal(found)
    assert not report.not_simulated


def test_what_a_closure_evaluates_is_no_part_of_the_step():
    w = torch.nn.Parameter(torch.ones(1))
    seen = []

    def closure():
        with torch.no_grad():
            seen.append((torch.full((2,), 2048.0) + 1.0)[0].item())
        loss = (w * 3).sum()
        loss.backward()
        return loss

    with hs.torch.simulate("mixed"):
        torch.optim.SGD([w], lr=2.0**-20).step(closure)
    assert seen == [2048.0]
    assert w.item() == 1 - 3 * 2.0**-20


HALF, BFLOAT = torch.float16, torch.bfloat16
JOINED = {
    "where": lambda whole, x: torch.where(torch.ones_like(x, dtype=torch.bool), whole, x),
    "cat": lambda whole, x: torch.cat([whole, x]),
    "stack": lambda whole, x: torch.stack([whole, x]),
    "maximum": torch.maximum,
    "fmax": lambda whole, x: torch.fmax(x, whole),
    "clamp": lambda whole, x: torch.clamp(x, whole, whole),
    "copysign": torch.copysign,
}


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize(("dtype", "held"), [(HALF, 2048), (BFLOAT, 256), (torch.float32, 2**24)])
def test_integers_that_a_type_lacks_are_listed(name, dtype, held):
    for whole, lacks in ((held, False), (held + 1, True), (-held, False), (-held - 1, True)):
        with hs.torch.simulate("mixed") as report:
            JOINED[name](torch.tensor([whole]), torch.full((1,), -1 if whole < 0 else 1, dtype=dtype))
        reason = "PyTorch rounds integers to the type of the result"
        assert list(report.not_simulated) == [(name, reason)] * lacks
        assert report.first is None


@pytest.mark.parametrize("name", JOINED)
def test_an_integer_that_becomes_an_infinity_is_noted(name):
    with hs.torch.simulate("mixed") as report:
        found = JOINED[name](torch.tensor([70000]), torch.ones(1).half())
    assert found.isinf().any()
    assert report.first["operator"] == name


CHOSEN = {
    "masked_fill": lambda x, n: x.masked_fill(torch.tensor([True]), n),
    "masked_fill of a tensor": lambda x, n: x.masked_fill(torch.tensor([True]), torch.tensor(n)),
    "where": lambda x, n: torch.where(torch.tensor([True]), n, x),
    "scatter": lambda x, n: x.scatter(0, torch.tensor([0]), n),
    "index_fill": lambda x, n: x.index_fill(0, torch.tensor(0), n),
    "clamp": lambda x, n: x.clamp(n),
    "clamp to a tensor": lambda x, n: x.clamp(torch.tensor(n)),
    "pad": lambda x, n: F.pad(x, (1, 0), value=n)[:1],
}


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("dtype", [torch.float32, HALF, BFLOAT])
def test_an_integer_that_is_selected_is_a_number_of_the_format_and_counted(name, dtype):
    number = 259 if dtype == BFLOAT else 2051
    policies = [("mixed", number + 1), (named("mixed").rounded("rtz", "zero"), number - 1)]
    # Bfloat16 tensors are rounded to nearest alone.
    for policy, expected in policies[: 1 if dtype == BFLOAT else 2]:
        with hs.torch.simulate(policy) as report:
            found = CHOSEN[name](torch.ones(1, dtype=dtype), number)
        assert found.item() == expected
        assert report.modules[""].inexact == 1
        assert not report.not_simulated
    with hs.torch.simulate("mixed") as report:
        CHOSEN[name](torch.ones(1, dtype=dtype), number + 1)
    assert not any(counts.inexact for counts in report.modules.values())


def test_places_are_no_numbers():
    with hs.torch.simulate("mixed") as report:
        torch.zeros(5000).index_fill(0, torch.tensor(4097), 1.0)
        F.pad(torch.ones(1), (4097, 0))
    assert not report.modules


@pytest.mark.parametrize("number", [2049, 0.1])
def test_numbers_that_pytorch_rounds_in_place_are_listed(number):
    reason = "PyTorch rounds numbers to the type of what it changes"
    with hs.torch.simulate("mixed") as report:
        torch.ones(2).half().clamp_(min=number)
        torch.ones(2).half().masked_fill_(torch.tensor([True, False]), number)
        torch.ones(2).half().clamp_(min=0.5)
    assert set(report.not_simulated) == {("clamp", reason), ("masked_fill", reason)}


def test_an_infinity_made_in_place_is_noted():
    with hs.torch.simulate("mixed") as report:
        torch.ones(2).half().clamp_(min=torch.tensor(70000))
    assert report.first["operator"] == "clamp"


def test_complex_numbers_of_two_halves_are_listed():
    with hs.torch.simulate("mixed") as report:
        (torch.ones(2) / 3).to(torch.complex32)
    assert ("_to_copy", "numbers are complex32") in report.not_simulated


def held(*numbers, scale=0.25, zero=8):
    """Numbers of a quantised tensor, in steps of a scale."""
    return torch.quantize_per_tensor(torch.tensor(numbers), scale, zero, torch.quint8)


def by_channel(scale):
    return torch.quantize_per_channel(
        torch.ones(2, 2), torch.tensor([0.25, scale]), torch.tensor([0, 0]), 0, torch.qint8
    )


def part_of(target, value):
    target[1:] = value
    return target


MASK, ONE = torch.tensor([True, False]), torch.tensor([0])
STEPPING = {
    "cat": lambda q: torch.cat([q, held(0.3, 0.6, scale=0.3)]),
    "cat out": lambda q: torch.cat([q, q], out=held(0.3, 0.6, 0.3, 0.6, scale=0.3)),
    "stack": lambda q: torch.stack([q, held(0.3, 0.6, scale=0.3)]),
    "copy": lambda q: q.copy_(torch.tensor([0.33, 0.5])),
    "copy to channels": lambda q: by_channel(0.5).copy_(torch.full((2, 2), 0.33)),
    "copy of channels": lambda q: by_channel(0.5).copy_(by_channel(0.3)),
    "fill": lambda q: q.fill_(0.33),
    "fill with a tensor": lambda q: q.fill_(torch.tensor(0.33)),
    "fill a part": lambda q: part_of(q, 0.33),
    "copy a part": lambda q: part_of(q, torch.tensor([0.33])),
    "clamp": lambda q: q.clamp(max=0.33),
    "threshold": lambda q: F.threshold(q, 0.5, 0.33),
    "hardtanh": lambda q: F.hardtanh(q, -0.3, 0.33),
    "hardtanh by default": lambda q: F.hardtanh(held(5.1, 5.1, scale=0.3)),
    "hardtanh by relu6": lambda q: F.relu6(held(5.1, 9.0, scale=0.35)),
    "masked_fill": lambda q: q.masked_fill(MASK, 0.33),
    "masked_fill with a tensor": lambda q: q.masked_fill_(MASK, torch.tensor(0.33)),
    "index_put": lambda q: q.index_put((ONE,), torch.tensor([0.33])),
    "index_put by a mask": lambda q: q.__setitem__(MASK, 0.33),
    "constant_pad_nd": lambda q: F.pad(q, (1, 1), value=0.33),
    "full_like": lambda q: torch.full_like(q, 0.33),
    "ones_like": lambda q: torch.ones_like(held(0.3, scale=0.3)),
    "slice_scatter": lambda q: q.slice_scatter(held(0.3, scale=0.3), 0, 0, 1),
    "quantized::cat": lambda q: torch.ops.quantized.cat([q, q], 0, 0.3, 0),
    "quantized::clamp": lambda q: torch.ops.quantized.clamp(q, 0.33, 0.4),
    "quantized::threshold": lambda q: torch.ops.quantized.threshold(q, 0.5, 0.33),
    "quantized::relu6": lambda q: torch.ops.quantized.relu6(held(5.1, 9.0, scale=0.35), False),
}
STEPS = {
    "cat": lambda q: torch.cat([q, held(1.0)]),
    "fill": lambda q: q.fill_(0.0),
    "relu": torch.relu,
    "clamp": lambda q: q.clamp(min=0.0),
    "pad": lambda q: F.pad(q, (1, 1)),
    "pad by reflection": lambda q: F.pad(q.view(1, 1, 2), (1, 1), mode="reflect"),
    "copy": lambda q: q.copy_(held(1.0, 2.0)),
    "copy of channels": lambda q: by_channel(0.5).copy_(by_channel(0.5)),
    "clone": torch.clone,
    "index": lambda q: q[ONE],
    "index_select": lambda q: q.index_select(0, ONE),
    "flip": lambda q: q.flip(0),
    "sort": lambda q: q.sort()[0],
    "max": torch.max,
    "comparison": lambda q: q > 0.33,
    "comparison of two": lambda q: q == held(0.3, 0.6, scale=0.3),
    "empty": torch.empty_like,
    "repeat": lambda q: q.repeat(2),
}


@pytest.mark.parametrize("name", STEPPING)
def test_roundings_to_the_steps_of_a_quantised_tensor_are_listed(name):
    expected, operand = STEPPING[name](held(0.5, 0.75)), held(0.5, 0.75)
    with hs.torch.simulate("mixed") as report:
        found = STEPPING[name](operand)
    assert name.partition(" ")[0] in {operator for operator, _ in report.not_simulated}
    assert not report.simulated
    if expected is not None:
        assert torch.equal(found.dequantize(), expected.dequantize())


@pytest.mark.parametrize("name", STEPS)
def test_what_keeps_the_steps_of_a_quantised_tensor_is_not_listed(name):
    operand = held(0.5, 0.75)
    with hs.torch.simulate("mixed") as report:
        STEPS[name](operand)
    listed = {operator for operator, _ in report.not_simulated}
    assert listed <= {"quantize_per_tensor", "quantize_per_channel"}


MOVES = {
    "alias_copy": lambda x: torch.alias_copy(x),
    "as_strided_copy": lambda x: torch.as_strided_copy(x, (2, 2), (1, 2)),
    "block_diag": lambda x: torch.block_diag(x, x),
    "channel_shuffle": lambda x: torch.channel_shuffle(x.reshape(1, 4, 1, 3), 2),
    "detach_copy": lambda x: torch.detach_copy(x),
    "expand_copy": lambda x: torch.expand_copy(x, (2, 4, 3)),
    "permute_copy": lambda x: torch.permute_copy(x, (1, 0)),
    "select_copy": lambda x: torch.select_copy(x, 0, 1),
    "slice_copy": lambda x: torch.slice_copy(x, 0, 1, 3),
    "split_copy": lambda x: torch.split_copy(x, 2)[1],
    "squeeze_copy": lambda x: torch.squeeze_copy(x[:1]),
    "t_copy": lambda x: torch.t_copy(x),
    "transpose_copy": lambda x: torch.transpose_copy(x, 0, 1),
    "unbind_copy": lambda x: torch.unbind_copy(x)[1],
    "unfold_copy": lambda x: torch.unfold_copy(x, 0, 2, 1),
    "unsqueeze_copy": lambda x: torch.unsqueeze_copy(x, 0),
    "view_copy": lambda x: torch.view_copy(x, (2, 6)),
}


@pytest.mark.parametrize("name", MOVES)
def test_copies_of_views_only_move(name):
    x = torch.randn(4, 3)
    with hs.torch.simulate("mixed") as report:
        assert torch.equal(MOVES[name](x), MOVES[name](x.clone()))
        # Numbers as wide as a loss stay so.
        found = MOVES[name](x.log_softmax(-1))
        rest = found - torch.empty_like(found).copy_(found.half())
    assert not report.not_simulated
    assert rest.any()


def test_a_whole_number_that_a_block_of_a_diagonal_lacks_is_listed():
    with hs.torch.simulate("mixed") as report:
        torch.block_diag(torch.ones(1, 1).half(), torch.tensor([[2049]]))
    assert list(report.not_simulated) == [("block_diag", "PyTorch rounds integers to the type of the result")]


def test_an_operator_of_another_library_is_none_of_pytorchs_of_the_same_name():
    with torch.library._scoped_library("halfsim_test", "DEF") as library:
        library.define("sort(Tensor x) -> Tensor")
        library.impl("sort", lambda x: x / 3, "CPU")
        with hs.torch.simulate("mixed") as report:
            torch.ops.halfsim_test.sort(torch.ones(3))
    assert list(report.not_simulated) == [("halfsim_test::sort", "not PyTorch's own")]
