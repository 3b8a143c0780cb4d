"""What the composite arithmetics share: dispatch from NumPy's protocols to rule tables, and a clear error.

A composite number array (value with bound, primal with tangent, balls) holds one or two plain arrays of one shape.
A NumPy function that only moves elements about acts on each of them alike, so it needs no rule of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.errors import MissingRuleError

__all__ = ["STRUCTURAL", "Composite"]

STRUCTURAL: frozenset[Callable[..., Any]] = frozenset(
    {
        np.broadcast_to,
        np.concatenate,
        np.expand_dims,
        np.flip,
        np.lib.stride_tricks.sliding_window_view,
        np.moveaxis,
        np.pad,
        np.ravel,
        np.reshape,
        np.squeeze,
        np.stack,
        np.swapaxes,
        np.take,
        np.take_along_axis,
        np.transpose,
    }
)
"""Functions whose first argument is an array, or a sequence of arrays, and which only move elements (or add zeros)."""


ABOUT_SHAPE: dict[Callable[..., Any], Callable[..., Any]] = {
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: len(a.shape),
    np.size: lambda a: a.size,
}


class Composite(NDArrayOperatorsMixin):
    """Base of the composite arithmetics; a subclass brings rule tables, ``lift`` and ``_map``.

    ``ufuncs`` and ``functions`` map a NumPy callable to a rule; ``priority`` says which arithmetic carries which
    (a dual number of bounded numbers is a dual number); ``rules_file`` is named when a rule is missing.
    """

    __slots__ = ()
    ufuncs: ClassVar[dict[Any, Callable[..., Any]]]
    functions: ClassVar[dict[Any, Callable[..., Any]]]
    priority: ClassVar[int]
    rules_file: ClassVar[str]

    def _map(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Apply a structural function to each component array."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        for operand in inputs:
            if isinstance(operand, Composite) and operand.priority > self.priority:
                return NotImplemented
        if method == "__call__" and not kwargs:
            rule = self.ufuncs.get(ufunc)
            if rule is not None:
                return rule(*inputs)
        raise self._missing(f"{ufunc.__name__}{'' if method == '__call__' else '.' + method}", kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if len(types) > 1:
            for kind in types:
                if issubclass(kind, Composite) and kind.priority > self.priority:
                    return NotImplemented
        rule = self.functions.get(function) or ABOUT_SHAPE.get(function)
        if rule is not None:
            return rule(*args, **kwargs)
        if function in STRUCTURAL:
            return self._map(function, *args, **kwargs)
        raise self._missing(f"{function.__module__}.{function.__name__}", kwargs)

    def _missing(self, name: str, kwargs: dict[str, Any]) -> MissingRuleError:
        options = f" with {', '.join(kwargs)}" if kwargs else ""
        return MissingRuleError(f"{name}{options} has no rule in {type(self).__name__}; add one in {self.rules_file}.")

    def __getitem__(self, index: Any) -> Any:
        return self._map(lambda array: array[index])

    def reshape(self, *shape: Any) -> Any:
        return self._map(lambda array: array.reshape(*shape))

    @property
    def T(self) -> Any:
        return self._map(np.transpose)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __float__(self) -> float:
        """The value of a 0-dimensional number: for decisions that follow from a hyperparameter alone."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        raise MissingRuleError(
            f"the truth of a {type(self).__name__} was asked for: in a reference, choose by np.where, not by if."
        )
