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
}
"""By operation: for which outputs a case is, and what follows the operation's name and the parenthesis."""
