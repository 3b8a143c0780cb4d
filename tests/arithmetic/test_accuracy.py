"""Published accuracies: complete, no less than correct rounding, and met by the NumPy and SciPy of the reference."""

from __future__ import annotations

import re

import flint
import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import Bounded, accuracy, ball_precision, rounding_model
from gradcheck.arithmetic.accuracy import ACCURACY
from gradcheck.cases.inputs import Bits

FUNCTIONS = {name: special.erf if name == "erf" else getattr(np, name) for name in ACCURACY}
EXPONENT = 0.7


@pytest.mark.parametrize("name", ACCURACY)
def test_every_entry_has_all_columns_and_is_no_better_than_correct_rounding(name: str) -> None:
    assert ACCURACY[name].keys() == {"cpu", "cuda", "reference"}
    assert all(ulps >= 0.5 for ulps in ACCURACY[name].values())
    assert FUNCTIONS[name] in Bounded.ufuncs


def test_every_entry_has_its_source_beside_it() -> None:
    with open(accuracy.__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for name in ACCURACY:
        above = lines[next(i for i, line in enumerate(lines) if f'"{name}": {{' in line) - 1]
        assert re.search(r"#.*SLEEF \d.*glibc \d.*CUDA: \w+ \d", above), name


@pytest.mark.parametrize("name", ACCURACY)
def test_the_reference_itself_is_as_accurate_as_is_published(name: str) -> None:
    """Against Arb; one ulp is at most 2^-52 of the value."""
    x = Bits("accuracy", name).scaled(-20, 3, 4000)
    x = np.abs(x) if name in ("log", "power") else np.where(x > -1.0, x, -0.5) if name == "log1p" else x
    with ball_precision(200):
        true = [flint.arb(v) ** EXPONENT if name == "power" else getattr(flint.arb(v), name)() for v in x.tolist()]
        ulps = [
            float(abs(flint.arb(got) - t) / abs(t)) / 2.0**-52
            for got, t in zip(FUNCTIONS[name](x, *[EXPONENT] * (name == "power")).tolist(), true, strict=True)
        ]
    assert max(ulps) <= ACCURACY[name]["reference"]


def test_the_bound_counts_the_devices_own_accuracy() -> None:
    cpu, cuda = rounding_model("float32"), rounding_model("float32", "cuda:0")
    assert cuda.device == "cuda"
    assert cuda.elementary("erf") - cpu.elementary("erf") >= 2.0 * 2.0**-24
    assert cuda.elementary("exp") == cpu.elementary("exp")


def test_a_narrower_format_rounds_the_librarys_result_once_more() -> None:
    fine, coarse = rounding_model("bfloat16"), rounding_model("bfloat16", grade="coarse")
    assert fine.elementary("exp") < 2.1 * 2.0**-24
    assert coarse.elementary("exp") == fine.elementary("exp") + 2.0**-8


def test_the_references_own_error_counts_too() -> None:
    assert rounding_model("float64").elementary("erf") >= 2.0 * (1.0 + 1.67) * 2.0**-53
