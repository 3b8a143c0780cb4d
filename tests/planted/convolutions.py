"""Wrong convolutions, foldings, bilinear maps and embeddings: each right but for one mistake that people make."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.registry import reference_named
from tests.planted.formulas import Formula, called, ignoring, pulled_back, valued
from tests.planted.plant import Fault

__all__ = ["FAULTS"]

Arguments = dict[str, Any]


def _evaluated(name: str, arguments: Arguments) -> Any:
    return reference_named(f"nn.functional.{name}").function(**arguments)


# Convolutions.


def _kernel_turned(name: str) -> Formula:
    """A convolution as mathematics has it."""
    return called(name, lambda a: {"weight": np.flip(a["weight"], axis=tuple(range(2, np.ndim(a["weight"]))))})


def _groups_interleaved(a: Arguments) -> Arguments:
    """Filter o belongs to group o modulo groups, instead of to group o·groups/O."""
    order = np.arange(np.shape(a["weight"])[0]).reshape(-1, a["groups"]).T.ravel()
    return {"weight": np.take(a["weight"], order, axis=0)}


def _odd_element_before(value: Any, a: Arguments) -> Any:
    """What ``same`` gives for a signal and a kernel that are both turned around."""
    turned = {**a, "x": np.flip(a["x"], axis=-1), "weight": np.flip(a["weight"], axis=-1)}
    return np.flip(_evaluated("conv1d", turned)[0], axis=-1)


def _zeros_behind(value: Any, a: Arguments) -> Any:
    """Zeros where ``output_padding`` adds numbers, instead of what reaches them and the bias."""
    more = a["output_padding"] if isinstance(a["output_padding"], int) else a["output_padding"][0]
    return np.where(np.arange(np.shape(value)[-1]) < np.shape(value)[-1] - more, value, np.zeros_like(value))


def _cropped_counted(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    """The kernel's gradient from the value before it was cropped, with a cotangent that repeats at its border."""
    padding = a["padding"] if isinstance(a["padding"], int) else a["padding"][0]
    wide = np.concatenate([g[..., :1]] * padding + [g] + [g[..., -1:]] * padding, axis=-1)
    return {"weight": _evaluated("conv_transpose1d", {**a, "padding": 0})[1](wide)["weight"]}


# Foldings.


def _mean_over_blocks(value: Any, a: Arguments) -> Any:
    return value / np.maximum(_evaluated("fold", {**a, "x": np.ones(np.shape(a["x"]))})[0], 1.0)


def _taps_before_channels(value: Any, a: Arguments) -> Any:
    """Rows of the columns ordered by tap first, then by channel."""
    *lead, rows, blocks = np.shape(value)
    channels = np.shape(a["x"])[-3]
    apart = value.reshape(*lead, channels, rows // channels, blocks)
    return np.swapaxes(apart, -3, -2).reshape(*lead, rows, blocks)


def _one_on_the_padding(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    """What falls on the padding has gradient 1 instead of 0."""
    geometry = {name: a[name] for name in ("kernel_size", "dilation", "padding", "stride")}
    inside, _ = _evaluated("unfold", {"x": np.ones((1, *np.shape(g)[-2:])), **geometry})
    channels = np.shape(a["x"])[-2] // np.shape(inside)[0]
    outside = np.concatenate([inside] * channels) == 0.0
    return {"x": np.where(outside, np.ones_like(gradients["x"]), gradients["x"])}


# Bilinear maps.


def _square(a: Arguments) -> bool:
    return bool(np.shape(a["x"]) == np.shape(a["input2"]))


bilinear_inputs_swapped = called("bilinear", lambda a: {"x": a["input2"], "input2": a["x"]} if _square(a) else {})
bilinear_gradients_swapped = pulled_back(
    "bilinear", lambda g, right, a: {"x": right["input2"], "input2": right["x"]} if _square(a) else {}
)

# Embeddings.


def _padded(a: Arguments) -> bool:
    return a["padding_idx"] is not None


def _kept(a: Arguments) -> Any:
    """Which indices are no padding."""
    return a["x"] != a["padding_idx"] % np.shape(a["weight"])[0]


def _padding_gives_zero(outputs: Arguments, a: Arguments) -> Arguments:
    value = outputs["value"]
    return {**outputs, "value": np.where(_kept(a)[..., None], value, np.zeros_like(value))}


def _frequency_squared(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    counts = np.bincount(np.ravel(a["x"]), minlength=np.shape(a["weight"])[0])[:, None]
    return {"weight": gradients["weight"] / np.maximum(counts, 1).astype(np.float64)}


def _last_copy_only(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    """Rows of the gradient are overwritten, not added to."""
    if not np.size(a["x"]) or a["scale_grad_by_freq"]:
        return {}
    rows, width = np.shape(a["weight"])
    last = {int(row): place for place, row in enumerate(np.ravel(a["x"]))}
    pick = np.array([last.get(row, 0) for row in range(rows)])
    there = np.array([row in last for row in range(rows)])[:, None]
    copies = np.take(g.reshape(np.size(a["x"]), width), pick, axis=0)
    return {"weight": np.where(there, copies, np.zeros_like(copies))}


def _padding_counted(outputs: Arguments, a: Arguments) -> Arguments:
    """Padding counts in the mean of a bag, though its rows are left out of the sum."""
    count = np.sum(_kept(a), axis=1)[:, None].astype(np.float64)
    return {**outputs, "value": outputs["value"] * np.maximum(count, 1.0) / float(np.shape(a["x"])[1])}


def _padded_mean(a: Arguments) -> bool:
    return _padded(a) and a["mode"] == "mean" and np.ndim(a["x"]) == 2


def _weighted(a: Arguments) -> bool:
    return a["per_sample_weights"] is not None and not a["scale_grad_by_freq"]


def _without_sample_weights(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    if not _weighted(a):
        return {}
    return {"weight": _evaluated("embedding_bag", {**a, "per_sample_weights": None})[1](g)["weight"]}


def _bags_one_further(a: Arguments) -> Arguments:
    """The bags begin where the bags before them do."""
    return {"offsets": np.concatenate([a["offsets"][:1], a["offsets"][:-1]])} if a["offsets"] is not None else {}


FAULTS = [
    *(
        Fault("zeros beyond the border", name, output, ignoring(name, padding_mode="zeros"))
        for name in ("nn.Conv1d", "nn.Conv2d", "nn.Conv3d")
        for output in ("value", "grad[weight]")
    ),
    Fault(
        "border repeated where it is mirrored", "nn.Conv2d", "grad[x]",
        called("nn.Conv2d", lambda a: {"padding_mode": a["padding_mode"].replace("reflect", "replicate")}),
    ),
    *(
        Fault("kernel turned around", name, "value", _kernel_turned(name))
        for name in ("conv1d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
    ),
    *(
        Fault("groups interleaved", name, "value", called(name, _groups_interleaved))
        for name in ("conv1d", "conv2d", "conv3d", "conv_transpose2d")
    ),
    Fault(
        "same pads the odd element before", "conv1d", "value",
        valued("conv1d", _odd_element_before, when=lambda a: a["padding"] == "same"),
    ),
    Fault("padding ignored in the gradient", "conv_transpose1d", "grad[weight]",
          pulled_back("conv_transpose1d", _cropped_counted)),
    Fault("zeros for output_padding", "conv_transpose1d", "value", valued("conv_transpose1d", _zeros_behind)),
    Fault("rows ordered by tap first", "unfold", "value", valued("unfold", _taps_before_channels)),
    Fault("mean over the blocks", "fold", "value", valued("fold", _mean_over_blocks)),
    Fault("gradient 1 of what falls on the padding", "fold", "grad[x]", pulled_back("fold", _one_on_the_padding)),
    Fault("inputs swapped", "bilinear", "value", bilinear_inputs_swapped),
    Fault("gradients of the inputs swapped", "bilinear", "grad[x]", bilinear_gradients_swapped),
    Fault("max_norm ignored", "embedding", "weight", ignoring("embedding", max_norm=None)),
    Fault("norm_type ignored", "embedding", "value", ignoring("embedding", norm_type=2.0)),
    Fault("scale_grad_by_freq ignored", "embedding", "grad[weight]", ignoring("embedding", scale_grad_by_freq=False)),
    Fault("divided by the frequency twice", "embedding", "grad[weight]", pulled_back("embedding", _frequency_squared)),
    Fault("gradient of the last copy only", "embedding", "grad[weight]", pulled_back("embedding", _last_copy_only)),
    Fault("padding has a gradient", "embedding", "grad[weight]", ignoring("embedding", padding_idx=None)),
    Fault("padding gives 0", "embedding", "value", valued("embedding", _padding_gives_zero, when=_padded)),
    Fault("padding in the sum", "embedding_bag", "value", ignoring("embedding_bag", padding_idx=None)),
    Fault("padding counted in the mean", "embedding_bag", "value",
          valued("embedding_bag", _padding_counted, when=_padded_mean)),
    Fault("gradient without per_sample_weights", "embedding_bag", "grad[weight]",
          pulled_back("embedding_bag", _without_sample_weights)),
    Fault("bags one further", "embedding_bag", "value", called("embedding_bag", _bags_one_further)),
    Fault("max_norm ignored", "embedding_bag", "weight", ignoring("embedding_bag", max_norm=None)),
    Fault("smoothing ignored", "linear_cross_entropy", "value",
          ignoring("linear_cross_entropy", label_smoothing=0.0)),
    Fault("ignore_index ignored", "linear_cross_entropy", "grad[x]",
          called("linear_cross_entropy", lambda a: {"ignore_index": -1} if a["ignore_index"] == 0 else {})),
    Fault("class weights ignored", "linear_cross_entropy", "grad[linear_weight]",
          ignoring("linear_cross_entropy", weight=None)),
]  # fmt: skip
