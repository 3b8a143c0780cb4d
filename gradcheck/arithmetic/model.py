"""How the subject rounds: the constants that the running error arithmetic works with, for one dtype and device.

Sources. N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, §2.2 (the model
fl(a op b) = (a op b)(1 + δ) + η), §3.1 (γ_n) and §3.3 (running error analysis). N. J. Higham & T. Mary, "A New Approach
to Probabilistic Rounding Error Analysis", SIAM J. Sci. Comput. 41(5), 2019; M. P. Connolly, N. J. Higham & T. Mary,
"Stochastic Rounding and Its Probabilistic Backward Error Analysis", SIAM J. Sci. Comput. 43(1), 2021, for the form in
which the roundings need only be mean independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic.accuracy import ACCURACY, largest_error, reciprocal_root
from gradcheck.arithmetic.carrier import HAS_WIDE, OWN_ROUNDOFF, WIDE, WIDE_ROUNDOFF
from gradcheck.arithmetic.products import PLAIN, Products
from gradcheck.formats import FORMATS, Format, format_named

__all__ = ["FAILURE_PROBABILITY", "GRADES", "RoundingModel", "rounding_model"]

FAILURE_PROBABILITY = 1e-3
"""Stated probability that one sum, added up one by one in the worst order with every rounding as large as it can be,
leaves its bound. What is met in practice is far smaller: roundings are not all of the largest size, partial sums grow
gradually, and kernels add in blocks."""

LAMBDA = math.sqrt(2.0 * math.log(2.0 / FAILURE_PROBABILITY))
"""The λ for which 2·exp(-λ²/2), the failure probability of the cited theorems for one sum, is the one stated."""

UPWARD = 1.0 + 2.0**-14
"""Every rounding that enters a bound is rounded up by this much. It pays for what later operations leave out: their
rounding acts on the subject's value, which is off by the bound, u·(|value| + bound). That is one part in 2^24 of the
bound in float32, so this covers 1,000 operations in a row; and it covers the roundings of the bound itself. In 16-bit
arithmetic the term is added in each operation (``finish``)."""

GRADES = ("agrees", "coarse")
"""`agrees`: computes in the working format and rounds once per stored tensor; `coarse`: rounds every operation to the
storage format."""


class Constants(NamedTuple):
    """Constants that arrays meet, as arrays without dimensions: NumPy takes half as long with them as with floats.

    unit, eta: as of RoundingModel; upward: as above; half_ulp: of one, in the working format; own: the carrier's
    roundoff.
    """

    unit: np.ndarray
    eta: np.ndarray
    upward: np.ndarray
    half_ulp: np.ndarray
    own: np.ndarray


@dataclass(frozen=True, eq=False)
class RoundingModel:
    """Roundoffs and limits of one way to compute.

    work: the format that arithmetic is done in; store: the format of tensors in memory; library: the format that
    elementary functions are computed in; blocks: in how many blocks of rows the evaluation is done, which sums over
    the batch have to know; rows: how many arrays go through the formula together (``batched``), each of which is looked
    at as closely as if it were alone; flushed: whether subnormal numbers are flushed to zero, operands as well as
    results; narrows: whether operands are numbers of a wider format, and rounded to the storage format first; wide:
    whether values for a float64 are carried in a wider float (see ``carrier``), so that the bound holds the subject's
    rounding alone; products: how matrices are multiplied; factors and accumulator: what that means here, the relative
    error that factors are rounded with first (0: none) and the format that partial sums may be kept in (None: the
    working one).
    """

    work: Format
    store: Format
    library: Format
    device: str = "cpu"
    grade: str = "agrees"
    blocks: int = 1
    rows: int = 1
    flushed: bool = False
    narrows: bool = False
    wide: bool = False
    products: Products = PLAIN
    factors: float = field(init=False)
    accumulator: Format | None = field(init=False)
    rounds_on_store: bool = field(init=False)
    carries_wide: bool = field(init=False)
    carrier: type[np.floating[Any]] = field(init=False)
    own: float = field(init=False)
    unit: float = field(init=False)
    eta: float = field(init=False)
    least: float = field(init=False)
    largest: float = field(init=False)
    alarm: float = field(init=False)
    safe: float = field(init=False)
    peak_to_top: float = field(init=False)
    low_precision: bool = field(init=False)
    has_room: bool = field(init=False)
    reciprocal_root: float = field(init=False)
    constants: Constants = field(init=False)
    flat: np.ndarray = field(init=False, repr=False)
    _numbers: dict[float | str, Any] = field(init=False, default_factory=dict, repr=False)
    _factors: dict[int, float] = field(init=False, default_factory=dict, repr=False)
    _together: dict[int, RoundingModel] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        widened = self.wide and HAS_WIDE and self.work.name == "float64"
        set_(self, "carries_wide", widened)
        set_(self, "carrier", WIDE if widened else np.float64)
        # The reference's own rounding is part of every bound.
        set_(self, "own", WIDE_ROUNDOFF if widened else OWN_ROUNDOFF)
        set_(self, "unit", (self.work.roundoff + self.own) * UPWARD)
        set_(self, "factors", self.products.factors if self.store.name == "float32" else 0.0)
        narrower = self.store.precision < self.work.precision or self.store.largest < self.work.largest
        set_(self, "rounds_on_store", narrower)
        reduces = self.store.name in self.products.reduced and self.rounds_on_store
        set_(self, "accumulator", self.store if reduces else None)
        # Conversions to and from float16 keep its subnormal numbers whatever the processor is told (Intel, Software
        # Developer's Manual, vol. 1, §14.4.1), and no float16 number is subnormal in float32.
        flushed = self.flushed and self.work.name != "float16"
        set_(self, "least", self.work.smallest_normal if flushed else 0.0)
        eta = self.work.smallest_normal if flushed else self.work.smallest_subnormal
        # The bound of a product is three products itself, each of which loses up to η/2 where float64 underflows.
        set_(self, "eta", 4.0 * eta if self.work.name == "float64" else eta)
        set_(self, "largest", self.work.largest)
        set_(self, "low_precision", self.work.bits == 16)
        # Whether u·|a| may be evaluated before it is multiplied by |b|: what it loses by underflow, 2^-1075·|b| at the
        # most, is nothing beside η, unless the working format is float64 itself.
        set_(self, "has_room", self.work.name != "float64")
        # What 1/√x may err beyond a root and a quotient, where it is one function: relative, one ulp being 2u at most.
        ulps = reciprocal_root(self.device)
        set_(self, "reciprocal_root", 0.0 if ulps is None else 2.0 * ulps * self.library.roundoff * UPWARD)
        # A value that may overflow has at least this rounding error, half an ulp: one comparison of the largest bound
        # finds it.
        set_(self, "alarm", self.work.largest * self.work.roundoff * 0.5)
        # Below this, room is left for every rounding of the estimate itself.
        set_(self, "safe", self.work.largest * 0.25)
        # A bound contains one rounding of its value, u/2·|value| or more: |value| + bound is at most (2/u + 1)·bound.
        set_(self, "peak_to_top", (2.0 / self.unit + 1.0) * UPWARD)
        constants = (self.unit, self.eta, UPWARD, self.work.roundoff * UPWARD, self.own * UPWARD)
        set_(self, "constants", Constants(*map(np.array, constants)))
        set_(self, "flat", np.array([*constants, 0.0]))  # as compiled rules take them

    def elementary(self, name: str) -> float:
        """Largest relative error of one call of an elementary function, the reference's own included.

        One ulp is at most 2u of the value. Where arithmetic is done in a narrower format than the library's (`coarse`),
        the result is rounded to it once more.
        """
        ulps, own = largest_error(name, self.device), ACCURACY[name]["wide" if self.carries_wide else "reference"]
        error = 2.0 * (ulps * self.library.roundoff + own * self.own) * UPWARD
        return error + self.work.roundoff if self.library.precision > self.work.precision else error

    def elementary_below_one(self, name: str) -> float:
        """Largest error of a result between 1/2 and 1, where one ulp is u, and so of any smaller one."""
        ulps, own = largest_error(name, self.device), ACCURACY[name]["wide" if self.carries_wide else "reference"]
        error = (ulps * self.library.roundoff + 2.0 * own * self.own) * UPWARD
        return error + self.work.roundoff if self.library.precision > self.work.precision else error

    def sum_factor(self, terms: int) -> float:
        """What Σ|terms| is multiplied by to bound the rounding of a sum of ``terms`` terms (terms - 1 additions).

        The smaller of Higham's γ, which holds in any order, and the probabilistic bound exp(λ√n·u + n·u²/(1-u)) - 1.
        """
        factor = self._factors.get(terms)
        if factor is None:
            factor = self._factors[terms] = self._sum_factor(max(terms - 1, 0))
        return factor

    def _sum_factor(self, additions: int) -> float:
        u = self.unit
        probable = math.expm1(min(LAMBDA * math.sqrt(additions) * u + additions * u * u / (1.0 - u), 700.0))
        return min(probable, _gamma(additions, u))

    def product_factor(self, terms: int) -> float:
        """What Σ|a·b| is multiplied by to bound the rounding of a sum of ``terms`` products, in any order.

        n products and n - 1 additions: γ as for a sum of n + 1. Chopped additions err to one side, by up to 2u each, so
        that only Higham's γ holds for them; a reduction in the storage format adds its own.
        """
        chops = self.products.chopped and (self.factors > 0.0 or self.rounds_on_store)
        factor = _gamma(terms, 2.0 * self.unit) if chops else self.sum_factor(terms + 1)
        if self.accumulator is None:
            return factor
        return ((1.0 + factor) * (1.0 + _gamma(terms, self.accumulator.roundoff)) - 1.0) * UPWARD

    def casting_to(self, dtype: str) -> RoundingModel:
        """The model of the same kind of computation in another dtype."""
        model = _model(dtype, self.device, self.grade, self.flushed, self.narrows, self.wide, self.products)
        return model.in_blocks(self.blocks).together(self.rows)

    def in_blocks(self, blocks: int) -> RoundingModel:
        return self if blocks == self.blocks else replace(self, blocks=blocks)

    def together(self, rows: int) -> RoundingModel:
        """The same where so many arrays go together; the same one for the same number."""
        if rows == self.rows:
            return self
        if rows not in self._together:
            self._together[rows] = replace(self, rows=rows)
        return self._together[rows]


def _gamma(n: int, u: float) -> float:
    """γ_n = n·u/(1 - n·u), inf where that is not defined (Higham 2002, §3.1)."""
    return n * u / (1.0 - n * u) if n * u < 1.0 else math.inf


def rounding_model(
    dtype: str,
    device: str = "cpu",
    grade: str = "agrees",
    *,
    flushed: bool = False,
    narrows: bool = False,
    wide: bool = False,
    products: Products = PLAIN,
) -> RoundingModel:
    """The model for tensors of ``dtype`` on a device type, for one of :data:`GRADES`; the same one for the same words.

    Kernels for float16 and bfloat16 compute in float32 and round once where they store; under `coarse` they may round
    every operation to the storage dtype. In float32 and float64 the two grades are the same. flushed, narrows, wide and
    products: as of RoundingModel.
    """
    return _model(dtype, device.partition(":")[0], grade, flushed, narrows, wide, products)


@cache
def _model(
    dtype: str, device: str, grade: str, flushed: bool, narrows: bool, wide: bool, products: Products
) -> RoundingModel:
    store = format_named(dtype)
    compute = FORMATS["float32"] if store.bits == 16 else store
    work = store if grade == "coarse" else compute
    return RoundingModel(
        work,
        store,
        library=compute,
        device=device,
        grade=grade,
        flushed=flushed,
        narrows=narrows,
        wide=wide,
        products=products,
    )
