"""The options of root conftest.py, as the command line sees them: each in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Runs pytest with the arguments and says whether that imported torch.
RUN = "import sys, pytest; status = pytest.main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(status)"


def collect(*options: str) -> tuple[int, str]:
    """Exit status and output of collecting the tests of the operations."""
    arguments = ["--collect-only", "-q", "-p", "no:cacheprovider", "tests/operations", *options]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_selection_is_collected_without_torch() -> None:
    status, output = collect("--operation", "soft*max", "--dtype", "float16", "--dtype", "float32")
    assert status == 0
    assert "test_every_output_lies_within_its_bound[softmax]" in output
    assert "test_every_output_lies_within_its_bound[log_softmax]" not in output
    assert "[relu]" not in output
    assert output.rstrip().endswith("False"), "collecting imported torch"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--dtype", "float8", "dtype 'float8' is not known; expected float64, float32, float16 or bfloat16."),
        ("--operation", "gelo", "operation 'gelo' is not known; did you mean nn.functional.gelu"),
        ("--device", "cuda:99", "device 'cuda:99': "),
    ],
)
def test_an_unusable_value_is_one_sentence(option: str, value: str, words: str) -> None:
    status, output = collect(option, value)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {words}" in output
    assert "Traceback" not in output


def test_help_shows_the_options_without_torch() -> None:
    status, output = collect("--help")
    assert status == 0
    assert all(option in output for option in ("--device=D", "--dtype=D", "--operation=NAME"))
    assert output.rstrip().endswith("False"), "--help imported torch"
