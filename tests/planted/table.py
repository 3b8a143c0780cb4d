"""The table of planted faults: wrong formulas against the right PyTorch, and a tampered PyTorch against the right ones.

Each row has to be caught in each of its dtypes, within the default number of cases.
"""

from __future__ import annotations

from tests.planted import formulas as f
from tests.planted.plant import HALVES, WIDE, Fault

__all__ = ["FORMULAS", "SUBJECTS"]

FORMULAS = [
    # kinks: the gradient of the wrong branch
    Fault("gradient 1 at 0", "relu", "grad[x]", f.relu_one_at_zero),
    Fault("gradient 1 at 0", "leaky_relu", "grad[x]", f.leaky_relu_one_at_zero),
    Fault("gradient 1 at both ends", "hardtanh", "grad[x]", f.hardtanh_one_at_the_ends),
    Fault("gradient 1 at 6", "relu6", "grad[x]", f.relu6_one_at_six),
    Fault("gradient 1 at lambd", "hardshrink", "grad[x]", f.hardshrink_one_at_lambd),
    Fault("gradient 1 at lambd", "softshrink", "grad[x]", f.softshrink_one_at_lambd),
    Fault("gradient 1 at the threshold", "threshold", "grad[x]", f.threshold_one_at_it),
    Fault("gradient 1/6 at the ends", "hardsigmoid", "grad[x]", f.hardsigmoid_sixth_at_the_ends),
    Fault("gradient -1/2 at -3", "hardswish", "grad[x]", f.hardswish_slope_at_minus_three),
    Fault("gradient 1 at 0 for every alpha", "elu", "grad[x]", f.elu_one_at_zero),
    Fault("gradient 1 where x is the target", "l1_loss", "grad[x]", f.l1_one_at_zero),
    Fault("linear branch at the threshold, value", "softplus", "value", f.softplus_linear_at_threshold),
    Fault("linear branch at the threshold, gradient", "softplus", "grad[x]", f.softplus_linear_at_threshold),
    # terms, signs, constants
    Fault("gradient without its second term", "silu", "grad[x]", f.silu_without_second_term),
    Fault("gradient 1 - y", "tanh", "grad[x]", f.tanh_not_squared),
    Fault("gradient g/d instead of g/d²", "softsign", "grad[x]", f.softsign_not_squared),
    Fault("gradient of tanh", "tanhshrink", "grad[x]", f.tanhshrink_as_tanh),
    Fault("gradient sigmoid(x)", "logsigmoid", "grad[x]", f.logsigmoid_as_sigmoid),
    Fault("sign of the gradient", "softmin", "grad[x]", f.softmin_sign),
    Fault("sign of the exponent", "sigmoid", "value", f.sigmoid_sign),
    Fault("constant cut to five digits", "selu", "value", f.selu_short_constants, dtypes=WIDE),
    Fault("alpha missing in the exponent", "celu", "value", f.celu_alpha_outside_only),
    Fault("lower slope instead of the mean", "rrelu", "value", f.rrelu_lower_slope),
    Fault("halves swapped", "glu", "value", f.glu_halves_swapped),
    Fault("weight gradient from both sides", "prelu", "grad[weight]", f.prelu_weight_on_both_sides),
    Fault("approximate ignored", "gelu", "value", f.gelu_approximate_ignored, dtypes=WIDE),
    # reductions and weights
    Fault("2 missing in the gradient", "mse_loss", "grad[x]", f.mse_half),
    Fault("1/N missing in the gradient", "mse_loss", "grad[x]", f.mse_without_n),
    Fault("sum for mean", "mse_loss", "value", f.mse_sum_for_mean),
    Fault("mean for sum", "l1_loss", "value", f.l1_mean_for_sum),
    Fault("weighted mean divided by the count", "mse_loss", "value", f.mse_weighted_mean_by_count),
    Fault("weighted mean divided by the weights", "huber_loss", "value", f.huber_weighted_mean_by_weights),
    Fault("batchmean taken for mean", "kl_div", "value", f.kl_div_batchmean_as_mean),
    Fault("log_target turned around", "kl_div", "value", f.kl_div_target_taken_for_logs),
    Fault("0·log 0 is NaN", "kl_div", "value", f.kl_div_nan_at_zero),
    Fault("gradient multiplied where it is divided", "binary_cross_entropy", "grad[x]", f.bce_gradient_times_variance),
    Fault("logarithms not cut off at -100", "binary_cross_entropy", "value", f.bce_logs_not_cut),
    Fault(
        "pos_weight missing in the gradient",
        "binary_cross_entropy_with_logits",
        "grad[x]",
        f.bce_logits_gradient_without_pos_weight,
    ),
    Fault("beta ignored", "smooth_l1_loss", "value", f.smooth_l1_beta_ignored),
    # classes
    Fault(
        "label_smoothing missing in the gradient",
        "cross_entropy",
        "grad[x]",
        f.cross_entropy_gradient_without_smoothing,
    ),
    Fault("label_smoothing divided by C twice", "cross_entropy", "value", f.cross_entropy_smoothing_without_share),
    Fault("ignored elements counted", "nll_loss", "value", f.nll_ignored_counted),
    Fault("weight forgotten in the mean's norm", "nll_loss", "value", f.nll_weight_forgotten_in_the_norm),
    # rows
    Fault("eps outside the root", "layer_norm", "value", f.layer_norm_eps_outside),
    Fault("eps ignored", "layer_norm", "value", f.layer_norm_default_eps),
    Fault("weight gradient of x, not normalised", "layer_norm", "grad[weight]", f.layer_norm_weight_gradient_of_x),
    Fault("mean held fixed in the gradient", "layer_norm", "grad[x]", f.layer_norm_mean_held_fixed),
    Fault("wrong axis", "softmax", "value", f.softmax_wrong_axis),
    Fault("gradient without Σ g·y", "softmax", "grad[x]", f.softmax_gradient_without_sum),
    Fault("gradient of softmax", "log_softmax", "grad[x]", f.log_softmax_gradient_of_softmax),
    # contractions
    Fault("bias added twice", "linear", "value", f.linear_bias_twice),
    Fault("weight gradient averaged", "linear", "grad[weight]", f.linear_weight_gradient_of_mean),
    Fault("kernel turned around", "conv2d", "value", f.conv2d_kernel_turned),
    Fault("padding and dilation swapped", "conv2d", "value", f.conv2d_padding_for_dilation),
]

SUBJECTS = [
    # accumulation in the storage dtype is coarse, not wrong
    Fault(
        "sum accumulated in the storage dtype", "mse_loss", "value", tamper=lambda t: t.low_precision_sum,
        dtypes=HALVES, status="coarse",
    ),
    Fault(
        "bias gradient accumulated in the storage dtype", "linear", "grad[bias]", tamper=lambda t: t.low_precision_bias,
        dtypes=HALVES, status="coarse",
    ),
    # a factor of 1 + 64u
    *(
        Fault(f"{what} times 1 + 64u", operation, output, tamper=tamper)
        for operation in ("sigmoid", "silu", "hardtanh", "softmax", "mse_loss", "cross_entropy", "layer_norm", "linear")
        for what, output, tamper in (
            ("value", "value", lambda t: t.value(t.scaled(64))),
            ("gradient", "grad[x]", lambda t: t.gradient(t.scaled(64))),
        )
    ),
    Fault(
        "largest gradient times 1 + 64u", "gelu", "grad[x]",
        tamper=lambda t: t.gradient(t.only(t.scaled(64), t.largest)),
    ),
    Fault(
        "largest value times 1 + 64u", "softplus", "value", tamper=lambda t: t.value(t.only(t.scaled(64), t.largest))
    ),
    # single elements
    Fault("last value past the vectors halved", "tanh", "value", tamper=lambda t: t.value(t.only(t.half, t.tail))),
    Fault("last gradient past the vectors 0", "silu", "grad[x]", tamper=lambda t: t.gradient(t.only(t.zero, t.tail))),
    Fault("first value NaN", "elu", "value", tamper=lambda t: t.value(t.only(t.not_a_number, t.first))),
    Fault("element 500 halved", "mish", "value", tamper=lambda t: t.value(t.only(t.half, t.past(500)))),
    Fault("gradients one place further", "hardswish", "grad[x]", tamper=lambda t: t.gradient(t.rolled)),
    Fault(
        "weight gradient transposed where square", "linear", "grad[weight]",
        tamper=lambda t: t.gradient(t.transposed_if_square, of="weight"),
    ),
    # special and subnormal numbers
    Fault("NaN turned to 0", "relu", "value", tamper=lambda t: t.value(t.without_nan)),
    Fault("NaN turned to 0", "softmax", "value", tamper=lambda t: t.value(t.without_nan)),
    Fault("infinity cut off", "silu", "value", tamper=lambda t: t.value(t.saturated)),
    Fault("subnormal values flushed", "leaky_relu", "value", tamper=lambda t: t.value(t.flushed)),
    Fault("subnormal gradients flushed", "threshold", "grad[x]", tamper=lambda t: t.gradient(t.flushed)),
    # precision lost on the way
    Fault(
        "gradient through float16", "softmax", "grad[x]", tamper=lambda t: t.gradient(t.through("float16")),
        dtypes=WIDE,
    ),
    Fault(
        "value through float32", "gelu", "value", tamper=lambda t: t.value(t.through("float32")), dtypes=("float64",)
    ),
    Fault(
        "value with float16's range", "hardshrink", "value", tamper=lambda t: t.value(t.through("float16")),
        dtypes=("bfloat16",),
    ),
    Fault(
        "product in TF32", "linear", "value", tamper=lambda t: t.value(t.truncated(10)), dtypes=("float32",)
    ),
    # gradients of the wrong thing
    Fault("sign of the gradient", "celu", "grad[x]", tamper=lambda t: t.gradient(t.negated)),
    Fault("gradient of the previous call", "silu", "grad[x]", tamper=lambda t: t.gradient(t.stale())),
    Fault("gradient 0", "linear", "grad[weight]", tamper=lambda t: t.gradient(t.zero, of="weight")),
    Fault("bias gradient summed over the outputs", "linear", "grad[bias]", tamper=lambda t: t.bias_along_wrong_axis),
    Fault("gradient of the target missing", "mse_loss", "grad[target]", tamper=lambda t: t.gradient(t.zero, "target")),
    Fault("no gradient at all", "silu", "value", tamper=lambda t: t.detached, status="raises"),
    # arguments
    Fault(
        "x and target swapped", "kl_div", "value",
        tamper=lambda t: t.called(lambda x, words: {"x": words["target"], "target": x}),
    ),
    Fault("reduction ignored", "huber_loss", "value", tamper=lambda t: t.called(lambda x, _: {"reduction": "mean"})),
    Fault("beta ignored", "softplus", "value", tamper=lambda t: t.called(lambda x, _: {"beta": 1.0})),
    Fault("slope ignored", "leaky_relu", "grad[x]", tamper=lambda t: t.called(lambda x, _: {"negative_slope": 0.01})),
    Fault("weight ignored", "nll_loss", "value", tamper=lambda t: t.called(lambda x, _: {"weight": None})),
    Fault("ignore_index ignored", "cross_entropy", "value", tamper=lambda t: t.ignore_index_counted),
    Fault("wrong axis", "glu", "value", tamper=lambda t: t.called(lambda x, _: {"dim": 0})),
    Fault(
        "normalised over the last axis", "cross_entropy", "value",
        tamper=lambda t: t.instead(t.cross_entropy_over_last_axis),
    ),
    Fault("strides ignored", "tanh", "value", tamper=lambda t: t.as_if_contiguous, axes={"layout": "transposed"}),
    Fault("strides ignored", "softmax", "value", tamper=lambda t: t.as_if_contiguous, axes={"layout": "sliced"}),
    Fault("another dtype", "relu", "value", tamper=lambda t: t.value(t.wider)),
    Fault("another shape", "mse_loss", "value", tamper=lambda t: t.value(t.one_dimension_more)),
    Fault("an exception", "conv2d", "value", tamper=lambda t: t.failing, status="raises"),
    # formulas that are right on paper only
    Fault("log of softmax", "log_softmax", "value", tamper=lambda t: t.instead(t.log_of_softmax)),
    Fault("no shift by the maximum", "softmax", "value", tamper=lambda t: t.instead(t.softmax_without_shift)),
    Fault("exp(x)/(1 + exp(x))", "sigmoid", "value", tamper=lambda t: t.instead(t.sigmoid_by_positive_exponential)),
    Fault("no threshold", "softplus", "value", tamper=lambda t: t.instead(t.softplus_without_threshold)),
    Fault("log of sigmoid", "logsigmoid", "value", tamper=lambda t: t.instead(t.logsigmoid_by_log)),
    Fault("exp(x) - 1", "elu", "value", tamper=lambda t: t.instead(t.elu_by_exp)),
    Fault("by exponentials", "tanh", "value", tamper=lambda t: t.instead(t.tanh_by_exp)),
    Fault("square multiplied out", "mse_loss", "value", tamper=lambda t: t.instead(t.mse_expanded)),
    Fault("log of sigmoid", "binary_cross_entropy_with_logits", "value", tamper=lambda t: t.instead(t.bce_by_sigmoid)),
    Fault("linear branch above 4", "silu", "value", tamper=lambda t: t.linear_above(4.0)),
]  # fmt: skip
