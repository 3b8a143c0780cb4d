"""How a loss is reduced: none, sum or mean, plain or weighted, and what the cotangent becomes on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import apart, sharing, stored

__all__ = ["reduced", "weighted_reduced"]

Spread = Callable[[Any], Any]


def reduced(elements: Any, reduction: str) -> tuple[Any, Spread]:
    """The reduced loss and the function that spreads its cotangent over the elements.

    PyTorch stores the unreduced elements, and for ``mean`` their sum, before it goes on. The mean of nothing is NaN.
    """
    if reduction == "none":
        return elements, lambda g: g
    total = np.sum(stored(elements))
    if reduction == "sum":
        return total, lambda g: g
    count = np.size(elements)
    return stored(total) / count, lambda g: stored(g / count)


def weighted_reduced(elements: Any, weight: Any, reduction: str) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
    """The loss of ``elements·weight``; ``mean`` divides by Σ weight. A composite of PyTorch: each result is stored.

    The second result maps the cotangent to the gradients of the elements and of the weight, (elements - value)·g/Σ
    weight; Σ weight divides the elements once and the value twice, with one error.
    """
    terms = stored(elements * weight)
    if reduction == "none":
        return terms, lambda g: (stored(g * weight), g * elements)
    total = stored(np.sum(terms))
    if reduction == "sum":
        return total, lambda g: (stored(g * weight), g * elements)
    norm = stored(np.sum(weight))
    value = total / norm

    def spread(g: Any) -> tuple[Any, Any]:
        known, common = apart(norm)
        each = stored(g / known)
        by_element = stored(each * elements)
        by_norm = stored(-g * stored(stored(total / known) / known))
        return stored(each * weight * common), sharing(by_element, by_norm, common)

    return value, spread
