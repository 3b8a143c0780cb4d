"""Looking up rows of a table by index, with rows rescaled on the way where their norm is too large."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, stored, written_over
from gradcheck.reference.registry import Kink, reference
from gradcheck.reference.segments import sums_at
from gradcheck.reference.vector_norm import vector_norm

__all__ = ["RENORM_KINKS", "embedding", "renorm_options", "renormed", "row_number"]

_AT_THE_NORM = {"x": [0], "weight": [[3.0, 4.0], [6.0, 8.0]]}

RENORM_KINKS = (
    Kink(
        "the norm of a row is max_norm",
        "the row stays as it is",
        at={**_AT_THE_NORM, "max_norm": 5.0},
        gives={"value": [[3.0, 4.0]], "weight": [[3.0, 4.0], [6.0, 8.0]]},
    ),
    Kink(
        "the norm of a row is above max_norm",
        "the gradient is that of the rescaled row, the scale held fixed",
        at={**_AT_THE_NORM, "max_norm": 2.5},
        gives={"grad[weight]": [[1.0, 1.0], [0.0, 0.0]]},
    ),
)


def renorm_options(draw: Any) -> dict[str, Any]:
    """A norm that rows may have at most, or none, and which norm."""
    return {
        "max_norm": draw.choice((None, None, 1.0, 2.5, 0.3)),
        "norm_type": draw.choice((2.0, 1.0, 3.0, float("inf"))),
    }


def _inputs(draw: Any) -> dict[str, Any]:
    rows, width = draw.side(1, 9), draw.side(1, 17)
    indices = draw.indices(draw.shape(dims=(0, 2), most=33), rows)
    sparse = draw.boolean()
    return {
        "x": indices,
        "weight": draw.array((rows, width)),
        "padding_idx": draw.choice((None, None, 0, -1, rows // 2)),
        **renorm_options(draw),
        "scale_grad_by_freq": not sparse and draw.boolean(),  # PyTorch has no such sparse gradient
        "sparse": sparse,
    }


@reference("nn.functional.embedding", inputs=_inputs, constant=("x",), aux=("weight",), kinks=RENORM_KINKS)
def embedding(
    x: Any,
    weight: Any,
    *,
    padding_idx: int | None = None,
    max_norm: Any = None,
    norm_type: Any = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """weight[x], the rows of a table by index (Bengio et al. 2003); x: integers of any shape, weight: (V, D).

    value: (*x.shape, D); weight: the table afterwards, in which the rows looked up have at most ``max_norm``. The
    gradient of a row is the sum of the cotangents of its copies, divided by their number with ``scale_grad_by_freq``;
    that of row ``padding_idx`` is 0, though the row itself is looked up. ``sparse`` changes the layout of the gradient.
    """
    rows, width = np.shape(weight)
    table = renormed(weight, x, max_norm, norm_type)
    indices = np.ravel(x)

    def embedding_vjp(g: Any) -> dict[str, Any]:
        terms = g.reshape(np.size(x), width)
        if scale_grad_by_freq:
            terms = terms / np.bincount(indices, minlength=rows)[indices][:, None].astype(np.float64)
        kept = np.flatnonzero(indices != row_number(padding_idx, rows))
        return {"weight": sums_at(np.take(terms, kept, axis=0), indices[kept], rows)}

    return {"value": np.take(table, x, axis=0), "weight": table}, embedding_vjp


def row_number(index: int | None, rows: int) -> int:
    """The row that an index counted from either end means; -1, which is no row, for None."""
    return -1 if index is None else index % rows


def renormed(weight: Any, x: Any, max_norm: Any, norm_type: Any) -> Any:
    """The table in which each row looked up, where its norm exceeds max_norm, is divided by it and times max_norm.

    PyTorch adds 1e-7 to the divisor, so that the new norm is just below. The table is written into behind
    autograd's back: the rows' derivatives are those of the rows before.
    """
    if max_norm is None:
        return weight
    norm = stored(vector_norm(weight, float(norm_type), axis=1)[0])
    used = np.isin(np.arange(np.shape(weight)[0]), x)[:, None]
    above = (norm > max_norm) & used
    return written_over(weight, np.where(above, weight * (max_norm / (norm + number(1e-7, weight))), weight))
