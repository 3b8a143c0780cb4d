"""Faults that only a layout shows: strides, offsets and the bit that negates, ignored in inputs or in cotangents."""

import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import fixed_cases
from gradcheck.cases.draw import elements
from gradcheck.cases.layouts import LAYOUTS, misfit
from gradcheck.cases.modes import GROUPS, ORACLES
from gradcheck.reference.registry import reference_named
from gradcheck.subject.tensors import laid_out, stacked
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


# --- In other modes than backward. ---


def misread(tensor):
    """What a kernel makes of a tensor that it takes for contiguous; strides are what ``torch.func`` lets be seen."""
    return tensor if tensor.is_contiguous() else 2.0 * tensor


class Strided(torch.autograd.Function):
    """tanh that takes its input, its cotangents, or those of its gradient's own gradient for contiguous."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, where):
        return torch.tanh(misread(x) if where == "input" else x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.where = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        slope = 1 - torch.tanh(x) ** 2
        if ctx.where == "second cotangent":
            slope = Passing.apply(slope)
        return (misread(g) if ctx.where == "cotangent" else g) * slope, None

    @staticmethod
    def jvp(ctx, t, _):
        (x,) = ctx.saved_tensors
        return t * (1 - torch.tanh(x) ** 2)


class Passing(torch.autograd.Function):
    """x itself, whose backward takes its cotangent for contiguous."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return misread(g)


MATRIX = "nn.functional.tanh(x=ordinary(3, 4)) seed=1 dtype=float64"
NOT_ASKED = ("inplace", "out", "written-over", "inference", "forward-over-forward")
"""Modes that overwrite their input, or ask PyTorch's own function or for the value alone; and one in which PyTorch
takes what a Function saved for constant."""

SEEN = {
    "input": {mode for mode, oracle in ORACLES.items() if oracle.startswith(("vjp", "jvp"))},
    "cotangent": {
        "backward", "grad", "func.vjp", "func.grad", "checkpoint", "saved-tensor-hooks", "vmap:backward", "double",
        "func.double", "forward-over-reverse", "func.forward-over-reverse",
    },
    "second cotangent": {"double", "func.double"},
}  # fmt: skip
"""By what is misread: the modes that show it where it is transposed."""


def misreads(case, where):
    return any(verdict.status == "deviates" for verdict in judge_case(case, subject=lambda x: Strided.apply(x, where)))


@pytest.mark.parametrize("where", SEEN)
def test_strides_that_are_ignored_are_seen_in_the_modes_that_have_them(where):
    case, modes = parse_case(MATRIX), set(GROUPS["eager"]).difference(NOT_ASKED)
    assert not [mode for mode in modes if misreads(case.on(mode=mode), where)]
    case = case.on(layout="transposed") if where == "input" else case.on(cotangent="ordinary:transposed")
    assert {mode for mode in modes if misreads(case.on(mode=mode), where)} == SEEN[where] & modes


@pytest.mark.parametrize("mode", ["func.vjp", "vmap:backward", "double"])
def test_the_cases_of_every_mode_show_it_in_cotangents(mode):
    fixed = fixed_cases(reference_named("nn.functional.tanh"), "float64", 0, mode)
    assert {case.cotangent for case in fixed if misreads(case, "cotangent")} == {
        "ordinary:transposed",
        "ordinary:sliced",
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_has_the_numbers_and_the_strides_of_its_rows(layout):
    shape = (2, 3, 4, 2, 3)
    plain = [torch.arange(144.0).reshape(shape).expand(shape) * (1.0 + k) for k in range(3)]
    rows = [laid_out(row, layout) for row in plain]
    batch = stacked(rows)
    assert torch.equal(batch, torch.stack(rows))
    assert [row.stride() for row in batch] == [row.stride() for row in rows]
    assert [row.is_neg() for row in batch] == [row.is_neg() for row in rows]
    assert torch.equal(stacked(rows, -1), torch.stack(rows, dim=-1))
