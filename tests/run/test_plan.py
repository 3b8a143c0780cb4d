"""What a run does: modes and dtypes of every kind of entry, and the cases of a piece."""

from __future__ import annotations

import pytest

from gradcheck.cases.corpus import fixed_cases
from gradcheck.cases.modes import ORACLES
from gradcheck.reference.registry import entries, entry_named
from gradcheck.run.plan import COMPILED, FEW, HISTORY, Selection, cases_of, known_modes, modes_of, pieces
from gradcheck.verdict.kinds import JUDGES, judge

RELU, ADAM, STEP = "nn.functional.relu", "optim.Adam", "optim.lr_scheduler.StepLR"


def lines(*operations: str, **places: object) -> list[str]:
    selection = Selection(operations, cases=8, **places)  # type: ignore[arg-type]
    return [str(case) for piece in pieces(selection) for case in cases_of(piece)]


def test_every_kind_of_entry_has_a_judge() -> None:
    assert {entry.kind for entry in entries().values()} == set(JUDGES)


def test_without_words_an_entry_has_its_own_modes_but_for_those_that_compile() -> None:
    assert modes_of(entry_named(RELU), ()) == ("backward",)
    adam = modes_of(entry_named(ADAM), ())
    assert {"loop", "foreach", "fused"} <= set(adam)
    assert not any(mode.startswith("compile:") for mode in adam)


def test_words_choose_what_an_entry_has_of_them() -> None:
    assert modes_of(entry_named(RELU), ("vmap", "foreach")) == ("vmap:backward", "vmap:forward")
    assert modes_of(entry_named(ADAM), ("vmap", "foreach")) == ("foreach",)
    assert modes_of(entry_named(RELU), ("foreach",)) == ()
    assert set(modes_of(entry_named(ADAM), ("all",))) == set(entry_named(ADAM).modes)
    assert modes_of(entry_named(ADAM), ("eager",)) == modes_of(entry_named(ADAM), ())
    assert modes_of(entry_named(ADAM), ("compile",)) == ("compile:eager", "compile:inductor")


def test_all_words_are_known_of_the_entries_that_have_them() -> None:
    words = known_modes([entry_named(RELU), entry_named(ADAM)])
    assert {*ORACLES, "vmap", "second", "all", "fused"} <= set(words)
    assert "fused" not in known_modes([entry_named(RELU)])


def test_a_history_counts_as_several_cases() -> None:
    drawn = lines(ADAM, dtypes=("float32",), modes=("loop",))
    fixed = fixed_cases(entry_named("optim.Adam"), "float32", 0, "loop")
    assert len(drawn) == len(fixed) + 8 // HISTORY
    assert all(line.endswith("mode=loop") or " mode=loop " in line for line in drawn)


def test_compiled_modes_draw_few_cases() -> None:
    assert len(lines(RELU, dtypes=("float32",), modes=("compile:eager",))) == COMPILED


def test_a_cotangent_that_is_asked_for_takes_the_place_of_the_drawn_one() -> None:
    assert {"cotangent=ordinary:transposed", "cotangent=ordinary:sliced"} <= _cotangents("")
    assert {word.partition(":")[2] for word in _cotangents(":expanded")} == {"expanded"}
    assert _cotangents("ones:expanded") == {"cotangent=ones:expanded"}


def _cotangents(asked: str) -> set[str]:
    found = lines(RELU, dtypes=("float32",), cotangents=(asked,))
    return {word for line in found for word in line.split() if word.startswith("cotangent=")}


def test_schedules_exist_in_one_dtype() -> None:
    found = lines(STEP, dtypes=("float64", "float32"))
    assert found
    assert all(" dtype=float64" in line for line in found)


@pytest.mark.parametrize("mode", ["forward", "double", "func.jacrev"])
def test_other_modes_draw_cases_of_their_own(mode: str) -> None:
    found = lines(RELU, dtypes=("float32",), modes=(mode,))
    assert len(found) >= FEW
    assert all(f"mode={mode}" in line for line in found)
    assert not any("special" in line or "rare" in line for line in found)


def test_cases_of_every_kind_are_judged_by_their_own_judge() -> None:
    from gradcheck.cases.case import parse_case

    for name in (RELU, ADAM, STEP, "amp.GradScaler", "nn.functional.one_hot"):
        entry = entry_named(name)
        first = next(iter(lines(name, dtypes=entry.dtypes[:1], modes=entry.modes[:1])), "")
        assert first, name
        verdicts = judge(parse_case(first))
        assert verdicts, name
        assert {verdict.operation for verdict in verdicts} == {name}


def test_what_pytorch_refuses_on_the_cpu_is_planned_elsewhere_or_by_name():
    def modes(device, *words):
        selection = Selection(("optim.Adam",), dtypes=("float32",), devices=(device,), modes=words, cases=1)
        return {mode for piece in pieces(selection) for mode in piece.modes}

    assert "capturable" not in modes("cpu")
    assert "fused" in modes("cpu")
    assert "capturable" in modes("cuda:0")
    assert modes("cpu", "capturable") == {"capturable"}
