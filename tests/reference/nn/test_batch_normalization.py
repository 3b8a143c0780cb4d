"""Batch normalisation layers: how they count, and what the cumulative average is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.reference.known import check, gives

STATE = {"running_mean": [0.0], "running_var": [1.0]}


def test_the_cumulative_average_is_the_mean_over_all_batches() -> None:
    batches = [np.array([[1.0], [3.0]]), np.array([[4.0], [8.0]]), np.array([[-3.0], [-6.0]]), np.array([[0.0], [1.0]])]
    state: dict[str, Any] = {name: np.array(value) for name, value in STATE.items()}
    for number, batch in enumerate(batches[:2], start=1):
        outputs = gives("nn.BatchNorm1d", {"x": batch, **state, "num_batches_tracked": number - 1, "momentum": None})
        state = {name: outputs[name] for name in STATE}
        assert outputs["num_batches_tracked"] == number
        # 1/number is a power of two: nothing is rounded
        assert outputs["running_mean"] == np.mean([b.mean() for b in batches[:number]])
        assert outputs["running_var"] == np.mean([b.var(ddof=1) for b in batches[:number]])


@pytest.mark.parametrize(
    ("momentum", "training", "mean", "seen"),
    [(None, True, 0.5, 4), (0.5, True, 1.0, 4), (None, False, 0.0, 3), (0.5, False, 0.0, 3)],
)
def test_training_counts_and_evaluation_does_not(
    momentum: float | None, training: bool, mean: float, seen: int
) -> None:
    arguments = {"x": [[1.0], [3.0]], **STATE, "num_batches_tracked": 3, "momentum": momentum, "training": training}
    outputs = gives("nn.BatchNorm1d", arguments)
    assert outputs["running_mean"] == mean
    assert outputs["num_batches_tracked"] == seen


def test_without_running_statistics_evaluation_takes_those_of_the_batch() -> None:
    for training in (True, False):
        arguments = {"x": [[1.0], [3.0]], "eps": 0.0, "training": training}
        check("nn.BatchNorm1d", arguments, value=[[-1.0], [1.0]], x=[[0.0], [0.0]])
        assert "num_batches_tracked" not in gives("nn.BatchNorm1d", arguments)
