"""Run PyTorch's schedulers on a case: the rates and momenta they yield, resumed and not, and what else they touch."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradcheck.cases.case import Case
from gradcheck.reference.schedule.compose import options_of, schedule_of
from gradcheck.reference.schedule.evaluate import own_options
from gradcheck.reference.schedule.functions import function_named
from gradcheck.reference.schedule.schedule import Schedule
from gradcheck.subject.settings import under_setting

__all__ = ["Driven", "run_schedule"]

Factory = Callable[..., Any]

BOOKKEEPING = (
    "params",
    "lr",
    "momentum",
    "betas",
    "initial_lr",
    "max_lr",
    "min_lr",
    "swa_lr",
    "max_momentum",
    "base_momentum",
)
"""Keys of a parameter group that a scheduler drives, or keeps its own numbers under."""


@dataclass(frozen=True)
class Driven:
    """What a scheduler did: outputs by name, shape (steps + 1, groups); after a resume those of the steps that follow.

    outcome, words: as of Observed; altered: sentences on what changed that should not have.
    """

    outcome: str
    words: str = ""
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    resumed: dict[str, np.ndarray] = field(default_factory=dict)
    altered: tuple[str, ...] = ()


@under_setting
def run_schedule(entry: Schedule, case: Case, arguments: dict[str, Any], subject: Factory | None = None) -> Driven:
    """Step the scheduler through the case; ``subject`` stands in for PyTorch's class (planted faults do that)."""
    if not hasattr(torch.optim, arguments["optimizer"]):
        return Driven("unsupported", f"torch {torch.__version__} has no optim.{arguments['optimizer']}")
    factory = subject or _class_of(entry.name)
    if factory is None:
        return Driven("unsupported", f"torch {torch.__version__} has no {entry.name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _driven(_Drive(entry, case, arguments, factory))
    except (
        ArithmeticError,
        AttributeError,
        KeyError,
        RuntimeError,
        TypeError,
        ValueError,
        pickle.PicklingError,
    ) as error:
        return Driven("raises", f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")


def _class_of(name: str) -> Factory | None:
    found: Any = torch
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _driven(drive: _Drive) -> Driven:
    resume, steps = drive.arguments.get("resume"), drive.arguments["steps"]
    if drive.case.mode == "last_epoch":
        first, made_at = drive.made(), resume or 1
        before = first.through(made_at)
        second = drive.made(after=first)
        after = second.through(steps - made_at)
        outputs = {name: np.concatenate([rows[:-1], after[name]]) for name, rows in before.items()}
        return Driven("ran", outputs=outputs, altered=tuple(first.altered + second.altered))
    whole = drive.made()
    outputs, resumed = whole.through(steps), {}
    altered = whole.altered
    if resume is not None:
        first, second = drive.made(), drive.made()
        first.through(resume)
        altered += second.load(first)
        resumed = second.through(steps - resume, start=resume)
    return Driven("ran", outputs=outputs, resumed=resumed, altered=tuple(altered))


@dataclass(frozen=True)
class _Drive:
    """How optimizer and scheduler of a case are made."""

    entry: Schedule
    case: Case
    arguments: dict[str, Any]
    factory: Factory

    def made(self, after: _Pair | None = None) -> _Pair:
        """New ones; after another pair, the optimizer's state loaded and the scheduler made with ``last_epoch``.

        A new scheduler begins one epoch later than that, so it is made with the epoch before the present one.
        """
        groups = [{"params": [_parameter(self.case.device)], "lr": self._rate(lr)} for lr in self.arguments["lr"]]
        optimizer = getattr(torch.optim, self.arguments["optimizer"])(groups, lr=self._rate(0.1))
        more = {}
        if after is not None:
            optimizer.load_state_dict(after.optimizer.state_dict())
            more = {"last_epoch": after.scheduler.last_epoch - 1}
        pair = _Pair(self, optimizer)
        pair.scheduler = self._scheduler(optimizer, more)
        return pair

    def _rate(self, lr: float) -> Any:
        if self.case.mode != "tensor":
            return lr
        return torch.tensor(lr, dtype=getattr(torch, self.case.dtype), device=self.case.device)

    def _scheduler(self, optimizer: Any, more: dict[str, Any]) -> Any:
        return _made(self.factory, self.entry, optimizer, own_options(self.entry, self.arguments) | more)


def _made(factory: Factory, entry: Schedule, optimizer: Any, options: dict[str, Any]) -> Any:
    """A scheduler, and before it the parts that it is made of: only the whole is told of a ``last_epoch``."""
    if "schedulers" not in options:
        return factory(optimizer, **_called(entry, options))
    parts = [_part(part, optimizer) for part in options["schedulers"]]
    if "milestones" in options:
        return factory(optimizer, **{**options, "schedulers": parts, "milestones": list(options["milestones"])})
    return factory(parts)


def _part(part: tuple[Any, ...], optimizer: Any) -> Any:
    entry = schedule_of(part)
    factory = _class_of(entry.name)
    assert factory is not None
    return _made(factory, entry, optimizer, options_of(part))


def _called(entry: Schedule, options: dict[str, Any]) -> dict[str, Any]:
    """The options as PyTorch takes them: functions for their names, lists for tuples."""
    called = {}
    for name, value in options.items():
        if name in entry.functions and value is not None:
            value = [function_named(n) for n in value] if isinstance(value, tuple) else function_named(value)
        called[name] = list(value) if isinstance(value, tuple) else value
    return called


def _parameter(device: str) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.full((2, 2), 0.5, device=device))


class _Pair:
    """An optimizer and its scheduler; altered: sentences on what changed that should not have."""

    scheduler: Any

    def __init__(self, drive: _Drive, optimizer: Any) -> None:
        self._drive, self.optimizer = drive, optimizer
        self._options = [_other_options(group) for group in optimizer.param_groups]
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self.altered: list[str] = []

    def through(self, steps: int, start: int = 0) -> dict[str, np.ndarray]:
        """Rates and momenta now and after each of ``steps`` steps; ``start`` were taken before."""
        rows = [self._row()]
        for t in range(start, start + steps):
            self._step(t)
            rows.append(self._row())
        self._compare()
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def _step(self, t: int) -> None:
        self.optimizer.step(lambda: torch.zeros((), device=self._drive.case.device))
        arrays = self._drive.entry.arrays
        if arrays:
            self.scheduler.step(*(float(self._drive.arguments[name][t]) for name in arrays))
        elif self._drive.case.mode == "epoch":
            self.scheduler.step(t + 1)
        else:
            self.scheduler.step()

    def _row(self) -> dict[str, list[float]]:
        groups = self.optimizer.param_groups
        row = {"lr": [float(group["lr"]) for group in groups]}
        momenta = [group.get("momentum", group.get("betas", (None,))[0]) for group in groups]
        if momenta[0] is not None:
            row["momentum"] = [float(momentum) for momentum in momenta]
        return row

    def load(self, other: _Pair) -> list[str]:
        """Take over the state of another pair, through bytes; sentences on what was wrong."""
        state = pickle.loads(pickle.dumps(other.scheduler.state_dict()))
        names = set(state)
        self.scheduler.load_state_dict(state)
        self.optimizer.load_state_dict(other.optimizer.state_dict())
        lost = sorted(names - set(state))
        return [f"load_state_dict removes {', '.join(lost)} from the state that it is given"] if lost else []

    def _compare(self) -> None:
        groups = zip(self.optimizer.param_groups, self._options, self._rates, strict=True)
        for i, (group, before, rate) in enumerate(groups):
            after = _other_options(group)
            self.altered += [
                f"{name} of group {i} is {after.get(name)}" for name in before if after.get(name) != before[name]
            ]
            if isinstance(rate, torch.Tensor) and group["lr"] is not rate:
                self.altered.append(f"lr of group {i} is another object")
            if not isinstance(rate, torch.Tensor) and isinstance(group["lr"], torch.Tensor):
                self.altered.append(f"lr of group {i} has become a tensor")
            if not all(bool((parameter == 0.5).all()) for parameter in group["params"]):
                self.altered.append(f"a parameter of group {i} has changed")
        last = getattr(self.scheduler, "_last_lr", None)
        if last is not None and [float(lr) for lr in last] != self._row()["lr"]:
            self.altered.append(f"get_last_lr is {last}")


def _other_options(group: dict[str, Any]) -> dict[str, Any]:
    """The options that no scheduler drives, and the second beta."""
    return {
        **{name: value for name, value in group.items() if name not in BOOKKEEPING},
        "betas[1:]": group.get("betas", ())[1:],
    }
