"""Convolution (cross-correlation, as the field calls it) in two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.registry import reference

__all__ = ["conv2d"]


def _inputs(draw: Any) -> dict[str, Any]:
    groups = draw.choice((1, 1, 2, 3))
    kernel = (draw.choice((1, 2, 3)), draw.choice((3, 1, 2)))
    dilation = draw.choice((1, 2, (2, 1)))
    stride = draw.choice((1, 2, (1, 3)))
    padding: Any = draw.choice((0, 1, (2, 1), "same", "valid"))
    if padding == "same":
        stride = 1
    sides = tuple(draw.side(5, 9) for _ in range(2))
    channels, filters = groups * draw.choice((1, 2, 3)), groups * draw.choice((1, 2, 3))
    lead = draw.choice(((1,), (2,), (), (3,)))
    return {
        "x": draw.array((*lead, channels, *sides)),
        "weight": draw.tame((filters, channels // groups, *kernel)),
        "bias": draw.optional(draw.tame((filters,))),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


@reference("nn.functional.conv2d", inputs=_inputs)
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Σ over channels and kernel of x[n, c, i·s + k·d - p]·weight[o, c, k] + bias[o] (LeCun et al. 1989).

    x: (N, C, H, W) or (C, H, W), weight: (O, C/groups, K, L), bias: (O,). ``same`` pads to keep the size, the odd
    element behind; it needs stride 1. The bias is one more term of the sum, since kernels start to accumulate from it.
    """
    steps, holes, kernel = _two(stride), _two(dilation), np.shape(weight)[2:]
    pads = _pads(padding, holes, kernel)
    batch = x if np.ndim(x) == 4 else x.reshape(1, *np.shape(x))
    padded = np.pad(batch, ((0, 0), (0, 0), *pads))
    windows = _windows(padded, kernel, steps, holes, groups)
    n, _, terms, rows, columns = np.shape(windows)
    filters = weight.reshape(groups, np.shape(weight)[0] // groups, terms)
    if bias is None:
        product = np.einsum("ngthw,got->ngohw", windows, filters)
    else:
        ones = np.ones((n, groups, 1, rows, columns))
        biased = np.concatenate([filters, bias.reshape(*np.shape(filters)[:2], 1)], axis=2)
        product = np.einsum("ngthw,got->ngohw", np.concatenate([windows, ones], axis=2), biased)
    shape = (n, np.shape(weight)[0], rows, columns)

    def conv2d_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(np.shape(product))
        gradients = {
            "x": _input_gradient(g, weight, np.shape(padded), pads, steps, holes).reshape(np.shape(x)),
            "weight": np.einsum("ngthw,ngohw->got", windows, g).reshape(np.shape(weight)),
        }
        if bias is not None:
            gradients["bias"] = np.sum(g, axis=(0, 3, 4)).reshape(np.shape(bias))
        return gradients

    return product.reshape(shape if np.ndim(x) == 4 else shape[1:]), conv2d_vjp


def _two(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _pads(padding: Any, holes: tuple[int, int], kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    if padding == "same":
        extents = [hole * (side - 1) for hole, side in zip(holes, kernel, strict=True)]
        return [(extent // 2, extent - extent // 2) for extent in extents]
    return [(pad, pad) for pad in _two(0 if padding == "valid" else padding)]


def _windows(x: Any, kernel: tuple[int, ...], steps: tuple[int, int], holes: tuple[int, int], groups: int) -> Any:
    """All kernel windows of padded x, shape (N, groups, C/groups·K·L, H', W')."""
    n, channels, *sides = np.shape(x)
    counts = [
        (side - hole * (k - 1) - 1) // step + 1 for side, hole, k, step in zip(sides, holes, kernel, steps, strict=True)
    ]
    shifted = [
        x[:, :, i * holes[0] :, j * holes[1] :][:, :, :: steps[0], :: steps[1]][:, :, : counts[0], : counts[1]]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    stacked = np.stack(shifted, axis=2)
    return stacked.reshape(n, groups, (channels // groups) * kernel[0] * kernel[1], *counts)


def _input_gradient(
    g: Any,
    weight: Any,
    padded: tuple[int, ...],
    pads: list[tuple[int, int]],
    steps: tuple[int, int],
    holes: tuple[int, int],
) -> Any:
    """The transposed convolution, as a convolution: g with zeros between, the kernel turned around."""
    n, groups, outer, *_ = np.shape(g)
    inner, *kernel = np.shape(weight)[1:]
    spread = _zeros_between(_zeros_between(g, 3, steps[0]), 4, steps[1])
    margins = [(hole * (k - 1),) * 2 for hole, k in zip(holes, kernel, strict=True)]
    wide = np.pad(spread.reshape(n, groups * outer, *np.shape(spread)[3:]), ((0, 0), (0, 0), *margins))
    windows = _windows(wide, tuple(kernel), (1, 1), holes, groups)
    turned = np.flip(weight.reshape(groups, outer, inner, *kernel), axis=(3, 4))
    turned = np.swapaxes(turned, 1, 2).reshape(groups, inner, outer * kernel[0] * kernel[1])
    product = np.einsum("ngthw,gct->ngchw", windows, turned)
    # What the last window of the forward pass did not reach has no gradient.
    missing = [side - got for side, got in zip(padded[2:], np.shape(product)[3:], strict=True)]
    full = np.pad(product, ((0, 0), (0, 0), (0, 0), *((0, m) for m in missing)))
    (top, bottom), (left, right) = pads
    height, width = padded[2:]
    return full[:, :, :, top : height - bottom, left : width - right]


def _zeros_between(x: Any, axis: int, step: int) -> Any:
    """x with step - 1 zeros after each element along an axis, but for the last."""
    if step == 1:
        return x
    shape = list(np.shape(x))
    widths = [(0, 0)] * (len(shape) + 1)
    widths[axis + 1] = (0, step - 1)
    wide = np.pad(np.expand_dims(x, axis + 1), widths)
    shape[axis] *= step
    return wide.reshape(*shape)[(slice(None),) * axis + (slice(0, shape[axis] - step + 1),)]
