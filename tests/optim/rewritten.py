"""PyTorch's own steps with some lines rewritten: what a slip in torch.optim would look like.

The lines are those of the version that FOUND_IN names.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

__all__ = ["DECAY_LAST", "EPS_INSIDE", "LATE", "LATE_CORRECTION", "MAXIMUM_LAST", "NEGATED_DECAY", "rewritten"]

Changes = tuple[tuple[str, str], ...]
"""Each part of the source, and what stands in its place."""

_DECAY, _NEGATED = "alpha=weight_decay)", "alpha=-weight_decay if maximize else weight_decay)"
_SHRINK, _GROW = "1 - lr * weight_decay", "1 + lr * weight_decay * (1 if maximize else -1)"
_LEFT = f".mul_({_SHRINK})"
_UNSHRUNK = (f"param.mul_({_SHRINK})", "pass")
_ADAM_STEP = "param.addcdiv_(exp_avg, denom, value=-step_size)"

_ADAM_ROOT = "(exp_avg_sq.sqrt() / bias_correction2_sqrt).add_(eps)"
_EARLIER = "max(step - 1, 1)"

EPS_INSIDE: dict[str, Changes] = {
    **dict.fromkeys(("Adam", "AdamW"), ((_ADAM_ROOT, "(exp_avg_sq / bias_correction2).add_(eps).sqrt_()"),)),
    "NAdam": (("div(bias_correction2).sqrt()", "div(bias_correction2).add(eps).sqrt()"), ("denom.add_(eps)", "pass")),
    "RAdam": (("exp_avg_sq.sqrt()", "exp_avg_sq.add(eps).sqrt()"), ("exp_avg_sq_sqrt.add_(eps)", "exp_avg_sq_sqrt")),
    "RMSprop": (
        ("square_avg.sqrt()", "square_avg.add(eps).sqrt()"),
        ("value=-1).sqrt_()", "value=-1).add_(eps).sqrt_()"),
        ("avg.add_(eps)", "avg"),
    ),
    "Adagrad": (("state_sum.sqrt().add_(eps)", "state_sum.add(eps).sqrt_()"),),
    "SparseAdam": ((".sqrt_().add_(eps)", ".add_(eps).sqrt_()"),),
}

LATE: dict[str, Changes] = {
    **dict.fromkeys(("Adam", "AdamW", "NAdam", "RAdam"), (("_get_value(step_t)", "max(_get_value(step_t) - 1, 1)"),)),
    "Adamax": (("beta1 ** _get_value(step_t)", "beta1 ** max(_get_value(step_t) - 1, 1)"),),
    "SparseAdam": (("step = state_steps[i]", "step = max(state_steps[i] - 1, 1)"),),
}
"""The step counts as the one before."""

LATE_CORRECTION: dict[str, Changes] = {
    "NAdam": (("beta2**step", f"beta2**{_EARLIER}"),),
    "RAdam": (
        ("1 - beta1**step", f"1 - beta1**{_EARLIER}"),
        ("(bias_correction2**0.5)", f"((1 - beta2**{_EARLIER}) ** 0.5)"),
    ),
}
"""The same in the bias corrections, and nowhere else."""

DECAY_LAST: dict[str, Changes] = {
    **dict.fromkeys(("Adam", "AdamW"), (_UNSHRUNK, (_ADAM_STEP, _ADAM_STEP + _LEFT))),
    "NAdam": (
        _UNSHRUNK,
        ("(1.0 - mu_product_next)),\n            )", f"(1.0 - mu_product_next)),\n            ){_LEFT}"),
    ),
    "RAdam": (
        _UNSHRUNK,
        ("alpha=-1.0,\n                )", f"alpha=-1.0,\n                ){_LEFT}"),
        ("lr, alpha=-1.0)", f"lr, alpha=-1.0){_LEFT}"),
    ),
    "Adafactor": (_UNSHRUNK, ("/ denom)", f"/ denom){_LEFT}")),
    "Muon": (_UNSHRUNK, ("alpha=-adjusted_lr)", f"alpha=-adjusted_lr){_LEFT}")),
}

COUPLED = ("Adam", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "ASGD", "SGD")
NEGATED_DECAY: dict[str, Changes] = {
    **dict.fromkeys(COUPLED, ((_DECAY, _NEGATED),)),
    **dict.fromkeys(("AdamW", "Adafactor"), ((_SHRINK, _GROW),)),
}

MAXIMUM_LAST: dict[str, Changes] = dict.fromkeys(
    ("Adam", "AdamW"),
    (
        ("(max_exp_avg_sqs[i], exp_avg_sq, out", "(max_exp_avg_sqs[i], exp_avg_sq / bias_correction2, out"),
        ("(max_exp_avg_sqs[i].sqrt() / bias_correction2_sqrt)", "max_exp_avg_sqs[i].sqrt()"),
    ),
)


def _place(name: str) -> tuple[Any, str]:
    """The module and the name of the function that takes the step of the for-loop."""
    if name == "SparseAdam":
        return torch.optim._functional, "sparse_adam"
    module = {"AdamW": "adam", "Adafactor": "_adafactor", "Muon": "_muon"}.get(name, name.lower())
    return import_module(f"torch.optim.{module}"), f"_single_tensor_{module.removeprefix('_')}"


@contextmanager
def rewritten(name: str, changes: Changes) -> Iterator[None]:
    """The for-loop of torch.optim's class, changed so. Raises AssertionError where its source has no such part."""
    module, function = _place(name)
    own = getattr(module, function)
    source = textwrap.dedent(inspect.getsource(own))
    for part, other in changes:
        assert part in source, f"{function} has no {part!r}"
        source = source.replace(part, other)
    scope = dict(vars(module))
    exec(compile(source, f"<{function}, rewritten>", "exec"), scope)
    setattr(module, function, scope[function])
    try:
        yield
    finally:
        setattr(module, function, own)
