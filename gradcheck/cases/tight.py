"""Cases that every run judges because the bounds are tight in them: small errors show there with every seed.

Little is rounded before the sums, nothing cancels in the output that is meant, and its sums are as long as its case
says: few keys, heads whose width is a power of four (the scale is exact), factors that are powers of two. Each shows
smaller errors of the outputs named beside it than drawn cases do (``benchmarks/sensitivity.py``). They are lines as
``gradcheck replay`` takes them, without the operation; their dtype is that of the run.
"""

from __future__ import annotations

__all__ = ["TIGHT"]

TIGHT: dict[str, tuple[tuple[str, str], ...]] = {
    # A sum of products of what no statistics have rounded.
    "nn.BatchNorm3d": (
        (
            "grad[weight]",
            (
                "x=ties(2, 1, 1, 1, 2), running_mean=ordinary(1), running_var=positive(1), weight=ordinary(1), "
                "bias=ordinary(1), num_batches_tracked=1, momentum=0.1, eps=0.001, training=False) seed=1"
            ),
        ),
    ),
    # Logarithms of sigmoids of 0 and of numbers so large that they are hardly rounded.
    "nn.functional.multilabel_soft_margin_loss": (
        (
            "value grad[weight]",
            ("x=ties(4, 2, times=16.0), target=unit(4, 2), weight=positive(2), reduction='sum') seed=0"),
        ),
    ),
    # Three classes of three features, all positive: no product of the sums cancels.
    "nn.functional.linear_cross_entropy": (
        (
            "value grad[x] grad[linear_weight] grad[linear_bias]",
            (
                "x=positive(3, 3), linear_weight=ordinary(3, 3), target=indices(3, below=3, ignore=None), "
                "linear_bias=ordinary(3, times=0.0), weight=None, reduction='none', ignore_index=None, "
                "label_smoothing=0.0, options=None) seed=5"
            ),
        ),
    ),
    # Four keys, close to one another, with values that are not: nothing cancels in g·v less its mean.
    "nn.functional.scaled_dot_product_attention": (
        (
            "grad[x] grad[key] grad[value] grad[attn_mask]",
            (
                "x=repeated(1, 1, 1, 4, times=0.0625), key=integers(1, 1, 4, 4, times=0.0625), value=ties(1, 1, 4, 1, "
                "times=0.25), attn_mask=repeated(1, 1, 1, 4, times=0.0625), dropout_p=0.0, is_causal=False, "
                "scale=0.25, enable_gqa=False, backend='math') seed=15"
            ),
        ),
    ),
    # Heads of width 1 or 4, whose scale is exact. Where the projection of the result is 0 the gradients of queries and
    # keys come from the weights of attention alone.
    "nn.functional.multi_head_attention_forward": (
        (
            "attn_output_weights grad[attn_mask] grad[key_padding_mask] grad[out_proj_weight]",
            (
                "x=ties(3, 1, 4), key=None, value=None, key_padding_mask=signs(1, 3, times=0.0), "
                "attn_mask=ordinary(3, 3, times=0.0625), num_heads=1, need_weights=True, average_attn_weights=False, "
                "is_causal=False, in_proj_weight=repeated(12, 4, times=0.0), in_proj_bias=repeated(12, times=0.0625), "
                "bias_k=repeated(1, 1, 4, times=0.0), bias_v=integers(1, 1, 4, times=0.0), out_proj_weight=ties(4, 4, "
                "times=0.5), out_proj_bias=positive(4, times=0.25), q_proj_weight=None, k_proj_weight=None, "
                "v_proj_weight=None, static_k=None, static_v=None, embed_dim_to_check=4, add_zero_attn=False, "
                "dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=4 cotangent=integers"
            ),
        ),
        (
            "grad[x] grad[bias_k] grad[bias_v] grad[in_proj_bias]",
            (
                "x=integers(3, 1, 1, times=0.0), key=None, value=None, key_padding_mask=positive(1, 3, times=0.25), "
                "attn_mask=signs(3, 3, times=0.0625), num_heads=1, need_weights=False, average_attn_weights=False, "
                "is_causal=False, in_proj_weight=signs(3, 1), in_proj_bias=repeated(3, times=0.0625), "
                "bias_k=positive(1, 1, 1), bias_v=signs(1, 1, 1), out_proj_weight=positive(1, 1, times=0.25), "
                "out_proj_bias=repeated(1, times=0.5), q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, "
                "static_k=None, static_v=None, embed_dim_to_check=1, add_zero_attn=False, dropout_p=0.0, "
                "training=True, use_separate_proj_weight=False) seed=9 cotangent=twos"
            ),
        ),
        (
            "grad[static_k]",
            (
                "x=ordinary(4, 1, 4, times=0.0625), key=None, value=None, key_padding_mask=None, attn_mask=None, "
                "num_heads=1, need_weights=True, average_attn_weights=False, is_causal=False, in_proj_weight=ties(12, "
                "4, times=0.015625), in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(4, 4, "
                "times=0.0), out_proj_bias=None, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, "
                "static_k=integers(1, 4, 4, times=0.0625), static_v=repeated(1, 4, 4), embed_dim_to_check=4, "
                "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=9 "
                "cotangent=integers"
            ),
        ),
        (
            "grad[k_proj_weight] grad[key]",
            (
                "x=positive(1, 1, 4, times=0.5), key=ties(5, 1, 4, times=0.015625), value=ordinary(5, 1, 4), "
                "key_padding_mask=None, attn_mask=None, num_heads=1, need_weights=True, average_attn_weights=False, "
                "is_causal=False, in_proj_weight=None, in_proj_bias=None, bias_k=None, bias_v=None, "
                "out_proj_weight=ordinary(4, 4, times=0.0), out_proj_bias=None, q_proj_weight=repeated(4, 4, "
                "times=0.0625), k_proj_weight=positive(4, 4, times=0.5), v_proj_weight=ordinary(4, 4), static_k=None, "
                "static_v=None, embed_dim_to_check=4, add_zero_attn=False, dropout_p=0.0, training=True, "
                "use_separate_proj_weight=True) seed=26 cotangent=integers"
            ),
        ),
        (
            "grad[q_proj_weight]",
            (
                "x=integers(1, 1, 4), key=ordinary(3, 1, 4, times=0.0625), value=ordinary(3, 1, 4), "
                "key_padding_mask=None, attn_mask=None, num_heads=1, need_weights=True, average_attn_weights=False, "
                "is_causal=False, in_proj_weight=None, in_proj_bias=None, bias_k=None, bias_v=None, "
                "out_proj_weight=ordinary(4, 4, times=0.0), out_proj_bias=None, q_proj_weight=ordinary(4, 4, "
                "times=0.0625), k_proj_weight=ordinary(4, 4, times=0.0625), v_proj_weight=ordinary(4, 4), "
                "static_k=None, static_v=None, embed_dim_to_check=4, add_zero_attn=False, dropout_p=0.0, "
                "training=True, use_separate_proj_weight=True) seed=2"
            ),
        ),
        (
            "grad[v_proj_weight] grad[value]",
            (
                "x=ordinary(3, 1, 1, times=0.0625), key=integers(4, 1, 1), value=repeated(4, 1, 1, times=0.5), "
                "key_padding_mask=None, attn_mask=ordinary(3, 4, times=0.0625), num_heads=1, need_weights=False, "
                "average_attn_weights=True, is_causal=False, in_proj_weight=None, in_proj_bias=ties(3, times=0.0625), "
                "bias_k=None, bias_v=None, out_proj_weight=ties(1, 1, times=0.25), out_proj_bias=signs(1, times=0.5), "
                "q_proj_weight=signs(1, 1, times=0.0625), k_proj_weight=integers(1, 1, times=0.5), "
                "v_proj_weight=signs(1, 1, times=0.0625), static_k=None, static_v=None, embed_dim_to_check=1, "
                "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=True) seed=2 "
                "cotangent=ones"
            ),
        ),
    ),
    # The same, for keys and values of their own and for those that are x.
    "nn.MultiheadAttention": (
        (
            "grad[key] grad[attn_mask] grad[key_padding_mask]",
            (
                "x=repeated(1, 1, 4, times=0.015625), weights=positive(64, times=0.0625), key=repeated(5, 1, 4), "
                "value=ties(5, 1, 4, times=0.0625), key_padding_mask=positive(1, 5, times=0.0625), attn_mask=ties(1, "
                "5, times=0.0), num_heads=1, bias=False, add_bias_kv=False, add_zero_attn=False, kdim=4, vdim=4, "
                "batch_first=False, need_weights=True, average_attn_weights=True, is_causal=False) seed=4 "
                "cotangent=integers"
            ),
        ),
        (
            "grad[x]",
            (
                "x=ties(3, 1, 4, times=0.015625), weights=positive(64, times=0.5), key=None, value=None, "
                "key_padding_mask=integers(1, 3, times=0.0625), attn_mask=signs(3, 3, times=0.0), num_heads=1, "
                "bias=False, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None, batch_first=False, "
                "need_weights=True, average_attn_weights=False, is_causal=False) seed=11 cotangent=repeated"
            ),
        ),
    ),
    # Gradients of masks with small weights: few keys, whose scores are close to one another.
    "nn.TransformerDecoderLayer": (
        (
            "grad[memory_mask] grad[memory_key_padding_mask]",
            (
                "x=repeated(4, 1, 4, times=0.015625), weights=positive(148, times=0.015625), memory=ordinary(3, 1, 4, "
                "times=0.5), tgt_mask=signs(4, 4, times=0.0), memory_mask=ties(4, 3, times=0.5), "
                "tgt_key_padding_mask=signs(1, 4, times=0.5), memory_key_padding_mask=signs(1, 3), "
                "tgt_is_causal=False, nhead=1, dim_feedforward=1, activation='relu', layer_norm_eps=0.5, "
                "batch_first=False, norm_first=True, bias=False) seed=10 cotangent=twos"
            ),
        ),
        (
            "grad[tgt_mask] grad[tgt_key_padding_mask]",
            (
                "x=ordinary(2, 1, 2, times=0.0625), weights=ties(42, times=0.0625), memory=signs(4, 1, 2, "
                "times=0.015625), tgt_mask=positive(2, 2, times=0.25), memory_mask=ties(2, 4, times=0.5), "
                "tgt_key_padding_mask=integers(1, 2, times=0.0), memory_key_padding_mask=positive(1, 4), "
                "tgt_is_causal=False, nhead=1, dim_feedforward=1, activation='relu', layer_norm_eps=16.0, "
                "batch_first=False, norm_first=True, bias=False) seed=13 cotangent=repeated"
            ),
        ),
    ),
    # As the decoder, with six keys.
    "nn.TransformerEncoderLayer": (
        (
            "grad[src_mask] grad[src_key_padding_mask]",
            (
                "x=ties(6, 1, 2, times=0.5), weights=integers(24, times=0.0625), src_mask=signs(6, 6, times=0.0), "
                "src_key_padding_mask=positive(1, 6, times=0.0625), is_causal=False, nhead=1, dim_feedforward=1, "
                "activation='relu', layer_norm_eps=16.0, batch_first=False, norm_first=True, bias=False) seed=30 "
                "cotangent=repeated"
            ),
        ),
    ),
}
"""By operation: for which outputs a case is, and what follows the operation's name and the parenthesis."""
