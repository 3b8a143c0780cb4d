"""A worker does not outlive the process that started it, however that ends."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from gradcheck.run.orphans import end_with_parent

PARENT = """
import os, sys, time
{imports}

def told(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    {work}
"""
IN_PROCESSES = PARENT.format(
    imports="from gradcheck.run.parallel import in_processes", work="list(in_processes(told, [60.0], 1))"
)
POOL = PARENT.format(
    imports="from gradcheck.run.workers import _new_pool",
    work="_new_pool(1, own=False).schedule(told, args=[60.0]).result()",
)
FORGETFUL = PARENT.format(
    imports="from concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import get_context",
    work='list(ProcessPoolExecutor(1, mp_context=get_context("spawn")).map(told, [20.0]))',
)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _outlives(text, tmp_path, seconds):
    """Whether the worker of a script is still there so long after the script was killed."""
    script = tmp_path / "parent.py"
    script.write_text(text, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + seconds
        while _runs(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = _runs(worker)
        if left:
            os.kill(worker, signal.SIGKILL)
    return left


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed by signals of POSIX")
class TestKilled:
    @pytest.mark.parametrize("text", [IN_PROCESSES, POOL], ids=["in_processes", "pool of verify"])
    def test_workers_end_with_their_parent(self, text, tmp_path):
        assert not _outlives(text, tmp_path, 20.0)

    def test_one_that_does_not_watch_would_be_seen(self, tmp_path):
        assert _outlives(FORGETFUL, tmp_path, 2.0)


def test_the_first_process_has_no_parent_to_wait_for():
    end_with_parent()
    assert "end with parent" not in [thread.name for thread in threading.enumerate()]
