"""The summary: rows, exit status, and what the ledger takes out."""

from dataclasses import replace

import pytest

from gradcheck.run.summary import Summary, worst_of_each
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.verdict import Verdict, Witness

AGREES = Verdict(
    operation="nn.functional.gelu", mode="backward", dtype="float32", device="cpu", layout="contiguous",
    output="value", status="agrees", error_over_bound=0.5, error_over_storage_bound=0.5, ulp=0.5, case="a", digest="",
)  # fmt: skip


def deviation(ratio, element="ordinary", **fields):
    witness = Witness((0,), (), 1.0, 2.0, 0.1, 1, 1, ((element, ratio),))
    return replace(AGREES, status="deviates", error_over_bound=ratio, witness=witness, **fields)


@pytest.fixture
def summary():
    return Summary(load_ledger(torch_version="2.13.0"))


def test_agreement_is_status_0(summary):
    summary.add([AGREES, replace(AGREES, output="grad[x]", error_over_bound=0.75)])
    (row,) = summary.rows.values()
    assert (row.forward, row.backward, row.status) == ([0.5], [0.75], "agrees")
    assert summary.exit_status(strict=True) == 0


def test_a_known_deviation_is_status_0(summary):
    summary.add([deviation(3.0)])
    assert summary.exit_status() == 0
    assert sum(len(verdicts) for verdicts in summary.known.values()) == 1


def test_a_larger_one_is_status_1(summary):
    summary.add([deviation(300.0)])
    assert summary.exit_status() == 1


@pytest.mark.parametrize("status", ["raises", "crashed", "timed out"])
def test_no_result_is_status_1(summary, status):
    summary.add([replace(AGREES, status=status, operation="nn.functional.relu")])
    assert summary.exit_status() == 1


def test_unsupported_is_status_0(summary):
    summary.add([replace(AGREES, status="unsupported", words="not implemented for 'Half'")])
    assert summary.exit_status(strict=True) == 0


def test_coarse_fails_if_strict(summary):
    summary.add([replace(AGREES, status="coarse", error_over_bound=2.0)])
    assert (summary.exit_status(), summary.exit_status(strict=True)) == (0, 1)


def test_the_worst_of_each_is_kept():
    verdicts = [deviation(3.0), deviation(7.0), deviation(5.0, output="grad[x]")]
    assert [verdict.error_over_bound for verdict in worst_of_each(verdicts)] == [7.0, 5.0]
