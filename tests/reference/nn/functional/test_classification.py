"""Losses over classes in plain numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference.known import check, gives

LOGS = [[-1.0, -2.0, -4.0], [-8.0, -16.0, -32.0]]
SCORES = [[0.0, 1.0, 2.0]]
SHARES = ["0.0900305731703804579980221014845", "0.244728471054797652472959618341", "0.665240955774821889529018280175"]
LOSS = "0.407605964444380304482919904545"  # log(1 + e + e²) - 2


def nll(**options: Any) -> dict[str, Any]:
    return {"x": LOGS, "target": [2, 0], **options}


def test_nll_loss_picks_the_targets() -> None:
    one_hot = [[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]
    check("nll_loss", nll(reduction="none"), value=[4.0, 8.0], x=one_hot)
    check("nll_loss", nll(reduction="sum"), value=12.0, x=one_hot)
    check("nll_loss", nll(reduction="mean"), value=6.0, x=[[0.0, 0.0, -0.5], [-0.5, 0.0, 0.0]])


def test_nll_loss_with_weights_divides_by_those_of_the_targets() -> None:
    weight = [3.0, 7.0, 1.0]
    check("nll_loss", nll(weight=weight, reduction="none"), value=[4.0, 24.0])
    check("nll_loss", nll(weight=weight, reduction="mean"), value=7.0, x=[[0.0, 0.0, -0.25], [-0.75, 0.0, 0.0]])


def test_nll_loss_ignores_a_class() -> None:
    check("nll_loss", nll(ignore_index=0, reduction="mean"), value=4.0, x=[[0.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    everything = gives("nll_loss", {"x": LOGS, "target": [1, 1], "ignore_index": 1, "reduction": "mean"})
    assert math.isnan(everything["value"])


def test_nll_loss_takes_one_row_and_images() -> None:
    check("nll_loss", {"x": [-1.0, -2.0], "target": 1}, value=2.0, x=[0.0, -1.0])
    image = {"x": [[[-1.0, -2.0], [-4.0, -8.0]]], "target": [[0, 1]], "reduction": "none"}
    check("nll_loss", image, value=[[1.0, 8.0]], x=[[[-1.0, 0.0], [0.0, -1.0]]])


def test_cross_entropy_by_index() -> None:
    slopes = [[SHARES[0], SHARES[1], "-0.334759044225178110470981719825"]]
    check("cross_entropy", {"x": SCORES, "target": [2]}, value=LOSS, x=slopes)
    check("cross_entropy", {"x": SCORES, "target": [2], "reduction": "none"}, value=[LOSS], x=slopes)


def test_cross_entropy_by_probabilities() -> None:
    slopes = [[SHARES[0], SHARES[1], "-0.334759044225178110470981719825"]]
    check("cross_entropy", {"x": SCORES, "target": [[0.0, 0.0, 1.0]]}, value=LOSS, x=slopes)


@pytest.mark.parametrize("target", [[2], [[0.0, 0.0, 1.0]]], ids=["index", "probabilities"])
def test_cross_entropy_with_smoothing(target: Any) -> None:
    """Half of the weight goes to all three classes alike."""
    slopes = [
        "-0.0766360934962862086686445651822",
        "0.0780618043881309858062929516741",
        "-0.00142571089184477713764838649192",
    ]
    check(
        "cross_entropy",
        {"x": SCORES, "target": target, "label_smoothing": 0.5},
        value="0.907605964444380304482919904545",
        x=[slopes],
    )


def test_cross_entropy_by_probabilities_has_a_gradient_of_the_target() -> None:
    outputs = gives("cross_entropy", {"x": SCORES, "target": [[0.0, 0.5, 0.5]]})
    assert set(outputs) == {"value", "grad[x]", "grad[target]"}
    check(
        "cross_entropy",
        {"x": SCORES, "target": [[0.0, 0.5, 0.5]]},
        target=[["2.40760596444438030448291990455", "1.40760596444438030448291990455", LOSS]],
    )


def test_cross_entropy_ignores_and_weighs() -> None:
    two = {"x": [[0.0, 0.0], [0.0, 8.0]], "target": [0, 1]}
    ignoring = gives("cross_entropy", {**two, "ignore_index": 1})
    assert ignoring["grad[x]"].tolist() == [[-0.5, 0.5], [0.0, 0.0]]
    weighted = gives("cross_entropy", {**two, "weight": [3.0, 0.0]})
    assert weighted["grad[x]"].tolist() == [[-0.5, 0.5], [0.0, 0.0]]
