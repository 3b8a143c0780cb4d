"""The gradient scaler of mixed precision training (Micikevicius et al. 2018) as a small state machine: GradScaler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import Bounded, as_dtype, number, rounding_model
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.formats import format_named
from gradcheck.reference.registry import enter

__all__ = ["EVENTS", "SCALER", "Scaler", "bounded_history", "gradients_of_history", "scaler_history"]

EVENTS = ("ok", "inf", "-inf", "nan")
"""What a step of a history meets: finite gradients, or one element that is not."""

SINGLE = format_named("float32")
"""The format of the scale, whatever the gradients are in."""


@dataclass(frozen=True)
class Scaler:
    """The entry of GradScaler. function: from gradients, one row for each step, and options to outputs by name."""

    function: Callable[..., dict[str, Any]]
    name: str = "amp.GradScaler"
    kind: ClassVar[str] = "scaler"
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16", "bfloat16")
    modes: ClassVar[tuple[str, ...]] = ("step", "unscale")
    arrays: ClassVar[tuple[str, ...]] = ("grad",)
    elementwise: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("grad", "history")

    @property
    def title(self) -> str:
        """The first line of the formula's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """PyTorch's options and their defaults."""
        return {
            "init_scale": 2.0**16,
            "growth_factor": 2.0,
            "backoff_factor": 0.5,
            "growth_interval": 2000,
        }

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The options, the events, and the step after which the state is loaded into a new scaler."""
        return {**self.options, "history": (), "resume": None}

    def inputs(self, draw: Any) -> dict[str, Any]:
        """A history of up to twelve steps."""
        steps = draw.choice((1, 2, 3, 4, 7, 12))
        history = tuple(draw.choice(("ok", "ok", "ok", *EVENTS)) for _ in range(steps))
        resume = draw.choice((None, 1, max(steps // 2, 1)))
        return {
            "grad": draw.array(
                (steps, draw.choice((3, 1, 8, 17))), ("ordinary", "wide", "integers", "subnormal", "huge")
            ),
            "init_scale": draw.choice((1024.0, 65536.0, 1.0, 3.0, 2.0**126)),
            "growth_factor": draw.choice((2.0, 1.5, 1024.0)),
            "backoff_factor": draw.choice((0.5, 0.3, 0.001)),
            "growth_interval": draw.choice((2, 1, 3, 2000)),
            "history": history,
            **({} if resume is None else {"resume": resume}),
        }


def gradients_of_history(arguments: dict[str, Any]) -> np.ndarray:
    """The scaled gradients, one row for each step; in a step that is not ``ok`` the first element is what it says."""
    grads = np.array(arguments["grad"])
    for row, event in zip(grads, arguments["history"], strict=True):
        if event != "ok":
            row[0] = float(event)
    return grads


def scaler_history(
    grads: list[Any],
    start: Any,
    *,
    growth_factor: Any,
    backoff_factor: Any,
    growth_interval: int,
    cast: Callable[[Any], Any],
) -> dict[str, Any]:
    """Scales, growth trackers, whether the optimizer steps, scaled losses and unscaled gradients, step by step.

    A row serves as the losses, which are multiplied by the scale, and as the gradients that come back from them.
    The gradients are multiplied by 1/scale, which is rounded to float32 (``cast`` takes it to their dtype). After a
    step with a gradient that is not finite, which is left out, scale ← scale·backoff and the count starts anew; after
    ``growth_interval`` finite ones in a row scale ← scale·growth, unless that overflows, and the count starts anew.
    """
    scale, count = start, 0
    scales, counts, stepped, scaled, unscaled = [scale], [0.0], [], [], []
    for grad in grads:
        scaled.append(grad * cast(scale))
        unscaled.append(grad * cast(1.0 / scale))
        finite = bool(np.all(np.isfinite(getattr(grad, "value", grad))))
        stepped.append(float(finite))
        if finite:
            count += 1
            if count == growth_interval:
                larger = scale * growth_factor
                scale, count = (scale if np.isinf(SINGLE.round(np.float64(larger))) else larger), 0
        else:
            scale, count = scale * backoff_factor, 0
        scales.append(scale)
        counts.append(float(count))
    arrays = {"scale": scales, "scaled": scaled, "unscaled": unscaled}
    exact = {"tracker": np.array(counts), "stepped": np.array(stepped)}
    return {name: np.stack(rows) for name, rows in arrays.items()} | exact


SCALER = enter(Scaler(scaler_history))


def bounded_history(
    entry: Scaler, arguments: dict[str, Any], dtype: str, device: str = "cpu", *, flushed: bool = False
) -> dict[str, Any]:
    """The outputs with running error bounds: the scale in float32, gradients in ``dtype``; flushed: as of the model."""
    model, scales = (rounding_model(form, device, flushed=flushed) for form in (dtype, "float32"))
    options = {**entry.options, **{name: value for name, value in arguments.items() if name in entry.options}}
    start = Bounded(np.float64(np.float32(options.pop("init_scale"))), None, scales)
    factors = {name: lift(options.pop(name), scales) for name in ("growth_factor", "backoff_factor")}

    def cast(inverse: Any) -> Any:
        # Kernels compute in float32 inside 16-bit dtypes, so that there is nothing to round.
        wide = as_dtype(inverse, "float64") if dtype == "float64" else inverse
        return Bounded(wide.value, wide.bound, model, wide.top)

    with np.errstate(all="ignore"):
        rows = [lift_array(row, model) for row in gradients_of_history(arguments)]
        outputs = entry.function(rows, number(1.0, start) * start, **factors, **options, cast=cast)
    outputs["scale"] = _overflown(outputs["scale"])
    return outputs


def _overflown(scales: Bounded) -> Bounded:
    """The scales as they are stored: one beyond the largest number of float32 is inf for certain."""
    over = np.isinf(SINGLE.round(scales.value))
    return Bounded(np.where(over, np.inf, scales.value), np.where(over, 0.0, scales.full_bound()), scales.model)
