"""ctc_loss against the sum over all alignments, one by one; and its derivative, which PyTorch does not give."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import rounding_model
from gradcheck.certify.derivative import DIGITS, prove_derivative
from gradcheck.certify.draw import smooth_case
from gradcheck.reference.evaluate import bounded_outputs
from gradcheck.reference.nn.functional.ctc import ctc_loss_of_log_probabilities
from gradcheck.reference.registry import reference_named
from gradcheck.verdict.compare import error_ratios
from tests.reference.known import check

REFERENCE = reference_named("nn.functional.ctc_loss")


def collapsed(path: tuple[int, ...], blank: int) -> list[int]:
    """The labels that a path stands for: repetitions count once, and blanks do not."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


def log_likelihood(logs: np.ndarray, target: list[int], blank: int) -> float:
    """log Σ over all paths that stand for the target."""
    steps, classes = logs.shape
    paths = itertools.product(range(classes), repeat=steps)
    terms = [math.fsum(logs[t, c] for t, c in enumerate(path)) for path in paths if collapsed(path, blank) == target]
    return math.log(math.fsum(math.exp(term) for term in terms)) if terms else -math.inf


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_it_is_the_sum_over_all_alignments(blank: int, length: int) -> None:
    labels = [label for label in range(3) if label != blank]
    logs = np.arange(15.0).reshape(5, 3) % 4.0 / 8.0 - 1.0
    for target in itertools.product(labels, repeat=length):
        arguments = {
            "x": logs,
            "targets": np.array(target, dtype=np.int64),
            "input_lengths": np.array(5),
            "target_lengths": np.array(length),
            "blank": blank,
            "reduction": "sum",
        }
        outputs = bounded_outputs(REFERENCE, arguments, lambda name, shape: np.ones(shape), rounding_model("float64"))
        expected = -log_likelihood(logs, list(target), blank)
        if math.isinf(expected):
            assert outputs["value"].value == math.inf
        else:
            assert error_ratios(np.asarray(expected), outputs["value"]) <= 1.0


def test_certificate_of_the_derivative() -> None:
    """PyTorch's gradient is that of the logits; the derivative of the loss itself is proved here."""
    plain = replace(REFERENCE, name="the derivative of ctc_loss", function=ctc_loss_of_log_probabilities)
    proofs = [prove_derivative(plain, smooth_case(REFERENCE, 0, index)) for index in range(8)]
    assert [proof.failure for proof in proofs if proof.failure] == []
    assert sum(proof.digits is not None and proof.digits >= DIGITS for proof in proofs) >= 3


def test_the_convention_adds_the_probabilities() -> None:
    case: dict[str, Any] = {
        "x": [[[math.log(0.5), math.log(0.25), math.log(0.25)]]],
        "targets": [[1]],
        "input_lengths": [1],
        "target_lengths": [1],
        "reduction": "sum",
    }
    check("ctc_loss", case, value="1.386294361119890618834464242916", x=[[["0.5", "-0.75", "0.25"]]])


def test_mean_divides_by_the_length_of_the_target_first() -> None:
    log2 = math.log(2.0)
    case: dict[str, Any] = {
        "x": np.full((2, 2, 2), -log2),
        "targets": [[1, 1], [1, 1]],
        "input_lengths": [2, 2],
        "target_lengths": [1, 0],
    }
    # three of four paths for one label, one for none
    expected = (math.log(4.0 / 3.0) + math.log(4.0)) / 2.0
    check("ctc_loss", case, value=f"{expected:.14f}")
