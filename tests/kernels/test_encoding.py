"""Binary32 numbers taken as patterns of a narrower format, against the general conversion."""

from __future__ import annotations

import numpy as np
import pytest

import halfsim as hs
from halfsim.core.control import control_word
from halfsim.core.fields import layout
from halfsim.formats import Format, Specials
from halfsim.kernels import elementwise
from halfsim.kernels.encoding import exact_patterns
from halfsim.rounding import Rounding

NARROW = Format("all numbers", 8, 4, -6, 8, Specials.none)
FORMATS = [hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3, hs.BINARY16, NARROW]


def general(words, fmt):
    """(patterns, whether the format has the number) by the conversion of the core."""
    patterns, flags = np.empty(words.size, np.uint32), np.empty(words.size, np.uint8)
    control = control_word(Rounding.roundTiesToEven, hs.IEEE)
    elementwise.convert(words, patterns, flags, control, 0, 0, layout(hs.BINARY32), layout(fmt))
    return patterns, flags == 0


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_every_number_of_a_format_is_taken(fmt):
    words = np.arange(1 << fmt.width).astype(np.uint32)
    values, flags = np.empty(words.size, np.uint32), np.empty(words.size, np.uint8)
    control = control_word(Rounding.roundTiesToEven, hs.IEEE)
    elementwise.convert(words, values, flags, control, 0, 0, layout(fmt), layout(hs.BINARY32))
    got = exact_patterns(values, fmt)
    assert got is not None
    nan = np.isnan(values.view(np.float32))
    assert np.array_equal(got[~nan], words[~nan])
    assert (got[nan] & ((1 << (fmt.width - 1)) - 1) > layout(fmt).largest).all()


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_every_other_number_is_refused(fmt):
    """One at a time, so that each is seen: neighbours of the format's numbers, and what lies beyond them."""
    rng = np.random.default_rng(31)
    spacing = 1 << (24 - fmt.precision)
    numbers = rng.integers(0, 1 << (fmt.precision + 8), 2000) * spacing
    words = np.concatenate([numbers, numbers + 1, numbers - 1, numbers + spacing // 2, np.arange(1, 40)])
    words = np.concatenate([words, [0x7F7FFFFF, 0x7F800000, 0x00800000, (layout(fmt).emin + 126) << 23]])
    words = ((words & 0x7FFFFFFF) | rng.integers(0, 2, words.size) << 31).astype(np.uint32)
    words = words[~np.isnan(words.view(np.float32))]
    patterns, exact = general(words, fmt)
    assert exact.any() and not exact.all()
    for word, pattern, has in zip(words, patterns, exact, strict=True):
        got = exact_patterns(np.array([word]), fmt)
        assert (got is not None) == has, hex(word)
        assert got is None or got[0] == pattern, hex(word)


def test_one_wrong_number_among_many_is_found():
    words = np.ones(100_003, np.float32)
    for place in (0, 77, 50_000, 100_002):
        words[place] += np.float32(2.0**-9)
        assert exact_patterns(words.view(np.uint32), hs.BFLOAT16) is None
        words[place] = 1
    assert exact_patterns(words.view(np.uint32), hs.BFLOAT16) is not None
