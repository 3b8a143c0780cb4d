"""The whole: summaries of certificates, how they print, and which cases they are of."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic.functions import number
from gradcheck.cases.case import parse_case
from gradcheck.cases.draw import REAL_KINDS
from gradcheck.certify import Certificate, Summary, certify, certify_case
from gradcheck.certify.bounds import MODELS, accepts_anything, float64_differs
from gradcheck.certify.certificate import COLUMNS
from gradcheck.certify.draw import SMOOTH, any_case, is_smooth, smooth_case
from gradcheck.reference.registry import reference_named, references

GELU = reference_named("nn.functional.gelu")


def test_a_right_reference_is_certified() -> None:
    summary = certify(GELU, cases=4)
    assert summary.certified
    assert summary.cases == 8
    assert summary.derivatives >= 2
    assert summary.digits is not None
    assert summary.digits >= 40
    assert set(summary.simulated) == {dtype if grade == "agrees" else f"{dtype} {grade}" for dtype, grade in MODELS}
    assert max(summary.simulated.values()) <= 1.0


def wrong_gelu(x: Any, *, approximate: str) -> Any:
    value, vjp = GELU.function(x, approximate=approximate)
    return value, lambda g: {"x": vjp(g)["x"] * (1.0 + number(1e-30, x))}


def test_a_wrong_reference_is_not() -> None:
    summary = certify(replace(GELU, function=wrong_gelu), cases=4)
    assert not summary.certified
    assert summary.digits == 0.0
    assert all(failure.startswith("nn.functional.gelu(") for failure in summary.failures)


def loose_normalize(x: Any, **options: Any) -> Any:
    """A quotient whose divisor may be 0 for all that its bound knows."""
    value, vjp = NORMALIZE.function(x, **options)
    size = x * x
    count = np.sum(np.where(size == np.max(size), 1.0, np.zeros_like(x)))
    return value, lambda g: {"x": vjp(g)["x"] / count}


NORMALIZE = reference_named("nn.functional.normalize")


def test_a_bound_that_accepts_anything_is_no_certificate() -> None:
    tame = parse_case("nn.functional.normalize(x=ordinary(4), p=3.0, dim=0, eps=1e-12) seed=1 dtype=float64")
    assert not accepts_anything(NORMALIZE, tame)
    words = accepts_anything(replace(NORMALIZE, function=loose_normalize), tame)
    assert "4 of 4 elements of grad[x] have no finite bound" in words
    wild = parse_case("nn.functional.normalize(x=huge(4), p=3.0, dim=0, eps=1e-12) seed=1 dtype=float64")
    assert not accepts_anything(replace(NORMALIZE, function=loose_normalize), wild)


def plainly_halved(x: Any, **options: Any) -> Any:
    """Wrong in float64 alone: arrays of the two arithmetics are told apart."""
    value, vjp = NORMALIZE.function(x, **options)
    return value, lambda g: {"x": vjp(g)["x"] * (0.5 if isinstance(x, np.ndarray) else 1.0)}


def test_a_formula_that_is_another_in_float64_is_told() -> None:
    case = parse_case("nn.functional.normalize(x=ordinary(4), p=3.0, dim=0, eps=1e-12) seed=1 dtype=float64")
    assert not float64_differs(NORMALIZE, case)
    assert "in float64 and" in float64_differs(replace(NORMALIZE, function=plainly_halved), case)


@pytest.mark.parametrize("p", ["inf", "2.0"])
def test_distances_have_bounds(p: str) -> None:
    """The largest difference was compared with itself, which left it open for ever whether it is the largest."""
    line = f"nn.functional.pairwise_distance(x=ordinary(3, 4), x2=ordinary(3, 4), p={p}, eps=1e-06, keepdim=False)"
    assert not accepts_anything(
        reference_named("nn.functional.pairwise_distance"), parse_case(f"{line} seed=1 dtype=float64")
    )


def test_the_seed_decides_everything() -> None:
    assert certify(GELU, cases=2, seed=5) == certify(GELU, cases=2, seed=5)
    assert smooth_case(GELU, 0, 0) != smooth_case(GELU, 1, 0)


def test_a_certificate_is_of_a_line_that_replays() -> None:
    case = any_case(GELU, 0, 3)
    certificate = certify_case(GELU, case)
    assert parse_case(certificate.case) == case
    assert certify_case(GELU, parse_case(certificate.case)) == certificate


def test_a_summary_takes_the_worst() -> None:
    good = Certificate("op", "a", 48.2, 160, 0.25, {"float64": 0.5, "float32": 0.1}, ())
    bad = Certificate("op", "b", 41.9, 320, 0.75, {"float64": 0.4, "float32": math.inf}, ("op(b): wrong.",))
    mute = Certificate("op", "c", None, 160, None, {}, ())
    summary = Summary.of("op", [good, bad, mute], "where x = 0")
    assert (summary.cases, summary.derivatives, summary.truths) == (3, 2, 2)
    assert (summary.digits, summary.bits, summary.truth) == (41.9, 320, 0.75)
    assert summary.simulated == {"float64": 0.5, "float32": math.inf}
    assert summary.failures == ("op(b): wrong.",)
    assert summary.row() == ("op", "3", "2", "41", "320", "0.75", "inf", "1")
    plain = json.loads(json.dumps(summary.as_json(), allow_nan=False))
    assert plain["simulated_over_bound"] == {"float64": 0.5, "float32": "inf"}
    assert plain["digits"] == 41
    assert plain["convention"] == "where x = 0"
    assert not plain["certified"]


@pytest.mark.parametrize(("digits", "cell"), [(-math.inf, "0"), (math.inf, "inf"), (None, "-"), (40.9, "40")])
def test_digits_of_any_proof_have_a_cell(digits: float | None, cell: str) -> None:
    """None are certain; both sides are one number; there was nothing to prove."""
    summary = Summary.of("op", [Certificate("op", "a", digits, 160, 0.5, {}, ())])
    assert summary.row()[3] == cell
    assert json.dumps(summary.as_json(), allow_nan=False)


def test_what_was_never_compared_is_not_certified() -> None:
    nothing = Summary.of("op", [Certificate("op", "a", None, 160, None, {"float64": 0.5})])
    assert not nothing.certified
    assert len(nothing.row()) == len(COLUMNS)
    assert nothing.row()[3] == "-"


@pytest.mark.parametrize("name", references())
def test_smooth_cases_are_smooth(name: str) -> None:
    for index in range(10):
        case = smooth_case(reference_named(name), 0, index)
        assert is_smooth(case)
        assert {spec.kind for spec in case.specs.values()} <= set(SMOOTH)


def test_other_cases_show_every_kind() -> None:
    seen = {spec.kind for i in range(len(REAL_KINDS)) for spec in any_case(GELU, 0, i).specs.values()}
    assert seen == set(REAL_KINDS)
    assert not is_smooth(parse_case("nn.functional.gelu(x=ties(3), approximate='none') seed=0 dtype=float64"))
