"""What a worker process does. Imports inside the functions, so that the parent never imports torch."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from gradcheck.cases.case import Case
from gradcheck.errors import GradcheckError
from gradcheck.run import parallel
from gradcheck.run.plan import Piece, cases_of
from gradcheck.verdict.verdict import Verdict

__all__ = ["PRELOADED", "device_facts", "judge_one", "judge_piece", "start_worker"]

PRELOADED = ["gradcheck.verdict.judge", "gradcheck.verdict.kinds"]
"""What the forkserver imports once for all workers; torch comes with it."""

LOST = 70
"""Exit status of a worker whose device answers no more: all that follows would fail, so a new process goes on. (70 is
``EX_SOFTWARE`` of sysexits.h.)"""


def start_worker() -> None:
    """One thread each, so that workers share the cores fairly; Ctrl-C is the parent's to handle."""
    from gradcheck.subject.facts import use_one_thread

    parallel.start_worker()
    use_one_thread()


def judge_piece(piece: Piece) -> list[Verdict]:
    """Verdicts on all cases of a piece."""
    return [verdict for case in cases_of(piece) for verdict in judge_one(case)]


def judge_one(case: Case) -> list[Verdict]:
    """Verdicts on one case, timed; also used alone, to find the case that crashed or hung a piece."""
    from gradcheck.subject.devices import lost
    from gradcheck.verdict.kinds import judge
    from gradcheck.verdict.outputs import verdict as verdict_on

    begun = time.perf_counter()
    try:
        verdicts = judge(case)
    except GradcheckError:
        raise
    except Exception as error:
        # A version of PyTorch may do what nobody thought of: that costs a verdict, which fails the run at its end.
        words = f"gradcheck itself failed, replay shows where: {type(error).__name__}: {error}"
        verdicts = [verdict_on(case, "value", "crashed", words=words)]
    if lost(case.device):
        os._exit(LOST)
    share = (time.perf_counter() - begun) / max(1, len(verdicts))
    return [replace(verdict, seconds=share) for verdict in verdicts]


def device_facts(device: str) -> dict[str, Any]:
    """Facts about the run, after a look whether PyTorch can compute on the device (UsageError if not)."""
    from gradcheck.subject.devices import check_device
    from gradcheck.subject.facts import facts

    check_device(device)
    return facts(device)
