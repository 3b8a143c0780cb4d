"""Layers of a transformer: attention and a feed-forward network, each with a residual connection and a layer norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import stored
from gradcheck.reference.nn.functional.activation import gelu
from gradcheck.reference.nn.functional.attention import FINITE_KINDS, REAL_KINDS
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.nn.functional.multihead import multi_head_attention_forward, weight_scale
from gradcheck.reference.nn.functional.normalization import layer_norm
from gradcheck.reference.nn.functional.rectifier import relu
from gradcheck.reference.nn.multihead import attention_shapes
from gradcheck.reference.nn.parameters import Shapes, flattened, size, unflattened
from gradcheck.reference.registry import reference

__all__ = ["transformer_decoder_layer", "transformer_encoder_layer"]

ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": relu, "gelu": gelu}

Block = Callable[[Any], tuple[Any, Callable[[Any], dict[str, Any]]]]
"""From its input to its value and its vjp, which gives the gradients of the input, ``x``, and of its parameters."""


def _shapes(embedding: int, inner: int, attentions: Sequence[str], bias: bool) -> Shapes:
    """Of the parameters of a layer with these attentions, in PyTorch's order."""
    shapes: Shapes = {}
    for name in attentions:
        shapes |= {f"{name}.{part}": shape for part, shape in attention_shapes(embedding, bias=bias).items()}
    for name, rows, columns in (("linear1", inner, embedding), ("linear2", embedding, inner)):
        shapes[f"{name}.weight"] = (rows, columns)
        shapes |= {f"{name}.bias": (rows,)} if bias else {}
    for number in range(len(attentions) + 1):
        shapes[f"norm{number + 1}.weight"] = (embedding,)
        shapes |= {f"norm{number + 1}.bias": (embedding,)} if bias else {}
    return shapes


def _inputs(*attentions: str) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        batch, length, keys = draw.side(1, 3), draw.side(1, 5), draw.side(1, 7)
        heads = draw.choice((2, 1, 3))
        embedding, inner = heads * draw.side(2, 3), draw.side(1, 7)  # the norm of a single element is 0
        unbatched, is_causal = draw.choice((False, True, False)), draw.choice((False, True, False))
        batch_first, bias = draw.boolean(), draw.choice((True, True, False))
        between = () if unbatched else (batch,)
        count = size(_shapes(embedding, inner, attentions, bias))

        def sequence(steps: int) -> tuple[int, ...]:
            return (batch, steps, embedding) if batch_first and not unbatched else (steps, *between, embedding)

        def mask(*shape: int) -> Any:
            return draw.choice((None, draw.mask(shape, 0.25), draw.tame(shape), draw.tame(shape)))

        arguments = {
            "x": draw.array(sequence(length), FINITE_KINDS if is_causal else REAL_KINDS),
            "weights": draw.scaled(draw.tame((count,)), weight_scale(draw, embedding)),
        }
        if len(attentions) == 2:
            masks = {
                "tgt_mask": None if is_causal else mask(length, length),
                "memory_mask": mask(length, keys),
                "tgt_key_padding_mask": mask(*between, length),
                "memory_key_padding_mask": mask(*between, keys),
            }
            arguments |= {"memory": draw.tame(sequence(keys)), **masks, "tgt_is_causal": is_causal}
        else:
            arguments["src_mask"] = None if is_causal else mask(length, length)
            arguments["src_key_padding_mask"] = mask(*between, length)
            arguments["is_causal"] = is_causal
        options = {
            "nhead": heads,
            "dim_feedforward": inner,
            "activation": draw.choice(("relu", "gelu")),
            "layer_norm_eps": draw.choice((1e-5, 1e-3, 0.5, 16.0)),
            "batch_first": batch_first,
            "norm_first": draw.boolean(),
            "bias": bias,
        }
        return arguments | options

    return inputs


class _Layer:
    """The blocks of a layer, made from its parameters by name."""

    def __init__(self, parameters: dict[str, Any], heads: int, eps: Any, batch_first: bool) -> None:
        self.parameters = parameters
        self.heads, self.eps, self.batch_first = heads, eps, batch_first

    def turned(self, x: Any) -> Any:
        """Between (N, L, E) and (L, N, E)."""
        return np.swapaxes(x, 0, 1) if self.batch_first and np.ndim(x) == 3 else x

    def norm(self, name: str) -> Block:
        weight, bias = self.parameters[f"{name}.weight"], self.parameters.get(f"{name}.bias")

        def norm_block(x: Any) -> Any:
            y, norm_vjp = layer_norm(x, weight, bias, normalized_shape=(np.shape(x)[-1],), eps=self.eps)
            return stored(y), lambda g: _named(name, norm_vjp(g))

        return norm_block

    def attention(self, name: str, masks: dict[str, Any], is_causal: bool, memory: Any = None) -> Block:
        """Attention to x itself, or to the memory; the vjp names gradients of masks and memory by argument."""
        own = {part.removeprefix(f"{name}."): p for part, p in self.parameters.items() if part.startswith(f"{name}.")}
        renamed = dict(zip(masks, ("attn_mask", "key_padding_mask"), strict=True))

        def attention_block(x: Any) -> Any:
            outputs, attention_vjp = multi_head_attention_forward(
                self.turned(x),
                None if memory is None else self.turned(memory),
                **own,
                **{renamed[mask]: array for mask, array in masks.items()},
                embed_dim_to_check=np.shape(x)[-1],
                num_heads=self.heads,
                need_weights=False,
                is_causal=is_causal,
            )

            def attention_block_vjp(g: Any) -> dict[str, Any]:
                gradients = attention_vjp(self.turned(g))
                found = {mask: gradients.pop(there) for mask, there in renamed.items() if there in gradients}
                if memory is not None:
                    found["memory"] = self.turned(gradients.pop("key"))
                gradients["x"] = self.turned(gradients["x"])
                return _named(name, gradients) | found

            return stored(self.turned(outputs["value"])), attention_block_vjp

        return attention_block

    def feed_forward(self, activation: str) -> Block:
        parts = [[self.parameters.get(f"linear{i}.{part}") for part in ("weight", "bias")] for i in (1, 2)]

        def feed_forward_block(x: Any) -> Any:
            inner, first_vjp = linear(x, *parts[0])
            active, activation_vjp = ACTIVATIONS[activation](stored(inner))
            y, second_vjp = linear(stored(active), *parts[1])

            def feed_forward_block_vjp(g: Any) -> dict[str, Any]:
                second = second_vjp(g)
                first = first_vjp(stored(activation_vjp(stored(second.pop("x")))["x"]))
                return _named("linear1", first) | _named("linear2", second)

            return stored(y), feed_forward_block_vjp

        return feed_forward_block


def _named(name: str, gradients: dict[str, Any]) -> dict[str, Any]:
    """Gradients of parameters by their full name, that of the input as ``x``."""
    return {part if part == "x" else f"{name}.{part}": gradient for part, gradient in gradients.items()}


def _residual(x: Any, block: Block, norm: Block, norm_first: bool) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """x + block(norm(x)), or norm(x + block(x)): the value, and the gradients of x and of all parameters."""
    if norm_first:
        normal, norm_vjp = norm(x)
        y, block_vjp = block(normal)

        def before_vjp(g: Any) -> dict[str, Any]:
            through = block_vjp(g)
            of_norm = norm_vjp(stored(through["x"]))
            return through | of_norm | {"x": stored(g + stored(of_norm["x"]))}

        return stored(x + y), before_vjp
    y, block_vjp = block(x)
    value, norm_vjp = norm(stored(x + y))

    def after_vjp(g: Any) -> dict[str, Any]:
        of_norm = norm_vjp(g)
        of_sum = stored(of_norm["x"])
        through = block_vjp(of_sum)
        return through | of_norm | {"x": stored(of_sum + stored(through["x"]))}

    return value, after_vjp


def _stack(x: Any, blocks: list[tuple[Block, Block]], norm_first: bool, shapes: Shapes) -> Any:
    """Blocks one after the other, each with its norm; gradients of the parameters are joined to ``weights``."""
    pullbacks = []
    for block, norm in blocks:
        x, residual_vjp = _residual(x, block, norm, norm_first)
        pullbacks.append(residual_vjp)

    def stack_vjp(g: Any) -> dict[str, Any]:
        gradients: dict[str, Any] = {"x": g}
        for residual_vjp in reversed(pullbacks):
            gradients |= residual_vjp(gradients["x"])
        rest = {name: gradient for name, gradient in gradients.items() if name not in shapes}
        return rest | {"weights": flattened(gradients, shapes)}

    return x, stack_vjp


@reference("nn.TransformerEncoderLayer", inputs=_inputs("self_attn"))
def transformer_encoder_layer(
    x: Any,
    weights: Any,
    src_mask: Any = None,
    src_key_padding_mask: Any = None,
    *,
    nhead: int,
    dim_feedforward: int,
    activation: str = "relu",
    layer_norm_eps: Any = 1e-5,
    batch_first: bool = False,
    norm_first: bool = False,
    bias: bool = True,
    is_causal: bool = False,
) -> Any:
    """Self-attention and W₂·activation(W₁·x + b₁) + b₂, each added to its input; same shape as x (Vaswani et al. 2017).

    The sum is normalised (layer_norm), or with norm_first the input of each part is (Xiong et al. 2020). x: (L, N, E),
    (L, E), or (N, L, E) with batch_first; masks as of nn.MultiheadAttention; weights: all parameters of the module,
    flat, in its order. Without dropout.
    """
    shapes = _shapes(np.shape(x)[-1], dim_feedforward, ("self_attn",), bias)
    layer = _Layer(unflattened(weights, shapes), nhead, layer_norm_eps, batch_first)
    masks = {"src_mask": src_mask, "src_key_padding_mask": src_key_padding_mask}
    blocks = [
        (layer.attention("self_attn", masks, is_causal), layer.norm("norm1")),
        (layer.feed_forward(activation), layer.norm("norm2")),
    ]
    return _stack(x, blocks, norm_first, shapes)


@reference("nn.TransformerDecoderLayer", inputs=_inputs("self_attn", "multihead_attn"))
def transformer_decoder_layer(
    x: Any,
    weights: Any,
    memory: Any,
    tgt_mask: Any = None,
    memory_mask: Any = None,
    tgt_key_padding_mask: Any = None,
    memory_key_padding_mask: Any = None,
    *,
    nhead: int,
    dim_feedforward: int,
    activation: str = "relu",
    layer_norm_eps: Any = 1e-5,
    batch_first: bool = False,
    norm_first: bool = False,
    bias: bool = True,
    tgt_is_causal: bool = False,
) -> Any:
    """Self-attention, attention to the memory, and a feed-forward network, each as in nn.TransformerEncoderLayer.

    memory: (S, N, E), (S, E), or (N, S, E) with batch_first, of which all keys and values are made (Vaswani et al.
    2017).
    """
    shapes = _shapes(np.shape(x)[-1], dim_feedforward, ("self_attn", "multihead_attn"), bias)
    layer = _Layer(unflattened(weights, shapes), nhead, layer_norm_eps, batch_first)
    own = {"tgt_mask": tgt_mask, "tgt_key_padding_mask": tgt_key_padding_mask}
    other = {"memory_mask": memory_mask, "memory_key_padding_mask": memory_key_padding_mask}
    blocks = [
        (layer.attention("self_attn", own, tgt_is_causal), layer.norm("norm1")),
        (layer.attention("multihead_attn", other, False, memory), layer.norm("norm2")),
        (layer.feed_forward(activation), layer.norm("norm3")),
    ]
    return _stack(x, blocks, norm_first, shapes)
