"""The ladder from updates by hand to ``nn.Module`` and ``DataLoader``, run in PyTorch and seen step by step.

Each rung is a :class:`Loop` whose parts are small methods, so that a test can plant a fault in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradcheck.errors import UsageError, choices
from gradcheck.reference.training import MicroBatch
from gradcheck.reference.training_run import Arrays, Loader, Record, Step, Task, Validation
from gradcheck.subject.tensors import to_array, to_tensor

__all__ = ["RUNGS", "Autograd", "Loop", "LossAndOptimizer", "ModuleAndLoader", "loader_order", "run_rung"]

Pair = tuple[torch.Tensor, torch.Tensor]


def loader_order(samples: int, loader: Loader, epochs: int) -> list[list[tuple[int, ...]]]:
    """The indices of each batch of each epoch, as a ``DataLoader`` of the installed PyTorch serves them."""
    serving = _data_loader(TensorDataset(torch.arange(samples, device="cpu")), loader)
    return [[tuple(batch.tolist()) for (batch,) in serving] for _ in range(epochs)]


def _data_loader(data: TensorDataset, loader: Loader) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(loader.seed)
    return DataLoader(data, batch_size=loader.batch_size, shuffle=loader.shuffle, generator=generator)


class Loop:
    """Prediction and loss written out in tensors, gradients by autograd, updates by hand (the second rung)."""

    rung: ClassVar[str] = "autograd"
    route: ClassVar[str] = "by hand"

    def __init__(self, task: Task, device: str = "cpu") -> None:
        self.task, self.device = task, device
        self.x, self.y = self.tensor(task.x), self.tensor(task.y)
        self.parameters = {name: self.tensor(start).requires_grad_() for name, start in task.start.items()}

    def tensor(self, array: Any) -> torch.Tensor:
        """In the task's dtype, on the device."""
        return to_tensor(array, self.task.dtype, self.device)

    def batches(self, epoch: int) -> Iterator[Pair]:
        """x and y of each micro-batch of an epoch."""
        for step in self.task.epochs[epoch]:
            for batch in step:
                rows = list(batch.indices)
                yield self.x[rows], self.y[rows]

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """By hand: (N, I) to (N, O)."""
        p = self.parameters
        if "weight" in p:
            return x @ p["weight"].T + p["bias"]
        return torch.tanh(x @ p["weight1"].T + p["bias1"]) @ p["weight2"].T + p["bias2"]

    def loss(self, prediction: torch.Tensor, y: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        """By hand: squares, or logistic losses of logits."""
        if _is_logistic(self.task):
            elements = (1 - y) * prediction - nn.functional.logsigmoid(prediction)
        else:
            elements = (prediction - y) ** 2
        return elements.mean() if reduction == "mean" else elements.sum()

    def backward(self, x: torch.Tensor, y: torch.Tensor, batch: MicroBatch) -> float:
        """Add the gradient of one micro-batch to what is there; the loss of the micro-batch."""
        loss = self.loss(self.predict(x), y, batch.reduction)
        (loss if batch.weight == 1.0 else loss * batch.weight).backward()  # type: ignore[no-untyped-call]
        return float(loss.item())

    def update(self) -> None:
        """By hand, where autograd does not look."""
        with torch.no_grad():
            for parameter in self.parameters.values():
                assert parameter.grad is not None
                parameter -= self.task.rate * parameter.grad

    def zero(self) -> None:
        """By hand: the gradients stay, as zeros."""
        for parameter in self.parameters.values():
            assert parameter.grad is not None
            parameter.grad.zero_()

    def step(self, pairs: list[Pair], batches: tuple[MicroBatch, ...]) -> Step:
        """Backward for each micro-batch, one update, and the gradients zeroed."""
        before = self.state()
        losses = tuple(self.backward(x, y, batch) for (x, y), batch in zip(pairs, batches, strict=True))
        gradients = {name: to_array(p.grad).copy() for name, p in self.parameters.items() if p.grad is not None}
        self.update()
        self.zero()
        return Step(before, losses, gradients, self.state(), tuple(to_array(x) for x, _ in pairs))

    def state(self) -> Arrays:
        """The parameters, exactly, as copies."""
        return {name: to_array(parameter).copy() for name, parameter in self.parameters.items()}

    def validate(self) -> float:
        """The mean loss on the validation set, without a graph."""
        with torch.no_grad():
            return float(self.loss(self.predict(self.tensor(self.task.x_valid)), self.tensor(self.task.y_valid)).item())

    def run(self) -> Record:
        """All epochs."""
        record = Record(self.rung, self.device, self.route)
        for number, epoch in enumerate(self.task.epochs):
            serving = self.batches(number)
            for batches in epoch:
                pairs = [pair for _, pair in zip(batches, serving, strict=False)]
                if len(pairs) == len(batches):
                    record.steps.append(self.step(pairs, batches))
            # To its end: what a loader draws from its generator when it is exhausted counts for the next epoch.
            record.left_over += sum(1 for _ in serving)
            record.validation.append(Validation(self.state(), self.validate()))
        return record


class Autograd(Loop):
    """The second rung: see :class:`Loop`."""


class LossAndOptimizer(Loop):
    """PyTorch's loss and optimizer, prediction by hand (the third rung)."""

    rung: ClassVar[str] = "loss and optimizer"
    route: ClassVar[str] = "fused"

    def __init__(self, task: Task, device: str = "cpu") -> None:
        super().__init__(task, device)
        self.optimizer = torch.optim.SGD(list(self.parameters.values()), lr=task.rate)
        self.loss_class: Any = nn.BCEWithLogitsLoss if _is_logistic(task) else nn.MSELoss

    def loss(self, prediction: torch.Tensor, y: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        """PyTorch's own."""
        return self.loss_class(reduction=reduction)(prediction, y)

    def update(self) -> None:
        """PyTorch's own."""
        self.optimizer.step()

    def zero(self) -> None:
        """PyTorch's own."""
        self.optimizer.zero_grad()


class ModuleAndLoader(LossAndOptimizer):
    """``nn.Module``, ``DataLoader``, train step and validation loop (the fourth rung)."""

    rung: ClassVar[str] = "module and loader"

    def __init__(self, task: Task, device: str = "cpu") -> None:
        super().__init__(task, device)
        self.module = _module(task).to(device=device, dtype=getattr(torch, task.dtype))
        self.parameters = dict(zip(task.start, self.module.parameters(), strict=True))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.tensor(task.start[name]))
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=task.rate)
        self.loader = _data_loader(TensorDataset(self.x.cpu(), self.y.cpu()), task.loader)

    def batches(self, epoch: int) -> Iterator[Pair]:
        """As the loader serves them, moved to the device one by one."""
        for x, y in self.loader:
            yield x.to(self.device), y.to(self.device)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """The module."""
        return self.module(x)

    def step(self, pairs: list[Pair], batches: tuple[MicroBatch, ...]) -> Step:
        """One train step, in training mode."""
        self.module.train()
        return super().step(pairs, batches)

    def validate(self) -> float:
        """In evaluation mode."""
        self.module.eval()
        return super().validate()


def _is_logistic(task: Task) -> bool:
    return task.model.name == "logistic_regression"


def _module(task: Task) -> nn.Module:
    shapes = list(task.model.shapes.values())
    if len(shapes) == 2:
        return nn.Linear(shapes[0][1], shapes[0][0])
    hidden, inputs = shapes[0]
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, shapes[2][0]))


RUNGS: dict[str, type[Loop]] = {loop.rung: loop for loop in (Autograd, LossAndOptimizer, ModuleAndLoader)}
"""The rungs that PyTorch is on; the first, NumPy by hand, is ``gradcheck.reference.training_run.run_by_hand``."""


def run_rung(rung: str, task: Task, device: str = "cpu") -> Record:
    """The record of one rung; raises UsageError for an unknown one."""
    if rung not in RUNGS:
        raise UsageError(f"rung {rung!r} is not known; expected {choices(RUNGS)}.")
    return RUNGS[rung](task, device).run()
