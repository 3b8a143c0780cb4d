"""Nothing of torch.optim is left out: classes, options, implementations, and what is drawn of each."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from gradcheck.cases.corpus import drawn_case
from gradcheck.reference.optim.histories import GRAD_KINDS
from gradcheck.reference.optim.lbfgs import ClosureRule
from gradcheck.reference.optim.options import TENSORS
from gradcheck.reference.optim.rule import COMPILED, HISTORY, StepRule
from gradcheck.reference.registry import entries, entry_named
from tests.optim.known import FOUND_IN

Rule = StepRule | ClosureRule
RULES: list[Any] = [entry for entry in entries().values() if isinstance(entry, Rule)]
FLAGS = ("foreach", "fused", "capturable", "differentiable")
"""Options that choose an implementation: modes."""

here = pytest.mark.skipif(torch.__version__.split("+")[0] != FOUND_IN, reason=f"classes are those of torch {FOUND_IN}")


def named(rule: Any) -> str:
    return str(rule.name.removeprefix("optim."))


def theirs(rule: Any) -> dict[str, Any]:
    """Options of PyTorch's class and their defaults."""
    parameters = inspect.signature(getattr(torch.optim, named(rule)).__init__).parameters
    return {name: p.default for name, p in parameters.items() if name not in ("self", "params")}


@here
def test_every_class_has_a_rule() -> None:
    classes = {name for name in torch.optim.__all__ if inspect.isclass(getattr(torch.optim, name))} - {"Optimizer"}
    assert classes == {named(rule) for rule in RULES}


@here
def test_everything_around_a_step_has_an_entry() -> None:
    """Averages by hand (avg_fn) and the functions that make one are options of AveragedModel."""
    utils = {name for name in torch.optim.swa_utils.__all__ if not name.startswith("get_")}
    clipping = {name for name in torch.nn.utils.__all__ if name.startswith("clip_") or name == "get_total_norm"}
    clipping -= {"clip_grad_norm"}  # the deprecated name of clip_grad_norm_
    expected = {f"optim.swa_utils.{name}" for name in utils} | {f"nn.utils.{name}" for name in clipping}
    assert expected | {"amp.GradScaler"} <= entries().keys()


@here
@pytest.mark.parametrize("rule", RULES, ids=named)
def test_options_and_defaults_are_pytorchs(rule: Any) -> None:
    """Every option of the class is the rule's, with its default; what chooses an implementation is the mode's."""
    assert rule.options == {name: default for name, default in theirs(rule).items() if name not in FLAGS}


@here
@pytest.mark.parametrize("rule", RULES, ids=named)
def test_implementations_are_pytorchs(rule: Any) -> None:
    """One mode for each option that chooses an implementation; any step can be compiled."""
    assert set(rule.modes) == {"loop", *COMPILED, *(flag for flag in FLAGS if flag in theirs(rule))}


@here
@pytest.mark.parametrize("rule", RULES, ids=named)
def test_every_option_is_drawn_in_every_implementation(rule: Any) -> None:
    """Of the cases of ``verify``, doubled: each option with another value than its default, and with its default."""
    defaults = rule.options
    cases = [dict(drawn_case(rule, "float32", 0, index, rule.modes[0]).arguments) for index in range(60)]
    for name, default in defaults.items():
        values = {repr(case.get(name, default)) for case in cases}
        assert values - {repr(default)}, f"{name} is always {default!r}"


WITHOUT = {
    "complex": {"Adafactor", "Muon", "SparseAdam"},
    "sparse": {"Adadelta", "Adafactor", "Adam", "AdamW", "Adamax", "ASGD", "Muon", "NAdam", "RAdam", "RMSprop"}
    | {"Rprop"},
}
"""What a class refuses."""

NUMBERS = {
    f"{option}_tensor": {named(rule) for rule in RULES if rule.name not in names}
    for option, names in TENSORS.items()
    if names
}
"""What a class does not document as a tensor."""


@pytest.mark.parametrize("rule", [rule for rule in RULES if isinstance(rule, StepRule)], ids=named)
def test_every_kind_of_history_is_drawn(rule: StepRule) -> None:
    """Gradients ordinary, zero, huge, tiny, sparse, None, of another layout; groups; lr as a tensor; pairs."""
    cases = [drawn_case(rule, "float32", 0, index, "loop") for index in range(120)]
    given = [dict(case.arguments) for case in cases]
    words = {word for case in given for word, value in case.items() if word in HISTORY and value != HISTORY[word]}
    assert words == HISTORY.keys() - {word for word, classes in (WITHOUT | NUMBERS).items() if named(rule) in classes}
    kinds = {spec.kind for case in cases for name, spec in case.specs.items() if name.startswith("grad")}
    assert kinds == set(GRAD_KINDS)
    assert {case.layout for case in cases} >= {"contiguous", "transposed", "sliced"}
    assert max(case["steps"] for case in given) >= 20


def refusing(name: str, word: str) -> str:
    """What PyTorch's class says to such gradients."""
    param = torch.ones(2, 2, dtype=torch.complex64 if word == "complex" else torch.float32, requires_grad=True)
    param.grad = torch.ones_like(param)
    if word == "sparse" or name == "SparseAdam":
        param.grad = param.grad.to_sparse(1)
    try:
        getattr(torch.optim, name)([param]).step()
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return str(error)
    return ""


@here
@pytest.mark.parametrize(("word", "name"), [(word, name) for word, names in WITHOUT.items() for name in sorted(names)])
def test_what_is_not_drawn_is_refused(word: str, name: str) -> None:
    assert refusing(name, word), f"{name} takes {word} gradients, of which no history is drawn"


@here
@pytest.mark.parametrize("option", [option for option, names in TENSORS.items() if names])
def test_options_that_may_be_tensors_are_those_of_the_signatures(option: str) -> None:
    """Of torch.optim: what an annotation says."""
    said = {
        rule.name
        for rule in RULES
        if option in (parameters := inspect.signature(getattr(torch.optim, named(rule))).parameters)
        and "Tensor" in str(parameters[option].annotation)
    }
    assert said == set(TENSORS[option])


def test_lbfgs_is_drawn_over_pairs_and_over_several_parameters() -> None:
    rule = entry_named("optim.LBFGS")
    cases = [dict(drawn_case(rule, "float32", 0, index, "loop").arguments) for index in range(60)]
    assert {(case["parts"], bool(case.get("complex"))) for case in cases} == {
        (1, False),
        (1, True),
        (2, False),
        (2, True),
    }
    assert {case["problem"] for case in cases} == {"quadratic", "rosenbrock", "logistic"}
