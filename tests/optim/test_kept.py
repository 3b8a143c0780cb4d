"""NAdam keeps the product of its momenta in float32: a step is judged from the product as it was stored."""

from __future__ import annotations

from typing import Any

import torch

from gradcheck.cases.case import parse_case
from gradcheck.verdict.steps import judge_history

CASE = parse_case(
    "optim.NAdam(param0=ordinary(9), grad0=ordinary(3, 9), steps=3, lr=0.1) seed=1 dtype=float64 mode=loop"
)


class Nudged(torch.optim.NAdam):
    """Parameters off by ``size`` of themselves."""

    size = 64 * 2.0**-53

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        super().step()
        for group in self.param_groups:
            for param in group["params"]:
                param.mul_(1.0 + self.size)


class OfTheStepBefore(torch.optim.NAdam):
    """The product is stored, and the one before it used."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        states = [self.state[param] for group in self.param_groups for param in group["params"]]
        wanted = [state["mu_product"].clone() if state else None for state in states]
        super().step()
        for state, product in zip(states, wanted, strict=True):
            if product is not None:
                state["mu_product"] = product


def statuses(subject: Any = None) -> dict[str, str]:
    return {verdict.output: verdict.status for verdict in judge_history(CASE, subject=subject)}


def test_float64_is_not_limited_by_the_float32_of_the_product() -> None:
    assert set(statuses().values()) == {"agrees"}
    assert statuses(Nudged)["param"] == "deviates"
    assert statuses(Nudged)["state[mu_product]"] == "agrees"


def test_a_step_by_another_product_than_the_stored_one_is_seen() -> None:
    found = statuses(OfTheStepBefore)
    assert found["param"] == found["state[mu_product]"] == "deviates"
