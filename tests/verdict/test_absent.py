"""What PyTorch lacks is absent; what it refuses for another reason is not."""

from dataclasses import replace

import pytest
from packaging.version import Version

from gradcheck.cases.case import parse_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.registry import reference_named
from gradcheck.subject.facts import torch_version
from gradcheck.subject.signatures import LATER, lacking_defaults, later_words
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


LANCZOS = (
    "nn.functional.interpolate(x=ordinary(1, 2, 4, 5), size=None, scale_factor=2.0, mode='{}', align_corners=None, "
    "recompute_scale_factor=None, antialias=True) seed=1 dtype=float32"
)


@pytest.mark.parametrize(("word", "status"), [("lanczos", "absent"), ("bicubic", "raises")])
def test_a_word_that_a_later_version_takes(monkeypatch, word, status):
    monkeypatch.setattr("gradcheck.subject.signatures._said_of", lambda name: "nearest bilinear bicubic")
    found = replace(raised("ValueError: Anti-alias option is only supported for bilinear"), case=LANCZOS.format(word))
    found = as_absent(replace(found, operation="nn.functional.interpolate"))
    assert found.status == status
    assert (f"interpolate has no mode={word!r}" in found.words) is (status == "absent")


def test_the_newest_version_has_all_words_that_may_be_lacking():
    """Otherwise a word that PyTorch took and raised for would pass for one that it does not know."""
    if Version(torch_version()) < Version("2.13"):
        pytest.skip(f"torch {torch_version()} may lack some")
    for (name, parameter), words in LATER.items():
        assert all(later_words(name, {parameter: word}) == {} for word in words)


def test_a_parameter_that_an_older_version_lacks_is_left_out_at_its_default(monkeypatch):
    """l1_loss has weight since some version: without it, the case is what that version computes as well."""
    line = "nn.functional.l1_loss(x=ordinary(3), target=ordinary(3), weight={}, reduction='mean') seed=1 dtype=float32"
    without, given = (parse_case(line.format(weight)) for weight in ("None", "positive(3)"))
    reference, older = reference_named(without.operation), {"input": None, "target": None, "reduction": "mean"}
    assert lacking_defaults(reference, arguments_of(without)) == ()
    monkeypatch.setattr("gradcheck.subject.signatures._called_directly", lambda name: older)
    assert lacking_defaults(reference, arguments_of(without)) == ("weight",)
    assert lacking_defaults(reference, arguments_of(given)) == ()
    assert {found.status for found in judge(without)} == {"agrees"}
