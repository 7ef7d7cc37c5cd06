"""Zones are what rounding cannot tell apart, checked with exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import halfsim as hs
from halfsim.rounding import as_rounding
from halfsim.testvectors.bins import CLASSES, classify
from halfsim.testvectors.zones import Zone, rounded
from tests.oracles import rational

N, D = Fraction(1, 2**14), Fraction(1, 2**24)
# Open intervals, and the single places and lower ends that count among them.
BETWEEN = {
    Zone.far_below_smallest: [(Fraction(0), D / 2)],
    Zone.below_smallest: [(D / 2, D)],
    Zone.between_subnormals: [(D, 2 * D), (511 * D, 512 * D), (1022 * D, 1023 * D)],
    Zone.far_below_normal: [(N - D, N - D / 2)],
    Zone.tiny_below_normal: [(N - D / 2, N - D / 4)],
    Zone.near_below_normal: [(N - D / 4, N)],
    Zone.between_normals: [(N, N + D), (Fraction(1), 1 + Fraction(1, 1024)), (Fraction(65472), Fraction(65504))],
    Zone.below_halfway: [(Fraction(65504), Fraction(65520))],
    Zone.above_halfway: [(Fraction(65520), Fraction(65536))],
    Zone.beyond: [(Fraction(65536), Fraction(65568)), (Fraction(2**20), Fraction(2**40))],
}
AT = {
    Zone.tie_below_smallest: [D / 2],
    Zone.tie_below_normal: [N - D / 2],
    Zone.near_below_normal: [N - D / 4],
    Zone.subnormal: [D, 2 * D, 1023 * D],
    Zone.normal: [N, N + D, Fraction(1), Fraction(65504)],
    Zone.above_halfway: [Fraction(65520)],
    Zone.beyond: [Fraction(65536)],
}
INSIDE = [Fraction(part, 64) for part in (1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63)] + [Fraction(1, 2**30)]


def places(zone):
    inside = [low + (high - low) * part for low, high in BETWEEN.get(zone, []) for part in INSIDE]
    return AT.get(zone, []) + inside


@pytest.mark.parametrize("zone", [zone for zone in Zone if zone != Zone.zero], ids=lambda zone: zone.name)
@pytest.mark.parametrize("mode", rational.MODES)
def test_every_place_of_a_zone_rounds_alike(zone, mode):
    for tininess in hs.Tininess:
        for sign in (0, 1):
            result, flags = rounded(zone, sign, as_rounding(mode), tininess)
            for value in places(zone):
                word, raised = rational.round_ratio(
                    sign, value.numerator, value.denominator, mode=mode, tininess=tininess.name.removesuffix("Rounding")
                )
                got = CLASSES[int(classify(np.array([word], np.uint16), "f16")[0])]
                assert (got, raised) == (CLASSES[result], flags), (value, tininess)
