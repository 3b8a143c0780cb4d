"""Wrong normalisations, distances and losses: each the right formula with one mistake that people make."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.planted.formulas import called, ignoring, pulled_back, valued
from tests.planted.plant import WIDE, Fault

__all__ = ["FAULTS"]

Arguments = dict[str, Any]


def _other_output(name: str, output: str, change: Any) -> Any:
    """The right formula with one output of several changed: ``change(outputs, arguments)``."""
    return valued(name, lambda outputs, a: {**outputs, **({output: change(outputs, a)} if output in outputs else {})})


def _channels(vector: Any, x: Any) -> Any:
    return vector.reshape((-1, *(1,) * (np.ndim(x) - 2)))


# Normalisation.


def _biased_running_var(outputs: Any, a: Arguments) -> Any:
    """The variance of the batch taken as it is, without n/(n - 1)."""
    if not a["training"]:
        return outputs["running_var"]
    n = np.size(a["x"]) // np.shape(a["x"])[1]
    old = (1.0 - a["momentum"]) * a["running_var"]
    return old + (outputs["running_var"] - old) * ((n - 1) / n)


def _statistics_held_fixed(g: Any, right: Arguments, a: Arguments) -> Arguments:
    """In training the gradient of evaluation: g·weight/σ, the batch's own part in mean and variance forgotten."""
    if not a["training"]:
        return {}
    x = a["x"]
    axes = (0, *range(2, np.ndim(x)))
    n = np.size(x) // np.shape(x)[1]
    centred = x - _channels(np.sum(x, axis=axes) / n, x)
    deviation = np.sqrt(np.sum(centred * centred, axis=axes) / n + a["eps"])
    scale = 1.0 / deviation if a["weight"] is None else a["weight"] / deviation
    return {"x": g * _channels(scale, x)}


def _momentum_turned(a: Arguments) -> Arguments:
    return {"momentum": 1.0 - a["momentum"]}


def _groups_interleaved(a: Arguments) -> Arguments:
    """Channels dealt out to the groups in turn."""
    x, groups = a["x"], a["num_groups"]
    order = np.arange(np.shape(x)[1]).reshape(groups, -1).T.ravel()
    return {"x": np.take(x, order, axis=1)}


NORMALISATION = [
    Fault("eps ignored", "batch_norm", "value", ignoring("batch_norm", eps=1e-5)),
    Fault(
        "running variance biased", "batch_norm", "running_var",
        _other_output("batch_norm", "running_var", _biased_running_var),
    ),
    Fault("momentum and 1 - momentum swapped", "batch_norm", "running_mean", called("batch_norm", _momentum_turned)),
    Fault("statistics held fixed", "batch_norm", "grad[x]", pulled_back("batch_norm", _statistics_held_fixed)),
    Fault("evaluation for training", "batch_norm", "value", called("batch_norm", lambda a: {
        "training": a["running_mean"] is None
    })),
    Fault("momentum turned around", "instance_norm", "running_var", called("instance_norm", _momentum_turned)),
    Fault("eps ignored", "instance_norm", "value", ignoring("instance_norm", eps=1e-5)),
    Fault("groups interleaved", "group_norm", "value", called("group_norm", _groups_interleaved)),
    Fault("one group", "group_norm", "value", ignoring("group_norm", num_groups=1)),
    Fault("eps of another format", "rms_norm", "value", ignoring("rms_norm", eps=1e-5)),
    Fault(
        "weight's gradient of x, not normalised", "rms_norm", "grad[weight]",
        pulled_back("rms_norm", lambda g, right, a: {} if a["weight"] is None else {
            "weight": np.sum(g * a["x"], axis=tuple(range(np.ndim(a["x"]) - np.ndim(a["weight"]))))
        }),
    ),
    Fault(
        "sum for mean", "local_response_norm", "value",
        called("local_response_norm", lambda a: {"alpha": a["alpha"] * a["size"]}),
    ),
    Fault("beta ignored", "local_response_norm", "grad[x]", ignoring("local_response_norm", beta=0.75)),
]  # fmt: skip

# Distances.


def _unclamped(a: Arguments) -> Arguments:
    return {"eps": 0.0}


DISTANCES = [
    Fault("eps ignored", "normalize", "value", called("normalize", _unclamped)),
    Fault("p ignored", "normalize", "value", ignoring("normalize", p=2.0)),
    Fault(
        "norm held fixed in the gradient", "normalize", "grad[x]",
        pulled_back("normalize", lambda g, right, a: {
            "x": g / np.maximum(np.sqrt(np.sum(a["x"] * a["x"], axis=a["dim"], keepdims=True)), a["eps"])
        }),
    ),
    Fault("eps ignored", "cosine_similarity", "value", ignoring("cosine_similarity", eps=1e-8)),
    Fault("sign of the second gradient", "cosine_similarity", "grad[x2]", pulled_back(
        "cosine_similarity", lambda g, right, a: {"x2": -right["x2"]}
    )),
    Fault("eps subtracted", "pairwise_distance", "value", called("pairwise_distance", lambda a: {"eps": -a["eps"]})),
    Fault("p ignored", "pairwise_distance", "grad[x]", ignoring("pairwise_distance", p=2.0)),
    Fault("p ignored", "pdist", "value", ignoring("pdist", p=2.0), dtypes=WIDE),
    Fault("sign of the gradient", "pdist", "grad[x]", pulled_back(
        "pdist", lambda g, right, a: {"x": -right["x"]}
    ), dtypes=WIDE),
]  # fmt: skip

# Losses.


def _swapped_signs(a: Arguments) -> Arguments:
    return {"target": -a["target"]}


LOSSES = [
    Fault("margin ignored", "cosine_embedding_loss", "value", ignoring("cosine_embedding_loss", margin=0.0)),
    Fault("target turned around", "cosine_embedding_loss", "grad[x]", called("cosine_embedding_loss", _swapped_signs)),
    Fault("margin ignored", "hinge_embedding_loss", "value", ignoring("hinge_embedding_loss", margin=1.0)),
    Fault("target turned around", "hinge_embedding_loss", "grad[x]", called("hinge_embedding_loss", _swapped_signs)),
    Fault("target turned around", "margin_ranking_loss", "value", called("margin_ranking_loss", _swapped_signs)),
    Fault(
        "gradient of the target missing", "margin_ranking_loss", "grad[target]",
        pulled_back("margin_ranking_loss", lambda g, right, a: {"target": np.zeros_like(right["target"])}),
    ),
    Fault("p ignored", "multi_margin_loss", "value", ignoring("multi_margin_loss", p=1), dtypes=WIDE),
    Fault("weight of no class", "multi_margin_loss", "value", ignoring("multi_margin_loss", weight=None), dtypes=WIDE),
    Fault("margin ignored", "multi_margin_loss", "grad[x]", ignoring("multi_margin_loss", margin=1.0), dtypes=WIDE),
    Fault(
        "labels after the first -1 count", "multilabel_margin_loss", "value",
        called("multilabel_margin_loss", lambda a: {"target": -np.sort(-np.asarray(a["target"]), axis=-1)}),
        dtypes=WIDE,
    ),
    Fault("weight ignored", "multilabel_soft_margin_loss", "value", called(
        "multilabel_soft_margin_loss",
        lambda a: {"weight": None if a["weight"] is None else np.ones_like(a["weight"])},
    )),
    Fault("target turned around", "soft_margin_loss", "value", called("soft_margin_loss", _swapped_signs)),
    Fault("full ignored", "poisson_nll_loss", "value", ignoring("poisson_nll_loss", full=False)),
    Fault("log_input ignored", "poisson_nll_loss", "grad[x]", ignoring("poisson_nll_loss", log_input=True)),
    Fault("eps ignored", "poisson_nll_loss", "value", ignoring("poisson_nll_loss", eps=1e-8)),
    Fault("full ignored", "gaussian_nll_loss", "value", ignoring("gaussian_nll_loss", full=False)),
    Fault("eps ignored", "gaussian_nll_loss", "grad[x]", ignoring("gaussian_nll_loss", eps=1e-6)),
    Fault(
        "no gradient below eps", "gaussian_nll_loss", "grad[var]",
        pulled_back("gaussian_nll_loss", lambda g, right, a: {} if "var" not in right else {
            "var": np.where(a["var"] < a["eps"], np.zeros_like(right["var"]), right["var"])
        }),
    ),
    Fault("swap ignored", "triplet_margin_loss", "value", ignoring("triplet_margin_loss", swap=False)),
    Fault("p ignored", "triplet_margin_loss", "grad[x]", ignoring("triplet_margin_loss", p=2.0)),
    Fault(
        "positive and negative swapped", "triplet_margin_with_distance_loss", "value",
        called("triplet_margin_with_distance_loss", lambda a: {"positive": a["negative"], "negative": a["positive"]}),
    ),
    Fault("blank taken for another class", "ctc_loss", "value", called(
        "ctc_loss", lambda a: {"blank": np.shape(a["x"])[-1] - 1 - a["blank"]}
    ), dtypes=WIDE),
    Fault("zero_infinity ignored", "ctc_loss", "value", ignoring("ctc_loss", zero_infinity=False), dtypes=WIDE),
    Fault("input_lengths ignored", "ctc_loss", "value", called(
        "ctc_loss", lambda a: {"input_lengths": np.full(np.shape(a["input_lengths"]), np.shape(a["x"])[0])}
    ), dtypes=WIDE),
    Fault(
        "gradient of the log-probabilities", "ctc_loss", "grad[x]",
        pulled_back("ctc_loss", lambda g, right, a: {"x": right["x"] - np.exp(a["x"])}), dtypes=WIDE,
    ),
]  # fmt: skip


def _counted_late(a: Arguments) -> Arguments:
    return {"num_batches_tracked": max(a["num_batches_tracked"] - 1, 0)} if a["num_batches_tracked"] else {}


def _counted_always(a: Arguments) -> Arguments:
    counts = a["training"] or a["num_batches_tracked"] is None
    return {} if counts else {"num_batches_tracked": a["num_batches_tracked"] + 1}


LAYERS = [
    Fault(
        "cumulative average with the default momentum", "nn.BatchNorm1d", "running_mean",
        called("nn.BatchNorm1d", lambda a: {} if a["momentum"] is not None else {"momentum": 0.1}),
    ),
    Fault(
        "cumulative average over one batch too few", "nn.BatchNorm2d", "running_var",
        called("nn.BatchNorm2d", _counted_late),
    ),
    Fault(
        "batches counted in evaluation", "nn.BatchNorm3d", "num_batches_tracked",
        called("nn.BatchNorm3d", _counted_always),
    ),
]  # fmt: skip

FAULTS = [*NORMALISATION, *DISTANCES, *LOSSES, *LAYERS]
