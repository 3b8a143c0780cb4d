"""Losses of probabilities and logits in plain numbers."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.known import check, gives

LOG_4 = "1.38629436111989061883446424292"
LOG_3 = "1.09861228866810969139524523692"


def test_binary_cross_entropy() -> None:
    check("binary_cross_entropy", {"x": [0.25], "target": [1.0]}, value=LOG_4, x=[-4.0], target=[LOG_3])
    check("binary_cross_entropy", {"x": [0.5], "target": [0.25]}, x=[1.0], target=[0.0])
    check("binary_cross_entropy", {"x": [0.25], "target": [1.0], "weight": [3.0]}, x=[-12.0])
    check("binary_cross_entropy", {"x": [0.25, 0.5], "target": [1.0, 1.0], "reduction": "none"}, x=[-4.0, -2.0])
    check("binary_cross_entropy", {"x": [0.25, 0.5], "target": [1.0, 1.0], "reduction": "mean"}, x=[-2.0, -1.0])


def test_binary_cross_entropy_is_cut_at_the_ends() -> None:
    with np.errstate(all="ignore"):
        outputs = gives("binary_cross_entropy", {"x": [0.0, 1.0], "target": [1.0, 0.0], "reduction": "none"})
    assert outputs["value"].tolist() == [100.0, 100.0]
    assert outputs["grad[x]"].tolist() == [-1e12, 1e12]
    assert outputs["grad[target]"].tolist() == [math.inf, -math.inf]


def test_binary_cross_entropy_with_logits() -> None:
    check(
        "binary_cross_entropy_with_logits",
        {"x": [1.0], "target": [0.25]},
        value="1.06326168751822283404899549497",
        x=["0.481058578630004879251159241822"],
        target=[-1.0],
    )
    check("binary_cross_entropy_with_logits", {"x": [0.0], "target": [1.0], "pos_weight": [3.0]}, x=[-1.5])
    check("binary_cross_entropy_with_logits", {"x": [0.0], "target": [0.0], "weight": [3.0]}, x=[1.5])


def test_logits_far_out_do_not_overflow() -> None:
    outputs = gives(
        "binary_cross_entropy_with_logits", {"x": [800.0, -800.0], "target": [0.0, 1.0], "reduction": "none"}
    )
    assert outputs["value"].tolist() == [800.0, 800.0]
    assert outputs["grad[x]"].tolist() == [1.0, -1.0]


def test_kl_div() -> None:
    check(
        "kl_div",
        {"x": [-1.0], "target": [0.5], "reduction": "sum"},
        value="0.153426409720027345291383939271",
        x=[-0.5],
        target=["1.30685281944005469058276787854"],
    )
    check(
        "kl_div",
        {"x": [-1.0], "target": [-2.0], "reduction": "sum", "log_target": True},
        value="-0.135335283236612691893999494972",
        x=["-0.135335283236612691893999494972"],
        target=[0.0],
    )


def test_batchmean_divides_by_the_length_of_the_first_axis() -> None:
    case = {"x": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], "target": [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]}
    check("kl_div", {**case, "reduction": "batchmean"}, x=[[-0.5] * 3] * 2)
    check("kl_div", {**case, "reduction": "mean"}, x=[["-0.1666666666666666666666"] * 3] * 2)


def test_zero_log_zero_is_zero_and_has_no_gradient() -> None:
    outputs = gives("kl_div", {"x": [-1.0], "target": [0.0], "reduction": "sum"})
    assert outputs["value"] == 0.0
    assert outputs["grad[x]"].tolist() == [0.0]
    assert math.isnan(outputs["grad[target]"][0])
