"""Convolution as a layer: what stands beyond the borders (padding_mode)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import stored
from gradcheck.reference.nn.functional.convolution import convolution, pads_of
from gradcheck.reference.nn.functional.convolution import inputs_of as functional_inputs
from gradcheck.reference.nn.functional.padding import pad
from gradcheck.reference.registry import reference

__all__ = ["Conv1d", "Conv2d", "Conv3d"]


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        padding_mode = draw.choice(("reflect", "circular", "replicate", "zeros"))
        return {**functional_inputs(dims, least_padding=1)(draw), "padding_mode": padding_mode}

    return inputs


def _layer(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, padding_mode: str
) -> Any:
    """Convolution of the padded x; PyTorch stores the gradient of what was padded."""
    if padding_mode == "zeros":
        return convolution(x, weight, bias, stride, padding, dilation, groups)
    widths = pads_of(padding, np.shape(weight)[2:], dilation)
    padded, pad_vjp = pad(x, pad=tuple(side for pair in reversed(widths) for side in pair), mode=padding_mode)
    value, convolution_vjp = convolution(padded, weight, bias, stride, 0, dilation, groups)

    def layer_vjp(g: Any) -> dict[str, Any]:
        gradients = convolution_vjp(g)
        return {**gradients, **pad_vjp(stored(gradients["x"]))}

    return value, layer_vjp


@reference("nn.Conv1d", inputs=_inputs(1))
def Conv1d(  # noqa: N802 - PyTorch's own name
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Any:
    """conv1d of x, (N, C, L) or (C, L), padded first unless by zeros: see ``pad`` for reflect, replicate, circular."""
    return _layer(x, weight, bias, stride, padding, dilation, groups, padding_mode)


@reference("nn.Conv2d", inputs=_inputs(2))
def Conv2d(  # noqa: N802 - PyTorch's own name
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Any:
    """conv2d of x, (N, C, H, W) or (C, H, W), padded first unless by zeros, each dimension by its own width."""
    return _layer(x, weight, bias, stride, padding, dilation, groups, padding_mode)


@reference("nn.Conv3d", inputs=_inputs(3))
def Conv3d(  # noqa: N802 - PyTorch's own name
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Any:
    """conv3d of x, (N, C, D, H, W) or (C, D, H, W), padded first unless by zeros, each dimension by its own width."""
    return _layer(x, weight, bias, stride, padding, dilation, groups, padding_mode)
