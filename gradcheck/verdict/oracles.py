"""What the reference says about a case in each mode: the oracle that the mode names, in running error arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of, batch_of, cotangent_of, direction_of
from gradcheck.cases.modes import oracle_of
from gradcheck.reference.derivatives import (
    bounded_hvps,
    bounded_jacobians,
    bounded_second_tangents,
    bounded_tangents,
    rows_of,
)
from gradcheck.reference.evaluate import Cotangent, bounded_outputs
from gradcheck.reference.registry import Reference
from gradcheck.subject.run import Observed

__all__ = ["oracle_outputs"]

Oracle = Callable[[Reference, Case, dict[str, Any], Observed, RoundingModel], dict[str, Bounded]]


def oracle_outputs(
    operation: Reference, case: Case, arguments: dict[str, Any], observed: Observed, model: RoundingModel
) -> dict[str, Bounded]:
    """The outputs that the case's mode has, with their bounds.

    arguments: of the case, with what PyTorch drew itself in its place.
    """
    return _ORACLES[oracle_of(case.mode)](operation, case, arguments, observed, model)


def _cotangents(case: Case, observed: Observed) -> Cotangent:
    """In the dtype that each output really has: a kernel may have converted it."""

    def cotangent(output: str, shape: tuple[int, ...]) -> np.ndarray:
        return cotangent_of(case, shape, observed.dtypes.get(output), output)

    return cotangent


def _directions(case: Case) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    return lambda name, shape: direction_of(case, name, shape)


def _vjp(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_outputs(o, arguments, _cotangents(case, observed), m)


def _value(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    outputs = _vjp(o, case, arguments, observed, m)
    return {name: output for name, output in outputs.items() if not name.startswith("grad[")}


def _jvp(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_tangents(o, arguments, _directions(case), m)


def _jacobian(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_jacobians(o, arguments, m, forward=case.mode == "func.jacfwd")


def _hvp(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_hvps(o, arguments, _cotangents(case, observed), _directions(case), m)


def _second_tangent(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_second_tangents(o, arguments, _directions(case), m)


def _rows(forward: bool) -> Oracle:
    def oracle(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
        rows = [(arguments_of(row), _cotangents(row, observed), _directions(row)) for row in batch_of(case)]
        return rows_of(o, rows, m, forward)

    return oracle


_ORACLES: dict[str, Oracle] = {
    "vjp": _vjp,
    "value": _value,
    "jvp": _jvp,
    "jacobian": _jacobian,
    "vjp of rows": _rows(forward=False),
    "jvp of rows": _rows(forward=True),
    "hvp": _hvp,
    "second tangent": _second_tangent,
}
