"""Compare numbers with a reference: errors over bounds and in ulps, element by element or at their worst."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.formats import Format

__all__ = ["Worst", "digest_of", "error_ratios", "stored_bound", "worst_errors"]

CHUNK = 1 << 14
"""Elements that are compared at a time: what is needed of them stays in a core's cache."""

EXPONENT_BITS = np.int64(0x7FF0000000000000)


class Worst(NamedTuple):
    """Worst error over the bound, over the larger of it and the coarse bound, and in ulps at the reference's value."""

    ratio: float
    coarse: float
    ulp: float


def worst_errors(got: np.ndarray, reference: Bounded, coarse: Bounded | None) -> Worst:
    """The worst of all elements; equal to the maxima of :func:`error_ratios` and ulps, found without keeping them."""
    flat, value = got.reshape(-1), np.asarray(reference.value).reshape(-1)
    grades = [(grade.model, _flat_bound(grade)) for grade in (reference, coarse) if grade is not None]
    worst, ulp = [0.0] * len(grades), 0.0
    for start in range(0, flat.size, CHUNK):
        part = slice(start, start + CHUNK)
        here = value[part]
        error = flat[part] - here
        np.abs(error, out=error)
        ratios = None
        for i, (model, bound) in enumerate(grades):
            each = error / _stored(model, here, None if bound is None else bound[part])
            ratios = each if ratios is None else np.minimum(ratios, each, out=ratios)
            peak = float(ratios.max())
            if not peak < np.inf:  # NaN as well
                return _worst_of_special(got, reference, coarse)
            worst[i] = max(worst[i], peak)
        ulp = max(ulp, _worst_ulp(error, here, reference.model.store))
    return Worst(worst[0], worst[-1], ulp)


def _flat_bound(grade: Bounded) -> np.ndarray | None:
    return None if grade.bound is None else grade.full_bound().reshape(-1)


def _worst_of_special(got: np.ndarray, reference: Bounded, coarse: Bounded | None) -> Worst:
    """The same where bounds are zero or numbers are not finite."""
    ratios = error_ratios(got, reference)
    # An element may be within either bound.
    coarse_ratios = ratios if coarse is None else np.minimum(ratios, error_ratios(got, coarse))
    value = np.asarray(reference.value)
    both = np.isfinite(got) & np.isfinite(value)
    finite = np.where(both, value, 0.0)
    ulp = _worst_ulp(np.abs(np.where(both, got, 0.0) - finite), finite, reference.model.store)
    return Worst(float(ratios.max(initial=0.0)), float(coarse_ratios.max(initial=0.0)), ulp)


def _worst_ulp(error: np.ndarray, value: np.ndarray, form: Format) -> float:
    """Worst error in ulps of the format at finite values."""
    if not value.size:
        return 0.0
    # |value| rounded down to a power of two is read off its bits, ten times as fast as by np.frexp.
    binade = (value.view(np.int64) & EXPONENT_BITS).view(np.float64)
    if binade.min() < form.smallest_normal:
        return float((error / form.ulp(value)).max())
    return float((error / binade).max()) * (0.5 / form.roundoff)


def _stored(model: RoundingModel, value: np.ndarray, bound: Any) -> Any:
    if not model.rounds_on_store:
        return 0.0 if bound is None else bound
    # An infinity is stored as it is: it must not make its own bound infinite, which would accept anything.
    magnitude = np.where(np.isfinite(value), np.abs(value), 0.0)
    if bound is None:
        return magnitude * model.store.roundoff + model.store.smallest_subnormal
    return bound + (magnitude + bound) * model.store.roundoff + model.store.smallest_subnormal


def stored_bound(reference: Bounded) -> np.ndarray:
    """The bound of an output once it has been rounded to the storage format."""
    return np.asarray(_stored(reference.model, np.asarray(reference.value), reference.full_bound()))


def error_ratios(got: np.ndarray, reference: Bounded) -> np.ndarray:
    """|got - value| / bound, element by element; 0 where a special value is matched, inf where it is not.

    Where the bound is infinite (an intermediate may overflow) anything is accepted; where the result itself may
    overflow, that infinity is accepted as well.
    """
    value, bound = np.asarray(reference.value), stored_bound(reference)
    error = np.abs(got - value)
    ratios = np.where(error == 0.0, 0.0, error / bound)
    # Slow path for special values only: a NaN ratio or an infinite error.
    if not ratios.max(initial=0.0) <= np.finfo(np.float64).max:
        matched = (got == value) | (np.isnan(got) & np.isnan(value))
        overflowed = np.isinf(got) & (value * np.sign(got) + bound > reference.model.store.largest)
        ratios = np.where(np.isnan(ratios), np.inf, ratios)
        ratios = np.where(matched | overflowed | np.isinf(bound), 0.0, ratios)
    return ratios


LANES = 1 << 12
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def digest_of(bits: bytes) -> str:
    """16 hexadecimal digits that follow from the bits: SHA-256, of a polynomial hash of them where they are many.

    The hash of each lane is Σ word·m^i modulo 2^64. The multiplier m is odd, so one changed word always changes it.
    """
    if len(bits) > 16 * LANES:
        words = np.frombuffer(bits, dtype="<u8", count=len(bits) // (8 * LANES) * LANES).reshape(-1, LANES)
        lanes = np.zeros(LANES, dtype=np.uint64)
        for row in words:
            lanes *= MULTIPLIER
            lanes += row
        bits = lanes.astype("<u8").tobytes() + bits[words.nbytes :] + len(bits).to_bytes(8, "little")
    return hashlib.sha256(bits).hexdigest()[:16]
