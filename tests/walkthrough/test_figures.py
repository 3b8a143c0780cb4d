"""Recorded figures are compared as printed; what differs is said to differ."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.walkthrough.catalogue import SEEDS
from gradcheck.walkthrough.figures import Figure, Report, Sides, item, like, recorded, rounded

MODEL = rounding_model("float32")
PRINTED = {"000": 32, "001": 445, "002": 44, "003": 144, "004": 160}


def figure(printed):
    return Figure("table", "1", "loss", 7, printed)


def status(printed, sides, *arguments, **options):
    report = Report("000", "")
    report.numbers(figure(printed), sides, *arguments, **options)
    return report.findings[0].status


def around(value, bound):
    return Bounded(np.float64(value), np.float64(bound), MODEL)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_recorded_figure_has_a_place(seed):
    figures = [figure for rows in recorded(seed).values() for row in rows for figure in row.values()]
    assert len(figures) == PRINTED[seed]
    assert all(figure.line > 0 and figure.printed for figure in figures)


@pytest.mark.parametrize(
    ("value", "printed", "shown"),
    [(1.2, "1.200", "1.200"), (4.2574e-05, "9.9999e-05", "4.2574e-05"), (-0.00004, "0.0000", "-0.0000")],
)
def test_numbers_are_formatted_as_the_printed_one(value, printed, shown):
    assert like(value, printed) == shown


def test_other_ways_to_print():
    assert rounded(0.05100004, "") == "0.051"
    assert rounded(0.00002, "") == "0.0"
    assert item(0.1, "") == "0.10000000149011612"


def test_the_same_digits_on_both_sides_are_reproduced():
    assert status("1.200", Sides(1.2001, 1.1999)) == "reproduced"
    assert status("1.200", Sides(1.2001, None, around(1.2, 1e-3))) == "reproduced"


@pytest.mark.parametrize("sides", [Sides(1.2006, 1.2), Sides(1.2, 1.2006), Sides(None, 1.21)])
def test_a_digit_that_differs_on_either_side_differs(sides):
    assert status("1.200", sides) == "differs"
    assert status("1.200", sides, reason="no bound says so") == "differs"


def test_within_the_bound_counts_only_with_a_reason():
    sides = Sides(1.2006, 1.2, around(1.2003, 1e-3))
    assert status("1.200", sides, reason="rounding") == "within bound"
    assert status("1.200", sides) == "differs"


def test_outside_the_bound_differs_even_with_the_same_digits():
    assert status("1.200", Sides(1.2004, 1.2004, around(1.2, 1e-4)), reason="rounding") == "differs"
    assert status("1.300", Sides(1.2, 1.2, around(1.2, 1e-3)), reason="rounding") == "differs"


def test_half_a_unit_is_granted_to_what_is_printed_and_to_nothing_else():
    assert status("1.200", Sides(None, None, around(1.2004, 1e-5)), reason="rounding") == "within bound"
    assert status("1.200", Sides(None, None, around(1.2006, 1e-5)), reason="rounding") == "differs"
    assert status("1.2e-05", Sides(None, None, around(1.24e-5, 0.0)), reason="rounding") == "within bound"
    assert status("1.2e-05", Sides(None, None, around(1.26e-5, 0.0)), reason="rounding") == "differs"


def test_words():
    report = Report("000", "")
    report.words(figure("TypeError: no"), "TypeError: no")
    report.words(figure("TypeError: no"), "TypeError: never", "worded anew", follows=True)
    report.words(figure("TypeError: no"), "ValueError: no", "worded anew", follows=False)
    report.not_given(figure("0.3"), "no seed")
    assert [finding.status for finding in report.findings] == ["reproduced", "not given", "differs", "not given"]
    assert not report.passed


def test_a_claim_that_does_not_hold_fails():
    report = Report("000", "")
    assert report.passed
    report.claim("2 + 2 = 5", False)
    assert not report.passed
