"""Wrong padding, rearranging, sampling, interpolation and dropout: each right but for one mistake that people make."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.registry import reference_named
from tests.planted.formulas import Formula, called, ignoring, pulled_back, valued
from tests.planted.plant import Fault

__all__ = ["FAULTS"]

Arguments = dict[str, Any]


def _value(name: str, arguments: Arguments) -> Any:
    return reference_named(f"nn.functional.{name}").function(**arguments)[0]


def _instead(name: str, parameter: str, wrong: Any, *, of: Any) -> Formula:
    """One value of a parameter taken for another."""
    return called(name, lambda a: {parameter: wrong} if a[parameter] == of else {})


def _other_corners(name: str) -> Formula:
    return called(name, lambda a: {"align_corners": not a["align_corners"]})


# Padding and rearranging.


def _first_dimension_first(a: Arguments) -> Arguments:
    pairs = [a["pad"][i : i + 2] for i in range(0, len(a["pad"]), 2)]
    return {"pad": tuple(width for pair in reversed(pairs) for width in pair)}


def _ends_repeated(value: Any, a: Arguments) -> Any:
    """Mirrored at the outer edges of the first and last element, as NumPy's ``symmetric``."""
    widths = [a["pad"][i : i + 2] for i in range(0, len(a["pad"]), 2)][::-1]
    for axis, (before, after) in enumerate(widths, start=np.ndim(value) - len(widths)):
        places = np.arange(np.shape(value)[axis])
        places = np.where(places < before, places + 1, places)
        places = np.where(places >= len(places) - after, places - 1, places)
        value = np.take(value, np.clip(places, 0, len(places) - 1), axis=axis)
    return value


def _copies_forgotten(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    """The cotangent of the middle alone."""
    widths = [a["pad"][i : i + 2] for i in range(0, len(a["pad"]), 2)][::-1]
    sides = np.shape(g)[np.ndim(g) - len(widths) :]
    middle = (slice(before, side - after) for (before, after), side in zip(widths, sides, strict=True))
    return {"x": g[(..., *middle)]} if a["mode"] != "constant" else {}


def _turned(name: str) -> Formula:
    """Rows and columns of a block interchanged."""
    return valued(name, lambda value, a: np.swapaxes(_value(name, {**a, "x": np.swapaxes(a["x"], -1, -2)}), -1, -2))


# Sampling.


def _coordinates_swapped(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    return {"grid": np.flip(gradients["grid"], axis=-1)}


def _pixels_for_units(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    """The gradient by the place in pixels, not by the number in the grid."""
    sides = np.array(np.shape(a["x"])[:1:-1], dtype=np.float64) / 2.0
    return {"grid": gradients["grid"] / sides} if not a["align_corners"] else {}


# Interpolation.


def _shares_uneven(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    """The gradient of the sum, for the mean over windows."""
    points = float(np.prod(np.shape(a["x"])[2:])) / float(np.prod(np.shape(g)[2:]))
    return {"x": gradients["x"] * points} if a["mode"] == "area" else {}


# Dropout.


def _kept_as_they_are(value: Any, a: Arguments) -> Any:
    return value * (1.0 - a["p"])


def _not_centred(value: Any, a: Arguments) -> Any:
    """Zeros for what is dropped, as in plain dropout."""
    return np.where(a["mask"], value, np.zeros_like(value))


def _in_training(a: Arguments) -> bool:
    return bool(a["training"]) and 0.0 < float(a["p"]) < 1.0


def _dropped_passes(g: Any, gradients: Arguments, a: Arguments) -> Arguments:
    return {"x": g / (1.0 - a["p"])} if _in_training(a) else {}


DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d")
ALPHAS = ("alpha_dropout", "feature_alpha_dropout")

FAULTS = [
    Fault("pairs from the first dimension on", "pad", "value", called("pad", _first_dimension_first)),
    Fault("ends repeated by reflect", "pad", "value", valued("pad", _ends_repeated, lambda a: a["mode"] == "reflect")),
    Fault("replicate as circular", "pad", "value", _instead("pad", "mode", "circular", of="replicate")),
    Fault("value ignored", "pad", "value", ignoring("pad", value=None)),
    Fault("copies without gradient", "pad", "grad[x]", pulled_back("pad", _copies_forgotten)),
    Fault("rows for columns", "pixel_shuffle", "value", _turned("pixel_shuffle")),
    Fault("rows for columns", "pixel_unshuffle", "value", _turned("pixel_unshuffle")),
    Fault(
        "groups for channels of a group",
        "channel_shuffle",
        "value",
        called("channel_shuffle", lambda a: {"groups": np.shape(a["x"])[1] // a["groups"]}),
    ),
    Fault("the other corners", "affine_grid", "value", _other_corners("affine_grid")),
    Fault("y before x", "affine_grid", "value", valued("affine_grid", lambda value, a: np.flip(value, axis=-1))),
    Fault("the other corners", "grid_sample", "value", _other_corners("grid_sample")),
    Fault("border as zeros", "grid_sample", "value", _instead("grid_sample", "padding_mode", "zeros", of="border")),
    Fault(
        "reflection as border",
        "grid_sample",
        "value",
        _instead("grid_sample", "padding_mode", "border", of="reflection"),
    ),
    Fault("bicubic as bilinear", "grid_sample", "grad[x]", _instead("grid_sample", "mode", "bilinear", of="bicubic")),
    Fault("y before x", "grid_sample", "grad[grid]", pulled_back("grid_sample", _coordinates_swapped)),
    Fault("by pixels", "grid_sample", "grad[grid]", pulled_back("grid_sample", _pixels_for_units)),
    Fault("corners never aligned", "interpolate", "value", ignoring("interpolate", align_corners=False)),
    Fault("antialias ignored", "interpolate", "value", ignoring("interpolate", antialias=False), dtypes=("float64",)),
    Fault("factor not recomputed", "interpolate", "value", ignoring("interpolate", recompute_scale_factor=None)),
    Fault(
        "nearest for nearest-exact",
        "interpolate",
        "value",
        _instead("interpolate", "mode", "nearest", of="nearest-exact"),
    ),
    Fault("gradient of a sum for area", "interpolate", "grad[x]", pulled_back("interpolate", _shares_uneven)),
    Fault(
        "nearest-exact",
        "upsample_nearest",
        "value",
        valued("upsample_nearest", lambda value, a: _value("interpolate", {**a, "mode": "nearest-exact"})),
    ),
    Fault(
        "corners not aligned",
        "upsample_bilinear",
        "value",
        valued("upsample_bilinear", lambda value, a: _value("interpolate", {**a, "mode": "bilinear"})),
    ),
    *(Fault("kept ones not scaled", name, "value", valued(name, _kept_as_they_are, _in_training)) for name in DROPOUTS),
    *(Fault("dropped ones pass", name, "grad[x]", pulled_back(name, _dropped_passes)) for name in DROPOUTS),
    *(Fault("always training", name, "value", ignoring(name, training=True)) for name in (*DROPOUTS, *ALPHAS)),
    *(Fault("dropped ones at zero", name, "value", valued(name, _not_centred, _in_training)) for name in ALPHAS),
    *(
        Fault("mask turned around", name, "value", called(name, lambda a: {"mask": ~a["mask"]}))
        for name in (*DROPOUTS, *ALPHAS)
    ),
]
