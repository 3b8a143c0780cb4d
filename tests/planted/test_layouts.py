"""Faults that only a layout shows: strides, offsets and the bit that negates, ignored in inputs or in cotangents."""

import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import fixed_cases
from gradcheck.cases.draw import elements
from gradcheck.cases.layouts import LAYOUTS, misfit
from gradcheck.reference.registry import reference_named
from gradcheck.verdict.judge import judge_case

TANH = "nn.functional.tanh(x=ordinary(2, 3, 4, 2, 3)) seed=1 dtype=float64"


def raw(tensor, *, strides=True, offset=True, neg=True):
    """What a kernel reads that leaves a property of a tensor out of account."""
    if neg and tensor.is_neg():
        tensor = torch._neg_view(tensor.detach())
    kept = tensor.stride() if not strides else torch.empty(tensor.shape).stride()
    start = 0 if offset else tensor.storage_offset()
    room = tensor.untyped_storage().size() // tensor.element_size()
    if start + sum((side - 1) * stride for side, stride in zip(tensor.shape, kept, strict=True)) >= room:
        return torch.zeros_like(tensor, memory_format=torch.contiguous_format)  # it would read past the end
    return tensor.detach().as_strided(tensor.shape, kept, start)


IGNORED = {
    "strides": ({"strides": True, "offset": False, "neg": False}, {"contiguous", "flipped", "offset", "neg"}),
    "offset": ({"strides": False, "offset": True, "neg": False}, set(LAYOUTS) - {"offset", "conj"}),
    "neg": ({"strides": False, "offset": False, "neg": True}, set(LAYOUTS) - {"neg", "conj"}),
}
"""By what is ignored: how, and the layouts in which it changes nothing."""


class Faulty(torch.autograd.Function):
    """tanh that reads its input, or its cotangent, as a kernel does that leaves something out of account."""

    @staticmethod
    def forward(ctx, x, fault, of_cotangent):
        ctx.fault, ctx.of_cotangent = fault, of_cotangent
        ctx.save_for_backward(x)
        return torch.tanh(x if of_cotangent else read(x, fault))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        x, g = (x, read(g, ctx.fault)) if ctx.of_cotangent else (read(x, ctx.fault), g)
        return g * (1 - torch.tanh(x) ** 2), None, None


def read(tensor, fault):
    tensor = tensor.detach()
    return raw(tensor, **fault)


def statuses(line, fault, of_cotangent):
    def subject(x):
        return Faulty.apply(x, fault, of_cotangent)

    return {verdict.output: verdict.status for verdict in judge_case(parse_case(line), subject=subject)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ignored", IGNORED)
def test_what_is_ignored_in_inputs_deviates(ignored, layout):
    fault, blind = IGNORED[ignored]
    found = statuses(f"{TANH} layout={layout}", fault, of_cotangent=False)
    assert found["value"] == ("agrees" if layout in blind else "deviates")
    assert layout not in blind or found["grad[x]"] == "agrees"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ignored", IGNORED)
def test_what_is_ignored_in_cotangents_deviates(ignored, layout):
    fault, blind = IGNORED[ignored]
    found = statuses(f"{TANH} cotangent=ordinary:{layout}", fault, of_cotangent=True)
    assert found == {"value": "agrees", "grad[x]": "agrees" if layout in blind else "deviates"}


def test_the_cases_of_every_operation_show_it_in_cotangents():
    """``verify`` judges them without being asked for a layout."""
    fault, _ = IGNORED["strides"]
    fixed = fixed_cases(reference_named("nn.functional.tanh"), "float64", 0, "backward")
    cases = [case for case in fixed if elements(case) < 1000]
    seen = {case.cotangent for case in cases if "deviates" in statuses(str(case), fault, of_cotangent=True).values()}
    assert seen == {"ordinary:transposed", "ordinary:sliced"}


def test_the_shape_can_have_every_layout():
    assert not [layout for layout in LAYOUTS if misfit(layout, (2, 3, 4, 2, 3), "float64")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pytorch_itself_ignores_nothing(layout):
    for line in (f"{TANH} layout={layout}", f"{TANH} cotangent=ordinary:{layout}"):
        assert {verdict.status for verdict in judge_case(parse_case(line))} == {"agrees"}
