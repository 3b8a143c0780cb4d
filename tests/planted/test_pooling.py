"""Every planted fault of the poolings is caught."""

from __future__ import annotations

import pytest

from tests.planted.plant import Fault, catches
from tests.planted.pooling import FORMULAS, SUBJECTS

NO_KERNEL = {"avg_pool3d", "lp_pool3d"}
"""Operations that PyTorch's CPU has in float32 and float64 only."""


@pytest.mark.parametrize("fault", [*FORMULAS, *SUBJECTS], ids=str)
def test_the_fault_is_caught(fault: Fault) -> None:
    from gradcheck.verdict.sentence import sentence

    for dtype in fault.dtypes:
        if fault.operation in NO_KERNEL and dtype in ("float16", "bfloat16"):
            continue
        caught = next(catches(fault, dtype), None)
        assert caught is not None, f"not caught in {dtype}: {fault}"
        message = sentence(caught)
        assert fault.reference.name in message
        assert fault.blamed in message
