"""Numbers beside the arrays: what an optimizer computes with Python floats, or with tensors of one element.

PyTorch works bias corrections and step sizes out in Python, that is in float64 whatever the dtype of the parameter, and
hands the result to a kernel, which rounds it once to the format it computes in. A :class:`Scalar` does so in the
running error arithmetic and in simulated rounding: it is computed in its own format, and is rounded to that of the
array it meets. In float64 and among Arb balls a plain number serves.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Ball, Bounded, Dual, balls, rounding_model
from gradcheck.arithmetic.accuracy import largest_error
from gradcheck.arithmetic.model import UPWARD
from gradcheck.arithmetic.running import lift as lift_bounded
from gradcheck.arithmetic.running import reach
from gradcheck.arithmetic.simulated import Simulated
from gradcheck.arithmetic.simulated import lift as lift_simulated
from gradcheck.formats import Format, format_named

__all__ = ["Scalar", "item", "larger", "one_element", "operand", "power", "smaller", "snapped"]

Inner = Bounded | Simulated
"""The arithmetics that know a format."""


class Scalar:
    """number: a 0-dimensional Bounded or Simulated, of the format that the number is computed in.

    Two scalars meet in the narrower of their formats, as a Python number that meets a tensor takes on its dtype; a
    scalar and an array meet in the array's arithmetic.
    """

    __slots__ = ("number",)
    __array_ufunc__ = None
    """Says to arrays on the left of an operator that this class answers for both."""

    def __init__(self, number: Inner) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"Scalar({self.number!r})"

    def __float__(self) -> float:
        return float(self.number)

    def __neg__(self) -> Scalar:
        return Scalar(-self.number)

    def as_operand(self, like: Any) -> Any:
        """The number as a kernel takes it that computes in the format of the array ``like``."""
        return _converted(self.number, like)

    def _meet(self, other: Any, compute: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Scalar):
            if _form(other.number).precision < _form(self.number).precision:
                return Scalar(compute(_converted(self.number, other.number), other.number))
            return Scalar(compute(self.number, _converted(other.number, self.number)))
        if isinstance(other, int | float):
            return Scalar(compute(self.number, _converted_number(other, self.number)))
        return compute(_converted(self.number, other), other)

    def __add__(self, other: Any) -> Any:
        return self._meet(other, operator.add)

    def __radd__(self, other: Any) -> Any:
        return self._meet(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> Any:
        return self._meet(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._meet(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._meet(other, operator.mul)

    def __rmul__(self, other: Any) -> Any:
        return self._meet(other, lambda a, b: b * a)

    def __truediv__(self, other: Any) -> Any:
        return self._meet(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Any:
        return self._meet(other, lambda a, b: b / a)

    def __gt__(self, other: float) -> Any:
        """Three-valued where the number's error reaches the other."""
        return self.number > other


def _form(number: Inner) -> Format:
    return number.model.work if isinstance(number, Bounded) else number.machine.model.work


def _converted_number(number: float, like: Inner) -> Inner:
    return lift_bounded(number, like.model) if isinstance(like, Bounded) else lift_simulated(number, like.machine)


def _converted(number: Inner, like: Any) -> Any:
    """``number`` rounded to the working format of ``like``, where that is narrower than its own."""
    if isinstance(like, Dual):
        return _converted(number, like.primal)
    if isinstance(number, Simulated):
        if not isinstance(like, Simulated):
            return number
        narrower = _form(like).precision < _form(number).precision
        value = like.machine.model.work.round(number.value) if narrower else number.value
        return Simulated(value, like.machine)
    if not isinstance(like, Bounded):
        return number
    own, other = number.model.work, like.model.work
    if number.bound is None:
        return lift_bounded(float(number.value), like.model)
    bound = number.bound
    if other.precision < own.precision or other.largest < own.largest:
        bound = bound + reach(number) * (other.roundoff * UPWARD) + like.model.eta
    return Bounded(number.value, bound, like.model).at_least_zero(number.nonnegative)


def item(x: Any) -> Any:
    """A tensor of one element as a Python number, ``Tensor.item()``: computed with in float64 from here on."""
    if isinstance(x, Bounded):
        return Scalar(Bounded(x.value, x.bound, rounding_model("float64", x.model.device)))
    if isinstance(x, Simulated):
        wide = Simulated(x.value, x.machine)
        return Scalar(wide.__gradcheck_cast__("float64"))
    return x


def one_element(x: Any) -> Any:
    """A tensor of one element, computed with as the tensor it is: what meets it is rounded to its format."""
    return Scalar(x) if isinstance(x, Bounded | Simulated) else x


def snapped(x: Any, near: Callable[[], Any], dtype: str) -> Any:
    """Numbers that were cast from a coarser dtype: those of it that are nearest to ``near``, where x may be these.

    near: what x must have been for PyTorch's result to come out without rounding. The nearest of its dtype are no
    farther from it than the numbers that PyTorch had, so a right result stays within its bound; a wrong one has to be
    explained by numbers of that dtype. Other arithmetics, and formats that do not hold the dtype's numbers, keep x.
    """
    if not isinstance(x, Bounded) or x.model.store.bits < 32:
        return x
    grid, bound = format_named(dtype).round(np.asarray(near(), dtype=np.float64)), x.full_bound()
    possible = np.abs(grid - x.value) <= bound
    return Bounded(np.where(possible, grid, x.value), np.where(possible, 0.0, bound), x.model)


def operand(scalar: Any, like: Any) -> Any:
    """A scalar as a number of the arithmetic of the array ``like``, for functions of several arrays."""
    return scalar.as_operand(like) if isinstance(scalar, Scalar) else scalar


def power(base: Any, exponent: Any) -> Any:
    """base^exponent of scalars, base >= 0; monotone in each, so the ends of their intervals enclose it."""
    if isinstance(base, Ball) or isinstance(exponent, Ball):
        raised = np.frompyfunc(lambda b, e: b**e, 2, 1)(balls(base).array, balls(exponent).array)
        box = np.empty((), dtype=object)
        box[()] = raised
        return Ball(box)
    if not (isinstance(base, Scalar) or isinstance(exponent, Scalar)):
        return base**exponent
    known: Scalar = base if isinstance(base, Scalar) else exponent
    if isinstance(base, Scalar) and isinstance(exponent, Scalar):
        known = min(base, exponent, key=lambda scalar: _form(scalar.number).precision)
    b, e = (_operand(part, known.number) for part in (base, exponent))
    return Scalar(_bounded_power(b, e) if isinstance(b, Bounded) else _simulated_power(b, e))


def _operand(part: Any, like: Inner) -> Any:
    return _converted(part.number, like) if isinstance(part, Scalar) else _converted_number(part, like)


def _bounded_power(base: Bounded, exponent: Bounded) -> Bounded:
    model = base.model
    value = np.float64(base.value) ** np.float64(exponent.value)
    b, e = (np.float64(0.0) if part.bound is None else part.bound for part in (base, exponent))
    ends = [
        abs(np.float64(max(base.value + i * b, 0.0)) ** np.float64(exponent.value + j * e) - value)
        for i in (-1.0, 1.0)
        for j in (-1.0, 1.0)
    ]
    if _is_one(exponent):
        return base
    if np.isnan(value) and base.value + b < 0.0:
        return Bounded(np.float64(np.nan), None, model)  # a root of a negative number is NaN for certain
    # One ulp is at most 2u; the ends are computed in float64 to one ulp themselves.
    own = 2.0 * largest_error("power", model.device) * model.unit
    return Bounded(value, np.float64((max(ends) + abs(value) * own) * UPWARD + model.eta), model)


def _is_one(exponent: Bounded) -> bool:
    return exponent.bound is None and float(exponent.value) == 1.0


def _simulated_power(base: Simulated, exponent: Simulated) -> Simulated:
    return Simulated(base.machine.work(base.value**exponent.value), base.machine)


def larger(a: Any, b: Any) -> Any:
    """Python's ``max(a, b)`` of scalars: a unless b is larger, so that a NaN on the right is passed over."""
    return _chosen(a, b, lambda x, y: np.where(y > x, y, x))


def smaller(a: Any, b: Any) -> Any:
    """Python's ``min(a, b)`` of scalars: a unless b is smaller."""
    return _chosen(a, b, lambda x, y: np.where(y < x, y, x))


def _chosen(a: Any, b: Any, choose: Callable[[Any, Any], Any]) -> Any:
    if isinstance(a, Scalar):
        return a._meet(b, choose)
    return b._meet(a, lambda y, x: choose(x, y)) if isinstance(b, Scalar) else choose(a, b)
