"""Options that are tensors of one element: lr in every class, betas of Adam and AdamW, the weight decay of SGD."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.errors import UsageError
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history
from gradcheck.verdict.verdict import Verdict
from tests.optim.known import FOUND_IN

LINE = (
    "optim.{}(param0=ordinary(4, 3), grad0=ordinary(3, 4, 3), param1=ordinary(5), grad1=ordinary(3, 5), steps=3,"
    " lr=0.1, {}) seed=0 dtype={} mode={}"
)
DTYPES = ("float64", "float32", "float16", "bfloat16")
BETAS = "betas=(0.9, 0.99), betas_tensor='float32', amsgrad=True, maximize=True"
DECAY = "weight_decay=0.3, weight_decay_tensor='float32'"
TAKEN = (
    ("Adam", BETAS, ("loop", "fused", "differentiable")),
    ("Adam", "betas_tensor='float64', weight_decay=0.5, lr_tensor='float32'", ("loop", "fused", "differentiable")),
    ("Adam", "betas_tensor='float32', group1=(('betas', (0.5, 0.75)),)", ("loop",)),
    ("AdamW", BETAS, ("loop", "fused", "differentiable")),
    ("SGD", DECAY, ("loop", "foreach", "fused", "differentiable")),
    ("SGD", f"{DECAY}, group1=(('weight_decay', 0.5),)", ("loop",)),
    ("SGD", "weight_decay=0.3, weight_decay_tensor='float64', lr_tensor='float32'", ("loop", "foreach")),
)

here = pytest.mark.skipif(torch.__version__.split("+")[0] != FOUND_IN, reason=f"taken as of torch {FOUND_IN}")


def judged(name: str, options: str, dtype: str, mode: str = "loop", subject: Any = None) -> dict[str, Verdict]:
    return {v.output: v for v in judge_history(parse_case(LINE.format(name, options, dtype, mode)), subject=subject)}


@here
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options", "modes"), TAKEN, ids=str)
def test_a_step_with_tensor_options_is_within_its_bound(
    name: str, options: str, modes: tuple[str, ...], dtype: str
) -> None:
    for mode in modes:
        for found in judged(name, options, dtype, mode).values():
            assert found.status in ("agrees", "coarse"), sentence(found)


@here
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_pytorchs_own_refusal_is_unsupported(name: str) -> None:
    found = judged(name, BETAS, "float32", "foreach")["param"]
    assert found.status == "unsupported"
    assert "betas[0] as a Tensor is not supported for capturable=False and foreach=True" in sentence(found)


def test_a_version_that_takes_no_tensors_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(torch.optim.Adam):
        def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), **more: Any):
            super().__init__(params, lr, betas, **more)

    monkeypatch.setattr(torch.optim, "Adam", Older)
    found = judged("Adam", BETAS, "float32")["param"]
    assert found.status == "unsupported"
    assert "Older does not support betas as a tensor" in sentence(found)


class CoarseBetas(torch.optim.Adam):
    """Keeps betas in half the precision."""

    def __init__(self, params: Any, betas: Any, **options: Any) -> None:
        super().__init__(params, betas=tuple(beta.bfloat16().to(beta.dtype) for beta in betas), **options)


class UncastBeta(torch.optim.Adam):
    """Averages the gradient with 1 - β1 as it is, and not as the parameter's dtype holds it."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        before = {param: state["exp_avg"].clone() for param, state in self.state.items()}
        super().step()
        for group in self.param_groups:
            for param in group["params"]:
                own = before.get(param, torch.zeros_like(param))
                weight = 1.0 - float(group["betas"][0])
                self.state[param]["exp_avg"].copy_(own.lerp(-param.grad, weight))


class DecayingBeta(torch.optim.Adam):
    """Changes the tensor that it was given."""

    def step(self, closure: Any = None) -> None:
        super().step()
        for group in self.param_groups:
            group["betas"][0].mul_(0.5)


class WholeDecay(torch.optim.SGD):
    """Takes the decay for a Python number of fewer digits."""

    def __init__(self, params: Any, weight_decay: Any, **options: Any) -> None:
        super().__init__(params, weight_decay=round(float(weight_decay), 7), **options)


FAULTS = [
    ("Adam", BETAS, CoarseBetas, "float32", {"param", "state[exp_avg]", "state[exp_avg_sq]", "state[max_exp_avg_sq]"}),
    ("Adam", BETAS, UncastBeta, "bfloat16", {"state[exp_avg]"}),
    ("Adam", BETAS, DecayingBeta, "float32", {"untouched"}),
    ("SGD", DECAY, WholeDecay, "float64", {"param"}),
]


def _named(thing: object) -> str:
    """An id that is the same in every process, which the order of a set is not."""
    return getattr(thing, "__name__", "") or str(sorted(thing) if isinstance(thing, set) else thing)


@here
@pytest.mark.parametrize(("name", "options", "subject", "dtype", "outputs"), FAULTS, ids=_named)
def test_a_fault_with_tensor_options_is_caught(
    name: str, options: str, subject: Any, dtype: str, outputs: set[str]
) -> None:
    found = judged(name, options, dtype, subject=subject)
    assert outputs <= {output for output, v in found.items() if v.status == "deviates"}, found


WRONG = [
    ("Adam", "betas_tensor='spiral'", "betas_tensor='spiral', expected None or a dtype: float64"),
    ("Adam", "lr_tensor=3", "lr_tensor=3, expected None or a dtype: float64"),
    ("Adam", "weight_decay_tensor='float32'", "expected None: optim.Adam takes weight_decay as numbers alone"),
    ("NAdam", "betas_tensor='float32'", "expected None: optim.NAdam takes betas as numbers alone"),
    ("SGD", "betas_tensor='float32'", "betas_tensor='float32', but optim.SGD has no betas"),
]


@pytest.mark.parametrize(("name", "options", "words"), WRONG, ids=str)
def test_a_tensor_that_an_option_cannot_be_is_refused_in_words(name: str, options: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        judged(name, options, "float32")
