"""Wrong attention and recurrent layers: each right but for one mistake that people make."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number
from tests.planted import tampering as t
from tests.planted.formulas import Formula, called, ignoring, pulled_back, valued
from tests.planted.plant import WIDE, Fault, named

__all__ = ["FAULTS"]

Arguments = dict[str, Any]

# Attention.


def _over_width(a: Arguments) -> Arguments:
    width = np.shape(a["x"])[-1]
    return {"scale": number(1.0, a["x"]) / width} if a["scale"] is None else {}


def _causal_from_the_end(a: Arguments) -> Arguments:
    """The last query sees all keys, where PyTorch lets the first one see one."""
    if not a["is_causal"]:
        return {}
    length, keys = np.shape(a["x"])[-2], np.shape(a["key"])[-2]
    return {"is_causal": False, "attn_mask": np.tri(length, keys, keys - length, dtype=bool)}


def _is_boolean(mask: Any) -> bool:
    return isinstance(mask, np.ndarray) and mask.dtype.kind == "b"


def _turned_around(name: str) -> Callable[[Arguments], Arguments]:
    """True leaves out in one function, and keeps in the other."""
    return lambda a: {name: ~a[name]} if _is_boolean(a[name]) else {}


def _dead_rows_see_all(a: Arguments) -> Arguments:
    """The average of all values, which a mask of large negative numbers gives."""
    mask = a["attn_mask"]
    return {"attn_mask": mask | ~mask.any(axis=-1, keepdims=True)} if _is_boolean(mask) else {}


def _heads_in_turn(value: Any, a: Arguments) -> Any:
    """Head h attends to head h modulo the number of keys' heads, instead of to its group's."""
    if not a["enable_gqa"]:
        return value
    times = np.shape(a["x"])[-3] // np.shape(a["key"])[-3]
    wide = {name: np.concatenate([a[name]] * times, axis=-3) for name in ("key", "value")}
    return named("scaled_dot_product_attention").function(**{**a, **wide, "enable_gqa": False})[0]


def _sum_of_heads(outputs: Any, a: Arguments) -> Any:
    shown = outputs["attn_output_weights"]
    return {**outputs, "attn_output_weights": shown * a["num_heads"]}


def _with_averages(a: Arguments) -> bool:
    return a["need_weights"] and a["average_attn_weights"]


def _batches(a: Arguments) -> int:
    return np.shape(a["x"])[1] if np.ndim(a["x"]) == 3 else 1


def _mean_over_batch(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    return {"bias_k": gradients["bias_k"] / _batches(a)} if a["bias_k"] is not None else {}


# Recurrent layers.


def _forgetting(name: str, *outputs: str) -> Formula:
    """The right value with gradients that leave the cotangents of some outputs out."""
    right = named(name).function

    @wraps(right)
    def wrong(*arrays: Any, **words: Any) -> Any:
        values, vjp = right(*arrays, **words)
        return values, lambda g: vjp({**g, **{output: g[output] * 0.0 for output in outputs}})

    return wrong


ROWS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _gates(count: int, change: Callable[[list[Any]], list[Any]]) -> Callable[[Arguments], Arguments]:
    """The rows of the parameters of each of ``count`` gates, changed."""

    def changed(a: Arguments) -> Arguments:
        size = np.shape(a["weight_hh"])[-1]
        parts = {n: [a[n][g * size : (g + 1) * size] for g in range(count)] for n in ROWS if a[n] is not None}
        return {name: np.concatenate(change(rows)) for name, rows in parts.items()}

    return changed


def _half_bias(a: Arguments) -> Arguments:
    return {} if a["bias_hh"] is None else {"bias_hh": a["bias_hh"] * 0.0}


SDPA, HEADS = "scaled_dot_product_attention", "multi_head_attention_forward"

FAULTS = [
    Fault("scale ignored", SDPA, "value", ignoring(SDPA, scale=None)),
    Fault("scale 1/E", SDPA, "value", called(SDPA, _over_width)),
    Fault("causal from the last query", SDPA, "value", called(SDPA, _causal_from_the_end)),
    Fault("true leaves out", SDPA, "value", called(SDPA, _turned_around("attn_mask"))),
    Fault("no key counts as all keys", SDPA, "value", called(SDPA, _dead_rows_see_all)),
    Fault("heads of the keys in turn", SDPA, "value", valued(SDPA, _heads_in_turn)),
    Fault("gradient halved", SDPA, "grad[x]", pulled_back(SDPA, lambda g, r, a: {"x": r["x"] * 0.5})),
    Fault("gradient through float16", SDPA, "grad[x]", tamper=lambda _: t.gradient(t.through("float16")), dtypes=WIDE),
    Fault("value times 1 + 64u", SDPA, "value", tamper=lambda _: t.value(t.scaled(64))),
    Fault("padding mask turned around", HEADS, "value", called(HEADS, _turned_around("key_padding_mask"))),
    Fault("mask turned around", HEADS, "value", called(HEADS, _turned_around("attn_mask"))),
    Fault("sum of the heads", HEADS, "attn_output_weights", valued(HEADS, _sum_of_heads, _with_averages)),
    Fault("zeros not added", HEADS, "value", ignoring(HEADS, add_zero_attn=False)),
    Fault("bias_k averaged over the batch", HEADS, "grad[bias_k]", pulled_back(HEADS, _mean_over_batch)),
    Fault("is_causal ignored", "nn.MultiheadAttention", "value", ignoring("nn.MultiheadAttention", is_causal=False)),
    Fault("zeros not added", "nn.MultiheadAttention", "value", ignoring("nn.MultiheadAttention", add_zero_attn=False)),
    Fault("tanh for relu", "nn.RNNCell", "value", ignoring("nn.RNNCell", nonlinearity="tanh")),
    Fault("bias_hh forgotten", "nn.RNNCell", "value", called("nn.RNNCell", _half_bias)),
    Fault(
        "gates f, i, g, o", "nn.LSTMCell", "c_n",
        called("nn.LSTMCell", _gates(4, lambda rows: [rows[1], rows[0], *rows[2:]])),
    ),
    Fault(
        "gates i, f, o, g", "nn.LSTMCell", "value",
        called("nn.LSTMCell", _gates(4, lambda rows: [*rows[:2], rows[3], rows[2]])),
    ),
    Fault("cotangent of c left out", "nn.LSTMCell", "grad[cx]", _forgetting("nn.LSTMCell", "c_n")),
    Fault(
        "z for 1 - z", "nn.GRUCell", "value",
        called("nn.GRUCell", _gates(3, lambda rows: [rows[0], -rows[1], rows[2]])),
    ),
    Fault("tanh for relu", "nn.RNN", "value", ignoring("nn.RNN", nonlinearity="tanh")),
    Fault("cotangent of h_n left out", "nn.RNN", "grad[weights]", _forgetting("nn.RNN", "h_n")),
    Fault("cotangent of h_n left out", "nn.GRU", "grad[weights]", _forgetting("nn.GRU", "h_n")),
    Fault("cotangent of c_n left out", "nn.LSTM", "grad[weights]", _forgetting("nn.LSTM", "c_n")),
    Fault(
        "norm last", "nn.TransformerEncoderLayer", "value", ignoring("nn.TransformerEncoderLayer", norm_first=False)
    ),
    Fault(
        "relu for gelu", "nn.TransformerEncoderLayer", "value",
        ignoring("nn.TransformerEncoderLayer", activation="relu"), dtypes=WIDE,
    ),
    Fault(
        "norm last", "nn.TransformerDecoderLayer", "value", ignoring("nn.TransformerDecoderLayer", norm_first=False)
    ),
    Fault(
        "mask of the memory turned around", "nn.TransformerDecoderLayer", "value",
        called("nn.TransformerDecoderLayer", _turned_around("memory_mask")),
    ),
]  # fmt: skip
