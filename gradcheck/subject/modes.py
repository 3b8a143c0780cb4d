"""The ways PyTorch computes a derivative. Each mode is a small function from a prepared call to named tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gradcheck.reference.evaluate import gradient_name

__all__ = ["MODES", "Mode"]

Tensors = dict[str, torch.Tensor]
Call = Callable[[], Tensors]
MakeCotangent = Callable[[str, torch.Tensor], torch.Tensor]
Mode = Callable[[Call, Tensors, tuple[str, ...], MakeCotangent], Tensors]


def _backward(call: Call, leaves: Tensors, aux: tuple[str, ...], cotangent: MakeCotangent) -> Tensors:
    """``torch.autograd.backward`` of all outputs that have a gradient at once; gradients read from ``.grad``."""
    outputs = call()
    ends = {name: output for name, output in outputs.items() if name not in aux}
    torch.autograd.backward(list(ends.values()), [cotangent(name, output) for name, output in ends.items()])
    return outputs | {gradient_name(name): _gradient(name, leaf) for name, leaf in leaves.items()}


def _gradient(name: str, leaf: torch.Tensor) -> torch.Tensor:
    if leaf.grad is None:
        raise RuntimeError(f"backward left {name}.grad None")
    return leaf.grad


MODES: dict[str, Mode] = {"backward": _backward}
"""From a call that returns named outputs, its leaves, the outputs without gradient and cotangents to all outputs."""
