"""Calls of layers that are more than a function: convolution with padding modes, batch normalisation that counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gradcheck.subject.adapters import Operation, adapter
from gradcheck.subject.calls.recurrent import call_module

__all__: list[str] = []

Tensor = torch.Tensor


def _convolution(kind: Any) -> Operation:
    def call(x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1, **options: Any) -> Any:
        filters, channels, *kernel = weight.shape
        options |= {"bias": bias is not None, "dtype": x.dtype, "device": x.device}
        module = kind(channels * groups, filters, tuple(kernel), groups=groups, **options)
        return call_module(module, {"weight": weight} if bias is None else {"weight": weight, "bias": bias}, x)

    return call


def _batch_normalization(kind: Any) -> Operation:
    def call(
        x: Tensor,
        num_batches_tracked: int | None = None,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
        training: bool = True,
        **tensors: Tensor | None,
    ) -> Any:
        """The value, and the state of the layer after the call; the state is written into copies."""
        tracked = num_batches_tracked is not None
        options: dict[str, Any] = {"affine": tensors.get("weight") is not None, "track_running_stats": tracked}
        module = kind(x.shape[1], eps, momentum, **options, dtype=x.dtype, device=x.device).train(training)
        given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        state = {name: tensor.clone() for name, tensor in given.items() if name.startswith("running_")}
        if tracked:
            state["num_batches_tracked"] = torch.tensor(num_batches_tracked, device=x.device)
        return {"value": call_module(module, given | state, x), **state}

    return call


for _dims in (1, 2, 3):
    adapter(f"nn.Conv{_dims}d")(_convolution(getattr(nn, f"Conv{_dims}d")))
    adapter(f"nn.BatchNorm{_dims}d")(_batch_normalization(getattr(nn, f"BatchNorm{_dims}d")))
