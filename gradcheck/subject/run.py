"""Run PyTorch on a case: prepare tensors, call the operation in the case's mode, return named outputs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import cotangent_of
from gradcheck.cases.modes import oracle_of
from gradcheck.reference.registry import Reference
from gradcheck.subject.adapters import Operation, operation_named
from gradcheck.subject.devices import synchronize
from gradcheck.subject.modes import Call
from gradcheck.subject.observed import RAISED, Observed
from gradcheck.subject.prepare import Prepared, modes
from gradcheck.subject.settings import applied, unavailable
from gradcheck.subject.tensors import dtype_name, elements_of, to_tensor

__all__ = ["Observed", "Operation", "run_case", "run_rows"]

_NO_KERNEL = re.compile(
    r"not implemented|does not support it|(does not|doesn't) currently support|framework doesn't support|"
    r"not supported|NotImplemented|no (available )?kernel|no viable backend|not have a deterministic implementation|"
    r"Could not run|vmap: (It looks like|called random|we do not yet)|must implement the jvp|"
    r"must override the setup_context",
    re.IGNORECASE,
)


def run_case(operation: Reference, case: Case, arguments: dict[str, Any], subject: Operation | None = None) -> Observed:
    """Run the case; ``subject`` stands in for PyTorch's own operation (planted faults do that).

    Warnings of PyTorch about what was asked for are not errors here; exceptions become an outcome.
    """
    return _observed(operation, case, arguments, subject, lambda call: call)


def _first_line(message: str) -> str:
    """The first line of a message; with the next one where it only announces that (``backend='inductor' raised:``)."""
    lines = message.strip().splitlines()
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])


def run_rows(
    operation: Reference,
    case: Case,
    arguments: dict[str, Any],
    cut: tuple[str, ...],
    rows: tuple[int, int],
    subject: Operation | None = None,
) -> Observed:
    """Run some rows of the case alone: of the arrays in ``cut``, and of the cotangent of the whole."""
    start, stop = rows
    length = len(arguments[cut[0]])
    some = {name: value[start:stop] if name in cut else value for name, value in arguments.items()}

    def cotangent(output: str, value: torch.Tensor) -> torch.Tensor:
        name = dtype_name(value)
        whole = cotangent_of(case, (length, *value.shape[1:]), name, output)
        return to_tensor(whole[start:stop], name, case.device)

    return _observed(operation, case, some, subject, lambda call: replace(call, cotangent=cotangent))


def _observed(
    operation: Reference,
    case: Case,
    arguments: dict[str, Any],
    subject: Operation | None,
    altered: Callable[[Call], Call],
) -> Observed:
    oracle_of(case.mode)
    if reason := unavailable(case.setting):
        return Observed("unsupported", reason)
    call = subject or operation_named(operation.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prepared = Prepared(operation, case, arguments, call)
            with applied(case.setting), prepared.untouched():
                outputs = modes()[case.mode](altered(prepared.call()))
            synchronize(case.device)  # an error of a kernel surfaces here, not while results are read
    except RAISED as error:
        words_of_torch = _first_line(str(error)) or type(error).__name__
        refused = isinstance(error, NotImplementedError) or _NO_KERNEL.search(str(error))
        outcome = "unsupported" if refused else "raises"
        return Observed(outcome, f"{type(error).__name__}: {words_of_torch}")
    return Observed(
        "ran",
        elements={name: elements_of(tensor) for name, tensor in outputs.items()},
        dtypes={name: dtype_name(tensor) for name, tensor in outputs.items()},
        drawn=prepared.drawn,
        notes=tuple(prepared.notes),
        wrong=tuple(prepared.wrong),
    )
