"""Error curves: the right inputs, the judge's own figures, and a planted fault seen where it was planted."""

import numpy as np
import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.errors import UsageError
from gradcheck.formats import format_named
from gradcheck.reference.registry import reference_named, references
from gradcheck.report.curve import curve_case, curves_of, has_curve
from gradcheck.report.trace import input_ticks, number, places_of, steps_to, trace_of
from gradcheck.verdict.judge import judge_case

SOFTPLUS = reference_named("nn.functional.softplus")
SILU = reference_named("nn.functional.silu")


def curves(operation, dtype="float32", given=None, subject=None, **options):
    return curves_of(operation, curve_case(operation, dtype, given, points=4096, **options), subject)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_all_numbers_of_a_16_bit_format_are_inputs(dtype):
    case = curve_case(SILU, dtype)
    assert case.specs["x"].shape == (65536,)
    (value, gradient) = curves_of(SILU, case)
    bits = set(format_named(dtype).to_bits(value.x).tolist())
    assert len(bits) == len(value.x) == (63488 if dtype == "float16" else 65280)
    assert gradient.beyond is not None
    assert (np.diff(value.x) >= 0).all()


def test_kinks_and_thresholds_are_among_the_inputs_with_their_neighbours():
    curve = curves(SOFTPLUS, given={"threshold": 3.0})[0]
    form = format_named("float32")
    for point in (3.0, -1.0):
        assert np.isin(form.step(np.array([point] * 3), np.array([-1, 0, 1])), curve.x).all()


def test_a_window_holds_all_inputs_at_equal_distances():
    curve = curves(SILU, window=(-2.0, 6.0))[0]
    assert curve.x[0] == -2.0
    assert curve.x[-1] == 6.0
    assert places_of(curve, np.array([2.0]))[0] == 0.0
    assert input_ticks(curve)[1][0] == "-2"


def test_the_curve_is_what_the_judge_says_of_its_case():
    operation = reference_named("nn.functional.gelu")
    found = curves(operation)
    verdicts = {verdict.output: verdict for verdict in judge_case(parse_case(str(found[0].case)))}
    for curve in found:
        assert curve.ratio[curve.worst] == verdicts[curve.output].error_over_bound
        assert verdicts[curve.output].witness.exceeding == curve.exceeding


def test_a_planted_fault_shows_at_its_place_and_nowhere_else():
    def broken(x):
        y = torch.nn.functional.silu(x)
        return torch.where((x > 1.0) & (x < 1.5), y * 1.001, y)

    value, gradient = curves(SILU, subject=broken)
    clean = curves(SILU)
    for curve in (value, gradient):
        wrong = curve.x[curve.ratio > 1.0]
        assert len(wrong) == curve.exceeding > 0
        assert wrong.min() > 1.0
        assert wrong.max() < 1.5
    assert not any(curve.exceeding for curve in clean)
    trace = trace_of(value, "ratio", 200)
    peak = value.x[np.argmin(np.abs(places_of(value, value.x) - trace.places[trace.worst.argmax()]))]
    assert 0.9 < peak < 1.6
    assert trace.logarithmic


def test_an_infinite_error_is_kept_apart():
    def broken(x):
        return torch.where(x == 0.0, x + float("nan"), torch.nn.functional.silu(x))

    trace = trace_of(curves(SILU, subject=broken)[0], "ratio", 64)
    assert len(trace.infinite) == 1
    assert abs(trace.infinite[0]) < 1.0 / 16.0
    assert np.isfinite(trace.worst).all()


@pytest.mark.parametrize("name", [name for name, entry in references().items() if has_curve(entry)])
def test_every_elementwise_operation_has_a_curve(name):
    assert {curve.output for curve in curves(reference_named(name))} == {"value", "grad[x]"}


def test_what_has_no_curve_says_so():
    with pytest.raises(UsageError, match="has no error curve: an output element depends on more than one number"):
        curve_case(reference_named("nn.functional.softmax"), "float32")
    with pytest.raises(UsageError, match="has no hyperparameter 'alpha'; expected beta, threshold"):
        curve_case(SOFTPLUS, "float32", {"alpha": 1.0})
    with pytest.raises(UsageError, match="mode 'forward' has no error curve"):
        curves(SILU, mode="forward")
    with pytest.raises(UsageError, match="PyTorch raises"):
        curves(reference_named("nn.functional.gelu"), given={"approximate": "erf"})


def test_figures_for_people():
    assert [number(value) for value in (0.0, 0.5, 2.0**-12, -(2.0**-8), 16.0, 2.0**20, np.inf)] == [
        "0", "0.5", "2^-12", "-2^-8", "16", "2^20", "∞",
    ]  # fmt: skip
    for largest in (0.3, 0.999, 1.0, 3.99, 16.0):
        ticks = steps_to(largest)
        assert 3 <= len(ticks) <= 6
        assert ticks[-1] >= largest
        assert ticks[-2] < largest
