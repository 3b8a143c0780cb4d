"""The command line as a user meets it: what it prints, what it writes, how it ends."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from gradcheck.cli import main

GRADCHECK = [sys.executable, "-m", "gradcheck"]
FIELDS = {
    "operation", "mode", "dtype", "device", "layout", "setting", "output", "status", "error_over_bound",
    "error_over_storage_bound", "ulp", "case", "digest",
}  # fmt: skip


def call(*arguments):
    return CliRunner().invoke(main, list(arguments))


def verify(*arguments):
    """In this process: its workers share one forkserver, and so one import of torch."""
    return call("verify", "--jobs", "1", *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "gellu"], "operation 'gellu' is not known; did you mean nn.functional.gelu"),
        (["verify", "relu", "--dtype", "float8"], "dtype 'float8' is not known; expected float64, float32"),
        (["verify", "relu", "--device", "tpu"], "device 'tpu' is not known; expected cpu, cuda or cuda:N"),
        (["verify", "relu", "--device", "simulated"], "registers itself at the entry point torch.backends"),
        (["verify", "relu", "--device", "cpu:1"], "device 'cpu:1': the CPU is one device and has no number"),
        (["verify", "relu", "--layout", "diagonal"], "layout 'diagonal' is not known; expected contiguous"),
        (["verify", "relu", "--cotangent", "twos:diagonal"], "layout 'diagonal' is not known; expected contiguous"),
        (["verify", "relu", "--cotangent", "none"], "cotangent 'none' is not known; expected ordinary, ones"),
        (["verify", "relu", "--setting", "mkl=off"], "setting 'mkl=off': 'mkl=off' is not known; expected default"),
        (["verify", "relu", "--setting", "threads=none"], "threads=none; expected a whole number from 1"),
        (["replay", "nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32 setting=a=b"], "setting 'a=b'"),
        (["verify", "relu", "--cases", "many"], "'many' is not a valid integer"),
        (["verify", "relu", "--json", "/nowhere/x.json"], "expected a file in an existing folder"),
        (["verify", "relu", "--ledger", "/nowhere.toml"], "ledger /nowhere.toml: No such file"),
        (["replay", "relu"], "no closing parenthesis followed by seed"),
        (["replay", "relu(3)"], "is not a call with named arguments"),
        (["replay", "nn.functional.relu(x=ordinary(3)) seed=1"], "dtype=… is missing"),
        (["replay", "nn.functional.relu(x=odd(3)) seed=1 dtype=float32"], "kind of values 'odd' is not known"),
        (["replay", "nn.functional.rellu(x=ordinary(3)) seed=1 dtype=float32"], "did you mean nn.functional.relu"),
        (["list", "nothing*"], "operation 'nothing*' is not known"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(arguments, words):
    result = call(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_cuda_that_is_not_there_is_said_in_a_sentence():
    torch = pytest.importorskip("torch")  # never skips: torch is a dependency; keeps the import out of collection
    if torch.cuda.is_available():
        pytest.skip("cuda is available here: its absence cannot be shown")
    for device in ("cuda", "cuda:3"):
        result = call("verify", "relu", "--device", device)
        assert result.exit_code == 2
        assert f"device '{device}': cuda is not available here:" in result.output


def call_and_check(command, condition):
    """Run a command in a fresh interpreter and assert a condition at its end."""
    probe = (
        f"import sys\nfrom gradcheck.cli import main\ntry: main(['{command}'])\nexcept SystemExit: assert {condition}"
    )
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)


def test_list_names_all_operations_without_torch():
    done = call_and_check("list", "'torch' not in sys.modules")
    assert "nn.functional.layer_norm" in done.stdout


def test_help_does_not_import_numpy():
    done = call_and_check("--help", "'numpy' not in sys.modules")
    assert "verify" in done.stdout


def test_verify_writes_every_verdict(tmp_path):
    target = tmp_path / "verdicts.json"
    done = verify("relu", "silu", "--cases", "5", "--json", str(target))
    assert done.exit_code == 0, done.output
    content = json.loads(target.read_text())
    assert set(content["run"]) >= {"torch", "numpy", "cpu_capability", "threads"}
    verdicts = content["verdicts"]
    assert all(set(verdict) >= FIELDS for verdict in verdicts)
    assert {verdict["operation"] for verdict in verdicts} == {"nn.functional.relu", "nn.functional.silu"}
    assert {verdict["dtype"] for verdict in verdicts} == {"float64", "float32", "float16", "bfloat16"}
    float32 = [verdict for verdict in verdicts if verdict["dtype"] == "float32"]
    assert all(verdict["error_over_bound"] == verdict["error_over_storage_bound"] for verdict in float32)
    assert any(verdict["error_over_bound"] > 0 for verdict in float32)


def test_settings_are_judged_one_after_the_other(tmp_path):
    target = tmp_path / "verdicts.json"
    settings = ["--setting", "default", "--setting", "threads=2,mkldnn=off", "--setting", "capability=default"]
    done = verify("relu", "--dtype", "float32", "--cases", "3", *settings, "--json", str(target))
    assert done.exit_code == 0, done.output
    content = json.loads(target.read_text())
    assert {verdict["setting"] for verdict in content["verdicts"]} == {
        "default", "mkldnn=off,threads=2", "capability=default",
    }  # fmt: skip
    assert {verdict["status"] for verdict in content["verdicts"]} == {"agrees"}
    assert re.fullmatch(r"(\w+, )?DEFAULT", content["run"]["cpu_capability"])
    assert len([line for line in done.stdout.splitlines() if line.startswith("nn.functional.relu")]) == 3


def test_replay_starts_torch_with_the_capability_of_the_line():
    line = "nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32 setting=capability=default"
    done = subprocess.run([*GRADCHECK, "replay", line], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "value agrees" in done.stdout
    assert f"replay '{line}'" in done.stdout


def test_gelu_is_found_when_the_ledger_is_empty(tmp_path):
    empty = tmp_path / "empty.toml"
    empty.touch()
    command = ["gelu", "--dtype", "float32", "--cases", "40"]
    found = verify(*command, "--ledger", str(empty))
    assert found.exit_code == 1
    assert "nn.functional.gelu in float32 on cpu, backward: value deviates by" in found.stdout
    assert "replay: gradcheck replay 'nn.functional.gelu(" in found.stdout
    known = verify(*command)
    assert known.exit_code == 0, known.output
    assert "known: nn.functional.gelu" in known.stdout


def test_replay_takes_the_line_that_verify_prints():
    line = 'nn.functional.gelu(x=near(15, 3, 8, at=(0.0,)), approximate="none") seed=4 dtype=float32'
    result = call("replay", line)
    assert result.exit_code == 0, result.output
    assert "grad[x] deviates by" in result.output
    assert "known: The fused oneDNN kernel" in result.output


def test_coarse_fails_only_with_strict():
    command = ["log_softmax", "--dtype", "float16", "--cases", "20"]
    assert verify(*command).exit_code == 0
    assert verify(*command, "--strict").exit_code == 1


def test_ctrl_c_prints_what_was_done_and_exits_130():
    # A shell starts its background jobs with SIGINT ignored, and so would be what this test starts in one.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    start = f"{heed}; from gradcheck.cli import main; main()"
    command = [sys.executable, "-c", start, "verify", "relu", "--cases", "100000", "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any("cases in 1 processes" in line for line in process.stderr)
            time.sleep(1.0)  # some pieces get done
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted after" in out
    assert "Traceback" not in err
