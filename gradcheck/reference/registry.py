"""The decorator ``@reference`` and the table of all references, by PyTorch's dotted name."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from gradcheck.errors import ContractError, UsageError, nearest

__all__ = ["Reference", "reference", "reference_named", "references", "select"]

Inputs = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Reference:
    """One operation: its formula and how cases of it are drawn.

    name: PyTorch's dotted name below ``torch``; function: arrays positional, hyperparameters keyword-only, returns
    ``value, vjp``; inputs: from a Draw to the arguments of one case; constant: arrays without gradient by definition;
    elementwise: each output element depends on one element of the first array alone; rows: from the arguments to the
    names of the arrays that can be cut into blocks along axis 0 (empty: evaluate whole).
    """

    name: str
    function: Callable[..., Any]
    inputs: Inputs
    constant: tuple[str, ...] = ()
    elementwise: bool = False
    rows: Callable[[dict[str, Any]], tuple[str, ...]] | None = None

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the array parameters, in order."""
        return _parameters(self.function)[0]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Keyword-only parameters and their defaults."""
        return dict(_parameters(self.function)[1])

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the parameters that have no default."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is p.empty)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """Names of the arrays that have a gradient, where they hold floats."""
        return tuple(name for name in self.arrays if name not in self.constant)

    def differentiable_in(self, arguments: dict[str, Any]) -> list[str]:
        """Those of them that are there and hold floats in these arguments (NumPy arrays by name)."""
        present = ((name, arguments.get(name)) for name in self.differentiable)
        return [name for name, array in present if array is not None and array.dtype.kind == "f"]


@lru_cache(maxsize=4096)
def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the positional parameters, and the keyword-only ones with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    arrays = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    return arrays, {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


_TABLE: dict[str, Reference] = {}


def reference(
    name: str,
    *,
    inputs: Inputs,
    constant: tuple[str, ...] = (),
    elementwise: bool = False,
    rows: Callable[[dict[str, Any]], tuple[str, ...]] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function as the reference of ``name``; the function itself is returned unchanged.

    Raises ContractError where the name is taken or ``constant`` names no parameter.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        entry = Reference(name, function, inputs, constant, elementwise, rows)
        if name in _TABLE:
            raise ContractError(f"{name} has two references: {_TABLE[name].function} and {function}.")
        for array in constant:
            if array not in entry.arrays:
                raise ContractError(f"{name}: constant={array!r} is no array parameter; expected {entry.arrays}.")
        _TABLE[name] = entry
        return function

    return register


@cache
def references() -> dict[str, Reference]:
    """All references, by name; imports every module below ``gradcheck.reference`` once."""
    package = importlib.import_module("gradcheck.reference")
    for module in pkgutil.walk_packages(package.__path__, "gradcheck.reference."):
        importlib.import_module(module.name)
    return dict(sorted(_TABLE.items()))


def reference_named(name: str) -> Reference:
    """The reference called ``name`` in full. Raises UsageError with the nearest names."""
    table = references()
    if name not in table:
        raise UsageError(f"operation {name!r} is not known; {nearest(name, table)}")
    return table[name]


def select(patterns: Iterable[str]) -> list[Reference]:
    """References whose dotted name, or last part of it, matches one of the patterns (``*`` allowed); all for none.

    Raises UsageError for a pattern that matches nothing.
    """
    table = references()
    patterns = tuple(patterns) or ("*",)
    chosen: dict[str, Reference] = {}
    for pattern in patterns:
        matched = [
            n for n in table if fnmatch.fnmatchcase(n, pattern) or fnmatch.fnmatchcase(n.rpartition(".")[2], pattern)
        ]
        if not matched:
            raise UsageError(f"operation {pattern!r} is not known; {nearest(pattern, table)}")
        chosen.update((n, table[n]) for n in matched)
    return list(chosen.values())
