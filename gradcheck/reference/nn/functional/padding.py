"""Padding: what lies beyond the ends of the last dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.registry import reference
from gradcheck.reference.taps import combined, copies, turned

__all__ = ["pad"]

BEYOND = {
    "reflect": lambda place, size: size - 1 - np.abs(size - 1 - np.abs(place)),
    "replicate": lambda place, size: np.clip(place, 0, size - 1),
    "circular": lambda place, size: place % size,
}
"""By mode: from places, which may lie beyond the ends, to the elements of a dimension of ``size`` that stand there."""


def _inputs(draw: Any) -> dict[str, Any]:
    mode = draw.choice(("constant", "reflect", "replicate", "circular"))
    dims = draw.choice((1, 2, 3))
    if mode == "constant":
        lead = draw.shape(dims=(0, 2), least=1, most=30)
        sides = tuple(draw.choice((3, 5, 4, 2)) for _ in range(dims))
        widths = tuple(draw.choice((1, 0, 2, -1, 3)) for _ in range(2 * dims))
    else:
        lead = (*draw.choice(((1,), (2,), ())), draw.side(1, 9))
        sides = tuple(draw.choice((4, 3, 5)) for _ in range(dims))
        widths = tuple(draw.choice((1, 2, 0)) for _ in range(2 * dims))
    value = draw.choice((None, 0.5, -1.7)) if mode == "constant" else None
    return {"x": draw.array((*lead, *sides)), "pad": widths, "mode": mode, "value": value}


@reference("nn.functional.pad", inputs=_inputs)
def pad(x: Any, *, pad: tuple[int, ...], mode: str = "constant", value: Any = None) -> Any:
    """x with pad[0], pad[1] elements before and after it in the last dimension, pad[2], pad[3] in the one before, …

    x: (…, D₁, …, Dₖ) for 2k numbers in ``pad``, the result (…, D₁ + pad[2k-2] + pad[2k-1], …, Dₖ + pad[0] + pad[1]).
    constant: ``value`` (None: 0) stands beyond the ends, and a negative number crops; reflect: x mirrored about its
    ends, which are not repeated; replicate: the ends repeated; circular: x repeated. The gradient of an element is the
    sum over all its copies. Padding modules are this function.
    """
    widths = [pad[i : i + 2] for i in range(0, len(pad), 2)][::-1]
    sides = np.shape(x)[np.ndim(x) - len(widths) :]
    if mode == "constant":
        wide = _cropped(np.pad(x, _all_widths(x, widths)), widths)
        if value is not None:
            inside = _cropped(np.pad(np.ones(np.shape(x)), _all_widths(x, widths)), widths) > 0
            wide = np.where(inside, wide, value)
    else:
        taps = [
            copies(BEYOND[mode](np.arange(-before, side + after), side))
            for (before, after), side in zip(widths, sides, strict=True)
        ]
        wide = combined(x, taps)

    def pad_vjp(g: Any) -> dict[str, Any]:
        if mode == "constant":
            opposite = [(-before, -after) for before, after in widths]
            return {"x": _cropped(np.pad(g, _all_widths(g, opposite)), opposite)}
        return {"x": combined(g, [turned(along, side) for along, side in zip(taps, sides, strict=True)])}

    return wide, pad_vjp


def _all_widths(x: Any, widths: Any) -> list[tuple[int, int]]:
    """The positive widths, for every dimension of x."""
    outer = [(0, 0)] * (np.ndim(x) - len(widths))
    return [*outer, *((max(before, 0), max(after, 0)) for before, after in widths)]


def _cropped(x: Any, widths: Any) -> Any:
    """x without what negative widths take away."""
    sides = np.shape(x)[np.ndim(x) - len(widths) :]
    kept = [slice(max(-before, 0), side + min(after, 0)) for (before, after), side in zip(widths, sides, strict=True)]
    index = (..., *kept)
    return x[index]
