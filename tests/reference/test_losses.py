"""Margin, embedding, likelihood and triplet losses in plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.reference.evaluate import float64_outputs
from gradcheck.reference.registry import reference_named
from tests.reference.known import check


def test_cosine_embedding_loss() -> None:
    pair: dict[str, Any] = {"x": [[3.0, 4.0], [3.0, 4.0]], "input2": [[4.0, 3.0], [4.0, 3.0]], "reduction": "none"}
    check(
        "cosine_embedding_loss", {**pair, "target": [1.0, -1.0], "margin": 0.5}, value=["0.0400000000", "0.460000000"]
    )
    check("cosine_embedding_loss", {**pair, "target": [-1.0, 0.0], "margin": 0.99}, value=[0.0, 0.0])


def test_hinge_embedding_loss() -> None:
    case = {"x": [0.25, 0.25, 2.0], "target": [1.0, -1.0, -1.0], "reduction": "none"}
    check("hinge_embedding_loss", case, value=[0.25, 0.75, 0.0], x=[1.0, -1.0, 0.0])
    check("hinge_embedding_loss", {**case, "reduction": "sum", "margin": 4.0}, value=6.0)


def test_margin_ranking_loss() -> None:
    case = {"x": [3.0, 3.0], "input2": [1.0, 1.0], "target": [1.0, -1.0], "margin": 1.0, "reduction": "none"}
    check("margin_ranking_loss", case, value=[0.0, 3.0], x=[0.0, 1.0], input2=[0.0, -1.0], target=[0.0, -2.0])


@pytest.mark.parametrize(("p", "value", "slopes"), [(1, 1.5, [1.0, -2.0, 1.0]), (2, 1.25, [1.0, -3.0, 2.0])])
def test_multi_margin_loss(p: int, value: float, slopes: list[float]) -> None:
    """Excesses 1/2 and 1 over three classes; the weight of the target's class is 3."""
    case = {"x": [0.0, 0.5, 0.5], "target": 1, "p": p, "weight": [9.0, 3.0, 9.0], "reduction": "sum"}
    check("multi_margin_loss", case, value=value, x=slopes)
    check("multi_margin_loss", {**case, "weight": None}, value=value / 3.0)


def test_multilabel_margin_loss_stops_at_the_first_minus_one() -> None:
    """PyTorch's own example: labels 3 and 0 of four classes."""
    case = {"x": [0.125, 0.25, 0.5, 1.0], "target": [3, 0, -1, 1]}
    check("multilabel_margin_loss", case, value=0.25 * (0.25 + 0.5 + 1.125 + 1.375), x=[-0.5, 0.5, 0.5, -0.5])


def test_multilabel_soft_margin_loss_is_the_mean_over_classes() -> None:
    ln2 = "0.693147180559945309417232121458"
    check("multilabel_soft_margin_loss", {"x": [[0.0, 0.0]], "target": [[1.0, 0.0]]}, value=ln2, x=[[-0.25, 0.25]])
    case = {"x": [[0.0, 0.0]], "target": [[1.0, 0.0]], "weight": [2.0, 0.0]}
    check("multilabel_soft_margin_loss", case, value=ln2, x=[[-0.5, 0.0]])


def test_soft_margin_loss_does_not_overflow() -> None:
    case = {"x": [0.0, -2000.0], "target": [1.0, 1.0], "reduction": "none"}
    check("soft_margin_loss", case, value=["0.693147180559945309417232121458", 2000.0], x=[-0.5, -1.0])


def test_poisson_nll_loss() -> None:
    check("poisson_nll_loss", {"x": [0.0], "target": [3.0]}, value=1.0, x=[-2.0], target=[0.0])
    linear = {"x": [1.0], "target": [3.0], "log_input": False, "eps": 0.0}
    check("poisson_nll_loss", linear, value=1.0, x=[-2.0])
    # 3·ln 3 - 3 + ln(6π)/2
    check("poisson_nll_loss", {"x": [0.0], "target": [3.0], "full": True}, value="2.764081543543056")


def test_gaussian_nll_loss() -> None:
    case = {"x": [[3.0, 1.0]], "target": [[1.0, 1.0]], "var": [1.0], "reduction": "none"}
    check("gaussian_nll_loss", case, value=[[2.0, 0.0]], x=[[2.0, 0.0]], var=[-1.0])
    check("gaussian_nll_loss", {**case, "full": True}, value=[["2.918938533204672742", "0.918938533204672742"]])
    check("gaussian_nll_loss", {**case, "var": [0.0], "eps": 1.0}, value=[[2.0, 0.0]], var=[-1.0])


def test_the_variance_may_be_a_number() -> None:
    arguments = {"x": np.array([3.0, 1.0]), "target": np.array([1.0, 1.0]), "var": 1.0, "reduction": "none"}
    reference = reference_named("nn.functional.gaussian_nll_loss")
    outputs = float64_outputs(reference, arguments, lambda name, shape: np.ones(shape))
    assert {name: output.tolist() for name, output in outputs.items()} == {
        "value": [2.0, 0.0],
        "grad[x]": [2.0, 0.0],
        "grad[target]": [-2.0, 0.0],
    }


def test_triplet_margin_loss() -> None:
    case = {"x": [0.0, 0.0], "positive": [3.0, 4.0], "negative": [0.0, 5.5], "eps": 0.0}
    check("triplet_margin_loss", case, value=0.5, positive=[0.6, 0.8], negative=[0.0, -1.0])
    swapped = {"x": [0.0], "positive": [3.0], "negative": [4.0], "eps": 0.0, "swap": True}
    check("triplet_margin_loss", swapped, value=3.0, x=[-1.0], positive=[2.0], negative=[-1.0])


def test_triplet_loss_by_another_distance() -> None:
    case = {"x": [0.0, 0.0], "positive": [3.0, 4.0], "negative": [0.0, 5.5], "distance_function": "manhattan"}
    check("triplet_margin_with_distance_loss", case, value=2.5, negative=[0.0, -1.0])
    cosine = {"x": [1.0, 0.0], "positive": [3.0, 4.0], "negative": [0.0, 1.0], "distance_function": "cosine"}
    check("triplet_margin_with_distance_loss", cosine, value="0.4000000000000")
