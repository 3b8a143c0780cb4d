"""References against the real signatures: names, defaults, and nothing of PyTorch's left out without a reason."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import pytest
import torch

from gradcheck.reference.registry import reference_named, references
from gradcheck.subject.adapters import operation_named

NOT_OURS = {
    "inplace": "overwrites its argument; the numbers are the same, and aliasing is a question of mode",
    "size_average": "deprecated since 0.4 in favour of reduction",
    "reduce": "deprecated since 0.4 in favour of reduction",
    "_stacklevel": "where a warning points to",
}
"""Parameters of PyTorch that no reference has, with the reason."""

OTHER_DEFAULTS = {
    ("nn.functional.softmax", "dim"): "left out, PyTorch warns and guesses; a reference does not guess",
    ("nn.functional.softmin", "dim"): "left out, PyTorch warns and guesses; a reference does not guess",
    ("nn.functional.log_softmax", "dim"): "left out, PyTorch warns and guesses; a reference does not guess",
}
"""Where a reference has another default than PyTorch, or none, with the reason."""

NAMES = list(references())


@cache
def parameters_of(name: str) -> dict[str, Any]:
    """PyTorch's parameters and defaults, in order; of C functions as torch.overrides has them for its own tests."""
    function = operation_named(name)
    try:
        signature = inspect.signature(function)
    except ValueError:
        signature = inspect.signature(torch.overrides.get_testing_overrides()[function])
    return {parameter.name: parameter.default for parameter in signature.parameters.values()}


def ours(name: str) -> dict[str, Any]:
    """The reference's parameters and defaults; x is called input by PyTorch."""
    parameters = inspect.signature(reference_named(name).function).parameters.values()
    return {"input" if p.name == "x" else p.name: p.default for p in parameters}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_array_is_pytorchs_input(name: str) -> None:
    assert next(iter(parameters_of(name))) == "input"
    assert next(iter(ours(name))) == "input"


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_exists_in_pytorch(name: str) -> None:
    assert set(ours(name)) - set(parameters_of(name)) == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_pytorch_is_covered_or_has_a_reason(name: str) -> None:
    assert set(parameters_of(name)) - set(ours(name)) - set(NOT_OURS) == set()


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_pytorchs(name: str) -> None:
    theirs = parameters_of(name)
    for parameter, default in ours(name).items():
        if (name, parameter) not in OTHER_DEFAULTS:
            assert default == theirs[parameter], parameter


@pytest.mark.parametrize("parameter", NOT_OURS)
def test_what_is_not_ours_still_exists(parameter: str) -> None:
    assert any(parameter in parameters_of(name) for name in NAMES)
    assert not any(parameter in ours(name) for name in NAMES)


@pytest.mark.parametrize(("name", "parameter"), OTHER_DEFAULTS)
def test_other_defaults_still_differ(name: str, parameter: str) -> None:
    assert ours(name)[parameter] != parameters_of(name)[parameter]


def test_out_is_a_parameter_of_no_functional_here() -> None:
    """So that it needs no entry above; where one appears, it does."""
    assert not any("out" in parameters_of(name) for name in NAMES)
