"""Embeddings in whole numbers: repeated indices, padding, frequencies, norms, bags of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.reference.known import check

TABLE = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]


def test_rows_are_looked_up_and_their_cotangents_added() -> None:
    words = {"x": [2, 0, 2], "weight": TABLE}
    g = [[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]
    check("embedding", words, g, value=[TABLE[2], TABLE[0], TABLE[2]], weight=[[2.0, 2.0], [0.0, 0.0], [5.0, 5.0]])
    check("embedding", {**words, "scale_grad_by_freq": True}, g, weight=[[2.0, 2.0], [0.0, 0.0], [2.5, 2.5]])


@pytest.mark.parametrize("padding", [2, -1])
def test_padding_is_looked_up_and_has_no_gradient(padding: int) -> None:
    words = {"x": [2, 0], "weight": TABLE, "padding_idx": padding}
    check("embedding", words, value=[TABLE[2], TABLE[0]], weight=[[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(("norm_type", "norm"), [(1.0, 7.0), (2.0, 5.0), (float("inf"), 4.0)])
def test_rows_above_the_norm_are_scaled_and_others_are_not(norm_type: float, norm: float) -> None:
    words = {"x": [0], "weight": [[3.0, -4.0], [3.0, -4.0]], "max_norm": norm, "norm_type": norm_type}
    check("embedding", words, value=[[3.0, -4.0]])
    half = norm / (norm + 1e-7) / 2.0
    check("embedding", {**words, "max_norm": norm / 2.0}, value=[[f"{3.0 * half:.15f}", f"{-4.0 * half:.15f}"]])


def bags(**words: Any) -> dict[str, Any]:
    return {"x": [0, 1, 1, 2], "weight": TABLE, "offsets": [0, 1, 1], **words}


def test_bags_are_reduced_and_an_empty_one_gives_zero() -> None:
    none = [0.0, 0.0]
    check(
        "embedding_bag", bags(mode="sum"), value=[TABLE[0], none, [7.0, 70.0]], weight=[[1.0] * 2, [2.0] * 2, [1.0] * 2]
    )
    check("embedding_bag", bags(mode="max"), value=[TABLE[0], none, TABLE[2]], weight=[[1.0] * 2, none, [1.0] * 2])
    check(
        "embedding_bag",
        bags(offsets=[0, 2], mode="mean"),
        value=[[1.5, 15.0], [2.5, 25.0]],
        weight=[[0.5] * 2, [1.0] * 2, [0.5] * 2],
    )
    check("embedding_bag", bags(offsets=[0, 1, 4], mode="sum", include_last_offset=True), value=[TABLE[0], [7.0, 70.0]])
    check(
        "embedding_bag", {**bags(mode="sum"), "x": [[0, 1], [1, 2]], "offsets": None}, value=[[3.0, 30.0], [5.0, 50.0]]
    )


def test_padding_is_left_out_of_its_bag() -> None:
    check(
        "embedding_bag",
        bags(offsets=[0], mode="mean", padding_idx=1),
        value=[[2.0, 20.0]],
        weight=[[0.5] * 2, [0.0] * 2, [0.5] * 2],
    )
    check("embedding_bag", bags(offsets=[0], mode="max", padding_idx=-1), value=[[2.0, 20.0]])


def test_weights_of_samples_and_frequencies() -> None:
    words = bags(offsets=[0], mode="sum", per_sample_weights=[1.0, 2.0, 4.0, 0.5])
    check(
        "embedding_bag", words,
        value=[[14.5, 145.0]], weight=[[1.0] * 2, [6.0] * 2, [0.5] * 2], per_sample_weights=[11.0, 22.0, 22.0, 33.0],
    )  # fmt: skip
    check("embedding_bag", {**words, "scale_grad_by_freq": True}, weight=[[1.0] * 2, [3.0] * 2, [0.5] * 2])


def test_of_equal_rows_the_first_has_the_gradient() -> None:
    words = {"x": [[2, 0, 1]], "weight": [[5.0], [5.0], [1.0]], "mode": "max"}
    check("embedding_bag", words, value=[[5.0]], weight=[[1.0], [0.0], [0.0]])


def test_nothing_looked_up() -> None:
    empty = np.zeros(0, dtype=np.int64)
    check(
        "embedding_bag",
        {"x": empty, "weight": TABLE, "offsets": [0, 0], "mode": "max"},
        value=[[0.0] * 2] * 2,
        weight=[[0.0] * 2] * 3,
    )
    check("embedding", {"x": empty, "weight": TABLE}, value=np.zeros((0, 2)), weight=[[0.0] * 2] * 3)
