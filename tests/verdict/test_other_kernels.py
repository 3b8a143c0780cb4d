"""The ledger on processors that are not there: what is held back from PyTorch, it does not take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.processor import processor_flags

ROOT = Path(__file__).parents[2]
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


@pytest.mark.slow
@pytest.mark.skipif("avx512bw" not in processor_flags(), reason="the processor has no AVX-512 that could be held back")
def test_each_replay_line_shows_its_deviation_where_the_entry_says():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/verdict/test_ledger.py"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | AVX2, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:]
