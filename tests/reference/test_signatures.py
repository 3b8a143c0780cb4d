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
    **{
        ("nn.functional.multi_head_attention_forward", name): "no default in PyTorch: that of the module, or None"
        for name in (
            "key", "value", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj_weight", "out_proj_bias",
            "add_zero_attn", "dropout_p",
        )
    },
}  # fmt: skip
"""Where a reference has another default than PyTorch, or none, with the reason."""

FIRST = {
    "nn.functional.affine_grid": "theta",
    "nn.functional.bilinear": "input1",
    "nn.functional.multi_head_attention_forward": "query",
    "nn.functional.scaled_dot_product_attention": "query",
    "nn.functional.cosine_similarity": "x1",
    "nn.functional.pairwise_distance": "x1",
    "nn.functional.cosine_embedding_loss": "input1",
    "nn.functional.margin_ranking_loss": "input1",
    "nn.functional.triplet_margin_loss": "anchor",
    "nn.functional.triplet_margin_with_distance_loss": "anchor",
    "nn.functional.ctc_loss": "log_probs",
}
"""What PyTorch calls the first array where that is not ``input``; the references call it x."""

OURS_ALONE = {("nn.functional.scaled_dot_product_attention", "backend"): "the kernel, which PyTorch has as a context"}
"""Parameters that PyTorch does not have, with the reason."""

NAMES = [name for name in references() if name.startswith("nn.functional.")]
"""Layers are left out: their parameters are tensors, and their options those of a constructor."""


def ours(name: str) -> dict[str, Any]:
    """The reference's parameters and defaults by PyTorch's names; without the arrays that PyTorch draws itself."""
    entry = reference_named(name)
    parameters = [p for p in inspect.signature(entry.function).parameters.values() if p.name not in entry.drawn]
    return {FIRST.get(name, "input") if p.name == "x" else p.name: p.default for p in parameters}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_array_is_pytorchs_input(name: str) -> None:
    assert next(iter(parameters_of(name))) == FIRST.get(name, "input")
    assert next(iter(ours(name))) == FIRST.get(name, "input")


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_exists_in_pytorch(name: str) -> None:
    alone = {parameter for operation, parameter in OURS_ALONE if operation == name}
    assert set(ours(name)) - set(parameters_of(name)) == alone


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_pytorch_is_covered_or_has_a_reason(name: str) -> None:
    assert missing_parameters(name, set(ours(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_pytorchs(name: str) -> None:
    theirs = parameters_of(name)
    for parameter, default in ours(name).items():
        if (name, parameter) not in {*OTHER_DEFAULTS, *OURS_ALONE}:
            assert default == theirs[parameter], parameter


@pytest.mark.parametrize("parameter", NOT_OURS)
def test_what_is_not_ours_still_exists(parameter: str) -> None:
    assert any(parameter in parameters_of(name) for name in NAMES)
    assert not any(parameter in ours(name) for name in NAMES)


@pytest.mark.parametrize(("name", "parameter"), OTHER_DEFAULTS)
def test_other_defaults_still_differ(name: str, parameter: str) -> None:
    assert ours(name)[parameter] != parameters_of(name)[parameter]
