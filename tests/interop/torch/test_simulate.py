"""What `simulate` reports, what it refuses, and what may be changed by operator and by module."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402

WIDE = named("binary32")


def perceptron(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))


@pytest.fixture
def model():
    return perceptron()


@pytest.fixture
def x():
    return torch.randn(3, 8, generator=torch.Generator().manual_seed(1))


def outcome(model, x, policy="h100:f16", **options):
    """Return the output, the gradients and the report of one forward and backward pass."""
    model.zero_grad()
    with hs.torch.simulate(policy, **options) as report:
        y = model(x)
        y.square().sum().backward()
    return y.detach(), [p.grad.clone() for p in model.parameters()], report


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# Formulas, in a format so wide that rounding hides nothing.


class Everything(torch.nn.Module):
    """Many operators on smooth paths, so that PyTorch's binary64 gradients are a reference."""

    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.image = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 6, (2, 3), groups=2, dilation=2, padding=2),
            nn.SiLU(),
            nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1, padding=1, groups=2),
            nn.GroupNorm(2, 4),
            nn.ELU(),
            nn.AvgPool2d(3, 2),
            nn.LeakyReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.sequence = nn.Sequential(nn.Conv1d(4, 4, 3, padding=1), nn.Mish(), nn.ConvTranspose1d(4, 2, 4, stride=3))
        self.recurrent = nn.GRU(2, 6, bidirectional=True)
        self.block = nn.TransformerEncoderLayer(12, 3, 16, dropout=0.0, activation="gelu")
        self.table = nn.Embedding(7, 12)
        self.last = nn.Linear(16, 5)

    def forward(self, x, labels):
        z = self.image(x)
        s = self.sequence(z.unsqueeze(2) * (0.5 + torch.arange(6, dtype=z.dtype) / 5))
        h, _ = self.recurrent(s.permute(2, 0, 1))
        mask = torch.nn.Transformer.generate_square_subsequent_mask(len(h), dtype=z.dtype)
        t = self.block(h + self.table(labels), src_mask=mask)
        y = self.last(torch.cat([t.mean(0), z], 1))
        extra = torch.einsum("ij,kj->ik", y, y[[0, 1, 1]]).cumsum(0).norm() + torch.logsumexp(y, 1).var()
        smooth = torch.nn.functional.softplus(y).pow(1.5).sum() + (y.sin() * y.cos() + y.erf() + y.exp().log1p()).mean()
        losses = (
            torch.nn.functional.cross_entropy(y, labels, label_smoothing=0.1),
            torch.nn.functional.mse_loss(y, y.detach().roll(1, 0)),
            torch.nn.functional.binary_cross_entropy_with_logits(y, torch.full_like(y, 0.25)),
            torch.nn.functional.smooth_l1_loss(y, torch.zeros_like(y)),
        )
        return y, sum(losses) + 0.01 * extra + 0.01 * smooth


def test_in_a_wide_format_gradients_are_those_of_binary64():
    torch.manual_seed(3)
    model = Everything()
    x, labels = torch.randn(2, 3, 12, 12, dtype=torch.float64), torch.tensor([1, 4])
    reference = Everything().double()
    reference.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in model.state_dict().items()})
    expected, loss = reference(x, labels)
    loss.backward()
    with hs.torch.simulate(WIDE) as report:
        found, simulated_loss = model(x.float(), labels)
        simulated_loss.backward()
    assert not report.not_simulated
    assert sum(report.simulated.values()) > 300
    torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-6)
    torch.testing.assert_close(simulated_loss.double(), loss, rtol=2e-6, atol=0)
    for (name, p), q in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert (p.grad.double() - q.grad).abs().max() <= 2e-5 * (1 + q.grad.abs().max()), name
    for (name, p), q in zip(model.named_buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(p.double(), q.double(), rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_every_storage_comes_near(dtype, x):
    model = perceptron()
    expected = model(x)
    found, gradients, report = outcome(model.to(dtype), x.to(dtype), "h100:f32")
    assert found.dtype == dtype
    assert all(g.dtype == dtype for g in gradients)
    assert not report.not_simulated
    tolerance = 2e-2 if dtype == torch.bfloat16 else 2e-3
    assert 0 < (found.float() - expected).abs().max() < tolerance


def test_bfloat16_products_are_those_of_the_gpu():
    a, b = (torch.randn(n, 64, generator=torch.Generator().manual_seed(n)).bfloat16() for n in (5, 7))
    with hs.torch.simulate("h100:f32"):
        found = a @ b.t()
    row = hs.tensorcores.row("h100", "f32", inputs="bf16")
    product = hs.matmul(a.float().numpy(), b.float().numpy().T, accumulator=row)
    assert torch.equal(found.float(), torch.from_numpy(np.array(hs.convert(product, hs.BFLOAT16))))


FUNCTIONS = {
    "powers of tensors": lambda x: (x.abs() + 0.5) ** x,
    "numbers to powers": lambda x: 1.5**x,
    "powers": lambda x: x**3 + x.abs() ** 0.5 + (x.abs() + 1) ** -1.5,
    "glu": lambda x: torch.nn.functional.glu(x, 1),
    "celu": lambda x: torch.nn.functional.celu(x, 0.5),
    "tan": lambda x: torch.tan(0.3 * x),
    "logarithms": lambda x: (x.abs() + 1).log2() + (x.abs() + 1).log10() + torch.expm1(x) + torch.exp2(x),
    "sums at an index": lambda x: torch.zeros(3, 8).index_add(0, torch.tensor([1, 2, 1]), x[:3], alpha=2),
    "scatter": lambda x: torch.zeros(4, 8).scatter_add(1, torch.arange(32).reshape(4, 8) % 3, x),
    "gather": lambda x: x.gather(1, torch.arange(32).reshape(4, 8) % 5),
    "normalize": lambda x: torch.nn.functional.normalize(x, dim=1),
    "similarity": lambda x: torch.nn.functional.cosine_similarity(x, x.roll(1, 0)),
    "rms": lambda x: torch.nn.functional.rms_norm(x, (8,)),
    "adaptive maximum": lambda x: torch.nn.functional.adaptive_max_pool2d(x[None], 2),
    "vectors": lambda x: torch.addmv(x[:, 0], x, x[1]) + torch.dot(x[0], x[1]) + x @ x[2],
    "addends": lambda x: torch.addmm(x @ x.t(), x, x.t(), beta=0.5, alpha=2) + torch.addmm(x[:, :4], x, x.t()),
    "masked attention": lambda x: torch.nn.functional.scaled_dot_product_attention(
        x[None], x[None], x[None], attn_mask=torch.ones(4, 4).tril().bool()
    ),
    "logits": lambda x: torch.nn.functional.logsigmoid(x) + torch.nn.functional.silu(x) + torch.rsub(x, 2),
    "integers": lambda x: x[:, 0] * (torch.arange(4) / 3),
    "layouts": lambda x: ((x.t() * 2).t().contiguous() - 1).view(2, 16),
    "sizes of none": lambda x: torch.cat([x[:0] @ x.t(), x[:0, :4]]).sum() + x.sum(),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_values_and_gradients_of_functions(function):
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(7))
    found = []
    for simulated in (False, True):
        leaf = x.clone().requires_grad_()
        if simulated:
            with hs.torch.simulate(WIDE) as report:
                y = function(leaf)
                (y * (0.5 + torch.arange(y.numel()) / y.numel()).reshape(y.shape)).sum().backward()
        else:
            y = function(leaf)
            (y * (0.5 + torch.arange(y.numel()) / y.numel()).reshape(y.shape)).sum().backward()
        found.append((y, leaf.grad))
    assert not report.not_simulated
    assert found[0][0].stride() == found[1][0].stride()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


# The report.


def test_losses_are_counted_by_module(model, x):
    _, _, report = outcome(model, x, "mixed")
    assert set(report.modules) == {"0", "1", "2", ""}
    layer = report.modules["0"]
    # Forward 3 x 16; backward dW 16 x 8 and db 16; no gradient of x is asked for.
    assert layer.elements == 48 + 128 + 16
    assert 0 < layer.inexact <= layer.elements
    assert layer.additions > 0
    assert report.as_dict()["modules"]["0"]["elements"] == layer.elements
    for word in ("calls of", "module", "swallowed", "outside"):
        assert word in str(report)


def test_counts_mean_what_they_say():
    layer = torch.nn.Linear(2, 4, bias=False)
    layer.weight.data.copy_(torch.tensor([[2.0**15, 2.0**15], [1.0, 2.0**-11], [2.0**-25, 0.0], [2.0**-24, 0.0]]))
    with hs.torch.simulate("mixed") as report:
        y = layer(torch.ones(1, 2))
    # The third weight is rounded to zero where it is used: no loss of the product.
    assert y.tolist() == [[float("inf"), 1.0, 0.0, 2.0**-24]]
    counts = report.modules["Linear"]
    assert (counts.elements, counts.inexact, counts.overflow, counts.underflow, counts.flushed) == (4, 2, 1, 0, 0)
    with hs.torch.simulate("mixed") as report:
        z = torch.tensor([2.0**-14, 2.0**-24, 1.0]) * 2.0**-11
    assert z.tolist() == [2.0**-24 * 0 + 2.0**-25 * 0, 0.0, 2.0**-11]
    counts = report.modules[""]
    assert (counts.inexact, counts.underflow, counts.flushed) == (2, 2, 2)


def test_the_first_infinity_is_found_where_it_was_made():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
    for i, size in ((0, 1.0), (2, 60000.0)):
        torch.nn.init.constant_(model[i].weight, size)
        torch.nn.init.constant_(model[i].bias, 1.0)
    with hs.torch.simulate("mixed", count=False) as report:
        y = model(torch.ones(1, 4))
    assert y.isnan().any()
    assert {**report.first, "call": 0} == {"module": "2", "operator": "addmm", "phase": "forward", "call": 0}
    assert "first Inf or NaN: addmm in 2" in str(report)


def test_an_infinite_mask_is_no_overflow():
    with hs.torch.simulate("mixed") as report:
        torch.softmax(torch.zeros(2, 2) + torch.tensor([[0.0, -torch.inf], [0.0, 0.0]]), 1)
    assert report.first is None


@pytest.mark.parametrize(
    ("compute", "name", "reason"),
    [
        (lambda: torch.fft.rfft(torch.ones(4)).abs(), "_fft_r2c", "no arithmetic"),
        (lambda: torch.ones(2, dtype=torch.float64) * 3, "mul", "float64"),
        (lambda: torch.ones(2, dtype=torch.complex64) * 3, "mul", "complex64"),
        (lambda: torch.linalg.inv(torch.eye(2)), "linalg_inv_ex", "no arithmetic"),
        (lambda: torch.nn.functional.avg_pool2d(torch.ones(1, 1, 4, 4), 3, padding=1), "avg_pool2d", "such settings"),
        (lambda: torch.linalg.vector_norm(torch.ones(3), 3), "linalg_vector_norm", "such settings"),
    ],
)
def test_what_is_not_simulated_is_listed(compute, name, reason):
    with hs.torch.simulate("mixed") as report:
        compute()
    assert any(operator == name and reason in why for operator, why in report.not_simulated)
    assert f"not simulated: {name}" in str(report)


def test_operators_of_other_libraries_are_listed():
    with torch.library._scoped_library("halfsim_test", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CPU")
        with hs.torch.simulate("mixed") as report:
            torch.ops.halfsim_test.twice(torch.ones(2))
    assert ("halfsim_test::twice", "not PyTorch's own") in report.not_simulated


# Rules.


def test_rules_by_operator_and_module(model, x):
    exact, _, _ = outcome(model, x, WIDE)
    mixed, _, _ = outcome(model, x, "mixed")
    wide_last, _, _ = outcome(model, x, "mixed", modules={"2": WIDE})
    assert not torch.equal(wide_last, mixed)
    # What the last layer gets is binary16, and no more is rounded.
    with hs.torch.simulate("mixed"):
        middle = model[1](model[0](x))
    with hs.torch.simulate(WIDE):
        assert torch.equal(model[2](middle), wide_last)
    everywhere, _, report = outcome(model, x, "mixed", modules={"*": "binary32"}, operators={"pow": "torch"})
    assert torch.equal(everywhere, exact)
    assert [operator for operator, _ in report.not_simulated] == ["pow"]
    left, _, report = outcome(model, x, "mixed", operators={"addmm": "torch"})
    assert ("addmm", "left to PyTorch by a rule") in report.not_simulated
    assert not torch.equal(left, mixed)


def test_a_module_stands_for_what_is_in_it(x):
    model = torch.nn.ModuleDict({"body": perceptron(), "head": perceptron(1)})
    wrapped = torch.nn.Sequential(model["body"])
    _, _, report = outcome(wrapped, x, "mixed", modules={"0": "torch"})
    assert set(report.simulated) <= {"pow", "sum", "mul"}


def test_policies_differ_in_the_backward_pass_too(model):
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    narrow = replace(named("mixed"), name="n", weight_gradient="v100:f16")
    y0, g0, _ = outcome(model, x, "mixed")
    y1, g1, _ = outcome(model, x, narrow)
    assert torch.equal(y0, y1)
    assert torch.equal(g0[3], g1[3])
    assert not torch.equal(g0[2], g1[2])
    rounded = replace(named("mixed"), name="g", data_gradient=hs.FP16)
    _, g2, _ = outcome(model, x, rounded)
    assert torch.equal(g0[2], g2[2])
    assert not torch.equal(g0[0], g2[0])


# PyTorch's other ways to run a model.


@pytest.mark.filterwarnings("ignore:Using `torch.compile")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_are_simulated(model, x, backend):
    expected, gradients, _ = outcome(model, x)
    compiled = torch.compile(model, backend=backend)
    compiled(x)
    found, others, report = outcome(compiled, x)
    assert torch.equal(found, expected)
    assert equal(gradients, others)
    assert not report.not_simulated
    assert "0" in report.modules


def test_functional_transforms(model, x):
    _, gradients, _ = outcome(model, x)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (x,)).square().sum()

    with hs.torch.simulate("h100:f16") as report:
        found = torch.func.grad(loss)(parameters)
        rows = torch.func.vmap(model)(x)
    assert equal(found.values(), gradients)
    assert rows.shape == (3, 4)
    assert not report.not_simulated


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_models(model, x, reentrant):
    _, gradients, _ = outcome(model, x)
    model.zero_grad()
    from torch.utils.checkpoint import checkpoint

    with hs.torch.simulate("h100:f16"):
        checkpoint(model, x.clone().requires_grad_(), use_reentrant=reentrant).square().sum().backward()
    assert equal([p.grad for p in model.parameters()], gradients)


def test_inference(model, x):
    expected, _, _ = outcome(model, x)
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), hs.torch.simulate("h100:f16") as report:
            assert torch.equal(model(x), expected)
        assert not report.not_simulated


@pytest.mark.parametrize("shape", [(7, 32), (6, 5, 32), (2, 3, 5, 32)])
@pytest.mark.parametrize("turned", [False, True])
def test_inference_mode_starts_sums_from_the_bias_where_pytorch_does(shape, turned):
    layer = torch.nn.Linear(32, 16)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x = x.transpose(0, -2) if turned else x
    found = []
    for guard in (torch.no_grad, torch.inference_mode):
        with guard(), hs.torch.simulate("binary16-pure") as report:
            found.append(layer(x).tolist())
        assert not report.not_simulated
    assert found[0] == found[1]


def test_autocast_gives_the_same(model, x):
    expected, _, _ = outcome(model, x)
    with torch.autocast("cpu", dtype=torch.float16):
        found, _, report = outcome(model, x)
    assert found.dtype == torch.float16
    assert torch.equal(found.float(), expected)
    assert not report.not_simulated


def test_products_are_told_apart_in_every_storage():
    """Forward, data gradient and weight gradient keep their accumulators for held, cast and narrow weights."""
    policy = replace(
        named("mixed"), name="three", forward="v100:f16", data_gradient=hs.FP16, weight_gradient="a100:f16"
    )
    x, g = torch.randn(60, 8, generator=torch.Generator().manual_seed(1)), torch.randn(60, 4).half()
    found = []
    for narrow, cast in ((False, False), (False, True), (True, False)):
        model = perceptron().half() if narrow else perceptron()
        if not narrow:
            model.half().float()
        data = (x.half() if narrow else x.half().float()).requires_grad_()
        with torch.autocast("cpu", dtype=torch.float16, enabled=cast), hs.torch.simulate(policy):
            y = model(data)
            y.backward(g.to(y.dtype))
        found.append([t.float() for t in (y.detach(), data.grad, *(p.grad for p in model.parameters()))])
    assert equal(found[0], found[1])
    assert equal(found[0], found[2])
    for other in (named("mixed").accumulating(a, str(a)) for a in ("v100:f16", hs.FP16, "a100:f16")):
        model = perceptron().half()
        with hs.torch.simulate(other):
            model(x.half()).backward(g)
        assert not equal(found[0][2:], [p.grad.float() for p in model.parameters()])


def test_fused_kernels_are_taken_apart(x):
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad(), hs.torch.simulate("mixed") as report:
        layer(x[None])
    assert not report.not_simulated
    assert report.simulated["bmm"] == 2


def test_settings_are_put_back():
    before = torch._C._get_mkldnn_enabled(), torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(ZeroDivisionError), hs.torch.simulate("mixed"):
        1 / 0  # noqa: B018
    assert (torch._C._get_mkldnn_enabled(), torch.backends.mha.get_fastpath_enabled()) == before
    assert torch.equal(torch.ones(1) / 3, torch.tensor([np.float32(1) / np.float32(3)]))


# Conversions.


def test_casts_round_as_the_policy_does():
    x = torch.tensor([[1.0 + 2.0**-11 + 2.0**-20, 2.0**-25]])
    directed = replace(named("mixed"), name="up", rounding="rup")
    with hs.torch.simulate(directed):
        assert x.half().tolist() == [[1.0 + 2.0**-10, 2.0**-24]]
        assert x.t().half().is_contiguous() == x.t().is_contiguous()
        assert torch.zeros(2, 2, dtype=torch.float16).copy_(x).tolist() == [[1.0 + 2.0**-10, 2.0**-24]] * 2
    with hs.torch.simulate("mixed"):
        assert torch.equal(x.half(), x.to(torch.float16))


def test_a_model_in_binary16_needs_no_copy():
    """What the simulation works on is the memory of the tensor."""
    from halfsim.interop.torch.tensors import array_of, tensor_of

    for dtype in (torch.float16, torch.float32):
        x = torch.ones(4, 3, dtype=dtype)
        array = array_of(x)
        array[0, 0] = 7
        assert x[0, 0] == 7
        assert tensor_of(array, dtype).data_ptr() == x.data_ptr()
        assert array_of(x.t()).flags.f_contiguous


# Refusals.


def test_tensors_elsewhere_are_refused(model):
    with hs.torch.simulate("mixed"), pytest.raises(ValueError, match=r"on meta.*\.cpu\(\)"):
        torch.ones(2, device="meta") + torch.ones(2)


def test_sparse_tensors_are_refused():
    with hs.torch.simulate("mixed"), pytest.raises(ValueError, match="to_dense"):
        torch.sparse.mm(torch.eye(3).to_sparse(), torch.ones(3, 2))


@pytest.mark.parametrize(
    ("policy", "kind", "words"),
    [
        ("mixd", ValueError, "did you mean 'mixed'"),
        ("h100:f64", ValueError, "h100"),
        (3, TypeError, "policy=3 is a int"),
    ],
)
def test_unknown_policies(policy, kind, words):
    with pytest.raises(kind, match=words), hs.torch.simulate(policy):
        pass


def test_nesting_is_refused():
    inside = pytest.raises(RuntimeError, match="inside of another")
    with hs.torch.simulate("mixed"), inside, hs.torch.simulate("mixed"):
        pass


@pytest.mark.parametrize("policy", ["v100:f32", "binary16-pure", replace(named("mixed"), name="z", rounding="rtz")])
def test_bfloat16_without_such_an_instruction(policy):
    with hs.torch.simulate(policy), pytest.raises(ValueError, match="bfloat16"):
        torch.ones(2, 2, dtype=torch.bfloat16) @ torch.ones(2, 2, dtype=torch.bfloat16)
