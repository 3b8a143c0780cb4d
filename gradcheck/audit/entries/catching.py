"""Which tampered observations of an entry the suite notices, and at which case; and the smallest error that it sees."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from gradcheck.audit.entries.bench import Numbers
from gradcheck.audit.entries.trials import EntryTrial, EntryTrials
from gradcheck.audit.findings import Catch, Sensitivity
from gradcheck.audit.sensitivity import PLACES
from gradcheck.audit.tamper import Scene

__all__ = ["entry_catches", "entry_sensitivities"]


def entry_catches(trials: EntryTrials) -> list[Catch]:
    """Every fault of the catalogue in every output, and those of the kind's own."""
    families: dict[str, Numbers] = {}
    for trial in trials:
        if trial.ran:
            for output, numbers in trial.bench.numbers(trial.case, trial.seen).items():
                known = families.setdefault(_family(output), numbers)
                if numbers.array.size > known.array.size:
                    families[_family(output)] = numbers
    found = []
    for tamper, (family, largest) in product(trials.bench.tampers(trials.dtype), families.items()):
        if largest.form.name in tamper.dtypes:
            wrong = partial(_changed, family=family, change=tamper.change)
            # Faults of neighbours, and of what was before, are none of an output that is one number and always new.
            bound = tamper.value_bound or largest.array.size <= 1 or largest.before is largest.array
            found.append(_tried(trials, tamper.name, family, wrong, bound, local=True))
    for special in trials.bench.special:

        def mixed(trial: EntryTrial, change: Any = special.change) -> Any:
            return change(trial.case, trial.seen)

        found.append(_tried(trials, special.name, special.output, mixed, True))
    return found


def _tried(
    trials: EntryTrials,
    name: str,
    output: str,
    wrong: Callable[[EntryTrial], Any],
    value_bound: bool,
    local: bool = False,
) -> Catch:
    struck, status = 0, "agrees"
    for number, trial in enumerate(trials, start=1):
        seen = wrong(trial) if trial.ran else None
        if seen is None:
            continue
        struck += 1
        reported = trial.reported(seen, trial.bench.tampered_at(trial.case, trial.seen) if local else None)
        if reported and reported != "known":
            return Catch(trials.dtype, name, output, number, struck, reported, value_bound)
        own = trial.verdicts[output].status if output in trial.verdicts else "agrees"
        status = reported or ("coarse" if own == "coarse" else status)
    reach = bool(struck or value_bound) or any(wrong(trial) is not None for trial in trials.further())
    return Catch(trials.dtype, name, output, 0, struck, status, value_bound, reach)


def _family(output: str) -> str:
    """Outputs that differ by a number only, such as the gradients of several parameters, are one."""
    return re.sub(r"\d+", "", output)


def _changed(trial: EntryTrial, family: str, change: Callable[[Scene], np.ndarray]) -> Any:
    """What was seen with one output changed and stored; None where that changes nothing."""
    there = [item for item in trial.bench.numbers(trial.case, trial.seen).items() if _family(item[0]) == family]
    if not there:
        return None
    output, numbers = there[trial.case.seed % len(there)]
    if not numbers.array.size or not trial.sound(output):
        return None
    with np.errstate(all="ignore"):
        array = numbers.form.round(change(Scene(numbers.array, numbers.form, trial.case, numbers.before)))
    if np.array_equal(array, numbers.array, equal_nan=True):
        return None
    return trial.bench.replaced(trial.case, trial.seen, output, array)


PER_OCTAVE = 4
OCTAVES = 40
STEP = 2.0 ** (1.0 / PER_OCTAVE)


def entry_sensitivities(trials: EntryTrials, tried: int) -> list[Sensitivity]:
    """The smallest relative error of each output that one of so many cases reports, in roundoffs of its format."""
    best: dict[tuple[str, str], float] = {}
    for _, trial in trials.distinct(tried):
        for name, numbers in trial.bench.numbers(trial.case, trial.seen).items():
            for place, tamper in PLACES.items():
                output = _family(name)
                known = best.setdefault((output, place), math.inf)
                unit = numbers.form.roundoff
                better = known == math.inf or _seen(trial, output, tamper(1.0 + known / STEP * unit))
                if known > 1.0 and better:
                    best[output, place] = _smallest(trial, output, tamper, unit)
    return [Sensitivity(trials.dtype, output, place, found, None) for (output, place), found in sorted(best.items())]


def _seen(trial: EntryTrial, output: str, change: Callable[[Scene], np.ndarray]) -> bool:
    wrong = _changed(trial, output, change)
    if wrong is None:
        return False
    return trial.reported(wrong, trial.bench.tampered_at(trial.case, trial.seen)) not in ("", "known")


def _smallest(trial: EntryTrial, output: str, tamper: Callable[[float], Any], unit: float) -> float:
    """By bisection among powers of 2^(1/4) roundoffs; inf where none is reported."""
    low, high = 0, PER_OCTAVE * OCTAVES
    while low < high:
        middle = (low + high) // 2
        if _seen(trial, output, tamper(1.0 + STEP**middle * unit)):
            high = middle
        else:
            low = middle + 1
    return float(STEP**high) if high < PER_OCTAVE * OCTAVES else math.inf
