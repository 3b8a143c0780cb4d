"""One function over many items in worker processes, for work that needs no protection from crashes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from gradcheck.run.orphans import end_with_parent

__all__ = ["in_processes", "start_worker"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def start_worker() -> None:
    """Ctrl-C is the parent's to handle, and where that has ended so does the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def in_processes(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """``function`` of each item, in order; function and items have to pickle. Ctrl-C stops the workers."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=start_worker)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
