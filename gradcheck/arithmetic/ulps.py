"""Roundings counted in half ulps of the result itself: up to twice as sharp as u·|result|, for few elements.

fl(x) is a number of the format nearest to x, so |fl(x) - x| is at most half an ulp of x, u·2^⌊log2|x|⌋ (J.-M. Muller et
al., *Handbook of Floating-Point Arithmetic*, 2nd ed., Birkhäuser 2018, §2.3; D. Goldberg, "What Every Computer
Scientist Should Know About Floating-Point Arithmetic", ACM Comput. Surv. 23(1), 1991): u·|x| at a power of two, half of
that just below the next. The published errors of elementary functions are in ulps of the result, too.

x is what the subject would have without this rounding, known to be no larger than |value| + the operands' part of the
bound. Half an ulp never falls as x grows, so that its value there will do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.model import RoundingModel
from gradcheck.formats import Format

__all__ = ["FEW", "binades", "elementary_error", "few", "half_ulps", "held_as_it_is", "with_rounding"]

FEW = 1 << 9
"""Up to so many elements are looked at one by one; of more, roundings are counted by u·|result|, which is faster."""

_FLOATS, _WORDS = np.dtype(np.float64), np.dtype(np.int64)

_EXPONENT_BITS = np.array(0x7FF0000000000000)


def binades(sizes: Any) -> Any:
    """2^⌊log2 size⌋ of float64 sizes ≥ 0; 0 where they are subnormal, inf where they are not finite."""
    return (sizes.view(_WORDS) & _EXPONENT_BITS).view(_FLOATS)


def _reached_binades(model: RoundingModel, sizes: Any) -> Any:
    """The same, where a size less than 2^-14 below a power of two counts as that: it may have been rounded down."""
    return binades(sizes * model.constants.upward)


def few(model: RoundingModel, results: Any) -> bool:
    """Whether each of the results is looked at by itself.

    Not in 16-bit arithmetic: `coarse` kernels round more often than a formula says.
    """
    return bool(results.size <= FEW * model.rows) and not model.low_precision


def half_ulps(model: RoundingModel, sizes: Any) -> Any:
    """The largest error of one rounding of a result up to each size, and of the carrier's: a fresh array, without η.

    In 16-bit arithmetic u·size, as for many elements.
    """
    constants = model.constants
    if model.low_precision:
        return sizes * constants.unit
    errors = _reached_binades(model, sizes)
    errors *= constants.half_ulp
    errors += sizes * constants.own
    return errors


def with_rounding(model: RoundingModel, sizes: Any, first: Any = None, second: Any = None, eta: Any = None) -> Any:
    """The sum of what the operands' bounds come to in the result, of one rounding, and of ``eta``: a fresh array.

    sizes: |value|; first and second: arrays that broadcast to it; None counts as zero.
    """
    if few(model, sizes):
        first = second if first is None else first if second is None else first + second
        second = None
        bound = half_ulps(model, sizes if first is None else sizes + first)
    else:
        bound = sizes * model.constants.unit
    for part in (eta, first, second):
        if part is not None:
            bound += part
    return bound


def elementary_error(model: RoundingModel, name: str, sizes: Any) -> Any:
    """The largest error of one call of an elementary function with results of these sizes: a fresh array, without η."""
    return (_reached_binades(model, sizes) if few(model, sizes) else sizes) * model.elementary(name)


def held_as_it_is(store: Format, value: Any, bound: Any) -> Any:
    """Where a number within ``bound`` of ``value`` is no farther from it once it has been rounded to ``store``: a mask.

    A conversion rounds to the nearest number of the format (IEEE 754, 2019, clause 4.3): what is less than half the gap
    to its neighbours away from a number that lies in the interval becomes that number. Below a power of two the gap is
    half of that above, so a quarter of the gap is asked for, less what float64 rounds here. A sigmoid of 0 is stored as
    1/2, whatever the last digits of a wider format were. bound: None where the number is exact.
    """
    gap = store.ulp(value)
    off = np.abs(np.rint(value / gap) * gap - value)
    return off == 0.0 if bound is None else (off <= bound) & (off + bound < gap * 0.2499)
