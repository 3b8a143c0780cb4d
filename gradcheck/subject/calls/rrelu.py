"""How rrelu is called: in training its slopes are drawn again from the same state of the generator."""

from __future__ import annotations

import torch

from gradcheck.subject.adapters import adapter
from gradcheck.subject.seeding import outside_transforms, plain_of, seeded

__all__ = ["rrelu"]

SEED = 0


@adapter("nn.functional.rrelu")
def rrelu(
    x: torch.Tensor, slopes: torch.Tensor | None = None, training: bool = False, **options: float
) -> torch.Tensor | dict[str, torch.Tensor]:
    """``rrelu``, and in training the slopes: what ``aten::rrelu_with_noise`` writes beside its result."""
    if not training:
        return torch.nn.functional.rrelu(x, training=False, **options)  # type: ignore[arg-type]  # inplace is not among them
    with seeded(SEED, x.device):
        value = _drawn(x, **options)
    lower, upper = options.get("lower", 0.125), options.get("upper", 1.0 / 3.0)
    with seeded(SEED, x.device), outside_transforms(), torch.no_grad():
        inner = plain_of(x)
        noise = torch.empty_like(inner, memory_format=torch.contiguous_format)
        torch.ops.aten.rrelu_with_noise(inner, noise, lower, upper, True)
    return {"value": value, "slopes": noise}


def _drawn(x: torch.Tensor, **options: float) -> torch.Tensor:
    """In a function of its own, which is what ``torch.compile`` compiles: it cannot trace the generators around."""
    return torch.nn.functional.rrelu(x, training=True, **options)  # type: ignore[arg-type]  # inplace is not among them
