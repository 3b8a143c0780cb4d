"""The factor of a sum: the smaller of a certain and a probable bound, and the stated probability of leaving it."""

from __future__ import annotations

import math
from fractions import Fraction

import flint
import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, ball_precision, rounding_model
from gradcheck.arithmetic.model import FAILURE_PROBABILITY, GRADES, LAMBDA, RoundingModel
from gradcheck.cases.inputs import Bits
from gradcheck.formats import FORMATS

MODELS = [rounding_model(dtype, grade=grade) for dtype in FORMATS for grade in GRADES]


def named(model: RoundingModel) -> str:
    return f"{model.store.name}-{model.grade}"


def test_lambda_is_that_of_the_stated_probability() -> None:
    """2·exp(-λ²/2) is the probability that the theorem gives for leaving λ·√n·u; it must not exceed the one stated."""
    assert FAILURE_PROBABILITY == 1e-3
    with ball_precision(100):
        probability = 2 * (-(flint.arb(LAMBDA) ** 2) / 2).exp()
        neighbour = 2 * (-(flint.arb(math.nextafter(LAMBDA, 0.0)) ** 2) / 2).exp()
        assert abs(probability - FAILURE_PROBABILITY) < abs(neighbour - probability)
    assert 3.8 < LAMBDA < 3.9


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_nothing_and_one_number_are_added_without_rounding(model: RoundingModel) -> None:
    assert model.sum_factor(0) == 0.0
    assert model.sum_factor(1) == 0.0
    assert float(np.sum(Bounded(np.array([3.0]), None, model)).bound) == 0.0


@pytest.mark.parametrize("model", MODELS, ids=named)
@pytest.mark.parametrize("terms", [2, 3, 10, 16, 17, 100, 1000])
def test_the_factor_is_the_smaller_of_the_two_bounds(model: RoundingModel, terms: int) -> None:
    n, u = terms - 1, Fraction(model.unit)
    certain = n * u / (1 - n * u) if n * u < 1 else None
    with ball_precision(200):
        unit = flint.arb(model.unit)
        probable = (flint.arb(LAMBDA) * flint.arb(n).sqrt() * unit + n * unit**2 / (1 - unit)).expm1()
        exact = [float(probable.mid())] + ([] if certain is None else [float(certain)])
    # Half a dozen roundings of float64 lie between the formula and its evaluation.
    assert abs(model.sum_factor(terms) - min(exact)) <= min(exact) * 2.0**-49


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_few_terms_take_the_certain_bound_and_many_the_probable_one(model: RoundingModel) -> None:
    """√n < λ, that is n <= 14, is where n·u is smaller than λ·√n·u (earlier where u is so large that γ is not n·u)."""
    u = model.unit
    assert model.sum_factor(3) == 2 * u / (1.0 - 2 * u)
    n = 2000
    assert model.sum_factor(n + 1) < n * u
    assert model.sum_factor(n + 1) > LAMBDA * math.sqrt(n) * u


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_more_terms_never_have_a_smaller_factor(model: RoundingModel) -> None:
    factors = [model.sum_factor(n) for n in range(300)]
    assert factors == sorted(factors)


def relative_errors(model: RoundingModel, terms: int, runs: int) -> np.ndarray:
    """|error| / Σ|terms| of sums of ones, one by one, each addition off by a full roundoff of random sign.

    Partial sums as large as they can be, and errors as large as they can be: the worst case of the theorem.
    """
    bits = Bits("sum", named(model), terms)
    total = np.full(runs, 1.0)
    for _ in range(terms - 1):
        total = (total + 1.0) * (1.0 + model.unit * bits.pick([1.0, -1.0], runs))
    return np.abs(total - terms) / terms


@pytest.mark.parametrize("terms", [50, 400])
@pytest.mark.parametrize("model", [rounding_model("bfloat16", grade="coarse"), rounding_model("float32")], ids=named)
def test_the_bound_is_left_no_more_often_than_stated(model: RoundingModel, terms: int) -> None:
    runs = 4000
    left = int(np.sum(relative_errors(model, terms, runs) > model.sum_factor(terms)))
    assert left <= runs * FAILURE_PROBABILITY


def test_the_probable_bound_is_a_bound_on_chance_only() -> None:
    """Roundings that all go one way leave it: it is not so wide as to say nothing."""
    model, terms = rounding_model("float32"), 1000
    total = 1.0
    for _ in range(terms - 1):
        total = (total + 1.0) * (1.0 + model.unit)
    assert (total - terms) / terms > model.sum_factor(terms)
    certain = (terms - 1) * model.unit / (1.0 - (terms - 1) * model.unit)
    assert (total - terms) / terms <= certain


def test_errors_of_the_terms_are_rounded_too() -> None:
    """Terms 0 ± 1: the subject may add up ones, and its rounding is that of ones."""
    model = rounding_model("bfloat16", grade="coarse")
    terms = Bounded(np.zeros(10), np.ones(10), model)
    assert float(np.sum(terms).bound) >= 10.0 * (1.0 + model.sum_factor(10))
    product = terms.reshape(1, 10) @ Bounded(np.ones((10, 1)), None, model)
    assert float(product.bound[0, 0]) >= 10.0 * (1.0 + model.sum_factor(11))


def test_a_product_counts_as_one_more_term() -> None:
    """n products and n - 1 additions: each term is rounded n times at most. Of few products half ulps are counted."""
    model = rounding_model("float32")
    ones = Bounded(np.ones((50, 5)), None, model)
    bound = float((ones @ ones.T).bound[0, 0])
    assert 5.0 * model.sum_factor(6) <= bound <= 5.0 * model.sum_factor(6) + 6.0 * model.eta


def test_mean_is_sum_over_count() -> None:
    model = rounding_model("float32")
    x = Bounded(np.array([1.0, 2.0, 6.0]), None, model)
    assert float(np.mean(x).value) == 3.0
    assert float(np.mean(x).bound) == float((np.sum(x) / 3).bound)
