"""Backward passes over the tape, and what each call does to ``.grad``."""

from __future__ import annotations

import numpy as np

from gradcheck.arithmetic import Bounded, stored
from gradcheck.arithmetic.running import lift_array
from gradcheck.reference.accumulation.tape import Node, added

__all__ = ["Raises", "accumulate", "backward", "gradients", "overwrite", "zero"]


class Raises(Exception):  # noqa: N818 - what PyTorch does, not an error of this code
    """PyTorch has to raise here; the words that its message contains."""


def gradients(root: Node, cotangent: np.ndarray, keep: bool, inputs: tuple[Node, ...] = ()) -> dict[Node, Bounded]:
    """The gradient of every node below the root, hooks applied; frees what was saved unless ``keep``.

    A node that retains its gradient gets it, even though leaves get none.

    inputs: leaves that the pass has to reach, all if none are given; only nodes on the way to them are visited.
    Raises Raises where the root has no graph, where what a node saved was freed, or was overwritten.
    """
    if not root.needs:
        raise Raises("does not require grad")
    order = [node for node in _topological(root) if not inputs or _reaches(node, inputs)]
    arrived: dict[Node, list[Bounded]] = {root: [lift_array(cotangent, root.value.model)]}
    found: dict[Node, Bounded] = {}
    for node in order:
        gradient = added(arrived[node])
        for factor in node.hooks:
            gradient = stored(gradient * factor)
        found[node] = gradient
        if node.retains:  # after its hooks, and whoever asks: torch.autograd.grad as well
            accumulate(node, gradient)
        if node.leaf:
            continue
        if node.freed and node.saved:
            raise Raises("second time")
        for saved, version in node.saved:
            if saved.base.version != version:
                raise Raises("modified by an inplace operation")
        for parent, vjp in node.parents:
            if not inputs or _reaches(parent, inputs):
                arrived.setdefault(parent, []).append(stored(vjp(gradient)))
    if not keep:
        for node in order:
            node.freed = True
    return found


def _reaches(node: Node, inputs: tuple[Node, ...]) -> bool:
    return node in inputs or any(_reaches(parent, inputs) for parent, _ in node.parents)


def _topological(root: Node) -> list[Node]:
    """The root first, every node after all that it feeds."""
    order: list[Node] = []
    seen: set[Node] = set()

    def visit(node: Node) -> None:
        if node not in seen:
            seen.add(node)
            for parent, _ in node.parents:
                visit(parent)
            order.append(node)

    visit(root)
    return order[::-1]


def backward(root: Node, cotangent: np.ndarray, keep: bool = False, inputs: tuple[Node, ...] = ()) -> None:
    """``root.backward(cotangent)``: adds to ``.grad`` of leaves and of nodes that retain it.

    inputs: the only leaves that it is added to. A leaf that no longer needs a gradient gets none.
    """
    for node, gradient in gradients(root, cotangent, keep, inputs).items():
        if node.leaf and node.needs and (not inputs or node in inputs):
            accumulate(node, gradient)


def accumulate(node: Node, gradient: Bounded) -> None:
    """``.grad`` becomes the gradient (a copy), or what it held plus the gradient, rounded once."""
    node.grad = gradient if node.grad is None else stored(node.grad + gradient)


def zero(node: Node, to_none: bool) -> None:
    """``zero_grad`` of an optimizer or module, or ``.grad.zero_()``."""
    if node.grad is not None:
        node.grad = None if to_none else lift_array(np.zeros(node.grad.shape), node.grad.model)


def overwrite(node: Node, value: Bounded) -> None:
    """An in-place write to a leaf under ``no_grad``: its memory counts one version more."""
    node.base.version += 1
    node.value = value
