"""Sliding blocks of an image as columns, and columns added up to an image: adjoint to each other."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.convolution_stencil import Stencil, each
from gradcheck.reference.registry import reference
from gradcheck.reference.segments import sums_at

__all__ = ["fold", "unfold"]


def _geometry(draw: Any) -> tuple[tuple[int, int], dict[str, Any]]:
    """Sides of an image and how blocks lie in it."""
    kernel: Any = draw.choice(((2, 3), 2, (3, 1), 1))
    dilation = draw.choice((1, 2, (2, 1)))
    padding = draw.choice((0, 1, (2, 1), (0, 2)))
    stride = draw.choice((1, 2, (1, 3), (2, 1)))
    sides = (draw.side(5, 9), draw.side(5, 9))
    return sides, {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride}


def _unfold_inputs(draw: Any) -> dict[str, Any]:
    sides, geometry = _geometry(draw)
    lead = draw.choice(((1,), (2,), ()))
    return {"x": draw.array((*lead, draw.choice((1, 2, 3)), *sides)), **geometry}


def _fold_inputs(draw: Any) -> dict[str, Any]:
    sides, geometry = _geometry(draw)
    lead = draw.choice(((1,), (2,), ()))
    taps, blocks = np.shape(_pixels(sides, **geometry))
    columns = draw.array((*lead, draw.choice((1, 2, 3)) * taps, blocks))
    return {"x": columns, "output_size": sides, **geometry}


@reference("nn.functional.unfold", inputs=_unfold_inputs)
def unfold(x: Any, *, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Every block of kernel_size as a column, channels first, then rows and columns of the block (im2col).

    x: (N, C, H, W) or (C, H, W); value: (N, C·K·L, blocks) or (C·K·L, blocks), blocks row by row. Padding is zeros.
    The gradient of a pixel is the sum over the blocks that hold it.
    """
    channels, *sides = np.shape(x)[-3:]
    pixels = _pixels((sides[0], sides[1]), kernel_size, dilation, padding, stride)
    images = x.reshape(-1, prod(sides))
    columns = np.take(np.pad(images, ((0, 0), (0, 1))), pixels, axis=1)
    lead = np.shape(x)[:-3]

    def unfold_vjp(g: Any) -> dict[str, Any]:
        return {"x": _added(g.reshape(np.shape(images)[0], *pixels.shape), pixels, prod(sides)).reshape(np.shape(x))}

    return columns.reshape(*lead, channels * pixels.shape[0], pixels.shape[1]), unfold_vjp


@reference("nn.functional.fold", inputs=_fold_inputs)
def fold(x: Any, *, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The sum at each pixel of an image of output_size over the blocks that hold it (col2im).

    x: (N, C·K·L, blocks) or (C·K·L, blocks), as ``unfold`` makes them; value: (N, C, H, W) or (C, H, W). What falls on
    the padding is dropped, and its gradient is 0.
    """
    sides = each(output_size, 2)
    pixels = _pixels((sides[0], sides[1]), kernel_size, dilation, padding, stride)
    columns = x.reshape(-1, *pixels.shape)
    lead, channels = np.shape(x)[:-2], np.shape(x)[-2] // pixels.shape[0]

    def fold_vjp(g: Any) -> dict[str, Any]:
        images = np.pad(g.reshape(-1, prod(sides)), ((0, 0), (0, 1)))
        return {"x": np.take(images, pixels, axis=1).reshape(np.shape(x))}

    return _added(columns, pixels, prod(sides)).reshape(*lead, channels, *sides), fold_vjp


def _pixels(sides: tuple[int, int], kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> np.ndarray:
    """Which pixel (row·W + column) each tap of each block holds, (taps, blocks); H·W where that is padding."""
    stencil = Stencil(each(kernel_size, 2), each(stride, 2), each(dilation, 2), 1)
    margins = [(pad, pad) for pad in each(padding, 2)]
    image = np.pad(np.arange(prod(sides)).reshape(sides), margins, constant_values=prod(sides))
    return np.asarray(stencil.windows(image[None, None], stencil.counts(image.shape))[0, 0])


def _added(columns: Any, pixels: np.ndarray, size: int) -> Any:
    """Σ of columns (images, taps, blocks) by the pixel they hold, (images, size); padding is dropped."""
    inside = np.flatnonzero(pixels.ravel() < size)
    terms = np.take(np.moveaxis(columns.reshape(-1, pixels.size), 0, 1), inside, axis=0)
    return np.moveaxis(sums_at(terms, pixels.ravel()[inside], size), 0, 1)
