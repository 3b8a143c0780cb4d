"""Convolution (cross-correlation, as the field calls it) in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.convolution_stencil import Stencil, cut, each
from gradcheck.reference.registry import reference

__all__ = ["conv1d", "conv2d", "conv3d", "convolution", "inputs_of", "pads_of"]


def inputs_of(dims: int, least_padding: int = 0) -> Callable[[Any], dict[str, Any]]:
    """Small in three dimensions, where there are many products; every option differs between dimensions somewhere.

    least_padding: of the paddings to choose from, those that are numbers are that or more; it comes first.
    """
    small = dims == 3
    widths, shortest, longest = ((1, 2), 3, 4) if small else ((1, 2, 3), 5, 9)
    kernels = ((1, 2), (2, 1), (2, 3)) if small else ((1, 2, 3), (3, 1, 2))[:dims]
    dilations = (1, (2, 1, 1), (1, 2, 1)) if small else (1, 2, (2, 1)[:dims])
    paddings = (0, 1, (1, 0, 2) if small else (2, 1)[:dims], "same", "valid")[least_padding:]

    def inputs(draw: Any) -> dict[str, Any]:
        groups = draw.choice((1, 1, 2, 3))
        kernel = tuple(draw.choice(sides) for sides in kernels)
        dilation = draw.choice(dilations)
        stride = draw.choice((1, 2, (1, 3, 2)[:dims]))
        padding: Any = draw.choice(paddings)
        if padding == "same":
            stride = 1
        sides = tuple(draw.side(shortest, longest) for _ in range(dims))
        channels, filters = groups * draw.choice(widths), groups * draw.choice(widths)
        lead = draw.choice(((1,), (2,), (), (3,)))
        x = draw.array((*lead, channels, *sides))
        weight, bias = draw.tame((filters, channels // groups, *kernel)), draw.optional(draw.tame((filters,)))
        if x.kind == "subnormal":  # and so is what comes out
            weight, bias = draw.array(weight.shape, ("ordinary",)), None
        return {
            "x": x,
            "weight": weight,
            "bias": bias,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        }

    return inputs


@reference("nn.functional.conv1d", inputs=inputs_of(1))
def conv1d(
    x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Σ over channels and kernel of x[n, c, i·s + k·d - p]·weight[o, c, k] + bias[o] (Waibel et al. 1989).

    x: (N, C, L) or (C, L), weight: (O, C/groups, K), bias: (O,). ``same`` pads to keep the size, the odd element
    behind; it needs stride 1.
    """
    return convolution(x, weight, bias, stride, padding, dilation, groups)


@reference("nn.functional.conv2d", inputs=inputs_of(2))
def conv2d(
    x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Σ over channels and kernel of x[n, c, i·s + k·d - p]·weight[o, c, k] + bias[o] (LeCun et al. 1989).

    x: (N, C, H, W) or (C, H, W), weight: (O, C/groups, K, L), bias: (O,). ``same`` pads to keep the size, the odd
    element behind; it needs stride 1.
    """
    return convolution(x, weight, bias, stride, padding, dilation, groups)


@reference("nn.functional.conv3d", inputs=inputs_of(3))
def conv3d(
    x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Σ over channels and kernel of x[n, c, i·s + k·d - p]·weight[o, c, k] + bias[o] (Ji et al. 2010).

    x: (N, C, D, H, W) or (C, D, H, W), weight: (O, C/groups, K, L, M), bias: (O,). ``same`` pads to keep the size, the
    odd element behind; it needs stride 1.
    """
    return convolution(x, weight, bias, stride, padding, dilation, groups)


def convolution(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """In as many dimensions as the kernel has."""
    dims = np.ndim(weight) - 2
    stencil = Stencil(np.shape(weight)[2:], each(stride, dims), each(dilation, dims), groups)
    pads = pads_of(padding, stencil.kernel, dilation)
    sides = np.shape(x)[-dims:]
    batch = x.reshape(-1, *np.shape(x)[-dims - 1 :])
    padded = np.pad(batch, ((0, 0), (0, 0), *pads))
    product = stencil.correlate(padded, weight, bias, stencil.counts(np.shape(padded)[2:]))

    def convolution_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(np.shape(product))
        wide = stencil.transpose(g, weight, None, np.shape(padded)[2:])
        within = tuple(slice(before, before + side) for (before, _), side in zip(pads, sides, strict=True))
        gradients = {
            "x": cut(wide, within).reshape(np.shape(x)),
            "weight": stencil.weight_gradient(padded, g),
        }
        if bias is not None:
            gradients["bias"] = np.sum(g, axis=(0, *range(2, 2 + dims)))
        return gradients

    shape = (*np.shape(x)[: -dims - 1], *np.shape(product)[1:])
    return product.reshape(shape), convolution_vjp


def pads_of(padding: Any, kernel: tuple[int, ...], dilation: Any) -> list[tuple[int, int]]:
    """What is added before and behind in each dimension."""
    dims = len(kernel)
    if padding == "same":
        extents = [apart * (side - 1) for apart, side in zip(each(dilation, dims), kernel, strict=True)]
        return [(extent // 2, extent - extent // 2) for extent in extents]
    return [(pad, pad) for pad in each(0 if padding == "valid" else padding, dims)]
