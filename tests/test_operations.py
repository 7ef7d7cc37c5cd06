"""The front door: shapes, layouts, `out` and `where`, errors that say the way out, and threads."""

from __future__ import annotations

import concurrent.futures
import itertools

import numpy as np
import pytest

import halfsim as hs
from tests.oracles import corners

EVERY = np.arange(65536, dtype=np.uint16)
OPERATIONS = {name: getattr(hs, name) for name in dir(hs) if isinstance(getattr(hs, name), hs.Operation)}
ONE, TWO, THREE = (np.float16(x) for x in (1, 2, 3))


def _numbers(shape, seed=1):
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16).view(np.float16)


def _same(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    word = {2: np.uint16, 4: np.uint32}.get(got.dtype.itemsize, np.uint8)
    got, want = (np.ascontiguousarray(x).view(word) for x in (got, want))
    np.testing.assert_array_equal(got, want)


def _operands(operation, shape=(7,)):
    columns = [_numbers(shape, seed) for seed in range(operation.arity)]
    if operation.integers >= 0:
        columns[operation.integers] = np.random.default_rng(5).integers(-20, 20, shape)
    return columns


def test_the_table_has_every_operation():
    wanted = """add subtract multiply divide sqrt fma remainder round_to_integral minimum maximum minimum_number
    maximum_number minimum_magnitude maximum_magnitude minimum_magnitude_number maximum_magnitude_number min_num max_num
    min_num_mag max_num_mag minsh maxsh equal not_equal greater greater_equal less less_equal equal_signaling
    not_equal_signaling greater_quiet greater_equal_quiet less_quiet less_equal_quiet not_greater less_unordered
    not_less greater_unordered not_greater_quiet less_unordered_quiet not_less_quiet greater_unordered_quiet unordered
    ordered negative absolute copysign nextup nextdown scaleb logb isnan isinf isfinite isnormal issubnormal iszero
    issignaling signbit iscanonical classify total_order total_order_mag"""
    assert sorted(OPERATIONS) == sorted(wanted.split())
    assert [op.name for op in OPERATIONS.values()] == list(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
class TestEveryOperation:
    def test_array_and_scalars_agree(self, name):
        operation = OPERATIONS[name]
        columns = _operands(operation)
        value, flags = operation.flagged(*columns)
        assert value.shape == flags.shape == (7,)
        assert value.dtype == operation.dtype
        assert flags.dtype == np.uint8
        for i in range(7):
            one, flag = operation.flagged(*[column[i] for column in columns])
            assert isinstance(one, operation.dtype.type)
            assert isinstance(flag, np.uint8)
            _same(one, value[i])
            assert flag == flags[i]

    def test_zero_dimensional_and_empty(self, name):
        operation = OPERATIONS[name]
        columns = _operands(operation)
        value, _ = operation.flagged(*[column[:1].reshape(()) for column in columns])
        _same(value, operation(*columns)[0])
        for shape in ((0,), (3, 0, 2)):
            value, flags = operation.flagged(*_operands(operation, shape))
            assert value.shape == flags.shape == shape
            assert value.dtype == operation.dtype

    def test_layouts(self, name):
        """Strided, reversed, transposed, byte-swapped, unaligned and read-only operands give the same bits."""
        operation = OPERATIONS[name]
        columns = _operands(operation, (6, 8))
        want = operation.flagged(*columns)
        for change in (_strided, _reversed, _transposed, _swapped, _unaligned, _read_only):
            changed = [change(column) for column in columns]
            copies = [x.copy() for x in changed]
            value, flags = operation.flagged(*changed)
            _same(value, want.value)
            _same(flags, want.flags)
            for x, copy in zip(changed, copies, strict=True):
                _same(x.copy(), copy)

    def test_wrong_number_of_operands(self, name):
        operation = OPERATIONS[name]
        for count in {0, operation.arity - 1, operation.arity + 1} - {operation.arity}:
            with pytest.raises(TypeError, match=rf"^{name}: takes {operation.arity} operand.*got {count}"):
                operation(*[ONE] * count)

    def test_out_and_where(self, name):
        operation = OPERATIONS[name]
        columns = _operands(operation)
        want = operation.flagged(*columns)
        out = np.zeros(7, operation.dtype)
        assert operation(*columns, out=out) is out
        _same(out, want.value)
        mask = np.array([True, False, True, True, False, False, True])
        out = np.full(7, 1, operation.dtype)
        value, flags = operation.flagged(*columns, out=out, where=mask)
        assert value is out
        _same(out, np.where(mask, want.value, np.ones(7, operation.dtype)))
        np.testing.assert_array_equal(flags, np.where(mask, want.flags, 0))
        fresh = operation(*columns, where=mask)
        _same(fresh, np.where(mask, want.value, np.zeros(7, operation.dtype)))

    def test_the_flags_of_its_row_are_those_that_it_raises(self, name):
        operation = OPERATIONS[name]
        if operation.arity == 1:
            columns = [EVERY]
        else:
            columns = list(corners.triples(20_000) if operation.arity == 3 else corners.pairs(20_000, level=1))
        operands = [np.asarray(column, np.uint16).view(np.float16) for column in columns]
        if operation.integers >= 0:
            operands[operation.integers] = np.random.default_rng(5).integers(-60, 60, operands[0].shape)
        raised = hs.Flags(0)
        for environment, rounding in itertools.product((hs.IEEE, hs.ARM, hs.X86), ("rne", "rup", "rtz", "odd")):
            keywords = {"exact": True} if operation.options else {}
            flags = operation.flagged(*operands, environment=environment, rounding=rounding, **keywords).flags
            raised |= hs.Flags(np.bitwise_or.reduce(flags))
        assert operation.flags == raised

    def test_docstring_has_its_sections_and_an_example(self, name):
        text = OPERATIONS[name].__doc__
        assert text.startswith(f"{name}(")
        for part in ("Parameters\n---", "Returns\n---", "Examples\n---", f"hs.{name}"):
            assert part in text


def _strided(x):
    big = np.zeros((x.shape[0], 2 * x.shape[1]), x.dtype)
    big[:, ::2] = x
    return big[:, ::2]


def _reversed(x):
    return x[::-1].copy()[::-1]


def _transposed(x):
    return np.asfortranarray(x)


def _swapped(x):
    return x.byteswap().view(x.dtype.newbyteorder())


def _unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = x.reshape(-1).view(np.uint8)
    return raw[1:].view(x.dtype).reshape(x.shape)


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


# --- Broadcasting ---


@pytest.mark.parametrize(
    "shapes",
    [((3, 1), (1, 4)), ((5,), ()), ((), (2, 3)), ((2, 1, 4), (3, 1)), ((1,), (7,)), ((0,), (1,)), ((4, 0), (1,))],
)
def test_broadcasting(shapes):
    a, b = (_numbers(shape, i) for i, shape in enumerate(shapes))
    want_a, want_b = (x.copy() for x in np.broadcast_arrays(a, b))
    _same(hs.add(a, b), hs.add(want_a, want_b))
    value, flags = hs.fma.flagged(a, b, ONE)
    assert value.shape == flags.shape == want_a.shape
    _same(value, hs.fma(want_a, want_b, np.full(want_a.shape, ONE)))


def test_broadcast_views_as_operands():
    a = np.broadcast_to(_numbers(4), (3, 4))
    _same(hs.multiply(a, a), hs.multiply(a.copy(), a.copy()))


def test_mismatched_shapes_are_named():
    with pytest.raises(ValueError, match=r"^fma: .*a \(2, 3\), b \(4,\), c \(\)") as caught:
        hs.fma(_numbers((2, 3)), _numbers(4), ONE)
    assert "\n" not in str(caught.value)


# --- out ---


@pytest.mark.parametrize("shift", [0, 1, -1])
def test_out_may_overlap_an_operand(shift):
    memory = _numbers(10_001)
    a, b = memory[1:-1], _numbers(9_999, 2)
    want = hs.add(a.copy(), b)
    out = memory[1 + shift : 10_000 + shift]
    hs.add(a, b, out=out)
    _same(out, want)
    x = _numbers(100)
    want = hs.multiply(x.copy(), x.copy())
    hs.multiply(x, x, out=x)
    _same(x, want)


def test_out_reversed_onto_its_operand():
    x = _numbers(1000)
    want = hs.negative(x.copy())
    hs.negative(x, out=x[::-1])
    _same(x[::-1], want)


def test_out_keeps_its_own_layout():
    a, b = _numbers((4, 6)), _numbers((4, 6), 2)
    want = hs.add(a, b)
    for out in (
        np.zeros((4, 6), np.float16, order="F"),
        np.zeros((4, 12), np.float16)[:, ::2],
        np.zeros((4, 6), ">f2"),
    ):
        assert hs.add(a, b, out=out) is out
        _same(out.astype(np.float16), want)


def test_zero_dimensional_out():
    out = np.zeros((), np.float16)
    assert hs.add(ONE, TWO, out=out) is out
    assert out == 3


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (np.zeros(3, np.float32), TypeError, "out has dtype float32, but the result is float16"),
        (np.zeros(3, np.uint16), TypeError, "out has dtype uint16, but the result is float16"),
        (np.zeros(4, np.float16), ValueError, r"out has shape \(4,\), but .* \(3,\)"),
        (np.zeros((1, 3), np.float16), ValueError, r"out has shape \(1, 3\), but .* \(3,\)"),
        ([0.0, 0.0, 0.0], TypeError, "out is of type list; pass a numpy array"),
        (_read_only(np.zeros(3, np.float16)), ValueError, "out is read-only; pass a writeable array"),
    ],
)
def test_wrong_out(out, error, words):
    with pytest.raises(error, match=f"^add: {words}"):
        hs.add(_numbers(3), ONE, out=out)


# --- where ---


@pytest.mark.parametrize("name", ["add", "nextup", "less", "logb"])
@pytest.mark.parametrize("side", [4, 300])
def test_out_that_is_a_matrix(name, side):
    """Flat it would have two dimensions still."""
    operation = OPERATIONS[name]
    columns = _operands(operation, (side, side))
    out = np.zeros((side, side), operation.dtype).view(np.matrix)
    assert operation(*columns, out=out) is out
    _same(np.asarray(out), operation(*columns))
    wide = np.zeros((side, side), np.float32).view(np.matrix)
    _same(np.asarray(hs.convert(columns[0], hs.BINARY32, out=wide)), hs.convert(columns[0], hs.BINARY32))


@pytest.mark.parametrize("call", [hs.add, lambda x, y, out: hs.convert(x, hs.BINARY16, out=out)])
def test_out_that_is_masked(call):
    with pytest.raises(TypeError, match="out is a masked array; pass its data and use where="):
        call(_numbers(4), _numbers(4), out=np.ma.zeros(4, np.float16))


def test_where_broadcasts_and_accepts_a_single_truth():
    a = _numbers((3, 4))
    mask = np.array([True, False, True, False])
    _same(hs.add(a, ONE, where=mask), np.where(mask, hs.add(a, ONE), np.float16(0)))
    assert not hs.add(a, ONE, where=False).any()
    _same(hs.add(a, ONE, where=True), hs.add(a, ONE))
    _same(hs.add(a, ONE, where=np.True_), hs.add(a, ONE))


def test_elements_left_out_raise_no_flags():
    value, flags = hs.divide.flagged(np.ones(2, np.float16), np.zeros(2, np.float16), where=[True, False])
    assert flags.tolist() == [8, 0]
    assert value.tolist() == [np.inf, 0]


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        (np.ones(3, np.uint8), TypeError, "where has dtype uint8; pass a boolean mask"),
        (np.ones(4, bool), ValueError, r"where has shape \(4,\).*\(3,\)"),
    ],
)
def test_wrong_where(where, error, words):
    with pytest.raises(error, match=f"^add: {words}"):
        hs.add(_numbers(3), ONE, where=where)


# --- Operands that are not binary16 ---


@pytest.mark.parametrize(
    ("operand", "words"),
    [
        (np.ones(3, np.float32), r"operand b .*float32.*halfsim\.convert"),
        (np.float64(1), r"operand b .*float64.*halfsim\.convert"),
        (1.5, r"operand b .*float.*halfsim\.convert"),
        (2, r"operand b .*int.*halfsim\.convert"),
        ([1.0, 2.0, 3.0], r"operand b .*float64.*halfsim\.convert"),
        (np.ones(3, np.uint16), r"operand b .*uint16.*halfsim\.from_bits"),
        (np.ones(3, np.int64), r"operand b .*int64.*halfsim\.convert"),
        (np.ones(3, bool), "operand b .*bool"),
        (np.ones(3, complex), "operand b .*complex128"),
        ("1.0", "operand b "),
        (None, "operand b "),
        (np.ones(3, object), "operand b .*object"),
    ],
    ids=repr,
)
def test_other_operands_are_refused(operand, words):
    with pytest.raises(TypeError, match=f"^add: {words}") as caught:
        hs.add(ONE, operand)
    assert "\n" not in str(caught.value)


def test_lists_of_binary16_scalars_are_binary16():
    _same(hs.add([ONE, TWO], [THREE, THREE]), np.float16([4, 5]))


def test_exponents_of_scaleb_are_integers():
    assert hs.scaleb(ONE, 3) == 8
    _same(hs.scaleb(ONE, np.int8([1, -1])), np.float16([2, 0.5]))
    with pytest.raises(TypeError, match=r"^scaleb: operand b .*float16"):
        hs.scaleb(ONE, ONE)
    with pytest.raises(TypeError, match=r"^scaleb: operand b .*float64"):
        hs.scaleb(ONE, 1.0)


# --- rounding and environment ---


def test_names_aliases_and_members_are_one():
    a, b = _numbers(5000), _numbers(5000, 2)
    aliases = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rna": 4, "odd": 5}
    for alias, code in aliases.items():
        mode = hs.Rounding(code)
        _same(hs.add(a, b, rounding=alias), hs.add(a, b, rounding=mode))
        _same(hs.add(a, b, rounding=mode.name), hs.add(a, b, rounding=mode))
    results = {hs.add(a, b, rounding=alias).tobytes() for alias in aliases}
    assert len(results) == len(aliases)


def test_unknown_rounding_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"^add: unknown rounding 'nearest'") as caught:
        hs.add(ONE, ONE, rounding="nearest")
    message = str(caught.value)
    for mode in hs.Rounding:
        assert mode.name in message
    for alias in ("rne", "rna", "rtz", "rup", "rdn", "odd", "Stochastic"):
        assert alias in message


@pytest.mark.parametrize("rounding", [None, 0, 1.0, ["rne"], np.int64(0)], ids=repr)
def test_rounding_of_another_type(rounding):
    with pytest.raises(TypeError, match=r"^add: rounding="):
        hs.add(ONE, ONE, rounding=rounding)


@pytest.mark.parametrize("environment", [None, "RISCV", hs.Tininess.afterRounding], ids=repr)
def test_environment_of_another_type(environment):
    with pytest.raises(TypeError, match=r"^add: environment=.*halfsim\.Environment"):
        hs.add(ONE, ONE, environment=environment)


def test_unknown_keyword_lists_the_known_ones():
    with pytest.raises(TypeError, match=r"^add: unknown keyword 'mode'; known are rounding, environment, out, where"):
        hs.add(ONE, ONE, mode="rne")
    with pytest.raises(TypeError, match=r"^round_to_integral: unknown keyword 'inexact'.*exact"):
        hs.round_to_integral(ONE, inexact=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("bits", 0), ("bits", 33), ("seed", -1), ("seed", 2**64), ("offset", -1), ("offset", 2**62 + 1)],
)
def test_stochastic_checks_its_fields(field, value):
    with pytest.raises(ValueError, match=f"^Stochastic: {field}={value}"):
        hs.Stochastic(**{"bits": 8, "seed": 1, field: value})


# --- Patterns ---


def test_bits_round_trip():
    np.testing.assert_array_equal(hs.to_bits(hs.from_bits(EVERY)), EVERY)
    for dtype in (np.int32, np.int64, np.uint64, ">u2"):
        np.testing.assert_array_equal(hs.to_bits(hs.from_bits(EVERY.astype(dtype))), EVERY)
    assert hs.to_bits(hs.from_bits(0xFC01)) == 0xFC01
    assert hs.from_bits([[1, 2]]).shape == (1, 2)


def test_bits_are_copies():
    words = EVERY.copy()
    numbers = hs.from_bits(words)
    words[:] = 0
    np.testing.assert_array_equal(hs.to_bits(numbers), EVERY)
    bits = hs.to_bits(numbers)
    bits[:] = 0
    np.testing.assert_array_equal(hs.to_bits(numbers), EVERY)


@pytest.mark.parametrize(
    ("bits", "error"), [(65536, ValueError), ([-1], ValueError), (1.0, TypeError), ("7C00", TypeError)]
)
def test_wrong_bits(bits, error):
    with pytest.raises(error, match=r"^from_bits: bits "):
        hs.from_bits(bits)


def test_to_bits_wants_binary16():
    with pytest.raises(TypeError, match=r"^to_bits: operand x .*float32.*halfsim\.convert"):
        hs.to_bits(np.float32(1))


def test_patterns_survive_the_front_door():
    """Payloads, signaling NaNs and -0 of operands reach the core whatever the layout."""
    for change in (_read_only, _reversed, _swapped, _unaligned):
        _same(hs.copysign(change(EVERY.view(np.float16)), np.float16(1)), (EVERY & 0x7FFF).view(np.float16))


# --- convert at the front door ---


def test_convert_refuses_what_it_cannot_mean():
    with pytest.raises(TypeError, match=r"^convert: x has dtype complex128"):
        hs.convert(1j, hs.BINARY16)
    with pytest.raises(TypeError, match=r"^convert: to=.*Format"):
        hs.convert(ONE, np.float32)
    with pytest.raises(TypeError, match=r"^convert: to='binary16'"):
        hs.convert(ONE, "binary16")
    with pytest.raises(TypeError, match=r"^convert: x and to are both integers"):
        hs.convert(3, np.int8)
    with pytest.raises(ValueError, match=r"^convert: unknown rounding"):
        hs.convert(1.0, hs.BINARY16, rounding="nearest")
    with pytest.raises(TypeError, match=r"^convert: out has dtype float32"):
        hs.convert(np.ones(3), hs.BINARY16, out=np.zeros(3, np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint64])
def test_convert_layouts(dtype):
    x = np.random.default_rng(3).normal(size=(6, 8), scale=300)
    x = np.abs(x).astype(dtype)
    want = hs.convert.flagged(x, hs.E5M2)
    for change in (_strided, _reversed, _transposed, _swapped, _unaligned, _read_only):
        value, flags = hs.convert.flagged(change(x), hs.E5M2)
        _same(value, want.value)
        _same(flags, want.flags)
    assert hs.convert(x[:0], hs.BINARY16).shape == (0, 8)
    one = hs.convert(x[0, 0], hs.BINARY16)
    assert isinstance(one, np.float16)
    out = np.zeros((6, 8), np.float32)
    mask = np.arange(8) % 2 == 0
    assert hs.convert(x, hs.E5M2, out=out, where=mask) is out
    _same(out, np.where(mask, want.value, np.float32(0)))


def test_convert_in_place():
    x = np.random.default_rng(4).normal(size=1000).astype(np.float32)
    want = hs.convert(x.copy(), hs.TF32)
    hs.convert(x, hs.TF32, out=x)
    _same(x, want)


# --- Threads ---


WAYS = ["rne", "rtz", "rup", "rdn", "rna", "odd", hs.Stochastic(bits=9, seed=4)]
FLUSHED = hs.Environment(flush_inputs=True, flush_results=True)


ROUNDED = ["add", "subtract", "multiply", "divide", "sqrt", "fma", "remainder", "round_to_integral", "scaleb"]


@pytest.mark.parametrize("environment", [hs.IEEE, FLUSHED], ids=["kept", "flushed"])
@pytest.mark.parametrize("rounding", WAYS, ids=str)
@pytest.mark.parametrize("name", ROUNDED)
def test_results_are_the_same_with_and_without_flags(name, rounding, environment):
    """They run other loops, some in one of the two cases alone."""
    operation = OPERATIONS[name]
    columns = _operands(operation, (300,))
    how = {"rounding": rounding, "environment": environment}
    _same(operation(*columns, **how), operation.flagged(*columns, **how).value)


@pytest.mark.parametrize("environment", [hs.IEEE, FLUSHED], ids=["kept", "flushed"])
@pytest.mark.parametrize("rounding", WAYS, ids=str)
@pytest.mark.parametrize("target", [hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.E4M3, np.int32], ids=repr)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_conversions_are_the_same_with_and_without_flags(dtype, target, rounding, environment):
    """As above."""
    if dtype == np.int32 == target:
        return
    words = np.random.default_rng(3).integers(0, 1 << 16, 300).astype(np.uint16)
    words[:4] = 0, 0x8000, 1, 0x7BFF
    with np.errstate(invalid="ignore", over="ignore"):
        x = np.nan_to_num(words.view(np.float16), posinf=1, neginf=2) if dtype == np.int32 else words.view(np.float16)
        x = x.astype(dtype) if dtype == np.int32 else x.astype(dtype) * dtype(1.1)
    how = {"rounding": rounding, "environment": environment}
    plain, flagged = hs.convert(x, target, **how), hs.convert.flagged(x, target, **how).value
    np.testing.assert_array_equal(plain.view(f"u{plain.itemsize}"), flagged.view(f"u{plain.itemsize}"))


def test_concurrent_calls_do_not_see_each_other():
    """Modes and environments of calls running at the same time do not mix: nothing is global."""
    a, b = _numbers(40_000), _numbers(40_000, 2)
    settings = list(itertools.product(["rne", "rup", "rdn", "odd"], [hs.IEEE, hs.RISCV, hs.ARM]))
    want = [hs.add.flagged(a, b, rounding=r, environment=e) for r, e in settings]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(hs.add.flagged, a, b, rounding=r, environment=e) for r, e in settings * 4]
        for job, (value, flags) in zip(jobs, want * 4, strict=True):
            _same(job.result().value, value)
            _same(job.result().flags, flags)


def test_results_do_not_depend_on_the_number_of_threads():
    a, b, c = (_numbers(300_001, seed) for seed in range(3))
    before = hs.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            hs.set_num_threads(threads)
            sums = hs.add.flagged(a, b)
            products = hs.fma.flagged(a, b, c, rounding=hs.Stochastic(bits=9, seed=4))
            results.append((*sums, *products, hs.multiply(a, b, rounding="rup"), hs.convert(a, hs.E4M3)))
        for other in results[1:]:
            for x, y in zip(results[0], other, strict=True):
                _same(x, y)
    finally:
        hs.set_num_threads(before)


def test_the_processor_rounding_mode_is_left_alone():
    """Numpy's own error state and results are untouched by a call."""
    with np.errstate(all="raise"):
        hs.divide.flagged(ONE, np.float16(0))
        hs.add.flagged(hs.from_bits(0x7C01), ONE)
    assert np.float32(1) / np.float32(3) == np.float32(0.33333334)


@pytest.mark.parametrize(
    "call", [lambda x: hs.add(x, ONE), lambda x: hs.convert(x, hs.BINARY32), lambda x: hs.matmul(x, x)]
)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.ma.masked_array([ONE, TWO], mask=[True, False]), "masked array; pass its filled"),
        ([[ONE], [TWO, THREE]], "a list, cannot be read as an array"),
    ],
    ids=["masked", "ragged"],
)
def test_operands_that_are_no_arrays(call, value, said):
    with pytest.raises(TypeError, match=f"^(add|convert|matmul): operand [axA].*{said}"):
        call(value)
