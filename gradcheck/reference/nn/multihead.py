"""The module of multi-head attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.multihead import (
    heads_inputs,
    hides_added_keys,
    multi_head_attention_forward,
    weight_scale,
)
from gradcheck.reference.nn.parameters import Shapes, flattened, size, unflattened
from gradcheck.reference.registry import reference

__all__ = ["attention_shapes", "multihead_attention"]

SEQUENCES = ("x", "key", "value")


def attention_shapes(
    embedding: int, key_width: int | None = None, value_width: int | None = None, bias: bool = True, added: bool = False
) -> Shapes:
    """Shapes of the parameters, in PyTorch's order; ``added``: whether one key and one value are parameters."""
    square = (embedding, embedding)
    widths = [embedding if width is None else width for width in (key_width, value_width)]
    if widths == [embedding, embedding]:
        shapes: Shapes = {"in_proj_weight": (3 * embedding, embedding)}
    else:
        shapes = {"q_proj_weight": square, "k_proj_weight": (embedding, widths[0])}
        shapes["v_proj_weight"] = (embedding, widths[1])
    if bias:
        shapes["in_proj_bias"] = (3 * embedding,)
    if added:
        shapes |= {"bias_k": (1, 1, embedding), "bias_v": (1, 1, embedding)}
    shapes["out_proj_weight"] = square
    if bias:
        shapes["out_proj_bias"] = (embedding,)
    return shapes


def _inputs(draw: Any) -> dict[str, Any]:
    arguments = heads_inputs(draw)
    batch_first = arguments["x"].shape[1:-1] != () and draw.boolean()
    embedding = arguments["x"].shape[-1]
    kdim, vdim = (None if arguments[name] is None else arguments[name].shape[-1] for name in ("key", "value"))
    bias, added = draw.choice((True, True, False)), not hides_added_keys(arguments) and draw.boolean()
    weights = draw.tame((size(attention_shapes(embedding, kdim, vdim, bias, added)),))
    weights = draw.scaled(weights, weight_scale(draw, embedding))
    if batch_first:
        for name in SEQUENCES:
            if arguments[name] is not None:
                first, second, width = arguments[name].shape
                arguments[name] = replace(arguments[name], shape=(second, first, width))
    return {
        **arguments,
        "weights": weights,
        "bias": bias,
        "add_bias_kv": added,
        "add_zero_attn": not hides_added_keys(arguments) and draw.choice((False, False, True)),
        "kdim": kdim,
        "vdim": vdim,
        "batch_first": batch_first,
    }


@reference("nn.MultiheadAttention", inputs=_inputs)
def multihead_attention(
    x: Any,
    weights: Any,
    key: Any = None,
    value: Any = None,
    key_padding_mask: Any = None,
    attn_mask: Any = None,
    *,
    num_heads: int,
    bias: bool = True,
    add_bias_kv: bool = False,
    add_zero_attn: bool = False,
    kdim: int | None = None,
    vdim: int | None = None,
    batch_first: bool = False,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """Multi-head attention with the parameters of the module, flat, in its order (Vaswani et al. 2017).

    Everything else is as nn.functional.multi_head_attention_forward has it; with batch_first the first two dimensions
    of x, key, value and the result change places.
    """
    embedding = np.shape(x)[-1]
    shapes = attention_shapes(embedding, kdim, vdim, bias, add_bias_kv)
    parts = unflattened(weights, shapes)
    given = {"x": x, "key": key, "value": value}

    def turned(array: Any) -> Any:
        return array if array is None or not batch_first else np.swapaxes(array, 0, 1)

    outputs, attention_vjp = multi_head_attention_forward(
        **{name: turned(array) for name, array in given.items()},
        **parts,
        key_padding_mask=key_padding_mask,
        attn_mask=attn_mask,
        embed_dim_to_check=embedding,
        num_heads=num_heads,
        add_zero_attn=add_zero_attn,
        need_weights=need_weights,
        use_separate_proj_weight="in_proj_weight" not in shapes,
        average_attn_weights=average_attn_weights,
        is_causal=is_causal,
    )

    def multihead_attention_vjp(g: Any) -> dict[str, Any]:
        through = attention_vjp({**g, "value": turned(g["value"])} if need_weights else turned(g))
        gradients = {name: part for name, part in through.items() if name not in shapes}
        gradients |= {name: turned(gradients[name]) for name in SEQUENCES if name in gradients}
        return gradients | {"weights": flattened(through, shapes)}

    return {**outputs, "value": turned(outputs["value"])}, multihead_attention_vjp
