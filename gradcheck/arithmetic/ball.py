"""Arb balls: a rigorous enclosure of the true value, at any precision (python-flint, F. Johansson's Arb).

F. Johansson, "Arb: Efficient Arbitrary-Precision Midpoint-Radius Interval Arithmetic", IEEE Trans. Computers 66(8),
2017. An array of balls is an object array of ``flint.arb`` behind NumPy's protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import flint
import numpy as np
from scipy import special

from gradcheck.arithmetic.mask import Mask, decide
from gradcheck.arithmetic.protocol import Composite

__all__ = ["Ball", "ball_precision", "balls", "enclosure"]


UNDECIDED = 2


@contextmanager
def ball_precision(bits: int) -> Iterator[None]:
    """Evaluate balls at ``bits`` bits inside the ``with`` block. The precision is flint's own, one per process."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


class Ball(Composite):
    """array: object array of ``flint.arb``."""

    __slots__ = ("array",)
    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    priority = 1
    rules_file = "gradcheck/arithmetic/ball.py"

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __repr__(self) -> str:
        return f"Ball({self.array!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Ball:
        if not args:
            return Ball(_objects(function(self.array)))
        first, rest = args[0], args[1:]
        moved = function(first.array if isinstance(first, Ball) else [balls(p).array for p in first], *rest, **kwargs)
        if function is np.pad:  # NumPy pads objects with an integer 0
            moved = np.frompyfunc(lambda x: x if isinstance(x, flint.arb) else flint.arb(int(x)), 1, 1)(moved)
        return Ball(_objects(moved))

    def __float__(self) -> float:
        return float(self.array.item().mid())

    def __gradcheck_number__(self, value: float) -> Ball:
        return balls(value)

    def __gradcheck_sinc__(self) -> Ball:
        return _sinc(self)  # a quotient of balls that hold 0 would be all numbers

    def __gradcheck_pi__(self) -> Ball:
        return Ball(_objects(flint.arb.pi()))


def _objects(array: Any) -> np.ndarray:
    """An object array, 0-dimensional where NumPy handed out the single element."""
    if isinstance(array, np.ndarray):
        return array
    box = np.empty((), dtype=object)
    box[()] = array
    return box


def balls(values: Any) -> Ball:
    """Exact balls of float64 numbers (±inf and NaN included), bools or integers."""
    if isinstance(values, Ball):
        return values
    if isinstance(values, Composite):
        raise values._missing("arithmetic with a mask", {})
    numbers = np.asarray(values, dtype=np.float64)
    array = np.empty(numbers.shape, dtype=object)
    array[...] = [flint.arb(v) for v in numbers.ravel().tolist()] if numbers.ndim == 1 else _nested(numbers)
    return Ball(array)


def _nested(numbers: np.ndarray) -> np.ndarray:
    flat = np.empty(numbers.size, dtype=object)
    for i, number in enumerate(numbers.ravel().tolist()):
        flat[i] = flint.arb(number)
    return flat.reshape(numbers.shape)


def enclosure(ball: Ball) -> tuple[np.ndarray, np.ndarray]:
    """Midpoint rounded to float64, and a float64 bound on the distance to anything in the ball (NaN if not finite)."""
    mid, distance = np.empty(ball.shape), np.empty(ball.shape)
    for index in np.ndindex(*ball.shape):
        element = ball.array[index]
        middle = float(element.mid())
        mid[index] = middle
        distance[index] = float(abs(element - middle).upper()) if element.is_finite() else np.nan
    return mid, distance


def _elementwise(function: Callable[..., Any]) -> Callable[..., Ball]:
    vectorised = {n: np.frompyfunc(function, n, 1) for n in (1, 2)}

    def rule(*operands: Any) -> Ball:
        return Ball(_objects(vectorised[len(operands)](*(balls(operand).array for operand in operands))))

    return rule


_sinc = _elementwise(lambda x: x.sinc_pi())
_any_power = _elementwise(lambda x, y: _ball_power(x, y))


def _comparison(
    holds: Callable[[Any, Any], bool], fails: Callable[[Any, Any], bool], of_nan: bool = False
) -> Callable[[Any, Any], Any]:
    """Undecided where neither the comparison nor its opposite holds for all points; of_nan: the outcome with NaN."""

    def outcome(x: flint.arb, y: flint.arb) -> int:
        if x.is_nan() or y.is_nan():
            return int(of_nan)
        return 1 if holds(x, y) else 0 if fails(x, y) else UNDECIDED

    vectorised = np.frompyfunc(outcome, 2, 1)

    def rule(a: Any, b: Any) -> Any:
        outcomes = np.asarray(vectorised(balls(a).array, balls(b).array), dtype=np.int8)
        return decide(outcomes == 1, outcomes == UNDECIDED)

    return rule


def _sign(x: flint.arb) -> flint.arb:
    if x.is_nan() or x.is_zero():
        return x
    if x > 0:
        return flint.arb(1)
    return flint.arb(-1) if x < 0 else flint.arb(0, 1)


def _maximum(x: flint.arb, y: flint.arb) -> flint.arb:
    return flint.arb.nan() if x.is_nan() or y.is_nan() else x.max(y)


def _minimum(x: flint.arb, y: flint.arb) -> flint.arb:
    return flint.arb.nan() if x.is_nan() or y.is_nan() else x.min(y)


def _expit(x: flint.arb) -> flint.arb:
    """Through the exponential of -|x|: the other one overflows even Arb's exponents."""
    if x < 0:
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def _log_expit(x: flint.arb) -> flint.arb:
    return x - x.exp().log1p() if x < 0 else -(-x).exp().log1p()


def _log(x: flint.arb) -> flint.arb:
    return flint.arb.neg_inf() if x.is_zero() else x.log()


def _log1p(x: flint.arb) -> flint.arb:
    return flint.arb.neg_inf() if x == -1 else x.log1p()


def _power(a: Any, b: Any) -> Ball:
    if np.ndim(b) == 0 and not isinstance(b, Composite) and float(b) == 2.0:
        return balls(a) * balls(a)
    return _any_power(a, b)


def _ball_power(x: flint.arb, y: flint.arb) -> flint.arb:
    """x^y as floating point has it: x^0 = 1 for any x, 0^y = 0 for y > 0, and NaN for x < 0 unless y is whole."""
    if y.is_zero():
        return flint.arb(1)
    if x.is_zero() and y > 0:
        return flint.arb(0)
    if y.is_exact() and y.is_integer() and abs(y) < MOST_FACTORS:
        power = _whole_power(x, int(float(abs(y))))
        return power if y > 0 else 1 / power
    return x**y


MOST_FACTORS = 1 << 20


def _whole_power(x: flint.arb, n: int) -> flint.arb:
    """x·x·…·x by repeated squaring: encloses the power for a base of either sign."""
    power = flint.arb(1)
    while n:
        if n & 1:
            power = power * x
        x, n = x * x, n >> 1
    return power


def _where(mask: Any, a: Any, b: Any) -> Ball:
    likely = mask.likely if isinstance(mask, Mask) else np.asarray(mask, dtype=bool)
    first, second = balls(a).array, balls(b).array
    chosen = np.where(likely, first, second)
    if isinstance(mask, Mask):
        hull = np.frompyfunc(lambda x, y: x.union(y), 2, 1)(first, second)
        chosen = np.where(mask.undecided, hull, chosen)
    return Ball(_objects(chosen))


def _fold(step: Callable[[Any, Any], Any], start: float) -> Callable[..., Ball]:
    ufunc = np.frompyfunc(step, 2, 1)

    def rule(a: Ball, axis: Any = None, keepdims: bool = False) -> Ball:
        axes = tuple(range(a.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(ax % a.ndim for ax in axes) if a.ndim else ()
        kept = [ax for ax in range(a.ndim) if ax not in axes]
        shape = tuple(a.shape[ax] for ax in kept)
        rows = np.transpose(a.array, (*kept, *axes)).reshape(int(np.prod(shape)), -1) if a.size else None
        result = np.empty(int(np.prod(shape)), dtype=object)
        for i in range(result.size):
            terms = [] if rows is None else list(rows[i])
            result[i] = ufunc.reduce(terms) if terms else flint.arb(start)
        final = tuple(1 if ax in axes else a.shape[ax] for ax in range(a.ndim)) if keepdims else shape
        return Ball(result.reshape(final))

    return rule


_sum = _fold(lambda x, y: x + y, 0.0)


def _mean(a: Ball, axis: Any = None, keepdims: bool = False) -> Ball:
    total = _sum(a, axis, keepdims)
    return total / (a.size // max(total.size, 1))


def _einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Ball:
    if not (np.size(a) and np.size(b)):  # an empty sum of objects is an integer
        return balls(np.einsum(subscripts, np.zeros(np.shape(a)), np.zeros(np.shape(b))))
    return Ball(_objects(np.einsum(subscripts, balls(a).array, balls(b).array)))


def _matmul(a: Any, b: Any) -> Ball:
    left, right = balls(a), balls(b)
    if left.shape[-1] == 0:
        return balls(np.zeros(np.shape(np.matmul(np.zeros(left.shape), np.zeros(right.shape)))))
    return Ball(_objects(np.matmul(left.array, right.array)))


Ball.ufuncs |= {
    np.add: _elementwise(lambda x, y: x + y),
    np.subtract: _elementwise(lambda x, y: x - y),
    np.multiply: _elementwise(lambda x, y: x * y),
    np.true_divide: _elementwise(lambda x, y: x / y),
    np.negative: _elementwise(lambda x: -x),
    np.positive: _elementwise(lambda x: +x),
    np.absolute: _elementwise(abs),
    np.sign: _elementwise(_sign),
    np.square: _elementwise(lambda x: x * x),
    np.power: _power,
    np.sqrt: _elementwise(lambda x: x.sqrt()),
    np.exp: _elementwise(lambda x: x.exp()),
    np.expm1: _elementwise(lambda x: x.expm1()),
    np.log: _elementwise(_log),
    np.log1p: _elementwise(_log1p),
    np.tanh: _elementwise(lambda x: x.tanh()),
    np.cos: _elementwise(lambda x: x.cos()),
    np.sin: _elementwise(lambda x: x.sin()),
    special.erf: _elementwise(lambda x: x.erf()),
    special.log_expit: _elementwise(_log_expit),
    special.expit: _elementwise(_expit),
    np.maximum: _elementwise(_maximum),
    np.minimum: _elementwise(_minimum),
    np.less: _comparison(lambda x, y: x < y, lambda x, y: x >= y),
    np.less_equal: _comparison(lambda x, y: x <= y, lambda x, y: x > y),
    np.greater: _comparison(lambda x, y: x > y, lambda x, y: x <= y),
    np.greater_equal: _comparison(lambda x, y: x >= y, lambda x, y: x < y),
    np.equal: _comparison(lambda x, y: x == y, lambda x, y: x != y),
    np.not_equal: _comparison(lambda x, y: x != y, lambda x, y: x == y, of_nan=True),
    np.isnan: lambda a: np.asarray(np.frompyfunc(lambda x: x.is_nan(), 1, 1)(a.array), dtype=bool),
    np.matmul: _matmul,
}
Ball.functions |= {
    np.where: _where,
    np.sum: _sum,
    np.mean: _mean,
    np.max: _fold(_maximum, -np.inf),
    np.min: _fold(_minimum, np.inf),
    np.einsum: _einsum,
    np.zeros_like: lambda a: balls(np.zeros(a.shape)),
    np.ones_like: lambda a: balls(np.ones(a.shape)),
}
