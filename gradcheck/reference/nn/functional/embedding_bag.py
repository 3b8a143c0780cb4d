"""Rows of a table by index, reduced over bags of indices: sum, mean or maximum."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, stored
from gradcheck.reference.nn.functional.embedding import RENORM_KINKS, renorm_options, renormed, row_number
from gradcheck.reference.registry import Kink, reference
from gradcheck.reference.segments import sums_at

__all__ = ["embedding_bag"]

_TIE = {"x": [[0, 1]], "weight": [[1.0], [1.0]], "mode": "max"}

KINKS = (
    *(Kink(k.where, k.what, at={**k.at, "x": [[0]]}, gives=k.gives) for k in RENORM_KINKS),
    Kink("several rows of a bag are its maximum", "the first has the gradient", _TIE, {"grad[weight]": [[1.0], [0.0]]}),
    Kink(
        "a NaN in a bag of which the maximum is taken",
        "it is the maximum if it is first, and is passed over otherwise",
        at={"x": [[0, 1], [1, 0]], "weight": [[float("nan")], [1.0]], "mode": "max"},
        gives={"value": [[float("nan")], [1.0]], "grad[weight]": [[1.0], [1.0]]},
    ),
    *(
        Kink(f"an empty bag, {mode}", "the value is 0", {"x": [0], "weight": [[1.0]], "offsets": [0, 1], "mode": mode},
             {"value": [[1.0], [0.0]], "grad[weight]": [[1.0]]})
        for mode in ("sum", "mean", "max")
    ),
)  # fmt: skip


def _inputs(draw: Any) -> dict[str, Any]:
    length, rows, width = draw.side(1, 33), draw.side(1, 9), draw.side(1, 9)
    last = draw.boolean()
    if draw.boolean():
        shape: tuple[int, ...] = (length, draw.side(1, 5))
        offsets = None
    else:
        shape = (draw.choice((length, length, length, 0)),)
        offsets = draw.offsets(draw.side(1, 9), shape[0], closed=last)
    mode = draw.choice(("max", "mean", "sum", "sum"))
    sparse = mode != "max" and draw.boolean()
    by_frequency = mode != "max" and not sparse and draw.boolean()  # PyTorch has neither
    if by_frequency:  # of a table of one row alone PyTorch knows the frequency (see the ledger)
        rows = draw.choice((rows, 1))
    return {
        "x": draw.indices(shape, rows),
        "weight": draw.array((rows, width)),
        "offsets": offsets,
        "per_sample_weights": draw.choice((None, *[draw.tame(shape)] * 2)) if mode == "sum" else None,
        **renorm_options(draw),
        "scale_grad_by_freq": by_frequency,
        "mode": mode,
        "sparse": sparse,
        "include_last_offset": last,
        "padding_idx": draw.choice((None, None, 0, -1, rows // 2)),
    }


@reference("nn.functional.embedding_bag", inputs=_inputs, constant=("x", "offsets"), aux=("weight",), kinks=KINKS)
def embedding_bag(
    x: Any,
    weight: Any,
    offsets: Any = None,
    per_sample_weights: Any = None,
    *,
    max_norm: Any = None,
    norm_type: Any = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Σ, mean or maximum of the rows weight[i] over the indices i of each bag (Joulin et al. 2017, "fastText").

    x: (B, N), bags of N indices, or (M,), cut into bags at ``offsets`` (B,), with a last offset of M too if
    ``include_last_offset``; weight: (V, D); per_sample_weights: as x, factors of the rows of a sum; value: (B, D);
    weight: the table afterwards (see ``embedding``, as for the gradient with ``scale_grad_by_freq``). Indices of
    ``padding_idx`` are left out of their bags; a bag without indices gives 0.
    """
    rows = np.shape(weight)[0]
    table = renormed(weight, x, max_norm, norm_type)
    bags, size = _bags(x, offsets, include_last_offset)
    kept = np.flatnonzero(np.ravel(x) != row_number(padding_idx, rows))
    indices, bags = np.ravel(x)[kept], bags[kept]
    looked_up = np.take(table, indices, axis=0)
    counts = np.bincount(bags, minlength=size)
    starts = np.cumsum(counts) - counts
    if mode == "max":
        value, standing = _first_maximum(looked_up, starts, counts)
    else:
        factors = None if per_sample_weights is None else np.take(per_sample_weights.reshape(-1), kept)[:, None]
        value = sums_at(looked_up if factors is None else looked_up * factors, bags, size)
        if mode == "mean":
            value = stored(value) / np.maximum(counts, 1).astype(np.float64)[:, None]

    def embedding_bag_vjp(g: Any) -> dict[str, Any]:
        if mode == "max":
            places = [indices[starts[here] + place] for place, (here, _) in enumerate(standing)]
            parts = [np.where(mask, np.take(g, here, axis=0), 0.0) for here, mask in standing]
            if not parts:
                return {"weight": np.zeros(np.shape(weight))}
            return {"weight": sums_at(np.concatenate(parts), np.concatenate(places), rows)}
        each = np.take(g, bags, axis=0)
        # The kernel makes one factor of all that a row is multiplied by, and rounds it.
        divisor = counts[bags] if mode == "mean" else np.ones(len(bags))
        divisor = divisor * np.bincount(np.ravel(x), minlength=rows)[indices] if scale_grad_by_freq else divisor
        scale = stored((number(1.0, g) if factors is None else factors) / divisor.astype(np.float64)[:, None])
        gradients = {"weight": sums_at(each * scale, indices, rows)}
        if per_sample_weights is not None:
            products = np.sum(each * looked_up, axis=1)
            gradients["per_sample_weights"] = sums_at(products, kept, np.size(x)).reshape(np.shape(x))
        return gradients

    return {"value": value, "weight": table}, embedding_bag_vjp


def _bags(x: Any, offsets: Any, include_last_offset: bool) -> tuple[np.ndarray, int]:
    """The number of the bag that each index lies in, and how many bags there are."""
    if offsets is None:
        return np.repeat(np.arange(np.shape(x)[0]), np.shape(x)[1]), np.shape(x)[0]
    starts = offsets[:-1] if include_last_offset else offsets
    return np.searchsorted(starts, np.arange(np.size(x)), side="right") - 1, len(starts)


def _first_maximum(rows: Any, starts: np.ndarray, counts: np.ndarray) -> tuple[Any, list[tuple[np.ndarray, Any]]]:
    """The maximum over each bag (B, D), 0 where it is empty; and for each place in a bag, where the maximum stands.

    A place is given by the bags that reach so far and a mask, by bag and column. A row takes the place of the maximum
    so far where it is greater: so the first of equal ones stays, and a NaN that is not the first is passed over.
    """
    best: Any = np.zeros((len(counts), np.shape(rows)[1]))
    taken: list[Any] = []
    for place in range(counts.max(initial=0)):
        there = (counts > place)[:, None]
        row = np.take(rows, np.minimum(starts + place, np.shape(rows)[0] - 1), axis=0)
        taken.append(((row > best) & there) if place else there & np.ones(np.shape(best), dtype=bool))
        best = np.where(taken[-1], row, best)
    standing: list[tuple[np.ndarray, Any]] = []
    later: Any = np.zeros(np.shape(best), dtype=bool)
    for place, take in reversed(list(enumerate(taken))):
        here = np.flatnonzero(counts > place)
        standing.append((here, (take & ~later)[here]))
        later = later | take
    return best, standing[::-1]
