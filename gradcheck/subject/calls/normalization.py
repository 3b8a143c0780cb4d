"""Normalisations that write into their running statistics: into copies here, and these are outputs as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.subject.adapters import adapter

__all__: list[str] = []


def _with_statistics(normalise: Callable[..., torch.Tensor], x: torch.Tensor, words: dict[str, Any]) -> Any:
    """The value, and the running statistics as they are after the call, where there are any."""
    names = ("running_mean", "running_var")
    statistics = {name: words[name].clone() for name in names if words.get(name) is not None}
    absent = dict.fromkeys(names)
    return {"value": normalise(x, **{**words, **absent, **statistics}), **statistics}


@adapter("nn.functional.batch_norm")
def batch_norm(x: torch.Tensor, **words: Any) -> Any:
    return _with_statistics(F.batch_norm, x, words)


@adapter("nn.functional.instance_norm")
def instance_norm(x: torch.Tensor, **words: Any) -> Any:
    return _with_statistics(F.instance_norm, x, words)
