"""Sums over segments: rows added up where an index says, each sum counting its own terms only."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["sums_at"]


def sums_at(terms: Any, places: np.ndarray, size: int) -> Any:
    """Row v is the sum of those rows of ``terms`` whose place is v, zeros where there is none.

    terms: (M, …), places: (M,) integers in [0, size); value: (size, …). Rows with equally many terms are summed
    together, so that the bound of a sum counts the terms that it has.
    """
    order = np.argsort(places, kind="stable")
    counts = np.bincount(places, minlength=size)
    starts = np.cumsum(counts) - counts
    parts, rows = [], []
    for count in np.unique(counts):
        here = np.flatnonzero(counts == count)
        which = order[starts[here][:, None] + np.arange(count)]
        parts.append(np.sum(np.take(terms, which, axis=0), axis=1))
        rows.append(here)
    if not parts:
        return terms[:0]
    return np.take(np.concatenate(parts), np.argsort(np.concatenate(rows), kind="stable"), axis=0)
