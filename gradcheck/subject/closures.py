"""Run LBFGS of PyTorch on a problem, and keep parameter and state before and after every call of ``step``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.optim.lbfgs import LBFGSState
from gradcheck.subject.compiling import compiled
from gradcheck.subject.observed import RAISED
from gradcheck.subject.optimizers import Factory, refused, seen
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import to_array

__all__ = ["Calls", "run_calls"]


def _quadratic(x: torch.Tensor) -> torch.Tensor:
    curvature = torch.arange(1, x.numel() + 1, dtype=x.dtype, device=x.device)
    return (0.5 * curvature * x * x - x).sum()


def _rosenbrock(x: torch.Tensor) -> torch.Tensor:
    rise, left = x[1:] - x[:-1] * x[:-1], 1.0 - x[:-1]
    return (100.0 * rise * rise + left * left).sum()


def _logistic(x: torch.Tensor) -> torch.Tensor:
    sign = torch.where(torch.arange(x.numel(), device=x.device) % 2 == 0, 1.0, -1.0).to(x.dtype)
    return (torch.log1p(torch.exp(-sign * x)) + 0.5 * x * x).sum()


def _wavy(x: torch.Tensor) -> torch.Tensor:
    return (0.5 * x * x + torch.sin(4.0 * x)).sum()


LOSSES = {"quadratic": _quadratic, "rosenbrock": _rosenbrock, "logistic": _logistic, "wavy": _wavy}
"""The problems of reference/optim/problems.py; their gradients are autograd's."""


@dataclass(frozen=True)
class Calls:
    """outcome and words: as of Observed; moments: (parameter, state) before the first call and after each."""

    outcome: str
    words: str = ""
    moments: list[tuple[np.ndarray, LBFGSState]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@under_setting
def run_calls(case: Case, options: dict[str, Any], problem: str, calls: int, subject: Factory | None = None) -> Calls:
    """Call ``step`` so many times on the case's problem; ``subject`` stands in for torch.optim.LBFGS."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _called(case, options, LOSSES[problem], calls, subject or torch.optim.LBFGS)
    except RAISED as error:
        return Calls("unsupported" if refused(str(error)) else "raises", f"{type(error).__name__}: {error}")


def _called(case: Case, options: dict[str, Any], problem: Any, calls: int, factory: Factory) -> Calls:
    params = _parameters(case)
    left: list[bytes] = []

    def closure() -> torch.Tensor:
        for param in params:
            param.grad = None
        loss: torch.Tensor = problem(_flat(params))
        torch.autograd.backward(loss)
        left[:] = _bits(params)
        return loss

    optimizer = factory(params, **options)
    take = optimizer.step
    if case.mode.startswith("compile:"):
        take = compiled(optimizer.step, case.mode.partition(":")[2])
    found, groups = Calls("ran", moments=[_moment(optimizer, params)]), _options(optimizer)
    for call in range(calls):
        take(closure)
        found.moments.append(_moment(optimizer, params))
        if _options(optimizer) != groups:
            found.changed.append(f"call {call}: the step changed the options of its group")
        if _bits(params) != left:
            found.changed.append(f"call {call}: the step changed a gradient")
    return found


def _parameters(case: Case) -> list[torch.Tensor]:
    """The vector of the case, of pairs or not, as one parameter or cut in two."""
    array, given = arguments_of(case)["param0"], dict(case.arguments)
    vector = torch.tensor(array, dtype=getattr(torch, case.dtype), device=case.device)
    whole = torch.view_as_complex(vector.reshape(-1, 2)) if given.get("complex") else vector
    parts = [whole] if given.get("parts", 1) == 1 else [whole[:1], whole[1:]]
    return [part.clone().requires_grad_(True) for part in parts]


def _options(optimizer: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]


def _bits(params: list[torch.Tensor]) -> list[bytes]:
    """Of the gradients."""
    return [seen(param.grad).bits for param in params]


def _flat(params: list[torch.Tensor]) -> torch.Tensor:
    """All parameters in one vector of reals."""
    reals = [torch.view_as_real(param) if param.is_complex() else param for param in params]
    return torch.cat([real.reshape(-1) for real in reals])


def _moment(optimizer: Any, params: list[torch.Tensor]) -> tuple[np.ndarray, LBFGSState]:
    """The state is kept under the first parameter, for all."""
    state = optimizer.state.get(params[0], {})
    vectors = {name: _plain(state.get(name)) for name in ("d", "t", "prev_flat_grad", "prev_loss")}
    lists = {name: tuple(_plain(part) for part in state.get(name) or ()) for name in ("old_dirs", "old_stps", "ro")}
    kept = LBFGSState(
        state.get("n_iter", 0), state.get("func_evals", 0), h_diag=_plain(state.get("H_diag")), **vectors, **lists
    )
    return to_array(_flat(params)).copy(), kept


def _plain(value: Any) -> Any:
    """Tensors and numbers as float64 arrays."""
    if value is None:
        return None
    if isinstance(value, torch.Tensor):
        return to_array(value).copy()
    return np.asarray(value, dtype=np.float64)
