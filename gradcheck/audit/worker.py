"""The audit of one operation: what a worker process does; torch comes with it."""

from __future__ import annotations

import time

from gradcheck.arithmetic.packed import compile_now
from gradcheck.audit.catching import catches
from gradcheck.audit.findings import OperationAudit, Plan
from gradcheck.audit.killing import fate_of
from gradcheck.audit.mutate import Mutant, mutants
from gradcheck.audit.sensitivity import sensitivities
from gradcheck.audit.trials import Judge, Trials
from gradcheck.cases.inputs import Bits
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import judge_against

__all__ = ["audit_operation"]


def audit_operation(reference: Reference, plan: Plan, judge: Judge = judge_against) -> list[OperationAudit]:
    """Mutants, tampered subjects and sensitivities of one operation, in each mode of the plan that PyTorch has.

    Sensitivities are those of backward.
    """
    compile_now()  # and not while a wrong formula's time is taken
    wrong = _mutants(reference, plan)
    exact = Trials(reference, "float64", plan.cases, plan.seed, judge)
    found = [_audit_mode(reference, plan, mode, wrong, exact, judge) for mode in plan.modes]
    return [audit for audit in found if audit is not None]


def _mutants(reference: Reference, plan: Plan) -> list[Mutant]:
    wrong = list(mutants(reference))
    if plan.sample is not None and plan.sample < len(wrong):
        order = Bits("audit", reference.name, plan.seed).raw(len(wrong)).argsort()
        wrong = [wrong[index] for index in sorted(order[: plan.sample])]
    return wrong


def _audit_mode(
    reference: Reference, plan: Plan, mode: str, wrong: list[Mutant], exact: Trials, judge: Judge
) -> OperationAudit | None:
    """None where PyTorch has the operation in no dtype in this mode: what is not there cannot be wrong."""
    start = time.process_time()
    drawn = {dtype: Trials(reference, dtype, plan.cases, plan.seed, judge, mode) for dtype in plan.dtypes}
    if mode == exact.mode:
        drawn["float64"] = exact
    trials = {dtype: corpus for dtype, corpus in drawn.items() if corpus.supported}
    if "float64" not in trials:
        return None
    fates = [fate_of(mutant, trials, exact, plan.every_dtype) for mutant in wrong]
    found = [catch for corpus in trials.values() for catch in catches(corpus)]
    seeds = range(plan.seed, plan.seed + plan.seeds) if mode == exact.mode else ()
    smallest = [
        line
        for dtype, corpus in trials.items()
        if seeds
        for line in sensitivities(reference, dtype, plan.cases, seeds, judge, corpus)
    ]
    cases = {dtype: len(corpus) for dtype, corpus in trials.items()}
    seconds = time.process_time() - start
    return OperationAudit(reference.name, cases, fates, found, smallest, seconds, mode, plan.every_dtype)
