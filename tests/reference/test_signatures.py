"""References against the real signatures: names, defaults, and nothing of PyTorch's left out without a reason."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from gradcheck.reference.registry import reference_named, references
from gradcheck.subject.signatures import NOT_OURS, missing_parameters, parameters_of

OTHER_DEFAULTS = {
    ("nn.functional.softmax", "dim"): "left out, PyTorch warns and guesses; a reference does not guess",
    ("nn.functional.softmin", "dim"): "left out, PyTorch warns and guesses; a reference does not guess",
    ("nn.functional.log_softmax", "dim"): "left out, PyTorch warns and guesses; a reference does not guess",
}
"""Where a reference has another default than PyTorch, or none, with the reason."""

NAMES = [name for name in references() if name.startswith("nn.functional.")]
"""Layers are left out: their parameters are tensors, and their options those of a constructor."""


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
    assert missing_parameters(name, set(ours(name))) == []


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
