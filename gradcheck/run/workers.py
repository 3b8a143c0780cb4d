"""Worker processes, so that a kernel that crashes or hangs costs one verdict and not the run."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from gradcheck.cases.case import Case
from gradcheck.errors import GradcheckError
from gradcheck.run.plan import Environment, Piece, by_environment, cases_of
from gradcheck.run.worker import PRELOADED, device_facts, judge_one, judge_piece, start_worker
from gradcheck.verdict.outputs import verdict
from gradcheck.verdict.verdict import Verdict

__all__ = ["Workers"]

PIECE_SECONDS = 300.0
CASE_SECONDS = 60.0


class Workers:
    """A pool of worker processes; a context manager that stops them on leaving, whatever happened.

    judge_piece and judge_one do the work in the workers (module-level functions); tests put faulty ones in.
    """

    def __init__(
        self,
        jobs: int,
        judge_piece: Callable[[Piece], list[Verdict]] = judge_piece,
        judge_one: Callable[[Case], list[Verdict]] = judge_one,
        case_seconds: float = CASE_SECONDS,
    ) -> None:
        self._jobs, self._pools = jobs, dict[Environment, ProcessPool]()
        self._judge_piece, self._judge_one, self._case_seconds = judge_piece, judge_one, case_seconds

    def __enter__(self) -> Workers:  # noqa: PYI034 - typing.Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pool in self._pools.values():
            pool.stop()
        for pool in self._pools.values():
            pool.join()

    def facts(self, device: str, environment: Environment = ()) -> dict[str, Any]:
        """Facts about PyTorch on a device, in processes that have these environment variables from their start.

        Raises UsageError where the device is not available.
        """
        try:
            with self._pool(environment) as pool:
                found: dict[str, Any] = pool.schedule(device_facts, args=[device]).result()
        except ProcessExpired as error:
            raise GradcheckError(f"the worker process died (exit code {error.exitcode}) while starting.") from None
        except BrokenProcessPool:
            raise GradcheckError(
                "no worker process could be started; `python -c 'import torch'` may say more than stands above."
            ) from None
        return found

    def verdicts(self, pieces: list[Piece]) -> Iterator[tuple[Piece, list[Verdict]]]:
        """Each piece with its verdicts, in the order of the pieces, as soon as they are there.

        Pieces that need another environment come after those before them, in processes of their own. A piece whose
        process dies or hangs is judged again case by case; the guilty case is `crashed` or `timed out`.
        """
        for environment, part in by_environment(pieces):
            with self._pool(environment) as pool:
                futures = [pool.schedule(self._judge_piece, args=[piece], timeout=PIECE_SECONDS) for piece in part]
                for piece, future in zip(part, futures, strict=True):
                    try:
                        verdicts = future.result()
                    except (ProcessExpired, FutureTimeoutError):
                        verdicts = [verdict for case in cases_of(piece) for verdict in self._alone(pool, case)]
                    yield piece, verdicts

    @contextmanager
    def _pool(self, environment: Environment) -> Iterator[ProcessPool]:
        """The pool whose processes have these variables: they inherit them, so these are set as long as it is used."""
        pool = self._pools.get(environment)
        if pool is None:
            pool = self._pools[environment] = _new_pool(self._jobs, own=bool(environment))
        outside = {name: os.environ.get(name) for name, _ in environment}
        os.environ.update(environment)
        try:
            yield pool
        finally:
            for name, value in outside.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def _alone(self, pool: ProcessPool, case: Case) -> list[Verdict]:
        try:
            verdicts: list[Verdict] = pool.schedule(self._judge_one, args=[case], timeout=self._case_seconds).result()
        except ProcessExpired as error:
            return [verdict(case, "value", "crashed", words=f"the process died with exit code {error.exitcode}")]
        except FutureTimeoutError:
            return [verdict(case, "value", "timed out", words=f"no result within {self._case_seconds:g} s")]
        return verdicts


def _new_pool(jobs: int, own: bool) -> ProcessPool:
    """Processes that import torch once for all; with ``own`` each for itself, from the environment of its start.

    A forkserver is started once, and what it has imported has read the environment of that time.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods() and not own
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(PRELOADED)
    return ProcessPool(max_workers=jobs, initializer=start_worker, context=context)
