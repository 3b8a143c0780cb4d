"""PyTorch's own signatures, and what of them no reference has, with the reason."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch._jit_internal import boolean_dispatched

from gradcheck.errors import UsageError
from gradcheck.reference.registry import Reference
from gradcheck.subject.adapters import operation_named, torch_callable

__all__ = ["NOT_OURS", "UNSEEN", "exists", "lacking_defaults", "later_words", "missing_parameters", "parameters_of"]

NOT_OURS = {
    "inplace": "overwrites its argument; the numbers are the same, and aliasing is a question of mode",
    "out": "writes into a given tensor; the numbers are the same, and aliasing is a question of mode",
    "size_average": "deprecated since 0.4 in favour of reduction",
    "reduce": "deprecated since 0.4 in favour of reduction",
    "_stacklevel": "where a warning points to",
}
"""Parameters of PyTorch that no reference has, with the reason."""


UNSEEN = {"nn.functional.scaled_dot_product_attention": {"is_causal": False, "scale": None, "enable_gqa": False}}
"""Documented keywords, with their defaults, of C functions where torch.overrides leaves them out."""


def exists(name: str) -> bool:
    """Whether the installed PyTorch has a function or class of this dotted name below ``torch``, or a method."""
    try:
        torch_callable(name)
    except UsageError:
        return "." not in name and hasattr(torch.Tensor, name)
    return True


@cache
def parameters_of(name: str) -> dict[str, Any]:
    """PyTorch's parameters and defaults, in order; of C functions as torch.overrides has them for its own tests.

    Raises UsageError where this PyTorch has no such name.
    """
    function = torch_callable(name)
    # Where an argument chooses between two functions (return_indices), both have the documented signature.
    function = boolean_dispatched.get(function, {}).get("if_true", function)
    try:
        signature = inspect.signature(function)
    except ValueError:
        signature = inspect.signature(torch.overrides.get_testing_overrides()[function])
    return {parameter.name: parameter.default for parameter in signature.parameters.values()} | UNSEEN.get(name, {})


def lacking_defaults(operation: Reference, arguments: dict[str, Any]) -> tuple[str, ...]:
    """Parameters that have their default in these arguments and that this PyTorch, an older one, does not have.

    It is called without them. Where an adapter makes the call, they are the adapter's to leave out.
    """
    theirs = _called_directly(operation.name)
    if theirs is None or arguments.keys() <= theirs.keys():
        return ()
    unknown = [name for name in arguments if name not in theirs]
    optional = dict.fromkeys(operation.arrays[1:]) | operation.hyperparameters
    return tuple(name for name in unknown if name in optional and _is(arguments[name], optional[name]))


def _is(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


@cache
def _called_directly(name: str) -> dict[str, Any] | None:
    """PyTorch's parameters of a function that is called as it is; None where they are not known."""
    try:
        return parameters_of(name) if operation_named(name) is torch_callable(name) else None
    except (UsageError, KeyError, ValueError):
        return None


LATER = {("nn.functional.interpolate", "mode"): ("lanczos",)}
"""Words that versions after 2.0 take for a parameter. Those that do name them in the documentation or the source of the
function, which is how it is told whether the installed one does."""


def later_words(name: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments that are words for which the installed PyTorch is too old, by parameter."""
    asked = {key: value for key, value in arguments.items() if value in LATER.get((name, key), ())}
    return {key: value for key, value in asked.items() if value not in _said_of(name)}


@cache
def _said_of(name: str) -> str:
    """The documentation of PyTorch's own function and, where it is written in Python, its source."""
    function = torch_callable(name)
    text = inspect.getdoc(function) or ""
    with suppress(OSError, TypeError):
        text += inspect.getsource(function)
    return text


def missing_parameters(name: str, ours: set[str]) -> list[str]:
    """PyTorch's parameters of a function that neither are ours nor left out for a reason."""
    return [parameter for parameter in parameters_of(name) if parameter not in ours | set(NOT_OURS)]
