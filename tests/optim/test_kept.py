"""What PyTorch stores coarsely does not limit what is seen of the rest.

NAdam keeps the product of its momenta in float32, Muon computes its direction in bfloat16: a step is judged from the
product, and along the direction, that there was.
"""

from __future__ import annotations

from typing import Any

import pytest
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


MUON = parse_case(
    "optim.Muon(param0=ordinary(4, 7), grad0=ordinary(3, 4, 7), steps=3, lr=0.1, ns_steps=1) "
    "seed=1 dtype=float64 mode=loop"
)


class NudgedMuon(torch.optim.Muon):
    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        super().step()
        for group in self.param_groups:
            for param in group["params"]:
                param.mul_(1.0 + Nudged.size)


class Farther(torch.optim.Muon):
    """Steps along another direction in bfloat16: one element has the other sign."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            before = [param.clone() * (1.0 - group["lr"] * group["weight_decay"]) for param in group["params"]]
            super().step()
            for param, decayed in zip(group["params"], before, strict=True):
                param[0, 0] -= 2.0 * (param - decayed)[0, 0]


@pytest.mark.parametrize("subject", [NudgedMuon, Farther])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_step_of_muon_is_seen_to_the_last_digits(dtype: str, subject: Any) -> None:
    case = MUON.on(dtype=dtype)
    assert {verdict.status for verdict in judge_history(case)} == {"agrees"}
    if dtype == "float64" or subject is Farther:
        assert {v.output: v.status for v in judge_history(case, subject=subject)}["param"] == "deviates"


def statuses(subject: Any = None) -> dict[str, str]:
    return {verdict.output: verdict.status for verdict in judge_history(CASE, subject=subject)}


def test_float64_is_not_limited_by_the_float32_of_the_product() -> None:
    assert set(statuses().values()) == {"agrees"}
    assert statuses(Nudged)["param"] == "deviates"
    assert statuses(Nudged)["state[mu_product]"] == "agrees"


def test_a_step_by_another_product_than_the_stored_one_is_seen() -> None:
    found = statuses(OfTheStepBefore)
    assert found["param"] == found["state[mu_product]"] == "deviates"
