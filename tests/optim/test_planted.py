"""Planted faults: each is caught within one case, and the sentence says which output of which optimizer is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.history import History, step_rule_named
from gradcheck.reference.optim.adam import AdamState, adam
from gradcheck.reference.registry import entries
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history
from gradcheck.verdict.verdict import Verdict
from tests.optim.faulty import FAULTS, planted_adam, planted_sgd, sharing, writing_gradients

ADAM = (
    "optim.Adam(param0=ordinary(4, 3), grad0=ordinary(5, 4, 3), param1=ordinary(4, 3), grad1=ordinary(5, 4, 3),"
    " steps=5, lr=0.5, betas=(0.9, 0.99), eps=0.1, weight_decay=0.5, amsgrad={amsgrad}, maximize={maximize},"
    " decoupled_weight_decay={decoupled}) seed=3 dtype={dtype} mode=loop"
)
SGD = (
    "optim.SGD(param0=ordinary(4, 3), grad0=ordinary(5, 4, 3), steps=5, lr=0.01, momentum=0.9, {more})"
    " seed=3 dtype={dtype} mode=loop"
)
DTYPES = ("float64", "float32", "float16", "bfloat16")

#: fault -> the options that make it show, and the outputs that have to be blamed
WHERE: dict[str, tuple[dict[str, bool], set[str]]] = {
    "eps inside the root": ({}, {"param"}),
    "bias correction by t-1": ({}, {"param"}),
    "decay after the step": ({"decoupled": True}, {"param"}),
    "maximize negates the decay": ({"maximize": True}, {"param", "state[exp_avg]", "state[exp_avg_sq]"}),
    "maximum after bias correction": ({"amsgrad": True}, {"state[max_exp_avg_sq]"}),
    "eps before bias correction": ({}, {"param"}),
    "second moment of the decayed parameter": ({}, {"state[exp_avg_sq]", "param"}),
}


#: fault -> how the sentence names it
NAMES = {
    "eps inside the root": "eps inside the root",
    "bias correction by t-1": "bias correction by t-1",
    "decay after the step": "decoupled weight decay applied after the step",
    "maximize negates the decay": "maximize negated the weight decay",
    "maximum after bias correction": "amsgrad's maximum taken after bias correction",
    "eps before bias correction": "eps added before the bias correction",
}


def line(dtype: str, amsgrad: bool = False, maximize: bool = False, decoupled: bool = False) -> str:
    return ADAM.format(dtype=dtype, amsgrad=amsgrad, maximize=maximize, decoupled=decoupled)


def blamed(verdicts: list[Verdict]) -> dict[str, Verdict]:
    return {verdict.output: verdict for verdict in verdicts if verdict.status not in ("agrees", "coarse")}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_adam_is_caught_and_named(fault: str, dtype: str) -> None:
    options, outputs = WHERE[fault]
    case = parse_case(line(dtype, **options))
    found = blamed(judge_history(case, subject=planted_adam(fault)))
    assert outputs <= set(found)
    words = sentence(found[min(outputs)])
    assert NAMES.get(fault, "") in words
    assert "optim.Adam" in words
    assert "deviates" in words
    assert "worst at step" in words


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"maximize": True, "decoupled": True}], ids=str)
def test_the_same_step_without_a_fault_agrees(options: dict[str, bool], dtype: str) -> None:
    """Otherwise the faults above might be caught for being somebody else's code."""
    assert not blamed(judge_history(parse_case(line(dtype, **options)), subject=planted_adam()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("fault", "more", "output"),
    [
        ("dampened nesterov", "nesterov=True", "state[momentum_buffer]"),
        ("dampened first buffer", "dampening=0.5", "state[momentum_buffer]"),
    ],
)
def test_a_fault_in_sgd_is_caught_and_named(fault: str, more: str, output: str, dtype: str) -> None:
    case = parse_case(SGD.format(dtype=dtype, more=more))
    assert not blamed(judge_history(case, subject=planted_sgd()))
    found = blamed(judge_history(case, subject=planted_sgd(fault)))
    assert output in found
    words = sentence(found[output])
    assert "optim.SGD" in words
    named = {"dampened nesterov": "with dampening, which excludes it", "dampened first buffer": "buffer was dampened"}
    assert named[fault] in words


#: every entry of the state that has the parameter's shape, in every optimizer that has a foreach implementation
ENTRIES = {
    "Adadelta": ("square_avg", "acc_delta"),
    "Adafactor": ("row_var", "col_var"),
    "Adagrad": ("sum",),
    "Adam": ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    "AdamW": ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    "Adamax": ("exp_avg", "exp_inf"),
    "ASGD": ("ax",),
    "NAdam": ("exp_avg", "exp_avg_sq"),
    "RAdam": ("exp_avg", "exp_avg_sq"),
    "RMSprop": ("square_avg", "grad_avg", "momentum_buffer"),
    "Rprop": ("prev", "step_size"),
    "SGD": ("momentum_buffer",),
}
OPTIONS = {"amsgrad": True, "centered": True, "momentum": 0.5}
COUNTS = [("ASGD", "eta"), ("ASGD", "mu"), ("NAdam", "mu_product"), ("Adam", "step")]


def two_of(name: str) -> Case:
    """Two parameters of one shape in the foreach implementation, for two steps."""
    options = "".join(
        f", {key}={value!r}" for key, value in OPTIONS.items() if key in step_rule_named(f"optim.{name}").options
    )
    arrays = ", ".join(f"param{i}=ordinary(4, 3), grad{i}=ordinary(2, 4, 3)" for i in range(2))
    return parse_case(f"optim.{name}({arrays}, steps=2, lr=0.25{options}) seed=3 dtype=float32 mode=foreach")


@pytest.mark.parametrize(("name", "entry"), [(name, entry) for name, several in ENTRIES.items() for entry in several])
def test_one_state_tensor_for_two_parameters_is_caught(name: str, entry: str) -> None:
    case = two_of(name)
    assert not blamed(judge_history(case))
    found = blamed(judge_history(case, subject=sharing(getattr(torch.optim, name), entry)))
    assert f": it is the state[{entry}] of param" in sentence(found[f"state[{entry}]"])
    assert f"state[{entry}] of param1 is one tensor with state[{entry}] of param0" in sentence(found["untouched"])


@pytest.mark.parametrize(("name", "entry"), COUNTS)
def test_one_number_for_two_parameters_is_caught(name: str, entry: str) -> None:
    """Though it may be the right one for both."""
    found = blamed(judge_history(two_of(name), subject=sharing(getattr(torch.optim, name), entry)))
    assert f"state[{entry}] of param1 is one tensor with state[{entry}] of param0" in sentence(found["untouched"])


def test_every_foreach_implementation_is_asked_whether_it_shares() -> None:
    """Of each state entry that it keeps."""
    rules = {name.removeprefix("optim."): e for name, e in entries().items() if "foreach" in getattr(e, "modes", ())}
    rules = {name: rule for name, rule in rules.items() if rule.kind == "optimizer"}
    assert ENTRIES.keys() == rules.keys()
    asked = {name: {*ENTRIES[name], *(entry for of, entry in COUNTS if of == name)} - {"step"} for name in ENTRIES}
    assert asked == {name: {*rule.state._fields} - {"variance"} for name, rule in rules.items()}


class OnItsGradient(torch.optim.SGD):
    """The first momentum buffer is the gradient itself, and no copy: right, until zero_grad empties it."""

    def step(self, closure: Any = None) -> None:
        first = not self.state
        super().step()
        for group in self.param_groups:
            for param in group["params"] if first else ():
                self.state[param]["momentum_buffer"] = param.grad


def test_a_buffer_that_is_the_gradient_is_caught() -> None:
    case = parse_case(SGD.format(dtype="float32", more="dampening=0.0"))
    found = blamed(judge_history(case, subject=OnItsGradient))
    assert set(found) == {"untouched"}
    assert "state[momentum_buffer] of param0 is one tensor with grad0" in sentence(found["untouched"])


@pytest.mark.parametrize("of", [torch.optim.Adam, torch.optim.SGD])
def test_a_gradient_that_the_step_changes_is_caught(of: type) -> None:
    text = line("float32") if of is torch.optim.Adam else SGD.format(dtype="float32", more="dampening=0.0")
    found = blamed(judge_history(parse_case(text), subject=writing_gradients(of)))
    assert set(found) == {"untouched"}
    assert "grad0 was changed" in sentence(found["untouched"])


def test_options_that_the_step_changes_are_caught() -> None:
    class Decaying(torch.optim.Adam):
        def step(self, closure: Any = None) -> None:
            super().step()
            for group in self.param_groups:
                group["lr"] *= 0.9

    found = blamed(judge_history(parse_case(line("float32")), subject=Decaying))
    assert "untouched" in found
    assert "changed the options of a group" in sentence(found["untouched"])


def test_a_parameter_without_a_gradient_has_to_stay() -> None:
    class Drifting(torch.optim.Adam):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            super().step()
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is None:
                        param.mul_(0.5)

    case = parse_case(line("float32").replace("steps=5", "steps=5, missing=((2, 1),)"))
    assert not blamed(judge_history(case))
    found = blamed(judge_history(case, subject=Drifting))
    assert "param1 had no gradient and was changed" in sentence(found["untouched"])


def test_a_state_entry_that_is_missing_or_new_is_named() -> None:
    class Forgetful(torch.optim.Adam):
        def step(self, closure: Any = None) -> None:
            super().step()
            for state in self.state.values():
                state["exp_average"] = state.pop("exp_avg").clone()

    found = blamed(judge_history(parse_case(line("float32").replace("steps=5", "steps=1").replace("(5,", "(1,")),
                                 subject=Forgetful))  # fmt: skip
    assert "PyTorch keeps no state[exp_avg]" in sentence(found["state[exp_avg]"])
    assert "the rule has no state[exp_average]" in sentence(found["state[exp_average]"])


def test_a_step_that_is_counted_wrong_is_caught() -> None:
    class Twice(torch.optim.Adam):
        def step(self, closure: Any = None) -> None:
            super().step()
            for state in self.state.values():
                state["step"] += 1

    found = blamed(judge_history(parse_case(line("float32")), subject=Twice))
    assert "state[step] is 2.0, should be 1" in sentence(found["state[step]"])


def test_a_wrong_rule_is_caught_as_a_wrong_subject_is() -> None:
    """The judge takes a rule in place of the registered one: what the audit mutates."""

    def nesterov_like(param: Any, grad: Any, state: AdamState, t: Any, **options: Any) -> Any:
        param, after = adam(param, grad, state, t, **options)
        return param, after._replace(exp_avg=after.exp_avg + 2.0**-12 * np.abs(after.exp_avg))

    wrong = replace(step_rule_named("optim.Adam"), function=nesterov_like)
    # The options come from the signature, which the wrong rule has not: give it the right one's.
    nesterov_like.__signature__ = __import__("inspect").signature(adam)  # type: ignore[attr-defined]
    found = blamed(judge_history(parse_case(line("float32")), rule=wrong))
    assert set(found) == {"state[exp_avg]"}


@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad"])
def test_a_step_whose_squares_underflow_is_still_judged(name: str) -> None:
    """Their average is 0 for certain, or as good as, and never negative: its root is not NaN, and eps alone divides."""

    class Farther(getattr(torch.optim, name)):  # type: ignore[misc]  # a base that is only known when it runs
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            super().step()
            for group in self.param_groups:
                for param in group["params"]:
                    param.mul_(1.5)

    amsgrad = ", amsgrad=True" if name in ("Adam", "AdamW") else ""
    steps = 8 if name == "RAdam" else 2
    arrays = f"param0=ties(9), grad0=subnormal({steps}, 9), steps={steps}"
    case = parse_case(f"optim.{name}({arrays}, lr=0.1, eps=0.001{amsgrad}) seed=0 dtype=float32 mode=loop")
    assert not blamed(judge_history(case))
    assert (History(case).params[0] == 0.0).any()
    found = blamed(judge_history(case, subject=Farther))["param"]
    assert found.witness is not None
    assert found.witness.exceeding == 9
