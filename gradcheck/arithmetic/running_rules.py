"""Rule tables of the running error arithmetic: which rule answers for which NumPy or SciPy function.

Every rule encloses the set of results over the operands' intervals, and adds its own rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from gradcheck.arithmetic.mask import Mask
from gradcheck.arithmetic.running import Bounded
from gradcheck.arithmetic.running_choice import extremum, mask_where, reduce_extremum, ties_for_largest, where
from gradcheck.arithmetic.running_comparison import comparison, is_nan, refuse_mask_arithmetic
from gradcheck.arithmetic.running_contractions import einsum, matmul
from gradcheck.arithmetic.running_deviations import reciprocal_deviation
from gradcheck.arithmetic.running_elementary import erf, expit, log_expit, nearest_to_zero, sinc, smooth, tanh
from gradcheck.arithmetic.running_operands import binary, unary
from gradcheck.arithmetic.running_operators import (
    add,
    divide,
    multiply,
    power,
    same_error,
    sign,
    sqrt,
    square,
    subtract,
)
from gradcheck.arithmetic.running_parts import einsum_up_to_shift, parted, reunited
from gradcheck.arithmetic.running_reductions import mean, sum_of
from gradcheck.arithmetic.running_shares import share_slope, shared, shares_of_sum
from gradcheck.arithmetic.running_slopes import expit_slope

__all__: list[str] = []


def _filled(number: float) -> Callable[[Any], Bounded]:
    return lambda a: Bounded(np.full(np.shape(a), number, dtype=a.model.carrier), None, a.model)


Bounded.ufuncs |= {
    np.add: binary(add),
    np.subtract: binary(subtract),
    np.multiply: binary(multiply),
    np.true_divide: binary(divide),
    np.negative: same_error(np.negative),
    np.positive: same_error(np.positive),
    np.absolute: same_error(np.abs),
    np.sign: unary(sign),
    np.square: unary(square),
    np.power: binary(power),
    np.sqrt: unary(sqrt),
    np.exp: smooth(np.exp, "exp", lambda v, d, y: y * np.exp(d)),
    np.expm1: smooth(np.expm1, "expm1", lambda v, d, y: np.exp(v + d)),
    np.log: smooth(np.log, "log", lambda v, d, y: 1.0 / (v - d), pole=0.0),
    np.log1p: smooth(np.log1p, "log1p", lambda v, d, y: 1.0 / (1.0 + v - d), pole=-1.0),
    np.tanh: unary(tanh),
    np.cos: smooth(np.cos, "cos", lambda v, d, y: np.minimum(np.abs(np.sin(v)) + d, 1.0)),
    np.sin: smooth(np.sin, "sin", lambda v, d, y: np.minimum(np.abs(np.cos(v)) + d, 1.0)),
    special.erf: smooth(erf, "erf", lambda v, d, y: 2 / np.sqrt(np.pi) * np.exp(-(nearest_to_zero(v, d) ** 2))),
    special.expit: unary(expit),
    special.log_expit: unary(log_expit),
    np.maximum: extremum(np.maximum),
    np.minimum: extremum(np.minimum),
    np.less: comparison(np.less),
    np.less_equal: comparison(np.less_equal),
    np.greater: comparison(np.greater),
    np.greater_equal: comparison(np.greater_equal),
    np.equal: comparison(np.equal),
    np.not_equal: comparison(np.not_equal),
    np.isnan: unary(is_nan),
    np.matmul: matmul,
}
Bounded.functions |= {
    np.where: where,
    np.sum: sum_of,
    np.mean: mean,
    np.max: reduce_extremum(np.max),
    np.min: reduce_extremum(np.min),
    np.einsum: einsum,
    np.zeros_like: _filled(0.0),
    np.ones_like: _filled(1.0),
}
Mask.functions[np.where] = mask_where


def _sum_over_batch(a: Bounded, axis: Any, keepdims: bool) -> Bounded:
    return sum_of(a, axis, keepdims, blocks=a.model.blocks)


# Bounded cannot have these as methods: their rules stand upon it.
for _name, _rule in {
    "sum_over_batch": _sum_over_batch,
    "ties_for_largest": ties_for_largest,
    "sinc": sinc,
    "einsum_up_to_shift": einsum_up_to_shift,
    "expit_slope": expit_slope,
    "reciprocal_deviation": reciprocal_deviation,
    "parted": parted,
    "reunited": reunited,
    "share_slope": share_slope,
    "shared": shared,
    "shares_of_sum": shares_of_sum,
}.items():
    setattr(Bounded, f"__gradcheck_{_name}__", _rule)
for _ufunc in (np.add, np.subtract, np.multiply, np.true_divide):
    Mask.ufuncs[_ufunc] = refuse_mask_arithmetic
