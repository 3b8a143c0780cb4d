"""The witness of a verdict: its worst element, and by how much each kind of element exceeds the bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded
from gradcheck.verdict.compare import stored_bound
from gradcheck.verdict.verdict import Witness

__all__ = ["witness_of"]


def witness_of(
    got: np.ndarray, reference: Bounded, ratios: np.ndarray, inputs: Mapping[str, Any], nan_inputs: Any = False
) -> Witness:
    """The element with the largest of ``ratios`` (errors over bounds).

    inputs: what went in, by name, of which arrays of the output's shape are shown; nan_inputs: where an element was
    made from one NaN.
    """
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratios)), ratios.shape))
    value = np.asarray(reference.value)
    return Witness(
        index=index,
        inputs=tuple(
            (name, float(array[index]))
            for name, array in inputs.items()
            if isinstance(array, np.ndarray) and array.shape == ratios.shape
        ),
        got=float(got[index]),
        should_be=float(value[index]),
        bound=float(np.broadcast_to(stored_bound(reference), ratios.shape)[index]),
        exceeding=int((ratios > 1.0).sum()),
        elements=int(ratios.size),
        excess=_excess(nan_inputs, got, value, ratios),
    )


def _excess(nan_inputs: Any, got: np.ndarray, value: np.ndarray, ratios: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Worst ratio above 1 by kind of element (see Witness)."""
    kinds = {
        "nan input": nan_inputs,
        "nan": np.isnan(got) != np.isnan(value),
        "overflow": np.isinf(got) & np.isfinite(value),
        "ordinary": True,
    }
    left, excess = ratios > 1.0, []
    for kind, mask in kinds.items():
        here = left & mask
        if here.any():
            excess.append((kind, float(ratios[here].max())))
        left = left & np.logical_not(mask)
    return tuple(excess)
