"""Each finding still occurs in the version it was found in; one that does not is stale."""

from __future__ import annotations

import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.verdict.clipping import judge_clipping
from gradcheck.verdict.schedules import judge_schedule
from tests.schedule.common import deviating
from tests.schedule.findings import FINDINGS

pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith("2.13."), reason=f"found in torch 2.13, this is {torch.__version__}"
)


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_still_occurs(name: str) -> None:
    finding = FINDINGS[name]
    case = parse_case(finding.line)
    judge = judge_clipping if case.operation.startswith("nn.") else judge_schedule
    found = deviating(judge(case))
    assert finding.output in found or [verdict.status for verdict in found.values()] == [finding.output]
