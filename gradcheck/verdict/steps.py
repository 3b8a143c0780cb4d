"""Judge an optimizer one step at a time: the rule from PyTorch's own state before each step, under its bounds.

Bounds never grow over a history, since every step starts from the bits that PyTorch had. The verdict of an output
(``param``, ``state[exp_avg]``, …) is the worst over steps and parameters; ``untouched`` is an output of its own, for
what a step must leave as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.cases.case import Case
from gradcheck.cases.history import History, step_rule_named
from gradcheck.cases.inputs import cotangent_of
from gradcheck.formats import format_named
from gradcheck.reference.optim.evaluate import Before, bounded_arithmetic, bounded_step, derivative_of_step
from gradcheck.reference.optim.lbfgs import ClosureRule
from gradcheck.reference.optim.rule import StepRule
from gradcheck.reference.registry import entry_named
from gradcheck.subject.optim_gradients import step_gradients
from gradcheck.subject.optimizers import Entry, Factory, Moment, Seen, run_history
from gradcheck.verdict.calls import judge_calls
from gradcheck.verdict.compare import Worst, digest_of, error_ratios, worst_errors
from gradcheck.verdict.mistakes import mistake_in_step
from gradcheck.verdict.models import grades_of, model_of
from gradcheck.verdict.outputs import verdict
from gradcheck.verdict.verdict import Verdict, Witness
from gradcheck.verdict.witness import witness_of

__all__ = ["before_step", "judge_history", "judge_seen"]

AGREED = Worst(0.0, 0.0, 0.0)


@dataclass
class _Output:
    """What is known of one output so far: the worst place, the bits of all places, and the step at the worst."""

    worst: Worst = AGREED
    witness: Witness | None = None
    words: str = ""
    bits: list[bytes] = field(default_factory=list)
    step: tuple[Before, dict[str, np.ndarray]] | None = None


def judge_history(
    case: Case, *, rule: StepRule | ClosureRule | None = None, subject: Factory | None = None
) -> list[Verdict]:
    """Verdicts on every output of the case's history; one verdict on ``param`` where PyTorch did not run.

    rule and subject stand in for the registered step rule and for PyTorch's own class (planted faults).
    """
    entry = rule or entry_named(case.operation)
    if isinstance(entry, ClosureRule):
        return judge_calls(case, entry, subject)
    history = History(case)
    history.check()
    rule = step_rule_named(case.operation) if rule is None else rule
    assert isinstance(rule, StepRule)
    return judge_seen(history, run_history(history, subject), rule, subject)


Gradients = Callable[..., dict[str, Entry]]
"""As ``step_gradients``."""


def judge_seen(
    history: History,
    seen: Seen,
    rule: StepRule,
    subject: Factory | None = None,
    gradients: Gradients = step_gradients,
    named: bool = True,
) -> list[Verdict]:
    """Verdicts on a history that was run already; ``subject`` runs again for the gradients of differentiable ones.

    named: say which of the usual mistakes explains a step that deviates.
    """
    case = history.case
    if seen.outcome != "ran":
        return [_verdict(case, "param", seen.outcome, Worst(np.nan, np.nan, np.nan), "", words=seen.words)]
    outputs: dict[str, _Output] = {}
    with np.errstate(all="ignore"):
        for step, (before, after) in enumerate(zip(seen.before, seen.after, strict=True)):
            for i, (was, now) in enumerate(zip(before, after, strict=True)):
                if was.grad is not None:
                    _judge_step(history, rule, step, i, was, now, outputs)
                    if case.mode == "differentiable":
                        _judge_gradients(history, rule, step, i, was, outputs, partial(gradients, subject=subject))
            _name_shared(step, before, after, outputs)
    if named:
        _name_mistakes(rule, outputs, model_of(case, grades_of(case)[-1]))
    verdicts = [_finished(case, name, output) for name, output in outputs.items()]
    return [*verdicts, _untouched(case, seen)]


def _name_mistakes(rule: StepRule, outputs: dict[str, _Output], model: RoundingModel) -> None:
    found: dict[int, str] = {}
    for output in outputs.values():
        if output.step is not None and output.worst.coarse > 1.0 and "state[" not in output.words:
            before, arrays = output.step
            if id(before) not in found:
                found[id(before)] = mistake_in_step(rule, before, arrays, model)
            if found[id(before)]:
                output.words = f"{output.words}: {found[id(before)]}"


def _name_shared(step: int, before: list[Moment], after: list[Moment], outputs: dict[str, _Output]) -> None:
    """Say so where an entry that deviates is, bit for bit, that of another parameter."""
    for k, now in enumerate(after):
        for name, entry in now.state.items() if before[k].grad is not None else ():
            output = outputs.get(f"state[{name}]")
            if output is None or output.words != f"step {step}, param{k}":
                continue
            for i, other in enumerate(after):
                if i != k and name in other.state and other.state[name].bits == entry.bits and entry.array.any():
                    output.words = f"step {step}, param{k}: it is the state[{name}] of param{i}"


def before_step(history: History, rule: StepRule, step: int, i: int, was: Moment, now: Moment | None = None) -> Before:
    """What the rule starts from: PyTorch's own parameter, gradient and state; ``now``: after the step, where known."""
    assert was.grad is not None
    state = {name: entry.array for name, entry in was.state.items() if name != "step"}
    return Before(
        param=was.param.array,
        grad=was.grad.array,
        state=state,
        t=_count(was) + 1 if rule.counts else step + 1,
        dtype=history.case.dtype,
        options=history.full_options(i),
        mode=history.case.mode,
        tensors=history.tensors(i),
        rows=history.rows(step, i),
        kept=_kept(rule, now) if now is not None and "kept" in rule.takes else {},
    )


def _kept(rule: StepRule, now: Moment) -> dict[str, np.ndarray]:
    """What a rule may go on from: the parameter, and entries of one element."""
    return {"param": now.param.array, **{name: now.state[name].array for name in rule.scalars if name in now.state}}


def _count(was: Moment) -> int:
    return int(was.state["step"].array) if "step" in was.state else 0


def _judge_step(
    history: History, rule: StepRule, step: int, i: int, was: Moment, now: Moment, outputs: dict[str, _Output]
) -> None:
    case = history.case
    before = before_step(history, rule, step, i, was, now)
    models = (model_of(case, grade) for grade in grades_of(case))
    agrees, *rest = (bounded_step(rule, before, model) for model in models)
    if history.of("complex"):
        agrees, *rest = (_spilled(before, grade, rule.pairs) for grade in (agrees, *rest))
    coarse = rest[0] if rest else {}
    got = {"param": now.param, **{f"state[{name}]": entry for name, entry in now.state.items() if name != "step"}}
    place = f"step {step}, param{i}"
    known = {name: output.witness for name, output in outputs.items()}
    for name, reference in agrees.items():
        output = outputs.setdefault(name, _Output())
        if name not in got:
            _wrong(output, f"{place}: PyTorch keeps no {name}")
            continue
        output.bits.append(got[name].bits)
        _compare(output, place, before, got[name], reference, coarse.get(name))
    blamed = [name for name in agrees if name in outputs and outputs[name].witness is not known.get(name)]
    arrays = {name: entry.array for name, entry in got.items()}
    for name in blamed:
        outputs[name].step = before, arrays
    for name in got.keys() - agrees.keys():
        _wrong(outputs.setdefault(name, _Output()), f"{place}: the rule has no {name}")
    if rule.counts:
        output = outputs.setdefault("state[step]", _Output())
        _compare_count(output, place, before.t, now.state.get("step"))


def _judge_gradients(
    history: History, rule: StepRule, step: int, i: int, was: Moment, outputs: dict[str, _Output], gradients: Gradients
) -> None:
    """The gradient through the step against the dual number of the rule, for each thing that goes in.

    Reverse mode multiplies in another order than a dual number, so nothing is said of elements where a product of a few
    factors may leave the format, nothing in 16-bit formats, in which
    autograd stores every such product, and nothing of sparse gradients.
    """
    case, before = history.case, before_step(history, rule, step, i, was)
    if format_named(case.dtype).bits == 16 or before.rows is not None:
        return
    names = tuple(name for name in before.state if name not in rule.scalars)
    cotangent = cotangent_of(case, before.param.shape)
    extreme = _extreme(before, case.dtype, bool(history.of("complex")))
    model = model_of(case)
    for name, entry in gradients(history, i, was, names, cotangent).items():
        reference = _gradient(rule, before, name, cotangent, model)
        unsaid = extreme
        if history.of("complex"):  # a part that is NaN makes the other one so where complex numbers are multiplied
            unsaid = unsaid | ~np.isfinite(reference.value).all(axis=-1, keepdims=True)
        reference = Bounded(reference.value, np.where(unsaid, np.inf, reference.full_bound()), model)
        output = outputs.setdefault(f"grad[{name}]", _Output())
        output.bits.append(entry.bits)
        _compare(output, f"step {step}, param{i}", before, entry, reference, None)


FACTORS = 8
"""How many factors a product of the reverse pass may have: a third-order term of a quotient of squares."""


def _extreme(before: Before, dtype: str, pairs: bool) -> np.ndarray:
    """Where a number that goes in is not finite, or so large or small that FACTORS of it may leave the format."""
    largest = 2.0 ** (format_named(dtype).maximum_exponent / FACTORS)
    arrays = [a for a in (before.param, before.grad, *before.state.values()) if a.shape == before.param.shape]
    inside = [(a == 0.0) | ((np.abs(a) <= largest) & (np.abs(a) >= 1.0 / largest)) for a in arrays]
    extreme = ~np.all(inside, axis=0)
    return np.broadcast_to(extreme.any(axis=-1, keepdims=True), extreme.shape) if pairs else extreme


def _gradient(rule: StepRule, before: Before, name: str, cotangent: np.ndarray, model: RoundingModel) -> Bounded:
    derivative = derivative_of_step(rule, before, bounded_arithmetic(model), name)
    if derivative is None:
        return lift_array(np.zeros(before.param.shape), model)
    return lift(lift_array(cotangent, model) * derivative, model)


def _spilled(before: Before, outputs: dict[str, Bounded], pairs: bool) -> dict[str, Bounded]:
    """The outputs of complex numbers, nothing being said where a part that goes in is not finite.

    PyTorch multiplies by a real number as by a complex one in some implementations, and parts them in others:
    (∞ + i)·(2 + 0i) has the imaginary part ∞·0 + 2, which is NaN. Without pairs nothing is said where a part may
    overflow within the step either: an infinity stays, and the parameter or the state has it after the step.
    """
    shape = before.param.shape
    arrays = [a for a in (before.param, before.grad, *before.state.values()) if a.shape == shape]
    strange = np.any([~np.isfinite(a) for a in arrays], axis=0)
    if not pairs:
        strange |= np.any([_may_overflow(output) for output in outputs.values() if output.shape == shape], axis=0)
    strange = strange.any(axis=-1, keepdims=True)
    if not strange.any():
        return outputs
    return {
        name: Bounded(output.value, np.where(strange, np.inf, output.full_bound()), output.model)
        if output.shape == shape
        else output
        for name, output in outputs.items()
    }


def _may_overflow(output: Bounded) -> np.ndarray:
    reach: np.ndarray = np.abs(output.value) + output.full_bound()
    return ~(reach <= output.model.store.largest)


def _wrong(output: _Output, words: str) -> None:
    if output.worst.ratio < np.inf:
        output.worst, output.words, output.witness = Worst(np.inf, np.inf, np.inf), words, None


def _compare_count(output: _Output, place: str, t: int, entry: Entry | None) -> None:
    if entry is None:
        _wrong(output, f"{place}: PyTorch keeps no state[step]")
        return
    output.bits.append(entry.bits)
    if entry.array.shape != () or float(entry.array) != t:
        _wrong(output, f"{place}: state[step] is {entry.array}, should be {t}")


def _compare(
    output: _Output, place: str, before: Before, entry: Entry, reference: Bounded, coarse: Bounded | None
) -> None:
    got = entry.array
    if got.shape != reference.shape:
        _wrong(output, f"{place}: has shape {got.shape}, should be {reference.shape}")
        return
    dtype = reference.model.store.name
    if entry.dtype != dtype:
        _wrong(output, f"{place}: has dtype {entry.dtype}, should be {dtype}")
        return
    if not got.size:
        return
    worst = worst_errors(got, reference, coarse)
    if (worst.coarse, worst.ratio) > (output.worst.coarse, output.worst.ratio) and worst.ratio > 1.0:
        output.witness = _witness(before, got, reference, coarse if worst.coarse > 1.0 else None)
        output.words = place
    output.worst = Worst(*(max(pair) for pair in zip(output.worst, worst, strict=True)))


def _witness(before: Before, got: np.ndarray, reference: Bounded, coarse: Bounded | None) -> Witness:
    ratios = error_ratios(got, reference)
    if coarse is not None:
        ratios = np.minimum(ratios, error_ratios(got, coarse))
    return witness_of(got, reference, ratios, {"param": before.param, "grad": before.grad, **before.state})


def _finished(case: Case, name: str, output: _Output) -> Verdict:
    worst = output.worst
    words = f"worst at {output.words}" if output.witness is not None else output.words
    digest = digest_of(b"".join(output.bits))
    return _verdict(case, name, worst.status, worst, digest, witness=output.witness, words=words)


def _untouched(case: Case, seen: Seen) -> Verdict:
    if not seen.changed:
        return _verdict(case, "untouched", "agrees", AGREED, "")
    more = f"; {len(seen.changed) - 1} more" if len(seen.changed) > 1 else ""
    words = f"{seen.changed[0]}{more}"
    return _verdict(case, "untouched", "deviates", Worst(np.inf, np.inf, np.inf), "", words=words)


def _verdict(case: Case, output: str, status: str, worst: Worst, digest: str, **more: Any) -> Verdict:
    numbers = {"error_over_bound": worst.ratio, "error_over_storage_bound": worst.coarse, "ulp": worst.ulp}
    return verdict(case, output, status, digest=digest, **numbers, **more)
