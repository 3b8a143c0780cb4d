"""Interpolation: images and signals of another size, dimension by dimension."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, sinc, stored
from gradcheck.reference.registry import reference
from gradcheck.reference.taps import Taps, combined, copies, taps_of, turned

__all__ = ["cubic_kernel", "interpolate", "upsample_bilinear", "upsample_nearest"]

MODES = (
    ("nearest", 2), ("bilinear", 2), ("bicubic", 2), ("area", 2), ("nearest-exact", 2), ("linear", 1), ("nearest", 1),
    ("nearest-exact", 1), ("area", 1), ("trilinear", 3), ("nearest", 3), ("nearest-exact", 3), ("area", 3),
    ("bilinear antialias", 2), ("lanczos antialias", 2), ("bicubic antialias", 2),
)  # fmt: skip

BESIDE = 3.0 * (1.0 + 2.0**-18)
"""A factor with which points lie just beyond the place where the pieces of the cubic kernel meet."""

FACTORS: dict[int, tuple[Any, ...]] = {
    1: (2.0, 0.5, (1.7,), (0.3,), 1.0),
    2: (2.0, 0.5, (1.7, 0.6), (0.35, 2.3), (1.0, 3.0), (0.3, 0.6), (1.1, 0.6), (BESIDE, 0.6)),
    3: (2.0, 0.5, (1.7, 0.6, 1.0), (2.6, 1.7, 0.7)),
}
"""Scale factors by the number of dimensions; a single number is one that every format holds. 1.1 keeps a side
below 10 as it is."""

EXACT = 128
"""Up to this a scale that is a whole number of 2^-k keeps all places, with their halves, exact in 16 bits or more."""


def _inputs(draw: Any) -> dict[str, Any]:
    name, dims = draw.choice(MODES)
    mode, _, antialias = name.partition(" ")
    smooth = mode in ("linear", "bilinear", "trilinear", "bicubic")
    by_factor = draw.boolean()
    least = 4 if by_factor and dims < 3 else 2  # no factor leaves nothing of it
    sides = tuple(draw.choice([side for side in (4, 3, 5, 7, 2, 8)[: 6 - dims] if side >= least]) for _ in range(dims))
    x = draw.array((draw.choice((1, 2)), draw.side(1, 5), *sides))
    align_corners = draw.choice((None, True, False)) if smooth else None
    if smooth and x.kind in ("special", "rare"):  # what an infinity does at places that are not exact is not certain
        factor, recompute, size = None, None, draw.choice((5, 3, 2) if align_corners else (8, 4, 2))
    elif by_factor:
        factor = draw.choice(FACTORS[dims])
        size, recompute = None, draw.choice((None, True, False))
    else:
        factor, recompute = None, None
        last = 5 if antialias else 6  # not one point alone: see the finding in tests/reference/test_vision.py
        points = (6, 3, 4, 7, 2, 1)[:last]
        size = (
            draw.choice(points)
            if draw.boolean()
            else (*(draw.choice((4, 7, 2, 3, 9, 1)) for _ in sides[1:]), draw.choice(points))
        )
    return {
        "x": x,
        "size": size,
        "scale_factor": factor,
        "mode": mode,
        "align_corners": align_corners,
        "recompute_scale_factor": recompute,
        "antialias": bool(antialias),
    }


def _rows(arguments: dict[str, Any]) -> tuple[str, ...]:
    return ("x",)


@reference("nn.functional.interpolate", inputs=_inputs, rows=_rows)
def interpolate(
    x: Any,
    *,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """x of shape (N, C, D₁, …) at the points of a grid of ``size`` (N, C, size…), or of ⌊D·scale_factor⌋ points.

    Point i of a dimension lies at s·(i + ½) - ½ of the source, with s = 1/scale_factor where that is given and not
    recomputed, else s = D/size; with ``align_corners`` at i·(D - 1)/(size - 1). PyTorch computes it in the working
    format, and so does the formula: where a place is uncertain, so is the cell that it lies in.

    linear, bilinear, trilinear: the neighbours by their distance, nothing before the first; bicubic: cubic convolution
    with a = -¾ (Keys 1981), the border repeated; area: the mean of all source elements that a point's share touches;
    nearest: element ⌊s·i⌋, nearest-exact: ⌊s·(i + ½)⌋, both in float32 whatever the dtype (nearest takes ⌊i/2⌋ where
    size = 2·D and i where size = D, whatever the factor; in one and three dimensions PyTorch's forward does not, its
    gradient does). ``antialias``: a kernel s times as wide, for s > 1, divided by its sum over the source, first along
    the last dimension, whose results are stored: the triangle, cubic convolution with a = -½, lanczos:
    sinc(d)·sinc(d/3) for |d| < 3 (Duchon 1979).
    """
    sides = np.shape(x)[2:]
    sizes, factors = _sizes(sides, size, scale_factor, mode == "area" or bool(recompute_scale_factor))
    if mode == "area":
        return _area(x, sides, sizes)
    if mode in ("nearest", "nearest-exact"):
        nearest = _nearest if mode == "nearest" else _nearest_exact
        taps = [copies(nearest(*along)) for along in zip(sides, sizes, factors, strict=True)]
    else:
        taps = []
        for side, points, factor in zip(sides, sizes, factors, strict=True):
            scale = _scale(side, points, factor, align_corners, x)
            along = (mode, side, points)
            one = number(1.0, x)
            if antialias:
                taps.append(_antialiased(*along, scale * one))
            else:
                taps.append(_neighbours(*along, scale, bool(align_corners), one))
    if antialias or mode == "bicubic":
        rows = combined(x, taps[1:])
        rows = stored(rows) if antialias else rows
        value = np.swapaxes(combined(np.swapaxes(rows, 2, 3), taps[:1]), 2, 3)
    else:
        value = combined(x, taps)

    def interpolate_vjp(g: Any) -> dict[str, Any]:
        return {"x": combined(g, [turned(along, side) for along, side in zip(taps, sides, strict=True)])}

    return value, interpolate_vjp


def _sizes(
    sides: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Points in each dimension; and the factors by which places are computed, None where sizes tell them."""
    nothing = (None,) * len(sides)
    if size is not None:
        return size if isinstance(size, tuple) else (size,) * len(sides), nothing
    factors = scale_factor if isinstance(scale_factor, tuple) else (float(scale_factor),) * len(sides)
    sizes = tuple(int(side * factor) for side, factor in zip(sides, factors, strict=True))
    return sizes, nothing if recompute else factors


def _nearest(side: int, points: int, factor: float | None) -> np.ndarray:
    index = np.arange(points)
    if points == side:
        return index
    if points == 2 * side:
        return index // 2
    return np.minimum(np.floor(index.astype(np.float32) * _scale32(side, points, factor)).astype(np.int64), side - 1)


def _nearest_exact(side: int, points: int, factor: float | None) -> np.ndarray:
    place = (np.arange(points) + 0.5) * np.float64(_scale32(side, points, factor))
    return np.minimum(np.floor(place.astype(np.float32)).astype(np.int64), side - 1)


def _scale32(side: int, points: int, factor: float | None) -> np.float32:
    """Source elements per point in float32: the format of nearest neighbours."""
    return np.float32(side) / np.float32(points) if factor is None else np.float32(1.0 / factor)


def _scale(side: int, points: int, factor: float | None, align_corners: bool | None, x: Any) -> Any:
    """Source elements per point: a plain number where all places are exact in any format, else in the arithmetic of x.

    1/factor is a float64 first.
    """
    if factor is not None and not align_corners:
        share = Fraction(1.0 / factor)
        quotient = number(1.0 / factor, x)
    else:
        less = 1 if align_corners else 0
        if points == less:
            return 0.0
        share = Fraction(side - less, points - less)
        quotient = number(float(side - less), x) / float(points - less)
    exact = share.denominator & (share.denominator - 1) == 0 and max(share.numerator, share.denominator) <= EXACT
    return float(share) if exact else quotient


def _neighbours(mode: str, side: int, points: int, scale: Any, align_corners: bool, one: Any) -> Taps:
    """Linear: two neighbours; cubic: four. Beyond the border its element stands."""
    cubic = mode == "bicubic"
    if points == side and not cubic:  # the second neighbour is the element itself, and counts by 0
        index = np.arange(side).reshape(side, 1)
        return Taps(np.repeat(index, 2, axis=1), np.ones((side, 2), dtype=bool), np.array([[1.0, 0.0]] * side))
    places = np.arange(points)
    place = places * scale if align_corners else (places + 0.5) * scale - 0.5
    first, reach = (-2, 2) if cubic else (0, 1)
    source = np.arange(first, side + reach)
    place = (place if cubic else np.maximum(place, 0.0)).reshape((points, 1))
    ahead = place - source
    used = (place < source + reach) & (place >= source - reach)
    if cubic:
        distance = np.abs(ahead) * one
        weight = cubic_kernel(np.minimum(distance, 2.0), -0.75)
    else:
        weight = np.maximum(np.minimum(1.0 - ahead, place - (source - 1.0)), 0.0)
    taps = taps_of(weight, used, first)
    return taps._replace(source=np.clip(taps.source, 0, side - 1))


def cubic_kernel(distance: Any, a: float) -> Any:
    """The kernel of cubic convolution at distances in [0, 2], by Horner's scheme (Keys 1981)."""
    inner = ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0
    outer = ((a * distance - 5.0 * a) * distance + 8.0 * a) * distance - 4.0 * a
    return np.where(distance <= 1.0, inner, outer)


RADIUS = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""Half the width of an antialiasing kernel, by mode."""


def _antialiased(mode: str, side: int, points: int, scale: Any) -> Taps:
    """All source elements within a kernel that is ``scale`` times as wide where that is more than 1."""
    radius = RADIUS[mode]
    wide = float(scale) >= 1.0
    support = radius * scale if wide else number(radius, scale)
    centre = ((np.arange(points) + 0.5) * scale).reshape((points, 1))
    ahead = np.arange(side) - centre + 0.5
    used = (ahead > -support) & (ahead <= support)
    distance = np.abs(ahead / scale if wide else ahead)
    weight = {
        "bilinear": lambda: 1.0 - distance,
        "bicubic": lambda: cubic_kernel(distance, -0.5),
        "lanczos": lambda: sinc(distance) * sinc(distance / 3.0),
    }[mode]()
    taps = taps_of(weight, used)
    return taps._replace(weight=taps.weight / np.sum(taps.weight, axis=1, keepdims=True))


def _area(x: Any, sides: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    """The mean over windows from ⌊i·D/size⌋ to ⌈(i + 1)·D/size⌉, as adaptive_avg_pool takes it: divided by each side of
    the window in turn, but for a mean over everything, which is a stored sum divided."""
    taps, counts = [], []
    for side, points in zip(sides, sizes, strict=True):
        start = np.arange(points)[:, None] * side // points
        stop = -(-np.arange(1, points + 1)[:, None] * side // points)
        source = np.arange(side)
        taps.append(taps_of(None, (source >= start) & (source < stop)))
        counts.append((stop - start)[:, 0].astype(np.float64))
    whole = math.prod(sizes) == 1

    def shared(total: Any) -> Any:
        if whole:
            return total / float(math.prod(sides))
        for d, along in enumerate(counts):
            total = total / along.reshape((1,) * d + (-1,) + (1,) * (len(sides) - d - 1))
        return total

    def interpolate_vjp(g: Any) -> dict[str, Any]:
        return {"x": combined(shared(g), [turned(along, side) for along, side in zip(taps, sides, strict=True)])}

    total = combined(x, taps)
    return shared(stored(total) if whole else total), interpolate_vjp


def _upsample_inputs(draw: Any, dims: tuple[int, ...]) -> dict[str, Any]:
    n = draw.choice(dims)
    by_factor = draw.boolean()
    least = 4 if by_factor and n < 3 else 2
    sides = tuple(draw.choice([side for side in (4, 3, 5, 7, 2, 8)[: 6 - n] if side >= least]) for _ in range(n))
    x = draw.array((draw.choice((1, 2)), draw.side(1, 5), *sides))
    # What an infinity does at places that are not exact is not certain.
    exact = x.kind in ("special", "rare")
    size = draw.choice((5, 3, 2) if exact else (8, 6, 3, 1)) if draw.boolean() else None
    by_factor = by_factor and not exact
    return {
        "x": x,
        "size": None if by_factor else size or tuple(draw.choice((5, 9) if exact else (4, 7, 2, 9)) for _ in sides),
        "scale_factor": draw.choice(FACTORS[n]) if by_factor else None,
    }


@reference("nn.functional.upsample_nearest", inputs=lambda draw: _upsample_inputs(draw, (2, 1, 3)), rows=_rows)
def upsample_nearest(x: Any, *, size: Any = None, scale_factor: Any = None) -> Any:
    """interpolate with mode ``nearest``; x: (N, C, D₁, …) with one to three dimensions D."""
    return interpolate(x, size=size, scale_factor=scale_factor, mode="nearest")


@reference("nn.functional.upsample_bilinear", inputs=lambda draw: _upsample_inputs(draw, (2,)), rows=_rows)
def upsample_bilinear(x: Any, *, size: Any = None, scale_factor: Any = None) -> Any:
    """interpolate with mode ``bilinear`` and aligned corners; x: (N, C, H, W)."""
    return interpolate(x, size=size, scale_factor=scale_factor, mode="bilinear", align_corners=True)
