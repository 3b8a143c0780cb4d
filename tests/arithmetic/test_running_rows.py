"""Rules for rows whose errors belong together: shares of a sum, deviations from a mean, an error of two parts.

float32 computes from operands that are off by up to their bounds, in a way that belongs together; a fault, in which it
does not, leaves the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.functions import (
    apart,
    einsum_up_to_shift,
    parted,
    reciprocal_deviation,
    reunited,
    share_slope,
    shared,
    shares_of_sum,
)
from gradcheck.arithmetic.running import lift, lift_array

F32, F64 = rounding_model("float32"), rounding_model("float64", wide=True)
ROWS, KEYS, WIDTH = 40, 5, 4
SPREADS = (1e-6, 1e-3)
SHARED = "nls,nsf->nlf"
PRODUCT = "nlf,nsf->nls"


def ordinary(rng: Any, *shape: int) -> Any:
    return np.float32(rng.standard_normal(shape)).astype(np.float64)


def off(rng: Any, x: Any, spread: Any) -> Any:
    """x in float32, off by nearly the spread: to one side or the other, whichever is the worst for somebody."""
    return np.float32(x + rng.choice([-0.8, 0.8], np.shape(x)) * spread)


def worst(subject: Callable[[Any], Any], exact: Any, bound: Any, rounds: int = 60) -> float:
    """The largest error over the bound of many computations."""
    return max(float(np.max(np.abs(subject(np.random.default_rng(i)) - exact) / bound)) for i in range(rounds))


def with_error(x: Any, spread: float) -> Bounded:
    return Bounded(x, np.full(np.shape(x), spread), F32)


def attended(scores: Any, g: Any, v: Any) -> tuple[Any, Any]:
    """Slope and shared values of softmax, by the functions that references use."""
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    y, common = shares_of_sum(e, np.sum(e, axis=-1, keepdims=True))
    values = shared(SHARED, y, common, y, v)
    return share_slope(y, common, g, -1) * common, values


def one_by_one(scores: Any, g: Any, v: Any) -> tuple[Any, Any]:
    """The same, of which running error knows nothing but the factor."""
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    total, common = apart(np.sum(e, axis=-1, keepdims=True))
    y = e / total
    return y * (g - np.sum(g * y, axis=-1, keepdims=True) * common) * common, np.einsum(SHARED, y, v) * common


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("sharp", [1.0, 6.0])
def test_shares_of_a_sum_add_up_to_one(spread: float, sharp: float) -> None:
    """The scores, the cotangent and the values are off; in the fault the sum is that of other scores."""
    rng = np.random.default_rng(1)
    scores, g = ordinary(rng, ROWS, 3, KEYS) * sharp, ordinary(rng, ROWS, 3, KEYS) + 3.0
    v = ordinary(rng, ROWS, KEYS, WIDTH) + 3.0
    exact = attended(scores, g, v)
    operands = (with_error(scores, spread), with_error(g, spread), with_error(v, spread))
    bounds = [part.full_bound() for part in attended(*operands)]
    loose = [part.full_bound() for part in one_by_one(*operands)]
    assert all(np.all(bound <= wide) for bound, wide in zip(bounds, loose, strict=True))
    assert all(np.median(bound / wide) < 0.7 for bound, wide in zip(bounds, loose, strict=True))

    def subject(rng: Any, place: int, torn: float = 0.0) -> Any:
        near, slope, values = (off(rng, part, spread) for part in (scores, g, v))
        e = np.exp(near - near.max(axis=-1, keepdims=True))
        y = e / (e.sum(axis=-1, keepdims=True) * np.float32(1.0 + torn * spread))
        inner = (slope * y).sum(axis=-1, keepdims=True)
        return y * (slope - inner) if not place else np.einsum(SHARED, y, values)

    for place in (0, 1):
        right = worst(lambda rng, place=place: subject(rng, place), exact[place], bounds[place])
        wrong = worst(lambda rng, place=place: subject(rng, place, 2.0), exact[place], bounds[place])
        assert 0.1 < right <= 1.0 < wrong


def test_slopes_of_shares_that_are_rounded_alone_are_covered() -> None:
    """Exact operands: what is left is rounding, in all dtypes; a slope with another inner sum leaves the bound."""
    rng = np.random.default_rng(2)
    scores, g = ordinary(rng, ROWS, 3, KEYS), ordinary(rng, ROWS, 3, KEYS)
    v = ordinary(rng, ROWS, KEYS, WIDTH)
    for model in (F32, F64):
        bounds = [part.full_bound() for part in attended(*(lift_array(part, model) for part in (scores, g, v)))]
        work = np.float32 if model is F32 else np.float64
        exact = attended(*(part.astype(np.longdouble) for part in (scores, g, v)))
        got = attended(*(part.astype(work) for part in (scores, g, v)))
        for part, true, bound in zip(got, exact, bounds, strict=True):
            error = np.abs(part.astype(np.longdouble) - true)
            assert np.all(error <= bound)
            assert np.any(error + 64.0 * model.unit * np.abs(true) > bound)


@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_what_is_not_finite_is_left_to_the_rules_one_by_one(special: float) -> None:
    rng = np.random.default_rng(3)
    scores, g, v = ordinary(rng, 2, 3, KEYS), ordinary(rng, 2, 3, KEYS), ordinary(rng, 2, KEYS, WIDTH)
    for place in range(3):
        operands = [scores.copy(), g.copy(), v.copy()]
        operands[place][0, 1, 2] = special
        with np.errstate(all="ignore"):
            lifted = [lift_array(part, F32) for part in operands]
            for sharp, loose in zip(attended(*lifted), one_by_one(*lifted), strict=True):
                assert np.array_equal(sharp.value, loose.value, equal_nan=True)
                odd = ~np.isfinite(loose.value) | ~np.isfinite(loose.full_bound())
                assert np.array_equal(sharp.full_bound()[odd], loose.full_bound()[odd])
                assert np.all(sharp.full_bound() <= loose.full_bound())


def deviation(x: Any, eps: Any) -> Any:
    mean = np.sum(x, axis=-1, keepdims=True) / x.shape[-1]
    return reciprocal_deviation(x, mean, (x.ndim - 1,), eps)


@pytest.mark.parametrize(("spread", "gain"), [(1e-6, 0.8), (1e-3, 0.8), (0.4, 0.1)])
def test_a_row_is_no_nearer_to_its_mean_than_its_error_allows(spread: float, gain: float) -> None:
    """The last rows are off by nearly as much as they vary; in the fault the row is off by more than its error."""
    rng = np.random.default_rng(4)
    x = ordinary(rng, ROWS, 6)
    exact = deviation(x, 1e-5)
    bound = deviation(with_error(x, spread), lift(1e-5, F32)).full_bound()
    mean = Bounded(x, np.full(x.shape, spread), F32)
    centred = mean - np.sum(mean, axis=-1, keepdims=True) / 6
    loose = (1.0 / np.sqrt(np.sum(centred * centred, axis=-1, keepdims=True) / 6 + 1e-5)).full_bound()
    assert np.all(bound <= loose)
    assert np.median(bound / loose) < gain

    def subject(rng: Any, times: float = 1.0) -> Any:
        centred = x - x.mean(axis=-1, keepdims=True)
        near = np.float32(x - 0.99 * times * spread * np.sign(centred * rng.choice([1.0, -1.0], (ROWS, 1))))
        return deviation(near, np.float32(1e-5))

    assert 0.3 < worst(subject, exact, bound) <= 1.0 < worst(lambda rng: subject(rng, 1.5), exact, bound)


@pytest.mark.parametrize("model", [F32, rounding_model("float16"), rounding_model("bfloat16", grade="coarse")])
def test_a_deviation_of_exact_numbers_is_no_less_certain_than_before(model: Any) -> None:
    rng = np.random.default_rng(5)
    x = model.store.round(ordinary(rng, ROWS, 9) + 2.0)
    number = lift_array(x, model)
    mean = np.sum(number, axis=-1, keepdims=True) / 9
    centred = number - mean
    loose = 1.0 / np.sqrt(np.sum(centred * centred, axis=-1, keepdims=True) / 9 + 0.5)
    assert np.all(deviation(number, lift(0.5, model)).full_bound() <= loose.full_bound())


@pytest.mark.parametrize("spread", SPREADS)
def test_one_error_of_two_parts_meets_their_difference(spread: float) -> None:
    """k·x - k·origin, and their sum; the fault has two errors of k."""
    rng = np.random.default_rng(6)
    k, x = ordinary(rng, ROWS, 1), np.round(ordinary(rng, ROWS, WIDTH) * 64.0) / 64.0 + 30.0
    known, error = parted(with_error(k, spread))
    exact = lift_array(x, F32), lift(30.0, F32)
    single = reunited(known * exact[0] - known * exact[1], error, *exact)
    summed = reunited(np.sum(known * exact[0] - known * exact[1], axis=-1, keepdims=True), error, *exact, (1,))
    assert np.all(single.full_bound() < (with_error(k, spread) * x - with_error(k, spread) * 30.0).full_bound())

    def subject(rng: Any, axes: Any = None, torn: bool = False) -> Any:
        near = off(rng, k, spread)
        other = off(rng, k, spread) if torn else near
        parts = near * np.float32(x) - other * np.float32(30.0)
        return parts if axes is None else parts.sum(axis=axes, keepdims=True)

    assert 0.1 < worst(subject, k * (x - 30.0), single.full_bound()) <= 1.0
    assert worst(lambda rng: subject(rng, torn=True), k * (x - 30.0), single.full_bound()) > 1.0
    whole = (k * (x - 30.0)).sum(axis=1, keepdims=True)
    assert 0.1 < worst(lambda rng: subject(rng, 1), whole, summed.full_bound()) <= 1.0
    assert worst(lambda rng: subject(rng, 1, torn=True), whole, summed.full_bound()) > 1.0
    assert parted(2.0) == (2.0, None)
    assert reunited(3.0, None, 1.0, 2.0) == 3.0


def test_a_part_that_may_overflow_makes_the_whole_uncertain() -> None:
    """k·x is 0, but may be huge: as if it were not taken apart."""
    known, error = parted(Bounded(np.zeros((2, 1)), np.array([[1.0], [1e-9]]), F32))
    x = lift_array(np.array([[3e38, 2e38], [3e38, 2e38]]), F32)
    assert np.isinf(reunited(known * x - known * x, error, x, x * 0.5).full_bound()[0]).all()
    assert np.isinf(reunited(known * x - known * x, error, x, x).full_bound()[0]).all()
    assert np.isfinite(reunited(known * x - known * x, error, x, x).full_bound()[1]).all()


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_for_certain_stays_so(special: float) -> None:
    """Beside numbers that are uncertain; but an infinity times an uncertain number is not known."""
    k, v = np.array([[[1.0, 2.0], [3.0, 0.5]]]), np.array([[[1.0, 1.0], [2.0, 3.0], [0.5, 4.0]]])
    errors = np.full(k.shape, 0.01)
    k[0, 0, 0], errors[0, 0, 0] = special, 0.0
    with np.errstate(all="ignore"):
        for operand in (Bounded(k, errors, F32), lift_array(k, F32)):
            found = einsum_up_to_shift(PRODUCT, operand, lift_array(v, F32), -2)
            plain = np.einsum(PRODUCT, operand, lift_array(v, F32))
            assert np.array_equal(found.value, plain.value, equal_nan=True)
            assert found.full_bound()[0, 0].tolist() == [0.0] * 3
            assert np.isfinite(found.full_bound()[0, 1]).all()
        v[0, 1, 0] = special
        known, error = parted(Bounded(k, errors, F32))
        uncertain = einsum_up_to_shift(PRODUCT, Bounded(k, errors, F32), lift_array(v, F32), -2)
        assert np.isinf(uncertain.full_bound()[0, 1, 1])
        terms = known * lift_array(v[:, :2], F32)
        found = reunited(np.sum(terms, axis=-1, keepdims=True), error, lift_array(v[:, :2], F32), 0.0, (2,))
        assert found.full_bound()[0, 0].tolist() == [0.0]
        assert np.isinf(found.full_bound()[0, 1, 0])


@pytest.mark.parametrize("spread", SPREADS)
def test_a_shift_of_a_row_does_not_count(spread: float) -> None:
    """Scores whose keys have a large part in common: the shares know nothing of it, the scores themselves do."""
    rng = np.random.default_rng(7)
    q, k = ordinary(rng, ROWS, 3, WIDTH), ordinary(rng, ROWS, KEYS, WIDTH) * 0.25 + 20.0
    operand = with_error(q, spread)
    scores = einsum_up_to_shift(PRODUCT, operand, lift_array(k, F32), -2)
    plain = np.einsum(PRODUCT, operand, lift_array(k, F32))
    assert np.median(scores.full_bound() / plain.full_bound()) < 0.2

    def shares(scores: Any) -> Any:
        e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        y, common = shares_of_sum(e, np.sum(e, axis=-1, keepdims=True))
        return y * common

    bound = shares(scores).full_bound()
    exact = shares(np.einsum(PRODUCT, q, k))

    def subject(rng: Any, torn: bool = False) -> Any:
        near = np.einsum(PRODUCT, off(rng, q, spread), np.float32(k))
        if torn:
            near[..., 0] = np.einsum(PRODUCT, off(rng, q, spread), np.float32(k))[..., 0]
        return shares(near)

    assert 0.05 < worst(subject, exact, bound) <= 1.0 < worst(lambda rng: subject(rng, True), exact, bound)
    assert worst(lambda rng: np.einsum(PRODUCT, off(rng, q, spread), np.float32(k)), np.einsum(PRODUCT, q, k),
                 scores.full_bound()) > 1.0  # fmt: skip
