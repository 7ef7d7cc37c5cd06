from __future__ import annotations

from halfsim.training.accounting import Layer, Network


def test_a_table_of_rows_has_gradients_for_what_a_step_touches() -> None:
    table = Layer(name="softmax", parameters=1000, touched=(100, 30))
    assert [table.gradients(batch) for batch in (1, 30, 31)] == [130, 1000, 1000]
    assert Layer(name="linear", parameters=1000).gradients(1) == 1000


def test_a_network_is_the_sum_of_its_layers() -> None:
    network = Network(
        name="small",
        example="token",
        layers=(
            Layer(name="embedding", parameters=500, activations=5, touched=(0, 5)),
            Layer(name="linear", parameters=60, activations=10),
        ),
        batch=3,
        source="this test",
    )
    assert (network.parameters, network.activations, network.gradients(3)) == (560, 15, 15 + 60)
