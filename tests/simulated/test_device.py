"""The simulated accelerator is no CPU in disguise: it refuses what CUDA refuses, and takes what CUDA takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.errors import UsageError
from gradcheck.subject.devices import check_device, lost, name_and_driver
from gradcheck.subject.facts import facts
from gradcheck.subject.seeding import seeded
from gradcheck.subject.tensors import to_array, to_tensor

MIXED = "Expected all tensors to be on the same device"


def here(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, device="simulated")


def test_its_tensors_are_not_on_the_cpu() -> None:
    assert here(1.0).device == torch.device("simulated", 0)
    assert here(1.0).cpu().device.type == "cpu"
    assert type(here(1.0).cpu()) is torch.Tensor
    assert {torch.zeros_like(here(1.0)).device.type, torch.arange(3, device="simulated").device.type} == {"simulated"}


@pytest.mark.parametrize("read", [lambda tensor: tensor.numpy(), np.asarray, lambda tensor: tensor.detach().numpy()])
def test_numpy_does_not_see_its_memory(read: Any) -> None:
    with pytest.raises(TypeError, match="device type tensor to numpy"):
        read(here(1.0, 2.0))


@pytest.mark.parametrize(
    "mix",
    [
        lambda x, y: x + y,
        lambda x, y: torch.cat([x, y]),
        lambda x, y: x @ y,
        lambda x, y: torch.where(x > 0.0, x, y),
        lambda x, y: x.add_(y),
        lambda x, y: y.mul_(x),
        lambda x, y: torch.nn.functional.embedding(torch.tensor([0]), x[:, None]),
        lambda x, y: torch.stack([x[0], y[0]]),
        lambda x, y: torch.dot(x, y),
    ],
)
def test_a_cpu_tensor_beside_its_own_is_refused(mix: Any) -> None:
    with pytest.raises(RuntimeError, match=MIXED):
        mix(here(1.0, 2.0), torch.ones(2))


def test_what_cuda_takes_from_the_cpu_is_taken() -> None:
    x = here(1.0, 2.0)
    assert to_array(x * torch.tensor(3.0)).tolist() == [3.0, 6.0]
    assert to_array(x[torch.tensor([1])]).tolist() == [2.0]
    assert to_array(x.copy_(torch.tensor([5.0, 6.0]))).tolist() == [5.0, 6.0]
    assert torch.empty(2).copy_(x).tolist() == [5.0, 6.0]


def test_a_gradient_on_the_cpu_is_refused() -> None:
    x = here(1.0, 2.0).requires_grad_()
    with pytest.raises(RuntimeError, match="device type 'cpu'"):
        x.grad = torch.ones(2)


class CpuInBackward(torch.autograd.Function):
    """The identity, whose backward multiplies by a tensor of the CPU."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> Any:
        return g * torch.ones(g.shape)


def test_a_cpu_tensor_in_a_backward_pass_is_refused() -> None:
    with pytest.raises(RuntimeError, match=MIXED):
        CpuInBackward.apply(here(1.0, 2.0).requires_grad_()).sum().backward()


def test_memory_is_shared_by_views_as_anywhere() -> None:
    x = torch.zeros(2, 4, device="simulated")
    x[:, ::2] += 1.0
    assert to_array(x).tolist() == [[1.0, 0.0, 1.0, 0.0]] * 2
    assert x[:, ::2].stride() == (4, 2)


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "sliced", "channels_last"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_numbers_go_there_and_back(dtype: str, layout: str) -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    tensor = to_tensor(array, dtype, "simulated", layout)
    assert tensor.device.type == "simulated"
    assert np.array_equal(to_array(tensor), array)


def test_it_has_a_generator_of_its_own_which_seeding_sets_and_puts_back() -> None:
    def draw() -> list[float]:
        return to_array(torch.rand(3, device="simulated")).tolist()

    torch.manual_seed(4)
    first = draw()
    torch.manual_seed(4)
    torch.rand(5)  # of the CPU's generator
    with seeded(7, torch.device("simulated")):
        other = draw()
    assert draw() == first
    assert other != first
    with seeded(7, torch.device("simulated")):
        assert draw() == other
    assert torch.rand(3, generator=torch.Generator().manual_seed(4)).tolist() != first


def test_it_passes_for_a_device() -> None:
    check_device("simulated")
    check_device("simulated:0")
    assert name_and_driver("simulated") == {"name": "the CPU's kernels behind PrivateUse1", "driver": ""}
    assert facts("simulated")["device"] == "simulated (the CPU's kernels behind PrivateUse1)"
    assert not lost("simulated")


def test_a_device_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.simulated.backend import Module

    with pytest.raises(UsageError, match="the number of simulated devices here is 1"):
        check_device("simulated:1")
    monkeypatch.setattr(Module, "is_available", staticmethod(lambda: False))
    with pytest.raises(UsageError, match="simulated is not available here"):
        check_device("simulated")


def test_a_device_that_cannot_add_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no kernel image is available for execution on the device\nmore words")

    monkeypatch.setattr(torch, "ones", broken)
    with pytest.raises(UsageError) as raised:
        check_device("simulated")
    assert str(raised.value).endswith("failed on it: no kernel image is available for execution on the device")


def test_a_device_that_answers_no_more_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.simulated.backend import Module

    def broken(device: Any = None) -> None:
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(Module, "synchronize", staticmethod(broken))
    assert lost("simulated")
    assert not lost("cpu")
