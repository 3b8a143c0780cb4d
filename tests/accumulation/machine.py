"""Random histories of calls as a Hypothesis state machine; the same machine runs against planted faults."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gradcheck.cases.inputs import Bits
from gradcheck.subject.accumulation import Torch
from gradcheck.verdict.accumulation import History, Pair

SHAPES = ((), (3,), (1, 3), (2, 3), (3, 3))
FACTORS = (2.0, 0.5, -1.0, 3.0)
MOST = 12
"""Arrays of one history: enough to share, tie and branch, few enough to read when it fails."""


class Accumulation(RuleBasedStateMachine):
    """Networks of leaves, and every call that changes ``.grad``; ``subject`` is a class that a fault replaces."""

    subject: type[Torch] = Torch
    dtypes: tuple[str, ...] = ("float64", "float32", "float16", "bfloat16")

    def __init__(self) -> None:
        super().__init__()
        self.seed = 0

    @initialize(dtype=st.sampled_from((0, 1, 2, 3)), shapes=st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3))
    def begin(self, dtype: int, shapes: list[tuple[int, ...]]) -> None:
        self.history = History(self.subject(self.dtypes[dtype % len(self.dtypes)]))
        self.leaves = [self.history.leaf(self._array(shape)) for shape in shapes]
        self.usable = list(self.leaves)
        self.ends: list[Pair] = []

    def _array(self, shape: tuple[int, ...]) -> np.ndarray:
        self.seed += 1
        return Bits("accumulation", self.seed).bell(int(np.prod(shape))).reshape(shape)

    def _pick(self, data: Any, pairs: list[Pair]) -> Pair:
        return pairs[data.draw(st.integers(0, len(pairs) - 1))]

    def _apply(self, name: str, *operands: Pair, recording: bool = True) -> None:
        made = self.history.apply(name, *operands, recording=recording)
        self.usable.append(made)
        self.ends.append(made)

    @property
    def room(self) -> bool:
        return len(self.history.pairs) < MOST

    @precondition(lambda self: self.room)
    @rule(
        data=st.data(), name=st.sampled_from(("add", "multiply")), recording=st.sampled_from((True, True, True, False))
    )
    def combine(self, data: Any, name: str, recording: bool) -> None:
        a = self._pick(data, self.usable)
        fitting = [pair for pair in self.usable if _fit(a.shape, pair.shape)]
        self._apply(name, a, self._pick(data, fitting), recording=recording)

    @precondition(lambda self: self.room)
    @rule(data=st.data(), name=st.sampled_from(("tanh", "sum", "transpose", "detach")))
    def transform(self, data: Any, name: str) -> None:
        self._apply(name, self._pick(data, self.usable))

    @precondition(lambda self: self.room and any(len(pair.shape) == 2 for pair in self.usable))
    @rule(data=st.data())
    def multiply_matrices(self, data: Any) -> None:
        a = self._pick(data, [pair for pair in self.usable if len(pair.shape) == 2])
        fitting = [pair for pair in self.usable if len(pair.shape) == 2 and pair.shape[0] == a.shape[1]]
        if fitting:
            self._apply("matmul", a, self._pick(data, fitting))

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), keep=st.booleans(), create=st.sampled_from((False, False, True)), some=st.booleans())
    def backward(self, data: Any, keep: bool, create: bool, some: bool) -> None:
        root = self._pick(data, self.ends)
        below = [leaf for leaf in self.leaves if leaf.node.needs and _below(root.node, leaf.node)]
        inputs = (self._pick(data, below),) if some and below else ()
        self.history.backward(root, self._array(root.shape), keep, create, inputs)

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), keep=st.booleans())
    def gradient(self, data: Any, keep: bool) -> None:
        root = self._pick(data, self.ends)
        below = [leaf for leaf in self.leaves if leaf.node.needs and _below(root.node, leaf.node)]
        if below:
            self.history.gradient(root, self._pick(data, below), self._array(root.shape), keep)

    @rule(data=st.data(), to_none=st.booleans())
    def zero(self, data: Any, to_none: bool) -> None:
        self.history.zero(self.leaves[: data.draw(st.integers(1, len(self.leaves)))], to_none)

    @rule(data=st.data())
    def zero_in_place(self, data: Any) -> None:
        self.history.zero_in_place(self._pick(data, self.leaves))

    @rule(data=st.data(), array=st.booleans())
    def assign(self, data: Any, array: bool) -> None:
        leaf = self._pick(data, self.leaves)
        self.history.assign(leaf, self._array(leaf.shape) if array else None)

    @rule(data=st.data(), factor=st.sampled_from(FACTORS))
    def hook(self, data: Any, factor: float) -> None:
        needing = [pair for pair in self.usable if pair.node.needs]
        if needing:
            self.history.hook(self._pick(data, needing), factor)

    @precondition(lambda self: any(pair.node.needs for pair in self.ends))
    @rule(data=st.data())
    def retain(self, data: Any) -> None:
        self.history.retain(self._pick(data, [pair for pair in self.ends if pair.node.needs]))

    @rule(data=st.data(), needs=st.booleans())
    def require(self, data: Any, needs: bool) -> None:
        self.history.require(self._pick(data, self.leaves), needs)

    @rule(data=st.data(), factor=st.sampled_from(FACTORS))
    def write(self, data: Any, factor: float) -> None:
        """What was computed of the old value goes on to exist, but nothing new is made of it: views have changed."""
        self.history.scale(self._pick(data, self.leaves), factor)
        self.usable = list(self.leaves)


def _fit(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def _below(root: Any, leaf: Any) -> bool:
    return root is leaf or any(_below(parent, leaf) for parent, _ in root.parents)
