"""Recurrent layers and cells in plain numbers, and the order of their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.reference.evaluate import float64_outputs
from gradcheck.reference.nn.recurrent import _Sizes
from gradcheck.reference.registry import reference_named


def given(name: str, **arguments: Any) -> dict[str, np.ndarray]:
    """The outputs for cotangents of ones; lists become arrays."""
    entry = reference_named(name)
    arrays = {n: np.array(v) if n in entry.arrays and v is not None else v for n, v in arguments.items()}
    return float64_outputs(entry, arrays, lambda output, shape: np.ones(shape))


SUMMING = {"x": [[1.0], [2.0], [3.0]], "hidden_size": 1, "bias": False, "nonlinearity": "relu"}
"""With weights of 1 every state is the sum of what came before."""


def test_a_sum_along_time() -> None:
    outputs = given("nn.RNN", weights=[1.0, 1.0], **SUMMING)
    assert outputs["value"].tolist() == [[1.0], [3.0], [6.0]]
    assert outputs["h_n"].tolist() == [[6.0]]
    # Every state counts x_t from t on, and h_n once more.
    assert outputs["grad[x]"].tolist() == [[4.0], [3.0], [2.0]]
    # Of weight_ih: Σ x_t·dx_t; of weight_hh: the states before times the same.
    assert outputs["grad[weights]"].tolist() == [4.0 + 6.0 + 6.0, 3.0 * 1.0 + 2.0 * 3.0]


def test_both_directions() -> None:
    outputs = given("nn.RNN", weights=[1.0] * 4, bidirectional=True, **SUMMING)
    assert outputs["value"].tolist() == [[1.0, 6.0], [3.0, 5.0], [6.0, 3.0]]
    assert outputs["h_n"].tolist() == [[6.0], [6.0]]


def test_two_layers() -> None:
    outputs = given("nn.RNN", weights=[1.0] * 4, num_layers=2, **SUMMING)
    assert outputs["value"].tolist() == [[1.0], [4.0], [10.0]]
    assert outputs["h_n"].tolist() == [[6.0], [10.0]]


def test_batch_first_is_the_same_with_dimensions_swapped() -> None:
    x = np.arange(12.0).reshape(3, 2, 2) / 8.0
    options = {"weights": [0.25, -0.5, 0.5], "hidden_size": 1, "bias": False}
    plain, swapped = given("nn.RNN", x=x, **options), given("nn.RNN", x=x.swapaxes(0, 1), batch_first=True, **options)
    assert np.array_equal(plain["value"].swapaxes(0, 1), swapped["value"])
    assert np.array_equal(plain["h_n"], swapped["h_n"])
    assert np.array_equal(plain["grad[x]"].swapaxes(0, 1), swapped["grad[x]"])


def test_an_lstm_without_weights_halves_its_state() -> None:
    outputs = given("nn.LSTM", x=[[1.0]] * 3, weights=[0.0] * 8, h_0=[[5.0]], c_0=[[1.0]], hidden_size=1, bias=False)
    assert outputs["c_n"].tolist() == [[0.125]]
    assert outputs["h_n"].tolist() == [[0.5 * np.tanh(0.125)]]


def test_a_projection_shortens_the_hidden_state() -> None:
    sizes = _Sizes(4, 1, 2, 1, 1, 1, False)
    weights = [0.0] * (sizes.total() - 2) + [2.0, 4.0]
    outputs = given(
        "nn.LSTM", x=[[1.0]], weights=weights, h_0=[[0.0]], c_0=[[0.0, 4.0]], hidden_size=2, proj_size=1, bias=False
    )
    assert outputs["value"].tolist() == [[4.0 * (0.5 * np.tanh(2.0))]]


def test_a_gru_without_weights_halves_its_state() -> None:
    outputs = given("nn.GRU", x=[[1.0]] * 3, weights=[0.0] * 6, h_0=[[1.0]], hidden_size=1, bias=False)
    assert outputs["value"].tolist() == [[0.5], [0.25], [0.125]]
    assert outputs["grad[h_0]"].tolist() == [[0.5 + 0.25 + 0.125 + 0.125]]


def test_cells_are_one_step() -> None:
    zeros: dict[str, Any] = {"x": [1.0], "hx": [1.0]}
    assert given("nn.GRUCell", weight_ih=[[0.0]] * 3, weight_hh=[[0.0]] * 3, **zeros)["value"].tolist() == [0.5]
    outputs = given("nn.LSTMCell", weight_ih=[[0.0]] * 4, weight_hh=[[0.0]] * 4, cx=[1.0], **zeros)
    assert outputs["c_n"].tolist() == [0.5]
    outputs = given("nn.RNNCell", weight_ih=[[2.0]], weight_hh=[[3.0]], nonlinearity="relu", **zeros)
    assert outputs["value"].tolist() == [5.0]
    assert outputs["grad[x]"].tolist() == [2.0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True), (3, False)])
def test_parameters_are_in_pytorchs_order(layers: int, bidirectional: bool, bias: bool) -> None:
    from torch import nn

    options: Any = {"num_layers": layers, "bias": bias, "bidirectional": bidirectional}
    kinds = (
        (nn.RNN(3, 5, **options), 1, 0),
        (nn.GRU(3, 5, **options), 3, 0),
        (nn.LSTM(3, 5, **options), 4, 0),
        (nn.LSTM(3, 5, proj_size=2, **options), 4, 2),
    )
    for module, gates, projected in kinds:
        sizes = _Sizes(gates, 3, 5, projected, layers, 1 + bidirectional, bias)
        found = [
            (name.partition("_l")[0], tuple(parameter.shape)) for name, parameter in module.named_parameters()
        ]  # weight_ih_l0_reverse: the cell's name comes first
        assert [pair for shapes in sizes.shapes() for pair in shapes.items()] == found
