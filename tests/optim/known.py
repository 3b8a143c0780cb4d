"""Deviations of PyTorch's optimizers that were found, each with a case that shows it and a rule for where it shows.

A verdict that a finding covers is no failure of the tests; a finding that its own case no longer shows is stale, and
fails its test on the version of PyTorch that it was found in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradcheck.cases.case import Case, parse_case
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.verdict import Verdict

__all__ = ["FINDINGS", "FOUND_IN", "Finding", "finding_of", "is_known", "unexplained"]

FOUND_IN = "2.13.0"
"""The version of PyTorch that all of them were seen in, on the CPU."""


@dataclass(frozen=True)
class Finding:
    """name: in words; covers: whether a deviating verdict on a case is of this kind; case: the line that shows it;
    output: the output that deviates there; source: who says so besides gradcheck."""

    name: str
    covers: Callable[[Verdict, Case], bool]
    case: str
    output: str
    source: str = ""

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def _strided(verdict: Verdict, case: Case) -> bool:
    given = dict(case.arguments)
    layout = given.get("grad_layout", case.layout)
    return verdict.mode == "fused" and (case.layout == "sliced" or layout != case.layout)


def _kinds(verdict: Verdict) -> set[str]:
    return {kind for kind, _ in verdict.witness.excess} if verdict.witness else set()


def _maximum_of_nan(verdict: Verdict, case: Case) -> bool:
    return verdict.mode == "fused" and verdict.output == "state[max_exp_avg_sq]" and _kinds(verdict) == {"nan"}


def _has(case: Case, **options: object) -> bool:
    """Whether some group of the case has these options."""
    given = dict(case.arguments)
    groups = (given, {**given, **dict(given.get("group1", ()))})
    return any(all(group.get(name) == value for name, value in options.items()) for group in groups)


FINDINGS = (
    Finding(
        "fused kernels on the CPU ignore strides",
        _strided,
        "optim.Adam(param0=ordinary(3, 4), grad0=ordinary(2, 3, 4), steps=2, grad_layout='transposed')"
        " seed=0 dtype=float32 mode=fused",
        "param",
        "the CUDA kernels refuse such tensors: pytorch/pytorch#106951",
    ),
    Finding(
        "fused SGD on the CPU in 16-bit formats skips whole vectors and reads momentum as another type",
        lambda verdict, case: (
            verdict.operation == "optim.SGD" and verdict.mode == "fused" and verdict.dtype in ("float16", "bfloat16")
        ),
        "optim.SGD(param0=ordinary(64), grad0=ordinary(3, 64), steps=3, lr=0.1, momentum=0.9)"
        " seed=0 dtype=bfloat16 mode=fused",
        "param",
        "pytorch/pytorch#191763, fixed by pytorch/pytorch#192545",
    ),
    Finding(
        "fused Adam on the CPU drops NaN from amsgrad's maximum",
        _maximum_of_nan,
        "optim.Adam(param0=ordinary(3), grad0=special(1, 3), steps=1, amsgrad=True) seed=5 dtype=float32 mode=fused",
        "state[max_exp_avg_sq]",
    ),
    Finding(
        "foreach SGD with nesterov overwrites the gradients",
        lambda verdict, case: (
            verdict.operation == "optim.SGD"
            and verdict.mode == "foreach"
            and verdict.output == "untouched"
            and _has(case, nesterov=True)
        ),
        "optim.SGD(param0=ordinary(4), grad0=ordinary(1, 4), steps=1, lr=0.1, momentum=0.9, nesterov=True)"
        " seed=0 dtype=float32 mode=foreach",
        "untouched",
    ),
    Finding(
        "Muon in bfloat16 without nesterov normalises its momentum buffer in place",
        lambda verdict, case: (
            verdict.operation == "optim.Muon" and verdict.dtype == "bfloat16" and _has(case, nesterov=False)
        ),
        "optim.Muon(param0=ordinary(3, 4), grad0=ordinary(1, 3, 4), steps=1, nesterov=False) seed=0 dtype=bfloat16"
        " mode=loop",
        "state[momentum_buffer]",
        "pytorch/pytorch#194664",
    ),
    Finding(
        "foreach RAdam gives NaN where nothing is to be done, before it rectifies, with an eps of zero",
        lambda verdict, case: (
            verdict.operation == "optim.RAdam" and verdict.mode == "foreach" and _kinds(verdict) == {"nan"}
        ),
        "optim.RAdam(param0=ordinary(3), grad0=ordinary(1, 3), steps=1, eps=0.0, zeroed=((0, 0),)) seed=0"
        " dtype=float64 mode=foreach",
        "param",
    ),
    Finding(
        "differentiable SGD cuts the first momentum buffer off the graph",
        lambda verdict, case: (
            verdict.operation == "optim.SGD"
            and verdict.mode == "differentiable"
            and verdict.output in ("grad[param]", "grad[grad]")
        ),
        "optim.SGD(param0=ordinary(4), grad0=ordinary(1, 4), steps=1, lr=0.1, momentum=0.9) seed=0 dtype=float64"
        " mode=differentiable",
        "grad[grad]",
    ),
)


def finding_of(verdict: Verdict) -> Finding | None:
    """The finding that explains a verdict; None where none does."""
    case = parse_case(verdict.case)
    return next((finding for finding in FINDINGS if finding.covers(verdict, case)), None)


def unexplained(verdicts: list[Verdict]) -> list[Verdict]:
    """Verdicts that deviate or raise, and are not known to."""
    return [v for v in verdicts if v.status in ("deviates", "raises") and not is_known(v)]


def is_known(verdict: Verdict) -> bool:
    """Whether it is one of these findings, or in the ledger."""
    return finding_of(verdict) is not None or load_ledger().match(verdict) is not None
