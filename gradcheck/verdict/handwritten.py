"""Judge a gradient that somebody wrote by hand, and name the constant factor by which it is off, if there is one.

The truth is a reference's gradient with its running error bound (see ``gradcheck.reference.evaluate.bounded_outputs``),
or that of a composition of references: the vjp of one handed to the vjp of the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded
from gradcheck.errors import UsageError
from gradcheck.verdict.compare import error_ratios, stored_bound

__all__ = ["check_gradient", "constant_factor"]


def check_gradient(name: str, got: Any, should_be: Bounded) -> str | None:
    """What is wrong with the gradient ``got``, in one sentence; None where it lies within the bound of the truth.

    name: how the sentence calls it; got: an array or number of the truth's shape. Raises UsageError for another shape.
    """
    array = np.asarray(got, dtype=np.float64)
    if array.shape != should_be.shape:
        raise UsageError(f"{name} has shape {array.shape}, should be {should_be.shape}.")
    with np.errstate(all="ignore"):
        ratios = error_ratios(array, should_be)
    exceeding = int((ratios > 1.0).sum())
    if not exceeding:
        return None
    factor = constant_factor(array, should_be)
    words = f"is {factor:.7g} times what it should be" if factor is not None else "is not what it should be"
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratios)), ratios.shape))
    value, bound = float(np.asarray(should_be.value)[at]), float(stored_bound(should_be)[at])
    where = f"at index {at} " if at else ""
    return (
        f"{name} {words}: {where}got {float(array[at]):.9g}, should be {value:.9g} ± {bound:.3g}; "
        f"{exceeding} of {array.size} elements exceed the bound."
    )


def constant_factor(got: np.ndarray, should_be: Bounded) -> float | None:
    """The number c other than 1 for which got = c·truth in every element, within |c| times the truth's bound.

    A whole number or the reciprocal of one is tried first: what is multiplied by mistake is usually a count. Any other
    number has to fit two elements at least. None where no number fits.
    """
    value, bound = np.asarray(should_be.value), stored_bound(should_be)
    telling = np.isfinite(got) & np.isfinite(value) & (got != 0.0) & (value != 0.0)
    if not telling.any():
        return None
    largest = np.argmax(np.where(telling, np.abs(value), 0.0))
    ratio = float(got.flat[largest] / value.flat[largest])
    whole = float(round(ratio)) if abs(ratio) >= 1.0 else 1.0 / round(1.0 / ratio)
    for factor in (whole, ratio) if telling.sum() > 1 else (whole,):
        with np.errstate(all="ignore"):
            fits = (got == value * factor) | (np.abs(got - value * factor) <= np.abs(bound * factor))
        if f"{factor:.7g}" != "1" and fits.all():
            return factor
    return None
