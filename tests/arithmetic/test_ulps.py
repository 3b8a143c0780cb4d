"""Roundings in half ulps: as large as a rounding can be, and no larger."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.accuracy import largest_error
from gradcheck.arithmetic.ulps import FEW, elementary_error, half_ulps, with_rounding
from gradcheck.cases.inputs import Bits

F32, F64 = rounding_model("float32"), rounding_model("float64", wide=True)
COARSE = rounding_model("bfloat16", grade="coarse")
SLACK = 1.0 + 2.0**-13
"""By more than bounds are rounded up."""


def midpoints() -> np.ndarray:
    """Halfway between two neighbours of float32: no number is farther from the format."""
    numbers = F32.store.round(np.abs(Bits("midpoints").scaled(-30, 30, 300)))
    return numbers + F32.store.ulp(numbers) / 2.0


def test_no_rounding_is_larger_and_some_are_as_large() -> None:
    x = midpoints()
    errors, allowed = np.abs(F32.work.round(x) - x), half_ulps(F32, x)
    assert (errors <= allowed).all()
    near = x * SLACK < 2.0 ** (np.floor(np.log2(x)) + 1.0)  # below a power of two the next one counts
    assert (allowed <= errors * SLACK)[near].all()
    assert near.mean() > 0.9


def test_a_result_may_be_rounded_where_the_operands_errors_take_it() -> None:
    """2 - 2^-10 ± 2^-9 reaches the binade above 2, where half an ulp is twice as large."""
    value, spread = np.array([2.0 - 2.0**-10]), np.array([2.0**-9])
    assert with_rounding(F32, value, spread)[0] - spread[0] >= 2.0**-23
    assert with_rounding(F32, value, None)[0] <= 2.0**-24 * SLACK
    assert with_rounding(F32, value, spread, spread)[0] - 2.0 * spread[0] >= 2.0**-23


@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_published_errors_are_in_ulps_of_the_result(name: str) -> None:
    sizes = np.array([0.25, 0.3, 0.49, 1.0, 1.9])
    ulps = F32.store.ulp(sizes) * largest_error(name, "cpu")
    allowed = elementary_error(F32, name, sizes)
    assert (ulps <= allowed).all()
    assert (allowed <= ulps * SLACK).all()


@pytest.mark.parametrize(("model", "size"), [(F32, FEW + 1), (COARSE, 3)])
def test_many_elements_and_16_bits_are_counted_by_their_size(model, size) -> None:
    x = Bounded(np.full(size, 1.9), None, model)
    assert (x + 0.0).bound[0] >= 1.9 * model.unit


def test_one_roundoff_too_many_leaves_the_bound() -> None:
    """1.5·(1 + u) as a product: u·|result| alone would let it pass."""
    product = Bounded(np.array([1.25]), None, F64) * Bounded(np.array([1.5]), None, F64)
    roundoff = F64.work.roundoff
    assert product.bound[0] < 1.875 * roundoff < 1.875 * F64.unit
