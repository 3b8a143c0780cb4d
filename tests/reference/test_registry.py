"""The table of references: what enters it, what is refused, and how names are found."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from gradcheck.errors import ContractError, UsageError
from gradcheck.reference import registry
from gradcheck.reference.registry import entries, reference, reference_named, references, select


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A table of one's own."""
    empty: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_TABLE", empty)
    return empty


def no_inputs(draw: Any) -> dict[str, Any]:
    return {}


def test_the_function_itself_is_left_as_it_is(table: dict[str, Any]) -> None:
    @reference("example", inputs=no_inputs, constant=("weight",))
    def example(x: Any, weight: Any = None, *, beta: Any = 2.0, dim: int) -> Any:
        return x, lambda g: {"x": g}

    entry = table["example"]
    assert entry.function is example
    assert entry.arrays == ("x", "weight")
    assert entry.hyperparameters["beta"] == 2.0
    assert set(entry.hyperparameters) == {"beta", "dim"}
    assert entry.differentiable == ("x",)
    assert entry.required == ("x", "dim")


def test_what_has_a_gradient_depends_on_the_arguments(table: dict[str, Any]) -> None:
    @reference("example", inputs=no_inputs)
    def example(x: Any, target: Any, weight: Any = None) -> Any:
        return x, lambda g: {"x": g}

    by_index = {"x": np.ones(2), "target": np.ones(2, dtype=np.int64), "weight": None}
    assert table["example"].differentiable_in(by_index) == ["x"]
    assert table["example"].differentiable_in({"x": np.ones(2), "target": np.ones(2)}) == ["x", "target"]


def test_a_name_is_taken_once(table: dict[str, Any]) -> None:
    def example(x: Any) -> Any:
        return x, lambda g: {"x": g}

    reference("example", inputs=no_inputs)(example)
    with pytest.raises(ContractError, match="example has two references"):
        reference("example", inputs=no_inputs)(example)


def test_a_constant_has_to_be_an_array(table: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="'beta' is no array parameter"):
        reference("example", inputs=no_inputs, constant=("beta",))(lambda x, *, beta: (x, None))


def test_all_references_are_there_in_order() -> None:
    names = list(references())
    assert names == sorted(names)
    assert {"nn.functional.gelu", "nn.functional.conv2d", "nn.functional.cross_entropy"} <= set(names)
    assert len(names) >= 38


def test_a_reference_is_documented() -> None:
    for name, entry in references().items():
        assert entry.function.__doc__, name
        # Layers are classes in PyTorch: nn.LSTMCell is the function lstm_cell.
        assert entry.function.__name__.replace("_", "").lower() == name.rpartition(".")[2].replace("_", "").lower()
        tree = ast.parse(textwrap.dedent(inspect.getsource(entry.function)))
        pairs = [
            node.value.elts
            for node in ast.walk(tree)
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple)
        ]
        assert not any(isinstance(pair[-1], ast.Lambda) for pair in pairs), f"{name}: a vjp is a named function"


def test_names_are_found_by_their_last_part_and_by_patterns() -> None:
    assert [entry.name for entry in select(["gelu"])] == ["nn.functional.gelu"]
    assert [entry.name for entry in select(["nn.functional.silu", "silu"])] == ["nn.functional.silu"]
    assert {entry.name.rpartition(".")[2] for entry in select(["*softmax"])} == {"softmax", "log_softmax"}
    assert len(select([])) == len(entries())


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(
        UsageError, match=r"operation 'nn\.functional\.gleu' is not known; did you mean nn\.functional\.g"
    ):
        reference_named("nn.functional.gleu")
    with pytest.raises(UsageError, match=r"operation 'sofmax' is not known; did you mean .*softmax"):
        select(["sofmax"])
    with pytest.raises(UsageError, match="shows all names"):
        select(["zzzzzzz"])


def test_the_table_is_read_without_torch() -> None:
    load = "import sys; from gradcheck.reference.registry import references; references()"
    code = f"{load}; assert 'torch' not in sys.modules; assert 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
