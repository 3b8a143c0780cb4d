"""What a faulty kernel does to the gradient of its first input (and to its value)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["FAULTS", "Call", "Change", "Fault", "Tensor"]

Tensor = torch.Tensor
Call = Callable[..., Tensor]
Change = Callable[[Tensor, Tensor], Tensor]
"""From the right gradient and the input to the wrong gradient."""


class _Spy(torch.autograd.Function):
    """The identity, whose backward changes the gradient that it is given: differentiable again, as a kernel's is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Change) -> Tensor:
        ctx.change = change
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return ctx.change(g, x), None


@dataclass(frozen=True)
class Fault:
    """How the gradient becomes wrong, and by which factor the value does."""

    gradient: Change
    value: float = 1.0

    def planted(self, function: Call) -> Call:
        def wrong(x: Tensor, **words: Any) -> Tensor:
            return function(_Spy.apply(x, self.gradient), **words) * self.value

        return wrong


def _vectorised(g: Tensor, x: Tensor) -> Tensor:
    """Wrong by 1 % but in the scalar tail, the rest after two registers of 16 numbers."""
    body = g.numel() - g.numel() % 32
    factor = torch.ones(g.numel(), dtype=g.dtype)
    factor[:body] = 1.01
    return g * factor.reshape(g.shape)


def _one(g: Tensor, x: Tensor) -> Tensor:
    factor = torch.ones(g.numel(), dtype=g.dtype)
    factor[617:618] = 0.5
    return g * factor.reshape(g.shape)


def _compensating(g: Tensor, x: Tensor) -> Tensor:
    """The first two elements off by a thousandth of the largest, in opposite directions."""
    if g.numel() < 2:
        return g
    off = torch.zeros(g.numel(), dtype=g.dtype)
    off[0], off[1] = 1e-3, -1e-3
    return g + off.reshape(g.shape) * g.abs().max()


FAULTS = {
    "gradient twice as large (control)": Fault(lambda g, x: g * 2.0),
    "gradient 9e-4 too large": Fault(lambda g, x: g * (1.0 + 9e-4)),
    "float16 round trip in backward": Fault(lambda g, x: g.to(torch.float16).to(g.dtype)),
    "wrong by half where abs(x) > 4": Fault(lambda g, x: torch.where(x.abs() > 4.0, 1.5 * g, g)),
    "1 % off in the vectorised path": Fault(_vectorised),
    "1e-3 off in float32 only": Fault(lambda g, x: g * (1.0 + 1e-3) if g.dtype == torch.float32 else g),
    "one element of 1,000 wrong by half": Fault(_one),
    "two elements off by ±1e-3": Fault(_compensating),
    "value and gradient 1e-3 too large": Fault(lambda g, x: g, value=1.001),
}
OPERATIONS = ("silu", "tanh", "softplus", "softmax", "log_softmax", "layer_norm", "mse_loss")
