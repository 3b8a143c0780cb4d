"""Losses that take more than tensors and numbers: a distance function, a number in place of a tensor."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.subject.adapters import adapter

__all__: list[str] = []

DISTANCES: dict[str | None, Callable[..., torch.Tensor] | None] = {
    None: None,
    "cosine": lambda a, b: 1.0 - F.cosine_similarity(a, b, dim=-1),
    "manhattan": lambda a, b: (a - b).abs().sum(-1),
}


@adapter("nn.functional.triplet_margin_with_distance_loss")
def triplet_margin_with_distance_loss(
    x: torch.Tensor, *, distance_function: str | None = None, **words: Any
) -> torch.Tensor:
    return F.triplet_margin_with_distance_loss(x, distance_function=DISTANCES[distance_function], **words)


VAR_MAY_BE_A_NUMBER = "float" in str(inspect.signature(F.gaussian_nll_loss).parameters["var"].annotation)


@adapter("nn.functional.gaussian_nll_loss")
def gaussian_nll_loss(x: torch.Tensor, *, var: Any, **words: Any) -> torch.Tensor:
    if isinstance(var, float) and not VAR_MAY_BE_A_NUMBER:  # before torch 2.8
        var = torch.full_like(x, var)
    return F.gaussian_nll_loss(x, var=var, **words)
