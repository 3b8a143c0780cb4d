"""Sampling an image at the points of a grid, and the grid of an affine map."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic.functions import number, stored, unrounded
from gradcheck.reference.nn.functional.interpolation import cubic_kernel
from gradcheck.reference.registry import Kink, reference
from gradcheck.reference.taps import Taps, combined, picked, possible, taps_of, turned

__all__ = ["affine_grid", "grid_sample"]


def _affine_inputs(draw: Any) -> dict[str, Any]:
    dims = draw.choice((2, 3))
    batch = draw.choice((1, 2))
    sides = tuple(draw.side(1, 7) for _ in range(dims))
    return {
        "x": draw.array((batch, dims, dims + 1)),
        "size": (batch, draw.choice((1, 2)), *sides),
        "align_corners": draw.choice((None, True, False)),
    }


@reference("nn.functional.affine_grid", inputs=_affine_inputs)
def affine_grid(x: Any, *, size: tuple[int, ...], align_corners: bool | None = None) -> Any:
    """The places θ·(w, h, 1) for all pixels of an image of ``size`` (Jaderberg et al. 2015).

    x (PyTorch's theta): (N, 2, 3) for size (N, C, H, W), giving (N, H, W, 2), coordinates x before y; or (N, 3, 4) for
    size (N, C, D, H, W), giving (N, D, H, W, 3). Pixels lie evenly in [-1, 1], their centres at both ends with
    ``align_corners``, else half a pixel from them; a dimension of one pixel lies at 0. PyTorch stores these points:
    steps from the nearer end, times (W - 1), divided by W.
    """
    sides = size[2:]
    dims, pixels = len(sides), math.prod(sides)
    points = [_centres(side, bool(align_corners), x) for side in reversed(sides)]
    columns = [
        np.broadcast_to(along.reshape((side,) + (1,) * d), sides).reshape(pixels, 1)
        for d, (along, side) in enumerate(zip(points, reversed(sides), strict=True))
    ]
    base = np.concatenate([*columns, np.ones((pixels, 1))], axis=1)

    def affine_grid_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.einsum("npd,pk->ndk", g.reshape(np.shape(x)[0], pixels, dims), base)}

    return np.einsum("ndk,pk->npd", x, base).reshape((np.shape(x)[0], *sides, dims)), affine_grid_vjp


def _centres(side: int, align_corners: bool, like: Any) -> Any:
    """Places of ``side`` pixels in [-1, 1]."""
    if side == 1:
        return number(0.0, like).reshape(1)
    step = number(2.0, like) / (side - 1.0)
    index = np.arange(side)
    even = stored(np.where(index < side / 2, index * step - 1.0, 1.0 - (side - 1 - index) * step))
    return even if align_corners else stored(stored(even * (side - 1.0)) / float(side))


PLACES = ("ordinary", "near", "ties", "integers", "inner")
"""Kinds of places: PyTorch promises nothing about those that are not finite, or far away."""


def _inputs(draw: Any) -> dict[str, Any]:
    mode, dims = draw.choice((("bilinear", 2), ("nearest", 2), ("bicubic", 2), ("bilinear", 3), ("nearest", 3)))
    batch = draw.choice((1, 2))
    sides = tuple(draw.choice((4, 3, 5, 2, 1)[: 7 - dims]) for _ in range(dims))
    points = (draw.choice((3, 2)), *(draw.choice((4, 1, 3)) for _ in range(dims - 1)))
    align_corners = draw.choice((None, True, False))
    half = tuple(float(2 * i + 1) / sides[-1] - 1.0 for i in range(sides[-1]))
    return {
        "x": draw.array((batch, draw.side(1, 5), *sides)),
        "grid": draw.array((batch, *points, dims), PLACES, near=(0.0, -1.0, 1.0, 0.5, *half)),
        "mode": mode,
        "padding_mode": draw.choice(("zeros", "border", "reflection")),
        "align_corners": align_corners,
    }


class _Axis(NamedTuple):
    """Along one dimension, for every point: taps with the weights of the value and of its slope by the place.

    factor: pixels per unit of the grid, 0 where the place was moved to the border.
    """

    taps: Taps
    slope: Any
    factor: Any


@reference(
    "nn.functional.grid_sample",
    inputs=_inputs,
    kinks=(
        Kink(
            "a place on a pixel's centre",
            "the slope to the next pixel",
            at={"x": [[[[1.0, 3.0, 9.0]]]], "grid": [[[[0.0, 0.0]]]], "align_corners": True},
            gives={"value": [[[[3.0]]]], "grad[grid]": [[[[6.0, 0.0]]]]},
        ),
        Kink(
            "a place on the centre of a border pixel, padding_mode border",
            "the gradient of grid is 0 there and beyond",
            at={
                "x": [[[[1.0, 3.0, 9.0]]]],
                "grid": [[[[-1.0, 0.0], [1.0, 0.0], [2.0, 0.0]]]],
                "padding_mode": "border",
                "align_corners": True,
            },
            gives={"value": [[[[1.0, 9.0, 9.0]]]], "grad[grid]": [[[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]]},
        ),
    ),
)
def grid_sample(
    x: Any,
    grid: Any,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """x at the places of a grid, -1 and 1 being its ends (Jaderberg et al. 2015).

    x: (N, C, H, W), grid: (N, P, Q, 2), value: (N, C, P, Q); or (N, C, D, H, W), (N, O, P, Q, 3), (N, C, O, P, Q). The
    last coordinate of a place belongs to the first of these dimensions. ``align_corners``: -1 and 1 are the centres of
    the border pixels, else their outer edges.

    bilinear: the neighbours by their distance; nearest: the nearest pixel, of two the even one, with gradient 0 by the
    grid; bicubic: cubic convolution with a = -¾ (Keys 1981). Pixels outside are 0 (zeros); or places outside are moved
    to the nearest border pixel's centre (border), or mirrored at the ends and then moved so (reflection); bicubic does
    this with each pixel that it needs instead of the place. Where a place was moved the gradient of grid is 0, at the
    centre of a border pixel as well; on a pixel's centre it is the slope towards the next one.
    """
    n, channels, *sides = np.shape(x)
    points, dims = np.shape(grid)[1:-1], len(sides)
    pixels, rows = math.prod(sides), n * math.prod(points)
    places = grid.reshape(rows, dims)
    axes = [
        _axis(places[:, dims - 1 - k], side, mode, padding_mode, bool(align_corners)) for k, side in enumerate(sides)
    ]
    image = np.repeat(np.arange(n), math.prod(points)).reshape(rows, 1) * pixels
    joint = _joint(axes, sides, image, None)
    flat = np.moveaxis(x, 1, 0).reshape(channels, n * pixels)
    value = np.moveaxis(combined(flat, [joint]).reshape((channels, n, *points)), 0, 1)

    def grid_sample_vjp(g: Any) -> dict[str, Any]:
        turned_g = np.moveaxis(g, 1, 0).reshape(channels, rows)
        into_x = combined(turned_g, [turned(joint, n * pixels)]).reshape((channels, n, *sides))
        return {"x": np.moveaxis(into_x, 0, 1), "grid": into_grid(turned_g)}

    def into_grid(g: Any) -> Any:
        if mode == "nearest":
            return np.zeros_like(grid)
        columns = []
        for k in reversed(range(dims)):
            sources, weight = picked(flat, [_joint(axes, sides, image, k)])
            slopes = np.einsum("cok,ok->cok", sources, weight)
            columns.append(axes[k].factor * np.einsum("cok,co->o", slopes, g))
        return np.stack(columns, axis=1).reshape(np.shape(grid))

    return value, grid_sample_vjp


def _joint(axes: list[_Axis], sides: list[int], image: np.ndarray, sloped: int | None) -> Taps:
    """Taps in all dimensions at once, as places in the images laid out flat; of the slope along ``sloped`` if given."""
    rows = len(image)
    index, used, weight = image, np.ones((rows, 1), dtype=bool), None
    for k, axis in enumerate(axes):
        further = math.prod(sides[k + 1 :])
        width = np.shape(axis.taps.source)[1]
        index = (index[:, :, None] + axis.taps.source[:, None, :] * further).reshape(rows, -1)
        used = (used[:, :, None] & axis.taps.used[:, None, :]).reshape(rows, -1)
        factor = axis.slope if k == sloped else axis.taps.weight
        if factor is not None:
            factor = factor.reshape(rows, 1, width)
            weight = factor if weight is None else weight.reshape(rows, -1, 1) * factor
        if weight is not None:  # where no place lies inside along a dimension without weights, no tap is left
            weight = weight.reshape(rows, -1)[:, : np.shape(index)[1]]
    return Taps(index, used, weight)


def _axis(coordinate: Any, side: int, mode: str, padding_mode: str, align_corners: bool) -> _Axis:
    scale = (side - 1.0 if align_corners else float(side)) / 2.0
    ahead = coordinate + 1.0
    place = ahead * scale
    place = place if align_corners else place - 0.5
    place = unrounded(place, coordinate, ahead, ahead / 2.0, ahead * (2.0 * scale), ahead * (2.0 * scale) - 1.0)
    if mode == "bicubic":
        return _cubic_axis(place, side, scale, padding_mode, align_corners)
    place, factor = _moved(place, side, padding_mode, align_corners)
    place, source = place.reshape(-1, 1), np.arange(side)
    if mode == "nearest":
        low, high = source - 0.5, source + 0.5
        chosen = ((place > low) & (place < high)) | ((source % 2 == 0) & ((place == low) | (place == high)))
        decided = not np.any(possible(chosen) & possible(~chosen))
        weight = None if decided else np.where(chosen, number(1.0, place), 0.0)
        return _Axis(taps_of(weight, chosen), None, None)
    weight = np.maximum(1.0 - np.abs(place - source), 0.0)
    slope = np.where(place >= source, number(-1.0, place), number(1.0, place))
    used = (place < source + 1) & (place >= source - 1)
    slope = np.where(used, slope, 0.0)
    return _Axis(taps_of(weight, used), taps_of(slope, used).weight, factor * scale)


def _moved(place: Any, side: int, padding_mode: str, align_corners: bool) -> tuple[Any, Any]:
    """Places moved into the image, and the derivative of that."""
    one = np.ones_like(place)
    if padding_mode == "zeros":
        return place, one
    if padding_mode == "reflection":
        low, span = (0.0, side - 1.0) if align_corners else (-0.5, float(side))
        if span == 0.0:
            return np.zeros_like(place), np.zeros_like(place)
        beyond = np.abs(place - low)
        most = int(float(np.max(beyond)) / (2.0 * span)) + 1 if np.size(beyond) else 0
        past = possible(beyond.reshape(-1, 1) >= 2.0 * span * np.arange(1, most + 1))
        rest = np.abs(beyond - 2.0 * span * past.sum(axis=1))
        one = np.where(place < low, -one, one) * np.where(rest > span, -one, one)
        place = np.minimum(rest, 2.0 * span - rest) + low
    inside = (place > 0.0) & (place < side - 1.0)
    return np.minimum(np.maximum(place, 0.0), side - 1.0), np.where(inside, one, 0.0)


def _cubic_axis(place: Any, side: int, scale: float, padding_mode: str, align_corners: bool) -> _Axis:
    """Four pixels; those outside are left out, or replaced by those that stand in their place."""
    first, last = 0, side - 1
    if padding_mode != "zeros" and np.size(place):
        first = min(first, math.floor(float(np.min(place))) - 3)
        last = max(last, math.floor(float(np.max(place))) + 3)
    place, source = place.reshape(-1, 1), np.arange(first, last + 1)
    ahead = place - source
    # The kernel takes the distances from the place's fraction, 1 - t and 2 - t among them: just before a pixel that is
    # rounded as a number near 1, and the distance to the pixel, small as it is, is off by as much.
    whole = 1.0 * possible(ahead >= 1.0) - 1.0 * possible(ahead < 0.0) - 1.0 * possible(ahead < -1.0)
    ahead = place - (source + whole) + whole
    used = (place < source + 2) & (place >= source - 2)
    distance = np.minimum(np.abs(ahead), 2.0)
    slope = np.where(ahead < 0.0, -_cubic_slope(distance), _cubic_slope(distance))
    taps = taps_of(cubic_kernel(distance, -0.75), used, first)
    index = taps.source
    if padding_mode == "reflection":
        period = 2 * (side - 1) if align_corners else 2 * side
        index = np.abs(index) if align_corners else np.where(index < 0, -1 - index, index)
        index = index % max(period, 1)
        index = np.minimum(index, period - index if align_corners else period - 1 - index)
    index = np.clip(index, 0, side - 1)
    return _Axis(taps._replace(source=index), taps_of(slope, used, first).weight, scale)


def _cubic_slope(distance: Any) -> Any:
    """The derivative of the kernel of cubic convolution with a = -¾ by the distance."""
    inner = (3.75 * distance - 4.5) * distance
    outer = (7.5 - 2.25 * distance) * distance - 6.0
    return np.where(distance <= 1.0, inner, outer)
