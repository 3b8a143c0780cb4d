"""Published accuracies: complete, no less than correct rounding, and met by the NumPy and SciPy of the reference."""

from __future__ import annotations

import re

import flint
import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import Bounded, accuracy, ball_precision, rounding_model
from gradcheck.arithmetic.accuracy import ACCURACY
from gradcheck.arithmetic.carrier import HAS_WIDE, WIDE, wide_erf
from gradcheck.arithmetic.running import lift_array
from gradcheck.cases.inputs import Bits
from gradcheck.certify.bounds import exact_ball

FUNCTIONS = {name: special.erf if name == "erf" else getattr(np, name) for name in ACCURACY}
EXPONENT = 0.7


@pytest.mark.parametrize("name", ACCURACY)
def test_every_entry_has_all_columns_and_is_no_better_than_correct_rounding(name: str) -> None:
    assert ACCURACY[name].keys() == {"cpu", "cuda", "opencl", "reference", "wide"}
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


@pytest.mark.skipif(not HAS_WIDE, reason="np.longdouble is no wider than float64 here")
@pytest.mark.parametrize("name", ACCURACY)
def test_the_wide_reference_is_as_accurate_as_is_published(name: str) -> None:
    """Against Arb, in units of 2^-63 of the value, which no ulp of 64 or more bits exceeds."""
    x = Bits("accuracy", name).scaled(-20, 3, 4000)
    x = np.abs(x) if name in ("log", "power") else np.where(x > -1.0, x, -0.5) if name == "log1p" else x
    wide = x.astype(WIDE) * (1 + WIDE(2.0**-57))
    function = wide_erf if name == "erf" else FUNCTIONS[name]
    with ball_precision(200):
        exact = [exact_ball(v) for v in wide]
        true = [v ** flint.arb(EXPONENT) if name == "power" else getattr(v, name)() for v in exact]
        units = [
            float(abs(exact_ball(got) - t) / abs(t)) / 2.0**-63
            for got, t in zip(function(wide, *[WIDE(EXPONENT)] * (name == "power")), true, strict=True)
        ]
    assert max(units) <= ACCURACY[name]["wide"]


def test_the_wide_erf_joins_its_two_forms_and_has_the_limits_and_signs_of_erf() -> None:
    x = np.concatenate([np.linspace(2.5, 3.5, 801), [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, -7.0]])
    got = wide_erf(x)
    assert got.dtype == WIDE
    rounded = got.astype(np.float64)
    assert np.array_equal(np.signbit(got), np.signbit(special.erf(x)))
    assert (np.abs(rounded - special.erf(x)) <= 4.0 * np.spacing(np.abs(rounded)))[np.isfinite(x)].all()
    assert np.array_equal(rounded[~np.isfinite(x)], special.erf(x[~np.isfinite(x)]), equal_nan=True)
    assert wide_erf(np.float64(0.5)).shape == ()


def test_the_bound_counts_the_devices_own_accuracy() -> None:
    cpu, cuda = rounding_model("float32"), rounding_model("float32", "cuda:0")
    assert cuda.device == "cuda"
    # CUDA counts its ulps from the correctly rounded result, OpenCL from the true one.
    assert cuda.elementary("erf") - cpu.elementary("erf") >= 2.0 * 1.5 * 2.0**-24
    other = rounding_model("float32", "xpu:1")
    assert other.elementary("erf") - cpu.elementary("erf") >= 2.0 * 15.0 * 2.0**-24


def test_a_device_without_a_column_has_that_of_opencl() -> None:
    assert accuracy.largest_error("tanh", "mps") == ACCURACY["tanh"]["opencl"]
    assert accuracy.largest_error("tanh", "cuda") == ACCURACY["tanh"]["cuda"]


def test_a_narrower_format_rounds_the_librarys_result_once_more() -> None:
    fine, coarse = rounding_model("bfloat16"), rounding_model("bfloat16", grade="coarse")
    assert fine.elementary("exp") < 2.1 * 2.0**-24
    assert coarse.elementary("exp") == fine.elementary("exp") + 2.0**-8


def test_the_references_own_error_counts_too() -> None:
    assert rounding_model("float64").elementary("erf") >= 2.0 * (1.0 + 1.67) * 2.0**-53


def test_a_wide_reference_adds_next_to_nothing_of_its_own() -> None:
    narrow, wide = rounding_model("float64"), rounding_model("float64", wide=True)
    assert narrow.unit >= 2.0 * 2.0**-53
    if not HAS_WIDE:
        assert wide.unit == narrow.unit
        return
    assert 2.0**-53 < wide.unit < 1.001 * 2.0**-53
    assert 2.0 * 2.0**-53 < wide.elementary("exp") < 2.01 * 2.0**-53
    assert rounding_model("float32", wide=True).unit == rounding_model("float32").unit
    assert rounding_model("float32", wide=True).casting_to("float64") is wide


def test_a_reciprocal_root_is_one_function_on_accelerators() -> None:
    """As wrong as is published there, and a root and a quotient on the CPU; a quotient by any other number is that."""
    x = np.array([3.0, 5.0])
    for device, ulps in (("cpu", 0.0), ("cuda", 2.5), ("mps", 2.0)):
        model = rounding_model("float32", device)
        root = np.sqrt(lift_array(x, model))
        other = Bounded(root.value, root.bound, model)
        extra = (1.0 / root).bound - (1.0 / other).bound
        assert np.all(extra >= 2.0 * ulps * 2.0**-24 / np.sqrt(x) * (1.0 - 2.0**-20)), device
        assert np.any(extra > 0.0) == (device != "cpu")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_every_device_has_every_number(dtype: str) -> None:
    """mps and xpu have no column of their own; a formula must not ask for one."""
    for device in ("cpu", "cuda:1", "mps", "xpu"):
        model = rounding_model(dtype, device)
        for name, function in FUNCTIONS.items():
            x = lift_array(np.array([0.5, 0.75]), model)
            found = function(x, 0.7) if name == "power" else function(x)
            assert np.all(found.bound > 0.0), (device, name)
