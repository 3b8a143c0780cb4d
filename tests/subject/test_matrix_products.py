"""PyTorch's flags on matrix products, and what the rounding model makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.arithmetic import RoundingModel, rounding_model
from gradcheck.arithmetic.products import PLAIN, Products
from gradcheck.arithmetic.running import lift_array
from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import drawn_case
from gradcheck.reference.registry import references
from gradcheck.subject.matrix_products import ELSEWHERE, family_of, products_of
from gradcheck.verdict import models
from gradcheck.verdict.judge import judge_case

TF32 = 2.0**-10
"""Two unit roundoffs of a format of 11 significant bits: a factor may be chopped."""

LINEAR = "nn.functional.linear"
CONV = "nn.functional.conv2d"
NEW = hasattr(torch.backends.cudnn, "conv")
"""Whether this PyTorch has ``fp32_precision`` (torch >= 2.9)."""


@pytest.fixture(autouse=True)
def flags_as_they_were() -> Iterator[None]:
    """Everything a test sets here is put back; reading a flag must not even warn."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    reduced = (matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction)
    enabled = cudnn.enabled
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    if NEW:
        for owner in (matmul, cudnn.conv, cudnn.rnn, torch.backends.mkldnn.matmul, torch.backends):
            owner.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = True
    cudnn.enabled = enabled
    matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction = reduced


def test_the_defaults_are_pytorchs() -> None:
    """Convolutions may use TF32, matrix products may not, and 16-bit sums may be reduced in 16 bits."""
    assert products_of(CONV, "cuda:1").factors == TF32
    assert products_of("nn.LSTM", "cuda").factors == TF32
    assert products_of(LINEAR, "cuda") == Products(0.0, frozenset({"float16", "bfloat16"}), chopped=True)
    assert products_of(CONV, "cuda").reduced == frozenset()
    assert products_of(LINEAR, "cpu") == PLAIN


def test_the_old_flags_are_read() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    assert products_of(LINEAR, "cuda").factors == TF32
    torch.set_float32_matmul_precision("highest")
    assert products_of(LINEAR, "cuda").factors == 0.0
    torch.set_float32_matmul_precision("medium")
    assert products_of(LINEAR, "cuda").factors == TF32
    torch.backends.cudnn.allow_tf32 = False
    assert products_of(CONV, "cuda").factors == 0.0
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    assert products_of(LINEAR, "cuda").reduced == {"float16"}


def test_without_cudnn_a_convolution_is_a_matrix_product() -> None:
    torch.backends.cudnn.enabled = False
    assert products_of(CONV, "cuda") == products_of(LINEAR, "cuda")


@pytest.mark.skipif(not NEW, reason="fp32_precision came with torch 2.9")
def test_the_new_flags_are_read_although_the_old_ones_raise_then() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    assert products_of(LINEAR, "cuda").factors == TF32
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    assert products_of(CONV, "cuda").factors == 0.0
    assert products_of("nn.RNN", "cuda").factors == TF32
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.backends.fp32_precision = "tf32"  # what all others fall back to
    assert products_of(LINEAR, "cuda").factors == TF32


@pytest.mark.skipif(not NEW, reason="fp32_precision came with torch 2.9")
def test_the_cpu_may_multiply_in_bfloat16_where_it_is_allowed_to() -> None:
    torch.set_float32_matmul_precision("medium")
    assert products_of(LINEAR, "cpu") == Products(2.0**-8)
    assert products_of(CONV, "cpu") == PLAIN


def test_a_setting_stands_above_the_flags() -> None:
    """It is turned while the subject runs, and turned back before the model is made."""
    assert products_of(LINEAR, "cuda", {"matmul": "high"}).factors == TF32
    assert products_of(LINEAR, "cpu", {"matmul": "high"}).factors == 2.0**-11
    assert products_of(CONV, "cuda", {"matmul": "highest"}).factors == TF32
    assert products_of(CONV, "cuda", {"matmul": "highest", "cudnn": "off"}).factors == 0.0


def test_families_have_flags_of_their_own() -> None:
    assert [family_of(name) for name in (LINEAR, CONV, "nn.GRU", "nn.GRUCell", "optim.Muon")] == [
        "matmul", "conv", "rnn", "matmul", "matmul",
    ]  # fmt: skip
    assert all(products_of(name, "cuda") == PLAIN for name in ELSEWHERE)
    assert products_of(LINEAR, "xpu") == PLAIN


def test_flags_change_the_model_of_the_dtype_they_are_about() -> None:
    tf32 = Products(2.0**-10, frozenset({"float16"}), chopped=True)
    assert rounding_model("float32", "cuda", products=tf32).factors == 2.0**-10
    assert rounding_model("float64", "cuda", products=tf32).factors == 0.0
    assert rounding_model("float16", "cuda", products=tf32).factors == 0.0
    assert rounding_model("float16", "cuda", products=tf32).accumulator.name == "float16"
    assert rounding_model("bfloat16", "cuda", products=tf32).accumulator is None
    assert rounding_model("float16", "cuda", "coarse", products=tf32).accumulator is None
    assert rounding_model("float32", "cuda", products=tf32).casting_to("float16").accumulator.name == "float16"
    plain = rounding_model("float32")
    assert plain.product_factor(100) == plain.sum_factor(101)
    chopped = rounding_model("bfloat16", "cuda", products=Products(chopped=True))
    assert chopped.product_factor(100) >= 200 * 2.0**-24


class Tf32Linear(torch.autograd.Function):
    """A linear layer on operands whose last 13 bits are cut off, as tensor cores take them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return cut(x) @ cut(weight).T

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> Any:
        x, weight = ctx.saved_tensors
        return cut(g) @ cut(weight), cut(g).T @ cut(x)


def cut(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)


CASE = f"{LINEAR}(x=ordinary(8, 64), weight=ordinary(16, 64)) seed=1 "


@pytest.mark.parametrize(("products", "status"), [(PLAIN, "deviates"), (Products(2.0**-10, chopped=True), "agrees")])
def test_tf32_lies_within_the_bound_of_tf32_and_of_nothing_else(
    products: Products, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "products_of", lambda *place: products)
    verdicts = judge_case(parse_case(CASE + "dtype=float32"), subject=lambda x, weight: Tf32Linear.apply(x, weight))
    assert {verdict.status for verdict in verdicts} == {status}
    assert status == "deviates" or max(verdict.error_over_bound for verdict in verdicts) > 2.0**-4


def in_half(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A matrix product whose partial sums are rounded to the operands' dtype, one by one."""
    total = torch.zeros(x.shape[0], weight.shape[0], dtype=x.dtype)
    for k in range(x.shape[1]):
        total = total + x[:, k : k + 1] * weight[:, k]
    return total


@pytest.mark.parametrize(("reduced", "status"), [((), "coarse"), (("float16",), "agrees")])
def test_sums_in_half_precision_agree_where_they_are_allowed(
    reduced: tuple[str, ...], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = Products(reduced=frozenset(reduced), chopped=True)
    monkeypatch.setattr(models, "products_of", lambda *place: products)
    value, *_ = judge_case(parse_case(CASE + "dtype=float16"), subject=in_half)
    assert (value.output, value.status) == ("value", status)


def test_a_partial_sum_may_overflow_where_it_is_kept() -> None:
    """400·400 is beyond float16, whatever is subtracted later."""
    a, b = np.array([[400.0, 400.0]]), np.array([[400.0], [-400.0]])
    for products, lost in ((Products(reduced=frozenset({"float16"})), True), (PLAIN, False)):
        model = rounding_model("float16", "cuda", products=products)
        product: Any = np.matmul(lift_array(a, model), lift_array(b, model))
        assert np.isinf(product.bound).all() == lost


BY_MATRIX_PRODUCTS = {
    "nn.Conv1d", "nn.Conv2d", "nn.Conv3d",
    "nn.GRU", "nn.GRUCell", "nn.LSTM", "nn.LSTMCell", "nn.RNN", "nn.RNNCell",
    "nn.MultiheadAttention", "nn.TransformerDecoderLayer", "nn.TransformerEncoderLayer",
    "nn.functional.multi_head_attention_forward", "nn.functional.scaled_dot_product_attention",
    "nn.functional.conv1d", "nn.functional.conv2d", "nn.functional.conv3d",
    "nn.functional.conv_transpose1d", "nn.functional.conv_transpose2d", "nn.functional.conv_transpose3d",
    "nn.functional.linear", "nn.functional.bilinear", "nn.functional.linear_cross_entropy", "nn.functional.affine_grid",
}  # fmt: skip
"""Operations whose references multiply matrices, as PyTorch does: PyTorch's flags say how."""


@pytest.mark.parametrize("name", references())
def test_an_operation_that_multiplies_matrices_is_known_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference that begins to has to say whether PyTorch's kernels do so as well."""
    met = []
    factor = RoundingModel.product_factor
    monkeypatch.setattr(RoundingModel, "product_factor", lambda model, terms: met.append(terms) or factor(model, terms))
    for index in range(4):
        judge_case(drawn_case(references()[name], "float32", 0, index, "backward"))
    if name in BY_MATRIX_PRODUCTS:
        assert met
        assert name not in ELSEWHERE
    else:
        assert not met or name in ELSEWHERE
