"""What the explorer answers is what the Python API says, and what it draws is where it should be."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

import halfsim as hs
from halfsim.explore.bars import Bar, Window, block_bars
from halfsim.explore.catalogue import EXAMPLES, dot_examples
from halfsim.explore.dot import MOST_ROWS, MOST_TERMS, explore_dot
from halfsim.explore.fields import FieldError
from halfsim.explore.operation import explore_operation
from tests.cli.running import invoke
from tests.explore.questions import MODES, dot_products, expected, operations, sums

ADD = {"operation": "add", "operands": ["1", "0x1p-11"], "environment": "IEEE", "bits": "8", "seed": "0"}
# Without exact=True it raises no inexact.
QUIET = ("round_to_integral",)
DOT = {"a": "4096 4096 0.25", "b": "2048 -2048 1", "c": "", "rows": ["a100:f32", "h100:f32"]}


def answers(asked: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(row["result"]["pattern"], row["flags"]) for row in explore_operation(asked)["roundings"]]


def test_operations_are_those_of_the_api() -> None:
    questions = operations(400, seed=3)
    assert len({asked["operation"] for asked in questions}) == 11
    for asked in questions:
        assert answers(asked) == expected(asked), asked


def test_dot_products_are_those_of_the_api() -> None:
    for asked in dot_products(60, seed=4):
        cards = explore_dot(asked)["cards"]
        assert [card["name"] for card in cards] == asked["rows"]
        assert [card["pattern"] for card in cards] == sums(asked), asked


def test_every_worked_example_has_an_answer_of_json() -> None:
    for example in EXAMPLES:
        answer = json.loads(json.dumps(explore_operation(example["asked"]), allow_nan=False))
        patterns = [operand["pattern"] for operand in answer["operands"]]
        assert answers(example["asked"]) == expected({**example["asked"], "operands": patterns})
    for example in dot_examples()[::7]:
        assert json.loads(json.dumps(explore_dot(example["asked"]), allow_nan=False))["cards"]


def test_titles_of_examples_are_true() -> None:
    given = {example["title"]: explore_operation(example["asked"]) for example in EXAMPLES}

    def nearest(start: str) -> dict[str, Any]:
        (title,) = [title for title in given if title.startswith(start)]
        return given[title]["roundings"][0]

    assert all(operand["note"] for operand in given[next(iter(given))]["operands"])
    assert (nearest("1 + 2^-11")["decision"]["guard"], nearest("1 + 2^-11")["result"]["pattern"]) == ("1", "0x3c00")
    assert nearest("1 + a little")["result"]["pattern"] == "0x3c01"
    assert nearest("2048 + 1")["result"]["decimal"] == "2048"
    assert nearest("fma keeps")["result"]["decimal"] not in ("0", "-0")
    assert nearest("65504 + 16")["flags"] == ["inexact", "overflow"]
    assert nearest("just below")["flags"] == ["inexact"]
    assert nearest("the same product")["flags"] == ["inexact", "underflow"]
    assert nearest("1 / 0")["flags"] == ["divideByZero"]
    assert nearest("inf - inf")["result"]["pattern"] == "0xfe00"
    assert nearest("a signaling")["result"]["pattern"] == "0x7f23"
    assert "zero" in given["a subnormal operand, flushed"]["operands"][0]["value"]
    zeros = {row["result"]["pattern"] for row in given["1 - 1: the sign of zero depends on the rounding"]["roundings"]}
    assert zeros == {"0x0000", "0x8000"}


def test_the_command_prints_the_same() -> None:
    for asked in (*operations(6, seed=5), {**ADD, "environment": "FLUSHING"}):
        for row in explore_operation(asked)["roundings"][::3]:
            shown = json.loads(invoke(*row["command"].split()[1:], "--json").stdout)
            assert shown["result"]["pattern"] == row["result"]["pattern"]
            assert shown["flags"] == row["flags"]


def test_the_direction_is_where_the_result_lies() -> None:
    seen = set()
    for asked in operations(120, seed=10):
        for row, step in ((row, row["decision"]) for row in explore_operation(asked)["roundings"]):
            if step is None:
                continue
            assert (step["direction"] == "exact") == ("inexact" not in row["flags"]) or asked["operation"] in QUIET, (
                asked
            )
            seen.add(step["direction"])
    assert seen == {"away from zero", "toward zero", "exact"}
    negative = explore_operation({**ADD, "operands": ["-1", "-0x1p-12"]})["roundings"]
    away = [row["alias"] for row in negative if row["decision"]["direction"] == "away from zero"]
    assert [alias for alias in away if ":" not in alias] == ["rdn", "odd"]


def test_a_flipped_bit_is_that_bit() -> None:
    operand = explore_operation(ADD)["operands"][0]
    assert "".join(bit["digit"] for bit in operand["bits"]) == f"{0x3C00:016b}"
    assert [bit["field"] for bit in operand["bits"]] == ["sign"] + 5 * ["exponent"] + 10 * ["fraction"]
    for bit in operand["bits"]:
        assert int(bit["flipped"], 16) == 0x3C00 ^ 1 << int(bit["place"])
        again = explore_operation({**ADD, "operands": [bit["flipped"], "1"]})["operands"][0]
        pairs = zip(again["bits"], operand["bits"], strict=True)
        assert [one["place"] for one, two in pairs if one["digit"] != two["digit"]] == [bit["place"]]


# ------------------------------------------------------------------------------------------------------ the number line


def line(operation: str, *operands: str, environment: str = "IEEE") -> Any:
    asked = {**ADD, "operation": operation, "operands": list(operands), "environment": environment}
    return explore_operation(asked)["line"]


def test_every_rounding_ends_at_one_tick_in_order() -> None:
    for asked in operations(150, seed=6):
        answer = explore_operation(asked)
        if answer["line"] is None:
            continue
        ticks = answer["line"]["ticks"]
        assert sorted(number for tick in ticks for number in tick["roundings"]) == list(range(len(MODES)))
        assert [tick["x"] for tick in ticks] == sorted({tick["x"] for tick in ticks})
        for tick in ticks:
            for number in tick["roundings"]:
                assert answer["roundings"][number]["result"]["pattern"] in tick["pattern"]


def test_places_are_to_scale() -> None:
    # A quarter ulp above 1; the tie is half way.
    drawn = line("add", "1", "0x1p-12")
    low, high = drawn["ticks"]
    assert (drawn["exact"]["x"] - low["x"]) * 4 == pytest.approx(high["x"] - low["x"])
    assert (drawn["tie"]["x"] - low["x"]) * 2 == pytest.approx(high["x"] - low["x"])
    # Negative numbers lie the other way round.
    drawn = line("subtract", "-1", "0x1p-12")
    low, high = drawn["ticks"]
    assert (high["x"] - drawn["exact"]["x"]) * 4 == pytest.approx(high["x"] - low["x"])
    assert (low["label"], high["label"]) == ("-1.0009765625", "-1")


def test_infinity_stands_where_the_next_number_would() -> None:
    drawn = line("add", "65504", "16")
    assert [tick["label"] for tick in drawn["ticks"]] == ["65504", "inf"]
    assert drawn["exact"]["x"] == drawn["tie"]["x"] == 50
    drawn = line("multiply", "-300", "300")
    assert [tick["label"] for tick in drawn["ticks"]] == ["-inf", "-65504"]
    assert not drawn["to_scale"]
    assert drawn["tie"] is None


def test_exact_results_stand_between_their_neighbours() -> None:
    drawn = line("add", "1", "1")
    assert [tick["label"] for tick in drawn["ticks"]] == ["1.9990234375", "2", "2.001953125"]
    assert drawn["tie"] is None
    assert [tick["label"] for tick in line("add", "65504", "0")["ticks"]] == ["65472", "65504", "inf"]


@pytest.mark.parametrize("power", ["9223372036854775807", "3000000000", "-3000000000", "-9223372036854775808"])
def test_a_number_of_a_billion_digits_is_only_far_away(power: str) -> None:
    drawn = line("scaleb", "1", power)
    assert [tick["label"] for tick in drawn["ticks"]] == (
        ["0", "0x1p-24"] if power.startswith("-") else ["65504", "inf"]
    )
    assert drawn["to_scale"] == power.startswith("-")


def test_numbers_on_a_line_are_written_alike() -> None:
    drawn = line("multiply", "0.1", "0x1p-10")
    assert [tick["label"] for tick in drawn["ticks"]] == ["0x1.994p-14", "0x1.998p-14", "0x1.99cp-14"]
    assert [tick["label"] for tick in line("add", "0x0001", "0")["ticks"]] == ["0", "0x1p-24", "0x1p-23"]


def test_flushed_results_have_no_tie() -> None:
    # Directed roundings reach the smallest normal number, the others are flushed to zero.
    drawn = line("multiply", "0x3bfe", "0x0401", environment="FLUSHING")
    assert [tick["pattern"] for tick in drawn["ticks"]] == ["0x0000", "0x0400"]
    assert drawn["tie"] is None


@pytest.mark.parametrize("asked", [("divide", "1", "0"), ("add", "nan", "1"), ("less", "1", "2")])
def test_there_is_no_line_without_a_finite_result(asked: tuple[str, ...]) -> None:
    assert line(*asked) is None


# ----------------------------------------------------------------------------------------------------------------- bars


def test_a_bar_shows_its_digits_where_they_weigh() -> None:
    bar = Bar("x", Fraction(0b1011, 8), -1, Fraction(3, 8))
    window = Window([bar, Bar("y", Fraction(1, 64), None, None)])
    assert (window.high, window.low) == (0, -6)
    drawn = window.drawn(bar)
    width = 100 / 7
    kinds = ["one kept", "zero kept", "one lost"]
    assert [run["kind"] for run in drawn["runs"]] == kinds
    assert [run["x"] for run in drawn["runs"]] == pytest.approx([0, width, 2 * width], abs=0.002)
    assert [run["width"] for run in drawn["runs"]] == pytest.approx([width, width, 2 * width], abs=0.002)
    assert drawn["cut"] == pytest.approx(2 * width, abs=0.002)


def test_zeros_at_the_end_are_neither_kept_nor_lost() -> None:
    bar = Bar("x", Fraction(2), 0, None, end=-1)
    assert [run["kind"] for run in Window([bar]).drawn(bar)["runs"]] == ["one kept", "end"]


def test_digits_that_are_cut_are_what_is_lost() -> None:
    """Of a term cut toward zero, the digits drawn as lost add up to what the record says."""
    a, b = hs.from_bits([0x6C00, 0x3FFF, 0x3555, 0xB4CD]), hs.from_bits([0x6800, 0x3FFF, 0x2E66, 0x1419])
    bars = block_bars(hs.explain_dot(a, b, accumulator="v100:f32").blocks[0], aligned=True)
    window = Window(bars)
    width = 100 / (window.high - window.low + 1)
    seen = 0
    for bar in bars[1:-1]:
        lost = Fraction(0)
        for run in window.drawn(bar)["runs"]:
            if run["kind"] == "one lost":
                first, count = round(run["x"] / width), round(run["width"] / width)
                lost += sum(Fraction(2) ** (window.high - place) for place in range(first, first + count))
        assert lost == abs(bar.lost or 0), bar.name
        seen += lost > 0
    assert seen == 3


def test_many_zeros_share_a_bar() -> None:
    answer = explore_dot({"a": "1 0 0 0 0 1", "b": "1 1 1 1 1 1", "c": "", "rows": ["h100:f32"]})
    names = [bar["name"] for bar in answer["cards"][0]["groups"][0]["bars"]]
    assert names == ["c", "a[0]*b[0]", "a[1]*b[1] to a[4]*b[4]", "a[5]*b[5]", "sum"]


def test_what_is_not_drawn_is_counted() -> None:
    ones = " ".join(["1"] * 64)
    cards = explore_dot({"a": ones, "b": ones, "c": "", "rows": ["v100:f32", "fp32"]})["cards"]
    assert [card["more"] for card in cards] == ["12 more blocks", "40 more operations"]
    assert [len(card["groups"]) for card in cards] == [4, 1]


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"operation": "nonsense"}, "operation", "unknown operation 'nonsense'; known are add"),
        ({"operation": 3}, "operation", "send text"),
        ({"environment": "__class__"}, "environment", "unknown environment"),
        ({"operands": ["1"]}, "operands", "add takes 2 operand(s), not 1"),
        ({"operands": "12"}, "operands", "no list of texts"),
        ({"operands": ["1", None]}, "operands", "no list of texts"),
        ({"operands": ["1"] * 4}, "operands", "send at most 3"),
        ({"operands": ["1", "two"]}, "b", "operand b: 'two' is not a bit pattern"),
        ({"operands": ["0x12345", "1"]}, "a", "wider than the 16 bits"),
        ({"operands": ["nan(0x0)", "1"]}, "a", "no such fraction field"),
        ({"operands": ["1" * 1001, "1"]}, "a", "write at most 1000"),
        ({"bits": "0"}, "bits", "integer from 1 to 32"),
        ({"bits": "x"}, "bits", "no whole number"),
        ({"seed": str(1 << 64)}, "seed", "integer from 0 to"),
        ({"seed": "9" * 5000}, "seed", "no whole number"),
        ({"operation": "scaleb", "operands": ["1", "1.5"]}, "b", "is not an integer"),
        ({"operation": "scaleb", "operands": ["1", "1_0"]}, "b", "is not an integer"),
    ],
)
def test_errors_of_an_operation_name_their_field(change: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(FieldError) as caught:
        explore_operation(ADD | change)
    assert caught.value.field == field
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"a": ""}, "a", "a has 0 numbers; write 1 to 64"),
        ({"a": "1 " * (MOST_TERMS + 1)}, "a", "a has 65 numbers"),
        ({"b": "1"}, "b", "a has 3 numbers and b has 1"),
        ({"a": "1 x 3"}, "a", "operand a[1]: 'x' is not"),
        ({"c": "x"}, "c", "operand c"),
        ({"rows": []}, "rows", "no accumulator is chosen"),
        ({"rows": ["fp32"] * (MOST_ROWS + 1)}, "rows", "send at most 8"),
        ({"rows": ["h100:f32", "h100:f32:e4m3"]}, "rows", "equal factors"),
        ({"rows": ["h999:f32"]}, "rows", "unknown GPU 'h999'"),
        ({"rows": ["x" * 10000]}, "rows", "accumulator="),
    ],
)
def test_errors_of_a_dot_product_name_their_field(change: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(FieldError) as caught:
        explore_dot(DOT | change)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_numbers_that_are_rounded_are_said_to_be() -> None:
    operands = explore_operation({**ADD, "operands": ["0.1", "1"]})["operands"]
    assert "a = 0.1 is not a binary16 number" in operands[0]["note"]
    assert operands[1]["note"] == ""
    assert "a[1] = 0.1 is not" in explore_dot({**DOT, "a": "1 0.1 1"})["notes"][0]
