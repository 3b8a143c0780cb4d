"""Transposed convolution in one, two and three dimensions: the adjoint of convolution, as a map of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.convolution_stencil import Stencil, cut, each
from gradcheck.reference.registry import reference

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    """Small in three dimensions, where there are many products; every option differs between dimensions somewhere."""
    small = dims == 3
    widths, longest = ((1, 2), 4) if small else ((1, 2, 3), 8)
    kernels = ((2, 1), (1, 2), (2, 3)) if small else ((2, 1, 3), (3, 1, 2))[:dims]
    strides = (1, 2, (2, 1, 3) if small else (3, 1)[:dims])
    dilations = (1, 2, (1, 2, 1) if small else (2, 1)[:dims])
    paddings = (0, 1, (1, 0, 1) if small else (1, 2)[:dims])

    def inputs(draw: Any) -> dict[str, Any]:
        groups = draw.choice((1, 1, 2, 3))
        kernel = tuple(draw.choice(sides) for sides in kernels)
        dilation, stride, padding = draw.choice(dilations), draw.choice(strides), draw.choice(paddings)
        room = [max(pair) for pair in zip(each(stride, dims), each(dilation, dims), strict=True)]
        output_padding: Any = draw.choice((0, min(room) - 1, tuple(side - 1 for side in room)))
        options = [each(option, dims) for option in (kernel, dilation, padding, stride)]
        # The smallest sides that leave something: of few terms only do sums show small faults.
        least = [max(2, 1 - (d * (k - 1) - 2 * p) // s) for k, d, p, s in zip(*options, strict=True)]
        sides = tuple(draw.side(side, longest) for side in least)
        channels, inner = groups * draw.choice(widths), draw.choice(widths)
        lead = draw.choice(((1,), (2,), (), (3,)))
        return {
            "x": draw.array((*lead, channels, *sides)),
            "weight": draw.tame((channels, inner, *kernel)),
            "bias": draw.optional(draw.tame((groups * inner,))),
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "groups": groups,
            "dilation": dilation,
        }

    return inputs


@reference("nn.functional.conv_transpose1d", inputs=_inputs(1))
def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Σ of x[n, c, i]·weight[c, o, k] over channels, and i, k with i·s + k·d - p = j, + bias[o] (Zeiler et al. 2010).

    x: (N, C, L) or (C, L), weight: (C, O/groups, K), bias: (O,); value: (N, O, (L - 1)·s - 2·p + d·(K - 1) + 1 +
    output_padding). The pixels that ``output_padding`` adds behind hold what reaches them, and the bias.
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation)


@reference("nn.functional.conv_transpose2d", inputs=_inputs(2))
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Σ of x[n, c, i]·weight[c, o, k] over channels, and i, k with i·s + k·d - p = j, + bias[o] (Zeiler et al. 2010).

    x: (N, C, H, W) or (C, H, W), weight: (C, O/groups, K, L), bias: (O,); sides of the value as in conv_transpose1d.
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation)


@reference("nn.functional.conv_transpose3d", inputs=_inputs(3))
def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Σ of x[n, c, i]·weight[c, o, k] over channels, and i, k with i·s + k·d - p = j, + bias[o] (Zeiler et al. 2010).

    x: (N, C, D, H, W) or (C, D, H, W), weight: (C, O/groups, K, L, M), bias: (O,); sides of the value as in
    conv_transpose1d.
    """
    return _transposed(x, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Any:
    """The stencil reads the padded image that is the value before it is cropped, and yields x.

    What is cropped is no term of any gradient, though some kernels multiply x by the zeros in its place.
    """
    dims = np.ndim(weight) - 2
    stencil = Stencil(np.shape(weight)[2:], each(stride, dims), each(dilation, dims), groups)
    counts, pads = np.shape(x)[-dims:], each(padding, dims)
    reached = zip(counts, stencil.steps, stencil.extents, each(output_padding, dims), strict=True)
    sides = tuple((count - 1) * step + extent + 1 + more for count, step, extent, more in reached)
    within = tuple(slice(pad, side - pad) for pad, side in zip(pads, sides, strict=True))
    inside = np.zeros(sides, dtype=bool)
    inside[within] = True
    batch = x.reshape(-1, *np.shape(x)[-dims - 1 :])
    value = cut(stencil.transpose(batch, weight, bias, sides), within)

    def transposed_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(np.shape(value))
        wide = np.pad(g, ((0, 0), (0, 0), *((pad, pad) for pad in pads)))
        gradients = {
            "x": stencil.correlate(wide, weight, None, counts).reshape(np.shape(x)),
            "weight": stencil.weight_gradient_within(wide, batch, inside),
        }
        if bias is not None:
            gradients["bias"] = np.sum(g, axis=(0, *range(2, 2 + dims)))
        return gradients

    return value.reshape(*np.shape(x)[: -dims - 1], *np.shape(value)[1:]), transposed_vjp
