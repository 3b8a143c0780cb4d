"""Where PyTorch's gradient is not the derivative of its own forward, on purpose: said here, and left out of the proof.

Elsewhere nothing is left out. Each entry has to be needed: a test certifies without it and must see the proof fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["CONVENTIONS", "Convention"]


@dataclass(frozen=True)
class Convention:
    """words: the reason; outside: from the arguments to a mask, for each array, of elements with no derivative."""

    words: str
    outside: Callable[[dict[str, Any]], dict[str, np.ndarray]]


def _cut_logarithms(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    x = arguments["x"]
    outside = x * (1.0 - x) <= 1e-12
    return {"x": outside, "target": outside}


def _no_entropy(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    target = arguments["target"]
    return {"target": np.zeros(target.shape, dtype=bool) if arguments.get("log_target") else target == 0.0}


def _fixed_rows(arguments: dict[str, Any], padding_too: bool) -> dict[str, np.ndarray]:
    """Rows of a table that are rescaled, that share their gradient by frequency, or that are padding."""
    weight, looked_up = arguments["weight"], arguments["x"].ravel()
    fixed = np.zeros(weight.shape[0], dtype=bool)
    if arguments.get("max_norm") is not None:
        norms = np.linalg.norm(weight, ord=float(arguments.get("norm_type", 2.0)), axis=1)
        fixed[looked_up] = norms[looked_up] > arguments["max_norm"]
    if arguments.get("scale_grad_by_freq"):
        fixed |= np.bincount(looked_up, minlength=len(fixed)) > 1
    if padding_too and arguments.get("padding_idx") is not None:
        fixed[arguments["padding_idx"]] = True
    return {"weight": np.broadcast_to(fixed[:, None], weight.shape)}


def _fixed_rows_of_embedding(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    return _fixed_rows(arguments, padding_too=True)


def _fixed_rows_of_bags(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    return _fixed_rows(arguments, padding_too=False)


def _bounded_variance(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    var = arguments["var"]
    return {"var": var < arguments.get("eps", 1e-6)} if isinstance(var, np.ndarray) else {}


def _short_vectors(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    """All of an array in which any vector, broadcast or not, is no longer than eps."""
    dim, eps = arguments["dim"], arguments.get("eps", 1e-8)
    pair = np.broadcast_arrays(arguments["x"], arguments["x2"])
    return {
        name: np.full(arguments[name].shape, np.any(np.linalg.norm(array, axis=dim) <= eps))
        for name, array in zip(("x", "x2"), pair, strict=True)
    }


def _short_examples(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    arrays = {name: arguments[name] for name in ("x", "positive", "negative")}
    if arguments.get("distance_function") != "cosine":
        return {}
    return {
        name: np.broadcast_to(np.linalg.norm(array, axis=-1, keepdims=True) <= 1e-8, array.shape)
        for name, array in arrays.items()
    }


def _everywhere(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    return {"x": np.ones(arguments["x"].shape, dtype=bool)}


CONVENTIONS = {
    "nn.functional.binary_cross_entropy": Convention(
        "where x·(1 - x) <= 1e-12: the gradient of x divides by 1e-12 and that of the target is not cut at ±100, "
        "while the forward cuts both logarithms at -100",
        _cut_logarithms,
    ),
    "nn.functional.embedding": Convention(
        "in rows with a norm above max_norm, whose scale is held fixed; in rows looked up repeatedly, whose gradient "
        "scale_grad_by_freq divides; in the row padding_idx, which is looked up and gets none",
        _fixed_rows_of_embedding,
    ),
    "nn.functional.embedding_bag": Convention(
        "in rows with a norm above max_norm, whose scale is held fixed; in rows looked up repeatedly, whose gradient "
        "scale_grad_by_freq divides",
        _fixed_rows_of_bags,
    ),
    "nn.functional.kl_div": Convention(
        "where target = 0 without log_target: t·log t has the derivative -inf there, and autograd gives NaN",
        _no_entropy,
    ),
    "nn.functional.cosine_similarity": Convention(
        "where a norm is below eps: the forward divides by eps, the gradient flows through the norm all the same",
        _short_vectors,
    ),
    "nn.functional.triplet_margin_with_distance_loss": Convention(
        "as for cosine_similarity, where that is the distance",
        _short_examples,
    ),
    "nn.functional.ctc_loss": Convention(
        "everywhere: the gradient is that of the logits before log_softmax, exp(x) - occupancy; the derivative, "
        "-occupancy, is proved by itself (tests/reference/test_ctc.py)",
        _everywhere,
    ),
    "nn.functional.gaussian_nll_loss": Convention(
        "where var < eps: the gradient of var is that at eps, while the forward does not depend on var there",
        _bounded_variance,
    ),
}
