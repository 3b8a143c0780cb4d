"""The training loops, mistakes and autograd graphs of the walkthroughs, run in the installed PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from gradcheck.subject.tensors import to_array, to_tensor

__all__ = [
    "MISTAKES", "Seen", "drawn_normals", "edges_of_graph", "graph_of", "layer_at", "loss_at", "mistake", "walk",
]  # fmt: skip

Predict = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True)
class Seen:
    """One step: parameters before it, loss, gradients as they were accumulated, parameters after it; exact floats."""

    before: dict[str, float]
    loss: float
    gradients: dict[str, float]
    after: dict[str, float]


class _Predictor(nn.Module):
    def __init__(self, parameters: dict[str, torch.Tensor], predict: Predict) -> None:
        super().__init__()
        self.held = nn.ParameterDict({name: nn.Parameter(tensor.detach()) for name, tensor in parameters.items()})
        self.predict = predict

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.predict(dict(self.held.items()), x)


def walk(
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    start: dict[str, np.ndarray],
    rate: float,
    predict: Predict,
    *,
    rung: str = "autograd",
    reduction: str = "mean",
    zero: bool = True,
    together: Callable[[int], bool] = lambda step: True,
    dtype: str = "float32",
    device: str = "cpu",
) -> Iterator[Seen]:
    """Descend over batches as the walkthroughs do; a record of each backward pass.

    predict: from parameters by name and x to the prediction, in plain operators; rung: ``autograd`` (loss and update by
    hand), ``optimizer``, ``loss`` (and optimizer) or ``module`` (and both); zero: whether gradients are ever zeroed;
    together: from the number of the backward pass (0, 1, …) to whether an update follows it.
    """
    parameters = {name: to_tensor(array, dtype, device).requires_grad_() for name, array in start.items()}
    module: Callable[[torch.Tensor], torch.Tensor] = lambda x: predict(parameters, x)  # noqa: E731
    if rung == "module":
        predictor = _Predictor(parameters, predict).to(device)
        parameters, module = dict(predictor.held.items()), predictor
    optimizer = torch.optim.SGD(list(parameters.values()), lr=rate)
    previous: tuple[Any, Any] = (None, None)
    for step, (x, y) in enumerate(batches):
        if previous[0] is not x or previous[1] is not y:
            previous = x, y
            inputs, targets = to_tensor(x, dtype, device), to_tensor(y, dtype, device)
        loss = _loss(module(inputs), targets, reduction, rung)
        loss.backward()  # type: ignore[no-untyped-call]
        before, gradients = _numbers(parameters), _gradients(parameters)
        if together(step):
            if rung == "autograd":
                with torch.no_grad():
                    for parameter in parameters.values():
                        assert parameter.grad is not None
                        parameter -= rate * parameter.grad
                        if zero:
                            parameter.grad.zero_()
            else:
                optimizer.step()
                if zero:
                    optimizer.zero_grad()
        yield Seen(before, float(loss.item()), gradients, _numbers(parameters))


def layer_at(weight: float, bias: float, x: float, device: str = "cpu") -> float:
    """What ``nn.Linear(1, 1)`` with this weight and bias makes of x, in float32."""
    layer = nn.Linear(1, 1, device=device)
    with torch.no_grad():
        layer.weight.fill_(weight)
        layer.bias.fill_(bias)
        return float(layer(torch.tensor([x], dtype=torch.float32, device=device)).item())


def loss_at(parameters: dict[str, float], predict: Predict, x: np.ndarray, y: np.ndarray, device: str = "cpu") -> float:
    """The mean squared error in float32, as a validation loop has it."""
    tensors = {name: to_tensor(np.array(value), "float32", device) for name, value in parameters.items()}
    with torch.no_grad():
        prediction = predict(tensors, to_tensor(x, "float32", device))
        return float(nn.MSELoss()(prediction, to_tensor(y, "float32", device)).item())


def drawn_normals(seed: int, count: int, device: str = "cpu") -> list[float]:
    """What so many calls of ``torch.randn(1)`` return on the device after ``torch.manual_seed(seed)``."""
    generator = torch.Generator(device).manual_seed(seed)
    return [float(torch.randn(1, generator=generator, device=device).item()) for _ in range(count)]


def _loss(prediction: torch.Tensor, y: torch.Tensor, reduction: str, rung: str) -> torch.Tensor:
    if rung in ("loss", "module"):
        return nn.MSELoss(reduction=reduction)(prediction, y)
    squares = (prediction - y) ** 2
    return squares.mean() if reduction == "mean" else squares.sum()


def _numbers(parameters: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(to_array(parameter).reshape(())) for name, parameter in parameters.items()}


def _gradients(parameters: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(p.grad.item()) for name, p in parameters.items() if p.grad is not None}


def _lost_leaf(device: str) -> None:
    a = torch.ones(1, requires_grad=True, device=device)
    for _ in range(2):
        (a**2).sum().backward()  # type: ignore[no-untyped-call]
        with _without_the_warning_of_a_non_leaf():
            a = a - 0.1 * a.grad  # type: ignore[operator]


def _leaf_in_place(device: str) -> None:
    a = torch.ones(1, requires_grad=True, device=device)
    (a**2).sum().backward()  # type: ignore[no-untyped-call]
    assert a.grad is not None
    a -= 0.1 * a.grad


def _dataset_moved(device: str) -> None:
    TensorDataset(torch.ones(1, device="cpu")).to(device)  # type: ignore[attr-defined]


@contextlib.contextmanager
def _without_the_warning_of_a_non_leaf() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


MISTAKES: dict[str, Callable[[str], None]] = {
    "lost leaf": _lost_leaf,
    "leaf in place": _leaf_in_place,
    "dataset moved": _dataset_moved,
}
"""The cells that fail: ``a = a - lr * a.grad`` and then again, ``a -= lr * a.grad``, ``TensorDataset.to``."""


def mistake(name: str, device: str = "cpu") -> str:
    """What the mistake raises, as a traceback ends: type and message; ``nothing`` where it passes."""
    try:
        MISTAKES[name](device)
    except (TypeError, RuntimeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def graph_of(tensor: torch.Tensor) -> tuple[dict[int, str], list[tuple[int, int]]]:
    """Nodes of the autograd graph by number, and edges from what is computed first to what is made of it.

    A leaf is named by its shape, ``(1)``, as torchviz draws it; another node by its ``grad_fn``. Numbers count from 0
    in the order of a walk back from the tensor.
    """
    numbers: dict[Any, int] = {}
    names: dict[int, str] = {}
    edges: list[tuple[int, int]] = []

    def visit(node: Any) -> int:
        if node in numbers:
            return numbers[node]
        here = numbers[node] = len(numbers)
        leaf = getattr(node, "variable", None)
        names[here] = node.name() if leaf is None else f"({', '.join(map(str, leaf.shape))})"
        edges.extend((visit(earlier), here) for earlier, _ in node.next_functions if earlier is not None)
        return here

    visit(tensor.grad_fn)
    return names, edges


def edges_of_graph(predict: Predict, start: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """The graphs of prediction, error and mean squared error, as of :func:`graph_of`."""
    parameters = {name: to_tensor(array, "float32", "cpu").requires_grad_() for name, array in start.items()}
    prediction = predict(parameters, to_tensor(x, "float32", "cpu"))
    error = to_tensor(y, "float32", "cpu") - prediction
    return {
        "yhat": graph_of(prediction),
        "error": graph_of(error),
        "loss": graph_of((error**2).mean()),
    }
