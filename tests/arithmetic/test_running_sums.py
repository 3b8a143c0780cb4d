"""Sums in the worst order: no tree of additions rounds by more, and the largest first rounds by just as much."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.arithmetic import Bounded, RoundingModel, rounding_model
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.model import LAMBDA
from gradcheck.arithmetic.running_sums import ORDERED_ELEMENTS, in_worst_order
from gradcheck.cases.inputs import Bits
from gradcheck.certify.bounds import MODELS

F32, F64 = rounding_model("float32"), rounding_model("float64")


def half_ulp(size: Fraction) -> Fraction:
    """In float32, of a number ≥ 0, by trying powers of two."""
    power = Fraction(1, 1 << 20)
    while 2 * power <= size:
        power *= 2
    return power / (1 << 24) if size else Fraction(0)


def most_over_all_trees(terms: list[float], power: int, growth: Fraction = Fraction(1)) -> Fraction:
    """The largest Σ (half an ulp of each partial sum)^power over all ways to add, by trying each split of each subset.

    growth: by how much partial sums may be larger than the sums of their terms.
    """
    exact = [Fraction(term) for term in terms]

    @functools.cache
    def most(chosen: int) -> Fraction:
        if chosen & (chosen - 1) == 0:
            return Fraction(0)
        own = half_ulp(growth * sum(term for i, term in enumerate(exact) if chosen >> i & 1)) ** power
        best, part = Fraction(0), (chosen - 1) & chosen
        while part:
            best = max(best, most(part) + most(chosen ^ part))
            part = (part - 1) & chosen
        return own + best

    return most((1 << len(exact)) - 1)


GROWN = Fraction(1) + Fraction(1, 1 << 13)
"""Bounds are rounded up by half of this, and allow for the partial sums' own roundings."""


def of_one_sum(model: RoundingModel, terms: Any) -> float:
    return float(in_worst_order(model, np.asarray(terms, dtype=np.float64), None, False, exact=True))


def equal(got: float, expected: float, model: RoundingModel, terms: int) -> bool:
    """But for γ_n, which the partial sums' own roundings add, and a few roundings of float64."""
    return expected * (1.0 - 2.0**-50) <= got <= expected * (1.0 + 2.0 * terms * model.unit + 2.0**-50)


SIZES = st.lists(st.integers(0, 2000).map(lambda k: k / 16), min_size=3, max_size=7)


@given(SIZES)
def test_no_tree_of_additions_rounds_by_more(terms: list[float]) -> None:
    least, most = (float(most_over_all_trees(terms, 1, growth)) for growth in (Fraction(1), GROWN))
    assert least <= of_one_sum(F32, terms) <= most * float(GROWN)


@given(SIZES)
def test_no_tree_has_larger_squares_of_roundings(terms: list[float]) -> None:
    """Zeros beside the terms make it a sum of many, and change no partial sum but that of all."""
    zeros = 20
    least, most = (
        LAMBDA * math.sqrt(most_over_all_trees(terms, 2, growth) + zeros * half_ulp(growth * Fraction(sum(terms))) ** 2)
        for growth in (Fraction(1), GROWN)
    )
    certain = of_one_sum(F32, terms) + zeros * float(half_ulp(GROWN * Fraction(sum(terms))))
    got = of_one_sum(F32, [*terms, *[0.0] * zeros])
    assert min(least, certain) <= got * float(GROWN)
    assert got <= min(most, certain * float(GROWN)) * float(GROWN)


def test_another_order_would_be_too_small() -> None:
    """The smallest first, as one would add for accuracy."""
    terms = [16.0, 1.0, 1.0, 1.0]
    ascending = sum(float(half_ulp(Fraction(partial))) for partial in np.cumsum(sorted(terms))[1:])
    assert ascending < 0.5 * of_one_sum(F32, terms)


@pytest.mark.parametrize("terms", [3, 16, 17, 200])
def test_equal_terms_take_half_of_the_bound_that_knows_their_number_alone(terms: int) -> None:
    share = of_one_sum(F64, np.ones(terms)) / (terms * F64.sum_factor(terms))
    assert share < (0.84 if terms == 3 else 0.63)


@pytest.mark.parametrize("scale", [-1070, -600, 600, 1010])
@pytest.mark.parametrize("terms", [4, 40])
def test_sums_of_very_small_and_large_numbers_keep_their_bound(scale: int, terms: int) -> None:
    sizes = np.arange(1.0, terms + 1.0)
    scaled = of_one_sum(F32, np.ldexp(sizes, scale))
    assert equal(scaled, float(np.ldexp(of_one_sum(F32, sizes), scale)), F32, 0) or scale == -1070


@pytest.mark.parametrize("terms", [4, 40])
def test_what_is_not_finite_promises_nothing(terms: int) -> None:
    for special in (np.inf, np.nan):
        got = of_one_sum(F32, [special, *[1.0] * (terms - 1)])
        assert not math.isfinite(got)
    with np.errstate(all="ignore"):
        assert float(np.sum(Bounded(np.array([np.inf, *[1.0] * (terms - 1)]), None, F32)).bound) == 0.0


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (1,), (-1, 0), (0, 1, 2), None])
@pytest.mark.parametrize("keepdims", [False, True])
def test_each_sum_has_its_own_terms(axis: Any, keepdims: bool) -> None:
    sizes = np.abs(Bits("sums").scaled(-3, 3, 60)).reshape(3, 4, 5)
    got = in_worst_order(F32, sizes, axis, keepdims)
    plain = np.sum(sizes, axis=axis, keepdims=keepdims)
    assert np.shape(got) == np.shape(plain)
    axes = tuple(range(3)) if axis is None else tuple(a % 3 for a in (axis if isinstance(axis, tuple) else (axis,)))
    kept = [a for a in range(3) if a not in axes]
    for place in np.ndindex(*(sizes.shape[a] for a in kept)):
        index: list[Any] = [slice(None)] * 3
        for a, i in zip(kept, place, strict=True):
            index[a] = i
        expected = of_one_sum(F32, sizes[tuple(index)].ravel())
        assert equal(float(np.reshape(got, [sizes.shape[a] for a in kept])[place]), expected, F32, 0)


@pytest.mark.parametrize(("dtype", "grade"), MODELS)
@pytest.mark.parametrize("terms", [3, 16, 17, 150])
@pytest.mark.parametrize("order", ["largest first", "as they come"])
def test_sums_with_every_rounding_at_random_stay_within(dtype: str, grade: str, terms: int, order: str) -> None:
    model = rounding_model(dtype, grade=grade)
    sizes = model.store.round(np.abs(Bits("worst", terms).scaled(-4, 2, 200 * terms)).reshape(200, terms))
    sizes = -np.sort(-sizes, axis=1) if order == "largest first" else sizes
    bound = np.sum(Bounded(sizes, None, model), axis=1)
    got = Machine(model, Bits("adding", terms).below).sum(sizes)
    outside = np.abs(got - bound.value) > bound.bound
    assert outside.mean() <= 0.01  # the stated probability is 1e-3 for each
    if terms <= 16:
        assert not outside.any()


def test_many_terms_are_not_put_in_order() -> None:
    terms = ORDERED_ELEMENTS + 1
    assert float(np.sum(Bounded(np.ones(terms), None, F32)).bound) == terms * F32.sum_factor(terms)
    assert float(np.sum(Bounded(np.ones(terms - 1), None, F32)).bound) < 0.63 * terms * F32.sum_factor(terms)


def test_no_sums_at_all_have_no_terms_to_put_in_order() -> None:
    assert np.sum(Bounded(np.ones((0, 5)), None, F32), axis=1).shape == (0,)


# Tiny beside the sum, and no multiple of its spacing: what is rounded off is the same each time.
ALIKE = np.array([3000.0, *np.full(250, np.float32(0.3553))])


def added_one_by_one(terms: np.ndarray) -> float:
    """The error of the sum in float32."""
    exact = sum((Fraction(float(term)) for term in terms), Fraction(0))
    return abs(float(Fraction(float(np.add.accumulate(terms.astype(np.float32))[-1])) - exact))


@pytest.mark.parametrize("rows", [1, 8], ids=["few", "sampled"])
@pytest.mark.parametrize("spread", [0.0, 1e-7], ids=["equal", "nearly equal"])
def test_like_terms_are_rounded_alike(rows: int, spread: float) -> None:
    """The probable bound of independent roundings does not hold; that of roundings of a cell does."""
    terms = np.concatenate([ALIKE[:1], ALIKE[1:] * (1.0 + spread * np.abs(Bits("near").scaled(-1, 1, 250)))])
    terms = terms.astype(np.float32).astype(np.float64)
    stacked = np.stack([terms] * rows)
    error, independent = added_one_by_one(terms), LAMBDA * math.sqrt(250) * float(half_ulp(Fraction(3000)))
    assert independent < error
    for own in (None, np.zeros(stacked.shape)):
        bound = np.sum(Bounded(stacked, own, F32), axis=1).bound
        assert (error <= bound).all()
        assert (bound <= 250 * F32.unit * terms.sum()).all()


def test_each_cell_counts_by_itself() -> None:
    """Cells of 1, 20 and 40 terms beside a large one: √(1² + 20² + 40²)·h."""
    sizes = [3000.0, 0.1, *[0.2] * 20, *[0.3] * 40]
    h = float(half_ulp(Fraction(3000)))
    assert equal(of_one_sum(F32, sizes), 61.0 * h * float(GROWN) ** 0.5, F32, 62)
    sizes += [0.001 * k + 0.0004 for k in range(400, 900)]  # all apart
    assert equal(
        of_one_sum(F32, sizes), LAMBDA * math.sqrt(1 + 20**2 + 40**2 + 500) * h * float(GROWN) ** 0.5, F32, 562
    )


def test_what_is_tiny_loses_no_more_than_itself() -> None:
    """All of it, for certain, where it is added to a large sum; in the first cell as elsewhere."""
    h = float(half_ulp(Fraction(3000)))
    sizes = np.array([3000.0, *[0.375 * h] * 100, *[0.001 * k + 0.0004 for k in range(400, 900)]], dtype=np.float32)
    least = LAMBDA * math.sqrt(37.5**2 + 500) * h
    assert least <= of_one_sum(F32, sizes) <= least * float(GROWN)
    one_by_one = np.full(101, 0.375 * h, dtype=np.float32)
    one_by_one[0] = 3000.0
    assert added_one_by_one(one_by_one.astype(np.float64)) <= of_one_sum(F32, one_by_one)


@pytest.mark.parametrize("added", [0.0, 2.0], ids=["zero", "multiples of the spacing"])
def test_what_is_added_exactly_is_not_alike(added: float) -> None:
    apart = [3000.0, *np.arange(400.0, 500.0) / 1000.0]
    several = of_one_sum(F32, [*apart, *[added] * 200])
    assert several < LAMBDA * math.sqrt(300) * float(half_ulp(Fraction(3000))) * float(GROWN) ** 2
    stacked = np.tile([*apart, *[added] * 200], (4, 1))
    assert (np.sum(Bounded(stacked, None, F32), axis=1).bound == stacked.sum(axis=1) * F32.sum_factor(301)).all()
