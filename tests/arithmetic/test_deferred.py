"""Rules that are put off and compiled give every bit that NumPy's rules give; a kernel with one fault is found out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, RoundingModel, deferred, rounding_model, sum_over_batch
from gradcheck.arithmetic.deferred import Deferred, kernels, lift_large
from gradcheck.arithmetic.postponed import Summed
from gradcheck.arithmetic.running import lift_array
from gradcheck.verdict.compare import error_ratios, look_together, worst_errors

pytestmark = [
    pytest.mark.skipif(
        kernels() is None,
        reason="numba is not installed, or GRADCHECK_FAST is 0: the compiled rules were not compared with NumPy's",
    ),
    # The rules run within np.errstate where they are used; special values are among the operands here.
    pytest.mark.filterwarnings("ignore:(divide|invalid|overflow|underflow)"),
]

MODELS = {
    "float32": rounding_model("float32"),
    "float64": rounding_model("float64"),
    "bfloat16": rounding_model("bfloat16"),
    "bfloat16 coarse": rounding_model("bfloat16", grade="coarse"),
    "float32 flushed": rounding_model("float32", flushed=True),
}

SHAPES = ((3, 300), (2, 3, 129), (1000,), (9, 1), (40, 17), (4, 1024))

EXPRESSIONS: dict[str, Callable[..., Any]] = {
    "x + y": lambda x, y, w, r, z: x + y,
    "x + r": lambda x, y, w, r, z: x + r,
    "r + z": lambda x, y, w, r, z: r + z,
    "x - w": lambda x, y, w, r, z: x - w,
    "x - r": lambda x, y, w, r, z: x - r,
    "r - x": lambda x, y, w, r, z: r - x,
    "z - r": lambda x, y, w, r, z: z - r,
    "x·y": lambda x, y, w, r, z: x * y,
    "x·r": lambda x, y, w, r, z: x * r,
    "w·z": lambda x, y, w, r, z: w * z,
    "r·w·z": lambda x, y, w, r, z: r * w * z,
    "z²": lambda x, y, w, r, z: np.square(z),
    "√Σ z²": lambda x, y, w, r, z: np.sqrt(np.sum(z * z * 1e-40 + 0.0, axis=-1)),
    "0.1·x": lambda x, y, w, r, z: 0.1 * x,
    "x/3": lambda x, y, w, r, z: x / 3.0,
    "z/3": lambda x, y, w, r, z: z / 3.0,
    "x/1024": lambda x, y, w, r, z: x / 1024,
    "2x": lambda x, y, w, r, z: 2.0 * x,
    "-4z": lambda x, y, w, r, z: z * -4.0,
    "z/2": lambda x, y, w, r, z: z * 0.5,
    "x/2": lambda x, y, w, r, z: x * 0.5,
    "-x": lambda x, y, w, r, z: -x,
    "-z": lambda x, y, w, r, z: -z,
    "Σ x": lambda x, y, w, r, z: np.sum(x, axis=-1, keepdims=True),
    "Σ z": lambda x, y, w, r, z: np.sum(z - r, axis=(z.ndim - 1,)),
    "Σ z over the batch": lambda x, y, w, r, z: sum_over_batch(z * r, tuple(range(z.ndim - 1))),
    "Σ x over the batch": lambda x, y, w, r, z: np.sum(x, axis=tuple(range(x.ndim - 1))),
    "Σ z·y + Σ (z - r)": lambda x, y, w, r, z: _both(z * y, z - r, -1),
    "Σ x + Σ z over the batch": lambda x, y, w, r, z: _both(x, z * y, tuple(range(z.ndim - 1))),
    "Σ of rows and over the batch": lambda x, y, w, r, z: _sums_of_two_kinds(z * y, x),
    "Σ of all": lambda x, y, w, r, z: np.sum(z * y),
    "exp": lambda x, y, w, r, z: np.exp(z * 0.25) + x,
    "x/z": lambda x, y, w, r, z: -(x / z),
    "rows": lambda x, y, w, r, z: (x * y)[:1] - w,
    "where": lambda x, y, w, r, z: np.where(x.value > 0, x, z) * r,
    "long": lambda x, y, w, r, z: _long(x, r, z),
}
"""By name: functions of two exact arrays, of an exact one of columns, and of two with bounds, of rows and whole."""


def _long(x: Any, r: Any, z: Any) -> Any:
    """More rules than are put off at once, whose middle is used twice."""
    total = x
    for _ in range(2 * deferred.MOST_RULES):
        total = total * 0.5 + r
    return total * total - z


def _both(a: Any, b: Any, axis: Any) -> Any:
    """Two sums, of which the second is asked for first."""
    first, second = np.sum(a, axis=axis), np.sum(b, axis=axis)
    return second * second + first


def _sums_of_two_kinds(a: Any, b: Any) -> Any:
    rows, columns = np.sum(a, axis=-1, keepdims=True), np.sum(b, axis=tuple(range(b.ndim - 1)), keepdims=True)
    return rows - columns


def values_of(kind: str, shape: tuple[int, ...], model: RoundingModel, seed: int) -> np.ndarray:
    bits = np.random.Generator(np.random.Philox(seed))
    values = bits.normal(size=shape)
    if kind != "ordinary":
        store = model.store
        edges = [0.0, -0.0, store.smallest_subnormal, -store.smallest_normal, 1.0, -1.0, 3e-20, -2e15]
        if kind == "special":
            edges += [np.inf, -np.inf, np.nan, store.largest, -store.largest]
        values = np.where(bits.random(shape) < 0.3, bits.choice(edges, shape), values)
    return model.store.round(values)


def _outcomes(kind: str, shape: tuple[int, ...], model: RoundingModel) -> Iterator[tuple[str, Any, Any]]:
    """Name of an expression, and its result by rules that are put off and by NumPy's alone."""
    x, y, z = (values_of(kind, shape, model, seed) for seed in (1, 2, 3))
    w, r = values_of(kind, shape[-1:], model, 4), values_of(kind, (*shape[:-1], 1), model, 5)
    bounds = [np.abs(array) * model.unit + model.eta for array in (r, z)]
    for name, expression in EXPRESSIONS.items():
        results = []
        for lifted in (lift_large, lift_array):
            columns = lift_array(w, model)
            exact = [lifted(array, model) for array in (x, y)]
            rows, whole = (
                Bounded(array, bound, model, lift_array(array, model).top * 1.5)
                for array, bound in zip((r, z), bounds, strict=True)
            )
            results.append(
                expression(*exact, columns, rows, deferred.deferred(whole) if lifted is lift_large else whole)
            )
        yield name, *results


def _same_bits(a: Any, b: Any) -> bool:
    """Equal bits, but for those of NaN, of which IEEE 754 leaves the sign and the payload open."""
    a, b = (np.where(np.isnan(array), np.nan, array) for array in (a, b))
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _differences(kind: str, shape: tuple[int, ...], model: RoundingModel) -> list[str]:
    wrong = []
    with np.errstate(all="ignore"):
        for name, got, should_be in _outcomes(kind, shape, model):
            same_top = got.top == should_be.top or (math.isnan(got.top) and math.isnan(should_be.top))
            exactly = (got.bound is None) == (should_be.bound is None)
            bound = _same_bits(got.full_bound(), should_be.full_bound())
            if not (_same_bits(got.value, should_be.value) and exactly and bound and same_top):
                wrong.append(name)
    return wrong


@pytest.fixture(autouse=True)
def _small_arrays_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "DEFERRED_ELEMENTS", 8)
    monkeypatch.setattr("gradcheck.arithmetic.ulps.FEW", 0)  # and no array has few elements


@pytest.mark.parametrize("kind", ["ordinary", "edges", "special"])
@pytest.mark.parametrize("model", MODELS)
def test_compiled_rules_give_the_bits_of_numpys(kind: str, model: str) -> None:
    assert {shape: wrong for shape in SHAPES if (wrong := _differences(kind, shape, MODELS[model]))} == {}


FAULTS = {
    "LOAD": "LOAD_BOUND", "LOAD_BOUND": "LOAD", "STORE": "NEGATIVE_0", "STORE_BOUND": "STORE",
    "SUM_0": "nothing", "SUM_1": "SUM_0", "TOTAL_0": "STORE", "TOTAL_1": "TOTAL_0",
    "ADD_00": "SUBTRACT_00", "ADD_10": "ADD_00", "ADD_11": "ADD_10",
    "SUBTRACT_00": "ADD_00", "SUBTRACT_10": "SUBTRACT_01", "SUBTRACT_01": "SUBTRACT_00", "SUBTRACT_11": "SUBTRACT_10",
    "MULTIPLY_00": "DIVIDE_00", "MULTIPLY_01": "MULTIPLY_00", "MULTIPLY_11": "MULTIPLY_01",
    "MULTIPLY_ROOM_01": "MULTIPLY_01", "MULTIPLY_ROOM_11": "MULTIPLY_11",
    "DIVIDE_00": "MULTIPLY_00", "DIVIDE_10": "DIVIDE_00",
    "SCALE_00": "NEGATIVE_0", "SCALE_01": "MULTIPLY_00", "SCALE_11": "SCALE_01",
    "NEGATIVE_0": "SCALE_00", "NEGATIVE_1": "SCALE_11", "GROW": "SCALE_11",
}  # fmt: skip
"""Each step, and one that differs from it in one operation."""


@pytest.mark.parametrize("step", [name for name in FAULTS if name in kernels().CODES] if kernels() else [])
def test_a_step_that_computes_something_else_is_noticed(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = kernels().CODES
    monkeypatch.setattr(kernels(), "CODES", codes | {step: (codes | {"nothing": -1})[FAULTS[step]]})
    assert any(_differences("ordinary", (3, 300), MODELS[model]) for model in ("float32", "float64", "bfloat16 coarse"))


def test_every_step_has_a_fault() -> None:
    assert set(FAULTS) | {"WORST", "LOAD_SINGLE"} == set(kernels().CODES)


def _to_compare(kind: str, model: RoundingModel) -> tuple[np.ndarray, Bounded]:
    """Numbers within a few bounds of a reference, and that."""
    value = values_of(kind, (5, 300), model, 1)
    bound = np.abs(value) * 2.0**-20 + 2.0**-100
    return value + bound * values_of("ordinary", (5, 300), model, 2) * 0.25, Bounded(value, bound, model)


def _as_singles(array: np.ndarray) -> np.ndarray:
    """In float32, with room behind them: a step that took them for float64 would read twice as far."""
    singles = np.zeros(2 * array.size, dtype=np.float32)[: array.size].reshape(array.shape)
    singles[...] = array
    return singles


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["ordinary", "edges", "special"])
def test_the_worst_error_is_that_of_numpy(kind: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rounding = MODELS[model]
    with np.errstate(all="ignore"):
        got, reference = _to_compare(kind, rounding)
        singles = _as_singles(got)
        compiled = [worst_errors(array, reference, None) for array in (got, singles)]
        monkeypatch.setattr(deferred, "DEFERRED_ELEMENTS", math.inf)
        assert compiled == [worst_errors(array, reference, None) for array in (got, singles)]
        got[2, 7] += 4.0
        assert compiled[0] != worst_errors(got, reference, None) or kind == "special"


def _two_numbers() -> tuple[np.ndarray, Bounded, Bounded]:
    """Something near both of two numbers that have operands in common."""
    model = MODELS["float32"]
    x, w = (lift_large(values_of("ordinary", (5, 300), model, seed), model) for seed in (1, 2))
    one, two = x * w + w, (x * w) * x
    return np.asarray((x * w + w).value) + 2.0**-20, one, two


@pytest.mark.parametrize("tampered", [False, True])
def test_numbers_that_are_compared_together_are_compared_as_alone(
    tampered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    got, *numbers = _two_numbers()
    alone = [worst_errors(got, number, None) for number in numbers]
    assert alone[0] != alone[1]
    got, *numbers = _two_numbers()
    runs = _count_runs(monkeypatch)
    look_together([(got, number) for number in numbers])
    other = got + 1.0 if tampered else got
    found = [worst_errors(other, number, None) for number in numbers]
    assert (found == alone) == (not tampered)
    assert len(runs) == (3 if tampered else 1)


def test_float32_that_is_not_widened_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    got, reference = _to_compare("ordinary", MODELS["float32"])
    singles = _as_singles(got)
    right = worst_errors(singles, reference, None)
    monkeypatch.setattr(kernels(), "CODES", kernels().CODES | {"LOAD_SINGLE": kernels().CODES["LOAD"]})
    assert worst_errors(singles, reference, None) != right


def test_the_largest_quotient_is_found_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is larger than those before by the least there is: no tile's quotients are left out in error."""
    value, bound = np.zeros((4, 600)), np.ones((4, 600))
    model = MODELS["float64"]
    for place in (0, 5, 599, 1300, 2399):
        got = np.full((4, 600), 0.75)
        got.reshape(-1)[place] = np.nextafter(0.75, 1.0)
        expected = error_ratios(got, Bounded(value, bound, model)).max()
        assert worst_errors(got, Bounded(value, bound, model), None).ratio == expected
        got.reshape(-1)[place] = np.nextafter(0.75, 0.0)
        assert worst_errors(got, Bounded(value, bound, model), None).ratio > 0.0


def _count_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of steps of each run from now on."""
    runs: list[int] = []
    run = kernels().run
    monkeypatch.setattr(kernels(), "run", lambda steps, *more: runs.append(len(steps)) or run(steps, *more))
    return runs


def test_sums_over_one_shape_share_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcheck.arithmetic.running_reductions.SAMPLED_ELEMENTS", 0)  # large ones are not looked at
    x, y = (lift_large(values_of("ordinary", (40, 30), MODELS["float32"], seed), MODELS["float32"]) for seed in (1, 2))
    product = x * y
    runs = _count_runs(monkeypatch)
    rows, columns, dropped = np.sum(product, axis=1), np.sum(product - x, axis=0), np.sum(product + y, axis=0)
    del dropped
    assert runs == []
    assert rows.value.shape == (40,)
    assert columns.bound.shape == (30,)
    assert runs == [4]  # product, its difference from x; sums of rows, and of columns: nothing of what was dropped


def test_a_sum_that_gets_other_sums_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"Σ z·y + Σ (z - r)", "Σ x + Σ z over the batch", "Σ of rows and over the batch"}
    note = Summed.note
    monkeypatch.setattr(Summed, "note", lambda self, tape: note(self, tape)[::-1])
    assert names <= set(_differences("ordinary", (3, 300), MODELS["float32"]))


def test_nothing_is_put_off_when_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADCHECK_FAST", "0")
    kernels.cache_clear()
    try:
        assert not isinstance(lift_large(np.ones((4, 100)), MODELS["float32"]), Deferred)
    finally:
        monkeypatch.undo()
        kernels.cache_clear()
