"""Tangents along several arrays, each of which moves in rows of a batch of its own and stands still in the others.

Only the rows in which a number moves are there: elsewhere its tangent is 0, and takes no part in anything, as where the
derivatives are evaluated one after the other. So no row is rounded where it would not be by itself, and no 0 that
stands still meets an infinity. Only what is linear has a rule: in a row that is not there it would have to give 0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic.batched import Batched, _aligned
from gradcheck.arithmetic.functions import routed
from gradcheck.arithmetic.protocol import Composite
from gradcheck.arithmetic.running import Bounded
from gradcheck.errors import MissingRuleError

__all__ = ["Along", "beside"]

Rows = tuple[int, ...]


class Along(Batched):
    """content: as of Batched; rows: which rows of the whole batch its arrays are, ascending; in others this is 0;
    whole: how many rows the whole batch has."""

    __slots__ = ("rows", "whole")
    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    rules_file = "gradcheck/arithmetic/along.py"

    def __init__(self, content: Any, rows: Rows, whole: int) -> None:
        super().__init__(content)
        self.rows = rows
        self.whole = whole

    def _of(self, content: Any, rows: Rows | None = None) -> Along:
        return Along(content, self.rows if rows is None else rows, self.whole)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        for operand in inputs:
            if isinstance(operand, Composite) and operand.priority > self.priority:
                return NotImplemented
        rule = self.ufuncs.get(ufunc)
        if rule is None or method != "__call__" or kwargs:
            raise self._missing(ufunc.__name__, kwargs)
        return rule(*inputs)

    def __gradcheck_routed__(self, other: Any) -> Along:
        if not (isinstance(other, Along) and other.rows == self.rows):
            raise self._missing("another route, which moves in other rows", {})
        return self._of(routed(self.content, other.content))

    def picked(self, rows: Rows) -> Any:
        """The content of some of the rows."""
        return self.content if rows == self.rows else self.content[[self.rows.index(row) for row in rows]]

    def filled(self, rows: Rows) -> Any:
        """The content of more rows: zeros, known for certain, in those that are not there."""
        if rows == self.rows:
            return self.content
        content, places = self.content, [rows.index(row) for row in self.rows]

        def spread(part: Any) -> np.ndarray:
            whole = np.zeros((len(rows), *part.shape[1:]), dtype=part.dtype)
            whole[places] = part
            return whole

        if not isinstance(content, Bounded):
            raise self._missing("rows of zeros", {})
        bound = None if content.bound is None else spread(content.full_bound())
        return Bounded(spread(content.value), bound, content.model, content.top)


def together(*numbers: Any) -> tuple[Along, Rows]:
    """One of the numbers that move, and the rows in which one of them does."""
    moving = [number for number in numbers if isinstance(number, Along)]
    return moving[0], tuple(sorted({row for number in moving for row in number.rows}))


def _in_rows(number: Any, rows: Rows) -> Any:
    """A factor in some of the rows of a batch: one that moves, one that differs from row to row, or one for all."""
    if isinstance(number, Along):
        return Batched(number.picked(rows))
    return Batched(number.content[list(rows)]) if isinstance(number, Batched) else number


def _product(function: Callable[..., Any]) -> Callable[..., Along]:
    """A function that is linear in each operand: in the rows in which all of them move that do so at all."""

    def rule(a: Any, b: Any) -> Along:
        one, *others = [number for number in (a, b) if isinstance(number, Along)]
        rows = one.rows
        if others and others[0].rows != rows:
            rows = tuple(row for row in rows if row in others[0].rows)
        return one._of(function(_in_rows(a, rows), _in_rows(b, rows)).content, rows)

    return rule


def _quotient(a: Any, b: Any) -> Along:
    if isinstance(b, Along):
        raise b._missing("division by a tangent", {})
    return _product(np.true_divide)(a, b)


def _term(number: Any, rows: Rows) -> Any:
    """A term of a sum in these rows; what does not move is 0."""
    if isinstance(number, Along):
        return Batched(number.filled(rows))
    if isinstance(number, Batched) or np.count_nonzero(getattr(number, "value", number)):
        raise MissingRuleError("a tangent that is there in some rows has no sum with what is no tangent.")
    return number


def _sum(function: Callable[..., Any]) -> Callable[..., Along]:
    """A function that is linear in its operands together: in the rows in which one of them moves."""

    def rule(*numbers: Any) -> Along:
        one, rows = together(*numbers)
        return one._of(function(*(_term(number, rows) for number in numbers)).content, rows)

    return rule


def _where(mask: Any, a: Any, b: Any) -> Along:
    one, rows = together(a, b)
    return one._of(np.where(_in_rows(mask, rows), _term(a, rows), _term(b, rows)).content, rows)


def _joined(function: Callable[..., Any]) -> Callable[..., Along]:
    def rule(parts: Sequence[Any], axis: int = 0) -> Along:
        one, rows = together(*parts)
        return one._of(function([_term(part, rows) for part in parts], axis=axis).content, rows)

    return rule


def _einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Along:
    return _product(lambda x, y: np.einsum(subscripts, x, y, optimize=optimize))(a, b)


def _pad(a: Along, widths: Any, **options: Any) -> Any:
    if "constant_values" in options:
        raise a._missing("np.pad", options)
    return Batched.functions[np.pad](a, widths, **options)


def _take_along_axis(a: Any, indices: Any, axis: int) -> Along:
    taken: Any = np.take_along_axis(Batched(a.content), _in_rows(indices, a.rows), axis)
    return a._of(taken.content)


Along.ufuncs |= {
    np.add: _sum(np.add),
    np.subtract: _sum(np.subtract),
    np.multiply: _product(np.multiply),
    np.matmul: _product(np.matmul),
    np.true_divide: _quotient,
    np.negative: lambda a: a._of(-a.content),
    np.positive: lambda a: a,
}
_OF_EACH_ROW = (
    np.sum, np.mean, np.broadcast_to, np.flip, np.ravel, np.reshape, np.squeeze, np.take, np.transpose, np.zeros_like,
    np.expand_dims, np.moveaxis, np.swapaxes, np.lib.stride_tricks.sliding_window_view,
)  # fmt: skip
Along.functions |= {function: Batched.functions[function] for function in _OF_EACH_ROW}
Along.functions |= {
    np.where: _where,
    np.einsum: _einsum,
    np.pad: _pad,
    np.take_along_axis: _take_along_axis,
    np.concatenate: _joined(np.concatenate),
    np.stack: _joined(np.stack),
}


def _directly(function: Callable[[Any, Any], Any], otherwise: Callable[[Any, Any], Any], factor: bool) -> Any:
    """An operator without the way through NumPy's dispatch, where the rows are the same; factor: whether the other
    operand may be one."""

    def rule(a: Along, b: Any) -> Any:
        kind = type(b)
        if factor and kind in (int, float):
            return a._of(function(a.content, b))
        if (factor and kind is Bounded) or (kind is Along and b.rows == a.rows):
            return a._of(function(*_aligned(a, b)))
        return otherwise(a, b)

    return rule


def _reversed_product(a: Any, b: Any) -> Any:
    return b * a


for _name, _function, _factor in (
    ("__add__", operator.add, False),
    ("__sub__", operator.sub, False),
    ("__mul__", operator.mul, True),
    ("__rmul__", _reversed_product, True),
):
    setattr(Along, _name, _directly(_function, getattr(NDArrayOperatorsMixin, _name), _factor))
for _name in ("__radd__", "__rsub__", "__truediv__", "__rtruediv__"):
    setattr(Along, _name, getattr(NDArrayOperatorsMixin, _name))


def beside(a: Along, b: Along, both: Rows) -> Along:
    """a + b, two terms of one tangent: rounded in the rows ``both`` alone; in others it is the one that is there.

    A number that does not move is added as 0, and rounded; a term that is not there is no addition.
    """
    if a.shape != b.shape:
        spread: Any = np.broadcast_to
        shape = np.broadcast_shapes(a.shape, b.shape)
        a, b = spread(a, shape), spread(b, shape)
    parts = [(rows, number.picked(rows)) for number in (a, b) if (rows := _but(number.rows, both))]
    summed = tuple(row for row in together(a, b)[1] if row in both)
    if summed:
        terms = (Batched(_of_those(number, summed).filled(summed)) for number in (a, b))
        parts.append((summed, operator.add(*terms).content))
    if len(parts) == 1:
        return a._of(parts[0][1], parts[0][0])
    if not parts:
        return a
    rows = tuple(row for some, _ in parts for row in some)
    content = np.concatenate([content for _, content in parts])
    if rows != (ordered := tuple(sorted(rows))):
        content = content[[rows.index(row) for row in ordered]]
    return a._of(content, ordered)


def _but(rows: Rows, others: Rows) -> Rows:
    return tuple(row for row in rows if row not in others)


def _of_those(number: Along, rows: Rows) -> Along:
    some = tuple(row for row in number.rows if row in rows)
    return number._of(number.picked(some), some)
