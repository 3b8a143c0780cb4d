"""The usual mistakes in an optimizer's step, each with what the step would then have given.

Where a step deviates they are tried one after another: the first whose results lie within the bound of all that was
seen after the step is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.arithmetic import RoundingModel, stored
from gradcheck.arithmetic.running import lift
from gradcheck.reference.optim.evaluate import Before, bounded_arithmetic, lifted_step, outputs_of
from gradcheck.reference.optim.rule import StepRule, nonzero
from gradcheck.reference.optim.scalar import power
from gradcheck.verdict.compare import error_ratios

__all__ = ["mistake_in_step"]

ALWAYS_DECOUPLED = ("optim.AdamW", "optim.Muon", "optim.Adafactor")
CORRECTED = ("optim.Adam", "optim.AdamW", "optim.Adamax", "optim.NAdam", "optim.RAdam", "optim.SparseAdam")
"""Rules with bias corrections; others that count steps do it for another reason."""

ROOTS = {
    "optim.RMSprop": "square_avg", "optim.Adagrad": "sum", "optim.NAdam": "exp_avg_sq", "optim.RAdam": "exp_avg_sq",
    "optim.SparseAdam": "exp_avg_sq",
}  # fmt: skip
"""Rules besides Adam's own that divide by the root of an entry plus eps."""

Suspect = tuple[str, Any, Any]
"""In words; the parameter and the state that the mistake would give."""


def mistake_in_step(rule: StepRule, before: Before, got: dict[str, np.ndarray], model: RoundingModel) -> str:
    """The mistake that explains every output of a step, in words; empty where none of the usual ones does.

    got: float64 arrays by output name; model: in which results are bounded.
    """
    try:
        with np.errstate(all="ignore"):
            for words, param, state in _suspects(rule, before, model):
                if _explains(outputs_of((param, state)), got, model):
                    return words
    except (ArithmeticError, TypeError, ValueError):  # a mistake may not even be possible with these numbers
        return ""
    return ""


def _explains(outputs: dict[str, Any], got: dict[str, np.ndarray], model: RoundingModel) -> bool:
    if outputs.keys() != got.keys():
        return False
    for name, output in outputs.items():
        bounded = lift(output, model)
        finite = np.isfinite(bounded.full_bound())
        if bounded.shape != got[name].shape or not finite.any() or (error_ratios(got[name], bounded) > 1.0).any():
            return False
    return True


def _suspects(rule: StepRule, before: Before, model: RoundingModel) -> Iterator[Suspect]:
    param, grad, state, t, given = lifted_step(rule, before, bounded_arithmetic(model))

    def taken(param: Any, grad: Any, t: Any, state: Any = state, **changed: Any) -> tuple[Any, Any]:
        after: tuple[Any, Any] = rule.function(param, grad, state, t, **{**given, **changed})
        return after

    zero = given["lr"] * 0.0
    decay, maximize = given.get("weight_decay", zero), bool(given.get("maximize", False))
    decoupled = rule.name in ALWAYS_DECOUPLED or bool(given.get("decoupled_weight_decay"))
    if maximize:
        yield "maximize was ignored", *taken(param, grad, t, maximize=False)
    if nonzero(decay):
        yield from _of_decay(taken, param, grad, t, given, decoupled, maximize, zero)
    if rule.counts:
        yield from _of_counting(rule, taken, param, grad, t, given, decoupled, before.t)
    if rule.name in ("optim.Adam", "optim.AdamW"):
        yield from _of_adam(rule, taken(param, grad, t), param, state, t, given)
    if rule.name in ROOTS and nonzero(given["eps"]):
        yield from _of_root(rule, taken, param, grad, state, t, given)
    if rule.name == "optim.SGD":
        yield from _of_sgd(taken, param, grad, t, state, given)


def _of_decay(
    taken: Any, param: Any, grad: Any, t: Any, given: dict[str, Any], decoupled: bool, maximize: bool, zero: Any
) -> Iterator[Suspect]:
    decay = given["weight_decay"]
    if decoupled:
        left, kept = 1.0 - given["lr"] * decay, dict(given.get("kept") or {})
        more = {"kept": {**kept, "param": kept["param"] / left}} if "param" in kept else {}
        after, state = taken(param, grad, t, weight_decay=zero, **more)
        yield "decoupled weight decay applied after the step", stored(after) * left, state
    if maximize:
        words = "maximize negated the weight decay together with the gradient"
        yield words, *taken(param, grad, t, weight_decay=-decay)
    if "decoupled_weight_decay" in given:
        words = "coupled weight decay for decoupled" if decoupled else "decoupled weight decay for coupled"
        yield words, *taken(param, grad, t, decoupled_weight_decay=not decoupled)
    yield "weight decay was left out", *taken(param, grad, t, weight_decay=zero)


def _of_counting(
    rule: StepRule, taken: Any, param: Any, grad: Any, t: Any, given: dict[str, Any], decoupled: bool, number: int
) -> Iterator[Suspect]:
    words = "bias correction by" if rule.name in CORRECTED else "the step is counted as"
    for off in (-1.0, 1.0) if number > 1 else (1.0,):
        said = f"{words} t{off:+.0f}"
        yield said, *taken(param, grad, t + off)
        if rule.name in ("optim.NAdam", "optim.RAdam"):  # in the corrections alone, and not in what else hangs on t
            beta1, beta2 = given["betas"]
            factor = power((1.0 - power(beta2, t + off)) / (1.0 - power(beta2, t)), 0.5)
            changed = {"eps": given["eps"] * factor}
            if rule.name == "optim.RAdam":
                factor = factor * ((1.0 - power(beta1, t)) / (1.0 - power(beta1, t + off)))
                changed = {}
            changed["lr"] = given["lr"] * factor
            if decoupled:
                changed["weight_decay"] = given["weight_decay"] / factor
            yield said, *taken(param, grad, t, **changed)


def _of_adam(
    rule: StepRule, right: tuple[Any, Any], param: Any, before: Any, t: Any, given: dict[str, Any]
) -> Iterator[Suspect]:
    _, state = right
    (beta1, beta2), lr, eps = given["betas"], given["lr"], given["eps"]
    if rule.name == "optim.AdamW" or given.get("decoupled_weight_decay"):
        param = stored(param * (1.0 - lr * given["weight_decay"]))
    size, correction = lr / (1.0 - power(beta1, t)), 1.0 - power(beta2, t)
    mean, second = stored(state.exp_avg), state.exp_avg_sq if state.max_exp_avg_sq is None else state.max_exp_avg_sq
    second = stored(second)

    def stepped(denominator: Any) -> Any:
        return param + stored(-size * stored(mean / stored(denominator)))

    yield "eps inside the root", stepped(np.sqrt(stored(stored(second / correction) + eps))), state
    root = power(correction, 0.5)
    yield "eps added before the bias correction", stepped(stored(stored(np.sqrt(second)) + eps) / root), state
    if before.max_exp_avg_sq is not None:
        largest = np.maximum(before.max_exp_avg_sq, stored(stored(state.exp_avg_sq) / correction))
        wrong = state._replace(max_exp_avg_sq=largest)
        yield "amsgrad's maximum taken after bias correction", stepped(stored(np.sqrt(stored(largest))) + eps), wrong


def _of_root(
    rule: StepRule, taken: Any, param: Any, grad: Any, state: Any, t: Any, given: dict[str, Any]
) -> Iterator[Suspect]:
    """Without eps, from an average that comes out larger by what eps is inside the root."""
    name, more, kept = ROOTS[rule.name], given["eps"], 1.0
    if name == "square_avg":
        kept = given["alpha"]
    elif name == "exp_avg_sq":
        kept = given["betas"][1]
    if rule.name == "optim.NAdam":
        more = more * (1.0 - power(kept, t))
    larger = state._replace(**{name: getattr(state, name) + more / kept})
    _, right = taken(param, grad, t)
    after, wrong = taken(param, grad, t, larger, eps=given["eps"] * 0.0)
    yield "eps inside the root", after, wrong._replace(**{name: getattr(right, name)})


def _of_sgd(taken: Any, param: Any, grad: Any, t: Any, before: Any, given: dict[str, Any]) -> Iterator[Suspect]:
    momentum, dampening = given["momentum"], given["dampening"]
    if given["nesterov"]:
        yield "Nesterov's momentum with dampening, which excludes it", *taken(param, grad, t, dampening=momentum)
        yield "momentum without Nesterov's look ahead", *taken(param, grad, t, nesterov=False)
    if nonzero(momentum) and before.momentum_buffer is None and nonzero(dampening):
        after, state = taken(param, stored((1.0 - dampening) * grad), t)
        yield "the first momentum buffer was dampened", after, state
    if nonzero(dampening):
        yield "dampening was left out", *taken(param, grad, t, dampening=given["lr"] * 0.0)
