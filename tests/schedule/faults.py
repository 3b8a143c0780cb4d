# ruff: noqa: E501, ISC004 (case lines are kept whole)
"""Schedulers with one fault each, standing in for PyTorch's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

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
