"""The decorator ``@integer``: an operation from integers to integers, which has no gradient by definition."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from gradcheck.reference.registry import enter

__all__ = ["IntegerOperation", "integer"]


@dataclass(frozen=True)
class IntegerOperation:
    """One function of PyTorch whose tensors are all integers; an Entry of the table.

    Nothing is rounded and there is nothing to differentiate by, so its value has to be exact, of dtype int64, and must
    not require a gradient. The dtype of a case says nothing; there is one for all.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[[Any], dict[str, Any]]
    kind: ClassVar[str] = "integer"
    modes: ClassVar[tuple[str, ...]] = ("value",)
    dtypes: ClassVar[tuple[str, ...]] = ("float64",)
    elementwise: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """The first line of the formula's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def arrays(self) -> tuple[str, ...]:
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)

    @property
    def required(self) -> tuple[str, ...]:
        return self.arrays

    @property
    def hyperparameters(self) -> dict[str, Any]:
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def integer(
    name: str, *, inputs: Callable[[Any], dict[str, Any]]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function, from integer arrays to one, as the formula of ``name``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        enter(IntegerOperation(name, function, inputs))
        return function

    return register
