from __future__ import annotations

import json

import numpy as np
import pytest

from halfsim.training.tasks.streams import Examples, Order
from tests.training.philox import philox64


def test_epochs_are_permutations_made_from_words_alone() -> None:
    words = philox64((3, 1), 30)
    order = Order(10, 3, seed=3)
    for epoch in range(3):
        own = words[10 * epoch : 10 * epoch + 10]
        expected = sorted(range(10), key=own.__getitem__)
        assert np.concatenate([order.next() for _ in range(3)]).tolist() == expected[:9]


@pytest.mark.parametrize("size", [1, 4, 10, "full"])
def test_an_order_goes_on_where_its_state_was_taken(size: int) -> None:
    whole = Order(10, size, seed=7)
    for taken in range(25):
        # As it comes back from a file.
        state = json.loads(json.dumps(whole.state()))
        again = Order(10, size, seed=7)
        again.restore(state)
        assert again.state() == whole.state()
        following = [again.next() for _ in range(12)]
        other = Order(10, size, seed=7)
        for _ in range(taken):
            other.next()
        assert all(np.array_equal(a, other.next()) for a in following)
        whole.next()


@pytest.mark.parametrize("size", [0, 11, -1])
def test_a_batch_is_no_larger_than_the_data(size: int) -> None:
    with pytest.raises(ValueError, match=f"batches: size={size} must be from 1 to the 10 training examples, or 'full'"):
        Order(10, size, seed=0)


@pytest.mark.parametrize("state", [{"epoch": 0, "start": 4}, {"epoch": -1, "start": 0}, {"epoch": 0, "start": 12}])
def test_states_of_other_batches_are_refused(state: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is none of batches of 3 out of 10 examples"):
        Order(10, 3, seed=0).restore(state)


def test_sorted_batches_hold_the_same_examples_by_label() -> None:
    x = np.arange(40)
    y = np.arange(40) % 3
    shuffled, by_label = Examples(x, y, 8, seed=2), Examples(x, y, 8, seed=2, sort=True)
    for _ in range(7):
        (a, labels), (b, in_order) = shuffled.next(), by_label.next()
        assert in_order.tolist() == sorted(labels)
        # Equal labels stay as they come.
        assert b.tolist() == [i for label in range(3) for i in a.tolist() if i % 3 == label]
        assert a.tolist() != b.tolist()
    assert by_label.state() == shuffled.state()
