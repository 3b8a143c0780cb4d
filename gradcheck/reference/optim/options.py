"""Which options an optimizer, and what goes around it, takes: what is no value of an option is refused in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MATRICES", "TENSORS", "TENSOR_FORMATS", "is_number", "is_whole", "refusal"]

LEAST: dict[str, float] = dict.fromkeys(
    ("lr", "eps", "weight_decay", "momentum", "lr_decay", "initial_accumulator_value", "momentum_decay", "rho"), 0.0
) | {"d": 1.0, "ns_steps": 0, "max_iter": 0, "history_size": 1, "max_eval": 1, "decay": 0.0}
MOST: dict[str, float] = {"rho": 1.0, "beta2_decay": 0.0, "ns_steps": 99, "decay": 1.0}
NAMES: dict[str, tuple[str | None, ...]] = {
    "adjust_lr_fn": (None, "original", "match_rms_adamw"),
    "line_search_fn": (None, "strong_wolfe"),
    "average": ("swa", "ema"),
}
TENSORS: dict[str, tuple[str, ...]] = {
    "lr": (), "betas": ("optim.Adam", "optim.AdamW"), "weight_decay": ("optim.SGD",)
}  # fmt: skip
"""Options that may be tensors of one element, and the classes that say so; lr may be one in any class that has it."""
TENSOR_FORMATS = ("float64", "float32", "float16", "bfloat16")
MATRICES = ("optim.Muon",)
"""Classes that take parameters of two dimensions alone."""
WORDS = {"norm_type": ("inf",)}
"""Words that stand for numbers."""
POSITIVE = {"optim.SparseAdam": ("lr", "eps")}
"""Options that may not be zero either."""


def refusal(name: str, defaults: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Why what is called ``name`` does not take these options: ``lr=-1.0, expected …``; empty if it does.

    defaults: of all its options; they say of which kind a value has to be.
    """
    for option, value in options.items():
        if option not in defaults:
            continue
        expected = _kind(option, value, defaults[option]) or _range(name, option, value)
        if expected:
            return f"{option}={value!r}, expected {expected}"
    given = {**defaults, **options}
    if given.get("nesterov") and "dampening" in given and (given["momentum"] <= 0.0 or given["dampening"] != 0.0):
        wrong = f"momentum={given['momentum']!r} and dampening={given['dampening']!r}"
        return f"nesterov=True with {wrong}, expected a momentum and no dampening"
    return ""


def is_number(value: Any) -> bool:
    """Whether it is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """The same of a whole one."""
    return is_number(value) and isinstance(value, int)


def _kind(option: str, value: Any, default: Any) -> str:
    """What the value should be like; empty if it is."""
    if option in NAMES:
        return "" if value in NAMES[option] else ", ".join(map(repr, NAMES[option]))
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "True or False"
    if isinstance(default, tuple):
        right = isinstance(value, tuple) and len(value) == len(default)
        right = right and all(is_number(a) or a is b is None for a, b in zip(value, default, strict=True))
        return "" if right else f"{len(default)} numbers"
    if default is None:
        return "" if value is None or isinstance(value, int) else "an integer or None"
    if option in ("ns_steps", "max_iter", "history_size", "growth_interval"):
        return "" if is_whole(value) else "an integer"
    return "" if is_number(value) or value in WORDS.get(option, ()) else "a number"


def _range(name: str, option: str, value: Any) -> str:
    if option == "betas":
        return "" if all(0.0 <= beta < 1.0 for beta in value) else "0 <= beta < 1 for both"
    if option == "etas":
        return "" if 0.0 < value[0] < 1.0 < value[1] else "0 < first < 1 < second"
    if option in ("growth_factor", "backoff_factor"):
        right = value > 1.0 if option == "growth_factor" else value < 1.0
        return "" if right else f"a number {'>' if option == 'growth_factor' else '<'} 1"
    if option == "alpha" and name == "optim.RMSprop":
        return "" if value >= 0.0 else "a number >= 0"
    parts = [part for part in (value if isinstance(value, tuple) else (value,)) if part is not None]
    if option in POSITIVE.get(name, ()) and not all(part > 0.0 for part in parts):
        return "a number > 0"
    if option in LEAST and not all(part >= LEAST[option] for part in parts):
        return f"a number >= {LEAST[option]:g}"
    if option in MOST and not all(part <= MOST[option] for part in parts):
        return f"a number <= {MOST[option]:g}"
    return ""
