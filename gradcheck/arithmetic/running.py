"""Running error arithmetic: a value and, in float64, a bound on the rounding error that a sane implementation may show.

Each operation propagates the bounds of its operands and adds its own rounding, u·|result| + η (Higham 2002, §3.3).
``bound`` is None where a number is exact. A bound of inf means that an intermediate may overflow in the subject's
format, so that nothing can be said; a non-finite value with bound 0 is certain and has to be matched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import ulps
from gradcheck.arithmetic.carrier import OWN_ROUNDOFF, WIDE_PI, float64_of, peak_of, size_of
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.protocol import Composite
from gradcheck.errors import ContractError

__all__ = ["Bounded", "Factor", "carried", "finish", "lift", "lift_array", "reach", "repair", "rounded_floor", "total"]

Where = Callable[..., Any]
"""From the operands of a rule, or some elements of them, to a mask."""

SHORT = 1024.0
"""What is a multiple of 1/SHORT, and at most SHORT, is a short number: float64 holds the product of any two."""

TINY = 2.0**-1000
"""Above what a bound loses where float64 underflows, divided by a unit roundoff."""


class Bounded(Composite):
    """value: array of the model's carrier; bound: float64 array that broadcasts to it, or None (exact); model: how to
    round.

    top: a number that no |value| + bound exceeds, inf where none is known. It decides in one comparison of scalars,
    for most operations, that nothing can overflow.
    """

    __slots__ = ("_magnitude", "bound", "compared", "floor", "is_root", "model", "packed", "top", "value")
    packed: Any
    compared: Any
    """What others keep with a number, if they do: its packed form, and what it was last compared with."""

    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    priority = 1
    rules_file = "gradcheck/arithmetic/running_rules.py"

    def __init__(self, value: Any, bound: Any, model: RoundingModel, top: float = math.inf) -> None:
        self.value = value
        self.bound = bound
        self.model = model
        self.top = top
        self._magnitude: Any = None
        self.is_root = False
        """Whether this comes from ``np.sqrt``: its reciprocal is one function on accelerators."""
        self.floor = -math.inf
        """No number that the subject may have in its place is below this, wherever value - bound is: a square is not
        below 0, nor a sum of squares, nor is such a sum and eps below eps; rounding, which is monotone, keeps that.
        -inf where nothing is known: it is 0 or more, or that."""

    def __repr__(self) -> str:
        return f"Bounded({self.value!r} ± {self.bound!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        value = self.value
        return value.shape if isinstance(value, np.ndarray) else np.shape(value)

    @property
    def magnitude(self) -> Any:
        """|value| in float64, kept once it was asked for: never change it in place."""
        if self._magnitude is None:
            self._magnitude = size_of(self.value)
        return self._magnitude

    def __float__(self) -> float:
        return float(self.value)

    def full_bound(self) -> np.ndarray:
        """The bound as an array of the value's shape, zeros where the value is exact."""
        if self.bound is None:
            return np.zeros(self.shape)
        return self.bound if np.shape(self.bound) == self.shape else np.broadcast_to(self.bound, self.shape)

    def sums(self, axis: Any, keepdims: bool) -> tuple[Any, Any, Any]:
        """Σ value, Σ |value| and Σ bound over an axis; None for the last where the number is exact."""
        add: Any = np.add.reduce
        value = add(self.value, axis=axis, keepdims=keepdims)
        magnitude = value if self.magnitude is self.value else add(self.magnitude, axis=axis, keepdims=keepdims)
        spread = None if self.bound is None else add(self.full_bound(), axis=axis, keepdims=keepdims)
        return value, magnitude, spread

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Bounded:
        if not args:
            bound = None if self.bound is None else function(self.full_bound())
            return Bounded(function(self.value), bound, self.model, self.top)
        first, rest = args[0], args[1:]
        if isinstance(first, Bounded):
            bound = None if first.bound is None else function(first.full_bound(), *rest, **kwargs)
            return Bounded(function(first.value, *rest, **kwargs), bound, self.model, first.top)
        parts = [lift(part, self.model) for part in first]
        bound = None
        if any(part.bound is not None for part in parts):
            bound = function([part.full_bound() for part in parts], *rest, **kwargs)
        top = max(part.top for part in parts)
        return Bounded(function([part.value for part in parts], *rest, **kwargs), bound, self.model, top)

    @property
    def nonnegative(self) -> bool:
        """Whether the subject's number is known not to be below 0."""
        return self.floor >= 0.0

    def at_least(self, floor: float) -> Bounded:
        """The same number, of which it is known that the subject's is not below the floor."""
        self.floor = floor
        return self

    def at_least_zero(self, known: bool = True) -> Bounded:
        """The same number, of which it is known, or not, that the subject's is never negative."""
        self.floor = 0.0 if known else -math.inf
        return self

    def __gradcheck_stored__(self) -> Bounded:
        """One rounding to the storage format, where that is narrower than the format computed in."""
        if not self.model.rounds_on_store:
            return self
        store = self.model.store
        return self._rounded_to_store().at_least(rounded_floor(self.floor, store.roundoff, store.smallest_subnormal))

    def __gradcheck_before_storing__(self) -> Bounded:
        return self._rounded_to_store(held=False) if self.model.rounds_on_store else self

    def _rounded_to_store(self, held: bool = True) -> Bounded:
        """held: what is a number of the format already, as far as it matters, is not rounded."""
        store = self.model.store
        bound = total(reach(self) * (store.roundoff * UPWARD) + store.smallest_subnormal, self.bound)
        if held and self.value.size <= ulps.FEW:
            stays = ulps.held_as_it_is(store, float64_of(self.value), self.bound)
            bound = np.where(stays, 0.0 if self.bound is None else self.bound, bound)
        top = self.top * (1.0 + 2.0 * store.roundoff) + 2.0 * store.smallest_subnormal
        if not top <= store.largest:
            finite = np.isfinite(self.value)
            overflow = self.magnitude + bound > store.largest
            bound = np.where(finite, np.where(overflow, np.inf, bound), self.full_bound())
            top = math.inf
        return Bounded(self.value, bound, self.model, top)

    def __gradcheck_fixed__(self) -> Bounded:
        bound = None if self.bound is None else self.bound * (4.0 * self.model.unit)
        return Bounded(self.value, bound, self.model, self.top)

    def __gradcheck_routed__(self, other: Bounded) -> Bounded:
        """Raises ContractError where no number is within both bounds: it is not the same one."""
        apart = np.where(self.value == other.value, 0.0, size_of(self.value - other.value))
        if (apart > (self.full_bound() + other.full_bound()) * UPWARD).any():
            raise ContractError("two routes of a formula to one number lead to two, farther apart than their errors")
        reached = (apart + other.full_bound()) * UPWARD
        own = self.full_bound()
        bound = np.where(np.isfinite(reached), np.maximum(own, reached), own)
        return Bounded(self.value, bound, self.model).at_least(self.floor)

    def __gradcheck_averaged__(self, n: int) -> Bounded:
        mean: Bounded = self / n
        return Bounded(mean.value, mean.full_bound() + n * self.model.eta, self.model, mean.top + n * self.model.eta)

    def __gradcheck_unrounded__(self, given: Bounded, *through: Bounded) -> Bounded:
        if self.bound is None or given.bound is not None:
            return self
        form, steps = self.model.store, np.float64(SHORT)
        known = (np.rint(given.value * steps) == given.value * steps) & (given.magnitude <= SHORT)
        for number in (self, *through):
            value = float64_of(number.value)
            known = known & (form.round(value) == value)
        bound = np.where(known, 0.0, self.full_bound())
        return Bounded(self.value, bound, self.model, self.top).at_least(self.floor)

    def __gradcheck_uncertain__(self) -> bool:
        return self.bound is not None

    def __gradcheck_apart__(self) -> tuple[Bounded, Any]:
        if self.bound is None:
            return self, 1.0
        error = self.full_bound()
        share = error / (self.magnitude - error)  # of 1/x; that of x is error/|x|
        known = (share >= 0.0) & (share < 1.0)
        number = Bounded(self.value, np.where(known, 0.0, error), self.model, self.top)
        ones = np.ones(self.shape, dtype=self.model.carrier)
        factor = Factor(ones, np.where(known, share * UPWARD, 0.0), self.model, 2.0)
        return number.at_least(self.floor), factor

    def __gradcheck_number__(self, value: float) -> Bounded:
        return lift(float(value), self.model)

    def __gradcheck_pi__(self) -> Bounded:
        return Bounded(self.model.carrier(WIDE_PI), np.float64(np.pi * self.model.unit), self.model, 4.0)

    def __gradcheck_dtype__(self) -> str:
        return self.model.store.name

    def __gradcheck_cast__(self, dtype: str) -> Bounded:
        if dtype == self.model.store.name:
            return self
        model = self.model.casting_to(dtype)
        cast = carried(self, model)
        widens = model.store.precision >= self.model.store.precision and model.largest >= self.model.largest
        return cast if widens else cast._rounded_to_store()


class Factor(Bounded):
    """1, with the relative error of a number that stands apart: what is multiplied with it is not rounded by that."""

    __slots__ = ()

    def __gradcheck_sharing__(self, first: Any, second: Any) -> Any:
        if not (isinstance(first, Bounded) and isinstance(second, Bounded)):  # a dual number, or a batch
            return (first + second * self) * self
        added: Bounded = first + second
        if not 2.0 * added.top <= self.model.safe:
            return (first + second * self) * self
        reached = size_of(first.value + 2.0 * second.value) + first.full_bound() + 2.0 * second.full_bound()
        bound = (reached + reach(second) * self.bound) * self.bound * UPWARD
        return Bounded(added.value, total(bound, added.bound), self.model, 2.0 * added.top)


def lift_array(array: np.ndarray, model: RoundingModel) -> Bounded:
    """An array of numbers of the subject's format: exact, unless the subject alters them before it computes."""
    magnitude = np.abs(array)
    top = peak_of(magnitude)
    value = array.astype(model.carrier) if model.carries_wide else array
    number = Bounded(value, None, model, top if top <= model.largest else math.inf)
    if model.least or model.narrows:
        number = Bounded(value, _altered(array, magnitude, model), model, 2.0 * number.top)
    number._magnitude = magnitude
    return number


def _altered(array: np.ndarray, magnitude: np.ndarray, model: RoundingModel) -> np.ndarray | None:
    """How far operands may be from what was given: subnormal numbers flushed to zero, wider ones rounded; or None."""
    error = np.zeros(array.shape)
    if model.narrows:
        error = np.where(np.isfinite(array), np.abs(model.store.round(array) - array), 0.0)
    if model.least:
        error = np.where(magnitude < model.least, magnitude, error)
    return error if np.any(error) else None


def lift(operand: Any, model: RoundingModel) -> Bounded:
    """``operand`` as a Bounded: exact where the working format holds it, else with the error of rounding it there."""
    if isinstance(operand, Bounded):
        return operand
    if isinstance(operand, float | int):
        key = operand or str(operand)  # 0.0 and -0.0 are equal
        known = model._numbers.get(key)
        if known is None:
            number = float(operand)
            exact = np.isinf(number) or model.work.holds(number)
            bound = None if exact else np.float64(abs(number) * model.work.roundoff * UPWARD + model.eta)
            top = abs(number) * 1.5 if math.isfinite(number) else math.inf
            floor = max(number - (0.0 if bound is None else float(bound)), 0.0)
            known = Bounded(model.carrier(number), bound, model, top)
            known.floor = floor if math.copysign(1.0, number) > 0.0 else -math.inf
            model._numbers[key] = known
        return known
    if isinstance(operand, Composite):
        raise operand._missing("arithmetic with a mask", {})
    array = np.asarray(operand)
    if array.dtype.kind in "biu":
        return Bounded(array.astype(model.carrier), None, model)
    error = np.abs(model.work.round(array) - array)
    error = np.where(np.isfinite(array), error, 0.0)
    return Bounded(array.astype(model.carrier, copy=False), error if np.any(error) else None, model)


def carried(number: Bounded, model: RoundingModel) -> Bounded:
    """The number in the carrier of another model, not rounded to its formats.

    What this loses where that is the narrower carrier is covered by ``UPWARD`` of a format narrower than float64.
    """
    value, bound = number.value, number.bound
    if number.model.carries_wide == model.carries_wide:
        return Bounded(value, bound, model, number.top)
    if number.model.carries_wide and bound is not None and model.work.name == "float64":
        bound = bound + number.magnitude * OWN_ROUNDOFF
    return Bounded(value.astype(model.carrier) if model.carries_wide else float64_of(value), bound, model, number.top)


def rounded_floor(floor: float, roundoff: float, eta: float) -> float:
    """The floor of a number whose floor was that before it was rounded."""
    return max(floor * (1.0 - 2.0 * roundoff) - eta, 0.0) if floor > 0.0 else floor


def total(first: Any, *rest: Any) -> Any:
    """The sum of bounds; ``first`` is a fresh array of full shape (it is added to in place), None counts as zero."""
    for term in rest:
        if term is not None:
            first += term
    return first


def reach(number: Bounded) -> Any:
    """|value| + bound: nothing that the subject may have in its place is larger."""
    return number.magnitude if number.bound is None else number.magnitude + number.bound


def finish(
    model: RoundingModel,
    value: Any,
    bound: Any,
    *operands: Bounded,
    top: float = math.inf,
    local: float | None = None,
    magnitude: Any = None,
    pole: Where | None = None,
    uncertain: Where | None = None,
) -> Bounded:
    """``Bounded(value, bound)`` after a look at overflow and special values.

    The bound contains at least one rounding of the value. top: as of the result, where the operands tell it; local: the
    operation's own relative error, one rounding unless said; magnitude: |value| in float64, where it is known; pole:
    says of the operands where the operation gives inf or NaN for finite ones by definition (1/0, log 0), not by
    overflow; uncertain: where their errors reach such a pole, which has to show as NaN in the bound or the value.
    """
    if model.low_precision:
        bound *= 1.0 + (model.unit if local is None else local)
    if not top <= model.safe:
        peak = peak_of(bound)
        if peak <= model.alarm:
            top = peak * model.peak_to_top + TINY
        else:
            bound, top = repair(model, np.asarray(value), bound, operands, pole, uncertain), math.inf
    result = Bounded(value, bound, model, top)
    if model.carries_wide:  # a cast is worth keeping
        result._magnitude = magnitude
    return result


def repair(
    model: RoundingModel,
    value: np.ndarray,
    bound: Any,
    operands: tuple[Bounded, ...],
    pole: Where | None = None,
    uncertain: Where | None = None,
) -> np.ndarray:
    """The bound, a fresh array of the value's shape, put right where values are not finite, or may not be in the
    subject's format. Such elements are mostly few, and all others are only looked at to find them."""
    bound, reached = np.asarray(bound), size_of(value)
    reached += bound
    odd = ~(reached <= model.largest)  # NaN among them
    for operand in operands:
        if operand.bound is not None and not operand.top < math.inf:
            odd = odd | ~np.isfinite(operand.bound)
    if odd.any():
        some = tuple(_elements(operand, odd) for operand in operands)
        bound[odd] = _repaired(model, value[odd], bound[odd], some, pole, uncertain)
    return bound


def _elements(number: Bounded, where: np.ndarray) -> Bounded:
    """The elements of a number, which broadcasts to the mask, where that holds."""

    def some(part: Any) -> Any:
        part = np.asarray(part)
        return (part if part.shape == where.shape else np.broadcast_to(part, where.shape))[where]

    bound = None if number.bound is None else some(number.bound)
    return Bounded(some(number.value), bound, number.model, number.top).at_least(number.floor)


def _repaired(
    model: RoundingModel,
    value: np.ndarray,
    bound: np.ndarray,
    operands: tuple[Bounded, ...],
    pole: Where | None,
    uncertain: Where | None,
) -> np.ndarray:
    finite, magnitude = np.isfinite(value), size_of(value)
    # inf · 0 in the propagation of a certain infinity (1/inf): only the rounding of this operation is left.
    bound = np.where(np.isnan(bound), magnitude * model.unit + model.eta, bound)
    bound = np.where(magnitude + bound > model.largest, np.inf, bound)
    if not finite.all():
        special = np.zeros(value.shape, dtype=bool)
        if pole is not None:
            special = special | pole(*operands)
        for operand in operands:
            special |= ~np.isfinite(operand.value)
        # Not finite although every operand is: an overflow in float64, unless the operation has a pole there.
        bound = np.where(finite, bound, np.where(special, 0.0, np.inf))
    unknown = np.False_ if uncertain is None else uncertain(*operands)
    for operand in operands:
        if operand.bound is not None:
            unknown = unknown | ~np.isfinite(operand.bound)
    return np.where(unknown, np.inf, bound)
