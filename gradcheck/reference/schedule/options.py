"""Which options a scheduler takes: what PyTorch documents that it refuses is refused in words before anything runs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from gradcheck.errors import choices
from gradcheck.reference.optim.options import is_number, is_whole
from gradcheck.reference.schedule.compose import options_of, schedule_of
from gradcheck.reference.schedule.evaluate import own_options
from gradcheck.reference.schedule.schedule import MOMENTUM, Schedule

__all__ = ["refusal"]

WHOLE: dict[str, float] = dict.fromkeys(
    ("step_size", "T_max", "T_0", "T_mult", "total_steps", "epochs", "steps_per_epoch", "step_size_up"), 1
) | {"step_size_down": 0, "anneal_epochs": 0, "total_iters": -math.inf, "patience": -math.inf, "cooldown": -math.inf}
"""Options that are whole numbers, and their least."""

NAMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("CyclicLR", "mode"): ("triangular", "triangular2", "exp_range"),
    ("CyclicLR", "scale_mode"): ("cycle", "iterations"),
    ("OneCycleLR", "anneal_strategy"): ("cos", "linear"),
    ("SWALR", "anneal_strategy"): ("cos", "linear"),
    ("ReduceLROnPlateau", "mode"): ("min", "max"),
    ("ReduceLROnPlateau", "threshold_mode"): ("rel", "abs"),
}

RANGES: dict[tuple[str, str], tuple[str, float, float]] = {
    ("ConstantLR", "factor"): ("0 <= factor <= 1", 0.0, 1.0),
    ("LinearLR", "start_factor"): ("0 < start_factor <= 1", math.ulp(0.0), 1.0),
    ("LinearLR", "end_factor"): ("0 <= end_factor <= 1", 0.0, 1.0),
    ("ReduceLROnPlateau", "factor"): ("factor < 1", -math.inf, math.nextafter(1.0, 0.0)),
    ("OneCycleLR", "pct_start"): ("0 <= pct_start <= 1", 0.0, 1.0),
}
"""In words, and the least and the largest number."""


def refusal(entry: Schedule, arguments: Mapping[str, Any]) -> str:
    """Why the scheduler takes no such (completed) arguments: ``step_size=0, expected …``; empty if it does."""
    options = own_options(entry, dict(arguments))
    for option, value in options.items():
        if expected := _expected(entry, option, value):
            return f"{option}={value!r}, expected {expected}"
    return _together(entry.name.rpartition(".")[2], {**entry.options, **options}, arguments)


def _expected(entry: Schedule, option: str, value: Any) -> str:
    """What the value should be like; empty if it is. One for each group may be given of some options."""
    if option == "schedulers":
        return _expected_parts(value)
    if option == "milestones":
        right = isinstance(value, tuple) and all(map(is_whole, value))
        return "" if right else "a tuple of whole numbers"
    if option in entry.functions or (value is None and entry.options[option] is None):
        return ""
    if isinstance(value, tuple) and option in entry.grouped:
        return next(filter(None, (_expected_one(entry, option, part) for part in value)), "")
    return _expected_one(entry, option, value)


def _expected_one(entry: Schedule, option: str, value: Any) -> str:
    place = entry.name.rpartition(".")[2], option
    if place in NAMES:
        return "" if value in NAMES[place] else choices(NAMES[place])
    if isinstance(entry.options[option], bool):
        return "" if isinstance(value, bool) else "True or False"
    if option in WHOLE:
        least = WHOLE[option]
        words = "a whole number" + (f" >= {least}" if math.isfinite(least) else "")
        return "" if is_whole(value) and value >= least else words
    if not is_number(value):
        return "a number"
    words, least, most = RANGES.get(place, ("", -math.inf, math.inf))
    return "" if least <= value <= most or not words else words


def _together(name: str, given: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Options that do not go together."""
    if name == "OneCycleLR":
        total = given["total_steps"] or (given["epochs"] or 0) * (given["steps_per_epoch"] or 0)
        if not total:
            return "no total_steps, expected it, or epochs and steps_per_epoch"
        if arguments["steps"] > total:
            return f"steps={arguments['steps']}, expected at most the {total} that the cycle has"
    if given.get("cycle_momentum") and arguments["optimizer"] not in MOMENTUM:
        return (
            f"cycle_momentum=True with optimizer={arguments['optimizer']!r}, which has no momentum; expected False, or"
            f" {choices(MOMENTUM)}"
        )
    if name == "SequentialLR" and len(given["milestones"]) != len(given["schedulers"]) - 1:
        return f"milestones={given['milestones']!r}, expected one fewer than the {len(given['schedulers'])} schedulers"
    return ""


def _expected_parts(parts: Any) -> str:
    """Of schedules that are made of others: what is wrong with them."""
    if not isinstance(parts, tuple) or not parts:
        return "one schedule or more, each ('StepLR', ('step_size', 3), …)"
    for part in parts:
        if not isinstance(part, tuple) or not part or not isinstance(part[0], str) or not all(map(_is_pair, part[1:])):
            return f"each to be a name and pairs of an option and its value, not {part!r}"
        if part[0] == "ReduceLROnPlateau":
            return "no ReduceLROnPlateau, which PyTorch does not take as a part"
        entry, own = schedule_of(part), options_of(part)
        if unknown := own.keys() - entry.options.keys():
            return f"options of {part[0]} alone, not {min(unknown)}"
        needed = {name for name, default in entry.options.items() if default is inspect.Parameter.empty}
        if missing := needed - own.keys():
            return f"{part[0]} to have {min(missing)}"
        if wrong := refusal(entry, {"steps": 0, "optimizer": MOMENTUM[0], **own}):
            return f"{part[0]} to be right: {wrong}"
    return ""


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)
