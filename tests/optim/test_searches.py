"""The fixed line searches of L-BFGS have their power on every machine: no decision of theirs hangs on rounding."""

from dataclasses import replace
from functools import cache

import pytest

from gradcheck.cases.corpus import fixed_cases
from gradcheck.formats import Format
from gradcheck.reference.optim.lbfgs import RULE
from gradcheck.verdict import calls
from gradcheck.verdict.models import model_of

CASES = fixed_cases(RULE, "float64", 0, "loop")


@pytest.mark.parametrize("case", CASES, ids=[f"seed {case.seed}" for case in CASES])
def test_every_decision_stands_under_eight_times_the_bounds(case, monkeypatch):
    coarser = Format("float64", 64, 50, 1023)

    @cache
    def eight_times(*words):
        return replace(model_of(*words), work=coarser, store=coarser, library=coarser)

    monkeypatch.setattr(calls, "model_of", eight_times)
    verdicts = calls.judge_calls(case, RULE)
    assert verdicts[0].notes == ()
    assert {verdict.status for verdict in verdicts} == {"agrees"}


def test_a_decision_that_hangs_on_rounding_is_told(monkeypatch):
    """In a format of 8 bits: the searches are no longer decided there."""
    coarse = Format("float64", 64, 8, 1023)
    monkeypatch.setattr(
        calls, "model_of", lambda *words: replace(model_of(*words), work=coarse, store=coarse, library=coarse)
    )
    assert any(calls.judge_calls(case, RULE)[0].notes for case in CASES)
