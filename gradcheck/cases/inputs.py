"""The arrays of a case, bit-identical on every version of NumPy and Python.

Values are made by exact arithmetic from the raw bits of Philox, a counter-based generator (J. K. Salmon et al.,
"Parallel Random Numbers: As Easy as 1, 2, 3", SC11) whose stream NumPy guarantees; the distributions of
``numpy.random.Generator`` may change between releases. Floats are rounded to the dtype of the case, so that the
subject and the reference see the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from gradcheck.cases.case import ArraySpec, Case
from gradcheck.cases.layouts import CONTIGUOUS, check_layout, data_for
from gradcheck.cases.sweep import swept
from gradcheck.errors import UsageError, choices
from gradcheck.formats import Format, format_named
from gradcheck.recent import Recent

__all__ = [
    "BOOLEAN_KINDS",
    "COTANGENTS",
    "INTEGER_KINDS",
    "KINDS",
    "Bits",
    "arguments_of",
    "batch_of",
    "cotangent_of",
    "cotangent_words",
    "direction_of",
    "make_array",
]


class _Key(ISeedSequence):
    """What Philox asks for its key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        return np.frombuffer(self._key, dtype="<u8", count=n_words).astype(dtype)


class Bits:
    """A stream of random bits that follows from words alone."""

    def __init__(self, *words: object) -> None:
        digest = hashlib.sha256("\x1f".join([str(word) for word in words]).encode()).digest()
        seed: Any = _Key(digest[:16])  # by ``key=`` the system would be asked for entropy as well
        self._philox = np.random.Philox(seed)

    def raw(self, n: int) -> np.ndarray:
        """n uint64."""
        return self._philox.random_raw(n) if n else np.empty(0, dtype=np.uint64)

    def below(self, limit: int, n: int) -> np.ndarray:
        """n integers in [0, limit), int64; limit at most 2^32, so that the bias of the remainder is below 2^-32."""
        return (self.raw(n) % np.uint64(limit)).astype(np.int64)

    def pick(self, options: Any, n: int) -> np.ndarray:
        return np.asarray(options)[self.below(len(options), n)]

    def unit(self, n: int) -> np.ndarray:
        """n numbers in [0, 1), multiples of 2^-53."""
        return (self.raw(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def bell(self, n: int) -> np.ndarray:
        """n numbers in [-4, 4]: the sum of four uniform ones (Irwin-Hall), standard deviation 1.15."""
        quarters = (self.raw(4 * n) >> np.uint64(2)).reshape(4, n)
        return (quarters.sum(axis=0, dtype=np.uint64) ^ np.uint64(1 << 63)).view(np.int64).astype(np.float64) * 2.0**-61

    def scaled(self, low: int, high: int, n: int) -> np.ndarray:
        """n numbers ±m·2^e, m in [1, 2), e uniform in [low, high]."""
        exponent = low + self.below(high - low + 1, n)
        return np.ldexp(1.0 + self.unit(n), exponent) * self.pick([1.0, -1.0], n)


def _ordinary(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Bell-shaped in [-4, 4]."""
    return bits.bell(n)


def _integers(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Whole numbers from -4 to 4."""
    return bits.below(9, n) - 4.0


def _ties(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Few distinct values, many of them equal."""
    return bits.pick([0.5, -0.5, 1.0, 0.0, -1.0], n)


def _wide(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Magnitudes over half the exponent range below 1, and up to 2^8."""
    return bits.scaled(form.minimum_exponent // 2, 7, n)


def _subnormal(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Subnormal numbers and the smallest normal ones."""
    return bits.below(1 << min(form.precision, 31), n) * form.smallest_subnormal * bits.pick([1.0, -1.0, 2.0], n)


def _roots(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Roots of subnormal numbers: their squares underflow bit by bit."""
    return bits.scaled((form.minimum_exponent - form.precision) // 2, form.minimum_exponent // 2 - 1, n)


def _near(bits: Bits, n: int, form: Format, at: tuple[float, ...] = (0.0,)) -> np.ndarray:
    """At, just beside (up to 3 numbers away) and around (1/16) the points ``at``."""
    centre = form.round(bits.pick(np.array(at, dtype=np.float64), n))
    beside = form.step(centre, bits.below(7, n) - 3)
    return np.where(bits.below(4, n) == 0, centre + bits.bell(n) / 64.0, beside)


def _close(bits: Bits, n: int, form: Format, at: tuple[float, ...] = (0.0,)) -> np.ndarray:
    """On both sides of the points ``at``, at distances spread evenly over all powers of two from 1/2 to a roundoff."""
    centre = form.round(bits.pick(np.array(at, dtype=np.float64), n))
    return centre + bits.scaled(-form.precision, -2, n) * np.where(centre == 0.0, 1.0, np.abs(centre))


def _rare(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Ordinary numbers with a single ±0, ±inf or NaN in about forty: one that the others do not hide."""
    points = bits.pick([np.inf, -np.inf, np.nan, 0.0, -0.0], n)
    return np.where(bits.below(40, n) == 0, points, bits.bell(n))


def _special(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Ordinary numbers among which ±0, ±inf and NaN are strewn."""
    points = bits.pick([0.0, -0.0, np.inf, -np.inf, np.nan], n)
    return np.where(bits.below(3, n) == 0, points, bits.bell(n))


def _huge(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Around the largest number, and around its square root."""
    top = bits.scaled(form.maximum_exponent - 2, form.maximum_exponent, n)
    root = bits.scaled(form.maximum_exponent // 2 - 1, form.maximum_exponent // 2 + 1, n)
    return np.where(bits.below(2, n) == 0, np.clip(top, -form.largest, form.largest), root)


def _large(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Where exponentials saturate and overflow: up to 1.5 times the logarithm of the largest number."""
    return bits.bell(n) * (form.maximum_exponent / 4.0)


def _faint(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Logarithms of subnormal numbers, with either sign: where exponentials underflow bit by bit, but not to 0."""
    exponent = form.minimum_exponent - (form.precision - 1) * bits.unit(n)
    return exponent * LOG_2 * bits.pick([1.0, -1.0], n)


def _edges(bits: Bits, n: int, form: Format) -> np.ndarray:
    """The named edges of the format (see Format.edges), every one if there is room."""
    edges = form.edges()
    return edges[(bits.below(len(edges), 1) + np.arange(n)) % len(edges)]


def _repeated(bits: Bits, n: int, form: Format) -> np.ndarray:
    """One number throughout: whatever its place, it must give the same result."""
    return np.repeat(bits.bell(1), n)


def _every(bits: Bits, n: int, form: Format) -> np.ndarray:
    """All 65,536 numbers of a 16-bit format, in order of their bit patterns (of another format: its edges)."""
    if form.bits != 16:
        return _edges(bits, n, form)
    return form.from_bits(np.arange(n) % 65536)


def _sweep(
    bits: Bits, n: int, form: Format, at: tuple[float, ...] = (), low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Ascending over the format's number line, or from low to high, with the neighbours of the points ``at``."""
    return swept(form, n, at, low, high)


def _unit(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Probabilities: uniform in [0, 1], the ends and their neighbours among them."""
    ends = np.array([0.0, 1.0, 0.5, form.smallest_subnormal, form.smallest_normal, 1.0 - form.roundoff])
    return np.where(bits.below(8, n) == 0, bits.pick(ends, n), bits.unit(n))


def _inner(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Probabilities away from 0 and 1: uniform in [1/64, 1 - 1/64]."""
    return 0.015625 + 0.96875 * bits.unit(n)


def _positive(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Positive numbers from 1/16 to 2."""
    return bits.unit(n) * 2.0 + 0.0625 * (bits.unit(n) + 1.0)


def _shares(bits: Bits, n: int, form: Format) -> np.ndarray:
    """Positive numbers of which make_array makes rows that sum to 1."""
    return (1 + bits.below(4096, n)).astype(np.float64)


def _mask(bits: Bits, n: int, form: Format, share: float = 0.75) -> np.ndarray:
    """Booleans, that share of them true."""
    return bits.unit(n) < share


def _lengths(bits: Bits, n: int, form: Format, low: int = 1, high: int = 1) -> np.ndarray:
    """Whole numbers in [low, high]."""
    return low + bits.below(high - low + 1, n)


def _offsets(bits: Bits, n: int, form: Format, total: int = 1, closed: bool = False) -> np.ndarray:
    """Where n consecutive pieces of ``total`` things begin: 0 first, none before the one before it.

    closed: the last number is where the last of n - 1 pieces ends, ``total``.
    """
    starts = np.sort(bits.below(total + 1, n))
    starts[:1] = 0
    if closed:
        starts[-1:] = total
    return starts


def _distinct(bits: Bits, n: int, form: Format, below: int = 1, row: int = 1) -> np.ndarray:
    """Class indices, those of each ``row`` of consecutive ones distinct, in [0, below)."""
    rows = bits.raw(n // max(row, 1) * below).reshape(-1, below).argsort(axis=1, kind="stable")
    return rows[:, :row].ravel()


def _indices(bits: Bits, n: int, form: Format, below: int = 1, ignore: int | None = None) -> np.ndarray:
    """Class indices in [0, below); with ``ignore``, a quarter of them are that index."""
    indices = bits.below(max(below, 1), n)
    return indices if ignore is None else np.where(bits.below(4, n) == 0, ignore, indices)


def _signs(bits: Bits, n: int, form: Format) -> np.ndarray:
    """1 and -1."""
    return bits.pick([1.0, -1.0], n)


KINDS: dict[str, Callable[..., np.ndarray]] = {
    make.__name__[1:]: make
    for make in (
        _ordinary, _integers, _ties, _wide, _subnormal, _near, _close, _special, _rare, _huge, _large, _edges,
        _faint, _repeated, _every, _sweep, _unit, _inner, _positive, _shares, _indices, _mask, _lengths,
        _offsets, _distinct, _signs, _roots,
    )
}  # fmt: skip
LOG_2 = 0.6931471805599453
INTEGER_KINDS = ("indices", "lengths", "offsets", "distinct")
BOOLEAN_KINDS = ("mask",)
COTANGENTS = ("ordinary", "ones", "zeros", "twos", "integers", "wide", "subnormal", "roots", "repeated")


KEPT_ELEMENTS, KEPT_ARRAYS = 1 << 12, 64
_kept: Recent[np.ndarray] = Recent(KEPT_ARRAYS)
"""The last small arrays that were made: every mode of a case asks for them, and both sides do."""


def make_array(spec: ArraySpec, form: Format, *words: object) -> np.ndarray:
    """The array of a spec: float64 holding numbers of ``form``, int64 or bool for a kind of these. Words seed it.

    Not writeable. Options for every kind of floats: ``axis``, along which they are divided by their sum, and ``times``,
    a factor.
    """
    if math.prod(spec.shape) > KEPT_ELEMENTS:
        return _made(spec, form, words)
    return _kept.get((str(spec), form.name, *map(str, words)), lambda: _made(spec, form, words))


def _made(spec: ArraySpec, form: Format, words: tuple[object, ...]) -> np.ndarray:
    array = _values(spec, form, words)
    array.flags.writeable = False
    return array


def _values(spec: ArraySpec, form: Format, words: tuple[object, ...]) -> np.ndarray:
    n = math.prod(spec.shape)
    options = dict(spec.options)
    axis, times = options.pop("axis", None), options.pop("times", None)
    try:
        values = KINDS[spec.kind](Bits(*words), n, form, **options).reshape(spec.shape)
    except TypeError:
        raise UsageError(f"array {spec}: kind {spec.kind!r} has no option {choices(options)}.") from None
    if spec.kind in INTEGER_KINDS:
        return values.astype(np.int64)
    if spec.kind in BOOLEAN_KINDS:
        return values
    if times is not None:
        values = values * times
    if axis is not None:
        values = values / values.sum(axis=axis, keepdims=True)
    return form.round(values)


def arguments_of(case: Case) -> dict[str, Any]:
    """The arguments of a case by name: its arrays made, its hyperparameters as they are."""
    form = format_named(case.dtype)
    return {
        name: data_for(case.layout, make_array(value, form, case.seed, name)) if isinstance(value, ArraySpec) else value
        for name, value in case.arguments
    }


def cotangent_of(case: Case, shape: tuple[int, ...], dtype: str | None = None, output: str = "value") -> np.ndarray:
    """The cotangent of an output, of the given shape, in ``dtype`` (the case's by default); not writeable."""
    kind, layout = cotangent_words(case.cotangent)
    return _cotangent(kind, layout, shape, dtype or case.dtype, case.seed, output)


def cotangent_words(cotangent: str) -> tuple[str, str]:
    """Kind of values and layout of a cotangent: ``ones:expanded``, or the kind alone for a contiguous one.

    Raises UsageError for a word that is not known.
    """
    kind, _, layout = cotangent.partition(":")
    if kind not in COTANGENTS:
        raise UsageError(f"cotangent {cotangent!r} is not known; expected {choices(COTANGENTS)}, and maybe :LAYOUT.")
    check_layout(layout or CONTIGUOUS)
    return kind, layout or CONTIGUOUS


def cotangents_of(case: Case) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    """From the name and shape of an output to its cotangent, in the case's dtype."""
    return lambda output, shape: cotangent_of(case, shape, None, output)


def direction_of(case: Case, argument: str, shape: tuple[int, ...]) -> np.ndarray:
    """The direction in which an argument moves in forward mode and second order: ordinary numbers of its dtype."""
    return make_array(ArraySpec("ordinary", shape), format_named(case.dtype), case.seed, "direction", argument)


def batch_of(case: Case) -> tuple[Case, ...]:
    """The cases that a batched mode judges at once: this one, and the same recipe from two other seeds."""
    return (case, case.on(seed=case.seed + 7919), case.on(seed=case.seed + 104729))


@lru_cache(maxsize=4)  # the subject and each grade of the reference ask for the same ones
def _cotangent(kind: str, layout: str, shape: tuple[int, ...], dtype: str, seed: int, output: str) -> np.ndarray:
    form = format_named(dtype)
    words = ("cotangent",) if output == "value" else ("cotangent", output)
    plain = {"ones": 1.0, "zeros": 0.0, "twos": 2.0}
    array = np.full(shape, plain[kind]) if kind in plain else make_array(ArraySpec(kind, shape), form, seed, *words)
    array = data_for(layout, array)
    array.flags.writeable = False
    return array
