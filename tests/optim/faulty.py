"""Optimizers with a fault planted: PyTorch's classes with a step of their own, right but for one fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["FAULTS", "planted_adam", "planted_sgd", "sharing", "writing_gradients"]

FAULTS = (
    "eps inside the root",
    "bias correction by t-1",
    "decay after the step",
    "maximize negates the decay",
    "maximum after bias correction",
    "eps before bias correction",
    "second moment of the decayed parameter",
)


def planted_adam(fault: str = "") -> Callable[..., torch.optim.Adam]:
    """AdamW's and Adam's step in plain tensor operations, with one of FAULTS, or none."""

    class PlantedAdam(torch.optim.Adam):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        adam_step(self.state[param], param, param.grad, group, fault)

    return PlantedAdam


def adam_step(state: dict[str, Any], p: torch.Tensor, grad: torch.Tensor, group: dict[str, Any], fault: str) -> None:
    names = ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else []))
    if not state:
        state["step"] = torch.tensor(0.0)
        state.update({name: torch.zeros_like(p) for name in names})
    state["step"] += 1
    t, (beta1, beta2), lr, eps = state["step"].item(), group["betas"], group["lr"], group["eps"]
    decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]
    if fault == "maximize negates the decay":
        grad = grad + decay * p
        grad = -grad if group["maximize"] else grad
    else:
        grad = -grad if group["maximize"] else grad
        if not decoupled:
            grad = grad + decay * p
        elif fault != "decay after the step":
            p.mul_(1 - lr * decay)
    state["exp_avg"].lerp_(grad, 1 - beta1)
    squared = grad + decay * p if fault == "second moment of the decayed parameter" else grad
    state["exp_avg_sq"].mul_(beta2).addcmul_(squared, squared, value=1 - beta2)
    counted = t - 1 if fault == "bias correction by t-1" and t > 1 else t
    correction1, correction2 = 1 - beta1**counted, 1 - beta2**counted
    second = state["exp_avg_sq"]
    if group["amsgrad"]:
        corrected = fault == "maximum after bias correction"
        torch.maximum(
            state["max_exp_avg_sq"], second / correction2 if corrected else second, out=state["max_exp_avg_sq"]
        )
        second = state["max_exp_avg_sq"] * (correction2 if corrected else 1.0)
    if fault == "eps inside the root":
        denominator = (second / correction2 + eps).sqrt()
    elif fault == "eps before bias correction":
        denominator = (second.sqrt() + eps) / correction2**0.5
    else:
        denominator = second.sqrt() / correction2**0.5 + eps
    p.addcdiv_(state["exp_avg"], denominator, value=-lr / correction1)
    if fault == "decay after the step" and decoupled:
        p.mul_(1 - lr * decay)


def planted_sgd(fault: str = "") -> Callable[..., torch.optim.SGD]:
    """SGD's step in plain tensor operations; faults: ``dampened nesterov``, ``dampened first buffer``."""

    class PlantedSGD(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        sgd_step(self.state[param], param, param.grad, group, fault)

    return PlantedSGD


def sgd_step(state: dict[str, Any], p: torch.Tensor, grad: torch.Tensor, group: dict[str, Any], fault: str) -> None:
    momentum, dampening = group["momentum"], group["dampening"]
    if fault == "dampened nesterov" and group["nesterov"]:
        dampening = momentum
    if "momentum_buffer" not in state:
        share = 1 - dampening if fault == "dampened first buffer" else 1.0
        state["momentum_buffer"] = grad * share
    else:
        state["momentum_buffer"].mul_(momentum).add_(grad, alpha=1 - dampening)
    direction = grad + momentum * state["momentum_buffer"] if group["nesterov"] else state["momentum_buffer"]
    p.add_(direction, alpha=-group["lr"])


def sharing(of: type, entry: str) -> Callable[..., Any]:
    """An optimizer whose parameters share one state tensor, as after a slip in a foreach implementation."""

    class Sharing(of):  # type: ignore[misc]  # a base that is only known when it runs
        def step(self, closure: Any = None) -> None:
            super().step()
            tensors = [state[entry] for state in self.state.values()]
            for state in self.state.values():
                state[entry] = tensors[0]

    return Sharing


def writing_gradients(of: type) -> Callable[..., Any]:
    """An optimizer that scales its gradients in place, after a step that is right."""

    class Writing(of):  # type: ignore[misc]
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            super().step()
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        param.grad.mul_(0.5)

    return Writing
