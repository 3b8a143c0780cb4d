"""What certifying found: of one case, and of all cases of a reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COLUMNS", "Certificate", "Summary"]


@dataclass(frozen=True)
class Certificate:
    """One case of one reference.

    digits: decimal digits to which the written vjp is proved to be the derivative of its own forward, None where the
    derivative was not looked at (see ``gradcheck.certify.draw``) or the value is NaN; bits: the precision this took;
    truth: worst error of float64 from the Arb enclosure over its own bound, None where no output is finite;
    simulated: worst error of simulated rounding over the bound, by model; failures: sentences.
    """

    operation: str
    case: str
    digits: float | None = None
    bits: int = 0
    truth: float | None = None
    simulated: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


COLUMNS = ("operation", "cases", "derivatives", "digits", "bits", "float64/bound", "simulated/bound", "failures")


@dataclass(frozen=True)
class Summary:
    """All cases of one reference: counts, the least digits, the worst ratios, every failure as a sentence.

    derivatives: in how many cases the vjp was compared with the derivative; truths: in how many cases float64 was
    compared with an Arb enclosure; convention: where PyTorch's gradient is not the derivative, "" if nowhere.
    """

    operation: str
    cases: int
    derivatives: int
    digits: float | None
    bits: int
    truths: int
    truth: float | None
    simulated: Mapping[str, float]
    convention: str
    failures: tuple[str, ...]

    @property
    def certified(self) -> bool:
        """Nothing failed, and every kind of check took place at least once."""
        return not self.failures and self.derivatives > 0 and self.truths > 0 and bool(self.simulated)

    @classmethod
    def of(cls, operation: str, certificates: Iterable[Certificate], convention: str = "") -> Summary:
        every = list(certificates)
        digits = [c.digits for c in every if c.digits is not None]
        truths = [c.truth for c in every if c.truth is not None]
        worst: dict[str, float] = {}
        for certificate in every:
            for model, ratio in certificate.simulated.items():
                worst[model] = max(ratio, worst.get(model, 0.0))
        return cls(
            operation=operation,
            cases=len(every),
            derivatives=len(digits),
            digits=min(digits, default=None),
            bits=max((c.bits for c in every), default=0),
            truths=len(truths),
            truth=max(truths, default=None),
            simulated=worst,
            convention=convention,
            failures=tuple(failure for c in every for failure in c.failures),
        )

    @property
    def whole_digits(self) -> float | None:
        """The digits rounded down; 0 where nothing at all is certain, inf where both sides are the same number."""
        digits = self.digits
        return digits if digits in (None, math.inf) else max(0, math.floor(max(digits, 0.0)))

    def row(self) -> tuple[str, ...]:
        """The cells of a table under :data:`COLUMNS`."""
        return (
            self.operation,
            str(self.cases),
            str(self.derivatives),
            "-" if self.digits is None else f"{_plain(self.whole_digits)}",
            str(self.bits),
            "-" if self.truth is None else f"{self.truth:.2f}",
            f"{max(self.simulated.values()):.2f}" if self.simulated else "-",
            str(len(self.failures)),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values; a ratio that is infinite is the word "inf"."""
        return {
            "operation": self.operation,
            "certified": self.certified,
            "cases": self.cases,
            "derivatives": self.derivatives,
            "digits": _plain(self.whole_digits),
            "bits": self.bits,
            "truths": self.truths,
            "float64_over_bound": _plain(self.truth),
            "simulated_over_bound": {model: _plain(ratio) for model, ratio in self.simulated.items()},
            "convention": self.convention,
            "failures": list(self.failures),
        }


def _plain(ratio: float | None) -> float | str | None:
    return "inf" if ratio == math.inf else ratio
