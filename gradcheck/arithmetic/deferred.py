"""Running error for large arrays: rules are put off until their result is asked for, and then run in one go.

NumPy goes over memory some six times for one rule. Here the rules of + - × ÷ and of signs only note what is to be
computed; when a value, a bound or a sum is asked for, the noted rules run one after the other on a tile that stays in
the nearest cache (``kernels``), together with all sums that wait over the same shape (``postponed``). What they give
is, bit for bit, what the rules in ``running_operators`` give, which define them. Only what those rules decide without a
look at the numbers is put off: where ``top`` tells that nothing can overflow. All else is computed by NumPy, at once.

Needs numba (``pip install gradcheck[fast]``). The environment variable GRADCHECK_FAST=0 turns it off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.postponed import Summed, run
from gradcheck.arithmetic.protocol import Composite
from gradcheck.arithmetic.running import Bounded, lift, lift_array
from gradcheck.arithmetic.running_operators import (
    floor_of_sum,
    is_power_of_two,
    top_of_product,
    top_of_quotient,
    top_of_scaled,
    top_of_sum,
)
from gradcheck.arithmetic.running_reductions import reduced_size, sum_of, top_of_terms
from gradcheck.arithmetic.tape import Noted, Tape, kernels
from gradcheck.recent import OfArrays

__all__ = ["DEFERRED_ELEMENTS", "Deferred", "deferred", "kernels", "lift_large", "look_at"]

DEFERRED_ELEMENTS = 1 << 16
"""Arrays of more elements than this are put off: of fewer, NumPy is done before the compiled loops are loaded."""

NARROWEST = 16
"""Columns from which on sums over rows are compiled: of fewer, NumPy may add in another order."""

MOST_RULES = 24
"""So many rules are put off at most: what is used twice is computed twice, from the arrays on."""


def lift_large(array: np.ndarray, model: RoundingModel) -> Bounded:
    """``lift_array``, whose result puts rules off where the array is large and the compiled loops are there."""
    if array.size <= DEFERRED_ELEMENTS or model.carries_wide or kernels() is None:
        return lift_array(array, model)
    if model.least or model.narrows or not array.flags.c_contiguous:
        return deferred(lift_array(array, model))
    top = _peaks.get(array, lambda: _peak(array))
    return deferred(Bounded(array, None, model, top if top <= model.largest else math.inf))


_peaks: OfArrays[float] = OfArrays(8)
"""Each grade and each mode lifts the same arrays again."""


def _peak(array: np.ndarray) -> float:
    """The largest size of its numbers, NaN if one is."""
    return float(np.int64(kernels().largest(array.reshape(-1).view(np.int64))).view(np.float64))


class Deferred(Bounded):
    """A number of many elements whose value and bound are computed when they are asked for.

    noted: the rule that gives it, as a call on a tape; None once value and bound are there. rules: how many rules were
    put off on the way to it.
    """

    __slots__ = ("_bound", "_seen", "_shape", "_value", "noted", "rules")

    def __init__(
        self, model: RoundingModel, shape: tuple[int, ...], top: float, noted: Noted | None, rules: int
    ) -> None:
        self._shape = shape
        self._magnitude = None
        self._value: Any = None
        self._bound: Any = None
        self._seen: tuple[np.ndarray, tuple[float, float] | None] | None = None
        self.model = model
        self.top = top
        self.is_root = False
        self.floor = -math.inf
        self.noted = noted
        self.rules = rules

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def value(self) -> Any:
        if self.noted is not None:
            self.compute()
        return self._value

    @property
    def bound(self) -> Any:
        if self.noted is not None:
            self.compute()
        return self._bound

    def compute(self) -> None:
        """Run what was put off."""
        self._run(np.empty(self._shape), np.empty(self._shape))

    def compute_into(self, value: np.ndarray, bound: np.ndarray) -> None:
        """Put value and bound into C-contiguous arrays of the number's shape; the bound is 0 where it is exact."""
        if self.noted is None:
            value[...] = self._value
        else:
            self._run(value, bound)
        if self._bound is not bound:
            bound[...] = 0.0 if self._bound is None else self._bound

    def _run(self, value: np.ndarray, bound: np.ndarray) -> None:
        tape = Tape(self.model, self._shape)
        result = tape.put(self)
        tape.store(result, value, bound)
        run(tape)
        self._value, self._bound = value, bound if result.bounded else None
        self.noted, self.rules = None, 0

    def worst(self, got: np.ndarray) -> tuple[float, float] | None:
        """The largest |got - value| over the bound, stored as the model says, and in ulps of its storage format.

        None where NumPy has to look at special numbers, or the number is exact; got: C-contiguous array of the same
        shape, of float64 or float32.
        """
        if self._seen is None or self._seen[0] is not got:
            look_at([(self, got)])
        assert self._seen is not None
        return self._seen[1]

    def sums(self, axis: Any, keepdims: bool) -> tuple[Any, Any, Any]:
        """As of Bounded, along the last axis or along all others; NumPy adds along any other."""
        along = self._along(axis)
        if along is None:
            return super().sums(axis, keepdims)
        tape = Tape(self.model, self._shape)
        terms = tape.put(self)
        sums = tape.row_sums(terms) if along == "rows" else tape.column_sums(terms)
        run(tape)
        value, magnitude, *spread = (part.reshape(_reduced(self._shape, axis, keepdims)) for part in sums)
        return value, magnitude, spread[0] if spread else None

    def _along(self, axis: Any) -> str | None:
        """Whether a sum over the axis, or axes, is one along rows, or along columns; None if neither."""
        dims = len(self._shape)
        axes = _axes(axis, dims)
        if axes and axes == (dims - 1,):
            return "rows"
        return "columns" if axes and axes == tuple(range(dims - 1)) and self._shape[-1] >= NARROWEST else None

    def summed(self, axis: Any = None, keepdims: bool = False, *, blocks: int = 1) -> Bounded:
        """``sum_of``, put off until it is asked for, unless the rule has to look at numbers to tell the sum's top."""
        model, terms, along = self.model, reduced_size(self._shape, axis), self._along(axis)
        top = top_of_terms(model, terms, model.sum_factor(blocks * terms), self.top)
        if along is None or not top <= model.safe:
            return sum_of(self, axis, keepdims, blocks=blocks)

        def finish(sums: tuple[Any, Any, Any]) -> Bounded:
            return sum_of(self, axis, keepdims, blocks=blocks, sums=sums)

        return Summed(self, along == "rows", _reduced(self._shape, axis, keepdims), top, finish)

    def __gradcheck_sum_over_batch__(self, axis: Any, keepdims: bool) -> Bounded:
        return self.summed(axis, keepdims, blocks=self.model.blocks)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        rule = PUT_OFF.get(ufunc)
        if rule is not None and method == "__call__" and not kwargs:
            if any(isinstance(operand, Composite) and operand.priority != self.priority for operand in inputs):
                return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
            number = rule(self.model, *(lift(operand, self.model) for operand in inputs))
            if number is not None:
                return number
        return deferred(super().__array_ufunc__(ufunc, method, *inputs, **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.sum and type(args[0]) is Deferred and all(issubclass(kind, Bounded) for kind in types):
            return args[0].summed(*args[1:], **kwargs)
        return deferred(super().__array_function__(function, types, args, kwargs))

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Bounded:
        return deferred(super()._map(function, *args, **kwargs))

    def __gradcheck_stored__(self) -> Bounded:
        return deferred(super().__gradcheck_stored__())


def look_at(pairs: list[tuple[Deferred, np.ndarray]]) -> None:
    """Find what ``worst`` gives for each number and its array in one run, in which what they have in common is computed
    once; the numbers are of one model and shape."""
    first = pairs[0][0]
    tape = Tape(first.model, first.shape)
    store, rounds, found = first.model.store, first.model.rounds_on_store, []
    for number, got in pairs:
        result = tape.put(number)
        found.append((number, got, tape.worst(result, got, store, rounds) if result.bounded else None))
    constants = run(tape) if any(place is not None for *_, place in found) else None
    for number, got, place in found:
        worst = None
        if constants is not None and place is not None:
            ratio, ulp = constants[place].tolist()
            worst = (ratio, ulp) if max(ratio, ulp) < math.inf else None
        number._seen = (got, worst)


def _axes(axis: Any, dims: int) -> tuple[int, ...]:
    given = range(dims) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(a % dims for a in given)


def _reduced(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    """The shape of a sum over an axis, or axes."""
    axes = _axes(axis, len(shape))
    return tuple(1 if a in axes else side for a, side in enumerate(shape) if keepdims or a not in axes)


def deferred(number: Any) -> Any:
    """A number that was computed, as one whose next rules are put off, if it is large; anything else as it is."""
    number = number.made() if isinstance(number, Summed) else number
    if type(number) is not Bounded or number.size <= DEFERRED_ELEMENTS or number.model.carries_wide:
        return number
    if kernels() is None:
        return number
    kept = Deferred(number.model, number.shape, number.top, None, 0)
    kept._value, kept._bound, kept._magnitude = number.value, number.bound, number._magnitude
    kept.is_root, kept.floor = number.is_root, number.floor
    return kept


def _put_off(
    m: RoundingModel, top: float, noted: Noted, *operands: Bounded, floor: float = -math.inf
) -> Deferred | None:
    """The number that a rule gives, unless its numbers have to be looked at."""
    if not top <= m.safe or any(operand.model.carries_wide for operand in operands):
        return None
    for operand in operands:
        if isinstance(operand, Summed):  # now: sums that wait do not depend on one another
            operand.made()
    shape = _joint_shape(*(operand.shape for operand in operands))
    put_off = [operand for operand in operands if isinstance(operand, Deferred)]
    rules = 1 + sum(operand.rules for operand in put_off)
    if rules > MOST_RULES:
        for operand in put_off:
            if operand.noted is not None:
                operand.compute()
        rules = 1
    result = Deferred(m, shape, top, noted, rules)
    result.floor = floor
    return result


_joint_shape = lru_cache(maxsize=64)(np.broadcast_shapes)  # which makes arrays to find out


def _add(m: RoundingModel, a: Bounded, b: Bounded) -> Deferred | None:
    return _put_off(m, top_of_sum(m, a, b), lambda tape: tape.add(a, b), a, b, floor=floor_of_sum(m, a, b))


def _subtract(m: RoundingModel, a: Bounded, b: Bounded) -> Deferred | None:
    return _put_off(m, top_of_sum(m, a, b), lambda tape: tape.subtract(a, b), a, b)


def _multiply(m: RoundingModel, a: Bounded, b: Bounded) -> Deferred | None:
    for number, factor in ((a, b), (b, a)):
        if not isinstance(factor, Deferred) and is_power_of_two(factor):
            return _scale(m, number, float(factor.value))
    floor = 0.0 if a is b else min(a.floor, b.floor, 0.0)
    return _put_off(m, top_of_product(m, a, b), lambda tape: tape.multiply(a, b), a, b, floor=floor)


def _divide(m: RoundingModel, a: Bounded, b: Bounded) -> Deferred | None:
    if isinstance(b, Deferred) or b.bound is not None or b.value.ndim or b.value == 0.0:
        return None
    if is_power_of_two(b):
        return _scale(m, a, 1.0 / float(b.value))
    floor = min(a.floor, b.floor, 0.0)
    return _put_off(m, top_of_quotient(m, a, b), lambda tape: tape.divide(a, b), a, b, floor=floor)


def _scale(m: RoundingModel, a: Bounded, factor: float) -> Deferred | None:
    if factor == 1.0 and isinstance(a, Deferred):
        return a
    floor = min(a.floor, 0.0) if factor > 0.0 else -math.inf
    return _put_off(m, top_of_scaled(m, a, factor), lambda tape: tape.scale(a, factor), a, floor=floor)


def _negative(m: RoundingModel, a: Bounded) -> Deferred | None:
    return _put_off(m, a.top, lambda tape: tape.negative(a), a)


PUT_OFF: dict[np.ufunc, Callable[..., Deferred | None]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.true_divide: _divide,
    np.square: lambda m, a: _multiply(m, a, a),
    np.negative: _negative,
}
"""None where the rule has to see its numbers: then NumPy computes them."""

for _name in ("add", "sub", "mul", "truediv"):
    for _operator in (f"__{_name}__", f"__r{_name}__"):  # Bounded's own go past __array_ufunc__
        setattr(Deferred, _operator, getattr(NDArrayOperatorsMixin, _operator))
