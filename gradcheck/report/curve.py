"""The error of an elementwise operation against its input: one case over the number line, judged element by element.

A curve is an ordinary case, so it has a line that replays it: ``x=sweep(…)`` in float64 and float32, ``x=every(…)``,
all 65,536 numbers, in 16-bit formats; the cotangent is 1, so that the gradient is the derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.cases.case import ArraySpec, Case
from gradcheck.cases.draw import Draw
from gradcheck.cases.inputs import arguments_of
from gradcheck.cases.modes import oracle_of
from gradcheck.errors import UsageError
from gradcheck.formats import Format, format_named
from gradcheck.reference.registry import Reference
from gradcheck.subject.run import Operation, run_case
from gradcheck.verdict.compare import error_ratios
from gradcheck.verdict.judge import bounds_of

__all__ = ["CURVE_MODES", "POINTS", "Curve", "curve_case", "curves_of", "has_curve"]

POINTS = 1 << 16
CURVE_MODES = ("vjp", "value")
"""Oracles of the modes whose outputs depend on the input alone, and on no direction."""


@dataclass(frozen=True)
class Curve:
    """The errors of one output of one case, element by element, in ascending order of the inputs (all finite).

    got, should_be: PyTorch's result and the reference's; ulp: the error in units in the last place of the dtype; ratio:
    the error over the bound of `agrees` (inf where no error is allowed); beyond: the worst ratio at inputs that are
    infinite or NaN, where the case has them.
    """

    case: Case
    output: str
    x: np.ndarray
    got: np.ndarray
    should_be: np.ndarray
    ulp: np.ndarray
    ratio: np.ndarray
    beyond: float | None = None

    @property
    def form(self) -> Format:
        return format_named(self.case.dtype)

    @property
    def exceeding(self) -> int:
        """How many elements exceed the bound."""
        return int((self.ratio > 1.0).sum())

    @property
    def worst(self) -> int:
        """The place of the worst element: by error/bound, and among equals by ulp."""
        return int(np.lexsort((self.ulp, self.ratio))[-1])


def has_curve(entry: Any) -> bool:
    """Whether an output element of the entry depends on one number alone, so that there is a curve."""
    return isinstance(entry, Reference) and entry.elementwise


class _NearDraw(Draw):
    """Draws the simplest case, remembers where the first array has kinks, and takes what is given for the rest."""

    def __init__(self) -> None:
        self.at: tuple[float, ...] = ()

    def array(self, shape: tuple[int, ...], kinds: Sequence[str] = (), near: Sequence[float] = (0.0,)) -> ArraySpec:
        self.at = self.at or tuple(float(p) for p in near or ())
        return ArraySpec("ordinary", shape)


def curve_case(
    operation: Reference,
    dtype: str,
    given: Mapping[str, Any] | None = None,
    *,
    window: tuple[float, float] | None = None,
    points: int = POINTS,
    **axes: Any,
) -> Case:
    """The case of a curve: the simplest hyperparameters but for those ``given``, and a sweep of the inputs.

    window: ends of the inputs, which then lie at equal distances. Raises UsageError for a hyperparameter that the
    operation does not have, and where an output element depends on more than one number.
    """
    if not operation.elementwise:
        raise UsageError(f"{operation.name} has no error curve: an output element depends on more than one number.")
    given = dict(given or {})
    for name in given:
        if name not in operation.hyperparameters:
            known = ", ".join(operation.hyperparameters) or "none"
            raise UsageError(f"{operation.name} has no hyperparameter {name!r}; expected {known}.")
    draw = _NearDraw()
    drawn = operation.inputs(draw) | given
    first, *beside = operation.arrays
    arguments = {name: value for name, value in drawn.items() if name not in (first, *beside)}
    x = _inputs(format_named(dtype), _kinks(operation, draw.at, arguments), window, points)
    rest = tuple((name, None) for name in beside if name in drawn)
    return Case(operation.name, ((first, x), *rest, *arguments.items()), 0, dtype, cotangent="ones", **axes)


def _kinks(operation: Reference, at: tuple[float, ...], arguments: Mapping[str, Any]) -> tuple[float, ...]:
    """Where the operation has kinks: those of its simplest case, and the hyperparameters that are thresholds."""
    numbers = [float(value) for value in arguments.values() if isinstance(value, (int, float))]
    return tuple(dict.fromkeys((*at, *numbers, *(-n for n in numbers))))


def _inputs(form: Format, at: tuple[float, ...], window: tuple[float, float] | None, points: int) -> ArraySpec:
    if form.bits == 16 and window is None:
        return ArraySpec("every", (1 << 16,))
    options: tuple[tuple[str, Any], ...] = (("at", at),) if at else ()
    if window is not None:
        options += (("low", window[0]), ("high", window[1]))
    return ArraySpec("sweep", (points,), options)


def curves_of(operation: Reference, case: Case, subject: Operation | None = None) -> list[Curve]:
    """The curves of the outputs of a case that :func:`curve_case` made; ``subject`` stands in for PyTorch's function.

    Raises UsageError where PyTorch does not run the case, and in modes whose outputs hang on a direction as well.
    """
    if oracle_of(case.mode) not in CURVE_MODES:
        raise UsageError(f"mode {case.mode!r} has no error curve: its outputs depend on a direction as well.")
    arguments = arguments_of(case)
    observed = run_case(operation, case, arguments, subject)
    if observed.outcome != "ran":
        raise UsageError(
            f"{case.operation} in {case.dtype} on {case.device}: PyTorch {observed.outcome}: {observed.words}"
        )
    bounds = bounds_of(operation, case, arguments, observed)["agrees"]
    x = arguments[operation.arrays[0]]
    return [
        _curve(case, name, x, observed.outputs[name], bounds[name])
        for name in bounds
        if name in observed.outputs and observed.outputs[name].shape == x.shape == bounds[name].shape
    ]


def _curve(case: Case, output: str, x: np.ndarray, got: np.ndarray, reference: Any) -> Curve:
    ratio = error_ratios(got, reference)
    should_be = np.asarray(reference.value, dtype=np.float64)
    ordinary = np.isfinite(x)
    order = np.flatnonzero(ordinary)[np.argsort(x[ordinary], kind="stable")]
    beyond = float(ratio[~ordinary].max()) if not ordinary.all() else None
    ulp = _ulps(format_named(case.dtype), got, should_be)
    return Curve(case, output, x[order], got[order], should_be[order], ulp[order], ratio[order], beyond)


def _ulps(form: Format, got: np.ndarray, should_be: np.ndarray) -> np.ndarray:
    """Errors in ulps of the format: 0 where both sides are the same special number, inf where one alone is."""
    with np.errstate(all="ignore"):
        error = np.abs(got - should_be)
        finite = np.isfinite(got) & np.isfinite(should_be)
        ulp = np.where(finite, error / form.ulp(np.where(finite, should_be, 1.0)), np.inf)
    same = (got == should_be) | (np.isnan(got) & np.isnan(should_be))
    return np.where(same, 0.0, ulp)
