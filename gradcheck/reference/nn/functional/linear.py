"""The affine map."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.registry import reference

__all__ = ["linear"]


def _inputs(draw: Any) -> dict[str, Any]:
    inner = draw.side(0, 65)
    lead = draw.shape(dims=(0, 2), most=33)
    # Square weights among them: what is transposed by mistake has the right shape there.
    outer = draw.choice(((draw.side(1, 17),), (inner,), ()))
    return {
        "x": draw.array((*lead, inner)),
        "weight": draw.tame((*outer, inner)),
        "bias": draw.optional(draw.tame(outer)),
    }


@reference("nn.functional.linear", inputs=_inputs)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x·weightᵀ + bias; x: (…, I), weight: (O, I) or (I,), bias: (O,) or (); value: (…, O), or (…) for a 1-D weight.

    The bias is one more term of the sum, since kernels start to accumulate from it.
    """
    inner = np.shape(x)[-1]
    matrix = weight if np.ndim(weight) == 2 else weight.reshape(1, inner)
    rows = x.reshape(int(np.prod(np.shape(x)[:-1])), inner)
    if bias is None:
        product = rows @ matrix.T
    else:
        ones = np.ones((np.shape(rows)[0], 1))
        columns = np.concatenate([matrix, bias.reshape(np.shape(matrix)[0], 1)], axis=1)
        product = np.concatenate([rows, ones], axis=1) @ columns.T
    shape = (*np.shape(x)[:-1], *np.shape(weight)[:-1])

    def linear_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(np.shape(product))
        gradients = {"x": (g @ matrix).reshape(np.shape(x)), "weight": (g.T @ rows).reshape(np.shape(weight))}
        if bias is not None:
            gradients["bias"] = np.sum(g, axis=0).reshape(np.shape(bias))
        return gradients

    return product.reshape(shape), linear_vjp
