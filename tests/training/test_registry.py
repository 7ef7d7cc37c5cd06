from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from halfsim.training.models import MODELS, Perceptron
from halfsim.training.registry import check_number, row_of
from halfsim.training.tasks import TASKS, Classification


def test_a_table_becomes_a_row() -> None:
    row = row_of(MODELS, {"name": "perceptron", "sizes": [64, 32, 10], "bias": -3})
    assert row == Perceptron(sizes=(64, 32, 10), bias=-3.0)
    assert isinstance(row.bias, float)
    assert hash(row) == hash(Perceptron(sizes=(64, 32, 10), bias=-3.0))
    assert row_of(TASKS, {"name": "classification", "dataset": "digits"}) == Classification(dataset="digits")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "name=None is unknown; known are perceptron, convnet"),
        ({"name": "preceptron"}, r"name='preceptron' is unknown \(did you mean 'perceptron'\?\)"),
        (
            {"name": "perceptron", "size": [1, 2]},
            r"perceptron has no 'size' \(did you mean 'sizes'\?\); it has sizes, head",
        ),
        ({"name": "perceptron"}, "perceptron lacks sizes"),
        ({"name": "lstm", "vocabulary": 9}, "lstm lacks embedding, hidden"),
        ({"name": "perceptron", "sizes": "big"}, "Perceptron: sizes='big' must be a tuple of at least 2 integers"),
        ({"name": "perceptron", "sizes": [64, 10.5]}, "Perceptron: sizes=10.5 must be an integer from 1"),
        ({"name": "perceptron", "sizes": [64, 10], "head": "x"}, "Perceptron: head='x' must be a number"),
        ({"name": "perceptron", "sizes": [64, 10], "head": float("nan")}, "Perceptron: head=nan must be a number"),
        ({"name": "convnet", "image": [30, 28, 1]}, r"ConvNet: image=\(30, 28, 1\) must be"),
        ({"name": "batch-norm-net", "kernels": [5, 4]}, r"BatchNormNet: kernels=\(5, 4\) must be 2 odd numbers"),
        ({"name": "heat-map-net", "kernels": [5]}, r"HeatMapNet: kernels=\(5,\) must be 3 odd numbers"),
        ({"name": "heat-map-net", "image": [31, 32, 1]}, "with even sides"),
        ({"name": "adversaries", "slope": 2}, "slope=2 must be a number from 0 to 1"),
    ],
)
def test_tables_that_describe_no_network_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row_of(MODELS, table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "classificator"}, r"did you mean 'classification'\?"),
        (
            {"name": "classification", "dataset": "imagenet"},
            "Classification: dataset='imagenet' is unknown; known are d",
        ),
        ({"name": "classification", "dataset": "digit"}, r"\(did you mean 'digits'\?\)"),
        ({"name": "classification", "dataset": "digits", "order": "sort"}, "order='sort' is unknown"),
        ({"name": "classification", "dataset": "digits", "train": -1}, "train=-1 must be an integer from 0"),
        ({"name": "canvases", "noise": -0.1}, "noise=-0.1 must be a number from 0 to 1"),
        ({"name": "language", "train": 20}, "train=20 must be an integer from 33"),
        ({"name": "language", "vocabulary": 1}, "vocabulary=1 must be an integer from 2"),
        ({"name": "adversarial", "components": 65}, "components=65 must be at most 64"),
        ({"name": "heat-map", "train": True}, "train=True must be an integer"),
    ],
)
def test_tables_that_describe_no_task_are_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row_of(TASKS, table)


def test_rows_hold_numbers_texts_and_tuples_only() -> None:
    # So that they go into configuration files and into the name of a run.
    for registry in (MODELS, TASKS):
        for kind in registry.values():
            for field in fields(kind):
                assert field.type in {"int", "float", "str", "tuple[int, ...]", "tuple[int, int, int]"}, (kind, field)


def test_an_infinite_number_is_no_number() -> None:
    @dataclass(frozen=True)
    class Row:
        x: float

    with pytest.raises(ValueError, match="Row: x=inf must be a number from -1e"):
        check_number(Row(float("inf")), "x")
