"""What PyTorch lacks is absent; what it refuses for another reason is not."""

from dataclasses import replace

import pytest

from gradcheck.cases.case import parse_case
from gradcheck.verdict import absent
from gradcheck.verdict.absent import as_absent, lacking
from gradcheck.verdict.kinds import judge
from gradcheck.verdict.sentence import sentence
from tests.record.synthetic import verdict

CASE = parse_case("nn.functional.relu(x=ordinary(3)) seed=0 dtype=float32")


@pytest.fixture
def old_pytorch(monkeypatch):
    monkeypatch.setattr(absent, "_exists", lambda name: name != CASE.operation)
    monkeypatch.setattr(absent, "torch_version", lambda: "2.0.1")


def test_an_operation_that_is_not_there(old_pytorch):
    (found,) = judge(CASE)
    assert (found.status, found.words) == ("absent", "torch 2.0.1 has no nn.functional.relu")
    assert sentence(found).startswith(
        "nn.functional.relu in float32 on cpu, backward: value absent: torch 2.0.1 has no nn.functional.relu"
    )


def test_all_that_is_there_is_judged():
    assert lacking(CASE) == ""
    assert {found.status for found in judge(CASE)} == {"agrees"}


def raised(words):
    return replace(verdict(), status="raises", words=words)


def test_a_parameter_that_the_signature_lacks():
    found = as_absent(raised("TypeError: relu() got an unexpected keyword argument 'enable_gqa'"))
    assert found.status == "absent"
    assert found.words.endswith("nn.functional.relu has no parameter enable_gqa")


def test_a_name_that_the_subject_looked_for_in_vain(old_pytorch):
    found = replace(verdict(), status="unsupported", words="torch 2.0.1 has no optim.Muon")
    assert as_absent(found).status == "absent"
    assert as_absent(replace(found, words="RuntimeError: not implemented for 'Half'")).status == "unsupported"


@pytest.mark.parametrize(
    "words",
    [
        "TypeError: relu() got an unexpected keyword argument 'inplace'",  # it has it
        "TypeError: relu(): argument 'x' must be Tensor",
        "RuntimeError: got an unexpected keyword argument 'scale'",
    ],
)
def test_what_is_refused_for_another_reason_raises(words):
    assert as_absent(raised(words)).status == "raises"


def test_a_parameter_that_no_signature_shows_is_believed():
    """Those of C functions are written down from the documentation of the newest version."""
    found = replace(raised("TypeError: f() got an unexpected keyword argument 'scale'"))
    name = "nn.functional.scaled_dot_product_attention"
    assert as_absent(replace(found, operation=name)).status == "absent"


def test_of_a_function_that_shows_no_signature_nothing_is_absent():
    found = raised("TypeError: f() got an unexpected keyword argument 'scale'")
    assert as_absent(replace(found, operation="nn.functional.nothing")).status == "raises"
