"""Conventions at kinks: the reference and PyTorch give what the reference declares, exactly there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import rounding_model
from gradcheck.cases.case import Case
from gradcheck.cli.kinks import page
from gradcheck.reference.evaluate import bounded_outputs
from gradcheck.reference.registry import Kink, Reference, references
from gradcheck.subject.run import run_case
from gradcheck.verdict.compare import error_ratios

KINKS = [(entry, kink) for entry in references().values() for kink in entry.kinks]
IDS = [f"{entry.name}: {kink.where}" for entry, kink in KINKS]


def ones(output: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


def arguments_at(entry: Reference, kink: Kink) -> dict[str, Any]:
    return {
        name: np.asarray(value) if name in entry.arrays and value is not None else value
        for name, value in kink.at.items()
    }


def reference_gives(entry: Reference, kink: Kink) -> list[str]:
    """The outputs that the reference gives otherwise than declared."""
    with np.errstate(all="ignore"):
        bounds = bounded_outputs(entry, arguments_at(entry, kink), ones, rounding_model("float64"))
        declared = {name: np.asarray(value, dtype=np.float64) for name, value in kink.gives.items()}
        return [
            f"{name}: {bounds[name].value} instead of {array}"
            for name, array in declared.items()
            if array.shape != bounds[name].shape or np.any(error_ratios(array, bounds[name]) > 1.0)
        ]


def pytorch_gives(entry: Reference, kink: Kink) -> list[str]:
    """The outputs that PyTorch gives otherwise than declared."""
    arguments = arguments_at(entry, kink)
    observed = run_case(entry, Case(entry.name, (), 0, cotangent="ones"), arguments)
    if observed.outcome != "ran":
        return [observed.words]
    with np.errstate(all="ignore"):
        bounds = bounded_outputs(entry, arguments, ones, rounding_model("float64"))
        return [
            f"{name}: {observed.outputs[name]} instead of {declared}"
            for name, declared in kink.gives.items()
            if np.any(error_ratios(observed.outputs[name], bounds[name]) > 1.0)
        ]


@pytest.mark.parametrize(("entry", "kink"), KINKS, ids=IDS)
def test_the_reference_holds_the_convention(entry: Reference, kink: Kink) -> None:
    assert reference_gives(entry, kink) == []


@pytest.mark.parametrize(("entry", "kink"), KINKS, ids=IDS)
def test_pytorch_holds_the_convention(entry: Reference, kink: Kink) -> None:
    assert pytorch_gives(entry, kink) == []


def test_a_wrong_convention_is_seen() -> None:
    relu = references()["nn.functional.relu"]
    wrong = Kink("x = 0", "half", at={"x": [0.0]}, gives={"grad[x]": [0.5]})
    assert reference_gives(relu, wrong)
    shape = Kink("x = 0", "two numbers", at={"x": [0.0]}, gives={"grad[x]": [0.0, 0.0]})
    assert reference_gives(relu, shape)


def test_the_page_is_up_to_date() -> None:
    written = (Path(__file__).parents[2] / "docs" / "kinks.md").read_text(encoding="utf-8")
    assert written == page(references().values()) + "\n", "run: gradcheck kinks --markdown docs/kinks.md"
