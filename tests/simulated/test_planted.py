"""Hidden transfers planted in what the suite calls: each is found, and without it nothing is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from gradcheck.cases.case import parse_case
from gradcheck.cases.draw import Draw, draw_case
from gradcheck.reference.registry import entries
from gradcheck.subject import seeding
from gradcheck.subject.accumulation import Torch
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.steps import judge_history
from tests.simulated.test_device import MIXED, CpuInBackward

SOFTPLUS = "nn.functional.softplus(x=ordinary(3, 4), beta=1.0, threshold=20.0) seed=1 dtype=float32 device={device}"


def hidden_factory(x: torch.Tensor, **words: Any) -> torch.Tensor:
    """A tensor made without a word about its device."""
    return functional.softplus(x, **words) + torch.zeros(x.shape, dtype=x.dtype)


def hidden_numpy(x: torch.Tensor, **words: Any) -> torch.Tensor:
    """A detour through NumPy."""
    return functional.softplus(x, **words) + float(x.detach().numpy().max() * 0.0)


def hidden_in_backward(x: torch.Tensor, **words: Any) -> torch.Tensor:
    return CpuInBackward.apply(functional.softplus(x, **words))


FAULTS = {hidden_factory: MIXED, hidden_numpy: "numpy", hidden_in_backward: MIXED}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_transfer_in_an_operation_is_found(fault: Any) -> None:
    (verdict,) = judge_case(parse_case(SOFTPLUS.format(device="simulated")), subject=fault)
    assert verdict.status == "raises"
    assert FAULTS[fault] in verdict.words


@pytest.mark.parametrize("fault", [*FAULTS, functional.softplus], ids=lambda fault: fault.__name__)
def test_the_cpu_finds_nothing(fault: Any) -> None:
    """Which is why the device is simulated."""
    verdicts = judge_case(parse_case(SOFTPLUS.format(device="cpu")), subject=fault)
    assert {verdict.status for verdict in verdicts} == {"agrees"}


def test_without_a_fault_nothing_is_found() -> None:
    verdicts = judge_case(parse_case(SOFTPLUS.format(device="simulated")))
    assert {verdict.status for verdict in verdicts} == {"agrees"}


class StateOnTheCpu(torch.optim.Adam):
    """Adam whose first moment is made on the default device."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for param in group["params"]:
                state = self.state[param]
                if not state and param.grad is not None:
                    state["step"] = torch.zeros((), device="cpu")
                    state["exp_avg"] = torch.zeros(param.shape, dtype=param.dtype)
                    state["exp_avg_sq"] = torch.zeros_like(param)
        return super().step(closure)


@pytest.mark.parametrize(("factory", "status"), [(StateOnTheCpu, "raises"), (None, "agrees")])
def test_state_of_an_optimizer_on_the_cpu_is_found(factory: Any, status: str) -> None:
    case = draw_case(entries()["optim.Adam"], Draw(), 0).on(dtype="float32", mode="loop", device="simulated")
    verdicts = judge_history(case, subject=factory)
    assert {verdict.status for verdict in verdicts} == {status}
    assert status == "agrees" or MIXED in verdicts[0].words


class CotangentOnTheCpu(Torch):
    def tensor(self, array: Any) -> torch.Tensor:
        return super().tensor(array).cpu()


def test_a_cotangent_on_the_cpu_is_found() -> None:
    subject, other = Torch("float32", "simulated"), CotangentOnTheCpu("float32", "simulated")
    leaf = subject.leaf(torch.ones(2).double().numpy(), needs=True)
    root = subject.apply("tanh", leaf)
    with pytest.raises(RuntimeError, match="device"):
        other.backward(root, torch.ones(2).double().numpy(), keep=False, create=False, inputs=())


def test_a_generator_that_is_not_seeded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask that dropout drew would not be the one that it draws again."""
    line = "nn.functional.dropout(x=ordinary(5, 16), mask=mask(5, 16, share=0.75), p=0.5, training=True) seed=4"
    case = parse_case(f"{line} dtype=float32 device=simulated")
    assert {verdict.status for verdict in judge_case(case)} == {"agrees"}
    monkeypatch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)
    monkeypatch.setattr(seeding, "generator_state", lambda device: None)
    assert "deviates" in {verdict.status for verdict in judge_case(case)}
