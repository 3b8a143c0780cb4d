"""A machine: its numbers are of its format, its errors at most a roundoff, and many as large as that."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.arithmetic import rounding_model
from gradcheck.arithmetic.machine import CARRIER_BITS, WIDE, Machine
from gradcheck.cases.inputs import Bits
from gradcheck.formats import FORMATS, Format

NAMES = tuple(FORMATS)
INF, NAN = math.inf, math.nan


def coarse(dtype: str, random: bool = True) -> Machine:
    """A machine that computes in the format itself."""
    return Machine(rounding_model(dtype, grade="coarse"), Bits("machine", dtype).below, random=random)


def samples(form: Format) -> np.ndarray:
    top = min(form.maximum_exponent - 1, 200)
    return Bits("samples", form.name).scaled(max(form.minimum_exponent - 3, -200), top, 4000)


@pytest.mark.parametrize("name", NAMES)
def test_to_nearest_is_the_rounding_of_the_format(name: str) -> None:
    form = FORMATS[name]
    with np.errstate(all="ignore"):
        values = np.concatenate([samples(form), form.edges(), form.edges() * 1.25, [INF, -INF, NAN, 0.0, -0.0]])
        rounded = coarse(name, random=False).work(values).astype(np.float64)
        expected = form.round(values)
    assert np.array_equal(rounded, expected, equal_nan=True)
    assert np.array_equal(np.signbit(rounded), np.signbit(expected))


@pytest.mark.parametrize("name", NAMES)
def test_at_random_no_error_exceeds_a_roundoff_and_some_come_near_it(name: str) -> None:
    form = FORMATS[name]
    exact = samples(form).astype(WIDE) * (1 + WIDE(2.0) ** -60 * 12345)
    errors = (coarse(name).work(exact) - exact) / np.abs(exact)
    normal = np.abs(exact) >= form.smallest_normal
    largest = WIDE(form.roundoff) * (1 + WIDE(2.0) ** -9)  # the carrier has eleven bits more than float64
    assert np.max(np.abs(errors[normal])) <= largest
    assert np.max(errors) > 0.9 * form.roundoff
    assert np.min(errors) < -0.9 * form.roundoff
    assert np.max(np.abs(coarse(name).work(exact) - exact)[~normal], initial=0.0) <= form.smallest_subnormal / 2.0


def test_the_carrier_is_wide_enough_for_float64_at_random_here() -> None:
    """On x86 and ARM Linux; elsewhere float64 is rounded to nearest, which the class says."""
    assert CARRIER_BITS >= 64


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_the_format_are_not_rounded(name: str) -> None:
    numbers = FORMATS[name].edges()
    assert np.array_equal(coarse(name).work(numbers), numbers)
