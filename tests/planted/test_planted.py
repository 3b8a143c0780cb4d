"""Every planted fault is caught, with the operation named; and nothing is caught where nothing was planted."""

from __future__ import annotations

import ast
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import settings

from gradcheck.reference.registry import references
from tests.planted import attention, convolutions, norms_and_losses, pooling, vision
from tests.planted.plant import Fault, cases_of, catches, ledger
from tests.planted.table import FORMULAS, SUBJECTS

TABLE = [*FORMULAS, *SUBJECTS]


@pytest.mark.parametrize("fault", TABLE, ids=str)
def test_the_fault_is_caught(fault: Fault) -> None:
    from gradcheck.verdict.sentence import sentence

    for dtype in fault.dtypes:
        caught = next(catches(fault, dtype), None)
        assert caught is not None, f"not caught in {dtype}: {fault}"
        message = sentence(caught)
        assert fault.reference.name in message
        assert fault.blamed in message
        assert "gradcheck replay" in message


@pytest.mark.parametrize("fault", [fault for fault in TABLE if fault.status == "coarse"], ids=str)
def test_a_coarse_fault_is_never_called_a_deviation(fault: Fault) -> None:
    """Accumulating in the storage dtype is worse than PyTorch promises, and better than wrong."""
    from gradcheck.verdict.judge import judge_case

    for dtype in fault.dtypes:
        for case in cases_of(fault, dtype):
            for verdict in judge_case(case, **fault.planted()):
                known = verdict.status in ("agrees", "coarse") or ledger().match(verdict)
                assert verdict.output != fault.blamed or known, verdict.case


@pytest.mark.parametrize("operation", sorted({fault.operation for fault in TABLE}))
def test_nothing_is_caught_where_nothing_was_planted(operation: str) -> None:
    """A suite that fails for everything catches nothing.

    A few cases of each place: a caught fault is compared with the untampered verdict on its own case anyway
    (``catches``), and tests/operations judges every operation on many more (and all 65,536 numbers).
    """
    from gradcheck.verdict.judge import judge_case
    from gradcheck.verdict.sentence import sentence

    places = {(dtype, *sorted(f.axes.items())) for f in TABLE if f.operation == operation for dtype in f.dtypes}
    for dtype, *axes in sorted(places):
        untampered = Fault("nothing", operation, "value", axes=dict(axes))
        small = (case for case in cases_of(untampered, dtype) if "every" not in str(case))
        for case in islice(small, min(15, settings.default.max_examples)):
            for verdict in judge_case(case):
                known = verdict.status in ("agrees", "coarse", "unsupported") or ledger().match(verdict)
                assert known, sentence(verdict)


def test_the_table_plants_a_fault_in_every_operation() -> None:
    families = (
        attention.FAULTS,
        convolutions.FAULTS,
        norms_and_losses.FAULTS,
        pooling.FORMULAS,
        pooling.SUBJECTS,
        vision.FAULTS,
    )
    faults = [*TABLE, *(fault for family in families for fault in family)]
    assert sorted({fault.reference.name for fault in faults}) == sorted(references())


@pytest.mark.parametrize("module", ["formulas", "tampering"])
def test_everything_written_is_planted(module: str) -> None:
    """A fault that no row looks for is not caught."""
    here = Path(__file__).parent
    tree, table = (ast.parse((here / f"{name}.py").read_text(encoding="utf-8")) for name in (module, "table"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    defined |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    used = {node.attr for node in ast.walk(table) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert defined - used == set()
