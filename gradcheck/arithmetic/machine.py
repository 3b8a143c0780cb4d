"""A machine that computes in the subject's formats: how it rounds, how it adds, how far its library is off.

What a running error bound promises to cover, so it shares nothing with the bounds but the model's formats and the
published accuracies. Values are carried in NumPy's widest float, in which one operation on numbers of a narrower
format is as good as exact; then it is rounded, either to the nearest number or at random up or down to a number of one
more bit, so that no error exceeds the unit roundoff and many come near it (stochastic rounding: M. P. Connolly,
N. J. Higham & T. Mary, SIAM J. Sci. Comput. 43(1), 2021). Where that float has no spare bits (Windows, Apple's ARM)
float64 is simulated by rounding to nearest only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arithmetic.accuracy import EXACT_AT, largest_error
from gradcheck.arithmetic.carrier import CARRIER_BITS, WIDE
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.formats import Format

__all__ = ["Machine"]


@dataclass(frozen=True, eq=False)
class Machine:
    """One way to compute. model: the formats; draw: ``draw(limit, n)`` gives n random integers below limit.

    random: round up or down at random instead of to the nearest; pairwise: add by halves instead of one by one;
    fused: products inside a sum of products are not rounded.
    """

    model: RoundingModel
    draw: Callable[[int, int], np.ndarray]
    random: bool = True
    pairwise: bool = False
    fused: bool = False

    def work(self, exact: Any) -> np.ndarray:
        rounded = self._round(exact, self.model.work, self.random)
        return np.where(np.abs(rounded) < self.model.least, np.copysign(WIDE(0), rounded), rounded)

    def store(self, value: Any) -> np.ndarray:
        """Rounded to the nearest number of the storage format: a conversion, which no kernel does otherwise."""
        return self.convert(value) if self.model.rounds_on_store else value

    def convert(self, value: Any) -> np.ndarray:
        """A number of a wider format, rounded to the nearest one of the storage format."""
        return self._round(value, self.model.store, at_random=False)

    def _round(self, exact: Any, form: Format, at_random: bool) -> np.ndarray:
        exact = np.asarray(exact, dtype=WIDE)
        at_random = at_random and form.precision + 1 < CARRIER_BITS
        precision = form.precision + 1 if at_random else form.precision
        _, exponent = np.frexp(exact)
        lowest = form.minimum_exponent - form.precision + (0 if at_random else 1)
        gap = np.ldexp(WIDE(1), np.maximum(exponent - precision, lowest))
        places = exact / gap
        if at_random:
            low = np.floor(places)
            rounded = low + ((places != low) & (self._bits(exact.shape) == 1))
        else:
            rounded = np.rint(places)
        rounded = np.copysign(rounded * gap, exact)
        rounded = np.where(np.abs(rounded) > form.largest, np.copysign(WIDE(np.inf), exact), rounded)
        return np.where(np.isfinite(exact), rounded, exact)

    def _bits(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.draw(2, math.prod(shape)).reshape(shape)

    def elementary(self, function: Callable[[Any], Any], name: str, argument: np.ndarray) -> np.ndarray:
        """A library function: off by up to its published error, of which its last rounding is a part.

        At ±inf it is exact: tanh(inf) is 1 everywhere; and so is exp(0).
        """
        exact = np.asarray(function(argument), dtype=WIDE)
        if self.random:
            ulps, library = largest_error(name, self.model.device), self.model.library
            share = self.draw(257, exact.size).reshape(exact.shape) / WIDE(128) - 1
            _, exponent = np.frexp(np.where(np.isfinite(exact), exact, WIDE(0)))
            ulp = np.where(exact == 0, WIDE(0), np.ldexp(WIDE(1), exponent - library.precision))
            off = self._round(exact + share * (ulps - 0.5) * ulp, library, self.random)
            exact = np.where(np.isfinite(argument) & (argument != EXACT_AT.get(name)), off, exact)
        return self.work(exact)

    def sum(self, terms: np.ndarray) -> np.ndarray:
        """Σ over the last axis, with every addition rounded."""
        n = terms.shape[-1]
        if n == 0:
            return np.zeros(terms.shape[:-1], dtype=WIDE)
        if self.pairwise and n > 1:
            return self._added(self.sum(terms[..., : n // 2]), self.sum(terms[..., n // 2 :]))
        partial = terms[..., 0]
        for i in range(1, n):
            partial = self._added(partial, terms[..., i])
        return partial

    def _added(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a + b rounded, no farther off than the smaller of them is large: both are numbers of the format, and one of
        them would be nearer (J. R. Shewchuk, Discrete & Computational Geometry 18, 1997, lemma 1)."""
        exact = a + b
        rounded = self.work(exact)
        smaller, larger = np.where(np.abs(a) < np.abs(b), (a, b), (b, a))
        farther = (np.abs(rounded - exact) > np.abs(smaller)) & (rounded != 0.0)  # what was flushed to 0 stays so
        return np.where(farther, larger, rounded)
