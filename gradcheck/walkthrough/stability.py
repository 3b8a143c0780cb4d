"""When cyclic stochastic descent of a line diverges, and how far noise drives it where it does not.

One step on a sample (x, y) maps the distance d = (w, b) - (true slope, true intercept) to (I - 2·η·v·vᵀ)·d + 2·η·n·v
with v = (x, 1) and n the sample's noise. An epoch is the product of these matrices, and the run diverges exactly when
its spectral radius exceeds 1; single factors may exceed it, and do from η·(x² + 1) > 1 on.
"""

from __future__ import annotations

import numpy as np

__all__ = ["RUNS", "driven_states", "epoch_matrix", "spectral_radius", "stability_limit", "stable_direction"]

HALVINGS = 60

RUNS = 999
"""A further run leaves the range of so many with probability 1/1000 at the most, whatever the distribution."""


def step_matrix(x: float, rate: float) -> np.ndarray:
    """I - 2·rate·v·vᵀ for v = (x, 1)."""
    v = np.array([x, 1.0])
    return np.eye(2) - 2.0 * rate * np.outer(v, v)


def epoch_matrix(xs: np.ndarray, rate: float) -> np.ndarray:
    """The product over the samples in their order."""
    product = np.eye(2)
    for x in xs:
        product = step_matrix(float(x), rate) @ product
    return product


def spectral_radius(xs: np.ndarray, rate: float) -> float:
    """Of an epoch: by what the distance grows in the long run, epoch by epoch."""
    return float(np.abs(np.linalg.eigvals(epoch_matrix(xs, rate))).max())


def stable_direction(xs: np.ndarray, rate: float) -> np.ndarray:
    """The unit eigenvector of the epoch that belongs to its spectral radius."""
    values, vectors = np.linalg.eig(epoch_matrix(xs, rate))
    return np.asarray(vectors[:, np.argmax(np.abs(values))].real)


def stability_limit(xs: np.ndarray, low: float, high: float) -> float:
    """The step size between ``low`` (stable) and ``high`` (not) where the spectral radius passes 1, by bisection."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if spectral_radius(xs, middle) <= 1.0 else (low, middle)
    return low


def driven_states(
    xs: np.ndarray, line: tuple[float, float], start: tuple[float, float], rate: float, noise: float, steps: int,
    dtype: type[np.floating] = np.float32, runs: int = RUNS,
) -> np.ndarray:  # fmt: skip
    """(w, b) after so many steps of ``runs`` runs, each with normal noise of its own on all samples; shape (2, runs).

    line: the true slope and intercept; dtype: that the runs compute in. The stream of the noise is frozen in NumPy.
    """
    normal = np.random.RandomState(0).standard_normal((len(xs), runs))
    samples = xs.astype(dtype)
    targets = (line[0] * xs[:, None] + line[1] + noise * normal).astype(dtype)
    w, b = np.full(runs, start[0], dtype), np.full(runs, start[1], dtype)
    step_size, two = dtype(rate), dtype(2.0)
    for step in range(steps):
        x = samples[step % len(xs)]
        slope = two * (w * x + b - targets[step % len(xs)])
        w, b = w - step_size * (slope * x), b - step_size * slope
    return np.stack([w, b]).astype(np.float64)
