"""The options of root conftest.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import conftest

ROOT = Path(__file__).parent.parent

#: Runs pytest with the arguments and says whether that imported torch.
RUN = "import sys, pytest; status = pytest.main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(status)"


def collect(*options: str) -> tuple[int, str]:
    """Exit status and output of collecting the tests of the operations, in a Python of their own."""
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


def test_wrong_use_ends_with_one_sentence() -> None:
    status, output = collect("--dtype", "float8")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: dtype 'float8' is not known; expected float64, float32, float16 or bfloat16." in output
    assert "Traceback" not in output


class Given:
    """As much of a pytest configuration as the options need."""

    def __init__(self, **options: list[str]) -> None:
        self._options = options

    def getoption(self, name: str) -> Any:
        return self._options.get(name)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("dtype", "float8", "dtype 'float8' is not known; expected float64, float32, float16 or bfloat16"),
        ("operation", "gelo", "operation 'gelo' is not known; did you mean nn.functional.gelu"),
        ("device", "tpu", "device 'tpu' is not known; expected cpu, cuda or cuda:N"),
        ("device", "cuda:99", "device 'cuda:99': "),
    ],
)
def test_an_unusable_value_is_named(option: str, value: str, words: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        conftest.pytest_configure(Given(**{option: [value]}))  # type: ignore[arg-type]
    assert str(caught.value).startswith(words)


def test_defaults_and_repetitions() -> None:
    config: Any = Given(dtype=["float16", "float64", "float16"])
    assert conftest.chosen(config, "dtype") == ("float16", "float64")
    assert conftest.chosen(config, "device") == ("cpu",)
    assert conftest.pytest_report_header(config) == ("gradcheck: operations all; dtypes float16, float64; devices cpu")
