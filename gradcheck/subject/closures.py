"""Run LBFGS of PyTorch on a problem, and keep parameter and state before and after every call of ``step``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.optim.lbfgs import LBFGSState
from gradcheck.subject.optimizers import Factory
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


LOSSES = {"quadratic": _quadratic, "rosenbrock": _rosenbrock, "logistic": _logistic}
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
    array = arguments_of(case)["param0"]
    param = torch.tensor(array, dtype=getattr(torch, case.dtype), device=case.device, requires_grad=True)

    def closure() -> torch.Tensor:
        param.grad = None
        loss = LOSSES[problem](param)
        torch.autograd.backward(loss)
        return loss

    try:
        optimizer = (subject or torch.optim.LBFGS)([param], **options)
        found = Calls("ran", moments=[_moment(optimizer, param)])
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        for call in range(calls):
            optimizer.step(closure)
            found.moments.append(_moment(optimizer, param))
            if [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups] != groups:
                found.changed.append(f"call {call}: the step changed the options of its group")
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        return Calls("raises", f"{type(error).__name__}: {error}")
    return found


def _moment(optimizer: Any, param: torch.Tensor) -> tuple[np.ndarray, LBFGSState]:
    state = optimizer.state.get(param, {})
    vectors = {name: _plain(state.get(name)) for name in ("d", "t", "prev_flat_grad", "prev_loss")}
    lists = {name: tuple(_plain(part) for part in state.get(name) or ()) for name in ("old_dirs", "old_stps", "ro")}
    kept = LBFGSState(
        state.get("n_iter", 0), state.get("func_evals", 0), h_diag=_plain(state.get("H_diag")), **vectors, **lists
    )
    return to_array(param).copy(), kept


def _plain(value: Any) -> Any:
    """Tensors and numbers as float64 arrays."""
    if value is None:
        return None
    if isinstance(value, torch.Tensor):
        return to_array(value).copy()
    return np.asarray(value, dtype=np.float64)
