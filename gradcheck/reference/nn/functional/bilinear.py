"""The bilinear map of two vectors."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import stored
from gradcheck.reference.registry import reference

__all__ = ["bilinear"]


def _inputs(draw: Any) -> dict[str, Any]:
    left, right, outer = draw.side(1, 9), draw.side(1, 9), draw.side(1, 9)
    lead = draw.choice(((2,), (3,), (0,), (), (2, 2)))
    return {
        "x": draw.array((*lead, left)),
        "input2": draw.tame((*lead, right)),
        "weight": draw.tame((outer, left, right)),
        "bias": draw.optional(draw.tame((outer,))),
    }


@reference("nn.functional.bilinear", inputs=_inputs)
def bilinear(x: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """Σ_ij x[…, i]·weight[k, i, j]·input2[…, j] + bias[k] (Tenenbaum & Freeman 2000).

    x: (…, I), input2: (…, J), weight: (K, I, J), bias: (K,); value: (…, K). The kernel works feature by feature, k, and
    stores the product of the first two factors, summed where the third has no part in the index: that route is stated
    here, since it decides what overflows and what cancels.
    """
    outer, left, right = np.shape(weight)
    rows = prod(np.shape(x)[:-1])
    one, two = x.reshape(rows, left), input2.reshape(rows, right)
    half = stored(np.einsum("ni,kij->nkj", one, weight))
    product = np.einsum("nkj,nj->nk", half, two)
    value = product if bias is None else stored(product) + bias

    def bilinear_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(rows, outer)
        weighted = stored(g[:, :, None, None] * weight)
        gradients = {
            "x": np.sum(stored(np.einsum("nkij,nj->nki", weighted, two)), axis=1).reshape(np.shape(x)),
            "input2": np.sum(stored(half * g[:, :, None]), axis=1).reshape(np.shape(input2)),
            "weight": np.einsum("nki,nj->kij", stored(g[:, :, None] * one[:, None, :]), two),
        }
        if bias is not None:
            gradients["bias"] = np.sum(g, axis=0)
        return gradients

    return value.reshape(*np.shape(x)[:-1], outer), bilinear_vjp
