# ruff: noqa: E501, ISC004 (case lines are kept whole)
"""Schedulers, clipping, averages and scalers with one fault each, standing in for PyTorch's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import lr_scheduler, swa_utils

Subject = Callable[..., Any]


class LateStep(lr_scheduler.StepLR):
    """Off by one epoch."""

    def get_lr(self) -> Any:
        self.last_epoch -= 1
        try:
            return super().get_lr()
        finally:
            self.last_epoch += 1


class EarlyCosine(lr_scheduler.CosineAnnealingLR):
    """Closed form of the next epoch."""

    def get_lr(self) -> Any:
        return [
            self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * (self.last_epoch + 1) / self.T_max)) / 2
            for base in self.base_lrs
        ]


class LateRestart(lr_scheduler.CosineAnnealingWarmRestarts):
    """Restarts when a run is over by one step."""

    def step(self, epoch: Any = None) -> None:
        self.last_epoch += 1
        self.T_cur = self.last_epoch if self.last_epoch < 1 else self.T_cur + 1
        if self.T_cur > self.T_i:
            self.T_cur, self.T_i = 0, self.T_i * self.T_mult
        self._get_lr_called_within_step = True
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class NeverHalving(lr_scheduler.CyclicLR):
    """Mode triangular2 as triangular."""

    @staticmethod
    def _triangular2_scale_fn(x: float) -> float:
        return 1.0


class MomentumWithRate(lr_scheduler.CyclicLR):
    """The momentum rises with the rate."""

    def __init__(
        self, optimizer: Any, *, base_momentum: float = 0.8, max_momentum: float = 0.9, **options: Any
    ) -> None:
        super().__init__(optimizer, base_momentum=max_momentum, max_momentum=base_momentum, **options)


class FinalFromMax(lr_scheduler.OneCycleLR):
    """final_div_factor divides max_lr, not the initial rate."""

    def __init__(self, optimizer: Any, *, final_div_factor: float = 1e4, **options: Any) -> None:
        super().__init__(optimizer, final_div_factor=final_div_factor, **options)
        for group in optimizer.param_groups:
            group["min_lr"] = group["max_lr"] / final_div_factor


class PhasesOneLate(lr_scheduler.OneCycleLR):
    """The way up ends at pct_start·N."""

    def __init__(self, optimizer: Any, **options: Any) -> None:
        super().__init__(optimizer, **options)
        self._schedule_phases[0]["end_step"] += 1


class Impatient(lr_scheduler.ReduceLROnPlateau):
    """Reduces after ``patience`` bad epochs, not after one more."""

    def __init__(self, optimizer: Any, *, patience: int = 10, **options: Any) -> None:
        super().__init__(optimizer, patience=patience - 1, **options)


class NoCooldown(lr_scheduler.ReduceLROnPlateau):
    """Counts bad epochs while it should rest."""

    def __init__(self, optimizer: Any, *, cooldown: int = 0, **options: Any) -> None:
        super().__init__(optimizer, cooldown=0, **options)


class AlwaysRelative(lr_scheduler.ReduceLROnPlateau):
    """Takes an absolute threshold as a relative one."""

    def __init__(self, optimizer: Any, *, threshold_mode: str = "rel", **options: Any) -> None:
        super().__init__(optimizer, threshold_mode="rel", **options)


class Forgetful(lr_scheduler.StepLR):
    """Loads no state."""

    def load_state_dict(self, state_dict: Any) -> None:
        pass


class Meddling(lr_scheduler.ExponentialLR):
    """Scales the weight decay as well."""

    def get_lr(self) -> Any:
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 0.5
        return super().get_lr()


class WrongBeta(lr_scheduler.OneCycleLR):
    """Drives both betas."""

    def get_lr(self) -> Any:
        rates = super().get_lr()
        for group in self.optimizer.param_groups:
            group["betas"] = (group["betas"][0], group["betas"][0])
        return rates


class OneTime(lr_scheduler.SequentialLR):
    """The second part does not begin at its own epoch 0."""

    def step(self) -> None:
        self.last_epoch += 1
        which = sum(milestone <= self.last_epoch for milestone in self._milestones)
        part = self._schedulers[which]
        part.last_epoch = self.last_epoch - 1
        part.step()
        self._last_lr = part.get_last_lr()


class LastOnly(lr_scheduler.ChainedScheduler):
    """Steps the last part alone."""

    def step(self, *args: Any) -> None:
        self._schedulers[-1].step()
        self._last_lr = [group["lr"] for group in self._schedulers[-1].optimizer.param_groups]


class SlowSWA(swa_utils.SWALR):
    """Anneals for one epoch more."""

    def __init__(self, optimizer: Any, swa_lr: Any, anneal_epochs: int = 10, **options: Any) -> None:
        super().__init__(optimizer, swa_lr, anneal_epochs + 1, **options)


class FromZero(lr_scheduler.MultiplicativeLR):
    """Multiplies by λ(t - 1)."""

    def get_lr(self) -> Any:
        if self.last_epoch == 0:
            return [group["lr"] for group in self.optimizer.param_groups]
        return [
            group["lr"] * f(self.last_epoch - 1)
            for f, group in zip(self.lr_lambdas, self.optimizer.param_groups, strict=True)
        ]


GROUPS = "lr=(0.1, 0.02)"
SCHEDULES: dict[str, tuple[Subject, str, str]] = {
    "one epoch late": (LateStep, f"StepLR(step_size=2, steps=2, {GROUPS})", "lr"),
    "one epoch early": (EarlyCosine, f"CosineAnnealingLR(T_max=5, steps=1, {GROUPS})", "lr"),
    "a restart one epoch late": (LateRestart, f"CosineAnnealingWarmRestarts(T_0=2, steps=2, {GROUPS})", "lr"),
    "triangular2 that does not halve": (
        NeverHalving,
        f'CyclicLR(base_lr=0.01, max_lr=0.1, step_size_up=2, mode="triangular2", steps=6, {GROUPS})',
        "lr",
    ),
    "a momentum that rises with the rate": (
        MomentumWithRate,
        f"CyclicLR(base_lr=0.01, max_lr=0.1, step_size_up=2, steps=2, {GROUPS})",
        "momentum",
    ),
    "final_div_factor of max_lr": (FinalFromMax, f"OneCycleLR(max_lr=0.1, total_steps=5, steps=4, {GROUPS})", "lr"),
    "phases one step late": (PhasesOneLate, f"OneCycleLR(max_lr=0.1, total_steps=10, steps=4, {GROUPS})", "momentum"),
    "a wrong patience": (
        Impatient,
        f"ReduceLROnPlateau(metrics=repeated(4), threshold=0.0, patience=2, steps=4, {GROUPS})",
        "lr",
    ),
    "no cooldown": (
        NoCooldown,
        f"ReduceLROnPlateau(metrics=repeated(5), threshold=0.0, patience=0, cooldown=2, steps=5, {GROUPS})",
        "lr",
    ),
    "a relative threshold": (
        AlwaysRelative,
        f'ReduceLROnPlateau(metrics=ordinary(20), patience=0, threshold=0.25, threshold_mode="abs", steps=20, {GROUPS})',
        "lr",
    ),
    "a state that is not loaded": (Forgetful, f"StepLR(step_size=3, steps=4, resume=2, {GROUPS})", "resumed"),
    "another option changed": (Meddling, f"ExponentialLR(gamma=0.9, steps=1, {GROUPS})", "rest"),
    "the wrong beta": (
        WrongBeta,
        f'OneCycleLR(max_lr=0.1, total_steps=10, steps=1, optimizer="Adam", {GROUPS})',
        "rest",
    ),
    "parts in one time": (
        OneTime,
        f'SequentialLR(schedulers=(("ConstantLR", ("total_iters", 2)), ("ExponentialLR", ("gamma", 0.5))), '
        f"milestones=(2,), steps=4, {GROUPS})",
        "lr",
    ),
    "a chain of which one part steps": (
        LastOnly,
        f'ChainedScheduler(schedulers=(("ExponentialLR", ("gamma", 0.5)), ("ExponentialLR", ("gamma", 0.9))), '
        f"steps=1, {GROUPS})",
        "lr",
    ),
    "factors one epoch late": (FromZero, f'MultiplicativeLR(lr_lambda="inverse", steps=1, {GROUPS})', "lr"),
}
"""name -> (subject, case without its head and axes, the output that shows it)."""


def ema_swapped(arguments: dict[str, Any]) -> Subject:
    """decay and 1 - decay swapped."""
    decay = arguments.get("decay", 0.999)
    return lambda average, current, n: (1 - decay) * average + decay * current


def swa_of_n(arguments: dict[str, Any]) -> Subject:
    """Divides by n, not by n + 1."""
    return lambda average, current, n: average + (current - average) / n


def bn_of_momentum(loader: Any, model: Any) -> None:
    """Leaves the layer's own momentum in place, so that late batches count more."""
    model.reset_running_stats()
    model.train()
    for batch in loader:
        model(batch)
    model.eval()


def bn_left_changed(loader: Any, model: Any) -> None:
    """Does not put the momentum back."""
    swa_utils.update_bn(loader, model)
    model.momentum = None


AVERAGES: dict[str, tuple[Subject, str, str]] = {
    "a swapped decay": (
        ema_swapped,
        'AveragedModel(params=ordinary(2, 3), average="ema", decay=0.9) seed=0 dtype=float32 mode=single',
        "params",
    ),
    "a mean of one too few": (
        swa_of_n,
        'AveragedModel(params=ordinary(2, 3), average="swa") seed=0 dtype=float16 mode=single',
        "params",
    ),
    "statistics by momentum": (bn_of_momentum, "update_bn(x=ordinary(2, 4, 3)) seed=0 dtype=float32", "running_mean"),
    "a momentum that is not put back": (bn_left_changed, "update_bn(x=ordinary(2, 4, 3)) seed=0 dtype=float32", "rest"),
}


def _grads(parameters: Any) -> list[torch.Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def each_norm(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Clips every gradient by its own norm."""
    parameters = list(parameters)
    total = torch.nn.utils.get_total_norm(_grads(parameters))
    for p in parameters:
        torch.nn.utils.clip_grad_norm_([p], max_norm)
    return total


def _clip(parameters: Any, total: torch.Tensor, coefficient: torch.Tensor) -> torch.Tensor:
    for grad in _grads(parameters):
        grad.mul_(coefficient)
    return total


def without_eps(parameters: Any, max_norm: float, **options: Any) -> Any:
    """max_norm/total, without 1e-6."""
    total = torch.nn.utils.get_total_norm(_grads(parameters))
    return _clip(parameters, total, torch.clamp(max_norm / total, max=1.0))


def without_clamp(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Enlarges small gradients."""
    total = torch.nn.utils.get_total_norm(_grads(parameters))
    return _clip(parameters, total, max_norm / (total + 1e-6))


def without_root(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Sums the norms instead of their squares."""
    total = sum(grad.norm() for grad in _grads(parameters))
    return _clip(parameters, total, torch.clamp(max_norm / (total + 1e-6), max=1.0))


def norm_afterwards(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Returns the norm after clipping."""
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return torch.nn.utils.get_total_norm(_grads(parameters))


def out_of_place(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Puts new tensors in the place of the gradients."""
    for p in parameters:
        p.grad = p.grad.clone()
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)


def never_raises(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Ignores error_if_nonfinite."""
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)


def raises_too_late(parameters: Any, max_norm: float, **options: Any) -> Any:
    """Clips, and then complains that the norm is non-finite."""
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    raise RuntimeError("the norm is non-finite")


def one_sided(parameters: Any, clip_value: float, **options: Any) -> None:
    """Clips from above alone."""
    for grad in _grads(parameters):
        grad.clamp_(max=clip_value)


NORM = "clip_grad_norm_(grad0=ordinary(3), grad1=ordinary(2, 2), max_norm=0.5{}) seed=0 dtype=float32"
CLIPPING: dict[str, tuple[Subject, str, str]] = {
    "every gradient by its own norm": (each_norm, NORM.format(""), "grad[grad0]"),
    "no 1e-6": (without_eps, NORM.format("").replace("32", "64"), "grad[grad0]"),
    "no 1e-6 below zeros": (without_eps, "clip_grad_norm_(grad0=ordinary(3), max_norm=0.0, zeroed=(0,)) seed=0 dtype=bfloat16", "grad[grad0]"),
    "no clamp": (without_clamp, NORM.format("").replace("0.5", "1000.0"), "grad[grad1]"),
    "a sum of norms": (without_root, NORM.format(""), "total"),
    "the norm afterwards": (norm_afterwards, NORM.format(""), "total"),
    "new tensors": (out_of_place, NORM.format(""), "rest"),
    "another norm type": (norm_afterwards, NORM.format(", norm_type=3.0"), "total"),
    "no error": (never_raises, "clip_grad_norm_(grad0=special(40), max_norm=0.5, error_if_nonfinite=True) seed=0 dtype=float32", "error"),
    "an error too late": (raises_too_late, "clip_grad_norm_(grad0=special(40), max_norm=0.5, error_if_nonfinite=True) seed=0 dtype=float32", "grad[grad0]"),
    "one side alone": (one_sided, "clip_grad_value_(grad0=ordinary(9), clip_value=0.5) seed=0 dtype=float16", "grad[grad0]"),
}  # fmt: skip


class _Scaler(torch.amp.GradScaler):
    """PyTorch's, with the update written out."""

    grows_on_inf = keeps_count = slow = False

    def update(self, new_scale: Any = None) -> None:
        assert self._scale is not None
        assert self._growth_tracker is not None
        found = any(
            bool(x) for state in self._per_optimizer_states.values() for x in state["found_inf_per_device"].values()
        )
        count = int(self._growth_tracker) + 1
        if found:
            self._scale.mul_(self._growth_factor if self.grows_on_inf else self._backoff_factor)
            self._growth_tracker.fill_(count - 1 if self.keeps_count else 0)
        elif count == self._growth_interval + self.slow:
            self._scale.mul_(self._growth_factor)
            self._growth_tracker.fill_(0)
        else:
            self._growth_tracker.fill_(count)
        self._per_optimizer_states.clear()


class GrowsOnInf(_Scaler):
    """Grows where it should back off."""

    grows_on_inf = True


class KeepsCount(_Scaler):
    """An infinity does not end a run of good steps."""

    keeps_count = True


class Slow(_Scaler):
    """Grows one step late."""

    slow = True


class NeverSkips(torch.amp.GradScaler):
    """Steps in spite of an infinity."""

    def _maybe_opt_step(self, optimizer: Any, optimizer_state: Any, *args: Any, **kwargs: Any) -> Any:
        return optimizer.step(*args, **kwargs)


class LosesCount(torch.amp.GradScaler):
    """Its state has no growth tracker."""

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({**state_dict, "_growth_tracker": 0})


class Doubly(torch.amp.GradScaler):
    """Can be stepped twice."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        result = super().step(optimizer, *args, **kwargs)
        return self.unscaled_again(optimizer, result)

    def unscaled_again(self, optimizer: Any, result: Any) -> Any:
        """Forget that it has stepped."""
        from torch.amp.grad_scaler import OptState

        self._per_optimizer_states[id(optimizer)]["stage"] = OptState.UNSCALED
        return result


HISTORY = 'GradScaler(grad=ordinary(3, 2), growth_interval=2, history=("ok", "{}", "ok"){}) seed=0 dtype=float32'
SCALERS: dict[str, tuple[Subject, str, str]] = {
    "growth at an infinity": (GrowsOnInf, HISTORY.format("inf", ""), "scale"),
    "growth at a NaN": (GrowsOnInf, HISTORY.format("nan", ""), "scale"),
    "a count that goes on": (KeepsCount, HISTORY.format("-inf", ""), "tracker"),
    "growth one step late": (Slow, HISTORY.format("ok", ""), "scale"),
    "no step skipped": (NeverSkips, HISTORY.format("inf", ""), "stepped"),
    "a count that is not loaded": (LosesCount, HISTORY.format("ok", ", resume=1"), "resumed"),
    "two steps allowed": (Doubly, HISTORY.format("ok", ""), "rest"),
}
