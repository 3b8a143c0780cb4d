"""The suite itself on a device that is not the CPU: every operation, every optimizer, and what else is an entry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.draw import Draw, draw_case
from gradcheck.reference.registry import Entry, entries, reference_named, references
from gradcheck.reference.training import MODELS
from gradcheck.subject.accumulation import Torch
from tests.accumulation.machine import Accumulation
from tests.simulated.judging import FAMILIES, MODES, OTHERS, assert_judged, statuses

ROOT = Path(__file__).parents[2]

FUSED_CELLS = ("nn.GRU", "nn.GRUCell", "nn.LSTM", "nn.LSTMCell")
"""On an accelerator PyTorch takes ``_thnn_fused_gru_cell`` and ``_thnn_fused_lstm_cell``, of which the CPU has none."""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", references())
def test_every_operation_is_judged(name: str, dtype: str) -> None:
    case = draw_case(references()[name], Draw(), 0).on(dtype=dtype)
    if name in FUSED_CELLS:
        (status, words) = statuses(case.on(device="simulated"))["value"]
        assert status == "unsupported", words
        assert "_thnn_fused" in words
    else:
        assert_judged(case, "simulated")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_mode_is_judged(name: str, mode: str) -> None:
    assert_judged(drawn_case(reference_named(name), "float32", 0, 1, mode).on(mode=mode), "simulated")


@pytest.mark.parametrize(("entry", "mode"), OTHERS, ids=lambda value: getattr(value, "name", value))
def test_every_other_entry_is_judged(entry: Entry, mode: str) -> None:
    dtype = "float32" if "float32" in entry.dtypes else entry.dtypes[0]
    assert_judged(drawn_case(entry, dtype, 0, 1, mode).on(mode=mode), "simulated")


@pytest.mark.parametrize("name", [entry.name for entry, mode in OTHERS if mode == "capturable"])
def test_a_capturable_step_runs_where_there_is_an_accelerator(name: str) -> None:
    """On the CPU PyTorch refuses it, so this is where the rule of its route is tried."""
    case = drawn_case(entries()[name], "float32", 0, 0, "capturable").on(mode="capturable", device="simulated")
    found = statuses(case)
    assert "param" in found
    assert {status for status, _ in found.values()} <= {"agrees", "known"}, found


@dataclass
class OnTheDevice(Torch):
    device: str = "simulated"


class AccumulationOnTheDevice(Accumulation):
    subject = OnTheDevice


def test_random_histories_of_accumulation_agree() -> None:
    run_state_machine_as_test(AccumulationOnTheDevice, settings=settings(stateful_step_count=25, deadline=None))


@pytest.mark.parametrize("model", MODELS)
def test_the_ladder_of_training_agrees(model: str) -> None:
    from gradcheck.verdict.pipeline import judge_training, worst_of
    from gradcheck.walkthrough.pipelines import climb, make_task

    task = make_task(MODELS[model], "accumulation over 4", "float32", seed=1)
    for record in climb(task, "simulated").values():
        assert worst_of(judge_training(task, record)).error_over_bound <= 1.0


def test_a_walkthrough_reproduces_its_figures() -> None:
    from gradcheck.walkthrough.catalogue import run_scenario

    assert run_scenario("002", "simulated").passed == run_scenario("002").passed


def test_the_command_line_takes_the_device(tmp_path: Path) -> None:
    """PyTorch itself makes it known in the workers, by the entry point of the folder ``autoload``."""
    target, path = tmp_path / "verdicts.json", os.pathsep.join([str(ROOT), str(ROOT / "tests/simulated/autoload")])
    words = ["softplus", "--device", "simulated", "--dtype", "float32", "--cases", "1", "--json", str(target)]
    command = [sys.executable, "-m", "gradcheck", "verify", "--jobs", "1", *words]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads(target.read_text())["verdicts"]
    assert {(v["device"], v["status"]) for v in verdicts} == {("simulated", "agrees")}


def test_pytest_takes_the_device() -> None:
    """``--device simulated`` is a device like any other."""
    words = ["--operation", "softplus", "--device", "simulated", "--dtype", "float32", "-k", "simplest_case"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/operations", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
