"""Rearranging channels: shuffles that only move elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.registry import reference

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def _shuffle_inputs(draw: Any) -> dict[str, Any]:
    factor = draw.choice((2, 3, 1))
    lead = draw.choice(((1,), (2,), (), (2, 3)))
    shape = (*lead, draw.choice((1, 2, 3)) * factor * factor, draw.choice((2, 3, 1)), draw.side(1, 5))
    return {"x": draw.array(shape), "upscale_factor": factor}


@reference("nn.functional.pixel_shuffle", inputs=_shuffle_inputs)
def pixel_shuffle(x: Any, *, upscale_factor: int) -> Any:
    """Channels to pixels: (…, C·r², H, W) to (…, C, H·r, W·r) (Shi et al. 2016).

    value[…, c, h·r + i, w·r + j] = x[…, c·r² + i·r + j, h, w].
    """

    def pixel_shuffle_vjp(g: Any) -> dict[str, Any]:
        return {"x": _to_channels(g, upscale_factor)}

    return _to_pixels(x, upscale_factor), pixel_shuffle_vjp


def _unshuffle_inputs(draw: Any) -> dict[str, Any]:
    factor = draw.choice((2, 3, 1))
    lead = draw.choice(((1,), (2,), (), (2, 3)))
    shape = (*lead, draw.choice((1, 2, 3)), draw.choice((2, 3, 1)) * factor, draw.side(1, 5) * factor)
    return {"x": draw.array(shape), "downscale_factor": factor}


@reference("nn.functional.pixel_unshuffle", inputs=_unshuffle_inputs)
def pixel_unshuffle(x: Any, *, downscale_factor: int) -> Any:
    """Pixels to channels, the inverse of pixel_shuffle: (…, C, H·r, W·r) to (…, C·r², H, W) (Shi et al. 2016)."""

    def pixel_unshuffle_vjp(g: Any) -> dict[str, Any]:
        return {"x": _to_pixels(g, downscale_factor)}

    return _to_channels(x, downscale_factor), pixel_unshuffle_vjp


def _channel_inputs(draw: Any) -> dict[str, Any]:
    groups = draw.choice((2, 3, 1))
    inner = draw.shape(dims=(1, 3), least=1, most=60)
    return {"x": draw.array((draw.choice((1, 2)), groups * draw.choice((2, 3, 1)), *inner)), "groups": groups}


@reference("nn.functional.channel_shuffle", inputs=_channel_inputs)
def channel_shuffle(x: Any, *, groups: int) -> Any:
    """Channels of groups in turn: value[n, c·G + g] = x[n, g·C/G + c] of G groups; (N, C, …) (Zhang et al. 2018)."""

    def channel_shuffle_vjp(g: Any) -> dict[str, Any]:
        return {"x": _dealt(g, np.shape(x)[1] // groups)}

    return _dealt(x, groups), channel_shuffle_vjp


def _to_pixels(x: Any, r: int) -> Any:
    *lead, channels, height, width = np.shape(x)
    split = x.reshape((*lead, channels // (r * r), r, r, height, width))
    woven = np.moveaxis(split, (-4, -3), (-3, -1))
    return woven.reshape((*lead, channels // (r * r), height * r, width * r))


def _to_channels(x: Any, r: int) -> Any:
    *lead, channels, height, width = np.shape(x)
    split = x.reshape((*lead, channels, height // r, r, width // r, r))
    woven = np.moveaxis(split, (-3, -1), (-4, -3))
    return woven.reshape((*lead, channels * r * r, height // r, width // r))


def _dealt(x: Any, piles: int) -> Any:
    """The channels dealt to piles and taken up again column by column."""
    n, channels, *inner = np.shape(x)
    split = np.swapaxes(x.reshape((n, piles, channels // piles, *inner)), 1, 2)
    return split.reshape((n, channels, *inner))
