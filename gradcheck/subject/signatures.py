"""PyTorch's own signatures, and what of them no reference has, with the reason."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch._jit_internal import boolean_dispatched

from gradcheck.errors import UsageError
from gradcheck.subject.adapters import torch_callable

__all__ = ["NOT_OURS", "UNSEEN", "exists", "missing_parameters", "parameters_of"]

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


def missing_parameters(name: str, ours: set[str]) -> list[str]:
    """PyTorch's parameters of a function that neither are ours nor left out for a reason."""
    return [parameter for parameter in parameters_of(name) if parameter not in ours | set(NOT_OURS)]
