"""Roundings in half ulps: as large as a rounding can be, and no larger."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model, stored
from gradcheck.arithmetic.accuracy import largest_error
from gradcheck.arithmetic.functions import before_storing
from gradcheck.arithmetic.ulps import FEW, elementary_error, half_ulps, held_as_it_is, with_rounding
from gradcheck.cases.inputs import Bits
from gradcheck.formats import FORMATS

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


def _stored_anyhow(dtype: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Values, bounds from none to three numbers of the format, and what may be stored of a number within them."""
    form, bits, n = FORMATS[dtype], Bits("stored", dtype), 4000
    value = bits.scaled(form.minimum_exponent - form.precision, 9, n)
    value = np.where(bits.below(3, n) == 0, form.round(value), value)
    bound = form.ulp(value) * (0.5 + bits.unit(n)) * bits.pick([0.0, 2.0**-20, 0.5, 3.0], n)
    nearly = 1.0 - 2.0**-20  # so far that float64 leaves the bound by no rounding of its own
    return value, bound, [value + at * bound for at in (-nearly, -0.5, 0.0, 0.3, nearly)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_is_held_as_it_is_stays_within_its_bound(dtype: str) -> None:
    form = FORMATS[dtype]
    value, bound, numbers = _stored_anyhow(dtype)
    leaves = np.any([np.abs(form.round(number) - value) > bound for number in numbers], axis=0)
    held = held_as_it_is(form, value, bound)
    assert not (held & leaves).any()
    assert held.sum() > 100
    # Planted: the value alone is looked at, or the upper end alone.
    for wrong in (form.round(value) == value, form.round(value + bound) == form.round(value)):
        assert (wrong & leaves).any()
    assert np.array_equal(held_as_it_is(form, value, None), form.round(value) == value)


def test_a_number_of_the_format_that_is_known_well_enough_is_stored_as_it_is() -> None:
    """A sigmoid of 0 is 1/2 in float16, whatever the last digits of float32 were."""
    half = Bounded(np.array([0.5, 0.5, 0.3]), np.array([2.0**-20, 2.0**-12, 0.0]), rounding_model("float16"))
    bounds = stored(half).bound
    assert bounds[0] == 2.0**-20
    assert bounds[1] > 2.0**-12
    assert bounds[2] >= abs(float(np.float16(0.3)) - 0.3)


def test_of_what_pytorch_stored_no_more_is_known_than_that() -> None:
    """A slope that rrelu draws, multiplies by and stores: that is a number of the format, what it drew not."""
    kept = Bounded(np.array([0.75]), None, rounding_model("bfloat16"))
    assert stored(kept).bound[0] == 0.0
    assert before_storing(kept).bound[0] >= 0.75 * 2.0**-8
    assert before_storing(Bounded(np.array([0.75]), None, F32)).bound is None
