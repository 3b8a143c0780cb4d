"""Batches: several arrays of one shape, in any arithmetic, that go through a formula together.

The formula sees the shape that they have in common; the axis along which they are stacked stays outside. Every element
is what it would be alone (a sum or a product of matrices may add in another order in the carrier, which bounds allow
for), and one call of a rule does for all: of small arrays, calling the rules is what takes the time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic.functions import (
    apart,
    as_dtype,
    averaged,
    before_storing,
    detached,
    dtype_of,
    fixed,
    number,
    parted,
    pi,
    reciprocal_deviation,
    reunited,
    routed,
    share_slope,
    shares_of_sum,
    stored,
    ties_for_largest,
    uncertain,
    unrounded,
)
from gradcheck.arithmetic.protocol import Composite
from gradcheck.arithmetic.running import Bounded
from gradcheck.arithmetic.running_reductions import reduced_size, sum_of

__all__ = ["Batched"]


class Batched(Composite):
    """content: an array of some arithmetic (a plain one, bounded numbers, a mask); its first axis is the batch's."""

    __slots__ = ("content",)
    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    priority = 2
    rules_file = "gradcheck/arithmetic/batched.py"

    def __init__(self, content: Any) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"Batched({self.content!r})"

    def _of(self, content: Any) -> Any:
        """Another content, of the same arrays."""
        return type(self)(content)

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.content.shape
        return shape[1:]

    @property
    def length(self) -> int:
        """How many arrays there are."""
        return int(self.content.shape[0])

    def _map(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        raise self._missing(getattr(function, "__name__", str(function)), kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(operand, Composite) and operand.priority > self.priority for operand in inputs):
            return NotImplemented
        if method != "__call__" or kwargs:
            raise self._missing(f"{ufunc.__name__}.{method}", kwargs)
        if ufunc is np.matmul and not all(np.ndim(operand) >= 2 for operand in inputs):
            raise self._missing("matmul with a vector", kwargs)
        return Batched(ufunc(*_aligned(*inputs)))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """NumPy would make an array of objects."""
        raise self._missing("np.asarray", {})

    def __float__(self) -> float:
        raise self._missing("float", {})

    def __getitem__(self, index: Any) -> Batched:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Composite) for part in parts):
            raise self._missing("indexing by a composite number", {})
        advanced = [place for place, part in enumerate(parts) if isinstance(part, np.ndarray | list | int | np.integer)]
        scattered = advanced and advanced[-1] - advanced[0] >= len(advanced)
        if scattered and any(isinstance(part, np.ndarray | list) for part in parts):
            raise self._missing("indexing by arrays that stand apart", {})  # NumPy moves their axes to the front
        place: Any = (slice(None), *parts)
        return self._of(self.content[place])

    def reshape(self, *shape: Any) -> Batched:
        sides = shape[0] if len(shape) == 1 else shape
        return self._of(self.content.reshape((self.length, *(sides if isinstance(sides, tuple | list) else (sides,)))))

    @property
    def T(self) -> Batched:
        return _transpose(self)

    def __gradcheck_stored__(self) -> Batched:
        return self._of(stored(self.content))

    def __gradcheck_before_storing__(self) -> Batched:
        return self._of(before_storing(self.content))

    def __gradcheck_fixed__(self) -> Batched:
        return self._of(fixed(self.content))

    def __gradcheck_detached__(self) -> Batched:
        return self._of(detached(self.content))

    def __gradcheck_uncertain__(self) -> bool:
        return uncertain(self.content)

    def __gradcheck_averaged__(self, n: int) -> Batched:
        return Batched(averaged(self.content, n))

    def __gradcheck_apart__(self) -> tuple[Batched, Any]:
        content, factor = apart(self.content)
        return Batched(content), factor if isinstance(factor, float) else Batched(factor)

    def __gradcheck_parted__(self) -> tuple[Batched, Any]:
        content, error = parted(self.content)
        return Batched(content), error if error is None else Batched(error)

    def __gradcheck_reunited__(self, error: Any, x: Any, origin: Any, axes: Any) -> Batched:
        y, error, x, origin = _aligned(self, error, x, origin)
        return Batched(reunited(y, error, x, origin, None if axes is None else _moved(axes)))

    def __gradcheck_reciprocal_deviation__(self, mean: Batched, axes: tuple[int, ...], eps: Any) -> Batched:
        return Batched(reciprocal_deviation(self.content, mean.content, _moved(axes), eps))

    def __gradcheck_shares_of_sum__(self, whole: Batched, kept: Any) -> tuple[Batched, Any]:
        content, factor = shares_of_sum(self.content, whole.content, None if kept is None else kept.content)
        return Batched(content), factor if isinstance(factor, float) else Batched(factor)

    def __gradcheck_share_slope__(self, common: Any, g: Any, axis: int) -> Batched:
        y, factor, content = _aligned(self, common, g)
        return Batched(share_slope(y, factor, content, axis if axis < 0 else axis + 1))

    def __gradcheck_routed__(self, other: Batched) -> Batched:
        return Batched(routed(self.content, other.content))

    def __gradcheck_unrounded__(self, *others: Any) -> Batched:
        return Batched(unrounded(self.content, *(other.content for other in others)))

    def __gradcheck_number__(self, value: float) -> Any:
        return number(value, self.content)

    def __gradcheck_pi__(self) -> Any:
        return pi(self.content)

    def __gradcheck_dtype__(self) -> str:
        return dtype_of(self.content)

    def __gradcheck_cast__(self, dtype: str) -> Batched:
        return self._of(as_dtype(self.content, dtype))

    def __gradcheck_possible__(self) -> Batched:
        content = self.content
        return Batched(content if isinstance(content, np.ndarray) else content.__gradcheck_possible__())

    def __gradcheck_ties_for_largest__(self, axis: Any) -> Batched:
        return Batched(ties_for_largest(self.content, _all_axes(self) if axis is None else _moved(axis)))

    def __gradcheck_sum_over_batch__(self, axis: Any, keepdims: bool) -> Batched:
        return _sum(self, axis, keepdims, blocks=self.content.model.blocks)


def _aligned(*operands: Any) -> list[Any]:
    """Operands that broadcast as they would alone, with the batch's axis before all others."""
    dims = max(np.ndim(operand) for operand in operands)
    return [_spread(operand, dims) if isinstance(operand, Batched) else operand for operand in operands]


def _spread(a: Batched, dims: int) -> Any:
    missing = dims - len(a.shape)
    if not a.shape and isinstance(a.content, Bounded) and a.content.bound is None:
        raise a._missing("a single exact number (by which, if it is a power of two, multiplying is exact)", {})
    return a.content.reshape((a.length, *(1,) * missing, *a.shape)) if missing else a.content


def _moved(axis: Any) -> Any:
    """The content's axis, or axes: one counted from the end stays."""
    if isinstance(axis, tuple | list):
        return tuple(_moved(one) for one in axis)
    return axis if axis < 0 else axis + 1


def _all_axes(a: Batched) -> tuple[int, ...]:
    return tuple(range(1, len(a.shape) + 1))


def _reduction(function: Callable[..., Any]) -> Callable[..., Batched]:
    def rule(a: Batched, axis: Any = None, **options: Any) -> Batched:
        return a._of(function(a.content, axis=_all_axes(a) if axis is None else _moved(axis), **options))

    return rule


def _sum(a: Batched, axis: Any = None, keepdims: bool = False, *, blocks: int = 1) -> Batched:
    axes = _all_axes(a) if axis is None else _moved(axis)
    if isinstance(a.content, Bounded):
        return a._of(sum_of(a.content, axes, keepdims, blocks=blocks, batch=a.length))
    return a._of(np.sum(a.content, axis=axes, keepdims=keepdims))


def _mean(a: Batched, axis: Any = None, keepdims: bool = False) -> Any:
    return _sum(a, axis, keepdims) / reduced_size(a.shape, axis)


def _along(function: Callable[..., Any]) -> Callable[..., Batched]:
    """A function whose second argument is an axis, or several."""
    return lambda a, axis, *rest: a._of(function(a.content, _moved(axis), *map(_moved, rest)))


def _where(mask: Any, a: Any, b: Any) -> Batched:
    return Batched(np.where(*_aligned(mask, a, b)))


BATCH = "Z"
"""The letter of the batch's axis in a contraction."""


def _einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Batched:
    inputs, output = subscripts.replace(" ", "").split("->")
    words = [BATCH * isinstance(part, Batched) + word for part, word in zip((a, b), inputs.split(","), strict=True)]
    contents = [part.content if isinstance(part, Batched) else part for part in (a, b)]
    return Batched(np.einsum(f"{','.join(words)}->{BATCH}{output}", *contents, optimize=optimize))


def _contents(parts: Sequence[Any]) -> list[Any]:
    """The contents of batches and of what is the same in all of one."""
    length = next(part.length for part in parts if isinstance(part, Batched))
    return [
        part.content if isinstance(part, Batched) else np.broadcast_to(part, (length, *np.shape(part)))
        for part in parts
    ]


def _joined(function: Callable[..., Any]) -> Callable[..., Batched]:
    return lambda parts, axis=0: Batched(function(_contents(parts), axis=_moved(axis)))


def _broadcast_to(a: Batched, shape: tuple[int, ...]) -> Batched:
    return a._of(np.broadcast_to(_spread(a, len(shape)), (a.length, *shape)))


def _flip(a: Batched, axis: Any = None) -> Batched:
    return a._of(np.flip(a.content, _all_axes(a) if axis is None else _moved(axis)))


def _pad(a: Batched, widths: Any, **options: Any) -> Batched:
    pairs = np.broadcast_to(np.asarray(widths, dtype=np.int64), (len(a.shape), 2)).tolist()
    return a._of(np.pad(a.content, [(0, 0), *map(tuple, pairs)], **options))


def _squeeze(a: Batched, axis: Any = None) -> Batched:
    singles = tuple(place for place, side in enumerate(a.shape, start=1) if side == 1)
    return a._of(np.squeeze(a.content, singles if axis is None else _moved(axis)))


def _take(a: Batched, indices: Any, axis: int | None = None) -> Batched:
    if isinstance(indices, Composite):
        raise a._missing("take at places of a composite number", {})
    return _take(a.reshape(-1), indices, 0) if axis is None else a._of(np.take(a.content, indices, _moved(axis)))


def _take_along_axis(a: Any, indices: Any, axis: int) -> Batched:
    if isinstance(indices, Batched):
        content, places = _contents([a, indices])
        return Batched(np.take_along_axis(content, places, _moved(axis)))
    return a._of(np.take_along_axis(a.content, np.broadcast_to(indices, (a.length, *indices.shape)), _moved(axis)))


def _transpose(a: Batched, axes: Sequence[int] | None = None) -> Batched:
    dims = len(a.shape)
    order = range(dims)[::-1] if axes is None else (axis % dims for axis in axes)
    return a._of(np.transpose(a.content, (0, *(axis + 1 for axis in order))))


def _windows(a: Batched, window_shape: Any, axis: Any = None) -> Batched:
    axes = _all_axes(a) if axis is None else _moved(axis)
    return a._of(np.lib.stride_tricks.sliding_window_view(a.content, window_shape, axes))


Batched.functions |= {
    np.where: _where,
    np.sum: _sum,
    np.mean: _mean,
    np.einsum: _einsum,
    np.concatenate: _joined(np.concatenate),
    np.stack: _joined(np.stack),
    np.broadcast_to: _broadcast_to,
    np.flip: _flip,
    np.pad: _pad,
    np.ravel: lambda a: a.reshape(-1),
    np.reshape: lambda a, shape: a.reshape(shape),
    np.squeeze: _squeeze,
    np.take: _take,
    np.take_along_axis: _take_along_axis,
    np.transpose: _transpose,
    np.lib.stride_tricks.sliding_window_view: _windows,
    np.zeros_like: lambda a: a._of(np.zeros_like(a.content)),
    np.ones_like: lambda a: a._of(np.ones_like(a.content)),
}
Batched.functions |= {function: _reduction(function) for function in (np.max, np.min, np.all, np.any)}
Batched.functions |= {function: _along(function) for function in (np.expand_dims, np.moveaxis, np.swapaxes)}


def _directly(function: Callable[[Any, Any], Any], otherwise: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of batches without the way through NumPy's dispatch."""

    def rule(a: Batched, b: Any) -> Any:
        if type(b) in (int, float):
            return a._of(function(a.content, b))
        if type(b) in (Batched, Bounded):
            return Batched(function(*_aligned(a, b)))
        return otherwise(a, b)

    return rule


def _reversed(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: function(b, a)


for _name in ("add", "sub", "mul", "truediv"):
    for _operator, _direct in (
        (f"__{_name}__", getattr(operator, _name)),
        (f"__r{_name}__", _reversed(getattr(operator, _name))),
    ):
        setattr(Batched, _operator, _directly(_direct, getattr(NDArrayOperatorsMixin, _operator)))
