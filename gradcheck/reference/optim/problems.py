"""Problems that closure-driven optimizers minimise: value and gradient, in every arithmetic.

Gradients add the same terms in the same order as autograd does, the last operation's first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["PROBLEMS", "logistic", "quadratic", "rosenbrock", "wavy"]


def quadratic(x: Any) -> tuple[Any, Any]:
    """Σ i·x_i²/2 - x_i, i from 1: condition number n, minimum at x_i = 1/i."""
    curvature = np.arange(1.0, x.shape[0] + 1.0)
    half = 0.5 * curvature * x
    return np.sum(half * x - x), half - 1.0 + half


def rosenbrock(x: Any) -> tuple[Any, Any]:
    """Σ 100·(x_{i+1} - x_i²)² + (1 - x_i)² (Rosenbrock 1960), in its chained form for n > 2; minimum at ones."""
    head, tail = x[:-1], x[1:]
    rise, left = tail - head * head, 1.0 - head
    value = np.sum(100.0 * rise * rise + left * left)
    zero, slope = x[:1] * 0.0, 200.0 * rise
    turn = slope * head
    of_head = np.concatenate([-2.0 * left - turn - turn, zero])
    return value, of_head + np.concatenate([zero, slope])


def logistic(x: Any) -> tuple[Any, Any]:
    """Σ log(1 + exp(-s_i·x_i)) + x_i²/2 with s_i = ±1 in turn: a logistic loss with a ridge."""
    sign = np.where(np.arange(x.shape[0]) % 2 == 0, 1.0, -1.0)
    decayed = np.exp(-sign * x)
    return np.sum(np.log1p(decayed) + 0.5 * x * x), x - sign * (1.0 / (1.0 + decayed) * decayed)


def wavy(x: Any) -> tuple[Any, Any]:
    """Σ x_i²/2 + sin(4·x_i): many local minima, so that a line search meets every kind of bracket."""
    half, angle = 0.5 * x, 4.0 * x
    return np.sum(half * x + np.sin(angle)), 4.0 * np.cos(angle) + half + half


PROBLEMS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "quadratic": quadratic,
    "rosenbrock": rosenbrock,
    "logistic": logistic,
    "wavy": wavy,
}
