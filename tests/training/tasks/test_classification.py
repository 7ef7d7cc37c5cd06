from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from halfsim.training.data import digits, fashion_folder
from halfsim.training.data import fashion as fashion_module
from halfsim.training.models import BatchNormNet, ConvNet, Model, Perceptron
from halfsim.training.tasks import Classification
from tests.training.data.test_fashion import fill
from tests.training.philox import philox64
from tests.training.tasks.runs import descend, start, tapes, variables

DIGITS = Classification(dataset="digits")


def test_batches_visit_every_example_once_per_epoch() -> None:
    data = digits()
    stream = DIGITS.batches(3, 100)
    seen = np.concatenate([stream.next()[0] for _ in range(14)])
    assert sorted(map(bytes, seen)) == sorted(map(bytes, data.train[0]))
    assert np.array_equal(DIGITS.batches(3, 100).next()[0], seen[:100])
    assert not np.array_equal(DIGITS.batches(4, 100).next()[0], seen[:100])


def test_batches_are_made_from_words_alone() -> None:
    words = philox64((3, 1), 1400)
    order = sorted(range(1400), key=words.__getitem__)
    assert np.array_equal(DIGITS.batches(3, 20).next()[0], digits().train[0][order[:20]])


def test_the_order_of_batches_is_fixed() -> None:
    # Of three epochs of 11 batches of 120, as halfsim 0.1.0 made them.
    stream, digest = DIGITS.batches(5, 120), hashlib.sha256()
    for _ in range(33):
        for array in stream.next():
            digest.update(array.tobytes())
    assert digest.hexdigest()[:16] == "747e496ab31a61e9"


def test_a_full_batch_is_all_of_the_training_data() -> None:
    for order in ("shuffled", "sorted"):
        x, y = Classification(dataset="digits", order=order).batches(0, "full").next()
        assert sorted(map(bytes, x)) == sorted(map(bytes, digits().train[0]))
        assert (sorted(y) == y.tolist()) == (order == "sorted")


def test_measures_of_perfect_and_of_empty_answers() -> None:
    def answers(logits: np.ndarray) -> dict[str, float]:
        return DIGITS.evaluate(lambda tape, parameters, x: tape.constant(np.float32(logits)), {}, tapes("binary32"))

    labels = digits().test[1]
    assert answers(np.eye(10)[labels] * 100) == {"loss": pytest.approx(0), "accuracy": 1.0}
    assert answers(np.zeros((397, 10)))["loss"] == pytest.approx(np.log(10))
    wrong = np.eye(10)[(labels + 1) % 10] * 30
    assert answers(wrong) == {"loss": pytest.approx(30), "accuracy": 0.0}
    half = np.where(np.arange(397)[:, None] < 100, np.eye(10)[labels] * 30, wrong)
    assert answers(half)["accuracy"] == 100 / 397


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
@pytest.mark.parametrize(
    "model", [Perceptron(sizes=(64, 16, 10)), ConvNet(image=(8, 8, 1)), BatchNormNet(image=(8, 8, 1))]
)
def test_networks_learn(model: Model, policy: str) -> None:
    measures, losses, _ = descend(DIGITS, model, policy, rate=0.5, steps=12, batch=64)
    assert losses[""][-1] < 0.7 * losses[""][0]
    assert measures[1]["loss"] < measures[0]["loss"]
    assert measures[1]["accuracy"] > measures[0]["accuracy"] + 0.1


def test_the_loss_on_the_tape_is_the_measure() -> None:
    # On the test data themselves, in binary32.
    model, factory = Perceptron(sizes=(64, 16, 10)), tapes("binary32")
    tape = factory()
    parameters = variables(start(model), tape.machine)
    loss = DIGITS.loss(tape, model, parameters, digits().test, "")
    assert float(loss.value) == pytest.approx(DIGITS.evaluate(model, parameters, factory)["loss"], rel=1e-5)


def test_fashion_mnist_is_preferred_where_the_system_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    monkeypatch.setenv("HALFSIM_DATA", str(tmp_path))
    task = Classification(dataset="digits-or-fashion", train=12, test=5)
    assert task.data.name == "fashion-mnist"
    assert task.data.notice == ""
    assert task.image == (28, 28, 1)
    assert Classification(dataset="fashion-mnist", train=12, test=5, pool=2).image == (14, 14, 1)


def test_digits_that_stand_in_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HALFSIM_DATA", raising=False)
    monkeypatch.setattr(fashion_module, "_DEBIAN", tmp_path)
    task = Classification(dataset="digits-or-fashion", train=8000, test=100, pool=2)
    with pytest.warns(
        UserWarning, match="Fashion-MNIST is not here: digits, enlarged to 28 × 28 pixels, stand in for it"
    ):
        data = task.data
    assert (data.name, data.file, data.sha256) == ("digits, enlarged", "digits.csv.gz", digits().sha256)
    assert data.notice.startswith("Fashion-MNIST is not here")
    # The shape, and so the lengths of sums, are those of what they stand in for.
    assert data.train[0].shape == (8000, 196)
    assert data.test[0].shape == (100, 196)
    with pytest.warns(UserWarning, match="stand in"):
        assert Classification(dataset="digits-or-fashion").image == (28, 28, 1)
    with pytest.raises(FileNotFoundError, match=r"install Debian's package dataset-fashion-mnist, or set HALFSIM_DATA"):
        _ = Classification(dataset="fashion-mnist").data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DIGITS.data.notice == ""


def test_a_convolutional_network_runs_on_fashion_mnist() -> None:
    if fashion_folder() is None:
        pytest.skip("Fashion-MNIST is not here: install Debian's dataset-fashion-mnist, or set HALFSIM_DATA")
    task = Classification(dataset="fashion-mnist", train=64, test=64)
    measures, losses, _ = descend(task, ConvNet(image=task.image), "mixed", rate=0.5, steps=6, batch=64)
    assert losses[""][-1] < losses[""][0]
    assert measures[1]["accuracy"] > measures[0]["accuracy"]
