"""Faults that coarser bounds let pass: a row says what made the bound sharper; in a comment, what was seen before."""

from __future__ import annotations

import pytest

from gradcheck.audit.tamper import scaled, tampered
from gradcheck.audit.trials import Trial
from gradcheck.cases.case import parse_case
from gradcheck.formats import format_named
from gradcheck.reference.registry import reference_named
from gradcheck.verdict.judge import judge_against
from gradcheck.verdict.ledger import load_ledger

ATTENTION = (
    "nn.functional.scaled_dot_product_attention(x=ordinary(1, 2, 8, 4), key=ordinary(1, 2, 17, 4), "
    "value=ordinary(1, 2, 17, {}), attn_mask=None, is_causal=False, scale=None, enable_gqa=False, "
    'backend="{}") seed=28 dtype=float64'
)

LAYER = (
    "nn.TransformerEncoderLayer(x=ordinary(6, 4, 8), weights=ordinary(464, times=0.35355339059327373), nhead=2, "
    "dim_feedforward=8) seed=0 dtype=bfloat16"
)

FAULTS = {
    "a root is off by half of what is under it": (
        "nn.functional.rms_norm(x=ordinary(4, 7), normalized_shape=(7,)) seed=1 dtype=float64",
        "value",
        4.0,  # roundoffs; seen from 7.4 on before
    ),
    "products are rounded one by one, and added in the worst order of these": (
        "nn.functional.linear(x=ordinary(4, 33), weight=ordinary(5, 33), bias=ordinary(5)) seed=1 dtype=float64",
        "value",
        36.0,  # 45 before
    ),
    "the sum of a softmax is one factor of its row: its gradient": (
        ATTENTION.format(3, "math"),
        "grad[x]",
        110.0,  # 140 before
    ),
    "the sum of a softmax is one factor of its row: its value": (ATTENTION.format(4, "flash"), "value", 60.0),  # 70
    "a variance and eps are not below eps": (
        LAYER,
        "value",
        1600.0,  # whatever came was accepted before
    ),
}


@pytest.mark.parametrize(("line", "output", "roundoffs"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_that_a_coarser_bound_let_pass_is_caught(line: str, output: str, roundoffs: float) -> None:
    case = parse_case(line)
    trial = Trial(reference_named(case.operation), case, judge_against, load_ledger())
    assert trial.verdicts[output].status == "agrees"
    fault = scaled(1.0 + roundoffs * format_named(case.dtype).roundoff)
    wrong = tampered(fault, trial.observed, output, case, trial.observed)
    assert wrong is not None
    assert trial.reported(output, wrong) in ("deviates", "coarse")
