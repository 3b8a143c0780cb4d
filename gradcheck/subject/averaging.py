"""Run ``torch.optim.swa_utils`` on a case: the averages after every row, and what else has changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.optim import swa_utils

from gradcheck.cases.case import Case
from gradcheck.reference.averaging.averaging import Averaging
from gradcheck.subject.settings import under_setting
from gradcheck.subject.tensors import array_and_bits, to_tensor

__all__ = ["Averaged", "run_averaging"]


@dataclass(frozen=True)
class Averaged:
    """The averages by name after every row (exact float64 arrays), and sentences on what must not have changed."""

    outcome: str
    words: str = ""
    after: list[dict[str, np.ndarray]] = field(default_factory=list)
    altered: tuple[str, ...] = ()


@under_setting
def run_averaging(
    entry: Averaging, case: Case, arguments: dict[str, Any], subject: Callable[..., Any] | None = None
) -> Averaged:
    """Average the rows of the case; ``subject`` stands in for PyTorch's own averaging function, or for update_bn."""
    run = _run_model if entry.name.endswith("AveragedModel") else _run_statistics
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            after, altered = run(case, arguments, subject)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        missing = isinstance(error, AttributeError)
        return Averaged("unsupported" if missing else "raises", f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return Averaged("ran", after=after, altered=tuple(altered))


class _Model(torch.nn.Module):
    """A module with one parameter, and a buffer that is twice as large."""

    twice: torch.Tensor

    def __init__(self, row: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(row.clone())
        self.register_buffer("twice", row * 2)

    def take(self, row: torch.Tensor) -> None:
        with torch.no_grad():
            self.weight.copy_(row)
            self.twice.copy_(row * 2)


def _functions(arguments: dict[str, Any], mode: str, subject: Callable[..., Any] | None) -> dict[str, Any]:
    """The averaging function that a case asks for, as AveragedModel takes it."""
    multi = mode == "multi"
    word = "multi_avg_fn" if multi else "avg_fn"
    if subject is not None:
        return {word: subject(arguments)}
    if arguments.get("average", "swa") == "swa":
        return {} if multi else {word: swa_utils.get_swa_avg_fn()}  # type: ignore[no-untyped-call]
    make: Callable[..., Any] = swa_utils.get_ema_multi_avg_fn if multi else swa_utils.get_ema_avg_fn
    return {word: make(arguments.get("decay", 0.999))}


def _run_model(
    case: Case, arguments: dict[str, Any], subject: Callable[..., Any] | None
) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    rows = [to_tensor(row, case.dtype, case.device) for row in arguments["params"]]
    model, buffers = _Model(rows[0]), arguments.get("use_buffers", False)
    averaged = swa_utils.AveragedModel(model, use_buffers=buffers, **_functions(arguments, case.mode, subject))
    after, altered = [], []
    for count, row in enumerate(rows):
        model.take(row)
        averaged.update_parameters(model)
        inner: Any = averaged.module
        after.append({"params": _array(inner.weight)})
        if not _same(model.weight, row) or not _same(model.twice, row * 2):
            altered.append("the model itself has changed")
        if int(averaged.n_averaged) != count + 1:
            altered.append(f"n_averaged is {int(averaged.n_averaged)} after {count + 1} models")
        if not buffers and not _same(inner.twice, row * 2):
            altered.append("a buffer is not the latest")
    return after, altered


def _array(tensor: torch.Tensor) -> np.ndarray:
    """A copy: the tensor goes on to change."""
    return array_and_bits(tensor)[0].copy()


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(torch.equal(a.detach().nan_to_num(), b.nan_to_num()) and torch.equal(a.isnan(), b.isnan()))


def _run_statistics(
    case: Case, arguments: dict[str, Any], subject: Callable[..., Any] | None
) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    """One run over the first batch, over the first two, …: what is to be judged is the state after each."""
    update = subject or swa_utils.update_bn
    batches = [to_tensor(batch, case.dtype, case.device) for batch in arguments["x"]]
    after, altered = [], []
    for count in range(1, len(batches) + 1):
        layer = torch.nn.BatchNorm1d(batches[0].shape[1], momentum=arguments.get("momentum", 0.1)).to(batches[0])
        layer.eval()
        layer(batches[0] + 1)
        update(batches[:count], layer)
        after.append({name: _array(getattr(layer, name)) for name in ("running_mean", "running_var")})
        if layer.momentum != arguments.get("momentum", 0.1):
            altered.append(f"momentum is {layer.momentum}")
        if layer.training:
            altered.append("the model is left in training")
        if not bool((layer.weight == 1.0).all()) or not bool((layer.bias == 0.0).all()):
            altered.append("a parameter has changed")
    return after, altered
