"""Figures that a walkthrough prints, read as data; and whether each of them is reproduced.

A figure is compared as it is printed: numbers are formatted with as many digits and compared as strings.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["STATUSES", "Figure", "Finding", "Report", "Sides", "item", "like", "recorded", "rounded"]

STATUSES = ("reproduced", "within bound", "not given", "differs")
"""`reproduced`: both sides print the same digits, and lie within the bound. `within bound`: the last digits hang on how
the recorded machine rounds, which the text does not give; printed figure and both sides lie within the bound of that.
`not given`: the figure hangs on something else that the text does not give; the finding says on what."""

FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Figure:
    """One printed figure: in which table, row and column, on which line of the text, and its characters."""

    table: str
    key: str
    column: str
    line: int
    printed: str


@dataclass(frozen=True)
class Finding:
    """What became of a figure: how both sides print it, the worst error over the bound, and the reason in words."""

    figure: Figure
    status: str
    by_hand: str = ""
    pytorch: str = ""
    error_over_bound: float = math.nan
    reason: str = ""


@cache
def recorded(seed: str) -> dict[str, list[dict[str, Figure]]]:
    """The tables of a walkthrough (``000`` to ``004``): rows of figures by column, in the order of the text."""
    content = tomllib.loads((FOLDER / f"seed_{seed}.toml").read_text(encoding="utf-8"))
    return {table["name"]: [_row(table, *row) for row in table["rows"]] for table in content["table"]}


def _row(table: dict[str, Any], at: int, key: str, *printed: str) -> dict[str, Figure]:
    columns = zip(table["columns"], printed, strict=True)
    return {column: Figure(table["name"], key, column, at, characters) for column, characters in columns}


Style = Callable[[float, str], str]


def like(value: float, printed: str) -> str:
    """``value`` with as many decimals as ``printed`` has, in fixed or exponent form as there."""
    mantissa, e, _ = printed.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return f"{value:.{decimals}{'e' if e else 'f'}}"


def rounded(value: float, printed: str) -> str:
    """As ``np.round(value, 4)`` is printed."""
    return str(float(np.round(value, 4)))


def item(value: float, printed: str) -> str:
    """As ``Tensor.item()`` of a float32 is printed: the shortest digits of the same number in float64."""
    return repr(float(np.float32(value)))


@dataclass(frozen=True)
class Sides:
    """A figure's value by hand and from PyTorch (None: the text has no such side), and the truth with its bound."""

    by_hand: float | None
    pytorch: float | None
    truth: Bounded | None = None


@dataclass
class Report:
    """What a scenario found: a finding for each printed figure, claims that hold or not, notes, curves for a plot."""

    seed: str
    title: str
    findings: list[Finding] = field(default_factory=list)
    claims: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)

    def numbers(self, figure: Figure, sides: Sides, style: Style = like, reason: str = "") -> None:
        """Compare a number; ``reason`` says why its last digits may hang on what the text does not give."""
        values = [value for value in (sides.by_hand, sides.pytorch) if value is not None]
        texts = [style(value, figure.printed) for value in values]
        ratio = _worst_ratio(figure.printed, values, sides.truth)
        same = all(text == figure.printed for text in texts)
        inside = not ratio > 1.0
        if same and inside and texts:
            status, reason = "reproduced", ""
        elif inside and sides.truth is not None and reason:
            status = "within bound"
        else:
            status = "differs"
        shown = iter(texts)
        by_hand = next(shown) if sides.by_hand is not None else ""
        self.findings.append(Finding(figure, status, by_hand, next(shown, ""), ratio, reason))

    def words(self, figure: Figure, found: str, reason: str = "", *, follows: bool = False) -> None:
        """Compare characters; where they differ, ``follows`` says that what does follow was checked and holds."""
        status = "reproduced" if found == figure.printed else "not given" if follows and reason else "differs"
        self.findings.append(Finding(figure, status, pytorch=found, reason="" if status == "reproduced" else reason))

    def not_given(self, figure: Figure, reason: str) -> None:
        """List a figure that does not follow from the text."""
        self.findings.append(Finding(figure, "not given", reason=reason))

    def claim(self, words: str, holds: bool) -> None:
        """Something that the scenario checks besides the figures."""
        self.claims.append((words, holds))

    @property
    def passed(self) -> bool:
        """Whether no figure differs and every claim holds."""
        return not self.tally["differs"] and all(holds for _, holds in self.claims)

    @property
    def tally(self) -> Counter[str]:
        """Figures by status."""
        return Counter(finding.status for finding in self.findings)

    @property
    def worst(self) -> float:
        """The worst error over its bound; NaN where nothing has one."""
        return max((f.error_over_bound for f in self.findings if not math.isnan(f.error_over_bound)), default=math.nan)


def _worst_ratio(printed: str, values: list[float], truth: Bounded | None) -> float:
    """The worst |value - truth| over the bound; for what is printed, half a unit of its last digit is added to it."""
    if truth is None:
        return math.nan
    value, bound = float(np.asarray(truth.value).reshape(())), float(truth.full_bound().reshape(()))
    mantissa, _, exponent = printed.partition("e")
    half = 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    pairs = [(abs(float(printed) - value), bound + half), *((abs(v - value), bound) for v in values)]
    return max(0.0 if error == 0.0 else error / allowed if allowed else math.inf for error, allowed in pairs)
