"""Every planted mistake is found, counted and named."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import halfsim as hs
from halfsim.testvectors import SUBJECTS, bins, subject
from halfsim.testvectors.check import check
from halfsim.testvectors.diagnosis import Sample, Setting, diagnose
from halfsim.testvectors.formats import Block, Header, Vectors
from halfsim.testvectors.junit import junit
from halfsim.testvectors.reporting import text_of
from tests.oracles import softfloat

N = 40_000


def operands(name: str, seed: int = 0, bias: bool = True) -> list[np.ndarray]:
    """Operands near each other and near the limits, so that every mistake shows."""
    rng = np.random.default_rng(seed)
    made = [rng.integers(0, 1 << 16, N).astype(np.uint16) for _ in subject(name).operands]
    if bias and len(made) > 1:
        third = slice(0, N // 3)
        made[1][third] = made[0][third] ^ 0x8000 ^ rng.integers(0, 8, N // 3).astype(np.uint16)
        small = slice(N // 3, N // 2)
        for words in made[:2]:
            words[small] &= np.uint16(0x9FFF)
        # Products just below the smallest normal number.
        last = slice(N // 2, 2 * N // 3)
        made[0][last] = 0x3C00 | made[0][last] & 0x3FF
        with np.errstate(all="ignore"):
            made[1][last] = hs.to_bits((2.0**-14 / hs.from_bits(made[0][last]).astype(np.float64)).astype(np.float16))
    return made


def vectors(setting: Setting, given: list[np.ndarray], result: np.ndarray, flags: np.ndarray) -> Vectors:
    header = Header(operation=setting.subject.name, operands=setting.subject.operands, result=setting.subject.result)
    parts = [slice(i, i + 7000) for i in range(0, N, 7000)]
    blocks = (Block(tuple(x[part] for x in given), result[part], flags[part]) for part in parts)
    return Vectors("design.tv", header, blocks)


def setting(name: str, rounding: str = "rne", environment: hs.Environment = hs.RISCV) -> Setting:
    return Setting(subject(name), hs.Rounding[_FULL[rounding]], environment)


_FULL = {
    "rne": "roundTiesToEven",
    "rna": "roundTiesToAway",
    "rtz": "roundTowardZero",
    "rup": "roundTowardPositive",
    "rdn": "roundTowardNegative",
}


@pytest.mark.parametrize("name", ["add", "multiply", "fma", "sqrt"])
def test_softfloat_agrees(name):
    given = operands(name)
    short = [x[:3000] for x in given]
    result, flags = softfloat.operate(name, *short)
    block = Block(tuple(short), result, flags)
    header = Header(operation=name, operands=("f16",) * len(given), result="f16")
    report = check(Vectors("x", header, iter([block])), setting(name))
    assert (report.rows, report.wrong, report.first) == (3000, 0, [])


MISTAKES = [
    ("add", "rne", {"rounding": "roundTowardZero"}, "truncated"),
    ("multiply", "rne", {"rounding": "roundTiesToAway"}, "rounded to nearest, ties away from zero"),
    ("divide", "rup", {"rounding": "roundTowardNegative"}, "rounded toward negative"),
    (
        "multiply",
        "rne",
        {"tininess": hs.Tininess.beforeRounding},
        "tininess before rounding instead of after rounding",
    ),
    ("multiply", "rne", {"flush_inputs": True}, "subnormal operands were flushed to zero"),
    ("multiply", "rne", {"flush_results": True}, "subnormal results were flushed to zero"),
    ("multiply", "rne", {"nan": hs.X86.nan}, "wrong NaN (the NaN rule of X86)"),
]


@pytest.mark.parametrize(("name", "rounding", "change", "mistake"), MISTAKES)
def test_a_design_with_one_mistake(name, rounding, change, mistake):
    right = setting(name, rounding)
    if "rounding" in change:
        wrong = replace(right, rounding=hs.Rounding[change["rounding"]])
    else:
        wrong = replace(right, environment=replace(hs.RISCV, **change))
    given = operands(name)
    result, flags = wrong.evaluate(given)
    want, raised = right.evaluate(given)
    report = check(vectors(right, given, result, flags), right, limit=5)
    differs = (result != want) | (flags != raised)
    assert report.wrong == differs.sum() > 0
    assert report.values == (result != want).sum()
    assert report.flags == (flags != raised).sum()
    assert report.mistakes.most_common(1)[0][0] == mistake
    rows = np.flatnonzero(differs)[:5]
    assert [item.operands for item in report.first] == [tuple(int(x[i]) for x in given) for i in rows]
    assert [item.line for item in report.first] == (rows + 1).tolist()
    assert report.first[0].wanted == want[rows[0]]


def test_an_unfused_fma():
    right = setting("fma")
    given = operands("fma")
    with np.errstate(all="ignore"):
        a, b, c = (hs.from_bits(x) for x in given)
        result = hs.to_bits((a * b).astype(np.float16) + c)
    result = np.where(np.isnan(hs.from_bits(result)), np.uint16(0x7E00), result)
    _, flags = right.evaluate(given)
    report = check(vectors(right, given, result, flags), right, ignore_flags=True)
    assert report.wrong > 100
    assert set(report.mistakes) == {"two roundings: the product was rounded before the sum"}


def test_double_rounding_through_binary32():
    right = setting("convert_f64_f16")
    rng = np.random.default_rng(5)
    # Just beside midpoints of binary16, nearer than binary32 can tell.
    number = hs.from_bits(rng.integers(0x0400, 0x7BFF, N).astype(np.uint16))
    middle = number.astype(np.float64) + np.spacing(number).astype(np.float64) / 2
    middle = np.where(rng.random(N) < 0.5, np.nextafter(middle, 0), np.nextafter(middle, np.inf))
    with np.errstate(all="ignore"):
        result = middle.astype(np.float32).astype(np.float16).view(np.uint16)
    given = [middle.view(np.uint64)]
    report = check(vectors(right, given, result, right.evaluate(given)[1]), right, ignore_flags=True)
    assert report.wrong > 100
    assert set(report.mistakes) == {"double rounding, through binary32"}


def one(name, given, got, wanted, mask=None):
    words = [np.array([x], np.uint16) for x in given]
    pair = [(np.array([z], np.uint16), np.array([f], np.uint8)) for z, f in (got, wanted)]
    return diagnose([Sample(setting=setting(name), operands=words, got=pair[0], wanted=pair[1], mask=mask)])[0]


@pytest.mark.parametrize(
    ("name", "given", "got", "wanted", "mistake"),
    [
        ("add", (0x3C00, 0x3C00), (0x4000, 1), (0x4000, 0), "flag inexact raised wrongly"),
        ("add", (0x3C00, 0x1001), (0x3C01, 0), (0x3C01, 1), "flag inexact missing"),
        ("multiply", (0x7BFF, 0x7BFF), (0x7C00, 1), (0x7C00, 5), "flag overflow missing"),
        ("add", (0x3C00, 0xBC00), (0x8000, 0), (0x0000, 0), "wrong sign of zero (as when rounding toward negative)"),
        (
            "multiply",
            (0x0400, 0x3BFF),
            (0x0400, 1),
            (0x0400, 3),
            "flag underflow missing (as when derived from the delivered result)",
        ),
        ("remainder", (0x4200, 0x4000), (0x3C00, 0), (0xBC00, 0), "the remainder of a truncated quotient, as of fmod"),
        ("fma", (0x3C00, 0x3C00, 0x4000), (0xBC00, 0), (0x4200, 0), "the addend was negated"),
        ("multiply", (0x8000, 0x3C00), (0x0000, 0), (0x8000, 0), "wrong sign of zero"),
        ("multiply", (0xC000, 0x3C00), (0x4000, 0), (0xC000, 0), "wrong sign"),
        ("add", (0x3C00, 0x3C00), (0x7E00, 0), (0x4000, 0), "a NaN instead of a number"),
        ("add", (0x7C00, 0xFC00), (0x7C00, 16), (0x7E00, 16), "a number instead of a NaN"),
        ("add", (0x3C00, 0x3C00), (0x7C00, 0), (0x4000, 0), "an infinity instead of a number"),
        ("sqrt", (0x4200,), (0x3EED, 1), (0x3EEE, 1), "truncated"),
        ("sqrt", (0x4400,), (0x4001, 0), (0x4000, 0), "one ulp off"),
        ("sqrt", (0x4400,), (0x4444, 0), (0x4000, 0), "another number"),
        ("divide", (0x3C00, 0x4000), (0x4000, 0), (0x3800, 0), "the operands are swapped"),
        ("minimum", (0x3C00, 0x4000), (0x4000, 0), (0x3C00, 0), "the result of maximum"),
        ("subtract", (0x3C00, 0x4000), (0x4200, 0), (0xBC00, 0), "the result of add"),
    ],
)
def test_single_rows(name, given, got, wanted, mistake):
    assert one(name, given, got, wanted) == mistake


def test_one_ulp_too_many_is_no_rounding():
    right = setting("multiply")
    given = operands("multiply")
    result, flags = right.evaluate(given)
    magnitude = result & 0x7FFF
    off = ((flags & 1) != 0) & (magnitude < 0x7BFF)
    report = check(vectors(right, given, result + off.astype(np.uint16), flags), right)
    assert set(report.mistakes) == {"one ulp off"}


def test_masked_bits_do_not_count():
    right = setting("add")
    given = [np.array([0x7C00], np.uint16), np.array([0xFC00], np.uint16)]
    block = Block(tuple(given), np.array([0xFFFF], np.uint16), np.array([16], np.uint8), np.array([0x7E00], np.uint16))
    header = Header(operation="add", operands=("f16", "f16"), result="f16", nan="any")
    assert check(Vectors("x", header, iter([block])), right).wrong == 0
    assert check(Vectors("x", header, iter([block._replace(mask=None)])), right).wrong == 1
    empty = block._replace(mask=np.zeros(1, np.uint16))
    assert dict(check(Vectors("x", header, iter([empty])), right).mistakes) == {"wrong mask": 1}


def test_stochastic_rows_are_compared_with_their_own_words():
    right = Setting(subject("add"), hs.Stochastic(bits=10, seed=3), hs.IEEE)
    given = operands("add")
    result, flags = right.evaluate(given)
    assert check(vectors(right, given, result, flags), right).wrong == 0
    other = replace(right, rounding=hs.Stochastic(bits=10, seed=4))
    assert check(vectors(right, given, result, flags), other).wrong > 1000


def test_reports_as_junit():
    right = setting("multiply")
    given = operands("multiply")
    result, flags = replace(right, rounding=hs.Rounding.roundTowardZero).evaluate(given)
    report = check(vectors(right, given, result, flags), right)
    good = check(vectors(right, given, *right.evaluate(given)), right)
    root = ElementTree.fromstring(junit([report, good], [("cut.tv", "line 3: is cut")]))
    failures = root.findall(".//failure")
    assert [case.get("name") for case in root.findall(".//testcase[failure]")] == list(
        dict(report.mistakes.most_common())
    )
    assert failures[0].get("message") == f"{report.mistakes.most_common(1)[0][1]} rows"
    assert root.find(".//error").get("message") == "line 3: is cut"
    assert root.find(".//testcase[@name='all 40000 rows']") is not None


EXTREMA = [known.name for known in SUBJECTS if known.name.startswith(("min", "max"))]


@pytest.mark.parametrize("name", EXTREMA)
def test_every_minimum_and_maximum_is_told_from_every_other(name):
    """Wrong rows alone cannot: a minimum and one of magnitudes give the same where both are wrong."""
    right = setting(name)
    given = [words[::5] for words in operands(name)]
    for other in EXTREMA:
        if other == name:
            continue
        result, flags = replace(right, subject=subject(other)).evaluate(given)
        report = check(vectors(right, given, result, flags), right)
        assert report.wrong > 50
        assert set(report.mistakes) == {f"the result of {other}"}


def sums_near_midpoints(seed: int = 7) -> list[np.ndarray]:
    """Operands of fma whose sums lie so near a midpoint of binary16 that binary32 takes them for it.

    Products are numbers of 22 bits near a midpoint, but not it; the addend is what is missing, but for a bit that is
    2**-5 of the product's last one.
    """
    rng = np.random.default_rng(seed)
    first, second = np.meshgrid(np.arange(1024, 2048), np.arange(1024, 2048))
    product = first * second
    unit = np.where(product < 1 << 21, 1 << 10, 1 << 11)
    missing = unit // 2 - product % unit
    drawn = rng.choice(np.flatnonzero((np.abs(missing) < 60) & (missing != 0)), N)
    a, b = ((0x4C00 - 1024 + grid.ravel()[drawn]).astype(np.uint16) for grid in (first, second))
    addend = (missing.ravel()[drawn] + rng.choice([-1, 1], N) / 32) * 2.0**-12
    c = addend.astype(np.float16)
    assert (c == addend).all()
    return [a, b, hs.to_bits(c)]


def fused_in_binary32(given: list[np.ndarray], rounding: str) -> np.ndarray:
    """What a design gives that multiplies and adds in binary32, as NumPy does, and converts."""
    a, b, c = (hs.from_bits(words).astype(np.float32) for words in given)
    return hs.to_bits(hs.convert(a * b + c, hs.BINARY16, rounding=rounding))  # the product is exact in binary32


@pytest.mark.parametrize("rounding", ["rne", "rna"])
def test_an_fma_through_binary32(rounding):
    right = setting("fma", rounding)
    given = sums_near_midpoints()
    result = fused_in_binary32(given, rounding)
    report = check(vectors(right, given, result, right.evaluate(given)[1]), right, ignore_flags=True)
    assert report.wrong > 100
    assert set(report.mistakes) == {"double rounding, through binary32"}


def test_an_fma_through_binary32_before_a_directed_rounding():
    """There, sums just above numbers of binary16 are taken for these."""
    right = setting("fma", "rup")
    rng = np.random.default_rng(4)
    numbers = (0x6400 + rng.integers(0, 1024, N)).astype(np.uint16)
    given = [numbers, np.full(N, 0x3C00, np.uint16), rng.integers(1, 900, N).astype(np.uint16)]
    result = fused_in_binary32(given, "rup")
    report = check(vectors(right, given, result, right.evaluate(given)[1]), right, ignore_flags=True)
    assert report.wrong > 100
    assert set(report.mistakes) == {"double rounding, through binary32 (to nearest there)"}


@pytest.mark.parametrize("name", ["multiply", "fma", "divide"])
def test_tiny_results_that_lose_their_sign(name):
    right = setting(name)
    given = operands(name)
    given[0][: N // 2] = given[0][: N // 2] & 0x8FFF
    given[-1][: N // 2] = given[-1][: N // 2] & 0x83FF if name == "fma" else given[-1][: N // 2] & 0x3FFF
    flushing = replace(right, environment=replace(hs.RISCV, flush_results=True))
    whole, (result, flags) = right.evaluate(given)[0], flushing.evaluate(given)
    lost = np.where(result != whole, np.uint16(0), result)
    assert (lost != result).sum() > 100
    report = check(vectors(right, given, lost, flags), right)
    assert set(report.mistakes) == {"subnormal results were flushed to +0, whatever their sign"}
    report = check(vectors(right, given, result, flags), right)
    assert set(report.mistakes) == {"subnormal results were flushed to zero"}


OTHER_WORD = "the other neighbour: not what the word drawn for the row gives"
STOCHASTIC = Setting(subject("multiply"), hs.Stochastic(bits=10, seed=3, offset=5), hs.RISCV)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"rounding": hs.Stochastic(bits=10, seed=4)}, {OTHER_WORD}),
        ({"rounding": hs.Stochastic(bits=10, seed=3)}, {OTHER_WORD}),
        ({"rounding": hs.Rounding.roundTowardZero}, {"truncated"}),
        ({"rounding": hs.Rounding.roundTiesToEven}, {"rounded to nearest, ties to even"}),
        ({"environment": replace(hs.RISCV, flush_inputs=True)}, {"subnormal operands were flushed to zero"}),
        ({"environment": replace(hs.RISCV, flush_results=True)}, {"subnormal results were flushed to zero"}),
        ({"environment": replace(hs.RISCV, nan=hs.X86.nan)}, {"wrong NaN (the NaN rule of X86)"}),
        ({"environment": replace(hs.RISCV, tininess=hs.Tininess.beforeRounding)},
         {"tininess before rounding instead of after rounding"}),
    ],
)  # fmt: skip
def test_names_under_stochastic_rounding(change, names):
    """A hypothesis draws the same words as the design, row by row; what only words decide is said to be that."""
    given = operands("multiply")
    result, flags = replace(STOCHASTIC, **change).evaluate(given)
    report = check(vectors(STOCHASTIC, given, result, flags), STOCHASTIC)
    assert report.wrong > 10
    main = {name for name, count in report.mistakes.items() if count > 0.02 * report.mistakes.total()}
    assert main == names


def test_one_row_of_other_words_is_not_named_after_a_direction():
    given = operands("multiply")
    result, flags = STOCHASTIC.evaluate(given)
    below = replace(STOCHASTIC, rounding=hs.Rounding.roundTowardZero).evaluate(given)[0]
    row = int(np.flatnonzero((below != result) & (result & 0x7FFF > 0x400) & (result & 0x7FFF < 0x7C00))[300])
    result[row] = below[row]
    report = check(vectors(STOCHASTIC, given, result, flags), STOCHASTIC)
    assert dict(report.mistakes) == {OTHER_WORD: 1}
    # And the explanation is of the word that this row draws.
    text = text_of(report)
    assert f"line {row + 1}: multiply(" in text
    assert f"result  0x{report.first[0].wanted:04x}" in text


def test_disagreements_are_summed_up_by_bin():
    right = setting("multiply")
    given = operands("multiply")
    result, flags = replace(right, rounding=hs.Rounding.roundTowardZero).evaluate(given)
    want, raised = right.evaluate(given)
    report = check(vectors(right, given, result, flags), right)
    wrong = (result != want) | (flags != raised)
    assert report.bins.total() == report.wrong == wrong.sum()
    in_bins = bins.indices(right.subject, [words[wrong] for words in given], want[wrong], raised[wrong])
    assert dict(report.bins) == dict(zip(*np.unique(in_bins, return_counts=True), strict=True))
    text = text_of(report).splitlines()
    start = text.index("  by what is right, operands -> result (flags):") + 1
    index, count = report.bins.most_common(1)[0]
    assert text[start] == f"  {count:>9,}  {bins.bin_name(right.subject, index)}"
    assert report.to_dict()["bins"][bins.bin_name(right.subject, index)] == count
    rest = len(report.bins) - 10
    assert text[start + 10].endswith(f"  in {rest} other bins; --json lists them")


def test_junit_failures_are_text():
    right = setting("multiply")
    given = operands("multiply")
    result, flags = replace(right, environment=replace(hs.RISCV, nan=hs.X86.nan, flush_results=True)).evaluate(given)
    report = check(vectors(right, given, result, flags), right, limit=1)
    root = ElementTree.fromstring(junit([report]))
    failures = {case.get("name"): case.find("failure") for case in root.findall(".//testcase[failure]")}
    assert len(failures) == 2
    for name, failure in failures.items():
        item = report.examples[name]
        a, b = item.operands
        assert failure.text.startswith(
            f"line {item.line}: multiply(0x{a:04x}, 0x{b:04x}): file 0x{item.got:04x} flags "
        )
        assert f", halfsim 0x{item.wanted:04x} flags " in failure.text
        assert "multiply(a, b), multiplication, binary16" in failure.text
        assert "Disagreement(" not in failure.text
