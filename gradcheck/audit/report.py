"""``audit``: plant faults in every operation, in parallel processes, and report what was caught."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

from gradcheck.audit.findings import AuditReport, OperationAudit, Plan
from gradcheck.errors import ContractError
from gradcheck.formats import FORMATS
from gradcheck.reference.registry import Entry, Reference, entry_named
from gradcheck.run.orphans import end_with_parent

if TYPE_CHECKING:
    from gradcheck.audit.trials import Judge

__all__ = ["audit"]

Progress = Callable[[str, list[OperationAudit]], None]

SEEDS = 5
SAMPLE_SEEDS = 2

OTHERS = 500
"""Nodes that what is no operation counts for: its formulas are not read without torch."""


def audit(
    references: Iterable[Entry],
    *,
    cases: int = 60,
    seed: int = 0,
    jobs: int = 2,
    sample: int | None = None,
    seeds: int | None = None,
    dtypes: tuple[str, ...] = tuple(FORMATS),
    modes: tuple[str, ...] = ("backward",),
    every_dtype: bool = False,
    judge: Judge | None = None,
    progress: Progress = lambda *_: None,
) -> AuditReport:
    """Audit operations, step rules and the rest on the corpus that ``gradcheck verify`` runs for cases and seed.

    sample: so many mutants of each operation, chosen by the seed (None: all); seeds: runs from which the sensitivity is
    taken (5, or 2 of a sample; of fewer than 20 all have to report it); modes: each is audited by itself; every_dtype:
    try killed mutants in the other dtypes as well; judge: what is audited, if not gradcheck's own; progress: is told
    the audits of each operation as they are finished. Operations that are not registered, and another judge, need
    ``jobs=1``: this process. Raises ContractError where ``dtypes`` lacks float64, in which exact arithmetic compares.
    """
    if "float64" not in dtypes:
        raise ContractError(f"an audit needs the dtype float64, got {', '.join(dtypes)}.")
    start = time.perf_counter()
    chosen = list(references)
    dtypes = ("float64", *(dtype for dtype in dtypes if dtype != "float64"))
    seeds = seeds or (SEEDS if sample is None else SAMPLE_SEEDS)
    plan = Plan(dtypes, cases, seed, sample, seeds, modes, every_dtype)
    if jobs == 1:
        done = {}
        for reference in chosen:
            done[reference.name] = _audited(reference, plan, judge)
            progress(reference.name, done[reference.name])
    else:
        done = _in_processes(chosen, plan, jobs, progress)
    ordered = [part for reference in chosen for part in done[reference.name]]
    return AuditReport(ordered, cases, seed, sample, time.perf_counter() - start)


def _audited(entry: Entry, plan: Plan, judge: Judge | None = None) -> list[OperationAudit]:
    """In this process. Modes are of operations; all implementations of what is none are audited together."""
    if not isinstance(entry, Reference):
        from gradcheck.audit.entries.worker import audit_entry

        return [audit_entry(entry, plan)]
    from gradcheck.audit.worker import audit_operation
    from gradcheck.verdict.judge import judge_against

    return audit_operation(entry, plan, judge or judge_against)


def _size(entry: Entry) -> int:
    """How long an audit takes, in nodes of formulas."""
    from gradcheck.audit.mutate import size

    return size(entry) if isinstance(entry, Reference) else OTHERS


def _in_processes(chosen: list[Entry], plan: Plan, jobs: int, progress: Progress) -> dict[str, list[OperationAudit]]:
    """By name. What takes longest is started first: formulas with the longest text have the most mutants."""
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(["gradcheck.audit.worker"])  # with it torch, once for all processes
    done: dict[str, list[OperationAudit]] = {}
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with_parent) as pool:
        futures = {
            pool.submit(_audit_named, reference.name, plan): reference.name
            for reference in sorted(chosen, key=_size, reverse=True)
        }
        try:
            for future in as_completed(futures):
                name = futures[future]
                done[name] = future.result()
                progress(name, done[name])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _audit_named(name: str, plan: Plan) -> list[OperationAudit]:
    """In a worker process: torch is imported there, and not in the parent."""
    from gradcheck.subject.facts import use_one_thread

    use_one_thread()
    return _audited(entry_named(name), plan)
