"""Calls of the modules of attention: their parameters are views of a flat tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gradcheck.subject.adapters import adapter
from gradcheck.subject.calls.attention import causal_mask
from gradcheck.subject.calls.recurrent import call_module, made, with_parameters

__all__: list[str] = []

Tensor = torch.Tensor


def _causal(x: Tensor, key: Tensor, batch_first: bool) -> Tensor:
    return causal_mask(x, key, 1 if batch_first and x.dim() == 3 else 0)


@adapter("nn.MultiheadAttention")
def _multihead_attention(
    x: Tensor,
    weights: Tensor,
    num_heads: int,
    key: Tensor | None = None,
    value: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    attn_mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    **options: Any,
) -> dict[str, Tensor]:
    key = x if key is None else key  # the same tensor, not an equal one
    value = key if value is None else value
    module = made(nn.MultiheadAttention, x, x.shape[-1], num_heads, **options)
    words = {"key_padding_mask": key_padding_mask, "need_weights": need_weights, "is_causal": is_causal}
    words["attn_mask"] = _causal(x, key, options["batch_first"]) if is_causal else attn_mask
    words["average_attn_weights"] = average_attn_weights
    found, shares = call_module(module, with_parameters(module, weights), x, key, value, **words)
    return {"value": found} if shares is None else {"value": found, "attn_output_weights": shares}


@adapter("nn.TransformerEncoderLayer")
def _encoder_layer(
    x: Tensor,
    weights: Tensor,
    src_mask: Tensor | None = None,
    src_key_padding_mask: Tensor | None = None,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    module = made(nn.TransformerEncoderLayer, x, x.shape[-1], dropout=0.0, **_supported(options))
    mask = _causal(x, x, options["batch_first"]) if is_causal else src_mask
    words = {"src_mask": mask, "src_key_padding_mask": src_key_padding_mask, "is_causal": is_causal}
    return call_module(module, with_parameters(module, weights), x, **words)


@adapter("nn.TransformerDecoderLayer")
def _decoder_layer(
    x: Tensor,
    weights: Tensor,
    memory: Tensor,
    tgt_mask: Tensor | None = None,
    tgt_is_causal: bool = False,
    **words: Any,
) -> Tensor:
    masks = {name: words.pop(name) for name in list(words) if name.endswith("_mask")}
    module = made(nn.TransformerDecoderLayer, x, x.shape[-1], dropout=0.0, **_supported(words))
    masks["tgt_mask"] = _causal(x, x, words["batch_first"]) if tgt_is_causal else tgt_mask
    masks["tgt_is_causal"] = tgt_is_causal
    return call_module(module, with_parameters(module, weights), x, memory, **masks)


def _supported(options: dict[str, Any]) -> dict[str, Any]:
    """Without ``bias`` where that is the default: torch < 2.1 has no such option."""
    return {name: value for name, value in options.items() if name != "bias" or not value}
