"""Domains: what inputs functions draw is what the operation takes, and every value of an option comes up."""

from __future__ import annotations

import fnmatch

import numpy as np
import pytest

from gradcheck.cases.case import ArraySpec
from gradcheck.cases.draw import Draw, SeededDraw, draw_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.domains import POSITIVE, REDUCTIONS, elementwise, hyperparameters, rows_of_x
from gradcheck.reference.evaluate import float64_outputs
from gradcheck.reference.registry import reference_named, references


def test_the_simplest_draw_takes_the_first_of_everything() -> None:
    assert hyperparameters(Draw(), beta=POSITIVE, reduction=REDUCTIONS) == {"beta": 1.0, "reduction": "mean"}
    drawn = elementwise(lambda beta: (1.0 / beta,), beta=POSITIVE)(Draw())
    assert drawn == {"x": ArraySpec("ordinary", (2,)), "beta": 1.0}


def test_kinks_follow_the_hyperparameters() -> None:
    inputs = elementwise(lambda beta: (1.0 / beta, -1.0), beta=(0.5,))
    near = [spec for i in range(40) if (spec := inputs(SeededDraw("x", 0, i))["x"]).kind == "near"]
    assert near
    assert all(dict(spec.options)["at"] == (2.0, -1.0) for spec in near)


def test_numbers_have_no_rows() -> None:
    assert rows_of_x({"x": np.ones((2, 3))}) == ("x",)
    assert rows_of_x({"x": np.ones(())}) == ()


NO_DEFAULT = {
    "stride": "None stands for the window's size, which is said in words",
    "size": "the default None needs a scale in its place",
    "output_size": "the default None needs a ratio in its place",
    "training": "batch_norm in training is the plain call",
    "dim": "1 needs two dimensions, the last one does not",
}
"""Options of which the simplest case has another value than PyTorch's default, with the reason."""

NO_DEFAULT_OF = {
    ("nn.BatchNorm*", "momentum"): "None, the cumulative average, is what the layer has beyond the function",
    ("nn.BatchNorm*", "num_batches_tracked"): "the default None counts nothing, where the layer counts from 0",
    ("nn.Conv*", "padding_mode"): "zeros are the function's own",
    ("nn.Conv*", "padding"): "0 has no padding mode to tell apart",
    ("nn.functional.embedding_bag", "mode"): "max gives each gradient to one row, which is the plainer bag",
}
"""The same for one operation, or those of a pattern."""


def has_another(name: str, option: str) -> bool:
    """Whether the simplest case may have another value than the default."""
    return option in NO_DEFAULT or any(
        fnmatch.fnmatchcase(name, pattern) and option == of_it for pattern, of_it in NO_DEFAULT_OF
    )


@pytest.mark.parametrize("name", references())
def test_the_simplest_case_uses_the_defaults(name: str) -> None:
    """What a failure shrinks to is the plain call; one number may stand there for every dimension."""
    entry = reference_named(name)
    simplest = dict(draw_case(entry, Draw(), 0).arguments)
    for option, default in entry.hyperparameters.items():
        if option not in entry.required and not has_another(name, option):
            value = simplest.get(option, default)
            assert value == default or (isinstance(value, tuple) and set(value) == {default}), option


@pytest.mark.parametrize("name", references())
def test_every_drawn_case_is_one_that_the_reference_takes(name: str) -> None:
    entry = reference_named(name)
    for index in range(25):
        case = draw_case(entry, SeededDraw(name, 3, index), index)
        assert {key for key, _ in case.arguments} <= {*entry.arrays, *entry.hyperparameters}
        outputs = float64_outputs(entry, arguments_of(case), lambda output, shape: np.ones(shape))
        assert set(outputs) >= {"value", f"grad[{entry.differentiable[0]}]"}


@pytest.mark.parametrize("name", references())
def test_every_option_is_drawn_with_at_least_two_values(name: str) -> None:
    """An option that is always the same is not tested."""
    entry = reference_named(name)
    seen: dict[str, set[str]] = {option: set() for option in entry.hyperparameters}
    for index in range(150):
        for option, value in draw_case(entry, SeededDraw(name, 0, index), index).arguments:
            if option in seen:
                seen[option].add(repr(value))
    constant = {option for option, values in seen.items() if len(values) < 2}
    # Dropout inside attention is random: it has a reference of its own.
    assert constant <= ({"dropout_p"} if "attention" in name else set())
