"""How an operation is called where that is more than ``operation(first, **others)``.

An adapter takes the tensors and hyperparameters of a case by name and returns the output, or outputs by name; among
these may be the arrays that PyTorch drew itself (``drawn`` of the reference). Modules, operations that write into their
arguments and random ones have adapters; those of a family lie in a module of this package that is imported here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import torch

from gradcheck.errors import ContractError, UsageError

__all__ = ["Operation", "adapter", "operation_named", "torch_callable"]

Operation = Callable[..., Any]

_ADAPTERS: dict[str, Operation] = {}

F = TypeVar("F", bound=Operation)


def adapter(name: str) -> Callable[[F], F]:
    """Enter the decorated function as the way to call ``name``. Raises ContractError where there is one already."""

    def register(function: F) -> F:
        if name in _ADAPTERS:
            raise ContractError(f"{name} has two adapters: {_ADAPTERS[name]} and {function}.")
        _ADAPTERS[name] = function
        return function

    return register


@cache
def operation_named(name: str) -> Operation:
    """The adapter of a dotted name, or the callable of PyTorch itself.

    Raises UsageError where this PyTorch has none.
    """
    for module in pkgutil.iter_modules(importlib.import_module("gradcheck.subject.calls").__path__):
        importlib.import_module(f"gradcheck.subject.calls.{module.name}")
    return _ADAPTERS.get(name) or torch_callable(name)


def torch_callable(name: str) -> Operation:
    """What PyTorch itself has under a dotted name. Raises UsageError where this PyTorch has nothing."""
    found: Any = torch
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise UsageError(f"torch {torch.__version__} has no {name}.")
    operation: Operation = found
    return operation
