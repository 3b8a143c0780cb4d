"""Balls: they enclose what is true, know what they do not know, and take special values where Arb has one."""

from __future__ import annotations

import math
from typing import Any

import flint
import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import Ball, Mask, ball_precision, balls, enclosure, number, pi

INF, NAN = math.inf, math.nan


def uncertain(middle: float, radius: float) -> Ball:
    box = np.empty((1,), dtype=object)
    box[0] = flint.arb(middle, radius)
    return Ball(box)


# Decimals from tables, with more digits than any float has; each bypasses everything but Arb.
KNOWN = {
    "exp 1": (lambda: np.exp(balls(1.0)), "2.71828182845904523536028747135266249775724709369995957496696763"),
    "log 2": (lambda: np.log(balls(2.0)), "0.69314718055994530941723212145817656807550013436025525412068001"),
    "sqrt 2": (lambda: np.sqrt(balls(2.0)), "1.41421356237309504880168872420969807856967187537694807317667974"),
    "tanh 1": (lambda: np.tanh(balls(1.0)), "0.76159415595576488811945828260479359041276859725793655159681050"),
    "erf 1": (lambda: special.erf(balls(1.0)), "0.84270079294971486934122063508260925929606699796630290845993789"),
    "cos 1": (lambda: np.cos(balls(1.0)), "0.54030230586813971740093660744297660373231042061792222767009725"),
    "sin 1": (lambda: np.sin(balls(1.0)), "0.84147098480789650665250232163029899962256306079837106567275170"),
    "2^0.5": (lambda: balls(2.0) ** 0.5, "1.41421356237309504880168872420969807856967187537694807317667974"),
    "expm1 1": (lambda: np.expm1(balls(1.0)), "1.71828182845904523536028747135266249775724709369995957496696763"),
    "log1p 1": (lambda: np.log1p(balls(1.0)), "0.69314718055994530941723212145817656807550013436025525412068001"),
    "expit 1": (lambda: special.expit(balls(1.0)), "0.73105857863000487925115924182183627436514464016505651927636590"),
    "log_expit 0": (
        lambda: special.log_expit(balls(0.0)),
        "-0.69314718055994530941723212145817656807550013436025525412068001",
    ),
    "pi": (lambda: pi(balls(0.0)), "3.14159265358979323846264338327950288419716939937510582097494459"),
    "1/3": (lambda: balls(1.0) / balls(3.0), "0.33333333333333333333333333333333333333333333333333333333333333"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_ball_holds_the_known_number(name: str) -> None:
    make, decimals = KNOWN[name]
    with ball_precision(200):
        ball = make().array.item()
        assert ball.overlaps(flint.arb(decimals, 1e-59))
        assert ball.rad() < 1e-57


def test_a_float_is_taken_exactly() -> None:
    with ball_precision(200):
        tenth = balls(0.1).array.item()
        assert tenth.is_exact()
        assert tenth.mid() * 2**55 == 3602879701896397
        assert number(0.1, balls(1.0)).array.item() == tenth
        assert float(balls(0.1)) == 0.1


def test_precision_is_put_back() -> None:
    before = flint.ctx.prec
    with ball_precision(333):
        assert flint.ctx.prec == 333
        with pytest.raises(ZeroDivisionError), ball_precision(444):
            _ = 1 / 0
        assert flint.ctx.prec == 333
    assert flint.ctx.prec == before


def test_an_enclosure_reaches_everything_in_the_ball() -> None:
    with ball_precision(100):
        middle, radius = enclosure(uncertain(3.0, 0.5))
    assert middle.tolist() == [3.0]
    assert radius[0] >= 0.5
    with ball_precision(100):
        third, distance = enclosure(balls(1.0) / balls(3.0))
        assert 0.0 < distance < 2.0**-54
        assert third == 1.0 / 3.0
        assert np.isnan(enclosure(balls(INF))[1])


def test_comparisons_of_balls_that_overlap_are_undecided() -> None:
    with ball_precision(100):
        outcome = uncertain(1.0, 0.5) < balls([1.25])
        assert isinstance(outcome, Mask)
        assert outcome.undecided.tolist() == [True]
        assert (uncertain(1.0, 0.125) < balls([1.25])).tolist() == [True]
        third = balls([1.0]) / balls([3.0])
        assert isinstance(third == third, Mask)
        assert (balls([1.0]) == balls([1.0])).tolist() == [True]


@pytest.mark.parametrize(("first", "second"), [(NAN, 1.0), (1.0, NAN), (NAN, NAN), (1.0, 2.0), (2.0, 2.0), (INF, 1.0)])
def test_comparisons_are_those_of_ieee_754(first: float, second: float) -> None:
    for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
        assert bool(compare(balls([first]), balls([second]))[0]) is bool(compare(first, second))
    assert bool(np.isnan(balls([first]))[0]) is math.isnan(first)


def test_extrema_pass_nan_on_and_take_the_union_of_what_overlaps() -> None:
    with ball_precision(100):
        assert np.maximum(balls(NAN), balls(1.0)).array.item().is_nan()
        assert np.minimum(balls(1.0), balls(NAN)).array.item().is_nan()
        assert np.max(balls([1.0, 3.0, 2.0])).array.item() == 3
        assert np.min(balls([1.0, 3.0, 2.0])).array.item() == 1
        assert np.maximum(uncertain(1.0, 0.5), balls([1.25])).array[0].contains(flint.arb(1.4))


def test_sign_of_what_may_be_zero_is_anything_between() -> None:
    with ball_precision(100):
        assert np.sign(balls([2.0, -2.0, 0.0])).array.tolist() == [1, -1, 0]
        either = np.sign(uncertain(0.0, 1.0)).array[0]
        assert either.contains(-1)
        assert either.contains(1)


def test_limits_of_the_logarithm_and_the_exponentials() -> None:
    with ball_precision(100):
        assert np.log(balls(0.0)).array.item() == flint.arb.neg_inf()
        assert np.log1p(balls(-1.0)).array.item() == flint.arb.neg_inf()
        assert not np.log(balls(-1.0)).array.item().is_finite()
        # Exponentials of the other sign overflow even Arb's exponents.
        assert special.log_expit(balls(-1e300)).array.item().overlaps(flint.arb(-1e300))
        assert special.expit(balls(-1e300)).array.item() < flint.arb(1e-300)
        assert special.expit(balls(1e300)).array.item() > flint.arb(1) - flint.arb(1e-20)


def test_reductions_take_axes_and_nothing() -> None:
    table = balls(np.arange(6.0).reshape(2, 3))
    with ball_precision(100):
        assert np.sum(table, axis=1).array.tolist() == [3, 12]
        assert np.sum(table, axis=(0, 1)).array.item() == 15
        assert np.sum(table, axis=-1, keepdims=True).shape == (2, 1)
        assert np.mean(table, axis=0).array.tolist() == [1.5, 2.5, 3.5]
        assert np.max(table, axis=0, keepdims=True).shape == (1, 3)
        assert np.sum(balls(np.zeros((0, 3))), axis=0).array.tolist() == [0, 0, 0]
        assert np.sum(balls(2.0)).array.item() == 2


def test_contractions() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    with ball_precision(100):
        for product in (balls(a) @ balls(b), np.einsum("ij,jk->ik", balls(a), b, optimize=True), a @ balls(b)):
            assert np.array_equal(enclosure(product)[0], a @ b)
        assert (balls(np.zeros((2, 0))) @ balls(np.zeros((0, 3)))).array.tolist() == [[0] * 3] * 2


STRUCTURE: dict[str, Any] = {
    "pad": lambda x: np.pad(x, ((0, 1), (2, 0))),
    "pad nothing": lambda x: np.pad(x[:0], ((0, 0), (1, 1))),
    "concatenate": lambda x: np.concatenate([x, np.zeros((1, 3))]),
    "stack": lambda x: np.stack([x, x], axis=1),
    "flip": lambda x: np.flip(x, axis=1),
    "reshape": lambda x: x.reshape(3, 2).T,
    "take": lambda x: np.take(x, np.array([1, 0, 1]), axis=0),
    "index": lambda x: x[:, ::2],
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_elements_move_as_in_numpy(name: str) -> None:
    x = np.arange(6.0).reshape(2, 3)
    moved = STRUCTURE[name](balls(x))
    assert np.array_equal(enclosure(moved)[0], STRUCTURE[name](x))
    assert all(isinstance(element, flint.arb) for element in moved.array.ravel())


def test_integers_and_bools_are_numbers() -> None:
    assert balls(np.array([1, 2])).array.tolist() == [1, 2]
    assert (balls([3.0]) * np.array([True])).array.tolist() == [3]
    assert np.zeros_like(balls([3.0])).array.tolist() == [0]
    assert np.ones_like(balls([3.0])).array.tolist() == [1]
