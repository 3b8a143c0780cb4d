"""The usual slips, in every optimizer that can have them: caught within one case, and named.

They are planted in PyTorch's own for-loops, a line at a time.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.history import step_rule_named
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history
from gradcheck.verdict.verdict import Verdict
from tests.optim import rewritten as slips
from tests.optim.known import FOUND_IN
from tests.optim.rewritten import rewritten

pytestmark = pytest.mark.skipif(
    torch.__version__.split("+")[0] != FOUND_IN, reason=f"the rewritten lines are those of torch {FOUND_IN}"
)

DECOUPLED = {"decoupled_weight_decay": True}

#: name of the slip -> where it is planted, and further options that it needs
SLIPS: dict[str, list[tuple[str, Any, dict[str, Any]]]] = {
    "eps inside the root": [
        *((name, changes, {}) for name, changes in slips.EPS_INSIDE.items()),
        ("RMSprop", slips.EPS_INSIDE["RMSprop"], {"centered": True}),
        ("RMSprop", slips.EPS_INSIDE["RMSprop"], {"momentum": 0.5, "maximize": True}),
    ],
    "bias correction by t-1": [
        (name, changes, {}) for table in (slips.LATE, slips.LATE_CORRECTION) for name, changes in table.items()
    ],
    "decoupled weight decay applied after the step": [
        (name, changes, {} if name in ("AdamW", "Adafactor", "Muon") else DECOUPLED)
        for name, changes in slips.DECAY_LAST.items()
    ],
    "maximize negated the weight decay": [
        *((name, changes, {"maximize": True}) for name, changes in slips.NEGATED_DECAY.items()),
        *((name, slips.NEGATED_DECAY["AdamW"], {"maximize": True, **DECOUPLED}) for name in ("Adam", "NAdam", "RAdam")),
    ],
    "amsgrad's maximum taken after bias correction": [
        (name, changes, {"amsgrad": True}) for name, changes in slips.MAXIMUM_LAST.items()
    ],
}
PLANTED = [(words, *planted) for words, several in SLIPS.items() for planted in several]


def case_of(name: str, **options: Any) -> Case:
    """A few steps of one parameter, eps and weight decay such that a slip shows; RAdam's do rectify."""
    rule = step_rule_named(f"optim.{name}")
    plain = {"lr": 0.25, "eps": 0.125, "weight_decay": 0.5, "betas": (0.75, 0.875)}
    chosen = {key: value for key, value in {**plain, **options}.items() if key in rule.options}
    if name in ("Adafactor", "Muon"):
        chosen.pop("eps", None)
    words = {**chosen, **({"sparse": True} if name == "SparseAdam" else {})}
    steps = 9 if name == "RAdam" else 3
    said = "".join(f", {key}={value!r}" for key, value in words.items())
    arrays = f"param0=ordinary(4, 3), grad0=ordinary({steps}, 4, 3), steps={steps}"
    return parse_case(f"optim.{name}({arrays}{said}) seed=3 dtype=float32 mode=loop")


def blamed(verdicts: list[Verdict]) -> dict[str, Verdict]:
    return {verdict.output: verdict for verdict in verdicts if verdict.status not in ("agrees", "coarse")}


def planted_id(value: Any) -> str:
    return str(value) if isinstance(value, str | dict) else ""


@pytest.mark.parametrize(("words", "name", "changes", "options"), PLANTED, ids=planted_id)
def test_a_slip_is_caught_in_one_case_and_named(words: str, name: str, changes: Any, options: dict[str, Any]) -> None:
    case = case_of(name, **options)
    assert not blamed(judge_history(case))
    with rewritten(name, changes):
        found = blamed(judge_history(case))
    assert found
    assert all(words in sentence(verdict) for verdict in found.values()), [sentence(v) for v in found.values()]
    assert all(f"optim.{name}" in sentence(verdict) for verdict in found.values())
