"""Sweeps over the number line."""

import numpy as np
import pytest

from gradcheck.cases.sweep import BESIDE, knots, position, swept
from gradcheck.formats import FORMATS

FORMS = pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)


@FORMS
@pytest.mark.parametrize("n", [0, 1, 2, 7, 100, 1001])
def test_so_many_finite_numbers_in_ascending_order(form, n):
    for options in ({}, {"at": (0.0, 20.0)}, {"low": -1.0, "high": 3.0}, {"at": (0.0, 20.0), "low": -1.0, "high": 3.0}):
        values = swept(form, n, **options)
        assert len(values) == n
        assert np.array_equal(form.round(values), values)
        assert (values[1:] >= values[:-1]).all()
        assert np.isfinite(values).all()
        assert "low" not in options or ((values >= -1.0) & (values <= 3.0)).all()


@FORMS
def test_the_ends_the_kink_and_its_neighbours_are_there(form):
    values = swept(form, 5000, (0.5,))
    assert values[0] == -form.largest
    assert values[-1] == form.largest
    around = form.step(np.full(2 * BESIDE + 1, 0.5), np.arange(-BESIDE, BESIDE + 1))
    assert np.isin(around, values).all()


@FORMS
def test_places_grow_with_the_numbers_and_are_spread_evenly(form):
    values = np.unique(swept(form, 20000))
    places = position(form, values)
    assert (np.diff(places) > 0.0).all()
    assert position(form, np.array([-form.largest, 0.0, form.largest])).tolist() == [-1.0, 0.0, 1.0]
    spread = position(FORMATS["float64"], swept(FORMATS["float64"], 10000))
    counts, _ = np.histogram(spread, bins=10, range=(-1.0, 1.0))
    assert counts.min() > 900
    assert position(form, knots(form)).tolist() == [0.0, 0.15, 0.85, 1.0]
