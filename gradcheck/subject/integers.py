"""Run operations of PyTorch from integers to integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.subject.adapters import operation_named
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import array_and_bits, dtype_name, to_tensor

__all__ = ["run_integers"]


@under_setting
def run_integers(
    case: Case, arguments: dict[str, Any], subject: Callable[..., Any] | None = None
) -> tuple[np.ndarray, str, bool]:
    """The value, its dtype, and whether it requires a gradient. PyTorch's own exceptions are passed on."""
    words = {
        name: to_tensor(value, case.dtype, case.device) if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }
    first = words.pop("x")
    value: torch.Tensor = (subject or operation_named(case.operation))(first, **words)
    return array_and_bits(value)[0], dtype_name(value), value.requires_grad
