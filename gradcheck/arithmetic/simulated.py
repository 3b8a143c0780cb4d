"""Simulated rounding: a formula as a machine might compute it, every operation rounded to the subject's format."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy import special

from gradcheck.arithmetic.carrier import WIDE, wide_erf
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.protocol import Composite

__all__ = ["Simulated", "lift"]


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
        before = self.machine.model.store
        machine = replace(self.machine, model=self.machine.model.casting_to(dtype))
        after = machine.model.store
        widens = after.precision >= before.precision and after.largest >= before.largest
        return Simulated(self.value if widens else machine.convert(self.value), machine)


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


def _expit(a: Simulated) -> Any:
    return 1.0 / (1.0 + np.exp(-a))


def _log_expit(a: Any) -> Any:
    return np.minimum(a, 0.0) - np.log1p(np.exp(-np.abs(a)))


def _power(a: Any, b: Any) -> Any:
    if isinstance(b, float | int) and b == 2:
        return a * a
    machine, values = _values(a, b)
    base, exponent = np.broadcast_arrays(*values)
    return Simulated(machine.elementary(lambda x: np.power(x, exponent), "power", base), machine)


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
    np.cos: _elementary(np.cos, "cos"),
    np.sin: _elementary(np.sin, "sin"),
    special.erf: _elementary(wide_erf, "erf"),
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
