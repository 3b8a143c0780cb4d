"""Three-valued masks: what a comparison yields where its operands' errors overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.protocol import Composite

__all__ = ["Mask", "decide", "either"]


def decide(likely: Any, undecided: Any) -> Any:
    """A plain bool array where everything is decided (the usual, fast case), a :class:`Mask` otherwise."""
    return Mask(np.asarray(likely), np.asarray(undecided)) if np.any(undecided) else likely


def either(outcome: Any, where: Any) -> Any:
    """The outcome of a comparison that may be the other one as well ``where`` a mask holds, or is undecided itself."""
    likely, undecided = _parts(outcome)
    there, maybe = _parts(where)
    return decide(likely, undecided | there | maybe)


class Mask(Composite):
    """The outcome of an uncertain comparison, element by element.

    likely: bool array, the outcome for the values as they are; undecided: bool array of the same shape, true where
    the errors of the operands allow the other outcome as well. Masks combine by ``&``, ``|`` and ``~`` and are used
    by ``np.where`` and ``guarded``; arithmetic with a mask is refused, since 0·x hides what is undecided.
    """

    __slots__ = ("likely", "undecided")
    priority = 0
    rules_file = "gradcheck/arithmetic/mask.py"

    def __init__(self, likely: np.ndarray, undecided: np.ndarray) -> None:
        self.likely = likely
        self.undecided = undecided

    @property
    def shape(self) -> tuple[int, ...]:
        return self.likely.shape

    def __gradcheck_possible__(self) -> np.ndarray:
        """Where the outcome may be true."""
        return np.asarray(self.likely | self.undecided)

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Mask:
        rest = args[1:] if args else ()
        return Mask(function(self.likely, *rest, **kwargs), function(self.undecided, *rest, **kwargs))


def _parts(mask: Any) -> tuple[Any, Any]:
    return (mask.likely, mask.undecided) if isinstance(mask, Mask) else (mask, np.False_)


def _and(a: Any, b: Any) -> Any:
    (a_likely, a_open), (b_likely, b_open) = _parts(a), _parts(b)
    undecided = (a_open & (b_likely | b_open)) | (b_open & (a_likely | a_open))
    return decide(a_likely & b_likely, undecided)


def _or(a: Any, b: Any) -> Any:
    (a_likely, a_open), (b_likely, b_open) = _parts(a), _parts(b)
    undecided = (a_open & (~b_likely | b_open)) | (b_open & (~a_likely | a_open))
    return decide(a_likely | b_likely, undecided)


def _not(a: Any) -> Any:
    return Mask(~a.likely, a.undecided)


def _all(a: Mask, axis: Any = None) -> Any:
    certain, possible = a.likely & ~a.undecided, a.likely | a.undecided
    likely = np.all(a.likely, axis=axis)
    return decide(likely, np.all(possible, axis=axis) & ~np.all(certain, axis=axis))


Mask.ufuncs = {
    np.bitwise_and: _and,
    np.logical_and: _and,
    np.bitwise_or: _or,
    np.logical_or: _or,
    np.invert: _not,
    np.logical_not: _not,
}
Mask.functions = {np.all: _all}
