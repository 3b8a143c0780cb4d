"""Attention in plain numbers, and the order of the modules' parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.errors import UsageError
from gradcheck.reference.evaluate import float64_outputs
from gradcheck.reference.nn.functional.attention import scaled_dot_product_attention
from gradcheck.reference.nn.multihead import attention_shapes
from gradcheck.reference.nn.transformer import _shapes
from gradcheck.reference.registry import reference_named
from tests.reference.known import check

ROUTES = ("math", "flash", "efficient")

#: 1/(1 + e^-1)
SHARE = "0.731058578630004879251159241822"


def ones(output: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


@pytest.mark.parametrize("backend", ROUTES)
def test_a_query_of_zero_takes_the_average(backend: str) -> None:
    arguments = {"x": [[[0.0]]], "key": [[[1.0], [3.0]]], "value": [[[2.0], [6.0]]], "backend": backend}
    check("scaled_dot_product_attention", arguments, value=[[[4.0]]], x=[[[2.0]]])


@pytest.mark.parametrize("backend", ROUTES)
def test_two_keys(backend: str) -> None:
    arguments = {"x": [[[1.0]]], "key": [[[0.0], [2.0]]], "value": [[[0.0], [1.0]]], "scale": 0.5, "backend": backend}
    # softmax' = p·(1 - p) = 0.196611933241481852536775276..., times scale·2
    slope = "0.196611933241481852536775276"
    check("scaled_dot_product_attention", arguments, value=[[[SHARE]]], x=[[[slope]]])


@pytest.mark.parametrize("backend", ROUTES)
def test_a_causal_query_sees_the_keys_up_to_its_own(backend: str) -> None:
    arguments = {
        "x": [[[0.0], [0.0], [0.0]]], "key": [[[1.0], [2.0], [3.0]]], "value": [[[1.0], [3.0], [8.0]]],
        "is_causal": True, "backend": backend,
    }  # fmt: skip
    check("scaled_dot_product_attention", arguments, value=[[[1.0], [2.0], [4.0]]])


def test_consecutive_heads_share_the_keys_of_a_group() -> None:
    arguments = {
        "x": np.zeros((4, 1, 1)), "key": np.ones((2, 1, 1)), "value": np.array([[[5.0]], [[7.0]]]), "enable_gqa": True,
    }  # fmt: skip
    check("scaled_dot_product_attention", arguments, value=[[[5.0]], [[5.0]], [[7.0]], [[7.0]]])


def test_dropout_and_unknown_backends_are_refused() -> None:
    x = np.zeros((1, 1, 1))
    with pytest.raises(UsageError, match=r"dropout_p=0\.5"):
        scaled_dot_product_attention(x, x, x, dropout_p=0.5)
    with pytest.raises(UsageError, match="'fast' is not known"):
        scaled_dot_product_attention(x, x, x, backend="fast")


def heads(**words: Any) -> dict[str, np.ndarray]:
    """Two heads of one element each, projections that leave everything as it is, queries of 0."""
    arguments = {
        "x": np.zeros((1, 1, 2)),
        "value": np.array([[[2.0, 10.0]]]),
        "in_proj_weight": np.concatenate([np.eye(2)] * 3),
        "out_proj_weight": np.eye(2),
        "embed_dim_to_check": 2,
        "num_heads": 2,
        **words,
    }
    return float64_outputs(reference_named("nn.functional.multi_head_attention_forward"), arguments, ones)


def test_every_head_takes_its_part_of_the_values() -> None:
    assert heads()["value"].tolist() == [[[2.0, 10.0]]]


def test_a_key_of_zeros_takes_its_share() -> None:
    outputs = heads(add_zero_attn=True)
    assert outputs["value"].tolist() == [[[1.0, 5.0]]]
    assert outputs["attn_output_weights"].tolist() == [[[0.5, 0.5]]]


def test_a_bias_is_one_more_key_and_value() -> None:
    bias = {"bias_k": np.zeros((1, 1, 2)), "bias_v": np.array([[[4.0, 0.0]]])}
    assert heads(**bias, need_weights=False)["value"].tolist() == [[[3.0, 5.0]]]


def test_with_weights_a_query_without_keys_is_nan_and_without_them_zero() -> None:
    mask = np.array([[True]])
    assert np.isnan(heads(key_padding_mask=mask)["value"]).all()
    assert heads(key_padding_mask=mask, need_weights=False)["value"].tolist() == [[[0.0, 0.0]]]


def shapes_of(module: Any) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in module.parameters()]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (3, 4), (6, 6)])
def test_parameters_of_the_module_are_in_pytorchs_order(bias: bool, kdim: Any, vdim: Any) -> None:
    from torch import nn

    for added in (True, False):
        module = nn.MultiheadAttention(6, 2, bias=bias, add_bias_kv=added, kdim=kdim, vdim=vdim)
        assert list(attention_shapes(6, kdim, vdim, bias, added).values()) == shapes_of(module)


def test_parameters_of_the_layers_are_in_pytorchs_order() -> None:
    from torch import nn

    assert list(_shapes(6, 5, ("self_attn",), True).values()) == shapes_of(nn.TransformerEncoderLayer(6, 2, 5))
    both = _shapes(6, 5, ("self_attn", "multihead_attn"), True)
    assert list(both.values()) == shapes_of(nn.TransformerDecoderLayer(6, 2, 5))
    names = [name.replace("proj.", "proj_") for name, _ in nn.TransformerDecoderLayer(6, 2, 5).named_parameters()]
    assert list(both) == names


def test_the_causal_hint_still_hides_an_added_key() -> None:
    """Why no case has both: without need_weights PyTorch takes the hint for the mask, and a key that is added is lost.

    The documentation says that the hint changes nothing where it is right. Once this fails, cases may have both.
    """
    import torch
    from torch import nn

    module = nn.MultiheadAttention(2, 1, add_bias_kv=True, dtype=torch.float64)
    x = torch.ones(2, 1, 2, dtype=torch.float64)
    mask = torch.ones(2, 2, dtype=torch.bool).triu(1)
    hinted, _ = module(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)
    plain, _ = module(x, x, x, attn_mask=mask, is_causal=False, need_weights=False)
    assert not torch.equal(hinted, plain)
