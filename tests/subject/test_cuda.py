"""What needs a CUDA device. Without one, each test says in one line that it was not run."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from typing import Any

import pytest

from gradcheck.cases.corpus import corpus, drawn_case
from gradcheck.reference.registry import Entry, reference_named, references
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.sentence import sentence
from tests.simulated.judging import FAMILIES, MODES, OTHERS, assert_judged, statuses

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", references(), ids=lambda name: name.rpartition(".")[2])
def test_cuda_is_judged_by_the_same_reference(name: str, dtype: str) -> None:
    from gradcheck.verdict.judge import judge_case

    ledger = load_ledger()
    verdicts = [
        verdict for case in corpus(references()[name], dtype, 10, 0) for verdict in judge_case(case.on(device="cuda"))
    ]
    wrong = [v for v in verdicts if v.status in ("deviates", "raises") and ledger.match(v) is None]
    assert not wrong, "\n".join(sentence(verdict) for verdict in wrong)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_mode_is_judged(name: str, mode: str) -> None:
    assert_judged(drawn_case(reference_named(name), "float32", 0, 1, mode).on(mode=mode), "cuda")


@pytest.mark.parametrize(("entry", "mode"), OTHERS, ids=lambda value: getattr(value, "name", value))
def test_every_other_entry_is_judged(entry: Entry, mode: str) -> None:
    """Optimizers in every implementation, fused and capturable among them, schedules, clipping, the scaler."""
    for dtype in entry.dtypes:
        assert_judged(drawn_case(entry, dtype, 0, 1, mode).on(mode=mode), "cuda")


def with_tf32() -> AbstractContextManager[Any]:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=True)


def without_cudnn() -> AbstractContextManager[Any]:
    import torch

    return torch.backends.cudnn.flags(enabled=False)


def with_benchmark() -> AbstractContextManager[Any]:
    import torch

    return torch.backends.cudnn.flags(enabled=True, benchmark=True)


@pytest.mark.parametrize("setting", [with_tf32, without_cudnn, with_benchmark])
@pytest.mark.parametrize(
    "name", ["nn.functional.linear", "nn.functional.conv2d", "nn.functional.bilinear", "nn.LSTM", "nn.GRU"]
)
def test_flags_are_taken_into_account(name: str, setting: Any) -> None:
    """The model follows the flags, so that what they allow agrees and nothing else does."""
    import torch

    try:
        with setting():
            for index in range(10):
                case = drawn_case(reference_named(name), "float32", 0, index, "backward").on(device="cuda")
                wrong = [words for status, words in statuses(case).values() if status in ("deviates", "raises")]
                assert not wrong, "\n".join(wrong)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def test_the_device_has_its_name_in_the_facts() -> None:
    from gradcheck.subject.facts import facts

    found = facts("cuda")
    assert found["device"].startswith("cuda (")
    assert "compute capability" in found["devices"]["cuda"]["driver"]


def test_the_main_job_finds_nothing_new() -> None:
    """``gradcheck verify --device cuda``, whole: here, so that tox -e cuda has one place to say that it was not run."""
    run = subprocess.run([sys.executable, "-m", "gradcheck", "verify", "--device", "cuda"], stdout=subprocess.PIPE)
    assert run.returncode == 0, run.stdout.decode()
