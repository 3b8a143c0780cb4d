"""The ways PyTorch computes a derivative. Each mode is a small function from a prepared call to named tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gradcheck.reference.evaluate import gradient_name

__all__ = ["MODES", "Mode"]

Call = Callable[[], torch.Tensor]
MakeCotangent = Callable[[torch.Tensor], torch.Tensor]
Mode = Callable[[Call, dict[str, torch.Tensor], MakeCotangent], dict[str, torch.Tensor]]


def _backward(call: Call, leaves: dict[str, torch.Tensor], cotangent: MakeCotangent) -> dict[str, torch.Tensor]:
    """``torch.autograd.backward(value, cotangent)``, gradients read from ``.grad``."""
    value = call()
    torch.autograd.backward(value, cotangent(value))
    return {"value": value, **{gradient_name(name): _gradient(name, leaf) for name, leaf in leaves.items()}}


def _gradient(name: str, leaf: torch.Tensor) -> torch.Tensor:
    if leaf.grad is None:
        raise RuntimeError(f"backward left {name}.grad None")
    return leaf.grad


MODES: dict[str, Mode] = {"backward": _backward}
