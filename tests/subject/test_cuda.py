"""What needs a CUDA device. Without one, each test says in one line that it was not run."""

import pytest

from gradcheck.cases.corpus import corpus
from gradcheck.reference.registry import references
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.sentence import sentence

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", references(), ids=lambda name: name.rpartition(".")[2])
def test_cuda_is_judged_by_the_same_reference(name, dtype):
    from gradcheck.verdict.judge import judge_case

    ledger = load_ledger()
    verdicts = [
        verdict for case in corpus(references()[name], dtype, 10, 0) for verdict in judge_case(case.on(device="cuda"))
    ]
    wrong = [v for v in verdicts if v.status in ("deviates", "raises") and ledger.match(v) is None]
    assert not wrong, "\n".join(sentence(verdict) for verdict in wrong)


def test_the_device_has_its_name_in_the_facts():
    from gradcheck.subject.facts import facts

    assert facts("cuda")["device"].startswith("cuda (")
