# ruff: noqa: E501 (case lines are kept whole)
"""What PyTorch 2.13 does otherwise than it says, each with the case that shows it and the output that deviates.

Where ``applies`` holds of a drawn case, the tests expect that output to deviate, or not to run; everywhere else they
expect agreement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradcheck.cases.case import Case

__all__ = ["FINDINGS", "Finding", "known"]


@dataclass(frozen=True)
class Finding:
    """line: the case that shows it; output: what deviates (or the status, where nothing ran); applies: of a case."""

    line: str
    output: str
    applies: Callable[[Case], bool] = lambda case: False


def _resumed_at_a_step(case: Case) -> bool:
    """A new scheduler takes one step when it is made; these then decay once more."""
    words = dict(case.arguments)
    at = words.get("resume") or 1
    if case.operation.endswith(".StepLR"):
        return at % words["step_size"] == 0 and words["gamma"] != 1.0
    if case.operation.endswith(".MultiStepLR"):
        return at in words["milestones"] and words["gamma"] != 1.0
    return at == words["total_iters"] and words["factor"] != 1.0


def _is(name: str, mode: str | None = None) -> Callable[[Case], bool]:
    return lambda case: case.operation.endswith(f".{name}") and mode in (None, case.mode)


def _no_gradients(case: Case) -> bool:
    grads = [value for name, value in case.arguments if name.startswith("grad")]
    return case.operation.endswith(".clip_grad_value_") and all(grad is None for grad in grads)


def _resumed_after_restart(case: Case) -> bool:
    words = dict(case.arguments)
    return _is("CosineAnnealingWarmRestarts", "last_epoch")(case) and words["T_mult"] > 1


def _has(case: Case, **options: object) -> bool:
    words = dict(case.arguments)
    return all(words.get(name) == value for name, value in options.items())


def _is_beyond_its_steps(case: Case) -> bool:
    words = dict(case.arguments)
    return _is("OneCycleLR")(case) and words.get("total_steps") == words["steps"]


COMPOSITES = {"ChainedScheduler", "SequentialLR"}


def _parts(case: Case) -> list[str]:
    """The names of the parts of a SequentialLR."""
    return [part[0] for part in dict(case.arguments)["schedulers"]] if _is("SequentialLR")(case) else []


FINDINGS: dict[str, Finding] = {
    "StepLR(last_epoch=…) decays twice": Finding(
        "optim.lr_scheduler.StepLR(step_size=2, gamma=0.5, steps=3, resume=2) seed=0 dtype=float64 mode=last_epoch",
        "lr",
        lambda case: _is("StepLR", "last_epoch")(case) and _resumed_at_a_step(case),
    ),
    "MultiStepLR(last_epoch=…) decays twice": Finding(
        "optim.lr_scheduler.MultiStepLR(milestones=(2,), gamma=0.5, steps=3, resume=2) seed=0 dtype=float64 mode=last_epoch",
        "lr",
        lambda case: _is("MultiStepLR", "last_epoch")(case) and _resumed_at_a_step(case),
    ),
    "ConstantLR(last_epoch=…) rises twice": Finding(
        "optim.lr_scheduler.ConstantLR(factor=0.5, total_iters=2, steps=3, resume=2) seed=0 dtype=float64 mode=last_epoch",
        "lr",
        lambda case: _is("ConstantLR", "last_epoch")(case) and _resumed_at_a_step(case),
    ),
    "CosineAnnealingWarmRestarts(last_epoch=…) takes the first run's length": Finding(
        "optim.lr_scheduler.CosineAnnealingWarmRestarts(T_0=2, T_mult=2, steps=8, resume=7) seed=0 dtype=float64 "
        "mode=last_epoch",
        "lr",
        _resumed_after_restart,
    ),
    "SWALR(last_epoch=…) begins to anneal again": Finding(
        'optim.swa_utils.SWALR(swa_lr=0.5, anneal_epochs=4, anneal_strategy="linear", steps=6, resume=2) seed=0 '
        "dtype=float64 mode=last_epoch",
        "lr",
        lambda case: (
            _is("SWALR", "last_epoch")(case)
            and (dict(case.arguments).get("resume") or 1) < dict(case.arguments)["anneal_epochs"]
        ),
    ),
    "CosineAnnealingWarmRestarts.step(121) restarts one epoch late": Finding(
        "optim.lr_scheduler.CosineAnnealingWarmRestarts(T_0=1, T_mult=3, steps=121) seed=0 dtype=float64 mode=epoch",
        "lr",
        lambda case: _is("CosineAnnealingWarmRestarts", "epoch")(case) and dict(case.arguments)["steps"] == 121,
    ),
    "CyclicLR.load_state_dict takes an entry out of the state that it is given": Finding(
        "optim.lr_scheduler.CyclicLR(base_lr=0.01, max_lr=0.1, step_size_up=2, steps=2, resume=1) seed=0 dtype=float64",
        "rest",
        lambda case: _is("CyclicLR")(case) and dict(case.arguments).get("resume") is not None,
    ),
    "OneCycleLR divides by 0 where the way up has no length": Finding(
        "optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=10, pct_start=0.1, steps=2) seed=0 dtype=float64",
        "raises",
        lambda case: _is("OneCycleLR")(case) and _has(case, total_steps=10, pct_start=0.1),
    ),
    "OneCycleLR takes one step more than total_steps - 1, to a negative rate": Finding(
        'optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=10, anneal_strategy="linear", steps=10) seed=0 '
        "dtype=float64",
        "lr",
        _is_beyond_its_steps,
    ),
    "OneCycleLR takes one step more than total_steps - 1, to a momentum of no phase": Finding(
        "optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=10, steps=10) seed=0 dtype=float64",
        "momentum",
        _is_beyond_its_steps,
    ),
    "ConstantLR divides by a factor of 0, which it allows": Finding(
        "optim.lr_scheduler.ConstantLR(factor=0.0, total_iters=2, steps=2) seed=0 dtype=float64",
        "raises",
        lambda case: _is("ConstantLR")(case) and _has(case, factor=0.0),
    ),
    "ConstantLR(total_iters=0) never ends": Finding(
        "optim.lr_scheduler.ConstantLR(factor=0.5, total_iters=0, steps=1) seed=0 dtype=float64",
        "lr",
        lambda case: _is("ConstantLR")(case) and _has(case, total_iters=0),
    ),
    "SequentialLR starts a MultiplicativeLR from the rate before and with λ(0)": Finding(
        'optim.lr_scheduler.SequentialLR(schedulers=(("StepLR", ("step_size", 1)), ("MultiplicativeLR", ("lr_lambda", '
        '"zigzag"))), milestones=(2,), steps=3) seed=0 dtype=float64',
        "lr",
        lambda case: "MultiplicativeLR" in _parts(case)[1:],
    ),
    "SequentialLR takes a first part of parts one step ahead": Finding(
        'optim.lr_scheduler.SequentialLR(schedulers=(("ChainedScheduler", ("schedulers", (("StepLR", ("step_size", 2)), '
        '("ExponentialLR", ("gamma", 0.9))))),), milestones=(), steps=3) seed=0 dtype=float64',
        "lr",
        lambda case: bool(COMPOSITES & set(_parts(case)[:1])),
    ),
    "SequentialLR(last_epoch=…) begins anew": Finding(
        'optim.lr_scheduler.SequentialLR(schedulers=(("LinearLR", ("start_factor", 0.25), ("total_iters", 4)), '
        '("ExponentialLR", ("gamma", 0.9))), milestones=(2,), steps=3, resume=1) seed=0 dtype=float64 mode=last_epoch',
        "lr",
        _is("SequentialLR", "last_epoch"),
    ),
    "SequentialLR cannot start a later part of parts": Finding(
        'optim.lr_scheduler.SequentialLR(schedulers=(("ExponentialLR", ("gamma", 0.9)), ("SequentialLR", ("schedulers", '
        '(("StepLR", ("step_size", 2)),)), ("milestones", ()))), milestones=(2,), steps=3) seed=0 dtype=float64',
        "raises",
        lambda case: bool(COMPOSITES & set(_parts(case)[1:])),
    ),
    "clip_grad_value_ raises where no parameter has a gradient": Finding(
        "nn.utils.clip_grad_value_(clip_value=0.5) seed=0 dtype=float32", "raises", _no_gradients
    ),
}


def known(case: Case) -> set[str]:
    """Outputs that are known to deviate in a drawn case, or the status of one that does not run."""
    return {finding.output for finding in FINDINGS.values() if finding.applies(case)}
