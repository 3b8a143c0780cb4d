"""Worker processes, so that a kernel that crashes or hangs costs one verdict and not the run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from gradcheck.cases.case import Case
from gradcheck.errors import GradcheckError
from gradcheck.run.plan import Piece, cases_of
from gradcheck.run.worker import PRELOADED, device_facts, judge_one, judge_piece, start_worker
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
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(PRELOADED)
        self._pool = ProcessPool(max_workers=jobs, initializer=start_worker, context=context)
        self._judge_piece, self._judge_one, self._case_seconds = judge_piece, judge_one, case_seconds

    def __enter__(self) -> Workers:  # noqa: PYI034 - typing.Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.stop()
        self._pool.join()

    def facts(self, device: str) -> dict[str, Any]:
        """Facts about PyTorch on a device. Raises UsageError where the device is not available."""
        try:
            found: dict[str, Any] = self._pool.schedule(device_facts, args=[device]).result()
        except ProcessExpired as error:
            raise GradcheckError(f"the worker process died (exit code {error.exitcode}) while starting.") from None
        return found

    def verdicts(self, pieces: list[Piece]) -> Iterator[tuple[Piece, list[Verdict]]]:
        """Each piece with its verdicts, in the order of the pieces, as soon as they are there.

        A piece whose process dies or hangs is judged again case by case; the guilty case is `crashed` or `timed out`.
        """
        futures = [self._pool.schedule(self._judge_piece, args=[piece], timeout=PIECE_SECONDS) for piece in pieces]
        for piece, future in zip(pieces, futures, strict=True):
            try:
                verdicts = future.result()
            except (ProcessExpired, FutureTimeoutError):
                verdicts = [verdict for case in cases_of(piece) for verdict in self._alone(case)]
            yield piece, verdicts

    def _alone(self, case: Case) -> list[Verdict]:
        try:
            verdicts: list[Verdict] = self._pool.schedule(
                self._judge_one, args=[case], timeout=self._case_seconds
            ).result()
        except ProcessExpired as error:
            return [_lost(case, "crashed", f"the process died with exit code {error.exitcode}")]
        except FutureTimeoutError:
            return [_lost(case, "timed out", f"no result within {self._case_seconds:g} s")]
        return verdicts


def _lost(case: Case, status: str, words: str) -> Verdict:
    nan = float("nan")
    return Verdict(
        operation=case.operation,
        mode=case.mode,
        dtype=case.dtype,
        device=case.device,
        layout=case.layout,
        setting=case.setting,
        output="value",
        status=status,
        error_over_bound=nan,
        error_over_storage_bound=nan,
        ulp=nan,
        case=str(case),
        digest="",
        words=words,
    )
