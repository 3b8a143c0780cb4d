"""The audit of one operation: what a worker process does; torch comes with it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gradcheck.audit.catching import catches
from gradcheck.audit.findings import OperationAudit
from gradcheck.audit.killing import fate_of
from gradcheck.audit.mutate import mutants
from gradcheck.audit.sensitivity import sensitivities
from gradcheck.audit.trials import Judge, Trials
from gradcheck.cases.inputs import Bits
from gradcheck.reference.registry import Reference, reference_named
from gradcheck.subject.facts import use_one_thread
from gradcheck.verdict.judge import judge_against

__all__ = ["Plan", "audit_named", "audit_operation"]


@dataclass(frozen=True)
class Plan:
    """How much to do of each operation. sample: mutants of each (None: all); seeds: of the sensitivity."""

    dtypes: tuple[str, ...]
    cases: int
    seed: int
    sample: int | None
    seeds: int


def audit_named(name: str, plan: Plan) -> OperationAudit:
    """The audit of a registered operation, in a process of its own."""
    use_one_thread()
    return audit_operation(reference_named(name), plan)


def audit_operation(reference: Reference, plan: Plan, judge: Judge = judge_against) -> OperationAudit:
    """Mutants, tampered subjects and sensitivities of one operation."""
    start = time.perf_counter()
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
    return OperationAudit(reference.name, cases, fates, found, smallest, time.perf_counter() - start)
