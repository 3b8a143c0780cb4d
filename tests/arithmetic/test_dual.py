"""Dual numbers: the derivative of every primitive, of second order too, against difference quotients in Arb."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flint
import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import (
    Ball,
    Bounded,
    Dual,
    ball_precision,
    balls,
    primal_of,
    rounding_model,
    stored,
    tangent_of,
)
from gradcheck.arithmetic.running import lift_array

BITS = 2400
STEP = 2.0**-400
"""A central difference with step h is off by about h², 240 digits, and loses 400 of the bits by cancellation."""

DIGITS = 200
"""Digits that have to agree: fewer than the quotient is good for, more than any slip would leave."""

Function = Callable[..., Any]
#: name -> (function, points of its arguments)
PRIMITIVES: dict[str, tuple[Function, tuple[float, ...]]] = {
    "add": (np.add, (1.5, -0.3)),
    "subtract": (np.subtract, (1.5, -0.3)),
    "multiply": (np.multiply, (1.5, -0.3)),
    "divide": (np.true_divide, (1.5, -0.3)),
    "negative": (np.negative, (1.5,)),
    "positive": (np.positive, (1.5,)),
    "absolute": (np.absolute, (-1.5,)),
    "sign": (np.sign, (-1.5,)),
    "square": (np.square, (-1.5,)),
    "square by power": (lambda x: x**2, (-1.5,)),
    "power": (np.power, (1.5, -0.3)),
    "cube of a negative number": (lambda x: x**3, (-1.5,)),
    "cos": (np.cos, (0.7,)),
    "sin": (np.sin, (0.7,)),
    "sqrt": (np.sqrt, (1.7,)),
    "exp": (np.exp, (0.7,)),
    "expm1": (np.expm1, (0.7,)),
    "log": (np.log, (1.7,)),
    "log1p": (np.log1p, (0.7,)),
    "tanh": (np.tanh, (0.7,)),
    "erf": (special.erf, (0.7,)),
    "expit": (special.expit, (0.7,)),
    "log_expit": (special.log_expit, (0.7,)),
    "maximum": (np.maximum, (1.5, 0.3)),
    "minimum": (np.minimum, (1.5, 0.3)),
    "where": (lambda a, b: np.where(a > b, a * a, b), (1.5, 0.3)),
    "sum": (lambda x: np.sum(np.stack([x, x * x])), (1.3,)),
    "mean": (lambda x: np.mean(np.stack([x, x * x])), (1.3,)),
    "max": (lambda x: np.max(np.stack([x, x * x])), (1.3,)),
    "min": (lambda x: np.min(np.stack([x, x * x])), (1.3,)),
    "matmul": (lambda a, b: (a.reshape(1, 1) @ b.reshape(1, 1)).reshape(()), (1.5, -0.3)),
    "einsum": (lambda a, b: np.einsum("i,i->", a.reshape(1), b.reshape(1), optimize=True), (1.5, -0.3)),
    "stored": (lambda x: stored(x * x), (1.3,)),
}


def arb_of(ball: Any) -> flint.arb:
    return balls(ball).array.item()


def agree(first: flint.arb, second: flint.arb) -> bool:
    return abs(first - second) < flint.arb(10) ** -DIGITS


def quotient(function: Function, at: tuple[Any, ...], direction: tuple[float, ...]) -> flint.arb:
    """The central difference of the function along a direction."""
    ahead, behind = (
        function(*(x + sign * STEP * d for x, d in zip(at, direction, strict=True))) for sign in (1.0, -1.0)
    )
    return arb_of(ahead - behind) / (2.0 * STEP)


DIRECTIONS = {1: ((1.0,), (-0.75,)), 2: ((1.0, 0.0), (0.0, 1.0), (0.5, -2.0))}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_tangent_is_the_derivative(name: str) -> None:
    function, point = PRIMITIVES[name]
    with ball_precision(BITS):
        at = tuple(balls(x) for x in point)
        for direction in DIRECTIONS[len(point)]:
            result = function(*(Dual(x, balls(d)) for x, d in zip(at, direction, strict=True)))
            assert isinstance(result, Dual)
            assert arb_of(result.primal).overlaps(arb_of(function(*at)))
            assert agree(arb_of(result.tangent), quotient(function, at, direction))


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_second_derivative_by_nested_duals(name: str) -> None:
    """The derivative along one direction of the derivative along another, which the levels keep apart."""
    function, point = PRIMITIVES[name]
    inner, outer = DIRECTIONS[len(point)][0], DIRECTIONS[len(point)][-1]

    def slope(*at: Any) -> Any:
        return tangent_of(function(*(Dual(x, balls(d)) for x, d in zip(at, inner, strict=True))))

    with ball_precision(BITS):
        at = tuple(balls(x) for x in point)
        nested = tuple(
            Dual(Dual(x, balls(d)), Dual(balls(e), balls(0.0)), level=1)
            for x, d, e in zip(at, inner, outer, strict=True)
        )
        result = function(*nested)
        assert result.level == 1
        assert agree(arb_of(tangent_of(result.tangent)), quotient(slope, at, outer))


def test_every_rule_is_differentiated_here() -> None:
    """All of the tables but comparisons and constants."""
    functions = {function for function, _ in PRIMITIVES.values()}
    constant = {np.isnan, np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
    in_other_words = {np.matmul}
    assert set(Dual.ufuncs) - functions - constant - in_other_words == set()
    in_words = {"where": np.where, "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "einsum": np.einsum}
    assert set(Dual.functions) - set(in_words.values()) == {np.zeros_like, np.ones_like}
    assert in_words.keys() <= PRIMITIVES.keys()


def test_a_wrong_rule_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Dual.ufuncs, np.tanh, lambda a: Dual(np.tanh(a.primal), (1.0 - np.tanh(a.primal)) * a.tangent))
    with ball_precision(BITS):
        x = balls(0.7)
        wrong = np.tanh(Dual(x, balls(1.0)))
        assert not agree(arb_of(wrong.tangent), quotient(np.tanh, (x,), (1.0,)))


def dual(value: float, tangent: float) -> Dual:
    return Dual(np.array(value), np.array(tangent))


def test_plain_numbers() -> None:
    product = dual(3.0, 1.0) * dual(5.0, 2.0)
    assert (product.primal, product.tangent) == (15.0, 11.0)
    ratio = dual(6.0, 1.0) / 2.0
    assert (ratio.primal, ratio.tangent) == (3.0, 0.5)
    shifted = 1.0 - dual(3.0, 1.0)
    assert (shifted.primal, shifted.tangent) == (-2.0, -1.0)
    assert (dual(3.0, 1.0) ** 2).tangent == 6.0
    assert float(dual(3.0, 1.0)) == 3.0


def test_ties_share_the_derivative() -> None:
    for function in (np.maximum, np.minimum):
        assert function(dual(1.0, 1.0), dual(1.0, 0.0)).tangent == 0.5
    shared = np.max(Dual(np.array([2.0, 2.0, 1.0]), np.array([1.0, 0.0, 7.0])))
    assert shared.tangent == 0.5


def test_extrema_of_uncertain_numbers_are_decided_by_them_and_not_by_the_result() -> None:
    """exp(1) and exp(0) are inexact balls: compared with their maximum, neither could be told from it."""
    with ball_precision(100):
        first, second = np.exp(balls(1.0)), np.exp(balls(0.0) + balls(2.0**-60))
        chosen = np.maximum(Dual(first, balls(1.0)), Dual(second, balls(5.0)))
        assert arb_of(chosen.tangent) == 1


def test_branches_are_decided_by_the_value_alone() -> None:
    x = Dual(np.array([1.0, -1.0]), np.array([10.0, 20.0]))
    assert (x > 0).tolist() == [True, False]
    chosen = np.where(x > 0, x * x, 0.0)
    assert chosen.tangent.tolist() == [20.0, 0.0]
    assert np.isnan(Dual(np.array([math.nan]), np.array([0.0]))).tolist() == [True]


def test_constants_have_no_derivative() -> None:
    x = dual(3.0, 1.0)
    assert np.zeros_like(x) == 0.0
    assert np.ones_like(x) == 1.0
    assert primal_of(7.0) == 7.0
    assert tangent_of(np.array([7.0, 8.0])).tolist() == [0.0, 0.0]
    assert tangent_of(x, level=1) == 0.0


def test_elements_move_with_their_derivatives() -> None:
    x = Dual(np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) * 10.0)
    for moved in (x.T, x[1:], np.flip(x, axis=0), x.reshape(3, 2), np.concatenate([x, np.zeros((1, 3))])):
        assert isinstance(moved, Dual)
        assert np.array_equal(moved.tangent, moved.primal * 10.0)


def test_derivatives_carry_bounds_and_storage() -> None:
    model = rounding_model("bfloat16")
    x = Dual(Bounded(np.array([3.0]), None, model), Bounded(np.array([1.0078125]), None, model))
    kept = stored(x * x)
    assert kept.tangent.value.tolist() == [6.046875]
    assert kept.tangent.full_bound()[0] >= 6.046875 * 2.0**-8
    assert kept.__gradcheck_dtype__() == "bfloat16"
    assert isinstance(kept.__gradcheck_pi__(), Bounded)
    with ball_precision(100):
        assert isinstance(Dual(balls(1.0), balls(1.0)).__gradcheck_number__(0.1), Ball)


def test_a_constant_divisor_or_limit_adds_no_rounding_to_a_tangent() -> None:
    model = rounding_model("float32")
    x, step, three = (lift_array(np.array([value]), model) for value in (0.7, 0.3, 3.0))
    for tangent, plain in (
        (tangent_of(Dual(x, step) / three), step / three),
        (tangent_of(np.maximum(Dual(x, step), three * 0.125)), step),
    ):
        assert float(tangent.value[0]) == float(plain.value[0])
        assert np.array_equal(tangent.full_bound(), plain.full_bound())
