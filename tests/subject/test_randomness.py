"""What PyTorch draws: the share of what dropout keeps follows the binomial law, at a stated significance.

The seeds are fixed, so a test gives the same answer every time; it is the choice of seeds that fails a right generator
with a probability of SIGNIFICANCE per test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import binomtest, kstest

from gradcheck.reference.registry import reference_named
from gradcheck.subject.adapters import operation_named

SIGNIFICANCE = 0.001

ELEMENTS = 40_000
"""Enough to tell a share of 1/4 from 0.267: a generator off by that fails with near certainty."""

SHAPES = {
    "dropout": (ELEMENTS,),
    "dropout1d": (200, 200, 2),
    "dropout2d": (200, 200, 1, 2),
    "dropout3d": (200, 200, 1, 2, 1),
    "alpha_dropout": (ELEMENTS,),
    "feature_alpha_dropout": (200, 200, 2, 1),
}
"""By operation, an input in which that many things are dropped or kept."""


def kept_by(name: str, p: float, seed: int) -> Any:
    """Which elements an operation keeps of ones, out of its output; a tensor of booleans of the input's shape."""
    import torch

    torch.manual_seed(seed)
    output = getattr(torch.nn.functional, name)(torch.ones(SHAPES[name]), p=p, training=True)
    return output > 0.0


def p_value(kept: int, p: float) -> float:
    """Of the exact binomial test that each of ELEMENTS things is kept with probability 1 - p."""
    return float(binomtest(kept, ELEMENTS, 1.0 - p).pvalue)


@pytest.mark.parametrize("p", [0.5, 0.25, 0.9])
@pytest.mark.parametrize("name", SHAPES)
def test_the_share_kept_is_binomial(name: str, p: float) -> None:
    kept = kept_by(name, p, seed=0)
    channels = kept.flatten(2)[..., 0] if kept.dim() > 2 else kept
    assert channels.numel() == ELEMENTS
    assert p_value(int(channels.sum()), p) > SIGNIFICANCE


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if len(shape) > 2])
def test_a_channel_is_kept_or_dropped_whole(name: str) -> None:
    rows = kept_by(name, 0.5, seed=1).flatten(2)
    assert bool((rows == rows[..., :1]).all())


@pytest.mark.parametrize("name", SHAPES)
def test_neighbours_are_drawn_independently(name: str) -> None:
    """Both of a pair are kept as often as (1 - p)²: the exact binomial test over disjoint pairs."""
    kept = kept_by(name, 0.5, seed=2)
    channels = (kept.flatten(2)[..., 0] if kept.dim() > 2 else kept).reshape(-1, 2)
    both = int(channels.all(dim=1).sum())
    assert binomtest(both, ELEMENTS // 2, 0.25).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("name", SHAPES)
def test_the_mask_of_the_adapter_is_the_one_of_the_output(name: str) -> None:
    """What the reference is given as drawn is what the operation really did: seen in its output, which has no zeros."""
    import torch

    call = operation_named(f"nn.functional.{name}")
    x = torch.full((5, 4, 3, 2), 3.0)
    if name in ("dropout1d", "dropout3d"):
        x = x.flatten(2) if name == "dropout1d" else x.unsqueeze(-1)
    inner = 0 if name in ("dropout", "alpha_dropout") else x.dim() - 2
    mask = torch.ones((*x.shape[: x.dim() - inner], *(1,) * inner), dtype=torch.bool)
    outputs = call(x, mask=mask, p=0.5, training=True)
    assert outputs["mask"].shape == mask.shape
    assert bool(((outputs["value"] > 0.0) == outputs["mask"].expand_as(x)).all())
    assert 0 < int(outputs["mask"].sum()) < mask.numel()


def test_the_adapter_leaves_the_generator_as_it_was() -> None:
    import torch

    before = torch.get_rng_state()
    x = torch.ones(10)
    operation_named("nn.functional.dropout")(x, mask=x > 0, p=0.5, training=True)
    assert bool((torch.get_rng_state() == before).all())


@pytest.mark.parametrize("wrong", [lambda p: p, lambda p: 1.0 - p * p, lambda p: 1.0 - p - 1 / 60])
def test_another_share_is_seen(wrong: Callable[[float], float]) -> None:
    """The test can fail: for the share of what is dropped, for a square, for a sixtieth less."""
    p = 0.25
    assert p_value(round(wrong(p) * ELEMENTS), p) < SIGNIFICANCE


def test_every_operation_that_draws_zeros_is_here() -> None:
    for name in SHAPES:
        assert reference_named(f"nn.functional.{name}").drawn == ("mask",)


def slopes_of(seed: int, lower: float, upper: float) -> Any:
    """The slopes that rrelu draws in training, as an array."""
    import torch

    torch.manual_seed(seed)
    return -torch.nn.functional.rrelu(-torch.ones(ELEMENTS), lower, upper, training=True).numpy()


@pytest.mark.parametrize(("lower", "upper"), [(0.125, 1.0 / 3.0), (0.1, 0.7)])
def test_the_slopes_of_rrelu_are_uniform(lower: float, upper: float) -> None:
    """The Kolmogorov-Smirnov test; and one that is uniform on a slightly wider interval fails it."""
    slopes = slopes_of(0, lower, upper)
    assert kstest(slopes, "uniform", (lower, upper - lower)).pvalue > SIGNIFICANCE
    assert kstest(slopes, "uniform", (lower, 1.05 * (upper - lower))).pvalue < SIGNIFICANCE
