"""Worker processes: a kernel that crashes or hangs costs one verdict, and the guilty case is named."""

import os
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from gradcheck.cases.corpus import corpus
from gradcheck.cases.layouts import LAYOUTS
from gradcheck.errors import GradcheckError, MissingRuleError
from gradcheck.reference.registry import reference_named
from gradcheck.run.plan import Selection, cases_of, pieces
from gradcheck.run.worker import judge_one, judge_piece
from gradcheck.run.workers import Workers

SELECTION = Selection(operations=("nn.functional.relu",), dtypes=("float32",), cases=30)


def guilty(case):
    return "huge" in str(case)


def crash_when_guilty(case):
    if guilty(case):
        os._exit(77)
    return judge_one(case)


def hang_when_guilty(case):
    if guilty(case):
        time.sleep(600)
    return judge_one(case)


def crash_piece(piece):
    return [verdict for case in cases_of(piece) for verdict in crash_when_guilty(case)]


def die(piece):
    os._exit(1)


def lack_a_rule(piece):
    raise MissingRuleError("numpy.sinc has no rule in Bounded; add one in gradcheck/arithmetic/running_rules.py.")


def run(**faults):
    with Workers(1, **faults) as workers:
        return [verdict for _, verdicts in workers.verdicts(pieces(SELECTION)) for verdict in verdicts]


def test_pieces_cover_the_corpus_once():
    cases = [str(case) for piece in pieces(SELECTION) for case in cases_of(piece)]
    assert cases == [str(case) for case in corpus(reference_named("nn.functional.relu"), "float32", 30, 0)]
    assert len(pieces(SELECTION)) > 1


def test_layout_names_are_the_subject_s():
    from gradcheck.subject.tensors import LAYOUTS as OF_THE_SUBJECT

    assert tuple(OF_THE_SUBJECT) == tuple(LAYOUTS)


def test_verdicts_are_those_of_the_judge():
    expected = [verdict for piece in pieces(SELECTION) for verdict in judge_piece(piece)]
    assert [str(v) for v in run()] == [str(v) for v in expected]


def test_a_crash_costs_one_verdict():
    verdicts = run(judge_piece=crash_piece, judge_one=crash_when_guilty)
    crashed = [verdict for verdict in verdicts if verdict.status == "crashed"]
    assert crashed
    assert all(guilty(verdict.case) for verdict in crashed)
    assert all("exit code 77" in verdict.words for verdict in crashed)
    assert {verdict.case for verdict in verdicts} == {str(c) for piece in pieces(SELECTION) for c in cases_of(piece)}


def test_a_hang_is_timed_out():
    verdicts = run(judge_piece=die, judge_one=hang_when_guilty, case_seconds=5.0)
    late = [verdict for verdict in verdicts if verdict.status == "timed out"]
    assert late
    assert all(guilty(verdict.case) for verdict in late)


def test_an_error_on_purpose_comes_back_as_itself():
    with pytest.raises(MissingRuleError, match=r"numpy\.sinc has no rule in Bounded"):
        run(judge_piece=lack_a_rule)


def test_processes_that_do_not_start_are_said_in_a_sentence(monkeypatch):
    """As where a package registers itself as a backend of PyTorch and cannot be imported."""

    class Broken:
        def schedule(self, *call, **options):
            raise BrokenProcessPool

        def stop(self):
            """Nothing was started."""

        join = stop

    monkeypatch.setattr("gradcheck.run.workers._new_pool", lambda jobs, own: Broken())
    with Workers(1) as workers, pytest.raises(GradcheckError, match="no worker process could be started"):
        workers.facts("cpu")


def test_a_worker_whose_device_is_lost_leaves_the_rest_to_another(monkeypatch):
    """After a failed assertion in a CUDA kernel nothing runs in that process: all that follows would be blamed."""
    from gradcheck.cases.case import parse_case
    from gradcheck.run import worker
    from gradcheck.subject import devices

    left = []
    monkeypatch.setattr(worker.os, "_exit", left.append)
    case = parse_case("nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32")
    worker.judge_one(case)
    assert not left
    monkeypatch.setattr(devices, "lost", lambda device: True)
    worker.judge_one(case)
    assert left == [worker.LOST]


def test_an_error_that_nobody_thought_of_costs_one_verdict(monkeypatch):
    case = next(corpus(reference_named("nn.functional.relu"), "float32", 1, 0))

    def fail(case):
        raise AttributeError("module 'torch' has no attribute 'new'")

    monkeypatch.setattr("gradcheck.verdict.kinds.judge", fail)
    (found,) = judge_one(case)
    assert (found.status, found.case) == ("crashed", str(case))
    assert found.words.endswith("AttributeError: module 'torch' has no attribute 'new'")
