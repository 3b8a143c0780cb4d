"""Where a whole training run may be, given how each of its steps rounds: an enclosure that does not blow up.

The models of the walkthroughs are linear in their parameters and their losses quadratic, so that a step of descent is
an affine map. What one step rounds, its running error bound tells; the steps after it carry it on by their matrix. The
sum of all these segments is a zonotope, the set of affine arithmetic (Comba & Stolfi 1993); unlike an interval it
shrinks where the descent contracts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.running import lift

__all__ = ["Trajectory"]

SEGMENTS = 400
"""More of them are folded: the older half becomes a box, which contains it."""

State = dict[str, Any]


class Trajectory:
    """The state (arrays by name) in float64, and how far a run in the model's format may be from it."""

    def __init__(self, start: dict[str, np.ndarray], model: RoundingModel, within: dict[str, float] | None = None):
        """within: how far the start itself may be off, by name (0 where it is not said)."""
        self.model = model
        self.state = {name: np.asarray(array, dtype=np.float64) for name, array in start.items()}
        unsure = np.concatenate([np.full(a.size, (within or {}).get(name, 0.0)) for name, a in self.state.items()])
        self.segments = np.diag(unsure)
        self.matrix = np.eye(unsure.size)

    def bounded(self) -> dict[str, Bounded]:
        """The state with its bound."""
        return self._split(np.abs(self.segments).sum(axis=1))

    def _split(self, bound: np.ndarray) -> dict[str, Bounded]:
        parts = np.split(bound, np.cumsum([array.size for array in self.state.values()])[:-1])
        return {
            name: Bounded(array, part.reshape(array.shape), self.model)
            for (name, array), part in zip(self.state.items(), parts, strict=True)
        }

    def advance(self, step: Callable[[State], State], *, again: bool = False) -> None:
        """Take an affine step: a function from a state to the next, in NumPy, in any arithmetic.

        again: whether it is the step that was taken before, whose matrix is known.
        """
        after = _flat(step(self.state))
        if not again:
            self.matrix = self._matrix_of(step, after)
        rounded = step({name: Bounded(array, None, self.model) for name, array in self.state.items()})
        own = [np.ravel(lift(rounded[name], self.model).full_bound()) for name in self.state]
        self.segments = np.concatenate([self.matrix @ self._folded(), np.diag(np.concatenate(own))], axis=1)
        starts = np.cumsum([array.size for array in self.state.values()])[:-1]
        parts = np.split(after, starts)
        self.state = {n: p.reshape(a.shape) for (n, a), p in zip(self.state.items(), parts, strict=True)}

    def _matrix_of(self, step: Callable[[State], State], after: np.ndarray) -> np.ndarray:
        """Column by column: what moving one number of the state by 1 does to the next state."""
        columns = []
        for name, array in self.state.items():
            for i in range(array.size):
                moved = array.copy()
                moved.flat[i] += 1.0
                columns.append(_flat(step({**self.state, name: moved})) - after)
        return np.stack(columns, axis=1)

    def _folded(self) -> np.ndarray:
        if self.segments.shape[1] <= SEGMENTS:
            return self.segments
        old, new = np.split(self.segments, [SEGMENTS // 2], axis=1)
        return np.concatenate([np.diag(np.abs(old).sum(axis=1)), new], axis=1)


def _flat(state: State) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in state.values()])
