"""The planted faults of vision and dropout are caught, with the operation named."""

from __future__ import annotations

import pytest

from tests.planted.plant import Fault, catches
from tests.planted.vision import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_fault_is_caught(fault: Fault) -> None:
    from gradcheck.verdict.sentence import sentence

    for dtype in fault.dtypes:
        caught = next(catches(fault, dtype), None)
        assert caught is not None, f"not caught in {dtype}: {fault}"
        message = sentence(caught)
        assert fault.reference.name in message
        assert fault.blamed in message
