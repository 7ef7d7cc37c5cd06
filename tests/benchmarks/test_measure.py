"""Ratios, roofs, memory and wrong answers of made-up contenders, on a clock that only they move."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.benchmarks import Case, Contender, Result, Row, Sizes, document, measure, missed, table
from halfsim.benchmarks.measure import differing
from halfsim.benchmarks.rows import OURS
from halfsim.benchmarks.timing import interleave, quartiles

SIZES = Sizes(1000, 16)


class Clock:
    """Seconds that pass only when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float, value: Any = None) -> Callable[[], Any]:
        turns = iter(seconds)

        def call() -> Any:
            self.now += next(turns, seconds[-1])
            self.order.append(name)
            return value

        return call


VALUES = np.array([1.0, -0.0, np.nan, np.inf], np.float16)


def row(clock: Clock, *peers: Contender, work: int = 10, by_bytes: bool = True) -> Row:
    ours = Contender(OURS, clock.work(OURS, 1.0, value=VALUES), work, 60, answer=lambda made: made)
    roof = Contender("roof", clock.work("roof", 0.5), 20, 80)
    case = Case(ours, [roof, *peers], 1000, "roof", by_bytes)
    return Row("family", "name", "elements", lambda _: case, {"peer": (4.0, 7.0)})


def measured(clock: Clock, *peers: Contender, **keywords: Any) -> Result:
    return measure(row(clock, *peers, **keywords), SIZES, rounds=3, clock=clock)


def test_ratios_compare_work_and_not_calls() -> None:
    clock = Clock()
    result = measured(clock, Contender("peer", clock.work("peer", 3.0), 5))
    roof, peer = result.against
    assert result.rate == pytest.approx(10.0)
    assert peer.ratio == pytest.approx((3.0 / 5) / (1.0 / 10)) == pytest.approx(6.0)
    assert (peer.low, peer.high) == (pytest.approx(6.0), pytest.approx(6.0))
    assert peer.seconds == pytest.approx(0.6)
    assert (peer.floor, peer.goal, peer.verdict) == (4.0, 7.0, "floor")
    assert roof.ratio == pytest.approx(0.25)
    assert (roof.floor, roof.verdict) == (None, "")


def test_the_roof_is_bytes_or_work_per_second() -> None:
    clock = Clock()
    assert measured(clock).roof == pytest.approx((60 / 1.0) / (80 / 0.5))
    assert measured(clock, by_bytes=False).roof == pytest.approx((10 / 1.0) / (20 / 0.5))
    assert measured(clock).intensity == pytest.approx(10 / 60)


@pytest.mark.parametrize(("seconds", "verdict"), [(1.9, "below"), (2.1, "floor"), (3.6, "goal")])
def test_verdicts(seconds: float, verdict: str) -> None:
    clock = Clock()
    result = measured(clock, Contender("peer", clock.work("peer", seconds), 5))
    assert result.against[1].verdict == verdict
    lines = missed([result])
    assert bool(lines) == (verdict == "below")
    assert all(line == "family, name: 3.8 x peer, not 4" for line in lines)


def test_everybody_works_in_turn_and_fills_a_slice() -> None:
    clock = Clock()
    times = interleave({"a": clock.work("a", 9.0, 0.25), "b": clock.work("b", 9.0, 2.0)}, 2, 1.0, clock)
    # Once untimed, once to see how long it takes, then four of a's calls to a slice.
    assert clock.order == [*"aabb", *"aaaab" * 2]
    assert times == {"a": [0.25, 0.25], "b": [2.0, 2.0]}


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    clock = Clock()
    # The untimed call, the one that is counted, and three rounds, one of them disturbed.
    result = measured(clock, Contender("peer", clock.work("peer", 5.0, 5.0, 5.0, 50.0, 6.0), 10))
    assert result.against[1].ratio == pytest.approx(6.0)
    assert result.against[1].high > 20
    assert quartiles([2.0]) == (2.0, 2.0, 2.0)


def test_wrong_answers_are_counted() -> None:
    clock = Clock()
    wrong = np.array([1.0, 0.0, np.nan, -np.inf], np.float16)
    peers = [
        Contender("peer", clock.work("peer", 1.0, value=wrong), 10, answer=lambda made: made),
        Contender(
            "half", clock.work("half", 1.0, value=VALUES[:2].copy()), 10, answer=lambda made: made, part=np.s_[:2]
        ),
        Contender("other", clock.work("other", 1.0, value=wrong), 10, note="rounds twice"),
    ]
    result = measured(clock, *peers)
    assert [(a.compared, a.differ) for a in result.against] == [(0, 0), (4, 2), (2, 0), (0, 0)]
    shown = table([result])
    assert "differs in 2 of 4" in shown
    assert "rounds twice" in shown
    assert shown.count("same answers") == 1


def test_differing() -> None:
    assert differing(VALUES, VALUES) == 0
    assert differing(VALUES, np.array([1.0, -0.0, 5.0, np.inf], np.float16)) == 1
    assert differing(VALUES, np.array([np.nan, -0.0, np.nan, np.inf], np.float16)) == 1
    truth = np.array([True, False])
    assert (differing(truth, truth), differing(truth, ~truth)) == (0, 2)
    with pytest.raises(ValueError, match=r"float32 \(4,\) is no answer like float16 \(4,\)"):
        differing(VALUES, VALUES.astype(np.float32))


def test_memory_is_what_a_call_takes_beyond_its_result() -> None:
    operand = np.ones(100_000, np.float32)

    def call() -> Any:
        first = operand + 1
        second = first * 2
        return (first + second).astype(np.float16)

    ours = Contender(OURS, call, operand.size, 1, answer=lambda made: made)
    copy = Contender("copy", lambda: operand.copy(), operand.size, 1)
    case = Case(ours, [copy], operand.nbytes, "copy", by_bytes=True)
    result = measure(Row("f", "n", "elements", lambda _: case), SIZES, rounds=1, slice_s=1e-6)
    assert result.memory == pytest.approx(3, abs=0.1)
    assert missed([result]) == [f"f, n: takes {result.memory:.2f} x its operands, not 1.0"]
    assert missed([replace(result, family="growth with K")]) == []
    small = Case(ours, [copy], 100, "copy", by_bytes=True)
    assert measure(Row("f", "n", "elements", lambda _: small), SIZES, rounds=1, slice_s=1e-6).memory is None


def test_one_thread_while_measuring_and_as_many_as_before_afterwards() -> None:
    seen = []
    ours = Contender(OURS, lambda: seen.append(hs.get_num_threads()), 1, 1, answer=lambda _: VALUES)
    case = Case(ours, [Contender("roof", lambda: None, 1, 1)], 1, "roof", by_bytes=True)
    before = hs.get_num_threads()
    try:
        hs.set_num_threads(2)
        measure(Row("f", "n", "elements", lambda _: case), SIZES, rounds=1, slice_s=1e-6)
        assert (set(seen), hs.get_num_threads()) == ({1}, 2)
    finally:
        hs.set_num_threads(before)


def test_the_document_is_json_with_the_machine_and_every_figure() -> None:
    clock = Clock()
    result = measured(clock, Contender("peer", clock.work("peer", 3.0), 5))
    read = json.loads(json.dumps(document([result], SIZES, 3)))
    assert (read["schema"], read["rounds"], read["sizes"]) == (1, 3, {"elements": 1000, "order": 16})
    assert {"processor", "python", "numpy", "halfsim"} <= read["machine"].keys()
    assert read["rows"][0]["against"][1]["ratio"] == pytest.approx(6.0)
    assert read["rows"][0]["against"][1]["verdict"] == "floor"


def test_the_limit_has_a_line_only_where_a_ratio_to_it_is_aimed_at() -> None:
    clock = Clock()
    assert table([measured(clock)]).count("roof") == 2  # the head, and the only peer
    assert table([measured(clock, Contender("peer", clock.work("peer", 1.0), 5))]).count("roof") == 1
