"""What PyTorch raises for the mistakes that the walkthroughs make, and the graphs that it builds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradcheck.subject.training_seeds import MISTAKES, graph_of, mistake, walk
from gradcheck.walkthrough.drawing import as_dot


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("lost leaf", "TypeError: unsupported operand type(s) for *: 'float' and 'NoneType'"),
        ("leaf in place", "RuntimeError: a leaf Variable that requires grad "),
        ("dataset moved", "AttributeError: 'TensorDataset' object has no attribute 'to'"),
    ],
)
def test_a_failing_cell_raises_what_it_raised(name, raised):
    assert mistake(name).startswith(raised)


def test_a_cell_that_does_not_fail_is_told_apart(monkeypatch):
    monkeypatch.setitem(MISTAKES, "none", lambda device: None)
    assert mistake("none") == "nothing"


def test_a_graph_shares_what_is_used_twice():
    a = torch.ones(1, requires_grad=True)
    names, edges = graph_of((a * a).sum())
    assert sorted(names.values()) == ["(1)", "MulBackward0", "SumBackward0"]
    assert len(edges) == 3
    dot = as_dot(names, edges)
    assert dot.startswith("digraph {")
    assert '[label="(1)", shape=box]' in dot


def test_a_walk_that_never_zeroes_piles_gradients_up():
    x, y, start = np.ones((2, 1)), np.zeros((2, 1)), {"w": np.ones(1)}

    def gradients(zero):
        steps = walk([(x, y)] * 3, start, 0.0, lambda p, x: p["w"] * x, zero=zero)
        return [seen.gradients["w"] for seen in steps]

    assert gradients(True) == [2.0, 2.0, 2.0]
    assert gradients(False) == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("rung", ["autograd", "optimizer", "loss", "module"])
def test_all_rungs_of_a_walk_take_the_same_step(rung):
    x, y = np.array([[1.0], [3.0]]), np.array([[2.0], [0.0]])
    seen = next(walk([(x, y)], {"w": np.array([0.5])}, 0.25, lambda p, x: p["w"] * x, rung=rung))
    assert (seen.loss, seen.gradients, seen.after) == (2.25, {"w": 3.0}, {"w": -0.25})
