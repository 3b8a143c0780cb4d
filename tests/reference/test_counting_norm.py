"""Distances by the count of differing elements (p = 0): their value, and that autograd leaves no gradient behind."""

from __future__ import annotations

import pytest

from gradcheck.cases.case import parse_case
from gradcheck.formats import FORMATS
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.ledger import load_ledger
from tests.reference.known import check

PAIR = "nn.functional.pairwise_distance(x=ties(3, 4), x2=ties(3, 4), p=0.0, eps=0.5, keepdim=False) seed=1"
TRIPLE = (
    "nn.functional.triplet_margin_loss(x=ties(3, 4), positive=ties(3, 4), negative=ordinary(3, 4), margin=1.0, "
    'p=0.0, eps=0.5, swap=True, reduction="mean") seed=1'
)


def test_the_distance_counts() -> None:
    arguments = {"x": [[1.0, 2.0, 3.0]], "x2": [[1.5, 2.0, 3.5]], "p": 0.0, "eps": 0.5}
    check("pairwise_distance", arguments, value=[1.0], x=[[0.0, 0.0, 0.0]], x2=[[0.0, 0.0, 0.0]])


@pytest.mark.parametrize("line", [PAIR, TRIPLE])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("mode", ["inference", "forward", "func.vjp", "func.jacrev"])
def test_pytorch_counts_as_well(line: str, dtype: str, mode: str) -> None:
    assert {v.status for v in judge_case(parse_case(f"{line} dtype={dtype} mode={mode}"))} == {"agrees"}


@pytest.mark.parametrize("line", [PAIR, TRIPLE])
@pytest.mark.parametrize("mode", ["backward", "grad", "double"])
def test_autograd_leaves_the_gradient_undefined(line: str, mode: str) -> None:
    (verdict,) = judge_case(parse_case(f"{line} dtype=float32 mode={mode}"))
    assert verdict.status == "raises"
    assert load_ledger().match(verdict) is not None
