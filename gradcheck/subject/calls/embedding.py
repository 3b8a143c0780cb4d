"""How embeddings are called: with a copy of the table, since ``max_norm`` writes into it, which is returned as well."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.subject.adapters import adapter

__all__: list[str] = []


@adapter("nn.functional.embedding")
def embedding(x: torch.Tensor, *, weight: torch.Tensor, **options: Any) -> dict[str, torch.Tensor]:
    table = weight.clone()
    return {"value": F.embedding(x, table, **options), "weight": table.detach()}


@adapter("nn.functional.embedding_bag")
def embedding_bag(x: torch.Tensor, *, weight: torch.Tensor, **options: Any) -> dict[str, torch.Tensor]:
    table = weight.clone()
    return {"value": F.embedding_bag(x, table, **options), "weight": table.detach()}
