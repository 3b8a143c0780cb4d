"""A case that no optimizer can have is refused in words before anything runs, and so is what PyTorch refuses."""

from __future__ import annotations

from typing import Any

import pytest

from gradcheck.cases.case import parse_case
from gradcheck.errors import UsageError
from gradcheck.reference.optim.options import refusal
from gradcheck.reference.registry import entry_named
from gradcheck.verdict.averaging import judge_averaging
from gradcheck.verdict.clipping import judge_clipping
from gradcheck.verdict.scaler import judge_scaler
from gradcheck.verdict.schedules import judge_schedule
from gradcheck.verdict.steps import judge_history
from tests.optim.test_around import BAD

REFUSED = [
    (name, options)
    for name, options, _ in BAD
    if not {"foreach", "fused"} & options.keys() and not hasattr(options.get("lr"), "shape")
]


@pytest.mark.parametrize(("name", "options"), REFUSED, ids=str)
def test_what_pytorch_refuses_is_refused(name: str, options: dict[str, Any]) -> None:
    """Naming the option, its value and what is expected."""
    words = refusal(f"optim.{name}", entry_named(f"optim.{name}").options, options)
    assert any(f"{option}={value!r}" in words for option, value in options.items())
    assert ", expected" in words


LINE = "optim.Adam(param0=ordinary(3), grad0=ordinary(2, 3), steps=2{}) seed=0 dtype=float32 mode={}"
WRONG = {
    "lr='x'": "lr='x', expected a number",
    "lr=None": "lr=None, expected a number",
    "amsgrad=3": "amsgrad=3, expected True or False",
    "betas=(0.9,)": r"betas=\(0.9,\), expected 2 numbers",
    "betas=0.9": "betas=0.9, expected 2 numbers",
    "betas=(0.9, 1.0)": "expected 0 <= beta < 1 for both",
    "group1=5": "group1=5, expected pairs",
    "group1=(('lrr', 0.1),)": "expected pairs of an option of optim.Adam",
    "group1=(('lr', -0.1),)": "in group1, lr=-0.1, expected a number >= 0",
    "missing=5": "missing=5, expected pairs of a step",
    "missing=((2, 0),)": "missing=.*expected pairs of a step",
    "zeroed=((0, 1),)": "zeroed=.*expected pairs of a step",
    "grad_layout='spiral'": "grad_layout='spiral', expected",
    "complex=True": "the last side of every parameter has to be 2",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_history_that_cannot_be_is_refused_in_words(words: str) -> None:
    with pytest.raises(UsageError, match=WRONG[words]):
        judge_history(parse_case(LINE.format(f", {words}", "loop")))


def test_a_vector_is_none_of_muons_parameters() -> None:
    with pytest.raises(UsageError, match=r"param0 has shape \(3,\): optim.Muon takes matrices alone"):
        judge_history(parse_case(LINE.format("", "loop").replace("Adam", "Muon")))


@pytest.mark.parametrize("steps", ["0", "-1", "'a'"])
def test_a_history_has_a_step(steps: str) -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        judge_history(parse_case(LINE.format("", "loop").replace("steps=2", f"steps={steps}")))


@pytest.mark.parametrize(
    ("name", "mode"), [("Adam", "warp"), ("Adam", "step"), ("Rprop", "fused"), ("LBFGS", "foreach")]
)
def test_an_implementation_that_there_is_not_is_refused_in_words(name: str, mode: str) -> None:
    line = "optim.LBFGS(param0=ordinary(3)) seed=0 dtype=float64 mode=foreach"
    if name != "LBFGS":
        line = LINE.format("", mode).replace("Adam", name)
    with pytest.raises(UsageError, match=f"optim.{name} has no implementation '{mode}'; expected loop"):
        judge_history(parse_case(line))


AROUND = {
    "optim.lr_scheduler.StepLR(step_size=2, steps=3, optimizer='Adamm') seed=0 dtype=float64": (
        judge_schedule, "optimizer='Adamm' is not known; expected SGD",
    ),
    "optim.lr_scheduler.StepLR(step_size=2, steps=3, lr=(-0.1,)) seed=0 dtype=float64": (
        judge_schedule, "a tuple of a number >= 0 for each parameter group",
    ),
    "optim.swa_utils.AveragedModel(params=ordinary(2, 3), average='x') seed=0 dtype=float32": (
        judge_averaging, "average='x', expected 'swa', 'ema'",
    ),
    "nn.utils.clip_grad_norm_(grad0=ordinary(3), max_norm='a') seed=0 dtype=float32": (
        judge_clipping, "max_norm='a', expected a number",
    ),
    "amp.GradScaler(grad=ordinary(1, 2), history=('ok',), growth_factor=0.5) seed=0 dtype=float32": (
        judge_scaler, "growth_factor=0.5, expected a number > 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", AROUND)
def test_what_goes_around_a_step_is_refused_in_words(line: str) -> None:
    judge, words = AROUND[line]
    with pytest.raises(UsageError, match=words):
        judge(parse_case(line))
