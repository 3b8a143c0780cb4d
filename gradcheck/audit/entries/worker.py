"""The audit of one entry that is no operation: what a worker process does; torch comes with it."""

from __future__ import annotations

import importlib
import time
from typing import Any

from gradcheck.audit.entries.bench import Bench
from gradcheck.audit.entries.catching import entry_catches, entry_sensitivities
from gradcheck.audit.entries.killing import entry_fate
from gradcheck.audit.entries.mutants import entry_mutants
from gradcheck.audit.entries.trials import EntryTrials
from gradcheck.audit.findings import OperationAudit, Plan
from gradcheck.cases.inputs import Bits
from gradcheck.reference.optim.lbfgs import ClosureRule
from gradcheck.reference.registry import Entry

__all__ = ["audit_entry", "bench_of"]

BENCHES = {
    "optimizer": ("gradcheck.audit.entries.steps", "StepBench"),
    "schedule": ("gradcheck.audit.entries.schedules", "ScheduleBench"),
    "clipping": ("gradcheck.audit.entries.clipping", "ClippingBench"),
    "averaging": ("gradcheck.audit.entries.averaging", "AveragingBench"),
    "scaler": ("gradcheck.audit.entries.scaler", "ScalerBench"),
}
"""By kind: module and class. Modules are imported when an entry of their kind is met: they bring torch."""

SENSED = 15
"""Cases from which the sensitivity is taken, for each seed."""


def bench_of(entry: Entry) -> Bench:
    """How entries of this kind are audited."""
    module, name = BENCHES[entry.kind]
    if isinstance(entry, ClosureRule):
        module, name = "gradcheck.audit.entries.calls", "CallBench"
    bench: Bench = getattr(importlib.import_module(module), name)()
    return bench


def audit_entry(entry: Any, plan: Plan) -> OperationAudit:
    """Mutants, tampered observations and sensitivities of one entry."""
    start = time.process_time()
    bench = bench_of(entry)
    dtypes = [dtype for dtype in plan.dtypes if dtype in entry.dtypes]
    corpora = {dtype: EntryTrials(bench, entry, dtype, plan.cases, plan.seed) for dtype in dtypes}
    wrong = list(entry_mutants(entry, bench))
    if plan.sample is not None and plan.sample < len(wrong):
        order = Bits("audit", entry.name, plan.seed).raw(len(wrong)).argsort()
        wrong = [wrong[index] for index in sorted(order[: plan.sample])]
    fates = [entry_fate(mutant, corpora, plan.every_dtype) for mutant in wrong]
    found = [catch for trials in corpora.values() for catch in entry_catches(trials)]
    smallest = [line for trials in corpora.values() for line in entry_sensitivities(trials, SENSED * plan.seeds)]
    cases = {dtype: len(trials) for dtype, trials in corpora.items()}
    seconds = time.process_time() - start
    return OperationAudit(entry.name, cases, fates, found, smallest, seconds, "all", plan.every_dtype)
