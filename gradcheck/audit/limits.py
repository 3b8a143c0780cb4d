"""A limit on the processor time of a wrong formula: one that never ends must not stop the audit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["SECONDS", "TooLongError", "patience", "time_limit"]

SECONDS = 20.0
"""Of processor time, for one formula on one case: far more than the slowest true reference takes."""


LEAST, TIMES = 1.0, 20.0


def patience(seconds: float) -> float:
    """Processor time for a wrong formula where the true one takes so many seconds: what needs more never ends."""
    return min(SECONDS, LEAST + TIMES * seconds)


class TooLongError(Exception):
    """A formula that does not come to an end in the time it has."""


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TooLongError in the body once it has taken so much processor time.

    Only where there are signals for that: on POSIX systems, in the main thread.
    """
    if not hasattr(signal, "SIGVTALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(*_: Any) -> None:
    raise TooLongError("it takes too long")
