"""Dispatch: functions that only move elements act on every component alike, and arithmetics carry each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Ball, Bounded, Dual, ball_precision, balls, enclosure, rounding_model
from gradcheck.arithmetic.batched import Batched
from gradcheck.arithmetic.machine import Machine
from gradcheck.arithmetic.protocol import ABOUT_SHAPE, STRUCTURAL
from gradcheck.arithmetic.simulated import Simulated
from gradcheck.cases.inputs import Bits

MODEL = rounding_model("float32")
MACHINE = Machine(MODEL, Bits().below)
VALUES = np.arange(1.0, 13.0).reshape(3, 1, 4)

CALLS: dict[Callable[..., Any], Callable[[Any], Any]] = {
    np.broadcast_to: lambda x: np.broadcast_to(x, (3, 2, 4)),
    np.concatenate: lambda x: np.concatenate([x, x[:1]], axis=0),
    np.expand_dims: lambda x: np.expand_dims(x, 1),
    np.flip: lambda x: np.flip(x, axis=(0, 2)),
    np.lib.stride_tricks.sliding_window_view: lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=2),
    np.moveaxis: lambda x: np.moveaxis(x, 0, 2),
    np.pad: lambda x: np.pad(x, ((1, 0), (0, 0), (0, 2))),
    np.ravel: np.ravel,
    np.reshape: lambda x: np.reshape(x, (4, 3)),
    np.squeeze: lambda x: np.squeeze(x, 1),
    np.stack: lambda x: np.stack([x, x], axis=2),
    np.swapaxes: lambda x: np.swapaxes(x, 0, 2),
    np.take: lambda x: np.take(x, np.array([2, 0]), axis=0),
    np.take_along_axis: lambda x: np.take_along_axis(x, np.array([[[3], [0], [1]]]).reshape(3, 1, 1), 2),
    np.transpose: np.transpose,
}


def test_every_structural_function_is_called_here() -> None:
    assert CALLS.keys() == STRUCTURAL


@pytest.mark.parametrize("function", CALLS, ids=lambda f: f.__name__)
def test_components_move_as_the_value_does(function: Callable[..., Any]) -> None:
    call = CALLS[function]
    expected = call(VALUES)
    bounded = call(Bounded(VALUES, VALUES * 10.0, MODEL))
    assert np.array_equal(bounded.value, expected)
    assert np.array_equal(bounded.full_bound(), expected * 10.0)
    assert call(Bounded(VALUES, None, MODEL)).bound is None
    dual = call(Dual(VALUES, VALUES * 10.0))
    assert np.array_equal(dual.primal, expected)
    assert np.array_equal(dual.tangent, expected * 10.0)
    assert np.array_equal(enclosure(call(balls(VALUES)))[0], expected)
    assert np.array_equal(call(Simulated(VALUES, MACHINE)).value, expected)
    batch = call(Batched(Bounded(np.stack([VALUES, -VALUES]), None, MODEL)))
    assert batch.shape == expected.shape
    assert np.array_equal(batch.content.value, np.stack([expected, call(-VALUES)]))


@pytest.mark.parametrize("function", ABOUT_SHAPE, ids=lambda f: f.__name__)
def test_shapes_are_those_of_the_value(function: Callable[..., Any]) -> None:
    for x in (Bounded(VALUES, None, MODEL), Dual(VALUES, VALUES), balls(VALUES), Simulated(VALUES, MACHINE)):
        assert function(x) == function(VALUES)


def test_a_number_says_its_shape() -> None:
    x = Bounded(VALUES, None, MODEL)
    assert (x.shape, x.ndim, x.size, len(x), x.T.shape) == ((3, 1, 4), 3, 12, 3, (4, 1, 3))
    assert x[1].shape == (1, 4)
    assert x.reshape(-1, 2).shape == (6, 2)
    assert Bounded(np.ones((2, 3)), np.float64(0.5), MODEL).full_bound().shape == (2, 3)


def test_plain_arrays_join_from_either_side() -> None:
    x = Bounded(np.array([1.0, 2.0]), None, MODEL)
    for result in (np.array([3.0, 4.0]) + x, x + np.array([3.0, 4.0]), 1.0 - x, np.float64(2.0) * x, x * 3):
        assert isinstance(result, Bounded)
    assert isinstance(np.concatenate([np.array([3.0]), x]), Bounded)
    assert np.concatenate([np.array([0.1]), x]).full_bound()[0] > 0.0


def test_a_dual_number_carries_the_others() -> None:
    bounded = Bounded(np.array([3.0]), None, MODEL)
    over_bounds = Dual(bounded, bounded) * bounded
    assert isinstance(over_bounds, Dual)
    assert isinstance(over_bounds.primal, Bounded)
    assert isinstance(bounded * Dual(bounded, bounded), Dual)
    assert isinstance(np.where(np.array([True]), bounded, Dual(bounded, bounded)), Dual)
    with ball_precision(100):
        assert isinstance((balls([2.0]) + Dual(balls([3.0]), balls([1.0]))).primal, Ball)


def test_repr_shows_the_parts() -> None:
    assert "±" in repr(Bounded(np.array([3.0]), None, MODEL))
    assert "ε" in repr(Dual(np.array([3.0]), np.array([1.0])))
    assert "Ball" in repr(balls([1.0]))
    assert "Simulated" in repr(Simulated(np.array([1.0]), MACHINE))
