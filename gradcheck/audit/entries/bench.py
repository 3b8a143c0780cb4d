"""What the audit has to know of a kind of entries: how PyTorch is observed, judged, and compared exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import balls
from gradcheck.audit.tamper import TAMPERS, Tamper
from gradcheck.cases.case import Case
from gradcheck.formats import Format
from gradcheck.verdict.verdict import Verdict

__all__ = ["Bench", "Lift", "Numbers", "Place", "SpecialTamper", "Values", "as_balls", "float64"]

Place = Hashable
"""Where in a case something is computed from what PyTorch had: a step and a parameter, a call; one for all else."""

Values = Mapping[Place, Mapping[str, Any]]
"""Outputs by place and name, in float64 or among Arb balls."""

Lift = Callable[[Any], Any]
"""Into the arithmetic that is asked for: :func:`float64` or ``balls``."""


def float64(x: Any) -> Any:
    """A number or array as NumPy has it."""
    return np.float64(x) if isinstance(x, float) else np.asarray(x, dtype=np.float64)


def as_balls(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Outputs as object arrays of Arb balls."""
    return {name: balls(output).array for name, output in outputs.items()}


@dataclass(frozen=True)
class Numbers:
    """One output of an observed case: its numbers, their format, and what they were before (stale ones)."""

    array: np.ndarray
    form: Format
    before: np.ndarray


@dataclass(frozen=True)
class SpecialTamper:
    """A fault of a kind's own: its name, the output that it is looked for in, and what it makes of an observation.

    change: ``change(case, seen) -> seen``, None where it cannot strike.
    """

    name: str
    output: str
    change: Callable[[Case, Any], Any]


class Bench:
    """One kind of entries. A subclass says how; ``seen`` is what its ``observe`` returns, with an ``outcome``.

    fields: of the entry, that hold formulas; without: modules whose functions are no part of a formula.
    """

    fields: ClassVar[tuple[str, ...]] = ("function",)
    without: ClassVar[tuple[str, ...]] = ("gradcheck.reference.registry",)
    layouts: ClassVar[bool] = False
    special: ClassVar[tuple[SpecialTamper, ...]] = ()

    def observe(self, entry: Any, case: Case) -> Any:
        """What PyTorch does on the case."""
        raise NotImplementedError

    def judge(self, entry: Any, case: Case, seen: Any, places: Collection[Place] | None = None) -> list[Verdict]:
        """Verdicts on what was seen; on those places alone, if any are given."""
        raise NotImplementedError

    def values(
        self, entry: Any, case: Case, seen: Any, lift: Lift, places: Collection[Place] | None = None
    ) -> dict[Place, dict[str, Any]]:
        """What the entry computes from what PyTorch had, in float64 or (``lift`` being ``balls``) exactly."""
        raise NotImplementedError

    def rounding(self, entry: Any, case: Case, seen: Any, place: Place) -> Mapping[str, np.ndarray]:
        """Bounds on the rounding errors of ``values`` in float64, by output; of what is left out nothing is known."""
        return {}

    def telling(self, case: Case, seen: Any) -> Collection[Place]:
        """Places at which formulas with equal values in float64 are compared exactly as well."""
        return ("",)

    def special_at(self, case: Case, seen: Any, place: Place) -> bool:
        """Whether infinities or NaN go in at a place."""
        return False

    def contradiction(self, entry: Any, case: Case) -> str:
        """What the certificate of the entry would complain of; empty where nothing is wrong."""
        return ""

    def elsewhere(self, entry: Any, case: Case, seen: Any) -> list[tuple[Place, Any]]:
        """Places, and what was seen as if in an implementation that does not run on this device."""
        return []

    def numbers(self, case: Case, seen: Any) -> dict[str, Numbers]:
        """Outputs that tampers change."""
        raise NotImplementedError

    def tampered_at(self, case: Case, seen: Any) -> Collection[Place] | None:
        """Places at which tampers change them, None where that may be everywhere."""
        return None

    def replaced(self, case: Case, seen: Any, output: str, array: np.ndarray) -> Any:
        """What was seen, with one output tampered with."""
        raise NotImplementedError

    def tampers(self, dtype: str) -> list[Tamper]:
        """The operations' catalogue, as far as a kind has what a fault depends on."""
        return [
            tamper
            for tamper in TAMPERS
            if dtype in tamper.dtypes and (self.layouts or not tamper.name.startswith("only "))
        ]
