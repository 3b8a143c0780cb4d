"""What the reference says about a case in each mode: the oracle that the mode names, in running error arithmetic."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of, batch_of, cotangent_of, direction_of
from gradcheck.cases.modes import oracle_of
from gradcheck.recent import Recent
from gradcheck.reference.batches import bounded_columns, bounded_jacobians, rows_of
from gradcheck.reference.derivatives import bounded_hvps, bounded_second_tangents, bounded_tangents
from gradcheck.reference.evaluate import Cotangent, bounded_outputs
from gradcheck.reference.registry import Reference, reference_named
from gradcheck.subject.run import Observed

__all__ = ["forget_evaluations", "oracle_outputs"]

Oracle = Callable[[Reference, Case, dict[str, Any], Observed, RoundingModel], dict[str, Bounded]]


def oracle_outputs(
    operation: Reference, case: Case, arguments: dict[str, Any], observed: Observed, model: RoundingModel
) -> dict[str, Bounded]:
    """The outputs that the case's mode has, with their bounds.

    arguments: of the case, with what PyTorch drew itself in its place. Modes of one oracle that judge the same case
    one after the other share its evaluation.
    """
    operation = _routed(operation, case.mode)
    shared = SHARED.get(oracle_of(case.mode), oracle_of(case.mode))
    drawn = tuple((name, observed.drawn[name].tobytes()) for name in sorted(observed.drawn))
    dtypes = tuple((name, dtype) for name, dtype in sorted(observed.dtypes.items()) if not DERIVED.match(name))
    place = (shared, case.call, case.dtype, case.seed, case.layout, case.cotangent, case.setting, dtypes, drawn, model)
    outputs, _ = _kept.get(
        (id(operation), place), lambda: (_ORACLES[shared](operation, case, arguments, observed, model), operation)
    )
    return _asked_for(case.mode, outputs)


def _routed(operation: Reference, mode: str) -> Reference:
    """The operation with the formula of PyTorch's route in a mode; a formula that stands in for its own stays."""
    route = operation.routes.get(mode) or operation.routes.get(oracle_of(mode))
    if route is None or operation.function is not reference_named(operation.name).function:
        return operation
    return _with_route(operation.name, route)


@cache
def _with_route(name: str, route: Callable[..., Any]) -> Reference:
    return replace(reference_named(name), function=route)


def _asked_for(mode: str, outputs: dict[str, Bounded]) -> dict[str, Bounded]:
    """What a mode has of the outputs of its oracle."""
    if oracle_of(mode) == "value":
        return {name: output for name, output in outputs.items() if not name.startswith("grad[")}
    return outputs


SHARED = {"value": "vjp"}
"""Oracles that are a part of another one."""

DERIVED = re.compile(r"(grad|hvp|jacobian)\[|tangent")
"""Names of outputs that are derivatives: their dtypes do not change what the reference is asked for."""


KEPT = 4
_kept: Recent[tuple[dict[str, Bounded], Reference]] = Recent(KEPT)
"""The last evaluations, each with the operation that it was made with: no other gets its id."""


def forget_evaluations() -> None:
    """Evaluate anew when the same case is judged next: for timing."""
    _kept.clear()


def _cotangents(case: Case, observed: Observed) -> Cotangent:
    """In the dtype that each output really has: a kernel may have converted it."""

    def cotangent(output: str, shape: tuple[int, ...]) -> np.ndarray:
        return cotangent_of(case, shape, observed.dtypes.get(output), output)

    return cotangent


def _directions(case: Case) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    return lambda name, shape: direction_of(case, name, shape)


def _vjp(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_outputs(o, arguments, _cotangents(case, observed), m)


def _jvp(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_tangents(o, arguments, _directions(case), m)


def _jacobian(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_jacobians(o, arguments, m)


def _columns(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_columns(o, arguments, m)


def _hvp(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    def cotangent(output: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return cotangent_of(case, shape, dtype, output)

    return bounded_hvps(o, arguments, cotangent, _directions(case), m)


def _second_tangent(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
    return bounded_second_tangents(o, arguments, _directions(case), m)


def _rows(forward: bool) -> Oracle:
    def oracle(o: Reference, case: Case, arguments: dict[str, Any], observed: Observed, m: RoundingModel) -> Any:
        # What PyTorch drew, it drew once for all rows.
        made = [(row, arguments_of(row) | observed.drawn) for row in batch_of(case)]
        rows = [(known, _cotangents(row, observed), _directions(row)) for row, known in made]
        return rows_of(o, rows, m, forward)

    return oracle


_ORACLES: dict[str, Oracle] = {
    "vjp": _vjp,
    "jvp": _jvp,
    "jacobian": _jacobian,
    "columns": _columns,
    "vjp of rows": _rows(forward=False),
    "jvp of rows": _rows(forward=True),
    "hvp": _hvp,
    "second tangent": _second_tangent,
}
