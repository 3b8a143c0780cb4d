"""Formats: every rounding, step and bit pattern against torch's own conversions and NumPy's."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.cases.inputs import Bits
from gradcheck.errors import UsageError
from gradcheck.formats import FORMATS, Format, format_named

NAMES = tuple(FORMATS)
LOW = ("float16", "bfloat16")


def torch_rounded(values: np.ndarray, name: str) -> np.ndarray:
    """Torch's conversion from float64; through float32 it would round twice."""
    return torch.from_numpy(np.array(values)).to(getattr(torch, name)).to(torch.float64).numpy()


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal numbers with equal signs, NaN equal to NaN."""
    return bool(np.all(((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))))


def hard_values(form: Format) -> np.ndarray:
    """Numbers of the format, midpoints between neighbours, and what lies just beside the midpoints."""
    below = form.maximum_exponent if form.bits < 64 else 300
    numbers = form.round(Bits("numbers", form.name).scaled(form.minimum_exponent - form.precision, below, 3000))
    numbers = numbers[np.isfinite(numbers)]
    middles = (numbers + form.step(numbers, np.array(1))) / 2.0
    middles = middles[np.isfinite(middles)]
    beside = [np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)]
    edges = form.edges()
    return np.concatenate([numbers, middles, *beside, edges, edges * 0.5, edges[np.abs(edges) < 1e300] * 1.5])


@pytest.mark.parametrize("name", NAMES)
def test_the_constants_are_those_of_torch(name: str) -> None:
    form, info = FORMATS[name], torch.finfo(getattr(torch, name))
    assert form.bits == info.bits
    assert form.roundoff == info.eps / 2
    assert form.largest == info.max
    assert form.smallest_normal == info.tiny
    assert form.smallest_subnormal == form.from_bits(np.array([1]))[0]


def test_the_numbers_that_everybody_knows() -> None:
    assert FORMATS["float16"].largest == 65504.0
    assert FORMATS["float16"].smallest_subnormal == 2.0**-24
    assert FORMATS["bfloat16"].roundoff == 1.0 / 256.0
    assert FORMATS["float32"].smallest_normal == 2.0**-126
    assert FORMATS["float64"].roundoff == 2.0**-53


# bfloat16 is left to its bits: torch converts float64 to it through float32, which rounds twice.
@pytest.mark.parametrize("name", ["float64", "float32", "float16"])
def test_rounding_is_that_of_torch_and_numpy(name: str) -> None:
    form = FORMATS[name]
    values = np.concatenate([hard_values(form), [np.inf, -np.inf, np.nan, 0.0, -0.0]])
    rounded = form.round(values)
    with np.errstate(over="ignore"):
        assert same(rounded, values.astype(f"f{form.bits // 8}").astype(np.float64))
    if name != "float16":
        assert same(rounded, torch_rounded(values, name))
    # Torch converts float64 to float16 through float32; of numbers of float32 it makes the same.
    assert same(
        form.round(FORMATS["float32"].round(values)), torch_rounded(FORMATS["float32"].round(values), name)
    ) or (name == "float64")


def test_rounding_to_bfloat16_is_that_of_torch_for_numbers_of_float32() -> None:
    values = FORMATS["float32"].round(hard_values(FORMATS["bfloat16"]))
    assert same(FORMATS["bfloat16"].round(values), torch_rounded(values, "bfloat16"))


@pytest.mark.parametrize("name", NAMES)
def test_rounding_goes_to_the_nearest_and_ties_to_even(name: str) -> None:
    """In exact rational arithmetic, by the definition alone."""
    form = FORMATS[name]
    values = hard_values(form)[::37]
    for value, rounded in zip(values.tolist(), form.round(values).tolist(), strict=True):
        if math.isinf(rounded):
            assert abs(value) >= form.largest
            continue
        error = abs(Fraction(value) - Fraction(rounded))
        for neighbour in form.step(np.array([rounded, rounded]), np.array([1, -1])).tolist():
            if math.isfinite(neighbour):
                other = abs(Fraction(value) - Fraction(neighbour))
                even = form.to_bits(np.array([rounded]))[0] % 2 == 0
                assert error < other or (error == other and even), (value, rounded, neighbour)


@pytest.mark.parametrize("name", LOW)
def test_all_65536_bit_patterns_go_to_numbers_and_back(name: str) -> None:
    form, bits = FORMATS[name], np.arange(65536, dtype=np.uint16)
    values = form.from_bits(bits)
    patterns = torch.from_numpy(bits.view(np.int16)).view(getattr(torch, name))
    assert same(values, patterns.to(torch.float64).numpy())
    numbers = ~np.isnan(values)
    assert np.array_equal(form.to_bits(values)[numbers], bits[numbers])
    assert same(form.round(values), values)


@pytest.mark.parametrize("name", NAMES)
def test_bits_go_to_numbers_and_back(name: str) -> None:
    form = FORMATS[name]
    numbers = form.round(hard_values(form))
    assert same(form.from_bits(form.to_bits(numbers)), numbers)
    assert form.to_bits(np.array([1.0])).dtype == form.bits_type


@pytest.mark.parametrize("name", LOW)
def test_a_step_goes_to_the_next_of_all_numbers(name: str) -> None:
    form = FORMATS[name]
    values = form.from_bits(np.arange(65536))
    line = np.unique(values[np.isfinite(values)])  # ±0 are one place
    assert same(form.step(line[:-1], np.array(1)) + 0.0, line[1:])
    assert same(form.step(line[1:], np.array(-1)) + 0.0, line[:-1])
    assert same(form.step(line[:-7], np.array(7)) + 0.0, line[7:])


@given(st.floats(-1e30, 1e30), st.integers(-1000, 1000))
def test_steps_in_float32_are_those_of_nextafter(value: float, steps: int) -> None:
    number = np.float32(value)
    expected = number
    for _ in range(min(abs(steps), 20)):
        expected = np.nextafter(expected, np.float32(np.copysign(np.inf, steps)))
    few = int(np.copysign(min(abs(steps), 20), steps))
    assert FORMATS["float32"].step(np.float64(number), np.array(few)) == np.float64(expected)


@pytest.mark.parametrize("name", NAMES)
def test_an_ulp_is_the_gap_to_the_next_number(name: str) -> None:
    form = FORMATS[name]
    numbers = form.round(hard_values(form))
    numbers = numbers[np.isfinite(numbers) & (np.abs(numbers) < form.largest)]
    away = form.step(np.abs(numbers), np.array(1)) - np.abs(numbers)
    assert np.array_equal(form.ulp(numbers), away)
    assert form.ulp(np.array(1.0)) == 2.0 * form.roundoff
    assert form.ulp(np.array(0.0)) == form.smallest_subnormal


@pytest.mark.parametrize("name", NAMES)
def test_edges_are_numbers_of_the_format_with_both_signs_and_their_neighbours(name: str) -> None:
    form = FORMATS[name]
    edges = form.edges()
    assert same(form.round(edges), edges)
    assert np.isfinite(edges).all()
    assert set(edges) == set(-edges)
    for point in (form.largest, form.smallest_normal, form.smallest_subnormal, 1.0, 0.5):
        assert point in edges
        for neighbour in form.step(np.array([point, point]), np.array([1, -1])):
            assert neighbour in edges or not np.isfinite(neighbour), (point, neighbour)
    # The last number whose square is finite, and the last whose exponential is.
    with np.errstate(over="ignore"):
        assert any(np.isfinite(form.round(e * e)) and np.isinf(form.round(n * n)) for e, n in _pairs(form))
        assert any(np.isfinite(form.round(np.exp(e))) and np.isinf(form.round(np.exp(n))) for e, n in _pairs(form))


def _pairs(form: Format) -> list[tuple[np.float64, np.float64]]:
    """Edges that are neighbours of each other."""
    positive = np.sort(form.edges()[form.edges() > 0])
    nexts = form.step(positive, np.array(1))
    return [(e, n) for e, n in zip(positive, nexts, strict=True) if n in positive]


@pytest.mark.parametrize("name", NAMES)
def test_a_format_holds_its_numbers_and_no_others(name: str) -> None:
    form = FORMATS[name]
    assert all(form.holds(float(edge)) for edge in form.edges())
    assert form.holds(math.nan)
    assert form.holds(math.inf)
    if name != "float64":
        assert not form.holds(1.0 + form.roundoff)
        assert not form.holds(form.smallest_subnormal / 2)


def test_an_unknown_format_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"dtype 'float8' is not known; expected float64, float32, float16 or bfloat16\."
    ):
        format_named("float8")
