"""The few functions that references need besides NumPy's and SciPy's.

Each is the plain NumPy meaning in float64; a composite arithmetic answers through a method ``__gradcheck_…__``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "apart", "as_dtype", "as_dtype_of", "before_storing", "detached", "dtype_of", "einsum_up_to_shift", "expit_slope",
    "fixed", "guarded", "node", "number", "parted", "pi", "reciprocal_deviation", "reunited", "routed", "sgn",
    "share_slope", "shared", "shares_of_sum", "sharing", "sinc", "stored", "sum_over_batch", "ties_for_largest",
    "uncertain", "unrounded", "written_over",
]  # fmt: skip


TAKEN_APART = 1 << 13
"""Of results of more elements no error is taken apart: they have the bounds of their operations one by one, which are
computed in one go."""


def stored(x: Any) -> Any:
    """``x`` as PyTorch keeps it in memory: rounded once to the storage format, for which a bound has to allow.

    Identity in every arithmetic but running error. Mark with it what PyTorch writes to a tensor before it goes on:
    what a kernel saves for its backward, and each result of a composite operation.
    """
    method = getattr(x, "__gradcheck_stored__", None)
    return x if method is None else method()


def _known(x: Any, name: str, *others: Any) -> Any:
    """What the arithmetic of ``x`` knows of a function, of it and others, or None.

    Dual numbers do not know it; of a batch of them each has to be one in every row, since what is none there knows.
    """
    for number in (x, *others):
        check = getattr(number, "__gradcheck_alike__", None)
        if check is not None:
            check()
    return getattr(x, name, None)


def before_storing(x: Any) -> Any:
    """The number that PyTorch stored as ``x``, of which no more is known than that; identity but in running error.

    For what a kernel goes on with and stores besides, where the case only has what was stored.
    """
    method = getattr(x, "__gradcheck_before_storing__", None)
    return x if method is None else method()


def fixed(x: Any) -> Any:
    """``x``, of which no derivative is taken: a shift on which the result does not depend.

    Identity but in two arithmetics. Dual numbers drop its tangent: the maximum of a row would bring its ties along.
    Running error drops its bound: with whatever shift the subject has, it computes the same quantity. What depends on
    the shift is what is rounded on the way, which the shift's error ε changes by as much: x - shift and log Σ exp(x -
    shift), each rounded by up to 2u of itself (all other roundings are relative ones of factors that cancel). So 4u·ε
    stays.
    """
    method = getattr(x, "__gradcheck_fixed__", None)
    return x if method is None else method()


def detached(x: Any) -> Any:
    """``x``, of which no derivative is taken, as ``torch.Tensor.detach`` has it. Identity but for dual numbers."""
    method = getattr(x, "__gradcheck_detached__", None)
    return x if method is None else method()


def uncertain(x: Any) -> bool:
    """Whether the subject's ``x`` may be off, so that it pays to ask what errors have in common; False but in running
    error."""
    method = getattr(x, "__gradcheck_uncertain__", None)
    return method is not None and bool(method())


def apart(x: Any, size: int = 0) -> tuple[Any, Any]:
    """``x`` without its error, and a factor that is 1 and has the relative error of ``x``, or of 1/``x``.

    Identity and 1 but in running error. For a number that a whole result is divided by, or multiplied with, such as
    the norm of a mean: what is computed of ``x`` alone is off by one factor in every part, and the parts, which may
    cancel, are added up first: (a/x' + b/x') = (a/x + b/x)·c, where x' = x/c is what the subject has. size: of the
    result, which may be too large for that (``TAKEN_APART``).
    """
    method = _known(x, "__gradcheck_apart__")
    return (x, 1.0) if method is None or size > TAKEN_APART else method()


def parted(x: Any, size: int = 0) -> tuple[Any, Any]:
    """``x`` without its error, and that error by itself, for ``reunited``.

    Identity and None but in running error. For a number that two parts of a result, which may cancel, are both
    multiplied with: e·x - e·origin. size: as of ``apart``.
    """
    method = _known(x, "__gradcheck_parted__")
    return (x, None) if method is None or size > TAKEN_APART else method()


def reunited(y: Any, error: Any, x: Any, origin: Any, axes: Any = None) -> Any:
    """``y``, the result of k·x - k·origin and more, of which k was ``parted`` from its ``error``: both at once.

    axes: along which y is a sum of these, if it is one; they stay with length 1.
    """
    if error is None:
        return y
    method = _known(y, "__gradcheck_reunited__", error, x, origin)
    if method is not None:
        return method(error, x, origin, axes)
    terms = error * (x - origin)
    return y + (terms if axes is None else np.sum(terms, axis=axes, keepdims=True))


def sharing(first: Any, second: Any, factor: Any) -> Any:
    """``first``·c + ``second``·c² for the factor c of ``apart``, which is 1: their sum but in running error.

    There both have one error, c = 1 + ε: a + b + (a + 2b)·ε + b·ε². What is divided by a norm, less a mean that the
    same norm has divided before, is hardly off by the norm's error where it is twice the mean.
    """
    method = _known(factor, "__gradcheck_sharing__", first, second)
    return (first + second * factor) * factor if method is None else method(first, second)


def unrounded(x: Any, given: Any, *through: Any) -> Any:
    """``x``, computed from ``given`` by way of the numbers ``through``; identity but in running error.

    There without its error where no operation on the way rounds: where ``given`` is a short number without an error,
    and ``x`` and all that it goes through, in whatever order the subject may take it, are numbers of the subject's
    format. IEEE 754 (2019, clause 4.3) has operations give a result that is a number of the format as it is. So places
    are known to lie exactly between two pixels, or on one.
    """
    method = getattr(x, "__gradcheck_unrounded__", None)
    return x if method is None else method(given, *through)


def routed(x: Any, other: Any) -> Any:
    """``x``, which the subject may have computed as ``other``: the same number by another route.

    ``x`` itself but in running error, where the bound holds both, and in dual numbers, for the tangent as well. Where
    the other route overflows on its way and this does not, it is no excuse.
    """
    method = getattr(x, "__gradcheck_routed__", None)
    return x if method is None else method(other)


def averaged(total: Any, n: int) -> Any:
    """``total/n``, the mean of n terms, which the subject may have kept up to date term by term (Welford 1962).

    Each step of that divides what is added, so n quotients may underflow where ``total/n`` has one. The quotient itself
    but in running error.
    """
    method = getattr(total, "__gradcheck_averaged__", None)
    return total / n if method is None else method(n)


def expit_slope(g: Any, y: Any) -> Any:
    """g·(1 - y)·y, the cotangent of x for y = expit(x), of which the subject has stored y.

    Running error knows that both y are one number, with one error.
    """
    method = _known(y, "__gradcheck_expit_slope__", g)
    return g * (1.0 - y) * y if method is None else method(g)


def shares_of_sum(e: Any, whole: Any, kept: Any = None) -> tuple[Any, Any]:
    """e/``whole``, the shares that terms have in their sum, and a factor with the error of the sum, as of ``apart``.

    Running error keeps beside the shares which part of their error they have from the terms, for ``share_slope``. kept:
    the terms that are divided, where those that were added up have been stored since.
    """
    method = _known(e, "__gradcheck_shares_of_sum__", whole)
    if method is not None:
        pair: tuple[Any, Any] = method(whole, kept)
        return pair
    known, common = apart(whole)
    return (e if kept is None else kept) / known, common


def einsum_up_to_shift(subscripts: str, a: Any, b: Any, axis: int) -> Any:
    """``np.einsum`` of two arrays, of which only differences along ``axis`` of b matter to what comes of it.

    For the exponents of a softmax, and for the cotangent of its shares: neither depends on a shift of a row. In running
    error a's error then meets the distance of b from its mean along the axis.
    """
    method = _known(a, "__gradcheck_einsum_up_to_shift__", b)
    return np.einsum(subscripts, a, b) if method is None else method(subscripts, b, axis)


def shared(subscripts: str, y: Any, common: Any, e: Any, v: Any, whole: Any = None) -> Any:
    """Σ e·v by ``subscripts``, over ``whole`` if there is one: the shares y·common of v; without ``common`` in y.

    Running error knows that the shares add up to 1, so that an error of theirs meets the distance of v from the result.
    """
    method = _known(y, "__gradcheck_shared__", common, e, v)
    if method is not None:
        return method(subscripts, common, e, v, whole)
    total = np.einsum(subscripts, e, v)
    return (total if whole is None else total / whole) * common


def share_slope(y: Any, common: Any, g: Any, axis: int) -> Any:
    """y·(g - Σ g·y) along ``axis``, the cotangent of the exponents whose softmax y·common is; without ``common``.

    Running error knows that the shares of a sum add up to 1, with whatever errors its terms have.
    """
    method = _known(y, "__gradcheck_share_slope__", common, g)
    if method is not None:
        return method(common, g, axis)
    return y * (g - np.sum(g * y, axis=axis, keepdims=True) * common)


def reciprocal_deviation(x: Any, mean: Any, axes: tuple[int, ...], eps: Any) -> Any:
    """1/√(Σ (x - mean)²/n + eps) over ``axes``, which stay with length 1: each row by its own mean.

    Running error knows that the deviations of a row add up to 0, and that a row whose numbers are uncertain cannot be
    nearer to its mean than its length and that of its error allow.
    """
    method = _known(x, "__gradcheck_reciprocal_deviation__", mean)
    if method is not None:
        return method(mean, axes, eps)
    centred = x - mean
    n = math.prod(np.shape(x)[axis] for axis in axes)
    return 1.0 / np.sqrt(np.sum(centred * centred, axis=axes, keepdims=True) / n + eps)


def written_over(like: Any, value: Any) -> Any:
    """``value``, which PyTorch writes into ``like`` behind autograd's back: its derivatives are those of ``like``.

    ``value`` itself in every arithmetic but dual numbers.
    """
    method = getattr(like, "__gradcheck_written_over__", None)
    return value if method is None else method(value)


def node(function: Callable[[Any], Any], tangent: Callable[[Any, Any, Any], Any], x: Any) -> Any:
    """``function(x)``, whose derivative along dx autograd has as ``tangent(y, x, dx)``: one node with its own formula.

    Dual numbers take that formula; but where the derivative is proved (``expanded_nodes``) they go through the
    function, so that it is checked as well.
    """
    method = getattr(x, "__gradcheck_node__", None)
    return function(x) if method is None else method(function, tangent)


def number(value: float, like: Any) -> Any:
    """``value`` as a number of the arithmetic of ``like``, so that functions of it are evaluated there."""
    method = getattr(like, "__gradcheck_number__", None)
    return np.float64(value) if method is None else method(value)


def pi(like: Any) -> Any:
    """π in the arithmetic of ``like``."""
    method = getattr(like, "__gradcheck_pi__", None)
    return np.float64(np.pi) if method is None else method()


def sgn(x: Any) -> Any:
    """The sign of x as PyTorch defines it: ``np.sign``, but 0 where x is NaN."""
    return np.where(np.isnan(x), np.zeros_like(x), np.sign(x))


def sinc(x: Any) -> Any:
    """sin(πx)/(πx), 1 at 0: in running error a quotient whose limit is known, though its divisor may be 0."""
    method = _known(x, "__gradcheck_sinc__")
    if method is not None:
        return method()
    zero = x == 0.0
    angle = pi(x) * np.where(zero, 1.0, x)
    return np.where(zero, 1.0, np.sin(angle) / angle)


def as_dtype(x: Any, dtype: str | None) -> Any:
    """``x`` converted to another dtype, as ``Tensor.to(dtype)`` does; None leaves it as it is."""
    method = getattr(x, "__gradcheck_cast__", None)
    return x if dtype is None or method is None else method(dtype)


def as_dtype_of(x: Any, like: Any) -> Any:
    """``x`` converted to the dtype of ``like``, as autograd converts a gradient back through ``Tensor.to``."""
    method = getattr(x, "__gradcheck_cast__", None)
    return x if method is None else method(like.__gradcheck_dtype__())


def dtype_of(x: Any) -> str:
    """The dtype of the tensor that ``x`` stands for; float64 in an arithmetic that has none."""
    method = getattr(x, "__gradcheck_dtype__", None)
    return "float64" if method is None else method()


def guarded(x: Any, used: Any, stand_in: float = 0.0) -> Any:
    """``x`` where the mask ``used`` holds, and a harmless number elsewhere: guards the argument of a branch.

    The result may only be used where ``used`` holds. Unlike ``np.where`` it needs no hull where the mask is
    undecided: whoever takes the branch has ``x`` there.
    """
    possible = getattr(used, "__gradcheck_possible__", None)
    return np.where(used if possible is None else possible(), x, stand_in)


def sum_over_batch(x: Any, axis: Any, keepdims: bool = False) -> Any:
    """``np.sum`` over axes that run over the batch, of which one evaluation in blocks sees only a part."""
    method = getattr(x, "__gradcheck_sum_over_batch__", None)
    return np.sum(x, axis=axis, keepdims=keepdims) if method is None else method(axis, keepdims)


def ties_for_largest(x: Any, axis: Any) -> Any:
    """Where ``x`` is the largest along axes; nowhere where one of them is NaN. In running error it is not compared with
    itself, so that only what comes within its error of another is undecided.
    """
    method = getattr(x, "__gradcheck_ties_for_largest__", None)
    return x == np.max(x, axis=axis, keepdims=True) if method is None else method(axis)
