"""Which arrays of a case have a batch along axis 0, so that each row of the value is of one row of them alone."""

from __future__ import annotations

import fnmatch
from typing import Any

import numpy as np

from gradcheck.reference.registry import Reference

__all__ = ["BATCHED", "batched"]

BATCHED: dict[str, tuple[tuple[str, ...], int]] = {
    "linear": (("x",), 2),
    "bilinear": (("x", "input2"), 2),
    "cosine_similarity": (("x", "x2"), 2),
    "pairwise_distance": (("x", "x2"), 2),
    "conv1d": (("x",), 3),
    "conv2d": (("x",), 4),
    "conv3d": (("x",), 5),
    "conv_transpose1d": (("x",), 3),
    "conv_transpose2d": (("x",), 4),
    "conv_transpose3d": (("x",), 5),
    "*_pool1d": (("x",), 3),
    "*_pool2d": (("x",), 4),
    "*_pool3d": (("x",), 5),
    "max_unpool1d": (("x", "indices"), 3),
    "max_unpool2d": (("x", "indices"), 4),
    "max_unpool3d": (("x", "indices"), 5),
    "local_response_norm": (("x",), 3),
    "group_norm": (("x",), 2),
    "rms_norm": (("x",), 2),
    "normalize": (("x",), 2),
    "glu": (("x",), 2),
    "prelu": (("x",), 2),
    "pixel_*": (("x",), 4),
    "channel_shuffle": (("x",), 3),
    "grid_sample": (("x", "grid"), 4),
    "affine_grid": (("x",), 3),
    "fold": (("x",), 3),
    "unfold": (("x",), 4),
    "embedding": (("x",), 1),
    "scaled_dot_product_attention": (("x", "key", "value"), 3),
}
"""By the last part of a name: the arrays with a batch, and how many dimensions the first one has then, at least. For
operations that are evaluated whole; the others say it themselves (``rows`` of Reference)."""


def batched(operation: Reference, arguments: dict[str, Any]) -> tuple[str, ...]:
    """The arrays that are cut where rows are taken out of the batch; none where rows depend on one another."""
    first = arguments[operation.arrays[0]]
    if operation.drawn or first.ndim == 0:
        return ()
    if operation.rows:
        return operation.rows(arguments)
    word = operation.name.rpartition(".")[2]
    names, least = next((found for name, found in BATCHED.items() if fnmatch.fnmatchcase(word, name)), ((), 0))
    if not names or first.ndim < least or arguments.get("dim") in (0, -first.ndim):
        return ()
    if len(arguments.get("normalized_shape") or ()) >= first.ndim or arguments.get("attn_mask") is not None:
        return ()
    sides = {len(arguments[name]) for name in names if isinstance(arguments[name], np.ndarray)}
    return names if len(sides) == 1 else ()
