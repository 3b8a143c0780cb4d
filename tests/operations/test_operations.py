"""Every operation of the installed PyTorch, judged on cases that Hypothesis draws and shrinks.

A test fails for what deviates, raises or crashes beyond the ledger of known deviations; what is coarse or unsupported
is counted (``--hypothesis-show-statistics`` shows it). The modules that import torch are imported inside the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.draw import Draw, ModeDraw, draw_case
from gradcheck.cases.inputs import KINDS, arguments_of
from gradcheck.cases.strategies import cases
from gradcheck.certify.draw import SMOOTH
from gradcheck.formats import format_named
from gradcheck.reference.registry import Reference

WRONG = ("deviates", "raises", "crashed", "timed out")
FEWER = settings(max_examples=max(5, settings.default.max_examples // 4))

#: Sets of hyperparameters and cotangents that all numbers are judged with: one in the quick profile, else all.
VARIANTS = max(1, settings.default.max_examples // 10)


def judge(drawn: Iterable[Case]) -> list[Any]:
    """Verdicts on cases. Fails with a sentence and a replay line for each that is wrong and not in the ledger."""
    from gradcheck.verdict.judge import judge_case
    from gradcheck.verdict.ledger import load_ledger
    from gradcheck.verdict.sentence import sentence

    ledger = load_ledger()
    verdicts = [verdict for case in drawn for verdict in judge_case(case)]
    wrong = [verdict for verdict in verdicts if verdict.status in WRONG and ledger.match(verdict) is None]
    if wrong:
        pytest.fail("\n\n".join(sentence(verdict) for verdict in wrong), pytrace=False)
    return verdicts


def places(case: Case, dtypes: Iterable[str], devices: Iterable[str]) -> list[Case]:
    return [case.on(dtype=dtype, device=device) for device in devices for dtype in dtypes]


@given(data=st.data())
def test_every_output_lies_within_its_bound(
    operation: Reference, dtypes: tuple[str, ...], devices: tuple[str, ...], data: Any
) -> None:
    case = data.draw(cases(operation), label="case")
    for verdict in judge(places(case, dtypes, devices)):
        event(f"{verdict.device} {verdict.dtype} {verdict.status}")


@FEWER
@given(data=st.data(), layout=st.sampled_from(["transposed", "sliced"]))
def test_the_layout_in_memory_does_not_matter(
    operation: Reference, dtypes: tuple[str, ...], devices: tuple[str, ...], data: Any, layout: str
) -> None:
    case = data.draw(cases(operation), label="case")
    judge(place.on(layout=layout) for place in places(case, dtypes, devices))


def test_one_number_gives_one_result_wherever_it_stands(
    elementwise: Reference, dtypes: tuple[str, ...], devices: tuple[str, ...], record_property: Any
) -> None:
    """A vectorised body and a scalar tail may round differently, within the bound: that is noted, not refused."""
    for dtype in dtypes:
        repeated = [case for case in corpus(elementwise, dtype, 0, 0) if case.cotangent == "repeated"]
        assert repeated, f"the corpus of {elementwise.name} has no case of one number throughout"
        for verdict in judge(case.on(device=device) for device in devices for case in repeated):
            for note in verdict.notes:
                record_property("note", f"{verdict.operation} in {verdict.dtype}, {verdict.output}: {note}")


def test_all_numbers_of_a_16_bit_format(
    elementwise: Reference, dtypes: tuple[str, ...], devices: tuple[str, ...]
) -> None:
    """Value and gradient at all 65,536 inputs."""
    short = [dtype for dtype in dtypes if format_named(dtype).bits == 16]
    if not short:
        pytest.skip(f"no 16-bit dtype among {', '.join(dtypes)}")
    for dtype in short:
        every = [case for case in corpus(elementwise, dtype, 0, 0) if case.specs[elementwise.arrays[0]].kind == "every"]
        assert every, f"the corpus of {elementwise.name} has no case of all numbers"
        judge(case.on(device=device) for device in devices for case in every[:VARIANTS])


def test_a_zero_cotangent_gives_zero_gradients(
    operation: Reference, dtypes: tuple[str, ...], devices: tuple[str, ...]
) -> None:
    """Exactly zero at ordinary numbers, whatever the rounding."""
    from gradcheck.subject.run import run_case

    for case in places(draw_case(operation, Draw(), 0).on(cotangent="zeros"), dtypes, devices):
        observed = run_case(operation, case, arguments_of(case))
        if observed.outcome == "unsupported":
            continue
        assert observed.outcome == "ran", f"{case}: {observed.words}"
        gradients = {name: output for name, output in observed.outputs.items() if name.startswith("grad[")}
        assert gradients, f"{operation.name} has no gradient"
        for name, gradient in gradients.items():
            left = np.argwhere(gradient != 0.0)
            assert not left.size, f"{case}: {name} is {gradient[tuple(left[0])]} at {tuple(left[0])} for no cotangent"


def test_the_vjp_is_linear_in_the_cotangent(
    operation: Reference, dtypes: tuple[str, ...], devices: tuple[str, ...]
) -> None:
    """Twice the cotangent, a power of two, gives exactly twice the gradients, as long as nothing leaves the range."""
    from gradcheck.subject.run import run_case

    others = tuple(kind for kind in KINDS if kind not in SMOOTH or kind == "wide")  # which underflows on the way
    drawn = [
        draw_case(operation, ModeDraw(operation.name, 0, index, without=others, most=200), index) for index in range(5)
    ]
    for place in (place for case in drawn for place in places(case, dtypes, devices)):
        once, twice = (run_case(operation, place.on(cotangent=kind), arguments_of(place)) for kind in ("ones", "twos"))
        if once.outcome != "ran":
            continue
        form = format_named(place.dtype)
        for name, gradient in once.outputs.items():
            if name.startswith("grad["):
                inside = (np.abs(gradient) > form.smallest_normal * 2**form.precision) & (
                    np.abs(gradient) < form.largest / 2**form.precision
                )
                wrong = np.argwhere(inside & (twice.outputs[name] != 2.0 * gradient))
                assert not wrong.size, f"{place}: {name} at {tuple(wrong[0])} is not doubled"


def test_the_simplest_case_runs_in_float32_and_float64(operation: Reference, devices: tuple[str, ...]) -> None:
    """An operation that is unsupported everywhere would otherwise pass every test above."""
    for verdict in judge(places(draw_case(operation, Draw(), 0), ("float64", "float32"), devices)):
        assert verdict.status in ("agrees", "deviates"), f"{verdict.operation} in {verdict.dtype}: {verdict.words}"
