"""Smooth activations in plain numbers: values and slopes from a table, limits, thresholds and special values."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference.known import check, gives

INF, NAN = math.inf, math.nan

#: name, keyword arguments -> values and slopes at 1 and at -2
TABLE: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "sigmoid", {},
        ["0.731058578630004879251159241822", "0.119202922022117555940270858698"],
        ["0.196611933241481852537424733586", "0.104993585403506517348624184760"],
    ),
    (
        "tanh", {},
        ["0.761594155955764888119458282605", "-0.964027580075816883946413724101"],
        ["0.419974341614026069394496739042", "0.070650824853164465686247655861"],
    ),
    (
        "tanhshrink", {},
        ["0.238405844044235111880541717395", "-1.03597241992418311605358627590"],
        ["0.580025658385973930605503260958", "0.929349175146835534313752344139"],
    ),
    (
        "silu", {},
        ["0.731058578630004879251159241822", "-0.238405844044235111880541717395"],
        ["0.927670511871486731788583975408", "-0.090784248784895478756977510823"],
    ),
    (
        "mish", {},
        ["0.865098388267310346116233449256", "-0.252501482695708863635072903810"],
        ["1.04903622009979215908631830880", "-0.108355092420393942833348917746"],
    ),
    (
        "gelu", {"approximate": "none"},
        ["0.841344746068542948585232545632", "-0.045500263896358414400565274333"],
        ["1.08331547058768629838306273857", "-0.085231801078196896700845763655"],
    ),
    (
        "gelu", {"approximate": "tanh"},
        ["0.841191990608276704781995777045", "-0.045402305912224981218958613849"],
        ["1.08296408384578255513964241867", "-0.086099256623618381564513917557"],
    ),
    (
        "softplus", {"beta": 1.0, "threshold": 20.0},
        ["1.31326168751822283404899549497", "0.126928011042972496443726806358"],
        ["0.731058578630004879251159241822", "0.119202922022117555940270858698"],
    ),
    (
        "softplus", {"beta": 2.0, "threshold": 20.0},
        ["1.06346400552148624822186340318", "0.00907496395890487017749165914388"],
        ["0.880797077977882444059729141302", "0.0179862099620915580267931379495"],
    ),
    (
        "logsigmoid", {},
        ["-0.313261687518222834048995494968", "-2.12692801104297249644372680636"],
        ["0.268941421369995120748840758178", "0.880797077977882444059729141302"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "values", "slopes"), TABLE)
def test_values_and_slopes(name: str, options: dict[str, Any], values: list[str], slopes: list[str]) -> None:
    check(name, {"x": [1.0, -2.0], **options}, value=values, x=slopes)


@pytest.mark.parametrize(("name", "options", "values", "slopes"), TABLE)
def test_the_gradient_is_the_slope_times_the_cotangent(
    name: str, options: dict[str, Any], values: list[str], slopes: list[str]
) -> None:
    once = gives(name, {"x": [1.0, -2.0], **options})["grad[x]"]
    scaled = gives(name, {"x": [1.0, -2.0], **options}, cotangent=[-4.0, 0.5])["grad[x]"]
    assert scaled.tolist() == (once * [-4.0, 0.5]).tolist()


def test_exponential_linear_units() -> None:
    check(
        "elu", {"x": [2.0, -1.0]}, value=[2.0, "-0.632120558828557678404476229839"], x=[1.0, "0.367879441171442321595"]
    )
    check(
        "elu",
        {"x": [2.0, -1.0], "alpha": 0.5},
        value=[2.0, "-0.316060279414278839202"],
        x=[1.0, "0.183939720585721160"],
    )
    check(
        "celu",
        {"x": [2.0, -1.0], "alpha": 2.0},
        value=[2.0, "-0.786938680574733152792"],
        x=[1.0, "0.606530659712633423"],
    )
    check(
        "selu",
        {"x": [1.0, -1.0]},
        value=["1.05070098735548049341933498529", "-1.11133073781256276179864066243"],
        x=["1.05070098735548049341933498529", "0.646768603034814098141576858384"],
    )


def test_what_holds_at_zero() -> None:
    check("elu", {"x": [0.0], "alpha": 0.5}, value=[0.0], x=[0.5])
    check("celu", {"x": [0.0], "alpha": 0.5}, value=[0.0], x=[1.0])
    check("selu", {"x": [0.0]}, value=[0.0], x=["1.758099340847376859940217520812"])
    check("softsign", {"x": [0.0]}, value=[0.0], x=[1.0])
    for name in ("silu", "mish", "gelu", "tanh", "tanhshrink"):
        assert gives(name, {"x": [0.0]})["value"].tolist() == [0.0]


def test_softsign() -> None:
    check("softsign", {"x": [1.0, -3.0]}, value=[0.5, -0.75], x=[0.25, 0.0625])


def test_softplus_changes_branch_above_its_threshold_only() -> None:
    at, above = 4.0, math.nextafter(4.0, INF)
    outputs = gives("softplus", {"x": [at, above], "beta": 2.0, "threshold": 8.0})
    assert outputs["value"][0] > 4.0
    assert outputs["value"][1] == above
    assert outputs["grad[x]"][0] < 1.0
    assert outputs["grad[x]"][1] == 1.0


def test_far_out_they_meet_their_limits() -> None:
    assert gives("sigmoid", {"x": [800.0, -800.0, INF, -INF]})["value"].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert gives("tanh", {"x": [800.0, -800.0]})["grad[x]"].tolist() == [0.0, 0.0]
    assert gives("softplus", {"x": [800.0, -800.0]})["value"].tolist() == [800.0, 0.0]
    assert gives("logsigmoid", {"x": [800.0, -800.0]})["value"].tolist() == [0.0, -800.0]
    assert gives("elu", {"x": [800.0, -800.0]})["value"].tolist() == [800.0, -1.0]
    assert gives("gelu", {"x": [40.0, -40.0]})["value"].tolist() == [40.0, 0.0]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "mish", "gelu", "softplus", "logsigmoid", "softsign"])
def test_nan_stays_nan(name: str) -> None:
    outputs = gives(name, {"x": [NAN]})
    assert math.isnan(outputs["value"][0])
    assert math.isnan(outputs["grad[x]"][0])


@pytest.mark.parametrize("name", ["elu", "celu"])
def test_nan_is_on_the_positive_side_of_exponential_linear_units(name: str) -> None:
    outputs = gives(name, {"x": [NAN]}, cotangent=[3.0])
    assert math.isnan(outputs["value"][0])
    assert outputs["grad[x]"].tolist() == [3.0]


def test_silu_at_minus_infinity_is_nan_as_its_docstring_says() -> None:
    assert math.isnan(gives("silu", {"x": [-INF]})["value"][0])


def test_gated_linear_unit() -> None:
    check(
        "glu",
        {"x": [[2.0, 1.0]], "dim": -1},
        value=[["1.46211715726000975850231848364"]],
        x=[["0.731058578630004879251159241822", "0.393223866482963705074849467172"]],
    )
    check("glu", {"x": [[2.0, 3.0], [0.0, 0.0]], "dim": 0}, value=[[1.0, 1.5]], x=[[0.5, 0.5], [0.5, 0.75]])
