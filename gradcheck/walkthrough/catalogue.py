"""What ``gradcheck walkthrough`` can be asked for by name, without importing torch."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence

from gradcheck.errors import UsageError, choices
from gradcheck.reference.training import MODELS
from gradcheck.walkthrough.figures import Report

__all__ = ["NAMES", "SEEDS", "chosen", "run_scenario"]

SEEDS = ("000", "001", "002", "003", "004")
NAMES = (*MODELS, *SEEDS)


def chosen(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The models and the walkthroughs that are asked for, all for none; ``seed_000`` is another name of ``000``.

    Raises UsageError with the nearest names.
    """
    wanted = [name.removeprefix("seed_") for name in names] or list(NAMES)
    for name in wanted:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"expected {choices(NAMES)}."
            raise UsageError(f"walkthrough {name!r} is not known; {hint}")
    return [name for name in MODELS if name in wanted], [name for name in SEEDS if name in wanted]


def run_scenario(seed: str, device: str = "cpu") -> Report:
    """The report of a walkthrough's scenario."""
    report: Report = importlib.import_module(f"gradcheck.walkthrough.seed_{seed}").scenario(device)
    return report
