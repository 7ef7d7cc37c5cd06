from __future__ import annotations

import pytest

from halfsim.studies.tables.memory import ROWS, bytes_of_a_parameter, layers, nearly_half, paper_models
from halfsim.training.accounting import PAPER, STATES


def test_bytes_of_a_parameter_are_those_of_the_hand_table() -> None:
    found = {row["policy"]: (row["Adam"], row["momentum"], row["SGD"]) for row in bytes_of_a_parameter()}
    assert found == {
        "binary32": (16, 12, 8),
        "mixed": (16, 12, 8),
        "mixed, binary32 gradients": (18, 14, 10),
        "binary16-stochastic": (12, 8, 4),
        "binary16-kahan": (14, 10, 6),
        "binary16-pure, binary16 states": (8, 6, 4),
    }


def test_every_model_has_every_policy_and_batch_and_adds_up() -> None:
    rows = paper_models(batches=(1, 8))
    assert len(rows) == len(PAPER) * 3 * len(ROWS)
    for row in rows:
        parts = ("weights", "copies", "gradients", "optimizer", "activations")
        assert row["total"] == sum(row[part] for part in parts)
        assert (row["ratio"] == 1) == (row["policy"] == "binary32")
    one = next(row for row in rows if (row["model"], row["policy"], row["batch"]) == ("VGG-D", "mixed", 8))
    # 2 + 4 bytes of weight, 2 of gradient, 4 of momentum; 8 images of 15,238,608 numbers of 2 bytes.
    assert one["total"] == 138_357_544 * 12 + 8 * 15_238_608 * 2


def test_nearly_half_needs_activations_that_outweigh_parameters() -> None:
    rows = {row["model"]: row for row in nearly_half()}
    assert rows["ResNet-50"]["batch"] < rows["VGG-D"]["batch"] <= rows["AlexNet"]["batch"]
    assert rows["ResNet-50"]["usual"] < 0.51 and rows["VGG-D"]["usual"] < 0.55
    assert all(rows[name]["at_1"] > 0.85 for name in rows)
    # Gradients of its tables are sparse in both; the binary16 copies of the weights come on top.
    assert rows["bigLSTM"]["at_1"] > 1.2 and rows["bigLSTM"]["usual"] > 1.1


def test_the_batch_is_the_smallest_power_of_two() -> None:
    for row in nearly_half(share=0.7):
        ratios = {
            found["batch"]: found["ratio"]
            for found in paper_models(batches=(row["batch"] // 2, row["batch"]))
            if (found["model"], found["policy"]) == (row["model"], "mixed")
        }
        assert ratios[row["batch"]] <= 0.7 < ratios[row["batch"] // 2]


def test_no_batch_makes_less_than_half() -> None:
    assert {row["batch"] for row in nearly_half(share=0.49)} == {None}


def test_layers_end_with_their_sum() -> None:
    for network in PAPER:
        *rows, total = layers(network.name)
        assert total["parameters"] == sum(row["parameters"] for row in rows) == network.parameters
        assert total["activations"] == sum(row["activations"] for row in rows) == network.activations


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="optimizer='LAMB' is unknown; known are SGD"):
        paper_models(optimizer="LAMB")
    with pytest.raises(ValueError, match="network='GPT' is unknown; known are AlexNet"):
        layers("GPT")
    assert set(STATES) == {"SGD", "momentum", "Adagrad", "Adam"}
