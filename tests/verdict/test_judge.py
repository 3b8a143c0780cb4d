"""The rules of judging, on small plain numbers."""

import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.carrier import HAS_WIDE
from gradcheck.cases.case import parse_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.registry import reference_named
from gradcheck.subject.run import run_case
from gradcheck.verdict import judge
from gradcheck.verdict.compare import digest_of, worst_errors
from gradcheck.verdict.judge import error_ratios, judge_case
from gradcheck.verdict.oracles import forget_evaluations

FLOAT32 = rounding_model("float32")
LARGEST = float(np.finfo(np.float32).max)


def ratio(got, value, bound, model=FLOAT32):
    with np.errstate(all="ignore"):
        bounds = None if bound is None else np.array([bound], dtype=float)
        return float(
            error_ratios(np.array([got], dtype=float), Bounded(np.array([value], dtype=float), bounds, model))[0]
        )


@pytest.mark.parametrize(
    ("got", "value", "bound", "expected"),
    [
        (1.0, 1.0, 0.5, 0.0),
        (1.25, 1.0, 0.5, 0.5),
        (2.0, 1.0, 0.5, 2.0),
        (1.0, 1.0, None, 0.0),  # exact and matched
        (1.5, 1.0, None, math.inf),  # exact and missed
        (-0.0, 0.0, None, 0.0),  # the sign of zero is not judged
        (math.inf, math.inf, 0.0, 0.0),
        (-math.inf, math.inf, 0.0, math.inf),
        (math.nan, math.nan, 0.0, 0.0),
        (math.nan, 1.0, 0.5, math.inf),
        (1.0, math.nan, 0.0, math.inf),
        (1.0, math.inf, 0.0, math.inf),
        (math.inf, 1.0, 0.5, math.inf),
        (7.0, 1.0, math.inf, 0.0),  # an intermediate may overflow: nothing can be said
        (math.nan, 1.0, math.inf, 0.0),
        (math.inf, 2.0 * LARGEST, 1.0, 0.0),  # the result itself overflows
        (-math.inf, 2.0 * LARGEST, 1.0, math.inf),  # to the other side it does not
        (math.inf, LARGEST, LARGEST * 2.0**-20, 0.0),  # it may
    ],
)
def test_ratio(got, value, bound, expected):
    assert ratio(got, value, bound) == expected


def test_storage_rounding_belongs_to_a_16_bit_result():
    model = rounding_model("bfloat16")
    assert 0.0 < ratio(1.0 + 2.0**-9, 1.0, None, model) <= 1.0
    assert ratio(1.0 + 2.0**-7, 1.0, None, model) > 1.0


def judged(line, subject):
    case = parse_case(line)
    return {verdict.output: verdict for verdict in judge_case(case, subject=subject)}


RELU = "nn.functional.relu(x=ordinary(3, 5)) seed=1 dtype=float32"


def test_untouched_it_agrees():
    assert {verdict.status for verdict in judged(RELU, torch.nn.functional.relu).values()} == {"agrees"}


def test_the_witness_is_the_worst_element():
    def off(x):
        y = torch.tanh(x)
        offsets = torch.zeros_like(y)
        offsets[1, 2], offsets[2, 4] = 0.25, 64.0
        return y + offsets

    verdict = judged("nn.functional.tanh(x=ordinary(3, 5)) seed=1 dtype=float32", off)["value"]
    witness = verdict.witness
    assert verdict.status == "deviates"
    assert (witness.index, witness.exceeding, witness.elements) == ((2, 4), 2, 15)
    assert witness.got > witness.should_be + 0.25
    assert witness.excess == (("ordinary", verdict.error_over_bound),)
    assert dict(witness.inputs).keys() == {"x"}


def test_a_wrong_shape_is_said():
    verdict = judged(RELU, lambda x: torch.nn.functional.relu(x)[:2])["value"]
    assert (verdict.status, verdict.words) == ("deviates", "value has shape (2, 5), should be (3, 5)")


def test_a_wrong_dtype_is_said():
    verdict = judged(RELU, lambda x: torch.nn.functional.relu(x).double())["value"]
    assert (verdict.status, verdict.words) == ("deviates", "value has dtype float64, should be float32")


def test_an_exception_is_raises_in_pytorch_s_words():
    def broken(x):
        raise ValueError("no luck today\nand more")

    (verdict,) = judged(RELU, broken).values()
    assert (verdict.status, verdict.words) == ("raises", "ValueError: no luck today")


def test_a_missing_kernel_is_unsupported_in_pytorch_s_words():
    def missing(x):
        raise RuntimeError("\"relu_cpu\" not implemented for 'Half'")

    (verdict,) = judged(RELU, missing).values()
    assert verdict.status == "unsupported"
    assert "not implemented for 'Half'" in verdict.words


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda y: torch.where(y.isnan(), torch.zeros_like(y), y), "nan input"),
        (lambda y: torch.where(y == 1.0, torch.full_like(y, math.nan), y), "nan"),
        (lambda y: torch.where(y == 1.0, torch.full_like(y, math.inf), y), "overflow"),
        (lambda y: y * 1.5, "ordinary"),
    ],
)
def test_the_excess_is_told_apart_by_kind(spoil, kind):
    line = "nn.functional.relu(x=ties(64)) seed=1 dtype=float32"
    if kind == "nan input":
        line = "nn.functional.relu(x=special(64)) seed=1 dtype=float32"
    verdict = judged(line, lambda x: spoil(torch.nn.functional.relu(x)))["value"]
    assert [name for name, _ in verdict.witness.excess] == [kind]


def test_a_nan_elsewhere_in_an_array_of_the_same_shape_is_no_nan_input():
    """Only an elementwise operation makes an output element of the input element at the same index."""
    line = "nn.functional.softmax(x=special(64), dim=0, dtype=None) seed=1 dtype=float32"
    verdict = judged(line, lambda x, dim, dtype: torch.nan_to_num(torch.softmax(x, dim)))["value"]
    assert [name for name, _ in verdict.witness.excess] == ["nan"]


def test_rounding_every_step_to_bfloat16_is_coarse_and_more_is_not():
    line = "nn.functional.mse_loss(x=ordinary(400), target=ordinary(400), reduction='sum') seed=2 dtype=bfloat16"

    def in_bfloat16(x, target, reduction):
        total = torch.zeros((), dtype=x.dtype)
        for term in (x - target) ** 2:
            total = total + term
        return total

    assert judged(line, in_bfloat16)["value"].status == "coarse"
    assert (
        judged(line, lambda x, target, reduction: 2.0 * in_bfloat16(x, target, reduction))["value"].status == "deviates"
    )


def test_place_is_noted_for_one_number_throughout():
    line = "nn.functional.tanh(x=repeated(67)) seed=0 dtype=float32 cotangent=repeated"

    def uneven(x):
        y = torch.tanh(x)
        nudge = torch.zeros_like(y)
        nudge[-3:] = y.detach()[-3:].abs() * 2.0**-24
        return y + nudge

    verdict = judged(line, uneven)["value"]
    assert verdict.status == "agrees"
    assert verdict.notes == ("2 different results for one number, depending on its place in the tensor",)
    assert judged(line, torch.tanh)["value"].notes == ()


def test_a_wrong_reference_is_told_from_the_right_one():
    reference = reference_named("nn.functional.relu")
    wrong = replace(reference, function=lambda x: (np.where(x <= 0, 0.0, 2.0 * x), reference.function(x)[1]))
    verdicts = {verdict.output: verdict.status for verdict in judge_case(parse_case(RELU), operation=wrong)}
    assert verdicts == {"value": "deviates", "grad[x]": "agrees"}


def test_the_same_numbers_are_compared_once_and_others_again(monkeypatch):
    """Modes that give the same numbers share a comparison; a number that differs, or another bound, is compared."""
    case = parse_case("nn.functional.silu(x=ordinary(7)) seed=1 dtype=float32")
    operation, arguments = reference_named(case.operation), arguments_of(case)
    observed = run_case(operation, case, arguments)
    forget_evaluations()
    bounds = judge.bounds_of(operation, case, arguments, observed)
    asked = []

    def worst(got, *bounds):
        asked.append(got[0])
        return worst_errors(got, *bounds)

    monkeypatch.setattr(judge, "worst_errors", worst)

    def verdicts(elements):
        seen = replace(observed, elements=elements)
        return [v.status for v in judge.judge_against(operation, case, arguments, seen, bounds)]

    assert verdicts(observed.elements) == verdicts(observed.elements) == ["agrees", "agrees"]
    assert len(asked) == 2
    wrong = observed.elements | {"value": observed.outputs["value"] + 1.0}
    assert verdicts(wrong) == ["deviates", "agrees"]
    assert len(asked) == 3


def test_digests_stay_what_they_are():
    """Records on disk are compared by them; one bit anywhere gives another."""
    words = (np.arange(20_000) * 0x9E3779B1).astype("<i8")
    assert (digest_of(words[:100]), digest_of(words)) == ("fabd1cdc1a5f10fd", "dd722f978aa5e6fc")
    for place in (0, 9_999, 16_384, 19_999):
        changed = words.copy()
        changed[place] ^= 1 << 40
        assert digest_of(changed) != digest_of(words)


BEYOND = "nn.functional.mse_loss(x=huge(4), target=huge(4), reduction='none') seed=0 dtype=float64 mode={}"
"""Squares that a wider float holds and float64 does not."""


@pytest.mark.skipif(not HAS_WIDE, reason="no float here is wider than float64")
@pytest.mark.parametrize("mode", ["backward", "forward", "double", "func.jacrev", "vmap:backward", "vmap:forward"])
def test_what_float64_does_not_hold_is_cast_in_silence(mode, monkeypatch):
    """The rules leave NumPy's warnings to whoever evaluates a formula: with nobody there the same case would warn."""
    case = parse_case(BEYOND.format(mode))
    assert {verdict.status for verdict in judge_case(case)} == {"agrees"}
    forget_evaluations()
    monkeypatch.setattr(np, "errstate", lambda **_: nullcontext())
    with pytest.raises(RuntimeWarning, match="overflow encountered in cast"):
        judge_case(case)
