"""How cases of the pooling operations are drawn: shapes, and windows that PyTorch accepts on them."""

from __future__ import annotations

from typing import Any

__all__ = ["MOST", "leading", "sliding_options"]

KERNELS = {1: (2, 3, 1, 5, 4), 2: (2, 3, 1, 4), 3: (2, 3, 1)}

MOST = {1: 33, 2: 9, 3: 5}
"""Largest usual side, by the number of dimensions: the cost of a case grows with the whole plane."""


def leading(draw: Any) -> tuple[int, ...]:
    """Batch and channels, or channels alone."""
    chosen: tuple[int, ...] = draw.choice(((1, 2), (2, 3), (3,), (1,), (0, 2), (2, 1)))
    return chosen


def sliding_options(
    draw: Any, dims: int, *, padded: bool = False, dilated: bool = False, whole: bool = False
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """``kernel_size``, ``stride``, ``padding`` and ``dilation``, and sides on which every window holds an element.

    whole: the sides hold a whole window without the padding.
    """
    single = draw.choice((True, False))
    several = 1 if single else dims
    kernels = tuple(draw.choice(KERNELS[dims]) for _ in range(several))
    options: dict[str, Any] = {"kernel_size": kernels, "stride": tuple(draw.choice((2, 1, 3)) for _ in kernels)}
    if padded:
        options["padding"] = tuple(draw.choice(range(kernel // 2 + 1)) for kernel in kernels)
    if dilated:
        options["dilation"] = tuple(draw.choice((1, 2, 3)) for _ in kernels)
    pads, holes = options.get("padding", (0,) * several), options.get("dilation", (1,) * several)
    sides = []
    for axis in range(dims):
        kernel, pad, hole = ((*each, *each, *each)[axis] if single else each[axis] for each in (kernels, pads, holes))
        least = kernel if whole else max(hole * (kernel - 1) + 1 - 2 * pad, hole)
        sides.append(draw.side(least, max(MOST[dims], 2 * least)))
    if single and draw.boolean():
        options = {name: value[0] for name, value in options.items()}
    options["stride"] = draw.choice((options["stride"], None))
    return options, tuple(sides)
