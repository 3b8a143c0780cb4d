"""Classes as unit vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.integer import integer

__all__ = ["one_hot"]


def _inputs(draw: Any) -> dict[str, Any]:
    classes = draw.side(1, 17)
    return {
        "x": draw.indices(draw.shape(dims=(0, 3), least=1, most=33), classes),
        "num_classes": draw.choice((-1, classes, classes + 3)),
    }


@integer("nn.functional.one_hot", inputs=_inputs)
def one_hot(x: np.ndarray, *, num_classes: int = -1) -> np.ndarray:
    """1 at the class of each element and 0 elsewhere; x: integers of any shape, value: (*x.shape, C).

    C is ``num_classes``, or with -1 the largest class plus 1.
    """
    classes = int(x.max()) + 1 if num_classes == -1 else num_classes
    return (x[..., None] == np.arange(classes)).astype(np.int64)
