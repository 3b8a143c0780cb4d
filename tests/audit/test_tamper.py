"""Each tampering changes what it says, and each is caught on some operation."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.audit.catching import catches
from gradcheck.audit.tamper import TAMPERS, Scene, Tamper
from gradcheck.audit.trials import Trials
from gradcheck.cases.case import parse_case
from gradcheck.formats import FORMATS
from gradcheck.reference.registry import reference_named
from gradcheck.verdict.ledger import Ledger, load_ledger

BY_NAME = {tamper.name: tamper for tamper in TAMPERS}
SUBNORMAL = 2.0**-140
NUMBERS = np.array([1.0 + 2.0**-20, -8.0, 0.0, 1e6, 0.25, 3.0, 3.0, SUBNORMAL, 5.0])


def changed(name: str, line: str = "nn.functional.silu(x=ordinary(9)) seed=4 dtype=float32") -> dict[int, float]:
    """Place and ratio (or new number, where the old one is 0) of every element that a tampering changes."""
    case = parse_case(line)
    scene = Scene(NUMBERS, FORMATS[case.dtype], case, before=NUMBERS[::-1].copy())
    after = BY_NAME[name].change(scene)
    return {i: after[i] / NUMBERS[i] if NUMBERS[i] else after[i] for i in np.flatnonzero(after != NUMBERS).tolist()}


FAULT = 1.0 + 64 * 2.0**-24


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one element × (1 + 64u)", {4: FAULT}),
        ("largest × (1 + 64u)", {3: FAULT}),
        ("smallest × (1 + 64u)", {7: FAULT}),
        ("all × (1 + 64u)", {i: FAULT for i in range(9) if i != 2}),
        ("two neighbours exchanged", {0: -8.0 / NUMBERS[0], 1: NUMBERS[0] / -8.0}),
        ("through TF32", {0: 1.0 / NUMBERS[0], 3: 999936.0 / 1e6, 7: 0.0}),
        ("through bfloat16", {0: 1.0 / NUMBERS[0], 3: 999424.0 / 1e6, 7: 0.0}),
        ("subnormals flushed", {7: 0.0}),
        ("float16's exponent range", {3: np.inf, 7: 0.0}),
        ("tail past a multiple of 8", {8: 1.5}),
        ("inf at one place", {4: np.inf}),
        ("only transposed inputs", {}),
        ("only above 2^4 elements", {}),
    ],
)
def test_a_tampering_changes_these_elements(name: str, expected: dict[int, float]) -> None:
    assert changed(name) == expected


def test_a_stale_output_is_that_of_the_call_before() -> None:
    case = parse_case("nn.functional.silu(x=ordinary(9)) seed=4 dtype=float32")
    scene = Scene(NUMBERS, FORMATS["float32"], case, before=NUMBERS[::-1].copy())
    assert BY_NAME["stale: of the call before"].change(scene).tolist() == NUMBERS[::-1].tolist()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("only transposed inputs", "nn.functional.silu(x=ordinary(9)) seed=4 dtype=float32 layout=transposed"),
        ("only sliced inputs", "nn.functional.silu(x=ordinary(9)) seed=4 dtype=float32 layout=sliced"),
        ("only above 2^4 elements", "nn.functional.silu(x=ordinary(17)) seed=4 dtype=float32"),
        ("only above 2^15 elements", "nn.functional.silu(x=ordinary(32769)) seed=4 dtype=float32"),
    ],
)
def test_a_tampering_of_certain_calls_strikes_there(name: str, line: str) -> None:
    assert changed(name, line) == {i: 1.5 for i in range(9) if i != 2}


@pytest.fixture(scope="module")
def caught() -> set[tuple[str, str]]:
    """Tampering and dtype, of what is noticed on tanh within the default number of cases."""
    found = set()
    for dtype in FORMATS:
        for catch in catches(Trials(reference_named("nn.functional.tanh"), dtype, 60, 0)):
            if catch.cases:
                found.add((catch.tamper, dtype))
    return found


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.name)
def test_each_tampering_is_noticed_on_tanh_in_every_dtype_that_has_it(
    tamper: Tamper, caught: set[tuple[str, str]]
) -> None:
    missed = [dtype for dtype in tamper.dtypes if (tamper.name, dtype) not in caught]
    assert not missed


def test_outputs_of_whole_numbers_are_left_to_exact_comparison() -> None:
    found = catches(Trials(reference_named("nn.BatchNorm1d"), "float32", 12, 0))
    assert {catch.output for catch in found} >= {"value", "grad[x]", "running_mean", "running_var"}
    assert "num_batches_tracked" not in {catch.output for catch in found}


@pytest.mark.parametrize(
    ("ledger", "status"), [(load_ledger(), "known"), (Ledger([], "2.13.0"), "agrees")], ids=("full", "empty")
)
def test_what_pytorch_is_known_to_raise_on_hides_a_fault_of_these_calls(
    ledger: Ledger, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """max_unpool3d takes no indices that are not contiguous: a fault on transposed inputs has no call to strike."""
    monkeypatch.setattr("gradcheck.audit.trials.load_ledger", lambda: ledger)
    monkeypatch.setattr("gradcheck.audit.catching.TAMPERS", [BY_NAME["only transposed inputs"]])
    found = catches(Trials(reference_named("nn.functional.max_unpool3d"), "float32", 12, 0))
    assert {(catch.output, catch.cases, catch.status) for catch in found} == {
        ("value", 0, status),
        ("grad[x]", 0, status),
    }
