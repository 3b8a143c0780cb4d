"""Clipping, averages and scalers: PyTorch's signatures, drawn cases in every dtype and mode, and certificates."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st

from gradcheck.arithmetic import ball_precision, balls, enclosure, rounding_model
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.cases.strategies import HypothesisDraw
from gradcheck.errors import UsageError
from gradcheck.formats import FORMATS
from gradcheck.reference.averaging.averaging import bounded_averages
from gradcheck.reference.clipping.clipping import bounded_clipping, clip, gradients_of
from gradcheck.reference.registry import entry_named
from gradcheck.verdict.averaging import judge_averaging
from gradcheck.verdict.clipping import judge_clipping
from gradcheck.verdict.scaler import judge_scaler
from tests.schedule.common import deviating, drawn_case, drawn_cases, named
from tests.schedule.faults_of_clipping import each_norm
from tests.schedule.faults_of_scalers import GrowsOnInf
from tests.schedule.findings import known

JUDGES: dict[str, Any] = {"clipping": judge_clipping, "averaging": judge_averaging, "scaler": judge_scaler}
NAMES = [name for kind in JUDGES for name in named(kind)]


def entry_of(name: str) -> Any:
    return entry_named(name)


def judge(case: Case, subject: Any = None) -> Any:
    return JUDGES[entry_of(case.operation).kind](case, subject=subject)


def unexpected(case: Case) -> dict[str, Any]:
    """What deviates without being known; that 16-bit gradients cannot be unscaled, PyTorch says itself."""
    found = deviating(judge(case))
    if case.operation == "amp.GradScaler" and case.dtype == "float16":
        return {output: v for output, v in found.items() if v.status != "unsupported"}
    return {output: v for output, v in found.items() if output not in known(case) and v.status not in known(case)}


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_drawn_cases_agree(name: str, dtype: str) -> None:
    entry = entry_of(name)
    for mode in entry.modes:
        for case in drawn_cases(entry, 12, mode=mode, dtype=dtype):
            assert unexpected(case) == {}, str(case)


@given(st.data())
@settings(max_examples=60)
def test_cases_drawn_by_hypothesis_agree(data: st.DataObject) -> None:
    entry = entry_of(data.draw(st.sampled_from(NAMES)))
    axes = {"mode": data.draw(st.sampled_from(entry.modes)), "dtype": data.draw(st.sampled_from(sorted(FORMATS)))}
    case = drawn_case(entry, HypothesisDraw(data.draw), data.draw(st.integers(0, 99)), **axes)
    assert parse_case(str(case)) == case
    assert unexpected(case) == {}


THEIR_OWN = {"parameters", "tensors", "total_norm", "foreach"}


@pytest.mark.parametrize("name", named("clipping"))
def test_options_and_defaults_of_clipping_are_pytorchs(name: str) -> None:
    function = getattr(torch.nn.utils, name.rpartition(".")[2])
    parameters = inspect.signature(function).parameters.values()
    theirs = {p.name: 1.0 if p.default is p.empty else p.default for p in parameters if p.name not in THEIR_OWN}
    assert entry_of(name).options == theirs


def test_options_and_defaults_of_the_scaler_are_pytorchs() -> None:
    parameters = inspect.signature(torch.amp.GradScaler).parameters.values()
    theirs = {p.name: p.default for p in parameters if p.name not in ("device", "enabled")}
    assert entry_of("amp.GradScaler").options == theirs


@pytest.mark.parametrize("name", named("clipping"))
def test_clipping_is_certified(name: str) -> None:
    """Float64 within its bound of Arb, for gradients that are finite."""
    entry = entry_of(name)
    judged = 0
    for case in drawn_cases(entry, 25):
        arguments = arguments_of(case)
        present = [grad for grad in gradients_of(arguments).values() if grad is not None]
        if not all(np.isfinite(grad).all() for grad in present) or not np.isfinite(arguments.get("total", 0.0)):
            continue
        bounded = bounded_clipping(entry, arguments, rounding_model("float64"))
        with ball_precision(300):
            truth = {output: balls(value) for output, value in clip(entry, arguments, balls, balls).items()}
            for output, value in bounded.items():
                middle, radius = enclosure(truth[output])
                said = np.isfinite(value.full_bound()) & np.isfinite(radius)  # elsewhere something may overflow
                off = np.abs(np.where(said, value.value, 0.0) - np.where(said, middle, 0.0))
                assert np.all((off <= value.full_bound() + radius) | ~said), f"{case}: {output}"
                judged += int(said.sum())
    assert judged > 10


@pytest.mark.parametrize("name", named("averaging"))
def test_averages_are_certified(name: str) -> None:
    entry = entry_of(name)
    for case in drawn_cases(entry, 10):
        arguments = arguments_of(case)
        rows = arguments[entry.array]
        options = {key: value for key, value in arguments.items() if key in entry.options}
        steps: list[dict[str, np.ndarray]] = []
        for count, row in enumerate(rows):
            steps.append(entry.function(steps[-1] if steps else None, row, count, **options))
        bounded, closed = bounded_averages(entry, arguments, steps, rounding_model("float64"), "multi")
        with ball_precision(300):
            lifted = {key: balls(value) if isinstance(value, float) else value for key, value in options.items()}
            truth = entry.closed(balls(rows), **lifted)
            for output, value in closed.items():
                middle, radius = enclosure(truth[output])
                assert np.all(np.abs(value.value - middle) <= value.full_bound() + radius), f"{case}: {output}"
                assert np.all(np.abs(bounded[-1][output].value - steps[-1][output]) <= value.full_bound())


def test_the_norm_of_zeros_is_zero_for_certain() -> None:
    """So that a quotient by it, without 1e-6, would be seen."""
    arguments = arguments_of(
        parse_case("nn.utils.clip_grad_norm_(grad0=ordinary(4), max_norm=0.0, zeroed=(0,)) seed=0 dtype=float32")
    )
    bounded = bounded_clipping(entry_of("nn.utils.clip_grad_norm_"), arguments, rounding_model("float32"))
    assert float(bounded["total"].value) == 0.0
    assert np.all(np.isfinite(bounded["grad[grad0]"].full_bound()))
    assert float(bounded["grad[grad0]"].full_bound().max()) < 1e-30


def test_a_fault_of_the_scaler_shrinks_to_one_step() -> None:
    @st.composite
    def cases(draw: Any) -> Case:
        return drawn_case(entry_of("amp.GradScaler"), HypothesisDraw(draw), 0, dtype="float32")

    shortest = find(cases(), lambda case: "scale" in deviating(judge(case, GrowsOnInf)))
    assert dict(shortest.arguments)["history"] == ("inf",)


def test_a_fault_of_clipping_shrinks_to_two_gradients() -> None:
    @st.composite
    def cases(draw: Any) -> Case:
        return drawn_case(entry_of("nn.utils.clip_grad_norm_"), HypothesisDraw(draw), 0, dtype="float32")

    def shows(case: Case) -> bool:
        words = dict(case.arguments)
        plain = words["norm_type"] == 2.0 and not words.get("error_if_nonfinite")
        return plain and "grad[grad0]" in deviating(judge(case, each_norm))

    shortest = dict(find(cases(), shows).arguments)
    assert [name for name in shortest if name.startswith("grad")] == ["grad0", "grad1"]


WRONG: dict[str, tuple[str, str]] = {
    "mode of clipping": ("nn.utils.clip_grad_norm_(max_norm=1.0) seed=0 dtype=float32 mode=fused", "mode 'fused'"),
    "mode of an average": (
        "optim.swa_utils.update_bn(x=ordinary(1, 2, 3)) seed=0 dtype=float32 mode=loop",
        "mode 'loop'",
    ),
    "mode of the scaler": (
        'amp.GradScaler(grad=ordinary(1, 2), history=("ok",)) seed=0 dtype=float32 mode=loop',
        "mode 'loop'",
    ),
    "history": ('amp.GradScaler(grad=ordinary(2, 2), history=("ok",)) seed=0 dtype=float32', "history=('ok',)"),
    "event": ('amp.GradScaler(grad=ordinary(1, 2), history=("huge",)) seed=0 dtype=float32', "history=('huge',)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_named(name: str) -> None:
    line, words = WRONG[name]
    with pytest.raises(UsageError) as caught:
        judge(parse_case(line))
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", JUDGES)
def test_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="but of kind 'operation'"):
        JUDGES[kind](Case("nn.functional.relu", (), 0))


def test_plain_numbers_by_hand() -> None:
    """Past all machinery: a 3-4-5 triangle, clipped to length 1."""
    grads = [np.array([3.0]), np.array([[4.0, 0.0]])]
    entry = entry_of("nn.utils.clip_grad_norm_")
    outputs = entry.function(grads, max_norm=1.0)
    assert outputs["total"] == 5.0
    assert [round(float(grad.flat[0]), 4) for grad in outputs["grads"]] == [0.6, 0.8]
    assert entry_of("nn.utils.get_total_norm").function(grads, norm_type=1.0)["total"] == 7.0
    assert entry_of("nn.utils.get_total_norm").function(grads, norm_type=math.inf)["total"] == 4.0


@pytest.mark.parametrize("norm_type", [2.0, 3.0, 1.5])
def test_gradients_whose_squares_underflow_are_still_judged(norm_type: float) -> None:
    """Their norm lies between 0 and the root of what is lost, which is nothing beside 1e-6."""
    line = f"nn.utils.clip_grad_norm_(grad0=subnormal(9), max_norm=0.0, norm_type={norm_type}) seed=0 dtype=float32"
    bounded = bounded_clipping(
        entry_of("nn.utils.clip_grad_norm_"), arguments_of(parse_case(line)), rounding_model("float32")
    )
    assert np.all(np.isfinite(bounded["total"].full_bound()))
    line = line.replace("max_norm=0.0", "max_norm=1.0")
    assert deviating(judge(parse_case(line))) == {}

    def halving(parameters: Any, max_norm: float, **options: Any) -> Any:
        parameters = list(parameters)
        total = torch.nn.utils.clip_grad_norm_(parameters, max_norm, **options)
        for parameter in parameters:
            parameter.grad.mul_(0.5)
        return total

    assert "grad[grad0]" in deviating(judge(parse_case(line), halving))
