"""The audit of one operation: what a worker process does; torch comes with it."""

from __future__ import annotations

import time

from gradcheck.audit.catching import catches
from gradcheck.audit.findings import OperationAudit, Plan
from gradcheck.audit.killing import fate_of
from gradcheck.audit.mutate import mutants
from gradcheck.audit.sensitivity import sensitivities
from gradcheck.audit.trials import Judge, Trials
from gradcheck.cases.inputs import Bits
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import judge_against

__all__ = ["audit_operation"]


def audit_operation(reference: Reference, plan: Plan, judge: Judge = judge_against) -> OperationAudit:
    """Mutants, tampered subjects and sensitivities of one operation."""
    start = time.process_time()
    trials = {dtype: Trials(reference, dtype, plan.cases, plan.seed, judge) for dtype in plan.dtypes}
    wrong = list(mutants(reference))
    if plan.sample is not None and plan.sample < len(wrong):
        order = Bits("audit", reference.name, plan.seed).raw(len(wrong)).argsort()
        wrong = [wrong[index] for index in sorted(order[: plan.sample])]
    fates = [fate_of(mutant, trials) for mutant in wrong]
    found = [catch for corpus in trials.values() for catch in catches(corpus)]
    seeds = range(plan.seed, plan.seed + plan.seeds)
    smallest = [line for dtype in plan.dtypes for line in sensitivities(reference, dtype, plan.cases, seeds, judge)]
    cases = {dtype: len(corpus) for dtype, corpus in trials.items()}
    return OperationAudit(reference.name, cases, fates, found, smallest, time.process_time() - start)
