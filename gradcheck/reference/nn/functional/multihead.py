"""Multi-head attention: projections, attention of every head, and the projection of the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import einsum_up_to_shift, number, share_slope, shared, stored
from gradcheck.errors import UsageError
from gradcheck.reference.nn.functional.attention import (
    FINITE_KINDS,
    REAL_KINDS,
    attention_mask,
    scaled_dot_product_attention,
)
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.nn.functional.softmax import shares_of
from gradcheck.reference.registry import Kink, reference

__all__ = ["heads_inputs", "hides_added_keys", "multi_head_attention_forward", "weight_scale"]


def heads_inputs(draw: Any, unbatched: bool = True) -> dict[str, Any]:
    """Shapes and arrays of a case: x, key, value, masks and options; ``unbatched``: whether without batch as well."""
    batch, length, keys = draw.side(1, 4), draw.side(1, 5), draw.side(1, 9)
    heads = draw.choice((2, 1, 3))
    embedding = heads * draw.side(1, 4)
    unbatched = unbatched and draw.choice((False, True, False, False))
    between = () if unbatched else (batch,)
    attends_to = draw.choice(("itself", "values", "one other", "others"))
    keys = length if attends_to in ("itself", "values") else keys
    separate = attends_to == "others" and draw.boolean()
    key_width, value_width = (draw.side(1, 4), draw.side(1, 4)) if separate else (embedding, embedding)
    count = heads if unbatched else batch * heads
    need_weights = draw.choice((True, False))
    is_causal = draw.choice((False, True, False))
    finite = is_causal and not need_weights
    x = draw.array((length, *between, embedding), FINITE_KINDS if finite else REAL_KINDS)
    attended = {
        "key": draw.tame((keys, *between, key_width)) if attends_to in ("others", "one other") else None,
        "value": draw.tame((keys, *between, value_width)) if attends_to in ("others", "values") else None,
    }
    masks = {
        "key_padding_mask": _mask(draw, draw.choice((None, (*between, keys)))),
        "attn_mask": None if is_causal else _mask(draw, draw.choice((None, (length, keys), (count, length, keys)))),
    }
    return {
        "x": x,
        **attended,
        **masks,
        "num_heads": heads,
        "need_weights": need_weights,
        "average_attn_weights": draw.choice((True, True, False)),
        "is_causal": is_causal,
    }


def weight_scale(draw: Any, embedding: int) -> float:
    """Of the parameters: as PyTorch begins, for larger ones saturate every softmax; or smaller, so that none does."""
    return float(draw.choice((1.0, 0.0625)) / math.sqrt(embedding))


def _mask(draw: Any, shape: tuple[int, ...] | None) -> Any:
    """No mask, one of booleans (true: left out), or one of floats."""
    if shape is None:
        return None
    return draw.choice((draw.mask(shape, 0.25), draw.tame(shape)))


def _inputs(draw: Any) -> dict[str, Any]:
    arguments = heads_inputs(draw)
    length, *between, embedding = arguments["x"].shape
    key, value = arguments["key"], arguments["value"]
    key_width = embedding if key is None else key.shape[-1]
    value_width = value.shape[-1] if value is not None else key_width
    separate = key_width != embedding or value_width != embedding or (key is not None and draw.boolean())
    square = (embedding, embedding)
    static = key is None and value is None and draw.boolean()
    per_head = (arguments["num_heads"] * int(np.prod(between)), length, embedding // arguments["num_heads"])
    extra = not static and draw.choice((False, True)) and not hides_added_keys(arguments)
    zeros = draw.choice((False, False, True)) and not hides_added_keys(arguments)
    bias = draw.choice((True, True, False))
    scale = weight_scale(draw, embedding)

    def parameter(*shape: int) -> Any:
        return draw.scaled(draw.tame(shape), scale)

    dropout_p, training = draw.choice(((0.0, True), (0.5, False)))
    return {
        **arguments,
        "in_proj_weight": None if separate else parameter(3 * embedding, embedding),
        "in_proj_bias": parameter(3 * embedding) if bias else None,
        "bias_k": parameter(1, 1, embedding) if extra else None,
        "bias_v": parameter(1, 1, embedding) if extra else None,
        "out_proj_weight": parameter(*square),
        "out_proj_bias": parameter(embedding) if bias else None,
        "q_proj_weight": parameter(*square) if separate else None,
        "k_proj_weight": parameter(embedding, key_width) if separate else None,
        "v_proj_weight": parameter(embedding, value_width) if separate else None,
        "static_k": draw.scaled(draw.tame(per_head), scale) if static else None,
        "static_v": draw.tame(per_head) if static else None,
        "embed_dim_to_check": embedding,
        "add_zero_attn": zeros,
        "dropout_p": dropout_p,
        "training": training,
        "use_separate_proj_weight": separate,
    }


def hides_added_keys(arguments: dict[str, Any]) -> bool:
    """Whether PyTorch takes ``is_causal`` for the mask itself, and so hides keys that are added to those given."""
    return arguments["is_causal"] and not arguments["need_weights"] and arguments["key_padding_mask"] is None


SHARED = "nhls,nhsd->nhld"
"""The shares of the values, for every head."""

LEFT_OUT = Kink(
    "all keys left out by masks, with need_weights",
    "NaN (without need_weights: 0, as nn.functional.scaled_dot_product_attention has it)",
    at={
        "x": [[[1.0]]],
        "in_proj_weight": [[1.0], [1.0], [1.0]],
        "out_proj_weight": [[1.0]],
        "key_padding_mask": [[True]],
        "embed_dim_to_check": 1,
        "num_heads": 1,
    },
    gives={"value": [[[np.nan]]], "attn_output_weights": [[[np.nan]]]},
)


@reference("nn.functional.multi_head_attention_forward", inputs=_inputs, kinks=(LEFT_OUT,))
def multi_head_attention_forward(
    x: Any,
    key: Any = None,
    value: Any = None,
    in_proj_weight: Any = None,
    in_proj_bias: Any = None,
    bias_k: Any = None,
    bias_v: Any = None,
    out_proj_weight: Any = None,
    out_proj_bias: Any = None,
    key_padding_mask: Any = None,
    attn_mask: Any = None,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    *,
    embed_dim_to_check: int,
    num_heads: int,
    add_zero_attn: bool = False,
    dropout_p: Any = 0.0,
    training: bool = True,
    need_weights: bool = True,
    use_separate_proj_weight: bool = False,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """softmax(q·kᵀ/√d + masks)·v of every head, side by side, times out_proj_weightᵀ + bias (Vaswani et al. 2017).

    x: (L, N, E), key: (S, N, K), value: (S, N, V), or without N; key not given is x, value not given is the key. q, k
    and v are the projections by the three parts of in_proj_weight (3E, E) and in_proj_bias (3E,), or by weights of
    their own; bias_k and bias_v (1, 1, E) are one more key and value, zeros (add_zero_attn) another; static_k and
    static_v (N·heads, S, d) take the place of k and v. attn_mask: (L, S) or (N·heads, L, S), key_padding_mask: (N, S):
    numbers are added, booleans leave out the keys where they are true; is_causal leaves out the keys after the query.
    Outputs: ``value`` (L, N, E), and with need_weights ``attn_output_weights``, (N, L, S') as the mean of the heads or
    (N, heads, L, S'). With need_weights a query all of whose keys are left out gives NaN, without it 0. Without it
    the heads go through the fused kernel, unless a mask has a gradient. Raises UsageError for dropout in training.
    """
    if training and float(dropout_p) != 0.0:
        raise UsageError(f"dropout_p={float(dropout_p)}: attention is judged without dropout; expected 0 in training.")
    given = {"x": x, "key": key, "value": value}
    weights = {"q_proj_weight": q_proj_weight, "k_proj_weight": k_proj_weight, "v_proj_weight": v_proj_weight}
    (q, k, v), projections_vjp = _projected(given, in_proj_weight, weights, in_proj_bias)
    length, batch, embedding = np.shape(q)
    width = embedding // num_heads

    def by_head(part: Any) -> Any:
        rows = part.reshape(np.shape(part)[0], batch, num_heads, width)
        return np.transpose(rows, (1, 2, 0, 3))

    def together(part: Any) -> Any:
        return np.transpose(part, (2, 0, 1, 3)).reshape(np.shape(part)[2], batch, embedding)

    k, k_vjp = _grown(k, bias_k, static_k, add_zero_attn, num_heads)
    v, v_vjp = _grown(v, bias_v, static_v, add_zero_attn, num_heads)
    keys = np.shape(key if key is not None else x)[0]
    added, masks_vjp = _masks(attn_mask, key_padding_mask, is_causal, (batch, num_heads, length, keys), np.shape(k)[0])
    if need_weights:
        attended, shares, attend_vjp = _weighted(by_head(q), by_head(k), by_head(v), added)
    else:
        smooth = _has_gradient(attn_mask) or _has_gradient(key_padding_mask)
        attended, attend_vjp = _fused(by_head(q), by_head(k), by_head(v), added, "math" if smooth else "flash")
    y, out_vjp = linear(stored(together(attended)), out_proj_weight, out_proj_bias)
    outputs = {"value": y.reshape(*np.shape(x)[:-1], embedding)}
    if need_weights:
        shown = stored(np.sum(stored(shares), axis=1)) / num_heads if average_attn_weights else shares
        outputs["attn_output_weights"] = shown if np.ndim(x) == 3 else shown[0]

    def multi_head_attention_forward_vjp(g: Any) -> dict[str, Any]:
        of_shares = None
        if need_weights:
            of_shares, g = g["attn_output_weights"], g["value"]
            of_shares = of_shares.reshape(np.shape(shown))
            if average_attn_weights:
                of_shares = np.broadcast_to(np.expand_dims(stored(of_shares / num_heads), 1), np.shape(shares))
        through = out_vjp(g.reshape(np.shape(y)))
        dq, dk, dv, slope = attend_vjp(by_head(stored(through["x"])), of_shares)
        (dk, of_k), (dv, of_v) = k_vjp(together(dk)), v_vjp(together(dv))
        gradients = projections_vjp([stored(together(dq)), dk, dv]) | masks_vjp(slope)
        extras = {"bias_k": of_k[0], "static_k": of_k[1], "bias_v": of_v[0], "static_v": of_v[1]}
        extras |= {"out_proj_weight": through["weight"], "out_proj_bias": through.get("bias")}
        return gradients | {name: part for name, part in extras.items() if part is not None}

    return outputs, multi_head_attention_forward_vjp


def _projected(
    given: dict[str, Any], packed: Any, weights: dict[str, Any], bias: Any
) -> tuple[list[Any], Callable[[list[Any]], dict[str, Any]]]:
    """q, k and v, (L or S, N, E), and from their cotangents the gradients of inputs, weights and bias.

    PyTorch projects by one matrix what comes from one tensor: all three, or key and value.
    """
    key = "x" if given["key"] is None else "key"
    sources = ["x", key, key if given["value"] is None else "value"]
    embedding = np.shape(given["x"])[-1]
    groups: list[tuple[int, ...]] = [(0,), (1,), (2,)] if packed is None else _groups(sources)
    names = list(weights) if packed is None else ["in_proj_weight"] * len(groups)
    results, pullbacks = [], []
    for group, name in zip(groups, names, strict=True):
        rows = slice(group[0] * embedding, (group[-1] + 1) * embedding)
        source = given[sources[group[0]]]
        batched = source if np.ndim(source) == 3 else source.reshape(np.shape(source)[0], 1, np.shape(source)[1])
        matrix = weights[name] if packed is None else packed[rows]
        product, linear_vjp = linear(batched, matrix, None if bias is None else bias[rows])
        product = stored(product)
        results += [product[..., part * embedding : (part + 1) * embedding] for part in range(len(group))]
        pullbacks.append(linear_vjp)

    def projected_vjp(cotangents: list[Any]) -> dict[str, Any]:
        gradients: dict[str, Any] = {}
        parts: dict[str, list[Any]] = {"in_proj_bias": []}
        for group, name, linear_vjp in zip(groups, names, pullbacks, strict=True):
            through = linear_vjp(np.concatenate([cotangents[part] for part in group], axis=-1))
            source = sources[group[0]]
            of_source = through["x"].reshape(np.shape(given[source]))
            gradients[source] = stored(gradients[source]) + stored(of_source) if source in gradients else of_source
            parts.setdefault(name, []).append(through["weight"])
            parts["in_proj_bias"].append(through.get("bias"))
        if bias is None:
            del parts["in_proj_bias"]
        return gradients | {name: np.concatenate(pieces) for name, pieces in parts.items()}

    return results, projected_vjp


def _groups(sources: list[str]) -> list[tuple[int, ...]]:
    if sources[1] != sources[2]:
        return [(0,), (1,), (2,)]
    return [(0, 1, 2)] if sources[0] == sources[1] else [(0,), (1, 2)]


def _grown(part: Any, bias: Any, static: Any, zeros: bool, heads: int) -> Any:
    """Keys or values (S, N, E) with what is added to them; the vjp gives the gradient of them, and of bias and static.

    static: (N·heads, S, d), in their place.
    """
    keys, batch, embedding = np.shape(part)
    if static is not None:
        apart = static.reshape(batch, heads, np.shape(static)[1], embedding // heads)
        part = np.transpose(apart, (2, 0, 1, 3)).reshape(np.shape(static)[1], batch, embedding)
    pieces = [part]
    if bias is not None:
        pieces.append(np.broadcast_to(bias, (1, batch, embedding)))
    if zeros:
        pieces.append(np.zeros((1, batch, embedding)))

    def grown_vjp(g: Any) -> tuple[Any, tuple[Any, Any]]:
        g = stored(g)
        of_bias = None if bias is None else np.sum(g[keys : keys + 1], axis=1, keepdims=True)
        g = g[: np.shape(part)[0]]
        if static is None:
            return g, (of_bias, None)
        rows = g.reshape(np.shape(g)[0], batch, heads, embedding // heads)
        return np.zeros((keys, batch, embedding)), (of_bias, np.transpose(rows, (1, 2, 0, 3)).reshape(np.shape(static)))

    return np.concatenate(pieces), grown_vjp


def _has_gradient(mask: Any) -> bool:
    """Whether a mask is one of floats."""
    return not (mask is None or (isinstance(mask, np.ndarray) and mask.dtype.kind == "b"))


def _keeping(mask: Any) -> Any:
    """A mask of booleans turned around: true where a key counts."""
    return mask if mask is None or _has_gradient(mask) else ~mask


def _masks(attn_mask: Any, padding: Any, is_causal: bool, shape: tuple[int, ...], keys: int) -> Any:
    """What is added to the scores, (N, heads, L, keys) or None, and from their gradients to those of the masks.

    shape: that of the scores of the keys given, to which others may have been added; no mask leaves those out.
    """
    batch, _, length, given = shape
    if is_causal:
        attn_mask = ~np.tri(length, given, dtype=bool)
    elif np.ndim(attn_mask) == 3:
        attn_mask = attn_mask.reshape(shape)
    wide = None if padding is None else padding.reshape(batch, 1, 1, given)
    added, attn_vjp = attention_mask(_keeping(attn_mask), shape)
    more, _ = attention_mask(_keeping(wide), shape)
    if added is None or more is None:
        added = more if added is None else added
    else:
        added = stored(added + more)
    if added is not None:
        added = np.pad(added, ((0, 0), (0, 0), (0, 0), (0, keys - given)))

    def masks_vjp(slope: Any) -> dict[str, Any]:
        if slope is None:
            return {}
        slope, gradients = slope[..., :given], {}
        if _has_gradient(attn_mask):
            of_mask = attn_vjp(slope)
            gradients["attn_mask"] = of_mask if np.ndim(of_mask) == 2 else of_mask.reshape(-1, length, given)
        if _has_gradient(padding):
            by_head = stored(np.sum(slope, axis=2, keepdims=True))
            gradients["key_padding_mask"] = np.sum(by_head, axis=1).reshape(np.shape(padding))
        return gradients

    return added, masks_vjp


def _weighted(q: Any, k: Any, v: Any, mask: Any) -> Any:
    """The composite that yields the weights too; q: (N, H, L, d), k, v: (N, H, S, d). Each result is stored."""
    root = np.sqrt(1.0 / number(np.shape(q)[-1], q))
    scaled = stored(q * root)
    scores = einsum_up_to_shift("nhld,nhsd->nhls", scaled, k, -2)
    shares, common = shares_of(stored(scores if mask is None else scores + mask), -1)
    saved = stored(shares)
    weights = saved * common

    def weighted_vjp(g: Any, of_shares: Any) -> Any:
        through = stored(stored(einsum_up_to_shift("nhld,nhsd->nhls", g, v, -2)) + of_shares)
        row_slope = stored(share_slope(saved, common, through, -1))
        dq = stored(np.einsum("nhls,nhsd->nhld", row_slope, k) * common) * root
        slope = row_slope * common
        return dq, np.einsum("nhls,nhld->nhsd", slope, scaled), np.einsum("nhls,nhld->nhsd", weights, g), slope

    attended = shared(SHARED, saved, common, saved, v)
    return attended, shares * common, weighted_vjp


def _fused(q: Any, k: Any, v: Any, mask: Any, backend: str) -> Any:
    attended, attention_vjp = scaled_dot_product_attention(q, k, v, mask, backend=backend)

    def fused_vjp(g: Any, of_shares: Any) -> Any:
        gradients = attention_vjp(g)
        return gradients["x"], gradients["key"], gradients["value"], gradients.get("attn_mask")

    return attended, fused_vjp
