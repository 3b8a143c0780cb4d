"""Dropout: PyTorch's own choice of elements, found by drawing it once more for ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from gradcheck.subject.adapters import adapter
from gradcheck.subject.seeding import outside_transforms, plain_of, seeded

__all__: list[str] = []


def _drawing(operation: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """The operation and the mask that it drew. ``plain`` draws in the same way, and zeroes what is dropped.

    The seed follows from the case's own mask, so that cases differ and a case always draws the same.
    """

    def drawn(x: torch.Tensor, **words: Any) -> torch.Tensor:
        """In a function of its own, which is what ``torch.compile`` compiles: it cannot trace the generators around."""
        return operation(x, **words)

    def call(x: torch.Tensor, *, mask: torch.Tensor, p: float, training: bool, **words: Any) -> dict[str, torch.Tensor]:
        with outside_transforms():
            seed = int(plain_of(mask).count_nonzero())
        with seeded(seed, x.device):
            outputs = {"value": drawn(x, p=p, training=training, **words)}
        if training and 0.0 < p < 1.0:
            with seeded(seed, x.device), outside_transforms():
                kept = plain(_ones_like(x), p, True) != 0.0
            for axis, side in enumerate(mask.shape):
                if side == 1:  # one choice for a channel
                    kept = kept.narrow(axis, 0, 1)
            outputs["mask"] = kept
        return outputs

    return call


def _ones_like(x: torch.Tensor) -> torch.Tensor:
    """Ones in the order of x in memory, in which numbers are drawn; under ``torch.func``, in the usual order."""
    if plain_of(x) is not x:
        return torch.ones(x.shape, dtype=x.dtype, device=x.device)
    return torch.ones_like(torch.empty_strided(x.size(), x.stride(), dtype=x.dtype, device=x.device))


def _channels(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
    return torch.feature_dropout(x, p, training)


def _unbatched(inner: int) -> Callable[..., Any]:
    """The same for (C, …), to which PyTorch adds a batch of one."""

    def plain(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
        if x.dim() == inner + 2:
            return _channels(x, p, training)
        return _channels(x.unsqueeze(0), p, training).squeeze(0)

    return plain


adapter("nn.functional.dropout")(_drawing(functional.dropout, torch.dropout))
adapter("nn.functional.dropout1d")(_drawing(functional.dropout1d, _unbatched(1)))
adapter("nn.functional.dropout2d")(_drawing(functional.dropout2d, _unbatched(2)))
adapter("nn.functional.dropout3d")(_drawing(functional.dropout3d, _unbatched(3)))
adapter("nn.functional.alpha_dropout")(_drawing(functional.alpha_dropout, torch.dropout))
adapter("nn.functional.feature_alpha_dropout")(_drawing(functional.feature_alpha_dropout, _channels))
