"""Dual numbers: a value and its derivative along a direction, over any other arithmetic.

The components are float64 arrays, bounded numbers, balls, or dual numbers of a lower level (second derivatives). The
rule of each primitive is the derivative formula that automatic differentiation uses for that node: tanh' = 1 - y² from
the value y, not a formula of another form, since the two round differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic.along import Along, beside
from gradcheck.arithmetic.functions import (
    as_dtype,
    averaged,
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
from gradcheck.arithmetic.protocol import Composite

__all__ = [
    "Dual", "expanded_nodes", "level_of", "minus", "moves", "moves_everywhere", "plus", "primal_of", "rows_of",
    "tangent_of", "ties_are_open", "ties_open",
]  # fmt: skip


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


def ties_are_open() -> bool:
    """Whether the context says so."""
    return _open_ties.get()


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
    rules_file = "gradcheck/arithmetic/dual_rules.py"

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
        level = level_of(*first)
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

    def __gradcheck_alike__(self) -> None:
        if not moves_everywhere(self):
            raise self._missing("what is known of a number that moves in some rows of a batch alone", {})

    def __gradcheck_routed__(self, other: Dual) -> Dual:
        tangent = routed(self.tangent, tangent_of(other, self.level))
        return Dual(routed(self.primal, primal_of(other, self.level)), tangent, self.level)

    def __gradcheck_averaged__(self, n: int) -> Dual:
        return Dual(averaged(self.primal, n), averaged(self.tangent, n), self.level)

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


def level_of(*operands: Any) -> int:
    """The outermost derivative that one of the operands is a dual number of."""
    return max([operand.level for operand in operands if isinstance(operand, Dual)])


def moves(x: Any, level: int) -> bool:
    """Whether x depends on what a derivative of this level is taken by."""
    return isinstance(x, Dual) and x.level == level


def primal_of(x: Any, level: int = 0) -> Any:
    """The value part of a dual number of this level; anything else is its own value."""
    return x.primal if moves(x, level) else x


def tangent_of(x: Any, level: int = 0) -> Any:
    """The derivative part of a dual number of this level; zeros for anything else, which is constant."""
    if moves(x, level):
        return x.tangent
    # Of a tangent itself zeros that move in no row, unlike those of np.zeros_like.
    return np.zeros_like(x) if isinstance(x, Composite) and not isinstance(x, Along) else np.zeros(np.shape(x))


def rows_of(x: Any) -> Any:
    """The rows of a batch in which a tangent moves; None for one that does so in all."""
    return rows_of(x.primal) if isinstance(x, Dual) else x.rows if isinstance(x, Along) else None


def moves_everywhere(*numbers: Any) -> bool:
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


def plus(a: Any, b: Any) -> Any:
    """The sum of two terms of a tangent, which is rounded only in rows of a batch where both are there."""
    ours, theirs = rows_of(a), rows_of(b)
    if ours is None or theirs is None or ours == theirs:
        return a + b
    return _beside(a, b, tuple(row for row in ours if row in theirs))


def minus(a: Any, b: Any) -> Any:
    """The same for a difference."""
    return a - b if rows_of(a) == rows_of(b) else plus(a, -b)


def _beside(a: Any, b: Any, both: tuple[int, ...]) -> Any:
    if not (isinstance(a, Dual) or isinstance(b, Dual)):
        return beside(a, b, both)
    level = level_of(a, b)
    da, *others = [number.tangent for number in (a, b) if moves(number, level)]
    db = others[0] if others else da._of(da.content[:0], ())  # which moves in no row
    return Dual(_beside(primal_of(a, level), primal_of(b, level), both), _beside(da, db, both), level)
