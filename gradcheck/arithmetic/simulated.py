"""Simulated rounding: one computation as a machine might do it, with every operation rounded to the subject's format.

This is what a running error bound promises to cover, so it shares nothing with the bounds but the model's formats and
the published accuracies. Values are carried in NumPy's widest float, in which one operation on numbers of a narrower
format is as good as exact; then it is rounded, either to the nearest number or at random up or down to a number of one
more bit, so that no error exceeds the unit roundoff and many come near it (stochastic rounding: M. P. Connolly,
N. J. Higham & T. Mary, SIAM J. Sci. Comput. 43(1), 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import special

from gradcheck.arithmetic.accuracy import ACCURACY
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.protocol import Composite
from gradcheck.formats import Format

__all__ = ["WIDE", "Machine", "Simulated"]

WIDE = np.longdouble
"""The carrier. Where it has no spare bits (Windows, Apple's ARM) float64 is simulated by rounding to nearest only."""

CARRIER_BITS = int(np.finfo(WIDE).nmant) + 1


@dataclass(frozen=True, eq=False)
class Machine:
    """One way to compute. model: the formats; draw: ``draw(limit, n)`` gives n random integers below limit.

    random: round up or down at random instead of to the nearest; pairwise: add by halves instead of one by one;
    fused: products inside a sum of products are not rounded.
    """

    model: RoundingModel
    draw: Callable[[int, int], np.ndarray]
    random: bool = True
    pairwise: bool = False
    fused: bool = False

    def work(self, exact: Any) -> np.ndarray:
        return self._round(exact, self.model.work)

    def store(self, value: Any) -> np.ndarray:
        return self._round(value, self.model.store) if self.model.rounds_on_store else value

    def _round(self, exact: Any, form: Format) -> np.ndarray:
        exact = np.asarray(exact, dtype=WIDE)
        at_random = self.random and form.precision + 1 < CARRIER_BITS
        precision = form.precision + 1 if at_random else form.precision
        _, exponent = np.frexp(exact)
        lowest = form.minimum_exponent - form.precision + (0 if at_random else 1)
        gap = np.ldexp(WIDE(1), np.maximum(exponent - precision, lowest))
        places = exact / gap
        if at_random:
            low = np.floor(places)
            rounded = low + ((places != low) & (self._bits(exact.shape) == 1))
        else:
            rounded = np.rint(places)
        rounded = np.copysign(rounded * gap, exact)
        rounded = np.where(np.abs(rounded) > form.largest, np.copysign(WIDE(np.inf), exact), rounded)
        return np.where(np.isfinite(exact), rounded, exact)

    def _bits(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.draw(2, math.prod(shape)).reshape(shape)

    def elementary(self, function: Callable[[Any], Any], name: str, argument: np.ndarray) -> np.ndarray:
        """A library function: off by up to its published error, of which its last rounding is a part.

        At ±inf it is exact: tanh(inf) is 1 everywhere.
        """
        exact = np.asarray(function(argument), dtype=WIDE)
        if self.random:
            ulps, library = ACCURACY[name][self.model.device], self.model.library
            share = self.draw(257, exact.size).reshape(exact.shape) / WIDE(128) - 1
            off = self._round(exact * (1 + share * (2 * ulps - 1) * library.roundoff), library)
            exact = np.where(np.isfinite(argument), off, exact)
        return self.work(exact)

    def sum(self, terms: np.ndarray) -> np.ndarray:
        """Σ over the last axis, with every addition rounded."""
        n = terms.shape[-1]
        if n == 0:
            return np.zeros(terms.shape[:-1], dtype=WIDE)
        if self.pairwise and n > 1:
            return self.work(self.sum(terms[..., : n // 2]) + self.sum(terms[..., n // 2 :]))
        partial = terms[..., 0]
        for i in range(1, n):
            partial = self.work(partial + terms[..., i])
        return partial


class Simulated(Composite):
    """value: array of the wide type holding numbers of the machine's format; machine: how it rounds."""

    __slots__ = ("machine", "value")
    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    priority = 1
    rules_file = "gradcheck/arithmetic/simulated.py"

    def __init__(self, value: Any, machine: Machine) -> None:
        self.value = np.asarray(value, dtype=WIDE)
        self.machine = machine

    def __repr__(self) -> str:
        return f"Simulated({self.value!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __float__(self) -> float:
        return float(self.value)

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Simulated:
        if not args:
            return Simulated(function(self.value), self.machine)
        first, rest = args[0], args[1:]
        parts = first.value if isinstance(first, Simulated) else [lift(part, self.machine).value for part in first]
        return Simulated(function(parts, *rest, **kwargs), self.machine)

    def __gradcheck_stored__(self) -> Simulated:
        return Simulated(self.machine.store(self.value), self.machine)

    def __gradcheck_number__(self, value: float) -> Simulated:
        return lift(value, self.machine)

    def __gradcheck_pi__(self) -> Simulated:
        # The working format's own π: a constant is rounded to nearest when a program is written.
        return Simulated(self.machine.model.work.round(np.array(np.pi)), self.machine)

    def __gradcheck_dtype__(self) -> str:
        return self.machine.model.store.name

    def __gradcheck_cast__(self, dtype: str) -> Simulated:
        machine = replace(self.machine, model=self.machine.model.casting_to(dtype))
        return Simulated(machine._round(self.value, machine.model.store), machine)


def lift(operand: Any, machine: Machine) -> Simulated:
    """A plain number or array as the machine holds it: rounded to nearest in the working format, as when it is read."""
    if isinstance(operand, Simulated):
        return operand
    array = np.asarray(operand)
    return Simulated(array if array.dtype.kind in "biu" else machine.model.work.round(array), machine)


def _machine(*operands: Any) -> Machine:
    return next(operand.machine for operand in operands if isinstance(operand, Simulated))


def _values(*operands: Any) -> tuple[Machine, list[np.ndarray]]:
    machine = _machine(*operands)
    return machine, [lift(operand, machine).value for operand in operands]


def _rounded(function: Callable[..., Any]) -> Callable[..., Simulated]:
    def rule(*operands: Any) -> Simulated:
        machine, values = _values(*operands)
        return Simulated(machine.work(function(*values)), machine)

    return rule


def _exact(function: Callable[..., Any]) -> Callable[..., Simulated]:
    def rule(*operands: Any) -> Simulated:
        machine, values = _values(*operands)
        return Simulated(function(*values), machine)

    return rule


def _decided(compare: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: compare(*_values(*operands)[1])


def _elementary(function: Callable[[Any], Any], name: str) -> Callable[[Simulated], Simulated]:
    return lambda a: Simulated(a.machine.elementary(function, name, a.value), a.machine)


def _erf(value: np.ndarray) -> Any:
    return special.erf(value.astype(np.float64))  # SciPy has it in float64 only


def _expit(a: Simulated) -> Any:
    return 1.0 / (1.0 + np.exp(-a))


def _log_expit(a: Any) -> Any:
    return np.minimum(a, 0.0) - np.log1p(np.exp(-np.abs(a)))


def _power(a: Any, b: Any) -> Any:
    if isinstance(b, float | int) and b == 2:
        return a * a
    raise (a if isinstance(a, Simulated) else b)._missing("power with an exponent other than 2", {})


def _where(mask: Any, a: Any, b: Any) -> Simulated:
    machine, (first, second) = _values(a, b)
    return Simulated(np.where(mask, first, second), machine)


def _sum(a: Simulated, axis: Any = None, keepdims: bool = False) -> Simulated:
    axes = tuple(range(a.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(ax % a.ndim for ax in axes)
    kept = [ax for ax in range(a.ndim) if ax not in axes]
    shape = tuple(a.shape[ax] for ax in kept)
    terms = np.transpose(a.value, (*kept, *axes)).reshape(*shape, math.prod(a.shape[ax] for ax in axes))
    total = a.machine.sum(terms)
    if keepdims:
        total = total.reshape(tuple(1 if ax in axes else a.shape[ax] for ax in range(a.ndim)))
    return Simulated(total, a.machine)


def _mean(a: Simulated, axis: Any = None, keepdims: bool = False) -> Simulated:
    total = _sum(a, axis, keepdims)
    return total / (a.size // max(total.size, 1))


def _extremum(pick: Callable[..., Any]) -> Callable[..., Simulated]:
    return lambda a, axis=None, keepdims=False: Simulated(pick(a.value, axis=axis, keepdims=keepdims), a.machine)


def _einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Simulated:
    machine, (first, second) = _values(a, b)
    inputs, output = subscripts.replace(" ", "").split("->")
    summed = "".join(dict.fromkeys(letter for letter in inputs if letter not in output + ","))
    products = np.einsum(f"{inputs}->{output}{summed}", first, second)
    terms = products.reshape(*products.shape[: len(output)], math.prod(products.shape[len(output) :]))
    return Simulated(machine.sum(terms if machine.fused else machine.work(terms)), machine)


def _matmul(a: Any, b: Any) -> Simulated:
    return _einsum("ij,jk->ik", a, b)


Simulated.ufuncs |= {
    np.add: _rounded(np.add),
    np.subtract: _rounded(np.subtract),
    np.multiply: _rounded(np.multiply),
    np.true_divide: _rounded(np.true_divide),
    np.square: _rounded(np.square),
    np.sqrt: _rounded(np.sqrt),
    np.power: _power,
    np.negative: _exact(np.negative),
    np.positive: _exact(np.positive),
    np.absolute: _exact(np.absolute),
    np.sign: _exact(np.sign),
    np.maximum: _exact(np.maximum),
    np.minimum: _exact(np.minimum),
    np.exp: _elementary(np.exp, "exp"),
    np.expm1: _elementary(np.expm1, "expm1"),
    np.log: _elementary(np.log, "log"),
    np.log1p: _elementary(np.log1p, "log1p"),
    np.tanh: _elementary(np.tanh, "tanh"),
    special.erf: _elementary(_erf, "erf"),
    special.expit: _expit,
    special.log_expit: _log_expit,
    np.matmul: _matmul,
    np.isnan: _decided(np.isnan),
} | {
    compare: _decided(compare)
    for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
}
Simulated.functions |= {
    np.where: _where,
    np.sum: _sum,
    np.mean: _mean,
    np.max: _extremum(np.max),
    np.min: _extremum(np.min),
    np.einsum: _einsum,
    np.zeros_like: lambda a: Simulated(np.zeros(a.shape), a.machine),
    np.ones_like: lambda a: Simulated(np.ones(a.shape), a.machine),
}
