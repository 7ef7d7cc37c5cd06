from __future__ import annotations

import pytest

from halfsim.training.words import Words
from tests.training.philox import philox64


@pytest.mark.parametrize("key", [(9, 2), (2**64 - 1, 0), (0, 2**63)])
def test_words_are_philox_keyed_by_seed_and_purpose(key: tuple[int, int]) -> None:
    words = philox64(key, 50)
    assert Words(*key).raw(50).tolist() == words
    assert Words(*key).uniform(50).tolist() == [(word >> 11) / 2**53 for word in words]
    assert Words(*key).integers(10, 50).tolist() == [(word >> 32) * 10 // 2**32 for word in words]
    assert Words(*key).permutation(50).tolist() == sorted(range(50), key=words.__getitem__)


@pytest.mark.parametrize("skip", range(10))
def test_words_can_start_anywhere(skip: int) -> None:
    later = Words(9, 2, skip=skip)
    assert [*later.raw(3).tolist(), *later.raw(5).tolist()] == philox64((9, 2), skip + 8)[skip:]
