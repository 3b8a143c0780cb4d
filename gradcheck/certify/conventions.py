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


CONVENTIONS = {
    "nn.functional.binary_cross_entropy": Convention(
        "where x·(1 - x) <= 1e-12: the gradient of x divides by 1e-12 and that of the target is not cut at ±100, "
        "while the forward cuts both logarithms at -100",
        _cut_logarithms,
    ),
    "nn.functional.kl_div": Convention(
        "where target = 0 without log_target: t·log t has the derivative -inf there, and autograd gives NaN",
        _no_entropy,
    ),
}
