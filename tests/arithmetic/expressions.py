"""Random expressions: small trees over NumPy's functions, drawn by Hypothesis and evaluated in any arithmetic.

A tree is plain data, printed as a formula, so that a failing one shrinks to the shortest formula that shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import special

from gradcheck.arithmetic import guarded, stored

UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": np.negative,
    "absolute": np.absolute,
    "square": np.square,
    "stored": stored,
    "exp": np.exp,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "cos": np.cos,
    "sin": np.sin,
    "cube": lambda x: x**3,
    "reciprocal square": lambda x: x**-2,
    "power 2.5": lambda x: x**2.5,
    "power 0.3": lambda x: np.abs(x) ** 0.3,
    "erf": special.erf,
    "expit": special.expit,
    "log_expit": special.log_expit,
    "sqrt": np.sqrt,
    "log": np.log,
    "log1p": np.log1p,
    "sign": np.sign,
    "positive": np.positive,
    "sqrt_abs": lambda x: np.sqrt(np.abs(x)),
    "log_1_abs": lambda x: np.log(1.0 + np.abs(x)),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.true_divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "outer": lambda a, b: np.einsum("ij,kj->ik", _square(a), _square(b)),
    "matmul": lambda a, b: _square(a) @ _square(b),
}
REDUCE: dict[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
}
SIDE = 4
"""All leaves are SIDE × SIDE, so that every operator takes every operand; reductions keep their dimensions."""


def _square(a: Any) -> Any:
    return a if np.shape(a) == (SIDE, SIDE) else np.broadcast_to(a, (SIDE, SIDE))


@dataclass(frozen=True)
class Node:
    """name(parts…); a leaf has the name ``x0``, ``x1``, … of an array or is a number."""

    name: str
    parts: tuple[Node, ...] = ()
    axis: int | None = None

    def __str__(self) -> str:
        words = [str(part) for part in self.parts] + ([] if self.axis is None else [f"axis={self.axis}"])
        return f"{self.name}({', '.join(words)})" if words else self.name


def _compare(name: str, a: Any, b: Any) -> Any:
    return COMPARE[name](a, b)


def evaluate(
    node: Node,
    leaves: dict[str, Any],
    number: Callable[[float], Any],
    compare: Callable[[str, Any, Any], Any] = _compare,
) -> Any:
    """The value of the tree for these arrays; ``number`` makes the arithmetic's own of a constant."""
    if node.name in leaves:
        return leaves[node.name]
    parts = [evaluate(part, leaves, number, compare) for part in node.parts]
    if not parts:
        return number(float(node.name))
    if node.name in UNARY:
        return UNARY[node.name](*parts)
    if node.name in BINARY:
        return BINARY[node.name](*parts)
    if node.name in REDUCE:
        return REDUCE[node.name](_square(parts[0]), axis=node.axis, keepdims=True)
    if node.name.startswith("guarded "):
        a, b = parts
        used = compare(node.name.removeprefix("guarded "), a, b)
        return np.where(used, np.sqrt(guarded(np.abs(a), used, 1.0)), b)
    a, b, c, d = parts
    return np.where(compare(node.name, a, b), c, d)


CONSTANTS = ("1.0", "0.5", "-2.0", "0.1", "3.0", "1e-3", "100.7")


def leaves(arrays: int) -> st.SearchStrategy[Node]:
    return st.sampled_from([*(f"x{i}" for i in range(arrays)), *CONSTANTS]).map(Node)


def expressions(arrays: int = 2, nodes: int = 12) -> st.SearchStrategy[Node]:
    """Trees of up to about ``nodes`` leaves over arrays x0, x1, …; shrinks to x0."""

    def grow(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        return st.one_of(
            st.builds(lambda name, a: Node(name, (a,)), st.sampled_from(sorted(UNARY)), children),
            st.builds(lambda name, a, b: Node(name, (a, b)), st.sampled_from(sorted(BINARY)), children, children),
            st.builds(
                lambda name, a, axis: Node(name, (a,), axis),
                st.sampled_from(sorted(REDUCE)),
                children,
                st.integers(0, 1),
            ),
            st.builds(
                lambda name, a, b: Node(f"guarded {name}", (a, b)), st.sampled_from(sorted(COMPARE)), children, children
            ),
            st.builds(
                lambda name, a, b, c, d: Node(name, (a, b, c, d)),
                st.sampled_from(sorted(COMPARE)),
                *(children for _ in range(4)),
            ),
        )

    return st.recursive(leaves(arrays), grow, max_leaves=nodes)
