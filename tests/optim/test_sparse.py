"""Sparse gradients with momentum: the buffer is sparse, and is judged as a dense one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.history import History
from gradcheck.subject.optimizers import make_grad
from gradcheck.verdict.steps import judge_history

OPTIONS = ["momentum=0.9", "momentum=0.5, dampening=0.1, maximize=True", "momentum=0.7, nesterov=True"]


def sparse_case(options: str, mode: str = "loop", dtype: str = "float64") -> Case:
    arrays = "param0=ordinary(7, 3), grad0=ordinary(6, 7, 3), param1=ordinary(5), grad1=huge(6, 5), steps=6"
    return parse_case(f"optim.SGD({arrays}, {options}, sparse=True) seed=3 dtype={dtype} mode={mode}")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_sparse_buffer_is_as_a_dense_one(options: str, dtype: str) -> None:
    verdicts = {verdict.output: verdict.status for verdict in judge_history(sparse_case(options, dtype=dtype))}
    assert verdicts.keys() == {"param", "state[momentum_buffer]", "untouched"}
    assert set(verdicts.values()) <= ({"agrees", "coarse"} if dtype == "bfloat16" else {"agrees"})


def test_a_row_is_named_twice_only_without_momentum() -> None:
    """The second group of the second case has the momentum, and the last parameter."""
    for options, twice in (("momentum=0.9", [False, False]), ('group1=(("momentum", 0.9),)', [True, False])):
        history = History(sparse_case(options))
        grads = [make_grad(0, i, history) for i in range(2)]
        assert [grad is not None and not grad.is_coalesced() for grad in grads] == twice


class Forgetful(torch.optim.SGD):
    """Rows that the gradient has not keep no momentum: what a kernel does that goes by the gradient's rows."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for param in group["params"]:
                buffer = self.state[param].get("momentum_buffer")
                if buffer is not None and param.grad is not None:
                    self.state[param]["momentum_buffer"] = buffer.to_dense().sparse_mask(param.grad).coalesce()
        super().step()


def test_a_buffer_that_loses_rows_is_seen() -> None:
    found = {v.output: v.status for v in judge_history(sparse_case("momentum=0.9"), subject=Forgetful)}
    assert found["param"] == found["state[momentum_buffer]"] == "deviates"
