"""An enclosure of a whole run contains what machines compute, stays small, and is left by a wrong step."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.walkthrough.lines import by_hand, enclosed
from gradcheck.walkthrough.stability import driven_states, spectral_radius, stability_limit
from gradcheck.walkthrough.trajectory import Trajectory

X = np.linspace(-1.0, 2.0, 30).astype(np.float32)
Y = (1.0 + 2.0 * X + np.sin(40.0 * X) / 10.0).astype(np.float32)
RATE, STEPS = 0.1, 600
MODEL = rounding_model("float32")


@pytest.fixture(scope="module")
def enclosure():
    start = {"weight": np.array([[0.5]]), "bias": np.array([-0.25])}
    columns = (array.astype(np.float64)[:, None] for array in (X, Y))
    return enclosed(start, *columns, RATE, [0, 10, 100, STEPS - 1], MODEL)


def inside(value, bounded):
    return abs(value - float(np.ravel(bounded.value)[0])) <= float(np.ravel(bounded.full_bound())[0])


@pytest.mark.parametrize("shuffled", [False, True])
def test_float32_runs_stay_inside(enclosure, shuffled):
    order = np.random.default_rng(0).permutation(len(X)) if shuffled else np.arange(len(X))
    run = by_hand(0.5, -0.25, X[order], Y[order], RATE, STEPS)
    for step, found in enclosure.items():
        assert inside(run[step].after[0], found.after["weight"])
        assert inside(run[step].after[1], found.after["bias"])
        assert inside(run[step].loss, found.loss)
        assert inside(run[step].gradients[0], found.gradients["weight"])


@pytest.mark.parametrize("step", [0, 10])
def test_a_learning_rate_that_is_slightly_off_leaves_it(enclosure, step):
    run = by_hand(0.5, -0.25, X, Y, RATE * (1.0 + 2.0**-12), STEPS)
    found = enclosure[step]
    assert not (inside(run[step].after[0], found.after["weight"]) and inside(run[step].after[1], found.after["bias"]))


def test_it_does_not_blow_up(enclosure):
    bounds = [float(found.after["weight"].full_bound()[0, 0]) for found in enclosure.values()]
    assert bounds[-1] < 64.0 * bounds[0]


def test_an_unsure_start_is_forgotten_where_descent_contracts():
    def halve(state):
        return {"s": state["s"] * 0.5}

    run = Trajectory({"s": np.array([1.0])}, MODEL, within={"s": 0.25})
    assert run.bounded()["s"].full_bound()[0] == 0.25
    for _ in range(2):
        run.advance(halve)
    assert run.state["s"][0] == 0.25
    assert 0.0625 <= run.bounded()["s"].full_bound()[0] < 0.0626


def test_folding_keeps_the_enclosure():
    """A rotation keeps lengths, so that folded segments may only make the enclosure larger."""
    c, s = np.cos(0.3), np.sin(0.3)

    def rotate(state):
        return {"p": state["p"] * c - state["q"] * s, "q": state["p"] * s + state["q"] * c}

    run = Trajectory({"p": np.array([1.0]), "q": np.array([0.0])}, MODEL, within={"p": 1e-3, "q": 0.0})
    for _ in range(900):
        run.advance(rotate)
    angle = 900 * 0.3
    for name, value in (("p", 1.001 * np.cos(angle)), ("q", 1.001 * np.sin(angle))):
        assert inside(value, run.bounded()[name])
    assert isinstance(run.bounded()["p"], Bounded)


def test_one_sample_is_stable_up_to_the_textbook_limit():
    """|1 - 2·η·(x² + 1)| <= 1 for η <= 1/(x² + 1); the other eigenvalue of one sample's step is 1."""
    assert spectral_radius(np.array([2.0]), 0.19) <= 1.0 < spectral_radius(np.array([2.0]), 0.21)
    limit = stability_limit(np.array([0.0, 1.0]), 0.1, 2.0)
    assert spectral_radius(np.array([0.0, 1.0]), limit) <= 1.0 < spectral_radius(np.array([0.0, 1.0]), 1.001 * limit)


def test_runs_without_noise_end_on_the_line():
    ends = driven_states(np.array([1.0, -1.0]), (2.0, 0.5), (0.0, 0.0), 0.25, 0.0, 400, np.float64, runs=2)
    np.testing.assert_array_equal(ends, [[2.0, 2.0], [0.5, 0.5]])
