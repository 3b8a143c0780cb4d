"""Layouts of arrays in memory: the axis ``layout`` of a case, and the second word of ``cotangent=ones:expanded``.

Some layouts hold one number in several places at once. The data are made so that they can: ``data_for`` is what both
PyTorch and the reference are given. Nothing here imports torch; ``gradcheck/subject/tensors.py`` lays the tensors out.

Not layouts but shapes, drawn together with every layout: arrays without elements, and without dimensions.
"""

from __future__ import annotations

import numpy as np

from gradcheck.cases.case import Case
from gradcheck.errors import UsageError, choices
from gradcheck.reference.registry import Reference, entry_named

__all__ = ["CONTIGUOUS", "LAYOUTS", "SHARING", "check_layout", "data_for", "expanded_axis", "layout_fits", "misfit"]

CONTIGUOUS = "contiguous"

LAYOUTS = {
    "contiguous": "row by row",
    "transposed": "the order of the dimensions reversed",
    "sliced": "every second element of the last dimension of a larger tensor",
    "channels_last": "dimension 1 innermost, from three dimensions on (in five: channels_last_3d)",
    "channels_last_3d": "dimension 1 innermost, in five dimensions",
    "padded": "rows of a wider tensor: a leading dimension that is no side",
    "offset": "from the second element of a storage on, which breaks the alignment of vector loads",
    "flipped": "the copy that torch.flip makes of a flipped copy (torch has no negative strides)",
    "expanded": "stride 0 along the first dimension of more than one element, along which the numbers are the same",
    "overlapping": "windows that overlap: element [i, j] of the last two dimensions is number i + j of a row",
    "neg": "a view that negates (its bit of torch.Tensor.is_neg is set) of the negated numbers",
    "conj": "the imaginary part of a conjugated complex tensor: strided, with an offset, and a view that negates",
}
"""What each layout is. An array that cannot have it is contiguous; ``misfit`` says why."""

SHARING = ("expanded", "overlapping")
"""Layouts in which one place in memory holds several elements: the numbers have to be the same there, and nothing may
be written in place."""

LEAST_DIMENSIONS = {
    "transposed": 2, "sliced": 1, "channels_last": 3, "channels_last_3d": 5, "padded": 2, "flipped": 1, "expanded": 1,
    "overlapping": 2,
}  # fmt: skip
"""How many dimensions a layout needs to be another than contiguous; 0 where it does not say."""

FLOATS_ALONE = ("neg", "conj", *SHARING)
"""Layouts of arrays of floats: indices and masks mean something by their places, and have no sign to negate."""


def check_layout(layout: str) -> None:
    """Raise UsageError for a layout that does not exist."""
    if layout not in LAYOUTS:
        raise UsageError(f"layout {layout!r} is not known; expected {choices(LAYOUTS)}.")


def misfit(layout: str, shape: tuple[int, ...], dtype: str) -> str:
    """Why an array of that shape and dtype (of floats, int64 or bool) cannot have the layout; empty where it can."""
    check_layout(layout)
    least = LEAST_DIMENSIONS.get(layout, 0)
    if len(shape) < least or (layout == "channels_last_3d" and len(shape) != 5):
        more = "" if layout == "channels_last_3d" else " or more"
        return f"it has {len(shape)} dimensions instead of {least}{more}"
    if dtype in ("int64", "bool") and layout in FLOATS_ALONE:
        return f"it is of {dtype}"
    if layout == "expanded" and max(shape) < 2:
        return "no dimension has more than one element"
    if layout == "overlapping" and min(shape[-2:]) < 2:
        return "its windows would not overlap"
    if layout == "conj" and dtype not in ("float64", "float32"):
        return f"complex numbers of {dtype} parts do not exist, or are experimental"
    return ""


def data_for(layout: str, array: np.ndarray) -> np.ndarray:
    """The numbers as they have to be for the layout: the array itself, but where one place holds several of them."""
    if layout not in SHARING or array.dtype.kind != "f" or misfit(layout, array.shape, "float64"):
        return array
    if layout == "expanded":
        axis = expanded_axis(array.shape)
        return np.repeat(array.take([0], axis=axis), array.shape[axis], axis=axis)
    row, column = array[..., 0, :], array[..., 1:, -1]
    line = np.concatenate([row, column], axis=-1)
    windows = np.arange(array.shape[-2])[:, None] + np.arange(array.shape[-1])
    return np.ascontiguousarray(line[..., windows])


def expanded_axis(shape: tuple[int, ...]) -> int:
    """The dimension along which ``expanded`` has stride 0."""
    return next(axis for axis, side in enumerate(shape) if side > 1)


def layout_fits(case: Case) -> bool:
    """Whether the layout of the case is another than contiguous for one of its arrays at least."""
    if case.layout == CONTIGUOUS:
        return True
    if case.layout in SHARING and not isinstance(entry_named(case.operation), Reference):
        return False  # parameters are written in place
    return any(not misfit(case.layout, spec.shape, case.dtype) for spec in case.specs.values())
