"""Sums over large arrays that are put off until one is asked for: all those over one shape then share one run.

A formula often adds up several numbers of the same arrays (Σ g and Σ g·x along rows, the gradients of a weight and of a
bias): in one run each array is read once, and what the numbers have in common is computed once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded
from gradcheck.arithmetic.tape import Tape

__all__ = ["Summed", "run"]

Finish = Callable[[tuple[Any, Any, Any]], Bounded]
"""From Σ value, Σ |value| and Σ bound (None where exact) to the sum by its rule."""


class Summed(Bounded):
    """A sum whose value and bound are computed when one is asked for.

    terms: what is added up, along the last axis of its shape (rows) or along all others; shape: of the sum; top: as of
    the result; finish: makes that of the sums.
    """

    __slots__ = ("__weakref__", "_finish", "_made", "_rows", "_shape", "_terms")

    def __init__(self, terms: Bounded, rows: bool, shape: tuple[int, ...], top: float, finish: Finish) -> None:
        self._terms = terms
        self._rows = rows
        self._shape = shape
        self._finish = finish
        self._made: Bounded | None = None
        self._magnitude = None
        self.model = terms.model
        self.top = top
        self.is_root = False
        self.floor = min(terms.floor, 0.0)
        _waiting.append(weakref.ref(self))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def value(self) -> Any:
        return self.made().value

    @property
    def bound(self) -> Any:
        return self.made().bound

    def made(self) -> Bounded:
        """The sum, computed now if it was not; others that wait with it are computed beside it."""
        if self._made is None:
            run(Tape(self._terms.model, self._terms.shape))
        assert self._made is not None
        return self._made

    def note(self, tape: Tape) -> np.ndarray:
        """Write what gives the sums on a tape; they are there once it has run."""
        terms = tape.put(self._terms)
        return tape.row_sums(terms) if self._rows else tape.column_sums(terms)

    def take(self, sums: np.ndarray) -> None:
        """Make the sum of what a tape gave."""
        value, magnitude, *spread = (part.reshape(self._shape) for part in sums)
        self._made = self._finish((value, magnitude, spread[0] if spread else None))
        del self._terms, self._finish

    def fits(self, model: RoundingModel, shape: tuple[int, ...]) -> bool:
        return self.model is model and self._terms.shape == shape


_waiting: list[weakref.ref[Summed]] = []
"""Sums that nobody has asked for yet; what nobody holds any more is never computed."""


def run(tape: Tape) -> np.ndarray:
    """Run a tape, and on it all sums that wait for one over its shape; the tape's constants (see ``Tape.run``)."""
    alive = [(place, found) for place in _waiting if (found := place()) is not None]
    here = [(found, found.note(tape)) for _, found in alive if found.fits(tape.model, tape.shape)]
    constants = tape.run()
    noted = {id(found) for found, _ in here}
    _waiting[:] = [place for place, found in alive if id(found) not in noted]
    for found, sums in here:
        found.take(sums)
    return constants
