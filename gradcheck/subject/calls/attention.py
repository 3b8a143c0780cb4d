"""Calls of attention: its kernels are selected by name."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.subject.adapters import adapter

__all__ = ["causal_mask"]

Tensor = torch.Tensor


def _kernel(backend: str) -> AbstractContextManager[Any]:
    """The context in which PyTorch uses one kernel for attention and no other."""
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError:  # before torch 2.3
        return torch.backends.cuda.sdp_kernel(
            enable_math=backend == "math", enable_flash=backend == "flash", enable_mem_efficient=backend == "efficient"
        )
    names = {"math": "MATH", "flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION"}
    return sdpa_kernel(getattr(SDPBackend, names[backend]))


def _mask(mask: Tensor | None, x: Tensor) -> Tensor | None:
    """Whole numbers stand for a mask that is added and has no gradient."""
    return mask.to(x.dtype) if mask is not None and mask.dtype is torch.int64 else mask


@adapter("nn.functional.scaled_dot_product_attention")
def _scaled_dot_product_attention(
    x: Tensor,
    attn_mask: Tensor | None = None,
    backend: str = "math",
    scale: float | None = None,
    enable_gqa: bool = False,
    **words: Any,
) -> Tensor:
    if enable_gqa:  # torch >= 2.5
        words["enable_gqa"] = True
    if scale is not None:  # torch >= 2.1
        words["scale"] = scale
    with _kernel(backend):
        return F.scaled_dot_product_attention(x, attn_mask=_mask(attn_mask, x), **words)


ABSENT = ("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj_weight", "out_proj_bias")
WITHOUT: dict[str, Any] = {**dict.fromkeys(ABSENT), "add_zero_attn": False, "dropout_p": 0.0}
"""Defaults of parameters for which PyTorch has none."""


@adapter("nn.functional.multi_head_attention_forward")
def _multi_head_attention_forward(
    x: Tensor, key: Tensor | None = None, value: Tensor | None = None, **words: Any
) -> dict[str, Tensor]:
    key = x if key is None else key  # the same tensor, not an equal one
    value = key if value is None else value
    if words.get("is_causal"):
        words["attn_mask"] = causal_mask(x, key, 0)
    found, weights = F.multi_head_attention_forward(x, key, value, **(WITHOUT | words))
    return {"value": found} if weights is None else {"value": found, "attn_output_weights": weights}


def causal_mask(x: Tensor, key: Tensor, time: int) -> Tensor:
    """True where a key comes after the query; ``time``: the dimension of the inputs that is time."""
    return torch.ones(x.shape[time], key.shape[time], dtype=torch.bool, device=x.device).triu(1)
