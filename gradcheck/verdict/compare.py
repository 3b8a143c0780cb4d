"""Compare numbers with a reference: errors over bounds and in ulps, element by element or at their worst."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.carrier import peak_of, size_of
from gradcheck.arithmetic.deferred import Deferred, deferred, look_at
from gradcheck.arithmetic.packed import Packed
from gradcheck.formats import Format

__all__ = ["Worst", "digest_of", "error_ratios", "look_together", "stored_bound", "worst_errors"]

CHUNK = 1 << 14
"""Elements that are compared at a time: what is needed of them stays in a core's cache."""


class Worst(NamedTuple):
    """Worst error over the bound, over the larger of it and the coarse bound, and in ulps at the reference's value."""

    ratio: float
    coarse: float
    ulp: float

    @property
    def status(self) -> str:
        """``agrees``, ``coarse`` or ``deviates``."""
        return "agrees" if self.ratio <= 1.0 else "coarse" if self.coarse <= 1.0 else "deviates"


def worst_errors(got: np.ndarray, reference: Bounded, coarse: Bounded | None) -> Worst:
    """The worst of all elements: the maxima of :func:`error_ratios` and of the errors in ulps, without keeping them.

    got: float64 or float32 array of the reference's shape.
    Infinities and NaN among the operands are in order; NumPy's warnings of them are for the caller to silence.
    """
    large = deferred(reference) if coarse is None and got.flags.c_contiguous else None
    if isinstance(large, Deferred):
        compiled = large.worst(got)
        if compiled is not None:
            return Worst(compiled[0], *compiled)
    if type(reference) is Packed and coarse is None and got.dtype == np.float64:
        compiled = reference.worst(got)
        if compiled is not None:
            return Worst(compiled[0], *compiled)
    flat, value = got.reshape(-1), np.asarray(reference.value).reshape(-1)
    grades = [(grade.model, _flat_bound(grade)) for grade in (reference, coarse) if grade is not None]
    worst = [0.0, 0.0, 0.0]
    if 0 < flat.size <= CHUNK:
        return Worst(*_worst_of_chunk(flat, value, grades))
    for start in range(0, flat.size, CHUNK):
        part = slice(start, start + CHUNK)
        bounds = [(model, bound if bound is None else bound[part]) for model, bound in grades]
        worst = [max(pair) for pair in zip(worst, _worst_of_chunk(flat[part], value[part], bounds), strict=True)]
    return Worst(*worst)


def look_together(pairs: list[tuple[np.ndarray, Bounded]]) -> None:
    """Before the worst errors of large arrays are asked for one by one: find those of one shape in one run."""
    large = [(number, got) for got, number in pairs if isinstance(number, Deferred) and got.flags.c_contiguous]
    alike = [
        (number, got)
        for number, got in large
        if number.model is large[0][0].model and number.shape == got.shape == large[0][0].shape
    ]
    if len(alike) > 1:
        look_at(alike)


def _flat_bound(grade: Bounded) -> np.ndarray | None:
    return None if grade.bound is None else grade.full_bound().reshape(-1)


def _worst_of_chunk(got: np.ndarray, value: np.ndarray, grades: list[tuple[RoundingModel, Any]]) -> list[float]:
    """The same of a few elements, as a list without NaN; an element may be within either grade's bound."""
    error = size_of(got - value)
    worst, least, ordinary = [], None, True
    for model, bound in grades:
        allowed = _stored(model, value, bound)
        ratios = error / allowed
        peak = peak_of(ratios)
        if not peak < np.inf:
            ordinary = False
            ratios = _special_ratios(got, value, error, ratios, allowed, model)
            peak = peak_of(ratios)
        if least is not None:
            peak = peak_of(np.minimum(least, ratios, out=ratios))
        least = ratios
        worst.append(peak)
    if not ordinary:
        both = np.isfinite(got) & np.isfinite(value)
        error, value = np.where(both, error, 0.0), np.where(both, value, 0.0)
    return [worst[0], worst[-1], _worst_ulp(error, value, grades[0][0].store)]


def _worst_ulp(error: np.ndarray, value: np.ndarray, form: Format) -> float:
    """Worst error in ulps of the format at finite values."""
    return peak_of(error / form.ulp(value))


def _stored(model: RoundingModel, value: np.ndarray, bound: Any) -> Any:
    """The bound of an output once it has been rounded to the storage format."""
    if not model.rounds_on_store:
        return 0.0 if bound is None else bound
    store, magnitude = model.store, size_of(value)
    if bound is not None:
        magnitude += bound
    magnitude *= store.roundoff
    magnitude += store.smallest_subnormal
    # An infinity is stored as it is: it must not make its own bound infinite, which would accept anything.
    stored = magnitude if magnitude.max(initial=0.0) < np.inf else np.where(np.isfinite(value), magnitude, 0.0)
    return stored if bound is None else stored + bound


def stored_bound(reference: Bounded) -> np.ndarray:
    """The bound of an output once it has been rounded to the storage format."""
    return np.asarray(_stored(reference.model, np.asarray(reference.value), reference.full_bound()))


def error_ratios(got: np.ndarray, reference: Bounded) -> np.ndarray:
    """|got - value| / bound, element by element; 0 where a special value is matched, inf where it is not.

    Where the bound is infinite (an intermediate may overflow) anything is accepted; where the result itself may
    overflow, that infinity is accepted as well.
    """
    with np.errstate(all="ignore"):
        value, bound = np.asarray(reference.value), stored_bound(reference)
        error = size_of(got - value)
        return _special_ratios(got, value, error, error / bound, bound, reference.model)


def _special_ratios(
    got: np.ndarray, value: np.ndarray, error: np.ndarray, ratios: np.ndarray, bound: Any, model: RoundingModel
) -> np.ndarray:
    """``error / bound`` put right where bounds are zero or numbers are not finite."""
    ratios = np.where(error == 0.0, 0.0, ratios)
    if not ratios.max(initial=0.0) <= np.finfo(np.float64).max:
        matched = (got == value) | (np.isnan(got) & np.isnan(value))
        overflowed = np.isinf(got) & (value * np.sign(got) + bound > model.store.largest)
        ratios = np.where(np.isnan(ratios), np.inf, ratios)
        ratios = np.where(matched | overflowed | np.isinf(bound), 0.0, ratios)
    return ratios


LANES = 1 << 12
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@lru_cache(maxsize=8)
def _powers(n: int) -> np.ndarray:
    """m^(n-1), …, m, 1 modulo 2^64."""
    factors = np.full(n, MULTIPLIER)
    factors[0] = 1
    return np.ascontiguousarray(np.multiply.accumulate(factors)[::-1])


def digest_of(elements: np.ndarray | bytes) -> str:
    """16 hexadecimal digits that follow from the bits: SHA-256, of a polynomial hash of them where they are many.

    elements: C-contiguous. The hash of each lane is Σ word·m^i modulo 2^64. The multiplier m is odd, so one changed
    word always changes it.
    """
    if isinstance(elements, np.ndarray) and elements.nbytes <= 16 * LANES:
        return hashlib.sha256(elements.data).hexdigest()[:16]
    bits: Any = elements.reshape(-1).view(np.uint8).data if isinstance(elements, np.ndarray) else elements
    if len(bits) > 16 * LANES:
        words = np.frombuffer(bits, dtype="<u8", count=len(bits) // (8 * LANES) * LANES).reshape(-1, LANES)
        lanes = np.einsum("i,ij->j", _powers(len(words)), words)
        bits = lanes.astype("<u8").tobytes() + bytes(bits[words.nbytes :]) + len(bits).to_bytes(8, "little")
    return hashlib.sha256(bits).hexdigest()[:16]
