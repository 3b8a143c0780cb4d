"""Worker processes that end when the process that started them does."""

from __future__ import annotations

import multiprocessing
import os
import threading

__all__ = ["end_with_parent"]

ORPHANED = 71
"""Exit status of a worker whose parent is gone. (71 is ``EX_OSERR`` of sysexits.h.)"""


def end_with_parent() -> None:
    """In a worker: end this process, in the middle of what it does, when its parent has ended, killed or not.

    Whoever asked for the result is gone; without this a worker finishes its task first, which takes minutes.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end, args=(parent,), name="end with parent", daemon=True).start()


def _wait_for_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(ORPHANED)
