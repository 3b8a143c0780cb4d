"""Running error for small arrays in the wide carrier: each rule one compiled call, once a process has run many of them.

A rule costs calls, not elements, where arrays are small: some fifteen of NumPy's, and without vector instructions in
the wide carrier. Here a rule of + - × ÷, roots and sums is one call, on value and bound packed into one array
(``wide_kernels``). What it gives is, bit for bit, what the rules in ``running_operators`` and ``running_reductions``
give, which define them. Where those look at numbers (possible overflow, poles, terms that are alike), and for every
other function, NumPy computes.

Needs numba (``pip install gradcheck[fast]``), whose import takes as long as some hundred verdicts: so it waits for
them. The environment variable GRADCHECK_FAST=0 turns it off.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic import ulps
from gradcheck.arithmetic.carrier import IS_X87, WIDE
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.plans import PLANS, PLANS_OF_SUMS, Plan, joined
from gradcheck.arithmetic.protocol import Composite
from gradcheck.arithmetic.running import TINY, Bounded, Factor, lift, lift_array, rounded_floor
from gradcheck.arithmetic.running_operators import (
    add,
    divide,
    floor_of_sum,
    is_power_of_two,
    multiply,
    sqrt,
    subtract,
    top_of_product,
    top_of_quotient,
    top_of_scaled,
    top_of_sum,
)
from gradcheck.arithmetic.running_parts import ROUNDINGS, Error, reunited
from gradcheck.arithmetic.running_reductions import sum_of, top_of_terms
from gradcheck.arithmetic.running_sums import CERTAIN_TERMS, ORDERED_ELEMENTS, SAMPLED_ELEMENTS
from gradcheck.arithmetic.tape import kernels

__all__ = ["Packed", "compile_now", "lift_small", "packed"]

LIFTED_BEFORE = 4_000
"""So many arrays are lifted in a process before the compiled rules are loaded, which takes as long as it saves then."""

SMALLEST = 513
"""Of so many elements on, numbers are packed, and what is computed of such and of smaller ones: beyond those whose sums
are looked at term by term, which NumPy does."""

_lifted = 0

_rules: Any = None
"""The compiled rules, once they are loaded; False where there are none."""


def compile_now() -> bool:
    """Load the compiled rules without waiting; whether there are any."""
    global _lifted, _rules
    _lifted = LIFTED_BEFORE
    if _rules is None:
        there = kernels() is not None and IS_X87
        _rules = importlib.import_module("gradcheck.arithmetic.wide_kernels") if there else False
    return bool(_rules)


def lift_small(array: np.ndarray, model: RoundingModel, beside: int = 0) -> Bounded:
    """``lift_array`` for a model that carries wide, packed once that is worth it.

    beside: elements of the largest array that it will meet, where that is larger.
    """
    global _lifted
    _lifted += 1
    if _lifted <= LIFTED_BEFORE or not (_rules or compile_now()):
        return lift_array(array, model)
    size, altered = array.size, model.least or model.narrows
    if altered or not size or max(size, beside) < SMALLEST or array.dtype != np.float64:
        return lift_array(array, model)
    data = np.empty(3 * size)
    top = _rules.widen(array.ravel(), data)
    return Packed(model, array.shape, size, data, top if top <= model.largest else math.inf)


class Packed(Bounded):
    """A number whose value and bound, if it has one, are packed into one array: see ``wide_kernels``."""

    __slots__ = ("_bound", "_data", "_power", "_shape", "_size", "_value")

    def __init__(self, model: RoundingModel, shape: tuple[int, ...], size: int, data: Any, top: float) -> None:
        self.model = model
        self.top = top
        self.is_root = False
        self.floor = -math.inf
        self._magnitude = None
        self._shape = shape
        self._size = size
        self._data = data
        self._value: Any = None
        self._bound: Any = None
        self._power: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def size(self) -> int:
        return self._size

    @property
    def value(self) -> Any:
        if self._value is None:
            self._value = self._data[: 2 * self._size].view(WIDE).reshape(self._shape)
        return self._value

    @property
    def bound(self) -> Any:
        if self._bound is None and self._data is not None and self._data.size > 3 * self._size:
            self._bound = self._data[3 * self._size :].reshape(self._shape)
        return self._bound

    @property
    def magnitude(self) -> Any:
        if self._magnitude is None and self._data is not None:
            self._magnitude = np.abs(self._data[2 * self._size : 3 * self._size]).reshape(self._shape)
        return super().magnitude

    def data(self) -> Any:
        """Value and bound packed, of a number that NumPy computed."""
        if self._data is None:
            self._data = joined(self._value, self._bound, self._shape, self._size)
        return self._data

    def __neg__(self) -> Bounded:
        return _times(self.model, self, -1.0, self.data().size // self._size, self.top)

    def power_of_two(self) -> float:
        """The number if it is exact and ±2^k, and 0 if not: looked at once, since hyperparameters are kept."""
        if self._power is None:
            self._power = float(self.value) if self._size == 1 and is_power_of_two(self) else 0.0
        return self._power

    def worst(self, got: np.ndarray) -> tuple[float, float] | None:
        """The largest |got - value| over the bound, and in ulps; None where NumPy has to look at special numbers, or
        the number is exact. got: C-contiguous float64 array of the same shape."""
        data, store = self.data(), self.model.store
        if data.size == 3 * self._size:
            return None
        ratio, ulp = _rules.worst(got.ravel(), data, store.smallest_normal, 2.0 * store.roundoff)
        return (ratio, ulp) if ratio < math.inf and ulp < math.inf else None

    def summed(self, axis: Any = None, keepdims: bool = False, *, blocks: int = 1) -> Bounded:
        """``sum_of``, along the last axis or along all others, unless the rule has to look at the terms."""
        m, plan = self.model, PLANS_OF_SUMS[self._shape, axis, keepdims]
        if plan is None or (blocks == 1 and 1 < self._size <= ORDERED_ELEMENTS and plan.terms > 1):
            return packed(sum_of(self, axis, keepdims, blocks=blocks))
        terms, factor = plan.terms, m.sum_factor(blocks * plan.terms)
        look = blocks == 1 and terms > CERTAIN_TERMS and self._size <= SAMPLED_ELEMENTS
        data = np.empty(4 * plan.size)
        args = self.data(), data, plan.rows, plan.columns, plan.by_row, factor, m.work.roundoff, look
        peak, top = _rules.sums(*args), top_of_terms(m, terms, factor, self.top)
        if not (peak <= m.largest if not top <= m.safe else peak == peak):
            return packed(sum_of(self, axis, keepdims, blocks=blocks))
        result = Packed(m, plan.shape, plan.size, data, top if top <= m.safe else peak)
        result.floor = 0.0 if self.floor >= 0.0 else -math.inf
        return result

    def __gradcheck_sum_over_batch__(self, axis: Any, keepdims: bool) -> Bounded:
        return self.summed(axis, keepdims, blocks=self.model.blocks)

    def __gradcheck_averaged__(self, n: int) -> Bounded:
        return packed(super().__gradcheck_averaged__(n))

    def __gradcheck_reunited__(self, error: Any, x: Any, origin: Any, axes: Any) -> Any:
        result = _reunited(self, error, x, origin) if axes is None and type(error) is Error else None
        return packed(reunited(self, error, x, origin, axes)) if result is None else result

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        rule = RULES.get(ufunc)
        if rule is not None and method == "__call__" and not kwargs:
            if any(isinstance(operand, Composite) and operand.priority != self.priority for operand in inputs):
                return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
            operands = [_operand(self.model, operand) for operand in inputs]
            if all(operand is not None for operand in operands):
                return rule(self.model, *operands)
        return packed(super().__array_ufunc__(ufunc, method, *inputs, **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.sum and len(types) == 1:  # its own type alone
            return args[0].summed(*args[1:], **kwargs)
        return packed(super().__array_function__(function, types, args, kwargs))

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Bounded:
        return packed(super()._map(function, *args, **kwargs))


def packed(number: Any, least: int | None = None) -> Any:
    """A number that NumPy computed, as one whose next rules are compiled, if it has so many elements; anything else as
    it is. least: SMALLEST unless given."""
    if type(number) is not Bounded or not number.model.carries_wide:
        return number
    value = np.asarray(number.value)
    if value.size < (SMALLEST if least is None else least):
        return number
    kept = Packed(number.model, value.shape, value.size, None, number.top)
    kept._value, kept._bound, kept._magnitude = value, number.bound, number._magnitude
    kept.is_root, kept.floor = number.is_root, number.floor
    return kept


def _operand(model: RoundingModel, operand: Any) -> Packed | None:
    """What a compiled rule takes; None for what it does not."""
    kind = type(operand)
    if kind is not Packed:
        if kind is int or kind is float:
            operand = lift(operand, model)
        elif kind is not Bounded:
            return None
        known: Packed | None = getattr(operand, "packed", None)
        if known is None:
            known = packed(operand, least=1)
            if type(known) is not Packed:  # it is empty, or not carried wide
                return None
            operand.packed = known
        known.top, known.floor, known.is_root = operand.top, operand.floor, operand.is_root
        operand = known
    if operand._data is None:
        operand.data()
    return operand


def _combined(
    m: RoundingModel, code: int, a: Packed, b: Packed, plan: Plan, top: float, floor: float = 0.0, root: float = 0.0
) -> Packed | None:
    """The result of a rule; None where NumPy has to look at the numbers."""
    size = plan.size
    data = np.empty(4 * size)
    few = size <= ulps.FEW
    peak = _rules.combine(code, a._data, b._data, data, plan.table, few, m.flat, floor, root, 0.0)
    if not top <= m.safe:
        if not peak <= m.alarm:
            return None
        top = peak * m.peak_to_top + TINY
    return Packed(m, plan.shape, size, data, top)


def _add(m: RoundingModel, a: Packed, b: Packed) -> Bounded:
    plan = PLANS[a._shape, b._shape]
    result = None if plan is None else _combined(m, _rules.ADD, a, b, plan, top_of_sum(m, a, b))
    if result is None:
        return packed(add(m, a, b))
    if a.floor + b.floor >= 0.0:
        result.floor = floor_of_sum(m, a, b)
    return result


def _subtract(m: RoundingModel, a: Packed, b: Packed) -> Bounded:
    plan = PLANS[a._shape, b._shape]
    result = None if plan is None else _combined(m, _rules.SUBTRACT, a, b, plan, top_of_sum(m, a, b))
    return packed(subtract(m, a, b)) if result is None else result


def _multiply(m: RoundingModel, a: Packed, b: Packed) -> Bounded:
    if b._size == 1 and b.power_of_two():
        return _scaled(m, a, b.power_of_two(), multiply, b)
    if a._size == 1 and a.power_of_two():
        return _scaled(m, b, a.power_of_two(), multiply, a)
    plan, one, two = PLANS[a._shape, b._shape], a, b
    if plan is not None and plan.size > ulps.FEW and (b._data.size == 3 * b._size or b._size > a._size):
        plan, one, two = PLANS[b._shape, a._shape], b, a
    result = None if plan is None else _combined(m, _rules.MULTIPLY, one, two, plan, top_of_product(m, a, b))
    if result is None:
        return packed(multiply(m, a, b))
    if a is b or (a.floor >= 0.0 and b.floor >= 0.0):
        result.floor = 0.0
    return result


def _with_error_of(a: Packed, factor: Factor) -> Bounded:
    """a, with the relative error of what stands apart from it: the rule in ``running_operators`` of this name."""
    m, shape, size = a.model, a._shape, a._size
    plan = PLANS[shape, factor.shape]
    if plan is None or plan.shape != shape or not 2.0 * a.top <= m.safe:
        return packed(multiply(m, a, factor))
    known, data = a.data(), np.empty(4 * size)
    data[: 3 * size] = known[: 3 * size]
    bound = np.abs(known[2 * size : 3 * size], out=data[3 * size :]).reshape(shape)
    if a.bound is not None:
        bound += a.bound
    bound *= factor.bound
    if a.bound is not None:
        bound += a.bound
    result = Packed(m, shape, size, data, 2.0 * a.top)
    result.floor = min(a.floor, 0.0)
    return result


def _reunited(y: Packed, error: Error, x: Any, origin: Any) -> Packed | None:
    """``reunited`` of ``running_parts``; None where NumPy has to look at the numbers."""
    m, one, two = y.model, _operand(y.model, x), _operand(y.model, origin)
    if one is None or two is None or not error.top * (one.top + two.top) <= m.safe:
        return None
    plan, of_error = PLANS[one._shape, two._shape], PLANS[y._shape, error.shape]
    if plan is None or of_error is None or not plan.shape == of_error.shape == y._shape:
        return None
    data, spread = np.empty(4 * y._size), np.ascontiguousarray(error.bound).ravel()
    factor = ROUNDINGS * m.unit
    peak = _rules.reunite(y.data(), one._data, two._data, spread, data, plan.table, of_error.table, factor)
    top = y.top + peak
    return Packed(m, y._shape, y._size, data, top) if top <= m.safe else None


def _divide(m: RoundingModel, a: Packed, b: Packed) -> Bounded:
    plan, top, root = PLANS[a._shape, b._shape], math.inf, 0.0
    if b._shape == () and b.bound is None:
        if b.is_root and a._shape == ():
            return packed(divide(m, a, b))
        if b.power_of_two():
            return _scaled(m, a, 1.0 / b.power_of_two(), divide, b)
        if b.value != 0.0:
            top = top_of_quotient(m, a, b)
    elif b.is_root and a._shape == () and a.bound is None and a.value == 1.0:
        root = m.reciprocal_root
    result = None if plan is None else _combined(m, _rules.DIVIDE, a, b, plan, top, b.floor, root)
    if result is None:
        return packed(divide(m, a, b))
    if a.floor >= 0.0 and b.floor >= 0.0:
        result.floor = 0.0
    return result


def _sqrt(m: RoundingModel, a: Packed) -> Bounded:
    plan = None if a._shape == () and a.bound is None else PLANS[a._shape, a._shape]  # the root of 4^k is exact
    result = None if plan is None else _combined(m, _rules.ROOT, a, a, plan, math.inf, a.floor)
    if result is None:
        return packed(sqrt(m, a))
    result.floor = rounded_floor(math.sqrt(a.floor), m.unit, m.eta) if a.floor >= 0.0 else -math.inf
    result.is_root = True
    return result


def _scaled(m: RoundingModel, a: Packed, factor: float, rule: Callable[..., Any], by: Packed) -> Bounded:
    """Multiplication by a power of two; ``rule`` and ``by`` say how NumPy does it."""
    top = top_of_scaled(m, a, factor)
    if (not top <= m.safe and abs(factor) > 1.0) or (a._shape == () and a.bound is None):
        return packed(rule(m, a, by))
    parts = 3 if a._data.size == 3 * a._size and abs(factor) >= 1.0 else 4
    result = _times(m, a, factor, parts, top)
    if a.floor >= 0.0 and factor > 0.0:
        result.floor = 0.0
    return result


def _times(m: RoundingModel, a: Packed, factor: float, parts: int, top: float) -> Packed:
    plan, data = PLANS[a._shape, a._shape], np.empty(parts * a._size)
    assert plan is not None
    _rules.combine(_rules.SCALE, a._data, a._data, data, plan.table, False, m.flat, 0.0, 0.0, factor)
    return Packed(m, a._shape, a._size, data, top)


RULES: dict[np.ufunc, Callable[..., Any]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.true_divide: _divide,
    np.square: lambda m, a: _multiply(m, a, a),
    np.sqrt: _sqrt,
    np.negative: lambda m, a: -a,
}


def _directly(
    rule: Callable[..., Any], otherwise: Callable[[Any, Any], Any], swapped: bool
) -> Callable[[Any, Any], Any]:
    """An operator of packed numbers without the way through NumPy's dispatch."""

    def operator(a: Packed, b: Any) -> Any:
        if type(b) is Factor and rule is _multiply and not swapped:
            return _with_error_of(a, b)
        if type(b) is float and b == 1.0 and rule is _multiply:
            return a
        other = b if type(b) is Packed and b._data is not None else _operand(a.model, b)
        if other is None:
            return otherwise(a, b)
        if a._data is None:
            a.data()
        return rule(a.model, other, a) if swapped else rule(a.model, a, other)

    return operator


for _name, _rule in (("add", _add), ("sub", _subtract), ("mul", _multiply), ("truediv", _divide)):
    for _operator in (f"__{_name}__", f"__r{_name}__"):
        _otherwise = getattr(NDArrayOperatorsMixin, _operator)
        setattr(Packed, _operator, _directly(_rule, _otherwise, _operator.startswith("__r")))
