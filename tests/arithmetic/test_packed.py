"""Compiled rules for small arrays in the wide carrier give what NumPy's rules give; one with a fault is found out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, packed, rounding_model
from gradcheck.arithmetic.functions import apart, averaged, parted, reunited
from gradcheck.arithmetic.packed import Packed, compile_now, lift_small
from gradcheck.arithmetic.running import lift_array
from gradcheck.verdict.compare import worst_errors
from tests.arithmetic.test_deferred import EXPRESSIONS, values_of

pytestmark = [
    pytest.mark.skipif(
        not compile_now(),
        reason="no numba, GRADCHECK_FAST is 0, or no x86: the compiled rules were not compared with NumPy's",
    ),
    pytest.mark.filterwarnings("ignore:(divide|invalid|overflow|underflow)"),
]

MODEL = rounding_model("float64", wide=True)

SHAPES = ((3, 5), (2, 3, 129), (600,), (9, 1), (40, 17), (16, 64), (4, 300), (70, 20))

MORE: dict[str, Callable[..., Any]] = {
    "1/√(Σ x² + ε)": lambda x, y, w, r, z: 1.0 / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) / 7 + 1e-5),
    "√x²": lambda x, y, w, r, z: np.sqrt(x * x) - np.sqrt(z * z),
    "√z": lambda x, y, w, r, z: np.sqrt(z + 100.0) * np.sqrt(x),
    "x/r": lambda x, y, w, r, z: x / (r + 10.0),
    "x/(r² + 1)": lambda x, y, w, r, z: z / (r * r + 1.0),
    "3/(z² + 0.001)": lambda x, y, w, r, z: 3.0 / (z * z + 0.001),
    "x·z/r, r apart": lambda x, y, w, r, z: x * z * apart(r + 10.0)[1] - x * apart(r - 20.0)[1],
    "r/r, r apart": lambda x, y, w, r, z: (x + apart(r + 10.0)[0]) * apart(z + 10.0)[1],
    "z·x + r·x - r·w, r parted": lambda x, y, w, r, z: _united(x * z, r * (x - w), r, x, w),
    "x·z + r·z - r·r, r parted": lambda x, y, w, r, z: _united(x, z * x, r, x * z, r),
    "Σ z/7, kept up to date": lambda x, y, w, r, z: z - averaged(np.sum(z, axis=-1, keepdims=True), 7),
    "reshaped": lambda x, y, w, r, z: (x * z).reshape(-1) * 1.5,
    "Σ of equal terms": lambda x, y, w, r, z: np.sum((x * 0.0 + 1.0) * 0.1 * r, axis=-1),
    "Σ of equal exact terms": lambda x, y, w, r, z: np.sum(np.broadcast_to(w[:1], x.shape), axis=-1),
    "Σ of z² over the batch": lambda x, y, w, r, z: np.sum(z * z, axis=tuple(range(z.ndim - 1)), keepdims=True) / r,
}


@pytest.fixture(autouse=True)
def _few_elements_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "SMALLEST", 1)


def _united(y: Any, more: Any, r: Any, x: Any, origin: Any) -> Any:
    return reunited(y + more * 0.5, parted(r)[1], x, origin)


def _outcomes(kind: str, shape: tuple[int, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Name of an expression, and its result by compiled rules and by NumPy's alone."""
    x, y, z = (values_of(kind, shape, MODEL, seed) for seed in (1, 2, 3))
    w, r = values_of(kind, shape[-1:], MODEL, 4), values_of(kind, (*shape[:-1], 1), MODEL, 5)
    for name, expression in (EXPRESSIONS | MORE).items():
        results = []
        for lifted in (lift_small, lift_array):
            exact = [lifted(array, MODEL) for array in (x, y)]
            rows, whole = (
                Bounded(array.astype(np.longdouble), np.abs(array) * MODEL.unit + MODEL.eta, MODEL, peak * 1.5)
                for array, peak in ((array, lift_array(array, MODEL).top) for array in (r, z))
            )
            results.append(expression(*exact, lift_array(w, MODEL), rows, whole))
        yield name, *results


def _same(a: Any, b: Any) -> bool:
    """Equal numbers and signs of zero; NaN equals NaN."""
    a, b = np.asarray(a), np.asarray(b)
    alike = (a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))
    return a.shape == b.shape and bool(alike.all())


def _differences(kind: str, shape: tuple[int, ...]) -> list[str]:
    wrong = []
    with np.errstate(all="ignore"):
        for name, got, should_be in _outcomes(kind, shape):
            facts = [(n.bound is None, n.floor, n.is_root, str(n.top)) for n in (got, should_be)]
            same = _same(got.value, should_be.value) and _same(got.full_bound(), should_be.full_bound())
            if not (same and facts[0] == facts[1]):
                wrong.append(name)
    return wrong


@pytest.mark.parametrize("kind", ["ordinary", "edges", "special"])
def test_compiled_rules_give_the_numbers_of_numpys(kind: str) -> None:
    assert {shape: wrong for shape in SHAPES if (wrong := _differences(kind, shape))} == {}


def test_the_rules_are_compiled_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("combine", "sums"):
        rule = getattr(packed._rules, name)
        monkeypatch.setattr(packed._rules, name, lambda *some, rule=rule: calls.append(rule) or rule(*some))
    x = lift_small(values_of("ordinary", (16, 64), MODEL, 1), MODEL)
    result = np.sum(1.0 / np.sqrt(x * x + 1e-5) - x / 3, axis=-1)
    assert isinstance(result, Packed)
    assert len(calls) == 7


FAULTS = {
    "ADD": "SUBTRACT", "SUBTRACT": "ADD", "MULTIPLY": "DIVIDE", "DIVIDE": "MULTIPLY", "ROOT": "SCALE", "SCALE": "ADD",
}  # fmt: skip


@pytest.mark.parametrize("step", FAULTS)
def test_a_rule_that_computes_something_else_is_noticed(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _differences("ordinary", (4, 300))  # and all is compiled
    monkeypatch.setattr(packed._rules, step, getattr(packed._rules, FAULTS[step]))
    assert _differences("ordinary", (4, 300))


@pytest.mark.parametrize(
    ("place", "factor", "shape"),
    [
        *((0, 1.0 + 2.0**-40, (16, 64)), (1, 2.0, (16, 64)), (1, 2.0, (3, 5)), (2, 2.0, (3, 5))),
        *((3, 1.0 + 2.0**-40, (3, 5)), (4, 1.0 + 2.0**-20, (3, 5))),
    ],
)
def test_a_constant_that_is_off_is_noticed(
    place: int, factor: float, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few elements, or of more, whichever it is for."""
    wrong = MODEL.flat.copy()
    wrong[place] *= factor
    monkeypatch.setitem(MODEL.__dict__, "flat", wrong)
    assert _differences("edges", shape)


@pytest.mark.parametrize("kind", ["ordinary", "edges", "special"])
def test_the_worst_error_is_that_of_numpy(kind: str) -> None:
    with np.errstate(all="ignore"):
        value = values_of(kind, (5, 30), MODEL, 1)
        bound = np.abs(value) * 2.0**-20 + 2.0**-100
        got = value + bound * values_of("ordinary", (5, 30), MODEL, 2) * 0.25
        reference = Bounded(value.astype(np.longdouble), bound, MODEL)
        for _ in range(2):
            assert worst_errors(got, packed.packed(reference), None) == worst_errors(got, reference, None)
            got[2, 7] += 4.0


def test_nothing_is_packed_before_many_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_lifted", 0)
    monkeypatch.setattr(packed, "LIFTED_BEFORE", 3)
    found = [type(lift_small(np.ones((4, 4)), MODEL)) for _ in range(5)]
    assert found == [Bounded, Bounded, Bounded, Packed, Packed]
    assert math.isfinite(lift_small(np.ones(3), MODEL).top)
