"""How linear_cross_entropy is called: its options are an object of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.subject.adapters import adapter

__all__: list[str] = []


@adapter("nn.functional.linear_cross_entropy")
def linear_cross_entropy(
    x: torch.Tensor, linear_weight: torch.Tensor, target: torch.Tensor, *, options: Any = None, **words: Any
) -> torch.Tensor:
    """PyTorch since 2.13 has it."""
    made = None if options is None else torch.nn.LinearCrossEntropyOptions(**dict(options))
    return F.linear_cross_entropy(x, linear_weight, target, options=made, **words)
