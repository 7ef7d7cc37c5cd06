"""What the report says of policies, patterns and infinities, and the sentences of refusals."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.kernels.threads import run_blocks
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from halfsim.interop.torch.report import Report  # noqa: E402
from halfsim.interop.torch.tally import Tally  # noqa: E402

F = torch.nn.functional


def x(*shape):
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


# Patterns.


@pytest.mark.parametrize(
    ("pattern", "compute"),
    [
        ("softmax", lambda: F.softmax(x(3, 4), 1)),
        ("log_softmax", lambda: F.log_softmax(x(3, 4), 1)),
        ("linear", lambda: F.linear(x(3, 4), x(5, 4), x(5))),
        ("linear", lambda: F.linear(x(3, 4), x(5, 4))),
        ("matmul", lambda: torch.matmul(x(3, 4), x(4, 5))),
        ("matmul", lambda: torch.matmul(x(2, 3, 4), x(2, 4, 5))),
        ("conv2d", lambda: F.conv2d(x(1, 1, 4, 4), x(1, 1, 2, 2))),
        ("conv_transpose1d", lambda: F.conv_transpose1d(x(1, 1, 4), x(1, 1, 2))),
        ("layer_norm", lambda: F.layer_norm(x(3, 4), (4,))),
        ("group_norm", lambda: F.group_norm(x(3, 4), 2)),
        ("batch_norm", lambda: F.batch_norm(x(3, 4), torch.zeros(4), torch.ones(4))),
        ("batch_norm", lambda: F.batch_norm(x(3, 4), None, None, training=True)),
        ("nll_loss", lambda: F.nll_loss(x(3, 4), torch.tensor([0, 1, 2]))),
    ],
)
def test_functions_are_known_by_their_public_names(pattern, compute):
    with hs.torch.simulate("mixed", operators={pattern: "torch"}) as report:
        compute()
    assert [reason for _, reason in report.not_simulated] == ["left to PyTorch by a rule"]
    assert not report.notes


def test_a_public_name_is_that_of_the_backward_pass_too():
    leaf = x(3, 4).requires_grad_()
    with hs.torch.simulate("mixed", operators={"softmax": "torch"}) as report:
        F.softmax(leaf, 1).sum().backward()
    assert {name for name, _ in report.not_simulated} == {"_softmax", "_softmax_backward_data"}


def test_patterns_that_fit_nothing_are_noted():
    with hs.torch.simulate(
        "mixed", operators={"einsum": "torch", "mm": "binary32"}, modules={"head.*": WIDE}
    ) as report:
        torch.einsum("ij,jk->ik", x(2, 3), x(3, 4))
    assert len(report.notes) == 2 + ("mm" not in report.simulated)
    assert any("'einsum'" in note for note in report.notes)
    assert any("'head.*'" in note for note in report.notes)
    assert "note: operators: pattern 'einsum'" in str(report)
    assert report.as_dict()["notes"] == report.notes


WIDE = named("binary32")


# What a policy says and `simulate` does not obey.


def steps(policy, scaler=None):
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=0.1)
    with hs.torch.simulate(policy) as report:
        loss = (p * p).sum()
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
    return report.notes


def test_updates_and_loss_scales_are_noted():
    assert not steps("mixed")
    (note,) = steps("binary16-kahan")
    assert "LowPrecisionWeights" in note
    (note,) = steps("mixed-scaled")
    assert "GradScaler" in note
    assert not steps("mixed-scaled", torch.amp.GradScaler("cpu", init_scale=8.0))
    with hs.torch.simulate("binary16-kahan") as report:
        x(2) * 2
    assert not report.notes


# Counts and the first infinity.


def test_what_a_cast_loses_is_counted():
    with hs.torch.simulate("mixed") as report:
        y = torch.tensor([1e6, 1.0, 1 + 2.0**-12]).half()
    assert y.tolist() == [float("inf"), 1.0, 1.0]
    counts = report.modules[""]
    assert (counts.elements, counts.inexact, counts.overflow) == (3, 2, 1)
    assert report.first["operator"] == "_to_copy"


@pytest.mark.parametrize(
    ("compute", "operator"),
    [
        (lambda: torch.tensor([60000.0, 0.0]) + torch.tensor([60000.0, -torch.inf]), "add"),
        (lambda: torch.softmax(torch.full((2, 3), -torch.inf), 1), "_softmax"),
        (lambda: torch.atan(torch.ones(2)).atanh().sub(1) + torch.zeros(2).erfinv().log(), "log"),
        (lambda: torch.special.i0(torch.full((2,), 200.0)), "i0"),
        (lambda: torch.full((2,), 200.0).sinh_(), "sinh"),
        (lambda: torch.tensor([[torch.inf, 1.0]]) - torch.tensor([[torch.inf], [1.0]]), "sub"),
    ],
)
def test_the_first_infinity_is_seen_among_others(compute, operator):
    with hs.torch.simulate("mixed") as report:
        compute()
    assert report.first is not None
    assert report.first["operator"] == operator


@pytest.mark.parametrize(
    "compute",
    [
        lambda: torch.tensor([1.0, -torch.inf]) + torch.tensor([[60000.0, 1.0], [1.0, 1.0]]),
        lambda: torch.tensor([torch.nan, 1.0]) * torch.tensor([1.0, 2.0]),
        lambda: torch.tensor([torch.inf, 1.0]).sum(),
        lambda: torch.tensor([torch.inf, 1.0]).sinh(),
    ],
)
def test_infinities_that_were_there_are_not_the_first(compute):
    with hs.torch.simulate("mixed") as report:
        compute()
    assert report.first is None


def test_two_models_have_names_of_their_own():
    def model():
        return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))

    one, other = model(), model()
    with hs.torch.simulate("mixed") as report:
        one(x(1, 2))
        other(x(1, 2))
        one(x(1, 2))
    assert {name: counts.elements for name, counts in report.modules.items()} == {
        "0": 4,
        "1": 4,
        "Sequential#2.0": 2,
        "Sequential#2.1": 2,
    }


# Threads.


def apart(function):
    found = []

    def run():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_modules_called_in_other_threads_are_listed():
    layer = torch.nn.Linear(2, 2)
    with hs.torch.simulate("mixed") as report:
        apart(lambda: layer(x(1, 2)))
    assert [(name, "another thread" in reason) for name, reason in report.not_simulated] == [("Linear", True)]


def test_threads_that_start_inside_are_noted():
    called = []
    threading.setprofile(lambda *event: called.append(event))
    try:
        hook = threading.getprofile()
        with hs.torch.simulate("mixed") as report:
            apart(lambda: x(2, 2) @ x(2, 2))
            run_blocks(lambda start, stop: None, 2, 1)
        assert threading.getprofile() is hook
    finally:
        threading.setprofile(None)
    assert not report.simulated
    (note,) = report.notes
    assert note.startswith("threads started inside of the block ('Thread-")
    assert "not simulated" in note and note in str(report)
    # What was there goes on in the new thread.
    assert called
    with hs.torch.simulate("mixed") as report:
        x(2, 2) @ x(2, 2)
    assert not report.notes


def test_a_second_simulation_in_another_thread_is_refused():
    def simulated():
        with hs.torch.simulate("mixed"):
            return 1

    before = torch._C._get_mkldnn_enabled(), torch.backends.mha.get_fastpath_enabled()
    with hs.torch.simulate("mixed"):
        error = apart(simulated)
    assert isinstance(error, RuntimeError)
    assert "one after the other" in str(error)
    assert apart(simulated) == 1
    assert before == (torch._C._get_mkldnn_enabled(), torch.backends.mha.get_fastpath_enabled())


# Tensors that hold others, and derivatives along a direction.


def test_what_a_tensor_holds_is_simulated():
    from torch.testing._internal.two_tensor import TwoTensor

    a, b = x(4, 8), x(8, 3)
    with hs.torch.simulate("binary16-pure") as report:
        found = TwoTensor(a, 2 * a) @ b
        expected = a @ b
    assert torch.equal(found.a, expected)
    assert report.simulated["mm"] == 3


def test_a_tensor_without_numbers_is_passed_on():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        a = mode.from_tensor(x(4, 8))
    with hs.torch.simulate("binary16-pure") as report:
        assert (a @ a.t()).shape == (4, 4)
    assert not report.simulated


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_derivatives_along_a_direction():
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh())
    one, direction = x(3, 8), x(3, 8)
    with hs.torch.simulate("binary16-pure") as report, torch.no_grad():
        y, tangent = torch.func.jvp(model, (one,), (direction,))
        z = model(one)
        inner = direction @ model[0].weight.t()
        expected = inner * (1 - z * z)
    assert torch.equal(y, z)
    assert torch.equal(tangent, expected)
    assert not report.not_simulated


# Refusals.


def nested():
    return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


def sparse_gradient():
    table = torch.nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1, 1])).sum().backward()
    torch.optim.SGD(table.parameters(), lr=0.1).step()


@pytest.mark.filterwarnings("ignore:.*nested:UserWarning")
@pytest.mark.parametrize(
    ("compute", "sentence"),
    [
        (lambda: torch.relu(torch.eye(2).to_sparse()), "layout torch.sparse_coo"),
        (lambda: torch.eye(2).to_sparse() * 2, "layout torch.sparse_coo"),
        (lambda: torch.maximum(torch.ones(2), torch.ones(2, device="meta")), "tensor on meta"),
        (lambda: nested() + 1, "nested tensor"),
        (lambda: torch.relu(nested()), "nested tensor"),
        (sparse_gradient, "layout torch.sparse_coo"),
    ],
)
def test_tensors_without_all_numbers_are_refused(compute, sentence):
    with pytest.raises(ValueError, match=sentence), hs.torch.simulate("mixed"):
        compute()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"operators": 3}, "operators=3 is a int; pass a dict"),
        ({"modules": ["a"]}, "modules=.* is a list; pass a dict"),
        ({"modules": {"a": None}}, r"modules\['a'\]=None is a NoneType; .*; 'torch' leaves them to PyTorch"),
        ({"count": "x"}, "count='x' is a str; pass True, False, or n to count"),
    ],
)
def test_arguments_of_other_types_are_refused(options, sentence):
    with pytest.raises(TypeError, match=sentence), hs.torch.simulate("mixed", **options):
        pass


@pytest.mark.parametrize(
    ("policy", "options", "sentence"),
    [
        ("h100:fp16", {}, "^simulate: unknown output of h100 'fp16'; known are 'f32', 'f16'; .*a colon"),
        ("mixed", {"operators": {"mm": "float32"}}, r"^simulate: operators\['mm'\]: unknown policy .*'torch' leaves"),
    ],
)
def test_policies_that_are_unknown_are_told_where_they_stand(policy, options, sentence):
    with pytest.raises(ValueError, match=sentence), hs.torch.simulate(policy, **options):
        pass


def test_counts_are_not_negative():
    sentence = "simulate: count=-1 must be an integer from 0"
    with pytest.raises(ValueError, match=sentence), hs.torch.simulate("mixed", count=-1):
        pass


def test_a_block_in_a_compiled_function_is_refused():
    @torch.compile(backend="eager")
    def compiled(v):
        with hs.torch.simulate("mixed"):
            return v * 2

    with pytest.raises(RuntimeError, match="call that function inside of simulate"):
        compiled(x(2, 2))
    with hs.torch.simulate("mixed"):
        pass


def test_mistakes_of_compare():
    model = torch.nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"'mixed' is no list of policies; pass one"):
        hs.torch.compare(model, x(1, 2), "mixed")
    with pytest.raises(TypeError, match=r"policies=None is no list of policies; pass one"):
        hs.torch.compare(model, x(1, 2), None)
    with pytest.raises(ValueError, match=r"the model or its inputs are on meta; move all .*\.cpu\(\)"):
        hs.torch.compare(model, x(1, 2).to("meta"), ["mixed"])
    with pytest.raises(TypeError, match=r"pass a torch\.nn\.Module"):
        hs.torch.compare(torch.relu, x(1, 2), ["mixed"])
    with pytest.raises(TypeError, match="threshold='x' is a str"):
        hs.torch.compare(model, x(1, 2), ["mixed"], threshold="x")
    with pytest.raises(ValueError, match=r"on meta; move all"):
        hs.torch.compare(model.to("meta"), x(1, 2), ["mixed"])


def test_a_module_named_output_keeps_its_name():
    model = torch.nn.Sequential()
    model.add_module("output", torch.nn.Linear(2, 2))
    found = hs.torch.compare(model, x(1, 2), ["mixed"])
    assert [layer.layer for layer in found.layers] == ["output", "whole output"]


# Operators with arguments of other kinds.


def test_results_are_written_where_the_caller_says():
    target = torch.empty(0)
    with hs.torch.simulate("mixed"):
        torch.add(torch.ones(3), torch.ones(3), out=target)
    assert target.tolist() == [2.0] * 3


def test_lists_of_tensors_with_numbers_of_all_kinds():
    a, b, c = ([torch.full((2,), v), torch.full((2,), v + 1)] for v in (1.0, 2.0, 4.0))
    with hs.torch.simulate("mixed") as report:
        powers = torch._foreach_pow(2.0, a)
        quotients = torch._foreach_addcdiv(a, b, c, torch.tensor([2.0, 10.0]))
        torch._foreach_addcmul_(a, b, c, [1.0, 2.0])
    assert [p[0].item() for p in powers] == [2.0, 4.0]
    assert [q[0].item() for q in quotients] == [2.0, 8.0]
    assert [p[0].item() for p in a] == [9.0, 32.0]
    assert not report.not_simulated


def test_quotients_are_cut_before_they_are_rounded():
    a, b = torch.tensor([16.5, -16.5, 16.5]), torch.tensor([3.30078125, 3.30078125, 0.0])
    with hs.torch.simulate("mixed") as report:
        floors = torch.div(a, b, rounding_mode="floor"), torch.floor_divide(a, b)
        cut = torch.div(a, b, rounding_mode="trunc")
    assert all(y.tolist() == [4.0, -5.0, float("inf")] for y in floors)
    assert cut.tolist() == [4.0, -4.0, float("inf")]
    assert not report.not_simulated


# What counting costs.


def called(policy, calls, **options):
    layer, x = torch.nn.Linear(8, 4).half(), torch.randn(3, 8, generator=torch.Generator().manual_seed(1)).half()
    layer.weight.data = torch.randn(4, 8, generator=torch.Generator().manual_seed(2)).half()
    layer.bias.data.zero_()
    with torch.no_grad(), hs.torch.simulate(policy, **options) as report:
        for _ in range(calls):
            layer(x)
    assert report.simulated["addmm"] == calls
    return report


@pytest.mark.parametrize("accumulator", ["h100:f32", "h100:f16", "v100:f16", "fp16", "fp32"])
def test_every_product_is_counted(accumulator):
    policy = named("mixed").accumulating(accumulator, "one")
    (once,), report = called(policy, 1).modules.values(), called(policy, 10)
    (counts,) = report.modules.values()
    assert (counts.elements, counts.uncounted) == (120, 0)
    assert 0 < 10 * once.inexact == counts.inexact
    assert (once.underflow * 10, once.flushed * 10) == (counts.underflow, counts.flushed)
    assert report.count == report.as_dict()["count"] == 1
    assert "losses: of all results; additions: a sample" in str(report)


@pytest.mark.parametrize(("accumulator", "counted"), [("h100:f32", 9), ("h100:f16", 3), ("fp16", 3), ("fp32", 9)])
def test_one_product_in_some_may_be_counted_and_the_report_says_so(accumulator, counted):
    policy = named("mixed").accumulating(accumulator, "one")
    (once,), report = called(policy, 1, count=3).modules.values(), called(policy, 9, count=3)
    (counts,) = report.modules.values()
    assert (counts.elements, counts.uncounted) == (12 * counted, 108 - 12 * counted)
    assert counts.inexact == counted * once.inexact
    assert report.as_dict()["count"] == 3
    assert f"losses: of all results but {108 - 12 * counted}, of products" in str(report)
    assert "as count=3 takes" in str(report)


def test_a_report_without_counts_has_none_to_read():
    for off in (False, 0):
        report = called("h100:f16", 2, count=off)
        assert not report.modules
        assert str(report).endswith("losses: not counted, as count=False says")


def test_losses_of_a_binary16_accumulator_are_those_beside_binary32_sums():
    a, b = (np.random.default_rng(i).normal(0, 60, (9, 9)).astype(np.float16) for i in (1, 2))
    with hs.torch.simulate("h100:f16") as report:
        for _ in range(3):
            y = torch.from_numpy(a) @ torch.from_numpy(b).T.contiguous().T
    wide = hs.matmul(a, b, accumulator=hs.FP32)
    narrow = hs.matmul(a, b, accumulator="h100:f16")
    assert np.array_equal(y.numpy(), narrow)
    differs = narrow != wide
    assert 0 < report.modules[""].inexact == 3 * np.count_nonzero(differs)


def test_what_rounding_operands_took_off_is_counted():
    layer = torch.nn.Linear(4, 2)
    layer.weight.data = torch.tensor([[1.0, 0.5, 0.25, 2.0], [1.0, 0.5, 0.25, 0.1]])
    layer.bias.data.zero_()
    values = torch.tensor([[1e6, 1e-9, 1.0, 2.0], [float("nan"), float("inf"), 1 + 2.0**-12, 0.0]])
    with hs.torch.simulate("mixed") as report:
        layer(values)
        layer(values.half().float())
    counts = report.modules["Linear"]
    # 0.1 twice; a million, a billionth, and 1 + 2^-12.
    assert (counts.rounded, counts.rounded_overflow, counts.rounded_flushed) == (5, 1, 1)
    assert "rounded_overflow" in str(report)
    with hs.torch.simulate("binary32") as report:
        layer(values)
    assert report.modules["Linear"].rounded == 0


def test_flushed_operands_are_counted_in_both_types():
    policy = replace(named("mixed"), name="flushing", flush_to_zero=True)
    x = torch.full((64, 64), 8.0)
    for weight in (torch.full((64, 32), 2.0**-16), torch.full((64, 32), 2.0**-16).half()):
        with hs.torch.simulate(policy) as report:
            y = x.to(weight.dtype) @ weight
        assert not y.any()
        counts = report.modules[""]
        assert (counts.rounded, counts.rounded_flushed, counts.rounded_overflow) == (64 * 32, 64 * 32, 0)


def test_running_statistics_that_overflow_are_named():
    norm = torch.nn.Sequential(torch.nn.BatchNorm1d(4))
    x = torch.linspace(-6000, 6000, 128).reshape(32, 4)
    with hs.torch.simulate("binary16-pure") as report:
        norm(x)
    assert norm[0].running_var.isinf().all()
    assert report.first is not None
    assert (report.first["module"], report.first["operator"]) == ("0", "native_batch_norm")


def test_a_tensor_that_takes_the_memory_of_another_is_no_arithmetic():
    with hs.torch.simulate("mixed") as report:
        torch.zeros(3).set_(torch.ones(2))
    assert not report.not_simulated


def test_additions_of_stacks_are_watched():
    a = torch.ones(2, 1, 4096, dtype=torch.float16)
    with hs.torch.simulate("binary16-pure") as report:
        y = a @ a.mT
    assert y.flatten().tolist() == [2048.0, 2048.0]
    # One element of each of two products: half of their additions change nothing.
    assert (report.modules[""].swallowed, report.modules[""].additions) == (2 * 2048, 2 * 4096)


def test_additions_of_one_product_in_32_are_watched():
    layer = torch.nn.Linear(16, 4, bias=False)
    found = []
    for calls, options in ((1, {}), (32, {}), (64, {}), (64, {"count": 5})):
        with hs.torch.simulate("mixed", **options) as report:
            for _ in range(calls):
                layer(torch.ones(2, 16))
        found.append(report.modules["Linear"].additions)
        assert report.modules["Linear"].elements == 8 * calls
        assert "additions: a sample, 16 sums of one product in 32 of a module and pass" in str(report)
    assert found[0] > 0
    assert found == [found[0], found[0], 2 * found[0], 2 * found[0]]


@pytest.mark.parametrize("scale", [1.0, 1e-4, 3e4])
def test_counts_are_the_same_whichever_way_they_are_taken(scale):
    x = np.random.default_rng(5).normal(size=70000).astype(np.float32) * np.float32(scale)
    with hs.torch.simulate("mixed") as report:
        torch.from_numpy(x).half()
    with np.errstate(over="ignore"):
        stored = x.astype(np.float16).astype(np.float32)
    differs, counts = stored != x, report.modules[""]
    assert counts.inexact == np.count_nonzero(differs)
    assert counts.underflow == np.count_nonzero(differs & (np.abs(stored) < 2.0**-14))
    assert counts.flushed == np.count_nonzero(differs & (stored == 0))
    assert counts.overflow == np.count_nonzero(np.isinf(stored))


EDGES = np.float32([0.0, -0.0, 1.0, 2**-14, 2**-24, 2**-26, 65504.0, 65519.0, 65536.0, 7e4, np.inf, np.nan])


def test_losses_are_counted_of_every_kind_of_number():
    with np.errstate(over="ignore"):
        stored = np.concatenate([EDGES, -EDGES, np.float32([2.0**-15, 3.0])]).astype(np.float16)
    pairs = [(e, s) for e in EDGES for s in stored for e in (e, -e)]
    exact, narrow = np.float32([e for e, _ in pairs]), np.float16([s for _, s in pairs])
    wide = narrow.astype(np.float32)
    differs, number, size = exact != wide, ~np.isnan(wide), np.abs(wide)
    beyond = np.isinf(wide) | ((size == 65504) & (np.abs(exact) >= 65536))
    expected = {
        "inexact": differs & number,
        "overflow": differs & np.isfinite(exact) & beyond,
        "underflow": differs & (size < 2.0**-14),
        "flushed": differs & (size == 0),
        "invalid": np.isnan(wide) & ~np.isnan(exact),
    }
    for held in (narrow, wide, narrow.reshape(-1, 2).T):
        report = Report()
        Tally(report, 2.0**-14).count("", "", exact.reshape(-1, 2).T if held.ndim > 1 else exact, held)
        found = {name: getattr(report.modules[""], name) for name in expected}
        assert found == {name: np.count_nonzero(lost) for name, lost in expected.items()}
        assert report.modules[""].elements == exact.size


SIZES = {
    "cumsum": lambda: torch.tensor(2.0).cumsum(0),
    "softmax of nothing": lambda: torch.ones(0, 3).softmax(1),
    "softmax over nothing": lambda: torch.ones(3, 0).softmax(1),
    "log_softmax of nothing": lambda: torch.ones(0, 3).log_softmax(0),
    "scatter_add": lambda: torch.tensor(1.0).scatter_add(0, torch.tensor(0), torch.tensor(2.0)),
    "index_add": lambda: torch.tensor(1.0).index_add(0, torch.tensor([0]), torch.tensor(2.0)),
    "index_add of one": lambda: torch.ones(2).index_add(0, torch.tensor(1), torch.tensor([2.0])),
    "scattered nothing": lambda: torch.ones(5).scatter_add(0, torch.zeros(0, dtype=torch.long), torch.ones(0)),
    "instance norm": lambda: F.instance_norm(torch.arange(8.0).reshape(1, 2, 4)),
    "products of nothing": lambda: torch.ones(0, 2, 3) @ torch.ones(0, 3, 4),
    "logsumexp": lambda: torch.tensor([[torch.inf, 1.0], [-torch.inf, -torch.inf]]).logsumexp(1),
}


@pytest.mark.parametrize("compute", SIZES.values(), ids=SIZES.keys())
def test_sizes_and_infinities_at_the_edge(compute):
    expected = compute()
    with hs.torch.simulate("binary32") as report:
        found = compute()
    assert not report.not_simulated
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected)


def test_a_transposed_convolution_may_end_beyond_its_last_place():
    found = []
    for policy in (None, "binary32"):
        x, w = (torch.from_numpy(np.random.default_rng(3).normal(size=n)).float() for n in ((1, 2, 4, 4), (2, 3, 3, 3)))
        leaves = x.requires_grad_(), w.requires_grad_()
        options = {"stride": (3, 2), "padding": 1, "output_padding": (2, 2), "dilation": (1, 3)}
        if policy is None:
            F.conv_transpose2d(*leaves, **options).square().sum().backward()
        else:
            with hs.torch.simulate(policy) as report:
                F.conv_transpose2d(*leaves, **options).square().sum().backward()
            assert not report.not_simulated
        found.append([leaf.grad for leaf in leaves])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["fp16", "h100"])
def test_an_accumulator_alone_is_told_how_it_is_written(name: str) -> None:
    sentence = rf"^simulate: unknown policy '{name}'.*'h100:f16'.*accumulating\('fp16'"
    with pytest.raises(ValueError, match=sentence), hs.torch.simulate(name):
        pass
    with hs.torch.simulate(hs.policy.named("mixed").accumulating("fp16", "binary16 sums")) as report:
        ones = torch.ones(1, 3000)
        assert (ones @ ones.T).item() == 2048
    assert not report.not_simulated
