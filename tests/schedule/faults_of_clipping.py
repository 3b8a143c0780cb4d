# ruff: noqa: E501 (case lines are kept whole)
"""Clipping functions with one fault each, standing in for PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Subject = Callable[..., Any]


def _grads(parameters: Any) -> list[torch.Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def each_norm(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Clips every gradient by its own norm."""
    parameters = list(parameters)
    total = torch.nn.utils.get_total_norm(_grads(parameters))
    for p in parameters:
        torch.nn.utils.clip_grad_norm_([p], max_norm)
    return total


def _clip(parameters: Any, total: torch.Tensor, coefficient: torch.Tensor) -> torch.Tensor:
    for grad in _grads(parameters):
        grad.mul_(coefficient)
    return total


def without_eps(parameters: Any, max_norm: float, **options: Any) -> Any:
    """max_norm/total, without 1e-6."""
    total = torch.nn.utils.get_total_norm(_grads(parameters))
    return _clip(parameters, total, torch.clamp(max_norm / total, max=1.0))


def without_clamp(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Enlarges small gradients."""
    total = torch.nn.utils.get_total_norm(_grads(parameters))
    return _clip(parameters, total, max_norm / (total + 1e-6))


def without_root(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Sums the norms instead of their squares."""
    total = sum(grad.norm() for grad in _grads(parameters))
    return _clip(parameters, total, torch.clamp(max_norm / (total + 1e-6), max=1.0))


def norm_afterwards(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Returns the norm after clipping."""
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return torch.nn.utils.get_total_norm(_grads(parameters))


def out_of_place(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Puts new tensors in the place of the gradients."""
    for p in parameters:
        p.grad = p.grad.clone()
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)


def never_raises(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Ignores error_if_nonfinite."""
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)


def raises_too_late(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Clips, and then complains that the norm is non-finite."""
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    raise RuntimeError("the norm is non-finite")


def one_sided(parameters: Any, clip_value: float, **options: Any) -> None:
    """Clips from above alone."""
    for grad in _grads(parameters):
        grad.clamp_(max=clip_value)


NORM = "clip_grad_norm_(grad0=ordinary(3), grad1=ordinary(2, 2), max_norm=0.5{}) seed=0 dtype=float32"
CLIPPING: dict[str, tuple[Subject, str, str]] = {
    "every gradient by its own norm": (each_norm, NORM.format(""), "grad[grad0]"),
    "no 1e-6": (without_eps, NORM.format("").replace("32", "64"), "grad[grad0]"),
    "no 1e-6 below zeros": (without_eps, "clip_grad_norm_(grad0=ordinary(3), max_norm=0.0, zeroed=(0,)) seed=0 dtype=bfloat16", "grad[grad0]"),
    "no clamp": (without_clamp, NORM.format("").replace("0.5", "1000.0"), "grad[grad1]"),
    "a sum of norms": (without_root, NORM.format(""), "total"),
    "the norm afterwards": (norm_afterwards, NORM.format(""), "total"),
    "new tensors": (out_of_place, NORM.format(""), "rest"),
    "another norm type": (norm_afterwards, NORM.format(", norm_type=3.0"), "total"),
    "no error": (never_raises, "clip_grad_norm_(grad0=special(40), max_norm=0.5, error_if_nonfinite=True) seed=0 dtype=float32", "error"),
    "an error too late": (raises_too_late, "clip_grad_norm_(grad0=special(40), max_norm=0.5, error_if_nonfinite=True) seed=0 dtype=float32", "grad[grad0]"),
    "one side alone": (one_sided, "clip_grad_value_(grad0=ordinary(9), clip_value=0.5) seed=0 dtype=float16", "grad[grad0]"),
}  # fmt: skip
