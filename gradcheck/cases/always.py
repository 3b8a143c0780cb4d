"""Cases that every run judges besides those it draws: where a fault would show that drawn cases seldom meet.

Each was found by a mutant of a formula, or a tampered output, that survived ``gradcheck audit``. They are lines as
``gradcheck replay`` takes them; their dtype is that of the run. Those in which small errors show stand in ``tight.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.tight import TIGHT

__all__ = ["ALWAYS", "always_judged"]

ALWAYS: dict[str, tuple[str, ...]] = {
    # Numbers that are not finite meet what is cropped at the back alone.
    "nn.functional.conv_transpose3d": (
        (
            "x=rare(1, 1, 4, 4, 4), weight=ordinary(1, 1, 3, 3, 3), bias=None, stride=1, padding=1, output_padding=0, "
            "groups=1, dilation=1) seed=4"
        ),
    ),
    # Windows of one element, among them 1 and 0 themselves: what is exact decides a comparison for certain.
    "nn.functional.lp_pool1d": ("x=ties(1, 2, 5), norm_type=1.0, kernel_size=1, stride=1, ceil_mode=False) seed=0",),
    "nn.functional.lp_pool2d": ("x=ties(1, 2, 3, 3), norm_type=1.0, kernel_size=1, stride=1, ceil_mode=False) seed=0",),
    "nn.functional.lp_pool3d": (
        "x=ties(1, 2, 2, 2, 2), norm_type=1.0, kernel_size=1, stride=1, ceil_mode=False) seed=0",
    ),
    # Differences that are exactly 0, in a norm of order below 1.
    "nn.functional.pairwise_distance": ("x=ties(4, 5), x2=ties(4, 5), p=0.5, eps=0.0, keepdim=False) seed=0",),
    # Few and plain numbers, so that little is rounded and a gradient that is off by little shows.
    "nn.functional.scaled_dot_product_attention": (
        (
            "x=ordinary(1, 1, 2, 2), key=ordinary(1, 1, 2, 2), value=ordinary(1, 1, 2, 2), "
            "attn_mask=ordinary(1, 1, 2, 2), dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, "
            "backend='math') seed=1"
        ),
    ),
    # The same, with weights of each projection, and with keys and values that are given, of which few cases have any;
    # in large calls; with tiny weights, whose gradients are subnormal; and with weights of attention that are tiny.
    "nn.functional.multi_head_attention_forward": (
        (
            "x=ordinary(2, 1, 2), key=ordinary(2, 1, 2), value=ordinary(2, 1, 2), key_padding_mask=None, "
            "attn_mask=None, num_heads=1, need_weights=False, average_attn_weights=True, is_causal=False, "
            "in_proj_weight=None, in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(2, 2, "
            "times=0.5), out_proj_bias=None, q_proj_weight=ordinary(2, 2, times=0.5), k_proj_weight=ordinary(2, 2, "
            "times=0.5), v_proj_weight=ordinary(2, 2, times=0.5), static_k=None, static_v=None, "
            "embed_dim_to_check=2, add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=True) "
            "seed=1 cotangent=subnormal"
        ),
        (
            "x=ordinary(2, 1, 2), key=ordinary(2, 1, 2), value=ordinary(2, 1, 2), key_padding_mask=None, "
            "attn_mask=None, num_heads=1, need_weights=False, average_attn_weights=True, is_causal=False, "
            "in_proj_weight=None, in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(2, 2, "
            "times=0.5), out_proj_bias=None, q_proj_weight=ordinary(2, 2, times=0.5), k_proj_weight=ordinary(2, 2, "
            "times=0.5), v_proj_weight=ordinary(2, 2, times=0.5), static_k=None, static_v=None, "
            "embed_dim_to_check=2, add_zero_attn=False, dropout_p=0.0, training=True, "
            "use_separate_proj_weight=True) seed=1"
        ),
        (
            "x=ordinary(2, 1, 2), key=ordinary(2, 1, 2), value=ordinary(2, 1, 2), key_padding_mask=None, "
            "attn_mask=None, num_heads=1, need_weights=True, average_attn_weights=True, is_causal=False, "
            "in_proj_weight=None, in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(2, 2, "
            "times=0.5), out_proj_bias=None, q_proj_weight=ordinary(2, 2, times=0.5), k_proj_weight=ordinary(2, 2, "
            "times=0.5), v_proj_weight=ordinary(2, 2, times=0.5), static_k=None, static_v=None, "
            "embed_dim_to_check=2, add_zero_attn=False, dropout_p=0.0, training=True, "
            "use_separate_proj_weight=True) seed=0"
        ),
        (
            "x=ordinary(2, 1, 2), key=None, value=None, key_padding_mask=None, attn_mask=None, num_heads=1, "
            "need_weights=False, average_attn_weights=True, is_causal=False, in_proj_weight=ordinary(6, 2, "
            "times=0.5), in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(2, 2, times=0.5), "
            "out_proj_bias=None, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, "
            "static_k=ordinary(1, 2, 2, times=0.5), static_v=ordinary(1, 2, 2), embed_dim_to_check=2, "
            "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=0"
        ),
        (
            "x=ordinary(1, 2, 2), key=None, value=None, key_padding_mask=None, attn_mask=None, num_heads=1, "
            "need_weights=False, average_attn_weights=True, is_causal=False, in_proj_weight=ordinary(6, 2, "
            "times=0.5), in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(2, 2, times=0.5), "
            "out_proj_bias=None, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, "
            "static_k=ordinary(2, 2, 2, times=0.5), static_v=ordinary(2, 2, 2), embed_dim_to_check=2, "
            "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=0 cotangent=roots"
        ),
        (
            "x=ordinary(1, 8500, 2), key=None, value=None, key_padding_mask=None, attn_mask=None, num_heads=1, "
            "need_weights=False, average_attn_weights=True, is_causal=False, in_proj_weight=ordinary(6, 2, "
            "times=0.5), in_proj_bias=None, bias_k=None, bias_v=None, out_proj_weight=ordinary(2, 2, times=0.5), "
            "out_proj_bias=None, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, "
            "static_k=ordinary(8500, 2, 2, times=0.5), static_v=ordinary(8500, 2, 2), embed_dim_to_check=2, "
            "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=0"
        ),
        (
            "x=ordinary(1, 1, 2), key=ordinary(17000, 1, 2), value=None, key_padding_mask=None, attn_mask=None, "
            "num_heads=1, need_weights=False, average_attn_weights=True, is_causal=False, in_proj_weight=None, "
            "in_proj_bias=ordinary(6, times=0.5), bias_k=ordinary(1, 1, 2, times=0.5), bias_v=ordinary(1, 1, 2, "
            "times=0.5), out_proj_weight=ordinary(2, 2, times=0.5), out_proj_bias=ordinary(2, times=0.5), "
            "q_proj_weight=ordinary(2, 2, times=0.5), k_proj_weight=ordinary(2, 2, times=0.5), "
            "v_proj_weight=ordinary(2, 2, times=0.5), static_k=None, static_v=None, embed_dim_to_check=2, "
            "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=True) seed=0"
        ),
        (
            "x=ordinary(1, 1, 2), key=ordinary(17000, 1, 2), value=None, key_padding_mask=None, attn_mask=None, "
            "num_heads=1, need_weights=False, average_attn_weights=True, is_causal=False, "
            "in_proj_weight=ordinary(6, 2, times=0.5), in_proj_bias=ordinary(6, times=0.5), "
            "bias_k=ordinary(1, 1, 2, times=0.5), bias_v=ordinary(1, 1, 2, times=0.5), "
            "out_proj_weight=ordinary(2, 2, times=0.5), out_proj_bias=ordinary(2, times=0.5), q_proj_weight=None, "
            "k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, embed_dim_to_check=2, "
            "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=2"
        ),
        (
            "x=ordinary(2, 1, 2), key=None, value=None, key_padding_mask=None, attn_mask=None, num_heads=1, "
            "need_weights=False, average_attn_weights=True, is_causal=False, in_proj_weight=ordinary(6, 2, "
            "times=2.2737367544323206e-13), in_proj_bias=None, bias_k=ordinary(1, 1, 2, "
            "times=2.2737367544323206e-13), bias_v=ordinary(1, 1, 2, times=2.2737367544323206e-13), "
            "out_proj_weight=ordinary(2, 2, times=2.2737367544323206e-13), out_proj_bias=None, q_proj_weight=None, "
            "k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, embed_dim_to_check=2, "
            "add_zero_attn=False, dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=0"
        ),
        (
            "x=ordinary(2, 1, 2, times=0.0), key=None, value=None, key_padding_mask=None, attn_mask=ordinary(2, 2, "
            "times=4.0), num_heads=1, need_weights=True, average_attn_weights=True, is_causal=False, "
            "in_proj_weight=ordinary(6, 2, times=0.5), in_proj_bias=None, bias_k=None, bias_v=None, "
            "out_proj_weight=ordinary(2, 2, times=0.5), out_proj_bias=None, q_proj_weight=None, k_proj_weight=None, "
            "v_proj_weight=None, static_k=None, static_v=None, embed_dim_to_check=2, add_zero_attn=False, "
            "dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=0"
        ),
        (
            "x=ordinary(2, 1, 2, times=0.0), key=None, value=None, key_padding_mask=None, attn_mask=integers(2, 2, "
            "times=22.5), num_heads=1, need_weights=True, average_attn_weights=True, is_causal=False, "
            "in_proj_weight=ordinary(6, 2, times=0.5), in_proj_bias=None, bias_k=None, bias_v=None, "
            "out_proj_weight=ordinary(2, 2, times=0.5), out_proj_bias=None, q_proj_weight=None, k_proj_weight=None, "
            "v_proj_weight=None, static_k=None, static_v=None, embed_dim_to_check=2, add_zero_attn=False, "
            "dropout_p=0.0, training=True, use_separate_proj_weight=False) seed=2"
        ),
    ),
    "nn.MultiheadAttention": (
        # A mask with a single number that is not finite: the softmax of one row has nothing to do with another's.
        (
            "x=ordinary(5, 1, 4), weights=ordinary(80, times=0.5), key=ordinary(3, 1, 4), value=ordinary(3, 1, 4), "
            "key_padding_mask=None, attn_mask=rare(5, 3), num_heads=2, bias=True, add_bias_kv=False, "
            "add_zero_attn=False, kdim=4, vdim=4, batch_first=False, need_weights=True, average_attn_weights=True, "
            "is_causal=False) seed=2"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(16, times=0.5), key=ordinary(2, 1, 2), value=ordinary(2, 1, 2), "
            "key_padding_mask=ordinary(1, 2), attn_mask=None, num_heads=1, bias=False, add_bias_kv=False, "
            "add_zero_attn=False, kdim=2, vdim=2, batch_first=False, need_weights=True, average_attn_weights=True, "
            "is_causal=False) seed=4"
        ),
        (
            "x=ordinary(2, 1, 2, times=0.0), weights=ordinary(16, times=0.5), key=None, value=None, "
            "key_padding_mask=integers(1, 2, times=22.5), attn_mask=None, num_heads=1, bias=False, "
            "add_bias_kv=False, add_zero_attn=False, kdim=2, vdim=2, batch_first=False, need_weights=True, "
            "average_attn_weights=True, is_causal=False) seed=1"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(16, times=0.0009765625), key=ordinary(2, 1, 2), "
            "value=ordinary(2, 1, 2), key_padding_mask=ordinary(1, 2), attn_mask=None, num_heads=1, bias=False, "
            "add_bias_kv=False, add_zero_attn=False, kdim=2, vdim=2, batch_first=False, need_weights=False, "
            "average_attn_weights=True, is_causal=False) seed=1"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(16, times=0.0009765625), key=ordinary(2, 1, 2), "
            "value=ordinary(2, 1, 2), key_padding_mask=ordinary(1, 2), attn_mask=None, num_heads=1, bias=False, "
            "add_bias_kv=False, add_zero_attn=False, kdim=2, vdim=2, batch_first=False, need_weights=True, "
            "average_attn_weights=True, is_causal=False) seed=1"
        ),
    ),
    # Gradients of masks, which come through everything else: of few numbers, of a large network (for faults of large
    # calls, the one between the two), and of tiny ones.
    "nn.TransformerEncoderLayer": (
        (
            "x=ordinary(2, 1, 2), weights=ordinary(24, times=0.0625), src_mask=ordinary(2, 2), "
            "src_key_padding_mask=ordinary(1, 2), is_causal=False, nhead=1, dim_feedforward=1, activation='relu', "
            "layer_norm_eps=16.0, batch_first=False, norm_first=True, bias=False) seed=6"
        ),
        (
            "x=ordinary(3, 1, 2), weights=ordinary(44020, times=0.0009765625), src_mask=ordinary(3, 3), "
            "src_key_padding_mask=ordinary(1, 3), is_causal=False, nhead=1, dim_feedforward=11000, "
            "activation='relu', layer_norm_eps=0.5, batch_first=False, norm_first=True, bias=False) seed=0"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(24, times=2.2737367544323206e-13), src_mask=ordinary(2, 2), "
            "src_key_padding_mask=ordinary(1, 2), is_causal=False, nhead=1, dim_feedforward=1, activation='relu', "
            "layer_norm_eps=0.5, batch_first=False, norm_first=True, bias=False) seed=0"
        ),
    ),
    "nn.TransformerDecoderLayer": (
        (
            "x=ordinary(2, 1, 2), weights=ordinary(42, times=0.0625), memory=ties(2, 1, 2), tgt_mask=ordinary(2, 2), "
            "memory_mask=ordinary(2, 2), tgt_key_padding_mask=ordinary(1, 2), memory_key_padding_mask=ordinary(1, "
            "2), tgt_is_causal=False, nhead=1, dim_feedforward=1, activation='relu', layer_norm_eps=16.0, "
            "batch_first=False, norm_first=True, bias=False) seed=12 cotangent=subnormal"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(42, times=0.0625), memory=ties(2, 1, 2), "
            "tgt_mask=ordinary(2, 2), memory_mask=ordinary(2, 2), tgt_key_padding_mask=ordinary(1, 2), "
            "memory_key_padding_mask=ordinary(1, 2), tgt_is_causal=False, nhead=1, dim_feedforward=1, "
            "activation='relu', layer_norm_eps=16.0, batch_first=False, norm_first=True, bias=False) seed=12"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(42, times=0.0625), memory=ties(2, 1, 2), "
            "tgt_mask=ordinary(2, 2), memory_mask=ordinary(2, 2), tgt_key_padding_mask=ordinary(1, 2), "
            "memory_key_padding_mask=ordinary(1, 2), tgt_is_causal=False, nhead=1, dim_feedforward=1, "
            "activation='relu', layer_norm_eps=16.0, batch_first=False, norm_first=True, bias=False) seed=17"
        ),
        (
            "x=ordinary(3, 1, 2), weights=ordinary(44038, times=0.0009765625), memory=ties(3, 1, 2), "
            "tgt_mask=ordinary(3, 3), memory_mask=ordinary(3, 3), tgt_key_padding_mask=ordinary(1, 3), "
            "memory_key_padding_mask=ordinary(1, 3), tgt_is_causal=False, nhead=1, dim_feedforward=11000, "
            "activation='relu', layer_norm_eps=0.5, batch_first=False, norm_first=True, bias=False) seed=0"
        ),
        (
            "x=ordinary(2, 1, 2), weights=ordinary(42, times=2.2737367544323206e-13), memory=ties(2, 1, 2), "
            "tgt_mask=ordinary(2, 2), memory_mask=ordinary(2, 2), tgt_key_padding_mask=ordinary(1, 2), "
            "memory_key_padding_mask=ordinary(1, 2), tgt_is_causal=False, nhead=1, dim_feedforward=1, "
            "activation='relu', layer_norm_eps=0.5, batch_first=False, norm_first=True, bias=False) seed=2"
        ),
    ),
    # Places just beyond a pixel's centre, by every power of two: there the pieces of the cubic kernel meet.
    "nn.functional.grid_sample": (
        (
            "x=ordinary(1, 2, 5, 5), grid=close(1, 16, 16, 2, at=(-0.5, 0.0, 0.5)), mode='bicubic', "
            "padding_mode='zeros', align_corners=True) seed=0"
        ),
        # Places exactly between two pixels, of which the even one is taken; on a pixel's centre; and there beside
        # pixels that are not finite.
        (
            "x=ordinary(1, 2, 4, 4), grid=ties(1, 8, 8, 2), mode='nearest', padding_mode='zeros', "
            "align_corners=False) seed=0"
        ),
        (
            "x=ordinary(1, 2, 5, 5), grid=ties(1, 8, 8, 2), mode='bilinear', padding_mode='zeros', "
            "align_corners=True) seed=0"
        ),
        (
            "x=rare(1, 2, 5, 5), grid=ties(1, 8, 8, 2), mode='bilinear', padding_mode='zeros', "
            "align_corners=True) seed=0"
        ),
    ),
    # Gates at 0, whose sigmoids are 1/2 as they are stored: gradients are rounded so seldom that one that is short of a
    # few bits shows; once with weights of 0 as well.
    "nn.LSTM": (
        (
            "x=ordinary(1, 2, 3, times=0.0), weights=ordinary(16), h_0=None, c_0=None, hidden_size=1, num_layers=1, "
            "bias=False, batch_first=False, bidirectional=False, proj_size=0) seed=1"
        ),
    ),
    "nn.LSTMCell": (
        (
            "x=ordinary(2, 3, times=0.0), weight_ih=ordinary(16, 3), weight_hh=ordinary(16, 4), bias_ih=None, "
            "bias_hh=None, hx=ordinary(2, 4, times=0.0), cx=ordinary(2, 4, times=0.0)) seed=1"
        ),
    ),
    "nn.GRUCell": (
        (
            "x=ordinary(2, 3, times=0.0), weight_ih=ordinary(12, 3), weight_hh=ordinary(12, 4), "
            "bias_ih=ordinary(12, times=0.0), bias_hh=ordinary(12, times=0.0), hx=ordinary(2, 4, times=0.0)) seed=1"
        ),
    ),
    "nn.GRU": (
        (
            "x=ordinary(1, 2, 4, times=0.0), weights=ordinary(63), h_0=ordinary(1, 2, 3, times=0.0), hidden_size=3, "
            "num_layers=1, bias=False, batch_first=False, bidirectional=False) seed=2"
        ),
        (
            "x=ordinary(1, 2, 4), weights=ordinary(63, times=0.0), h_0=ordinary(1, 2, 3), hidden_size=3, "
            "num_layers=1, bias=False, batch_first=False, bidirectional=False) seed=0"
        ),
        # A state that is small throughout, so that what follows is: it shows a format of fewer exponents.
        (
            "x=ordinary(1, 2, 4, times=0.0), weights=ordinary(63), h_0=roots(1, 2, 3), hidden_size=3, "
            "num_layers=1, bias=False, batch_first=False, bidirectional=False) seed=2"
        ),
    ),
    # Few roundings: coordinates of 0, 1/2 and 1; and gradients of subnormal cotangents.
    "nn.functional.cosine_embedding_loss": (
        "x=ties(40, 3), input2=ties(40, 3), target=signs(40), margin=0.0, reduction='none') seed=0",
        (
            "x=ties(40, 3), input2=ties(40, 3), target=signs(40), margin=0.0, reduction='none') seed=0 "
            "cotangent=subnormal"
        ),
        "x=large(31), input2=ordinary(31), target=signs(), margin=0.0, reduction='sum') seed=0",
    ),
    # A sum of products of what no statistics have rounded: small errors of it are seen with every seed.
    "nn.BatchNorm1d": (
        (
            "x=ordinary(8, 3, 2), running_mean=ordinary(3, times=0.0), running_var=positive(3), weight=ordinary(3), "
            "bias=ordinary(3), num_batches_tracked=1, momentum=0.1, eps=0.5, training=False) seed=0"
        ),
    ),
    # Without a difference the variance's gradient is hardly rounded, and subnormal with a subnormal cotangent.
    "nn.functional.gaussian_nll_loss": (
        (
            "x=ties(9, times=0.0), target=ties(9, times=0.0), var=positive(9), full=False, eps=1e-06, "
            "reduction='none') seed=0 cotangent=subnormal"
        ),
    ),
    # Sums of one term, with subnormal cotangents: a weight's gradient that is subnormal, and hardly rounded.
    "nn.functional.batch_norm": (
        (
            "x=ties(1, 9, 1), running_mean=ties(9, times=0.0), running_var=positive(9), weight=ordinary(9), "
            "bias=ordinary(9), training=False, momentum=0.1, eps=0.001) seed=0 cotangent=subnormal"
        ),
    ),
    "nn.functional.instance_norm": (
        (
            "x=ties(1, 9, 1), running_mean=ties(9, times=0.0), running_var=positive(9), weight=ordinary(9), "
            "bias=ordinary(9), use_input_stats=False, momentum=0.1, eps=0.001) seed=0 cotangent=subnormal"
        ),
    ),
}
"""By operation, what follows its name and the parenthesis."""


def always_judged(operation: str, dtype: str) -> Iterator[Case]:
    """The cases of an operation in a dtype, in mode ``backward``."""
    for line in (*ALWAYS.get(operation, ()), *(line for _, line in TIGHT.get(operation, ()))):
        yield parse_case(f"{operation}({line} dtype={dtype}")
