"""The floating-point formats that PyTorch computes in: their limits, their roundings, their named edges.

Everything here is NumPy and exact. bfloat16 has no NumPy dtype, so a value of any format is carried in float64,
which holds every number of the four formats, and its bits in an unsigned integer of the format's width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from gradcheck.errors import UsageError, choices

__all__ = ["FORMATS", "Format", "format_named"]

_EXPONENT_BITS = np.int64(0x7FF0000000000000)


@dataclass(frozen=True)
class Format:
    """A binary floating-point format with subnormals.

    precision: significand bits, the hidden one counted; maximum_exponent: of the largest number, in [1, 2)·2^e.
    """

    name: str
    bits: int
    precision: int
    maximum_exponent: int

    @cached_property
    def roundoff(self) -> float:
        """The unit roundoff u = 2^-precision: half the gap above 1."""
        return math.ldexp(1.0, -self.precision)

    @cached_property
    def minimum_exponent(self) -> int:
        return 1 - self.maximum_exponent

    @cached_property
    def smallest_normal(self) -> float:
        return math.ldexp(1.0, self.minimum_exponent)

    @cached_property
    def smallest_subnormal(self) -> float:
        return math.ldexp(1.0, self.minimum_exponent - self.precision + 1)

    @cached_property
    def largest(self) -> float:
        return math.ldexp(2.0 - 2.0 * self.roundoff, self.maximum_exponent)

    @property
    def bits_type(self) -> np.dtype:
        return np.dtype(f"u{self.bits // 8}")

    def round(self, values: np.ndarray) -> np.ndarray:
        """The nearest numbers of this format (ties to even), as float64 of the same shape; overflow gives ±inf."""
        values = np.asarray(values, dtype=np.float64)
        if self.name == "float64":
            return values
        # The gap between neighbours at each value, a power of two: dividing by it, rounding to an integer and
        # multiplying back are exact, so this is one correct rounding, in the subnormal range as well.
        gap = self.ulp(values)
        with np.errstate(invalid="ignore", over="ignore"):
            rounded = np.where(np.isfinite(values), np.rint(values / gap) * gap, values)
            return np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, rounded), rounded)

    def holds(self, value: float) -> bool:
        """Whether ``value`` is a number of this format."""
        return math.isnan(value) or float(self.round(np.float64(value))) == value

    def ulp(self, values: np.ndarray) -> np.ndarray:
        """The gap to the next number away from zero, at each (finite) value."""
        # Without its sign and its significand, a float64 is the power of two below it (0 if subnormal): np.frexp and
        # np.ldexp find it too, ten times as slowly.
        binade = (np.asarray(values, dtype=np.float64).view(np.int64) & _EXPONENT_BITS).view(np.float64)
        return np.maximum(binade, self.smallest_normal) * (2.0 * self.roundoff)

    def from_bits(self, bits: np.ndarray) -> np.ndarray:
        """The numbers, in float64, that bit patterns (unsigned integers) stand for."""
        bits = np.asarray(bits)
        if self.name == "bfloat16":
            with np.errstate(invalid="ignore"):  # signalling NaNs among the bit patterns
                return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        with np.errstate(invalid="ignore"):
            return bits.astype(self.bits_type).view(f"f{self.bits // 8}").astype(np.float64)

    def to_bits(self, values: np.ndarray) -> np.ndarray:
        """The bit patterns of numbers of this format; the inverse of :meth:`from_bits` (NaN payloads aside)."""
        values = np.ascontiguousarray(values, dtype=np.float64)
        with np.errstate(over="ignore"):
            if self.name == "bfloat16":
                return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
            return values.astype(f"f{self.bits // 8}").view(self.bits_type)

    def step(self, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The numbers ``steps`` places further up the format's number line (down where negative)."""
        bits = self.to_bits(self.round(values)).astype(np.int64)
        sign = np.int64(1) << (self.bits - 1) if self.bits < 64 else np.int64(np.iinfo(np.int64).min)
        ordinal = np.where(bits & sign != 0, -(bits & ~sign), bits)
        ordinal = ordinal + np.asarray(steps, dtype=np.int64)
        magnitude = np.abs(ordinal).astype(np.uint64)
        return np.copysign(self.from_bits(magnitude.astype(self.bits_type)), ordinal)

    def edges(self) -> np.ndarray:
        """The named edges: zeros, limits, where square, reciprocal and exponential leave the range, powers of two.

        Each comes with both signs and with its two neighbours.
        """
        return _edges(self)


@cache
def _edges(form: Format) -> np.ndarray:
    last_square = math.sqrt(form.largest)
    first_square = math.sqrt(form.smallest_subnormal)
    points = [
        form.smallest_subnormal,
        form.smallest_normal,
        form.largest,
        last_square,
        first_square,
        math.sqrt(form.smallest_normal),
        1.0 / form.largest if 1.0 / form.largest else form.smallest_subnormal,
        math.log(form.largest),
        -math.log(form.smallest_normal),
        -math.log(form.smallest_subnormal),
        form.roundoff,
        0.25,
        0.5,
        1.0,
        2.0,
        4.0,
        1.0 / form.roundoff,
    ]
    middle = form.round(np.array(points))
    with np.errstate(over="ignore"):
        around = np.concatenate([middle, form.step(middle, np.array(1)), form.step(middle, np.array(-1))])
    around = around[np.isfinite(around) & (around > 0)]
    unique = np.unique(around)
    return np.concatenate([[0.0, -0.0], unique, -unique])


FORMATS = {
    form.name: form
    for form in (
        Format("float64", 64, 53, 1023),
        Format("float32", 32, 24, 127),
        Format("float16", 16, 11, 15),
        Format("bfloat16", 16, 8, 127),
    )
}


def format_named(name: str) -> Format:
    """The format called ``name``; raises UsageError for any other name."""
    if name not in FORMATS:
        raise UsageError(f"dtype {name!r} is not known; expected {choices(FORMATS)}.")
    return FORMATS[name]
