"""Averages with one fault each, standing in for PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import swa_utils

Subject = Callable[..., Any]


def ema_swapped(arguments: dict[str, Any]) -> Subject:
    """decay and 1 - decay swapped."""
    decay = arguments.get("decay", 0.999)
    return lambda average, current, n: (1 - decay) * average + decay * current


def swa_of_n(arguments: dict[str, Any]) -> Subject:
    """Divides by n, not by n + 1."""
    return lambda average, current, n: average + (current - average) / n


def bn_of_momentum(loader: Any, model: Any) -> None:
    """Leaves the layer's own momentum in place, so that late batches count more."""
    model.reset_running_stats()
    model.train()
    for batch in loader:
        model(batch)
    model.eval()


def bn_left_changed(loader: Any, model: Any) -> None:
    """Does not put the momentum back."""
    swa_utils.update_bn(loader, model)
    model.momentum = None


AVERAGES: dict[str, tuple[Subject, str, str]] = {
    "a swapped decay": (
        ema_swapped,
        'AveragedModel(params=ordinary(2, 3), average="ema", decay=0.9) seed=0 dtype=float32 mode=single',
        "params",
    ),
    "a mean of one too few": (
        swa_of_n,
        'AveragedModel(params=ordinary(2, 3), average="swa") seed=0 dtype=float16 mode=single',
        "params",
    ),
    "statistics by momentum": (bn_of_momentum, "update_bn(x=ordinary(2, 4, 3)) seed=0 dtype=float32", "running_mean"),
    "a momentum that is not put back": (bn_left_changed, "update_bn(x=ordinary(2, 4, 3)) seed=0 dtype=float32", "rest"),
}
