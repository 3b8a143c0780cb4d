"""The proof of a vjp: true ones pass, wrong ones are refuted and the sentence says where and by how much."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic.functions import number
from gradcheck.cases.case import Case, parse_case
from gradcheck.certify import conventions
from gradcheck.certify.derivative import DIGITS, MOST_BITS, prove_derivative
from gradcheck.certify.draw import smooth_case
from gradcheck.reference.registry import Reference, reference_named

SILU = "nn.functional.silu(x=ordinary(5)) seed=1 dtype=float64"
SOFTMAX = "nn.functional.softmax(x=ordinary(3, 4), dim=1, dtype=None) seed=2 dtype=float64"
LAYER_NORM = (
    "nn.functional.layer_norm(x=ordinary(3, 4), weight=ordinary(4), bias=ordinary(4), normalized_shape=(4,), eps=0.5) "
    "seed=3 dtype=float64"
)
MSE = "nn.functional.mse_loss(x=ordinary(3, 4), target=ordinary(3, 4), reduction='mean') seed=4 dtype=float64"
LINEAR = "nn.functional.linear(x=ordinary(3, 4), weight=ordinary(2, 4), bias=ordinary(2)) seed=5 dtype=float64"
HARDTANH = "nn.functional.hardtanh(x=ordinary(65), min_val=-1.0, max_val=1.0) seed=6 dtype=float64"


def with_vjp(line: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[Reference, Case]:
    """The reference of a case line with its gradients changed."""
    case = parse_case(line)
    true = reference_named(case.operation)

    @functools.wraps(true.function)
    def wrong(*arrays: Any, **options: Any) -> Any:
        value, vjp = true.function(*arrays, **options)
        return value, lambda g: change(vjp(g))

    return replace(true, function=wrong), case


@pytest.mark.parametrize("line", [SILU, SOFTMAX, LAYER_NORM, MSE, LINEAR, HARDTANH])
def test_a_right_vjp_is_proved_to_forty_digits(line: str) -> None:
    proof = prove_derivative(*with_vjp(line, lambda gradients: gradients))
    assert proof.failure == ""
    assert proof.digits is not None
    assert proof.digits >= DIGITS


FAULTS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "factor 1 + 1e-30": (SILU, lambda gr: {"x": gr["x"] * (1.0 + number(1e-30, gr["x"]))}),
    "factor 1 + 1e-30 of one array": (
        LAYER_NORM,
        lambda gr: {**gr, "bias": gr["bias"] * (1.0 + number(1e-30, gr["bias"]))},
    ),
    "sign": (SOFTMAX, lambda gr: {"x": -gr["x"]}),
    "shift by 1e-30": (LINEAR, lambda gr: {**gr, "weight": gr["weight"] + number(1e-30, gr["weight"])}),
    "two arrays exchanged": (MSE, lambda gr: {"x": gr["target"], "target": gr["x"]}),
    "mean for sum": (LINEAR, lambda gr: {**gr, "bias": gr["bias"] / 3.0}),
    "no gradient of one array": (LAYER_NORM, lambda gr: {**gr, "weight": np.zeros_like(gr["weight"])}),
    "reversed": (SILU, lambda gr: {"x": np.flip(gr["x"], axis=0)}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_vjp_is_refuted(fault: str) -> None:
    operation, case = with_vjp(*FAULTS[fault])
    proof = prove_derivative(operation, case)
    assert proof.digits == 0.0
    assert operation.name in proof.failure
    assert "but the derivative of the forward is" in proof.failure


def test_the_sentence_says_where_and_by_how_much() -> None:
    operation, case = with_vjp(SILU, FAULTS["factor 1 + 1e-30"][1])
    words = prove_derivative(operation, case).failure
    assert words.startswith(str(case))
    assert words.endswith("they differ by 1.00e-30 of it.")


def without_term(x: Any) -> Any:
    """silu whose vjp forgets that the sigmoid depends on x."""
    value, _ = reference_named("nn.functional.silu").function(x)
    return value, lambda g: {"x": g * (value / x)}


def wrong_branch(x: Any, *, min_val: Any, max_val: Any) -> Any:
    """hardtanh whose vjp takes the gradient of the wrong branch above the upper end."""
    value, _ = reference_named("nn.functional.hardtanh").function(x, min_val=min_val, max_val=max_val)
    return value, lambda g: {"x": np.where(x <= min_val, 0.0, g)}


def wrong_axis(x: Any, *, dim: int, dtype: Any) -> Any:
    """softmax whose vjp sums along the other axis."""
    value, _ = reference_named("nn.functional.softmax").function(x, dim=dim, dtype=dtype)
    return value, lambda g: {"x": value * (g - np.sum(g * value, axis=1 - dim, keepdims=True))}


@pytest.mark.parametrize(("function", "line"), [(without_term, SILU), (wrong_branch, HARDTANH), (wrong_axis, SOFTMAX)])
def test_a_wrong_formula_is_refuted(function: Callable[..., Any], line: str) -> None:
    case = parse_case(line)
    proof = prove_derivative(replace(reference_named(case.operation), function=function), case)
    assert "but the derivative of the forward is" in proof.failure


def test_one_small_wrong_element_is_not_hidden_by_the_large_ones() -> None:
    """Along a dense direction 1e-80 is lost in 160 bits; along the element itself it is all there is."""
    case = parse_case(
        "nn.functional.mse_loss(x=ordinary(1), target=ordinary(1), weight=None, reduction='sum') seed=1 dtype=float64"
    )

    def scaled(factor: float) -> Callable[..., Any]:
        def function(x: Any, target: Any, weight: Any, *, reduction: str) -> Any:
            tiny = number(2.0**-300, x)
            return np.sum(x + tiny * target), lambda g: {
                "x": g * np.ones_like(x),
                "target": g * (tiny * number(factor, x)) * np.ones_like(target),
            }

        return function

    operation = reference_named(case.operation)
    assert prove_derivative(replace(operation, function=scaled(1.0)), case).failure == ""
    assert "along target[0]" in prove_derivative(replace(operation, function=scaled(2.0)), case).failure


def test_what_no_precision_decides_is_a_failure_too() -> None:
    """exp(x) compared with itself is undecided in balls of any precision, so nothing is proved of the branches."""

    def undecided(x: Any) -> Any:
        mask = np.exp(x) >= np.exp(x)
        return np.where(mask, x, 2.0 * x), lambda g: {"x": np.where(mask, g, 2.0 * g)}

    case = parse_case(SILU)
    proof = prove_derivative(replace(reference_named(case.operation), function=undecided), case)
    assert proof.failure.endswith(f"only 0 digits are certain at {MOST_BITS} bits.")


def test_a_derivative_that_is_zero_counts_digits_absolutely() -> None:
    """The sum of a softmax is 1, whatever x."""
    case = parse_case("nn.functional.softmax(x=ordinary(3, 2), dim=1, dtype=None) seed=1 dtype=float64 cotangent=ones")
    proof = prove_derivative(reference_named(case.operation), case)
    assert proof.failure == ""
    assert proof.bits == MOST_BITS


@pytest.mark.parametrize(
    "line",
    [
        "nn.functional.mse_loss(x=ordinary(0), target=ordinary(0), weight=None, reduction='mean') seed=1 dtype=float64",
        "nn.functional.silu(x=ordinary(0)) seed=1 dtype=float64",
    ],
)
def test_nothing_is_said_where_there_is_nothing_to_differentiate(line: str) -> None:
    case = parse_case(line)
    assert prove_derivative(reference_named(case.operation), case).digits is None


def test_the_precision_grows_until_the_balls_are_fine() -> None:
    case = parse_case(SOFTMAX)
    proof = prove_derivative(reference_named(case.operation), case, bits=20)
    assert proof.failure == ""
    assert proof.bits == 160


@pytest.mark.parametrize("name", conventions.CONVENTIONS)
def test_every_convention_is_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = reference_named(name)
    monkeypatch.setattr("gradcheck.certify.derivative.CONVENTIONS", {})
    drawn = (smooth_case(operation, 0, index) for index in range(100))
    refuted = next(case for case in drawn if prove_derivative(operation, case).failure)
    monkeypatch.undo()
    assert prove_derivative(operation, refuted).failure == ""
