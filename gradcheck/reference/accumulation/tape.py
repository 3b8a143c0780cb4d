"""A tape: arrays, the operations between them, and what a backward pass brings to each. NumPy alone.

Every array is a running error number whose result each operation stores, as PyTorch stores each tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel, stored
from gradcheck.arithmetic.running import lift, lift_array

__all__ = ["OPERATIONS", "Node", "Operation", "added", "apply", "constant", "unbroadcast"]

Vjp = Callable[[Any], Any]


@dataclass(frozen=True)
class Operation:
    """One kind of node: from the values of its parents to its value and a vjp for each parent.

    saves: from which parents need a gradient to the places that its backward reads: parents by number, -1 for the
    result itself; view: whether the result shares its parent's memory; cuts: whether the graph ends here.
    """

    forward: Callable[..., tuple[Any, tuple[Vjp, ...]]]
    saves: Callable[[tuple[bool, ...]], tuple[int, ...]] = lambda needed: ()
    view: bool = False
    cuts: bool = False


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """The cotangent of an operand that was broadcast: summed over the axes along which it was repeated."""
    lead = np.ndim(g) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, side in enumerate(shape) if side == 1 != np.shape(g)[lead + i])
    return np.sum(g, axis=axes, keepdims=True).reshape(shape) if axes else g


def _add(a: Any, b: Any) -> Any:
    return a + b, (lambda g: unbroadcast(g, np.shape(a)), lambda g: unbroadcast(g, np.shape(b)))


def _multiply(a: Any, b: Any) -> Any:
    return a * b, (
        lambda g: unbroadcast(stored(g * b), np.shape(a)),
        lambda g: unbroadcast(stored(g * a), np.shape(b)),
    )


def _matmul(a: Any, b: Any) -> Any:
    return np.matmul(a, b), (lambda g: np.matmul(g, np.swapaxes(b, 0, 1)), lambda g: np.matmul(np.swapaxes(a, 0, 1), g))


def _tanh(a: Any) -> Any:
    y = stored(np.tanh(a))
    return y, (lambda g: g * (1.0 - y * y),)


def _sum(a: Any) -> Any:
    return np.sum(a), (lambda g: g * np.ones_like(a),)


def _transpose(a: Any) -> Any:
    axes = tuple(reversed(range(np.ndim(a))))
    return np.transpose(a, axes), (lambda g: np.transpose(g, axes),)


def _others(needed: tuple[bool, ...]) -> tuple[int, ...]:
    """A product keeps each factor whose partner needs a gradient."""
    return tuple(1 - place for place, need in enumerate(needed) if need)


OPERATIONS = {
    "add": Operation(_add),
    "multiply": Operation(_multiply, _others),
    "matmul": Operation(_matmul, _others),
    "tanh": Operation(_tanh, lambda needed: (-1,)),
    "sum": Operation(_sum),
    "transpose": Operation(_transpose, view=True),
    "detach": Operation(lambda a: (a, ()), view=True, cuts=True),
}


@dataclass(eq=False)
class Node:
    """An array on the tape.

    value: Bounded; parents with the vjp that brings this node's cotangent to each; needs: whether it has a gradient;
    saved: nodes that backward reads, with their version when they were saved; base: whose memory it shares, itself if
    nobody's; version: counts writes to that memory; freed: whether backward let go of what was saved; hooks: numbers
    that multiply the gradient on its way, in order; retains: whether ``.grad`` is kept although it is no leaf.
    """

    value: Bounded
    needs: bool
    parents: tuple[tuple[Node, Vjp], ...] = ()
    saved: tuple[tuple[Node, int], ...] = ()
    memory: Node | None = None
    version: int = 0
    freed: bool = False
    hooks: list[float] = field(default_factory=list)
    retains: bool = False
    grad: Bounded | None = None

    @property
    def leaf(self) -> bool:
        return not self.parents

    @property
    def base(self) -> Node:
        return self if self.memory is None else self.memory


def constant(array: np.ndarray, model: RoundingModel, needs: bool = False) -> Node:
    """A leaf."""
    return Node(lift_array(array, model), needs)


def apply(name: str, *operands: Node, recording: bool = True) -> Node:
    """The node that an operation makes of others; ``recording``: not under ``no_grad``."""
    operation = OPERATIONS[name]
    model = operands[0].value.model
    outcome, vjps = operation.forward(*(operand.value for operand in operands))
    value = stored(lift(outcome, model))
    needed = tuple(operand.needs for operand in operands)
    if operation.cuts or not (recording and any(needed)):
        return Node(value, needs=False, memory=operands[0].base if operation.view else None)
    parents = tuple((operand, vjp) for operand, vjp in zip(operands, vjps, strict=True) if operand.needs)
    node = Node(value, needs=True, parents=parents, memory=operands[0].base if operation.view else None)
    places = [node if place < 0 else operands[place] for place in operation.saves(needed)]
    node.saved = tuple((saved, saved.base.version) for saved in places)
    return node


def added(parts: list[Bounded]) -> Bounded:
    """Their sum, each partial sum stored, in whatever order: the engine's is not promised."""
    if len(parts) == 1:
        return parts[0]
    model = parts[0].model
    magnitude = np.sum([np.abs(part.value) + part.full_bound() for part in parts], axis=0)
    # n - 1 additions, each rounded to the storage format, of partial sums no larger than Σ|terms| (Higham 2002, §4.2).
    step = (len(parts) - 1) * (model.unit + model.store.roundoff)
    bound = np.sum([part.full_bound() for part in parts], axis=0) + magnitude * (step + step * step)
    return Bounded(np.sum([part.value for part in parts], axis=0), bound + model.store.smallest_subnormal, model)
