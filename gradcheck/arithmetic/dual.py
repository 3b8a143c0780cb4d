"""Dual numbers: a value and its derivative along a direction, over any other arithmetic.

The components are float64 arrays, bounded numbers, balls, or dual numbers of a lower level (second derivatives). The
rule of each primitive is the derivative formula that automatic differentiation uses for that node: tanh' = 1 - y² from
the value y, not a formula of another form, since the two round differently.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np
from scipy import special

from gradcheck.arithmetic.along import Along, beside
from gradcheck.arithmetic.functions import (
    as_dtype,
    detached,
    dtype_of,
    fixed,
    node,
    number,
    pi,
    routed,
    stored,
    sum_over_batch,
    ties_for_largest,
    unrounded,
    written_over,
)
from gradcheck.arithmetic.mask import either
from gradcheck.arithmetic.protocol import Composite
from gradcheck.errors import MissingRuleError

__all__ = ["Dual", "expanded_nodes", "primal_of", "tangent_of", "ties_open"]


_open_ties: ContextVar[bool] = ContextVar("open_ties", default=False)


@contextmanager
def ties_open() -> Iterator[None]:
    """Within this context a comparison of equal numbers may go either way: ``np.where`` takes the hull of both sides.

    For second derivatives: at a kink the gradient follows a convention, but its derivative may be that of either side.
    """
    token = _open_ties.set(True)
    try:
        yield
    finally:
        _open_ties.reset(token)


_expanded: ContextVar[bool] = ContextVar("expanded", default=False)


@contextmanager
def expanded_nodes() -> Iterator[None]:
    """Within this context the derivative formulas of nodes are left aside: everything is differentiated by itself."""
    token = _expanded.set(True)
    try:
        yield
    finally:
        _expanded.reset(token)


class Dual(Composite):
    """primal and tangent: arrays of one arithmetic and one shape; level: which derivative this is (outer is higher)."""

    __slots__ = ("level", "primal", "tangent")
    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    priority = 3
    rules_file = "gradcheck/arithmetic/dual.py"

    def __init__(self, primal: Any, tangent: Any, level: int = 0) -> None:
        self.primal = primal
        self.tangent = tangent
        self.level = level

    def __repr__(self) -> str:
        return f"Dual({self.primal!r} + ε·{self.tangent!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.primal)

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Dual:
        if not args:
            return Dual(function(self.primal), function(self.tangent), self.level)
        first, rest = args[0], args[1:]
        if isinstance(first, Dual):
            primal, tangent = function(first.primal, *rest, **kwargs), function(first.tangent, *rest, **kwargs)
            return Dual(primal, tangent, first.level)
        level = _level(*first)
        primals = function([primal_of(part, level) for part in first], *rest, **kwargs)
        return Dual(primals, function([tangent_of(part, level) for part in first], *rest, **kwargs), level)

    def __float__(self) -> float:
        return float(self.primal)

    def _linear(self, function: Callable[[Any], Any]) -> Dual:
        return Dual(function(self.primal), function(self.tangent), self.level)

    def __gradcheck_stored__(self) -> Dual:
        return self._linear(stored)

    def __gradcheck_fixed__(self) -> Any:
        return fixed(self.primal)

    def __gradcheck_detached__(self) -> Any:
        return detached(self.primal)

    def __gradcheck_apart__(self) -> tuple[Dual, float]:
        if not _moves_everywhere(self):
            raise self._missing("a number apart, which moves in some rows of a batch alone", {})
        return self, 1.0

    def __gradcheck_routed__(self, other: Dual) -> Dual:
        tangent = routed(self.tangent, tangent_of(other, self.level))
        return Dual(routed(self.primal, primal_of(other, self.level)), tangent, self.level)

    def __gradcheck_unrounded__(self, *others: Any) -> Dual:
        known = unrounded(self.primal, *(primal_of(other, self.level) for other in others))
        return Dual(known, self.tangent, self.level)

    def __gradcheck_written_over__(self, value: Any) -> Dual:
        return Dual(written_over(self.primal, primal_of(value, self.level)), self.tangent, self.level)

    def __gradcheck_node__(self, function: Callable[[Any], Any], tangent: Callable[[Any, Any, Any], Any]) -> Any:
        if _expanded.get():
            return function(self)
        y = node(function, tangent, self.primal)
        return Dual(y, tangent(y, self.primal, self.tangent), self.level)

    def __gradcheck_number__(self, value: float) -> Any:
        return number(value, self.primal)

    def __gradcheck_pi__(self) -> Any:
        return pi(self.primal)

    def __gradcheck_dtype__(self) -> str:
        return dtype_of(self.primal)

    def __gradcheck_cast__(self, dtype: str) -> Dual:
        return self._linear(lambda part: as_dtype(part, dtype))

    def __gradcheck_ties_for_largest__(self, axis: Any) -> Any:
        return ties_for_largest(self.primal, axis)

    def __gradcheck_sum_over_batch__(self, axis: Any, keepdims: bool) -> Dual:
        return self._linear(lambda part: sum_over_batch(part, axis, keepdims))


def _level(*operands: Any) -> int:
    return max([operand.level for operand in operands if isinstance(operand, Dual)])


def _moves(x: Any, level: int) -> bool:
    """Whether x depends on what a derivative of this level is taken by."""
    return isinstance(x, Dual) and x.level == level


def primal_of(x: Any, level: int = 0) -> Any:
    """The value part of a dual number of this level; anything else is its own value."""
    return x.primal if _moves(x, level) else x


def tangent_of(x: Any, level: int = 0) -> Any:
    """The derivative part of a dual number of this level; zeros for anything else, which is constant."""
    if _moves(x, level):
        return x.tangent
    # Of a tangent itself zeros that move in no row, unlike those of np.zeros_like.
    return np.zeros_like(x) if isinstance(x, Composite) and not isinstance(x, Along) else np.zeros(np.shape(x))


def _rows(x: Any) -> Any:
    """The rows of a batch in which a tangent moves; None for one that does so in all."""
    return _rows(x.primal) if isinstance(x, Dual) else x.rows if isinstance(x, Along) else None


def _moves_everywhere(*numbers: Any) -> bool:
    """Whether one of the numbers moves, by one derivative or another, in every row of a batch, if there is one."""
    rows: set[int] = set()
    whole, parts = 0, list(numbers)
    while parts:
        part = parts.pop()
        if isinstance(part, Dual):
            parts += [part.primal, part.tangent]
        elif isinstance(part, Along):
            rows, whole = rows | set(part.rows), part.whole
    return len(rows) == whole


def _plus(a: Any, b: Any) -> Any:
    """The sum of two terms of a tangent, which is rounded only in rows of a batch where both are there."""
    ours, theirs = _rows(a), _rows(b)
    if ours is None or theirs is None or ours == theirs:
        return a + b
    return _beside(a, b, tuple(row for row in ours if row in theirs))


def _minus(a: Any, b: Any) -> Any:
    return a - b if _rows(a) == _rows(b) else _plus(a, -b)


def _beside(a: Any, b: Any, both: tuple[int, ...]) -> Any:
    if not (isinstance(a, Dual) or isinstance(b, Dual)):
        return beside(a, b, both)
    level = _level(a, b)
    da, *others = [number.tangent for number in (a, b) if _moves(number, level)]
    db = others[0] if others else da._of(da.content[:0], ())  # which moves in no row
    return Dual(_beside(primal_of(a, level), primal_of(b, level), both), _beside(da, db, both), level)


def _rule(tangent: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """A ufunc's rule from ``tangent(y, *primals, *tangents)``, y being the value."""

    def rule(*operands: Any) -> Dual:
        level = _level(*operands)
        primals = [primal_of(operand, level) for operand in operands]
        value = function(*primals)
        return Dual(value, tangent(value, *primals, *(tangent_of(operand, level) for operand in operands)), level)

    return rule


def _unary(function: Callable[[Any], Any], slope: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return _rule(lambda y, x, dx: slope(y, x) * dx, function)


def _bilinear(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Product rule; a constant factor costs no term."""

    def rule(a: Any, b: Any) -> Dual:
        level = _level(a, b)
        x, y = primal_of(a, level), primal_of(b, level)
        terms = []
        if _moves(a, level):
            terms.append(function(a.tangent, y))
        if _moves(b, level):
            terms.append(function(x, b.tangent))
        return Dual(function(x, y), terms[0] if len(terms) == 1 else _plus(*terms), level)

    return rule


def _additive(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return _rule(lambda y, a, b, da, db: function(da, db), function)


def _quotient(a: Any, b: Any) -> Dual:
    """(da - y·db)/b of y = a/b; what is constant costs no term."""
    level = _level(a, b)
    divisor = primal_of(b, level)
    y = primal_of(a, level) / divisor
    if not _moves(b, level):
        return Dual(y, a.tangent / divisor, level)
    turned = y * b.tangent
    return Dual(y, (_minus(a.tangent, turned) if _moves(a, level) else -turned) / divisor, level)


def _possible(mask: Any) -> bool:
    return bool(np.any(mask.__gradcheck_possible__() if isinstance(mask, Composite) else mask))


def _comparison(compare: Any) -> Callable[[Any, Any], Any]:
    def rule(a: Any, b: Any) -> Any:
        level = _level(a, b)
        x, y = primal_of(a, level), primal_of(b, level)
        outcome = compare(x, y)
        if not _open_ties.get():
            return outcome
        ties = np.equal(x, y)
        if not _moves_everywhere(a, b) and _possible(ties):
            raise MissingRuleError("a tie is open in those rows of a batch alone in which a side of it moves.")
        return either(outcome, ties)

    return rule


def _where(mask: Any, a: Any, b: Any) -> Dual:
    level = _level(a, b)
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
        level = _level(a, b)
        x, y = primal_of(a, level), primal_of(b, level)
        if not _moves(a, level):
            tangent = between(y, x, b.tangent)
        elif _moves(b, level):
            if _rows(a.tangent) != _rows(b.tangent):
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
    level = _level(a, b)
    x, y = primal_of(a, level), primal_of(b, level)
    value, tangent = np.power(x, y), None
    if _moves(a, level):
        constant = isinstance(y, float | int) and y == 0
        tangent = np.zeros_like(a.tangent) if constant else y * np.power(x, y - 1.0) * a.tangent
    if _moves(b, level):
        turned = value * np.log(x) * b.tangent
        tangent = turned if tangent is None else _plus(tangent, turned)
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
