"""Rule tables of the dual numbers: the derivative of each NumPy or SciPy function, as autograd has it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from gradcheck.arithmetic.dual import (
    Dual,
    level_of,
    minus,
    moves,
    moves_everywhere,
    plus,
    primal_of,
    rows_of,
    tangent_of,
    ties_are_open,
)
from gradcheck.arithmetic.functions import number, pi
from gradcheck.arithmetic.mask import Mask, either
from gradcheck.errors import MissingRuleError

__all__: list[str] = []


def _rule(tangent: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """A ufunc's rule from ``tangent(y, *primals, *tangents)``, y being the value."""

    def rule(*operands: Any) -> Dual:
        level = level_of(*operands)
        primals = [primal_of(operand, level) for operand in operands]
        value = function(*primals)
        return Dual(value, tangent(value, *primals, *(tangent_of(operand, level) for operand in operands)), level)

    return rule


def _unary(function: Callable[[Any], Any], slope: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return _rule(lambda y, x, dx: slope(y, x) * dx, function)


def _bilinear(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Product rule; a constant factor costs no term."""

    def rule(a: Any, b: Any) -> Dual:
        level = level_of(a, b)
        x, y = primal_of(a, level), primal_of(b, level)
        terms = []
        if moves(a, level):
            terms.append(function(a.tangent, y))
        if moves(b, level):
            terms.append(function(x, b.tangent))
        return Dual(function(x, y), terms[0] if len(terms) == 1 else plus(*terms), level)

    return rule


def _additive(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return _rule(lambda y, a, b, da, db: function(da, db), function)


def _quotient(a: Any, b: Any) -> Dual:
    """(da - y·db)/b of y = a/b; what is constant costs no term."""
    level = level_of(a, b)
    divisor = primal_of(b, level)
    y = primal_of(a, level) / divisor
    if not moves(b, level):
        return Dual(y, a.tangent / divisor, level)
    turned = y * b.tangent
    return Dual(y, (minus(a.tangent, turned) if moves(a, level) else -turned) / divisor, level)


def _possible(mask: Any) -> bool:
    return bool(np.any(mask.__gradcheck_possible__() if isinstance(mask, Mask) else mask))


def _comparison(compare: Any) -> Callable[[Any, Any], Any]:
    def rule(a: Any, b: Any) -> Any:
        level = level_of(a, b)
        x, y = primal_of(a, level), primal_of(b, level)
        outcome = compare(x, y)
        if not ties_are_open():
            return outcome
        ties = np.equal(x, y)
        if not moves_everywhere(a, b) and _possible(ties):
            raise MissingRuleError("a tie is open in those rows of a batch alone in which a side of it moves.")
        return either(outcome, ties)

    return rule


def _where(mask: Any, a: Any, b: Any) -> Dual:
    level = level_of(a, b)
    primal = np.where(mask, primal_of(a, level), primal_of(b, level))
    return Dual(primal, np.where(mask, tangent_of(a, level), tangent_of(b, level)), level)


def _extremum(function: Callable[[Any, Any], Any], wins: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Maximum or minimum of two; a tie gives half of each tangent, as PyTorch does.

    PyTorch writes the winner's tangent as da = db + (da - db), which loses the digits of a small one. With one constant
    number it is ``torch.clamp``, where a tie passes the whole tangent on.
    """

    def between(x: Any, y: Any, d: Any) -> Any:
        """``d`` where x wins over y, half of it at a tie."""
        return np.where(x == y, 0.5 * d, np.where(wins(x, y), d, np.zeros_like(d)))

    def rule(a: Any, b: Any) -> Dual:
        level = level_of(a, b)
        x, y = primal_of(a, level), primal_of(b, level)
        if not moves(a, level):
            tangent = between(y, x, b.tangent)
        elif moves(b, level):
            if rows_of(a.tangent) != rows_of(b.tangent):
                raise a._missing(f"{function.__name__} of numbers that move in different rows", {})
            tangent = b.tangent + between(x, y, a.tangent - b.tangent)
        elif isinstance(b, Dual) or np.ndim(b):
            tangent = between(x, y, a.tangent)
        else:
            tangent = np.where(wins(y, x), np.zeros_like(a.tangent), a.tangent)
        return Dual(function(x, y), tangent, level)

    return rule


def _reduce_extremum(function: Callable[..., Any]) -> Callable[..., Any]:
    """Maximum or minimum over axes; ties share the tangent evenly."""

    def rule(a: Dual, axis: Any = None, keepdims: bool = False) -> Dual:
        chosen = np.where(a.primal == function(a.primal, axis=axis, keepdims=True), number(1.0, a.primal), 0.0)
        share = chosen / np.sum(chosen, axis=axis, keepdims=True)
        tangent = np.sum(share * a.tangent, axis=axis, keepdims=keepdims)
        return Dual(function(a.primal, axis=axis, keepdims=keepdims), tangent, a.level)

    return rule


def _linear(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, *args, **kwargs: a._linear(lambda part: function(part, *args, **kwargs))


def _einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Any:
    return _bilinear(lambda x, y: np.einsum(subscripts, x, y, optimize=optimize))(a, b)


def _power(a: Any, b: Any) -> Any:
    if isinstance(b, float | int) and b == 2:
        return _bilinear(operator.mul)(a, a)
    level = level_of(a, b)
    x, y = primal_of(a, level), primal_of(b, level)
    value, tangent = np.power(x, y), None
    if moves(a, level):
        constant = isinstance(y, float | int) and y == 0
        tangent = np.zeros_like(a.tangent) if constant else y * np.power(x, y - 1.0) * a.tangent
    if moves(b, level):
        turned = value * np.log(x) * b.tangent
        tangent = turned if tangent is None else plus(tangent, turned)
    return Dual(value, tangent, level)


Dual.ufuncs |= {
    np.add: _additive(operator.add),
    np.subtract: _additive(operator.sub),
    np.multiply: _bilinear(operator.mul),
    np.true_divide: _quotient,
    np.negative: _rule(lambda y, x, dx: -dx, np.negative),
    np.positive: _rule(lambda y, x, dx: dx, np.positive),
    np.absolute: _unary(np.absolute, lambda y, x: np.sign(x)),
    np.sign: _rule(lambda y, x, dx: np.zeros_like(dx), np.sign),
    np.square: lambda a: _bilinear(operator.mul)(a, a),
    np.power: _power,
    np.sqrt: _rule(lambda y, x, dx: dx / (2.0 * y), np.sqrt),
    np.exp: _unary(np.exp, lambda y, x: y),
    np.expm1: _unary(np.expm1, lambda y, x: y + 1.0),
    np.log: _rule(lambda y, x, dx: dx / x, np.log),
    np.log1p: _rule(lambda y, x, dx: dx / (1.0 + x), np.log1p),
    np.tanh: _unary(np.tanh, lambda y, x: 1.0 - y * y),
    np.cos: _unary(np.cos, lambda y, x: -np.sin(x)),
    np.sin: _unary(np.sin, lambda y, x: np.cos(x)),
    special.erf: _unary(special.erf, lambda y, x: 2.0 / np.sqrt(pi(x)) * np.exp(-(x * x))),
    special.log_expit: _unary(special.log_expit, lambda y, x: special.expit(-x)),
    special.expit: _unary(special.expit, lambda y, x: y * (1.0 - y)),
    np.maximum: _extremum(np.maximum, np.greater),
    np.minimum: _extremum(np.minimum, np.less),
    np.matmul: _bilinear(np.matmul),
    np.isnan: lambda a: np.isnan(a.primal),
} | {
    compare: _comparison(compare)
    for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
}
Dual.functions |= {
    np.where: _where,
    np.sum: _linear(np.sum),
    np.mean: _linear(np.mean),
    np.max: _reduce_extremum(np.max),
    np.min: _reduce_extremum(np.min),
    np.einsum: _einsum,
    np.zeros_like: lambda a: np.zeros_like(a.primal),
    np.ones_like: lambda a: np.ones_like(a.primal),
}


def _reversed(rule: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: rule(b, a)


# No arithmetic carries dual numbers but themselves, so that operators need not ask NumPy which rule holds.
for _name, _ufunc in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("truediv", np.true_divide)):
    setattr(Dual, f"__{_name}__", Dual.ufuncs[_ufunc])
    setattr(Dual, f"__r{_name}__", _reversed(Dual.ufuncs[_ufunc]))
