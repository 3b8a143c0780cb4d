"""Every mode: agrees with a right operation, and a fault that only it can see is caught by it and by it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.modes import GROUPS, ORACLES, chosen_modes, oracle_of
from gradcheck.errors import UsageError
from gradcheck.reference.registry import reference_named
from gradcheck.subject.prepare import modes
from gradcheck.verdict.judge import judge_case

EAGER = GROUPS["eager"]
LINE = "nn.functional.silu(x=ordinary(4)) seed=3 dtype=float64"
SILU = torch.nn.functional.silu


def verdicts(mode: str, subject: Callable[..., Any] | None = None, line: str = LINE) -> dict[str, tuple[str, str]]:
    found = judge_case(parse_case(line).on(mode=mode), subject=subject)
    return {verdict.output: (verdict.status, verdict.words) for verdict in found}


def bad(mode: str, subject: Callable[..., Any] | None = None, line: str = LINE) -> bool:
    return any(status in ("deviates", "raises") for status, _ in verdicts(mode, subject, line).values())


def modes_that_see(subject: Callable[..., Any], line: str = LINE) -> set[str]:
    return {mode for mode in EAGER if bad(mode, subject, line)}


def test_every_mode_has_a_name_and_an_oracle() -> None:
    assert list(modes()) != []
    assert set(modes()) == set(ORACLES)


@pytest.mark.parametrize("mode", EAGER)
@pytest.mark.parametrize(
    "line",
    [
        LINE,
        "nn.functional.softmax(x=ordinary(3, 4), dim=1) seed=1 dtype=float64",
        "nn.functional.cross_entropy(x=ordinary(3, 4), target=indices(3, below=4)) seed=1 dtype=float64",
        "nn.functional.linear(x=ordinary(3, 2), weight=ordinary(4, 2), bias=ordinary(4)) seed=1 dtype=float64",
        "nn.functional.prelu(x=ordinary(3, 2), weight=positive(2)) seed=1 dtype=float64",
    ],
)
def test_a_right_operation_agrees_in_every_mode(mode: str, line: str) -> None:
    for output, (status, words) in verdicts(mode, line=line).items():
        assert status in ("agrees", "unsupported"), f"{output}: {status} {words}"


def test_modes_have_the_outputs_of_their_oracle() -> None:
    named = {mode: set(verdicts(mode)) for mode in EAGER}
    assert named["backward"] == {"value", "grad[x]"}
    assert named["inference"] == {"value"}
    assert named["forward"] == {"value", "tangent"}
    assert named["func.jacrev"] == named["func.jacfwd"] == {"jacobian[x]"}
    assert named["double"] == named["reverse-over-forward"] == {"hvp[x]"}
    assert named["forward-over-forward"] == {"tangent2"}


# --- Faults that one family of modes alone can see. ---


class _Function(torch.autograd.Function):
    """silu with a gradient of its own; subclasses go wrong in one way."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return SILU(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def slope(x: torch.Tensor) -> torch.Tensor:
        sigmoid = torch.sigmoid(x)
        return sigmoid * (1.0 + x * (1.0 - sigmoid))

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> Any:
        return g * _Function.slope(ctx.saved_tensors[0])

    @staticmethod
    def jvp(ctx: Any, t: torch.Tensor) -> Any:
        return t * _Function.slope(ctx.saved_tensors[0])


class _WrongTangent(_Function):
    @staticmethod
    def jvp(ctx: Any, t: torch.Tensor) -> Any:
        return t * torch.sigmoid(ctx.saved_tensors[0])


class _WrongSecond(_Function):
    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> Any:
        return g * _Function.slope(ctx.saved_tensors[0].detach())


class _MixedRows(_Function):
    generate_vmap_rule = False

    @staticmethod
    def vmap(info: Any, dims: Any, x: torch.Tensor) -> Any:
        return SILU(x.flip(dims[0])), dims[0]


def test_a_right_function_of_ones_own_is_right_in_every_mode() -> None:
    """But in one: PyTorch takes what a Function saved for constant when it differentiates its jvp in forward mode."""
    assert modes_that_see(lambda x, **_: _Function.apply(x)) == {"forward-over-forward"}


def test_a_wrong_tangent_is_seen_by_forward_modes_alone() -> None:
    seen = modes_that_see(lambda x, **_: _WrongTangent.apply(x))
    assert {"forward", "func.jvp", "func.jacfwd"} <= seen
    assert not seen & {"backward", "grad", "func.vjp", "func.jacrev", "double"}


def test_a_second_derivative_that_is_cut_off_is_seen_by_second_order_alone() -> None:
    seen = modes_that_see(lambda x, **_: _WrongSecond.apply(x))
    assert {"double", "func.double"} <= seen
    assert seen <= set(GROUPS["second"])


def test_rows_that_are_mixed_up_are_seen_under_vmap_alone() -> None:
    seen = modes_that_see(lambda x, **_: _MixedRows.apply(x))
    assert "vmap:backward" in seen
    assert not seen & {"backward", "grad", "func.vjp", "forward", "double"}


RELU = torch.nn.functional.relu  # whose backward reads its result alone
OF_ITS_OWN = ("out", "written-over")
"""Modes that ask PyTorch's own function, or that write themselves."""


@pytest.mark.parametrize("mode", [mode for mode in EAGER if mode not in OF_ITS_OWN])
def test_a_modified_input_is_seen_in_every_mode(mode: str) -> None:
    def writes(x: torch.Tensor, **_: Any) -> torch.Tensor:
        value = RELU(x)
        x.detach().clamp_(min=0.0)  # which another call would not notice
        return value

    line = "nn.functional.relu(x=ordinary(3, 4)) seed=1 dtype=float64"
    # In place the first argument is a copy, which may be written.
    words = " ".join(words for _, words in verdicts(mode, writes, line).values())
    assert ("x was modified" in words) == (mode != "inplace"), words


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("shape", ["", "3, 30000"], ids=["one", "many"])  # of many, what they were made of is kept
def test_a_single_number_that_changed_is_a_modified_input(dtype: str, shape: str) -> None:
    def writes(x: torch.Tensor) -> torch.Tensor:
        value = RELU(x)
        x.detach().reshape(-1)[-1].neg_()
        return value

    line = f"nn.functional.relu(x=ordinary({shape})) seed=1 dtype={dtype}"
    assert "x was modified" in verdicts("backward", writes, line)["value"][1]
    assert verdicts("backward", RELU, line)["value"][0] == "agrees"


@pytest.mark.parametrize("shape", ["20", "30000"])
def test_a_zero_that_lost_its_sign_is_a_modified_input(shape: str) -> None:
    def writes(x: torch.Tensor) -> torch.Tensor:
        x.detach().add_(0.0)
        return RELU(x)

    line = f"nn.functional.relu(x=special({shape})) seed=3 dtype=float64"
    assert "x was modified" in verdicts("backward", writes, line)["value"][1]


class _Greedy(_Function):
    """Writes into what it is given to multiply by."""

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> Any:
        found = g * _Function.slope(ctx.saved_tensors[0])
        g.detach().zero_()
        return found

    @staticmethod
    def jvp(ctx: Any, t: torch.Tensor) -> Any:
        found = t * _Function.slope(ctx.saved_tensors[0])
        t.detach().zero_()
        return found


def test_a_modified_cotangent_is_seen() -> None:
    reverse = ("backward", "grad", "func.vjp", "checkpoint", "saved-tensor-hooks", "vmap:backward")
    for mode in reverse:
        for line in (LINE, "nn.functional.silu(x=ordinary(3, 3000)) seed=3 dtype=float64"):
            words = verdicts(mode, lambda x, **_: _Greedy.apply(x), line)["value"][1]
            assert "the cotangent of value was modified" in words, f"{mode}: {words}"


def test_a_modified_direction_is_seen() -> None:
    """``torch.func`` itself refuses to write into what is not its own."""
    words = verdicts("forward", lambda x, **_: _Greedy.apply(x))["value"][1]
    assert "the direction of x was modified" in words


def test_other_bits_without_a_graph_are_seen() -> None:
    def lazy(x: torch.Tensor) -> torch.Tensor:
        return SILU(x) if torch.is_inference_mode_enabled() else SILU(x) * (1.0 + 2.0**-52)

    assert "other bits" in verdicts("inference", lazy)["bits"][1]
    assert not bad("backward", lazy)

    def fused(x: torch.Tensor) -> torch.Tensor:  # within the bound of both
        return SILU(x) if torch.is_grad_enabled() else SILU(x) * (1.0 + 2.0**-52)

    assert "than where gradients are recorded" in verdicts("inference", fused)["bits"][1]
    assert verdicts("inference", fused)["value"][0] == "agrees"  # whose numbers are judged by themselves

    def wrong(x: torch.Tensor) -> torch.Tensor:
        return SILU(x) if torch.is_grad_enabled() else SILU(x) * 2.0

    assert verdicts("inference", wrong)["value"][0] == "deviates"


def test_autograd_grad_has_the_bits_of_backward() -> None:
    calls = [0]

    def drifting(x: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return SILU(x) * (1.0 if calls[0] == 1 else 1.0 + 2.0**-52)

    assert "other bits than the plain backward" in verdicts("grad", drifting)["bits"][1]
    assert not bad("grad", lambda x: SILU(x))


def test_a_forward_that_changes_from_call_to_call_is_seen_by_checkpointing() -> None:
    calls = [0]

    def drifting(x: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return SILU(x) * (1.0 if calls[0] == 1 else 1.5)

    assert bad("checkpoint", drifting)


def test_an_in_place_variant_of_its_own_is_judged() -> None:
    relu = torch.nn.functional.relu
    line = LINE.replace("silu", "relu")

    def wrong_in_place(x: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        return x.mul_(2.0) if inplace else relu(x)

    assert modes_that_see(wrong_in_place, line) == {"inplace"}


def test_an_operation_without_an_in_place_variant_says_so() -> None:
    found = verdicts("inplace", line="nn.functional.softmax(x=ordinary(3, 4), dim=1) seed=1 dtype=float64")
    assert found["value"][0] == "unsupported"


# --- Names and cases. ---


def test_groups_stand_for_their_modes() -> None:
    assert chosen_modes([]) == ("backward",)
    assert chosen_modes(["vmap", "double", "vmap:forward"]) == ("vmap:backward", "vmap:forward", "double")
    assert set(chosen_modes(["all"])) == set(ORACLES)


def test_an_unknown_mode_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="mode 'sideways' is not known; expected backward"):
        chosen_modes(["sideways"])
    with pytest.raises(UsageError, match="mode 'sideways' is not known"):
        oracle_of("sideways")


@pytest.mark.parametrize("mode", EAGER)
def test_cases_of_a_mode_replay_from_their_line(mode: str) -> None:
    silu = reference_named("nn.functional.silu")
    drawn = list(corpus(silu, "float32", 12, 0, mode))
    assert len(drawn) >= 12
    for case in drawn:
        assert case.mode == mode
        assert parse_case(str(case)) == case


def test_jacobians_are_asked_of_small_arrays_only() -> None:
    cross_entropy = reference_named("nn.functional.cross_entropy")
    for case in corpus(cross_entropy, "float64", 30, 0, "func.jacrev"):
        assert max(np.prod(spec.shape) for spec in case.specs.values()) <= 200


# --- Who may write where. ---

TANH = "nn.functional.tanh(x=ordinary(3, 4)) seed=1 dtype=float64"


def test_out_is_judged_and_has_to_refuse_a_gradient() -> None:
    assert verdicts("out", line=TANH) == {"value": ("agrees", "")}

    def wrong(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.tanh(x)

    assert not bad("out", wrong, TANH)  # a stand-in has no out= variant: PyTorch's own is asked


def test_trying_out_changes_no_running_statistics_and_is_refused_in_the_words_of_pytorch() -> None:
    line = (
        "nn.functional.batch_norm(x=ordinary(8, 3), running_mean=ordinary(3), running_var=positive(3), training=True) "
        "seed=1 dtype=float32"
    )
    status, words = verdicts("out", line=line)["value"]
    assert status == "unsupported"
    assert "batch_norm() got an unexpected keyword argument 'out'" in words


def test_a_saved_tensor_that_is_written_over_is_noticed() -> None:
    assert not bad("written-over", line=TANH)
    assert not bad("written-over")


class _Careless(torch.autograd.Function):
    """tanh that keeps its result where no version is counted."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.kept = torch.tanh(x)
        return ctx.kept.view_as(ctx.kept)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        return g * (1.0 - ctx.kept * ctx.kept)


def test_an_operation_that_does_not_notice_is_seen_by_this_mode_alone() -> None:
    assert "changed in silence" in verdicts("written-over", lambda x: _Careless.apply(x), TANH)["value"][1]
    assert not bad("backward", lambda x: _Careless.apply(x), TANH)


def test_a_graph_break_is_reported() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        value = SILU(x)
        torch._dynamo.graph_break()
        return value * 1.0

    case = parse_case(LINE).on(mode="compile:eager")
    assert all(any("graph break" in note for note in v.notes) for v in judge_case(case, subject=broken))
    assert not any(verdict.notes for verdict in judge_case(case))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (
            torch.nn.functional.dropout,
            "nn.functional.dropout(x=ordinary(4), mask=mask(4, share=0.75), p=0.5, training=True)",
        ),
        (torch.nn.functional.rrelu, "nn.functional.rrelu(x=ordinary(4), slopes=inner(4), training=True)"),
    ],
    ids=["dropout", "rrelu"],
)
def test_what_draws_at_random_is_compiled_although_the_generators_around_it_are_not(
    function: Callable[..., Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: list[Any] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        traced.extend(node.target for node in graph.graph.nodes)
        return graph.forward

    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda called, **_: compiler(called, backend=backend))
    assert not bad("compile:eager", line=f"{line} seed=3 dtype=float64")
    assert function in traced


def test_a_line_that_only_announces_the_next_is_told_with_it() -> None:
    def refuses(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("backend='none' raised:\nValueError: no such view\nand more")

    status, words = verdicts("backward", refuses)["value"]
    assert (status, words) == ("raises", "RuntimeError: backend='none' raised: ValueError: no such view")
