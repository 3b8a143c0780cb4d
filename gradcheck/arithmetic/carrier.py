"""The floats that values are carried in: float64, and NumPy's widest where a reference for float64 needs more digits.

A bound for a float64 subject would be twice what the subject's own rounding is, if the reference were computed in
float64 too. ``np.longdouble`` has 64 bits of significand on x86 and is quadruple precision on ARM's Linux; where it is
nothing but float64 (Windows, Apple's ARM) there is no wide carrier, and the bound contains float64's own rounding.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from scipy import special

from gradcheck.formats import FORMATS

__all__ = [
    "CARRIER_BITS",
    "HAS_WIDE",
    "IS_X87",
    "OWN_ROUNDOFF",
    "WIDE",
    "WIDE_PI",
    "WIDE_ROUNDOFF",
    "float64_of",
    "peak_of",
    "size_of",
    "wide_erf",
]

WIDE = np.longdouble

CARRIER_BITS = int(np.finfo(WIDE).nmant) + 1

OWN_ROUNDOFF = FORMATS["float64"].roundoff
"""Of a reference that is evaluated in float64: its own rounding is part of every bound."""

HAS_WIDE = CARRIER_BITS in (64, 113)
"""PowerPC's pairs of doubles, with 106 bits, round by no rule that a bound could be built on."""

IS_X87 = CARRIER_BITS == 64 and np.dtype(WIDE).itemsize == 16 and platform.machine().lower() in ("x86_64", "amd64")
"""Whether it is the format of the x87, computed by its instructions."""

WIDE_ROUNDOFF = 2.0**-64
"""Unit roundoff of the wide carrier, or more than that."""

WIDE_PI = WIDE("3.14159265358979323846264338327950288")

_FLOAT64 = np.dtype(np.float64)


def float64_of(number: Any) -> Any:
    """A value, or what was computed from values, in float64, where bounds are: ±inf where it is too large for it.

    As of every rule, NumPy's warning of that is for whoever evaluates a formula to silence.
    """
    return number if number.dtype is _FLOAT64 else number.astype(_FLOAT64)


def size_of(value: Any) -> Any:
    """|value| in float64, as a fresh array."""
    # It rounds alike on either side of zero, and float64's signs are dropped faster.
    return np.abs(value if value.dtype is _FLOAT64 else value.astype(_FLOAT64))


def peak_of(sizes: Any) -> float:
    """The largest of float64 sizes ≥ 0, NaN where one is, 0 for none: finding its place takes a fifth of ``max``."""
    peak: float = sizes.item(sizes.argmax()) if sizes.size else 0.0
    return peak


SERIES_ENDS = 3.0
TERMS = 52
TWO_OVER_ROOT_PI = WIDE("1.12837916709551257389615890312154517")


def wide_erf(x: Any) -> Any:
    """erf(x) in the wide carrier, to 100·2^-63 of the result; same shape as x. SciPy has it in float64 only.

    |x| < 3: 2/√π·x·exp(-x²)·Σ (2x²)^n/(2n + 1)!! (Abramowitz & Stegun 1964, 7.1.6), by Horner's rule. All terms are
    positive and each of 52 steps rounds three times, so that the sum is off by γ_156, and what the exponent loses by
    rounding, 9·2^-64, is less than what is left of 200·2^-64; the first term left out is below 2^-77 of the sum.
    Farther out: 1 - erfc(|x|), of which erfc is good to 5.7e-14 (S. Moshier, Cephes Mathematical Library, ndtr.c) and
    below 2.3e-5.
    """
    x = np.asarray(x, dtype=WIDE)
    near = np.abs(x) < SERIES_ENDS
    inside = np.where(near, x, WIDE(0.0))
    square = inside * inside
    total = np.ones_like(square)
    for n in range(TERMS, 0, -1):
        total = 1.0 + 2.0 * square / (2 * n + 1) * total
    series = TWO_OVER_ROOT_PI * inside * np.exp(-square) * total
    tail = special.erfc(np.abs(x).astype(np.float64))
    return np.where(near, series, np.copysign(1.0 - tail.astype(WIDE), x))[()]
