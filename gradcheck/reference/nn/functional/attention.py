"""Scaled dot-product attention, by the routes of PyTorch's kernels for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import (
    apart,
    einsum_up_to_shift,
    fixed,
    number,
    parted,
    reunited,
    share_slope,
    shared,
    shares_of_sum,
    stored,
)
from gradcheck.errors import UsageError
from gradcheck.reference.registry import Kink, reference

__all__ = ["BACKENDS", "attention_mask", "scaled_dot_product_attention"]

BACKENDS = ("math", "flash", "efficient")
"""Kernels by name: the composite of matmul and softmax, and the two that work through the keys block by block."""

REAL_KINDS = (
    "ordinary", "integers", "ties", "wide", "near", "large", "edges", "subnormal", "special", "huge", "close", "rare",
)  # fmt: skip
"""Kinds of values of the queries."""

FINITE_KINDS = tuple(kind for kind in REAL_KINDS if kind not in ("special", "rare"))
"""Where a kernel leaves out the keys that no query of a block may see, it is open which of them a NaN reaches."""

ENTRY_KINDS = ("ordinary", "integers", "ties", "wide", "special")
"""Kinds of values of a mask that is added: infinities among them."""


def _inputs(draw: Any) -> dict[str, Any]:
    backend = draw.choice(("math", "flash", "math", "flash", "flash", "math", "math", "flash", "efficient", "math"))
    queries, width, keys = draw.side(1, 9), draw.side(1, 9), draw.side(1, 65)
    fused = backend != "math"
    out = width if fused else draw.choice((width, 3, width))
    groups, heads = draw.choice((1, 1, 2, 3)), draw.choice((1, 2))
    lead = draw.choice(((1,), (2,))) if fused else draw.choice(((1,), (2,), (), (2, 1)))
    is_causal = draw.choice((False, False, True, False))
    lead_mask = draw.choice(((), (*lead, 1), (*lead, heads * groups), (1, heads * groups)[: len(lead) + 1]))
    shape = (*lead_mask, draw.choice((queries, 1, queries)), draw.choice((keys, 1, keys)))
    return {
        "x": draw.array((*lead, heads * groups, queries, width), FINITE_KINDS if fused and is_causal else REAL_KINDS),
        "key": draw.scaled(draw.tame((*lead, heads, keys, width)), draw.choice((1.0, 0.0625))),
        "value": draw.tame((*lead, heads, keys, out)),
        "attn_mask": None if is_causal else _mask(draw, shape, gradient=not fused),
        "is_causal": is_causal,
        "scale": draw.choice((None, None, 0.5, 0.3, 1.7, -0.4)),
        "enable_gqa": groups > 1,
        "backend": backend,
    }


def _mask(draw: Any, shape: tuple[int, ...], gradient: bool) -> Any:
    """No mask, one of booleans (few or many of them true), one of whole numbers, or one of floats."""
    kinds = ("none", "few", "many", "whole", "floats", "floats") if gradient else ("none", "few", "many", "whole")
    kind = draw.choice(kinds)
    if kind == "floats":
        return draw.array(shape, ENTRY_KINDS)
    if kind == "whole":
        return draw.lengths(shape, -3, 3)
    return None if kind == "none" else draw.mask(shape, 0.75 if kind == "many" else 0.25)


SHARED = "nrls,nsf->nrlf"
"""The shares of the values."""

DEAD_ROW = Kink(
    "all keys of a query masked out",
    "value 0 and no gradient",
    at={
        "x": [[[[1.0]], [[1.0]]]],
        "key": [[[[1.0]], [[1.0]]]],
        "value": [[[[2.0]], [[2.0]]]],
        "attn_mask": [[[[False]], [[True]]]],
    },
    gives={
        "value": [[[[0.0]], [[2.0]]]],
        "grad[x]": [[[[0.0]], [[0.0]]]],
        "grad[key]": [[[[0.0]], [[0.0]]]],
        "grad[value]": [[[[0.0]], [[1.0]]]],
    },
)


@reference("nn.functional.scaled_dot_product_attention", inputs=_inputs, kinks=(DEAD_ROW,))
def scaled_dot_product_attention(
    x: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    *,
    dropout_p: Any = 0.0,
    is_causal: bool = False,
    scale: Any = None,
    enable_gqa: bool = False,
    backend: str = "math",
) -> Any:
    """softmax(scale·x·keyᵀ + mask)·value, scale 1/√E unless given (Vaswani et al. 2017).

    x: (…, H, L, E), key: (…, H, S, E), value: (…, H, S, F); value of the result: (…, H, L, F). attn_mask broadcasts to
    (…, H, L, S): booleans say which keys count (-inf is added for the others), numbers are added. With is_causal query
    i sees the keys 0 to i. With enable_gqa key and value have fewer heads than x, each for consecutive heads of x
    (Ainslie et al. 2023). A query with no key at all gives 0 and has no gradient.

    backend names PyTorch's kernel, and with it the route: "math" multiplies both sides by √scale, and is a composite
    that computes 16-bit tensors in float32; "flash" and "efficient" scale the product, divide by the sum at the end,
    and recompute the weights in the gradient from the logarithm of that sum (Dao et al. 2022). Raises UsageError for
    dropout, and for a backend that is not known.
    """
    if float(dropout_p) != 0.0:
        raise UsageError(f"dropout_p={float(dropout_p)}: attention is judged without dropout; expected 0.")
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r} is not known; expected one of {', '.join(BACKENDS)}.")
    *lead, length, width = np.shape(x)
    heads = np.shape(key)[-3] if enable_gqa else 1
    keys, out = np.shape(value)[-2:]
    n = math.prod(lead) * heads // lead[-1] if enable_gqa else math.prod(lead)
    grid = (n, math.prod(lead) // n, length, keys)
    q, k, v = x.reshape(*grid[:3], width), key.reshape(n, keys, width), value.reshape(n, keys, out)
    if is_causal:
        attn_mask = np.tri(length, keys, dtype=bool)
    mask, mask_vjp = attention_mask(attn_mask, (*lead, length, keys))
    mask = mask if mask is None else mask.reshape(grid)
    scale = 1.0 / np.sqrt(number(width, x)) if scale is None else scale
    route = _math if backend == "math" else _fused
    y, route_vjp = route(q, k, v, mask, scale)

    def scaled_dot_product_attention_vjp(g: Any) -> dict[str, Any]:
        *gradients, slope = route_vjp(g.reshape(np.shape(y)))
        arrays = {"x": x, "key": key, "value": value}
        named = {
            name: gradient.reshape(np.shape(array))
            for (name, array), gradient in zip(arrays.items(), gradients, strict=True)
        }
        through_mask = mask_vjp(slope.reshape(*lead, length, keys))
        return named if through_mask is None else named | {"attn_mask": through_mask}

    return y.reshape(*lead, length, out), scaled_dot_product_attention_vjp


def attention_mask(mask: Any, shape: tuple[int, ...]) -> tuple[Any, Callable[[Any], Any]]:
    """What is added to scores of that shape, and what becomes of their gradient: None without a mask of floats.

    Where booleans are false -inf is added. The gradient is summed over the dimensions that were broadcast.
    """
    if mask is None:
        return None, lambda g: None
    if isinstance(mask, np.ndarray) and mask.dtype.kind in "biu":
        added = np.where(mask, 0.0, -np.inf) if mask.dtype.kind == "b" else mask.astype(np.float64)
        return np.broadcast_to(added, shape), lambda g: None
    missing = len(shape) - np.ndim(mask)
    axes = tuple(range(missing)) + tuple(
        axis for axis in range(missing, len(shape)) if np.shape(mask)[axis - missing] == 1 and shape[axis] > 1
    )
    return np.broadcast_to(mask, shape), lambda g: np.sum(g, axis=axes, keepdims=True).reshape(np.shape(mask))


def _math(q: Any, k: Any, v: Any, mask: Any, scale: Any) -> Any:
    """q: (N, R, L, E), k: (N, S, E), v: (N, S, F), mask: (N, R, L, S); the result: (N, R, L, F), and its vjp."""
    root = np.sqrt(abs(scale))
    left = -root if float(scale) < 0.0 else root
    scaled_q, scaled_k = q * left, k * root
    scores = einsum_up_to_shift("nrle,nse->nrls", scaled_q, scaled_k, -2)
    e, total, _ = _exponentials(scores if mask is None else scores + mask)
    shares, common = shares_of_sum(e, total)
    weights = shares * common
    value = shared(SHARED, shares, common, shares, v)

    def math_vjp(g: Any) -> Any:
        through = einsum_up_to_shift("nrlf,nsf->nrls", g, v, -2)
        row_slope = share_slope(shares, common, through, -1)
        dq = np.einsum("nrls,nse->nrle", row_slope, scaled_k) * common * left
        slope = row_slope * common
        dk = np.einsum("nrls,nrle->nse", slope, scaled_q) * root
        return dq, dk, np.einsum("nrls,nrlf->nsf", weights, g), slope

    return value, math_vjp


def _exponentials(scores: Any) -> tuple[Any, Any, Any]:
    """exp(scores - top), its sum (1 where no key is left) and top, the row's maximum (0 where no key is left)."""
    top = fixed(np.max(scores, axis=-1, keepdims=True))
    dead = top == -np.inf
    top = np.where(dead, np.zeros_like(top), top)
    e = np.exp(scores - top)
    return e, np.where(dead, np.ones_like(top), np.sum(e, axis=-1, keepdims=True)), top


def _fused(q: Any, k: Any, v: Any, mask: Any, scale: Any) -> Any:
    """As :func:`_math`. 16-bit kernels store the weights before they multiply by them, and the result for the vjp."""
    scores = einsum_up_to_shift("nrle,nse->nrls", q, k, -2) * scale
    scores = scores if mask is None else scores + mask
    e, total, top = _exponentials(scores)
    known, common = apart(total)
    kept = stored(e)
    value = shared(SHARED, shares_of_sum(e, total, kept)[0], common, kept, v, known)
    log_total = top + np.log(known)
    saved = stored(value)

    def fused_vjp(g: Any) -> Any:
        shares = np.exp(scores - log_total)
        weights = shares * common
        given, its_error = parted(g)
        middle = np.mean(v, axis=-2, keepdims=True).reshape(np.shape(v)[0], 1, 1, np.shape(v)[-1])
        inner = reunited(np.sum(given * saved, axis=-1, keepdims=True), its_error, saved, middle, (-1,))
        through = einsum_up_to_shift("nrlf,nsf->nrls", g, v, -2) - inner
        row_slope = stored(shares * through)
        dq = np.einsum("nrls,nse->nrle", row_slope, k) * common * scale
        slope = row_slope * common
        dk = _over_heads(np.einsum("nrls,nrle->nrse", slope, q) * scale)
        return dq, dk, _over_heads(np.einsum("nrls,nrlf->nrsf", stored(weights), g)), slope

    return value, fused_vjp


def _over_heads(parts: Any) -> Any:
    """The sum over heads of a group, (N, R, S, E) to (N, S, E), which the kernel accumulates in the storage dtype."""
    total = parts[:, 0]
    for head in range(1, np.shape(parts)[1]):
        total = stored(total) + parts[:, head]
    return total
