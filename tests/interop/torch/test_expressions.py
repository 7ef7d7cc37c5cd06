"""Operators that are taken apart by other expressions than PyTorch's own, which its kernels do not agree with."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

functional = torch.nn.functional


def both(function):
    """What PyTorch computes, and what it is under a simulation in which all numbers of these tests are exact enough."""
    wanted = function()
    with halfsim.torch.simulate("mixed"):
        return wanted, function()


TARGETS = {
    "as PyTorch documents it": [[3, 0, -1, 1]],
    "padded": [[3, 0, -1, -1]],
    "none": [[-1, 0, 1, 2]],
    "all": [[0, 1, 2, 3]],
    "one twice": [[2, 2, -1, 0]],
    "several rows": [[3, 0, -1, 1], [0, 1, 2, 3], [-1, -1, -1, -1], [2, 2, -1, 0], [1, -1, 3, -1]],
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_targets_end_at_the_first_that_is_none(name, flat, reduction):
    target = torch.tensor(TARGETS[name])
    start = torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    if flat:
        start, target = start[0], target[0]

    def loss():
        x = start.clone().requires_grad_()
        found = functional.multilabel_margin_loss(x, target, reduction=reduction)
        found.sum().backward()
        return found.detach(), x.grad

    for wanted, got in zip(*both(loss), strict=True):
        assert wanted.shape == got.shape
        assert torch.allclose(wanted, got, atol=4e-3)


def test_a_probability_that_is_right_has_no_gradient():
    def gradient():
        x = torch.tensor([1.0, 0.0, 0.5]).requires_grad_()
        functional.binary_cross_entropy(x, torch.tensor([1.0, 0.0, 1.0])).backward()
        return x.grad

    wanted, got = both(gradient)
    assert torch.allclose(wanted, got, atol=1e-3)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2.0, -1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_no_number_stays_so_where_a_probability_is_right(number, weighted, reduction):
    """Zero times it is NaN, and -0 has its sign."""

    def gradient():
        x = torch.tensor([1.0, 0.0, 0.5, 0.25]).requires_grad_()
        weight = torch.full((4,), number) if weighted else None
        y = functional.binary_cross_entropy(x, x.detach().clone(), weight=weight, reduction=reduction)
        y.backward(torch.ones_like(y) if weighted else torch.full_like(y, number))
        return x.grad

    wanted, got = both(gradient)
    assert torch.equal(wanted.isnan(), got.isnan())
    assert torch.equal(wanted.signbit() | wanted.isnan(), got.signbit() | got.isnan())
    assert torch.equal(wanted.nan_to_num(), got.nan_to_num())


MARGINS = {
    "one class": lambda x, **how: functional.multi_margin_loss(x, places(x, 1), **how),
    "squares": lambda x, **how: functional.multi_margin_loss(x, places(x, 2), p=2, margin=0.5, **how),
    "weights": lambda x, **how: functional.multi_margin_loss(x, places(x, 0), weight=WEIGHTS, **how),
    "several classes": lambda x, **how: functional.multilabel_margin_loss(x, several(x), **how),
}
WEIGHTS = torch.tensor([0.5, math.inf, math.nan])
ROWS = {
    "numbers": [[0.5, 1.0, 2.0], [1.0, -1.0, 3.0]],
    "a row": [0.5, 1.0, 2.0],
    "NaN": [[math.nan, 0.5, 1.0], [1.0, math.nan, 2.0]],
    "infinities": [[math.inf, -math.inf, 1.0], [1.0, math.inf, math.inf]],
}


def places(x, place):
    return torch.full(x.shape[:-1], place)


def several(x):
    return torch.tensor([0, 2, -1]).expand(x.shape).contiguous()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", MARGINS)
def test_margins_that_are_no_numbers_count_for_nothing(name, rows, reduction):
    x = torch.tensor(ROWS[rows])
    wanted, got = both(lambda: MARGINS[name](x, reduction=reduction))
    assert wanted.shape == got.shape
    assert torch.allclose(wanted, got, rtol=2e-3, equal_nan=True)


def gradient_of(loss):
    def gradient(reduction):
        x = torch.zeros(0, 3, requires_grad=True)
        y = loss(x, torch.zeros(0, 3), reduction=reduction)
        y.backward(torch.ones_like(y))
        return y.detach(), x.grad

    return gradient


LOSSES = "smooth_l1_loss huber_loss l1_loss mse_loss kl_div soft_margin_loss binary_cross_entropy poisson_nll_loss"


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES.split())
def test_losses_of_no_numbers(name, reduction):
    gradient = gradient_of(getattr(functional, name))
    for wanted, got in zip(*both(lambda: gradient(reduction)), strict=True):
        assert wanted.shape == got.shape
        assert torch.equal(wanted.isnan(), got.isnan())
        assert torch.equal(wanted.nan_to_num(), got.nan_to_num())


@pytest.mark.parametrize("shape", [(0,), (0, 5), (2, 0)])
def test_a_table_of_which_no_row_is_taken(shape):
    def gradient():
        table = torch.nn.Parameter(torch.ones(3, 2))
        functional.embedding(torch.zeros(shape, dtype=torch.int64), table).sum().backward()
        return table.grad

    assert torch.equal(*both(gradient))


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0), (0, 0)])
@pytest.mark.parametrize("dim", [0, -1])
def test_the_logarithm_of_a_sum_of_nothing(shape, dim):
    assert torch.equal(*both(lambda: torch.logsumexp(torch.zeros(shape), dim)))


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 3, 4, 4), 0), ((2, 3, 4, 4), (0, 1)), ((0, 2, 2), 2), ((0, 3, 4, 4), 2), ((2, 0, 2, 2), 1)]
)
def test_adaptive_means_of_nothing(shape, size):
    assert torch.equal(*both(lambda: functional.adaptive_avg_pool2d(torch.zeros(shape), size)))


@pytest.mark.parametrize("shape", [(), (1,), (5, 1), (1, 10), (10,), (5, 10)])
def test_a_sum_of_products_gives_its_target_the_shape_of_the_product(shape):
    def added():
        x = torch.zeros(shape)
        found = x.addbmm_(torch.ones(2, 5, 3), torch.ones(2, 3, 10))
        assert found is x
        return x

    assert torch.equal(*both(added))


PUT = {
    "a row": lambda x, add: x.index_put_((ONE,), torch.ones(3), accumulate=add),
    "rows": lambda x, add: x.index_put_((torch.tensor([0, 1, 1]),), torch.ones(3), accumulate=add),
    "elements": lambda x, add: x.index_put_((ONE, torch.tensor([2])), torch.tensor(2.0), accumulate=add),
    "a column": lambda x, add: torch.ops.aten.index_put_(x, [None, ONE], torch.full((2, 1), 2.0), add),
    "by a mask": lambda x, add: x.index_put_((torch.tensor([True, False]),), torch.ones(3), accumulate=add),
    "not in place": lambda x, add: x.index_put((ONE,), torch.ones(3), accumulate=add),
}
ONE = torch.tensor([0])


@pytest.mark.filterwarnings("ignore:Use of index_put_ on expanded tensors:UserWarning")
@pytest.mark.parametrize("expand", [lambda x: x.expand(2, 3), lambda x: x[:2, None].expand(2, 3), torch.clone])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("name", PUT)
def test_elements_that_share_a_memory_are_put_once(name, accumulate, expand):
    def put():
        x = torch.arange(3.0)
        x = x.expand(2, 3).clone() if expand is torch.clone else expand(x)
        return PUT[name](x, accumulate).clone(), x.clone()

    for wanted, got in zip(*both(put), strict=True):
        assert torch.equal(wanted, got)


TYPES = {
    "power of two": lambda: torch.ldexp(torch.tensor([1, 2]), torch.tensor(1.0).half()),
    "soft margin": lambda: functional.soft_margin_loss(torch.ones(3).half(), torch.ones(3)),
    "soft margins": lambda: functional.soft_margin_loss(torch.ones(3).half(), torch.ones(3), reduction="none"),
}


@pytest.mark.parametrize("name", TYPES)
def test_results_in_parts_have_the_type_of_the_whole(name):
    wanted, got = both(lambda: [TYPES[name]() for _ in range(2)])
    for one, other in zip(wanted, got, strict=True):
        assert one.dtype == other.dtype
        assert torch.allclose(one, other, rtol=2e-3)


POOLS = {
    "maximum": lambda x: functional.max_pool2d(x, 2),
    "adaptive maximum": lambda x: functional.adaptive_max_pool2d(x, 2),
    "maximum of sequences": lambda x: functional.max_pool1d(x[:, :, 0], 2),
    "mean": lambda x: functional.avg_pool2d(x, 2),
    "adaptive mean": lambda x: functional.adaptive_avg_pool2d(x, 2),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools_of_an_empty_batch(name):
    def gradient():
        x = torch.randn(0, 4, 6, 6, requires_grad=True)
        y = POOLS[name](x)
        y.sum().backward()
        return y.shape, x.grad.shape

    wanted, got = both(gradient)
    assert wanted == got


FILLS = {
    "all": lambda x: x.fill_(x[0, 1]),
    "a slice": lambda x: x[0].fill_(x[0, 1]),
    "from elsewhere in its memory": lambda x: x[0].fill_(x[1, 1]),
    "by an index": lambda x: x.__setitem__(slice(None), x[0, 1]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("name", FILLS)
def test_tensors_are_filled_with_a_number_of_their_own(name, dtype):
    def filled():
        x = torch.arange(6).to(dtype).reshape(2, 3)
        FILLS[name](x)
        return x

    assert torch.equal(*both(filled))


def test_a_loss_stays_wide_where_it_is_filled_with_its_own():
    """What is filled holds numbers that binary16 lacks, and is not rounded where it is used."""
    x = torch.linspace(0.1, 0.9, 6)
    with halfsim.torch.simulate("mixed"):
        found = x.log_softmax(0)
        number = found[3].item()
        found.fill_(found[3])
        rest = found - torch.full((6,), number).half().float()
    assert found.tolist() == [number] * 6
    assert (rest != 0).all()


@pytest.mark.parametrize(("policy", "dtype"), [("binary32", torch.float32), ("mixed", torch.bfloat16)])
@pytest.mark.parametrize("function", [torch.sin, torch.cos, torch.tan])
def test_circular_functions_of_large_numbers(function, policy, dtype):
    x = torch.tensor([2.0**18, 1e6, -1e10, 2.0**40, 3e38, -3e38]).to(dtype)
    with halfsim.torch.simulate(policy) as report:
        y = function(x)
    assert y.tolist() == function(x.double()).to(dtype).tolist()
    assert report.first is None


INFINITE = {
    "norm": lambda x: x.norm(math.inf),
    "least": lambda x: x.norm(-math.inf),
    "of rows": lambda x: torch.linalg.vector_norm(x, math.inf, dim=1),
    "least of rows": lambda x: torch.linalg.vector_norm(x, -math.inf, dim=1),
    "kept": lambda x: x.norm(math.inf, dim=0, keepdim=True),
    "lists": lambda x: torch.stack(torch._foreach_norm([x, -x], math.inf)),
    "as others call it": lambda x: torch.ops.aten.norm(x, math.inf, [1]),
    "in float32": lambda x: torch.linalg.vector_norm(x.half(), math.inf, dtype=torch.float32),
}


@pytest.mark.parametrize("name", INFINITE)
@pytest.mark.parametrize("policy", ["mixed", "h100:f16", "binary16-pure", "bfloat16"])
def test_norms_of_infinite_order_are_selections(name, policy):
    """Which no rounding may part from the elements that they are."""
    start = torch.randn(4, 5, generator=torch.Generator().manual_seed(7))
    assert (start.half().float() != start).all()
    found = []
    for guard in (nullcontext(), halfsim.torch.simulate(policy.replace("bfloat16", "mixed"))):
        x = (start.bfloat16() if policy == "bfloat16" else start).clone().requires_grad_()
        with guard as report:
            y = INFINITE[name](x)
            y.backward(torch.full_like(y, 0.5))
        found.append((y.tolist(), x.grad.tolist()))
    assert found[0] == found[1]
    assert not report.not_simulated
    assert not report.notes


@pytest.mark.parametrize("policy", ["mixed", "binary16-pure"])
def test_what_is_divided_by_its_largest_magnitude_has_a_gradient(policy):
    start, weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(7)), torch.arange(5.0)
    found = []
    for guard in (nullcontext(), halfsim.torch.simulate(policy)):
        x = start.clone().requires_grad_()
        with guard:
            (functional.normalize(x, p=math.inf) * weight).sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(found[1], found[0], rtol=2**-9, atol=2**-7)


def test_a_comparison_holds_none_of_the_numbers_that_are_compared():
    x = torch.randn(9, generator=torch.Generator().manual_seed(5))
    with halfsim.torch.simulate("mixed") as report:
        found = (x < x.sum(), x == x.mean(), torch.isclose(x, x.sum()))
    assert [y.dtype for y in found] == [torch.bool] * 3
    assert not report.notes
