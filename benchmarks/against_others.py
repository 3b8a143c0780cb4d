"""gradcheck beside the tools that do the same job, in one run, on the same faulty and the same correct gradients.

    python benchmarks/against_others.py [--markdown]

Tools: ``torch.autograd.gradcheck`` and ``gradgradcheck`` (slow and fast, float64, their own tolerances);
``torch.testing.assert_close`` of float32 gradients against a float64 run (its own tolerances); ``jax.test_util.
check_grads`` where jax is installed; and gradcheck's verdict on the same inputs, in float64 and float32, and with the
cases that ``gradcheck verify`` runs. Every tool sees the same calls: standard inputs of 25 and of 1,000 elements.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.draw import Draw, SeededDraw
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.registry import Reference, reference_named, references
from gradcheck.subject.adapters import operation_named
from gradcheck.subject.tensors import to_tensor, torch_value
from gradcheck.verdict.judge import judge_case
from gradcheck.verdict.ledger import load_ledger

Tensor = torch.Tensor
Call = Callable[..., Tensor]
Change = Callable[[Tensor, Tensor], Tensor]

LEDGER = load_ledger()


# --- Faults: what a kernel does to the gradient of its first input (and to its value). ---


class _Spy(torch.autograd.Function):
    """The identity, whose backward changes the gradient that it is given: differentiable again, as a kernel's is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Change) -> Tensor:
        ctx.change = change
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return ctx.change(g, x), None


@dataclass(frozen=True)
class Fault:
    """How the gradient becomes wrong, and by which factor the value does."""

    gradient: Change
    value: float = 1.0

    def planted(self, function: Call) -> Call:
        def wrong(x: Tensor, **words: Any) -> Tensor:
            return function(_Spy.apply(x, self.gradient), **words) * self.value

        return wrong


def _vectorised(g: Tensor, x: Tensor) -> Tensor:
    """Wrong by 1 % but in the scalar tail, the rest after two registers of 16 numbers."""
    body = g.numel() - g.numel() % 32
    factor = torch.ones(g.numel(), dtype=g.dtype)
    factor[:body] = 1.01
    return g * factor.reshape(g.shape)


def _one(g: Tensor, x: Tensor) -> Tensor:
    factor = torch.ones(g.numel(), dtype=g.dtype)
    factor[617:618] = 0.5
    return g * factor.reshape(g.shape)


def _compensating(g: Tensor, x: Tensor) -> Tensor:
    """The first two elements off by a thousandth of the largest, in opposite directions."""
    if g.numel() < 2:
        return g
    off = torch.zeros(g.numel(), dtype=g.dtype)
    off[0], off[1] = 1e-3, -1e-3
    return g + off.reshape(g.shape) * g.abs().max()


FAULTS = {
    "gradient twice as large (control)": Fault(lambda g, x: g * 2.0),
    "gradient 9e-4 too large": Fault(lambda g, x: g * (1.0 + 9e-4)),
    "float16 round trip in backward": Fault(lambda g, x: g.to(torch.float16).to(g.dtype)),
    "wrong by half where abs(x) > 4": Fault(lambda g, x: torch.where(x.abs() > 4.0, 1.5 * g, g)),
    "1 % off in the vectorised path": Fault(_vectorised),
    "1e-3 off in float32 only": Fault(lambda g, x: g * (1.0 + 1e-3) if g.dtype == torch.float32 else g),
    "one element of 1,000 wrong by half": Fault(_one),
    "two elements off by ±1e-3": Fault(_compensating),
    "value and gradient 1e-3 too large": Fault(lambda g, x: g, value=1.001),
}
OPERATIONS = ("silu", "tanh", "softplus", "softmax", "log_softmax", "layer_norm", "mse_loss")


# --- Tools: each says whether it finds a call wrong. ---


def _tensors(case: Case, dtype: str) -> tuple[Tensor, dict[str, Any]]:
    """The first input, as a leaf, and the other arguments."""
    arguments = arguments_of(case.on(dtype=dtype))
    made = {n: to_tensor(v, dtype, "cpu") if hasattr(v, "dtype") else torch_value(v) for n, v in arguments.items()}
    first = reference_named(case.operation).arrays[0]
    return made.pop(first).requires_grad_(True), made


def _by_differences(check: Callable[..., bool], fast: bool, dtype: str = "float64") -> Callable[[Case, Call], bool]:
    def finds_wrong(case: Case, call: Call) -> bool:
        x, words = _tensors(case, dtype)
        try:
            return not check(lambda x: call(x, **words), (x,), fast_mode=fast, raise_exception=False)
        except RuntimeError:  # it does not take the shape, or the operation
            return False

    return finds_wrong


def _by_float64(case: Case, call: Call) -> bool:
    """The common practice: gradients in float32 against those of the same call in float64."""
    gradients = []
    for dtype in ("float32", "float64"):
        x, words = _tensors(case, "float32")
        if dtype == "float64":
            x = x.detach().double().requires_grad_(True)
            words = {n: v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for n, v in words.items()}
        value = call(x, **words)
        value.backward(torch.ones_like(value))
        gradients.append(x.grad)
    try:
        torch.testing.assert_close(gradients[0], gradients[1].float())
    except AssertionError:
        return True
    return False


def _ours(case: Case, call: Call) -> bool:
    return any(_bad(case.on(dtype=dtype), call) for dtype in ("float64", "float32"))


def _bad(case: Case, call: Call) -> bool:
    """Whether ``gradcheck verify`` would fail."""
    verdicts = judge_case(case, subject=call)
    return any(v.status in ("deviates", "raises") and LEDGER.match(v) is None for v in verdicts)


def _by_verify(reference: Reference, call: Call) -> bool:
    """All cases that ``gradcheck verify`` runs."""
    dtypes = ("float64", "float32", "float16", "bfloat16")
    return any(_bad(case, call) for dtype in dtypes for case in corpus(reference, dtype, 60, 0))


TOOLS: dict[str, Callable[[Case, Call], bool]] = {
    "torch gradcheck slow": _by_differences(torch.autograd.gradcheck, fast=False),
    "torch gradcheck fast": _by_differences(torch.autograd.gradcheck, fast=True),
    "torch gradgradcheck slow": _by_differences(torch.autograd.gradgradcheck, fast=False),
    "torch gradgradcheck fast": _by_differences(torch.autograd.gradgradcheck, fast=True),
    "assert_close to float64": _by_float64,
    "this gradcheck, same inputs": _ours,
}
SLOW_LIMIT = 25
"""Elements above which gradgradcheck's slow mode is left out: it would take minutes a call."""


# --- The inputs that every tool gets. ---


def _standard(name: str, shape: tuple[int, int]) -> Case:
    """A call on standard inputs: bell-shaped numbers, defaults for the rest."""
    more = {
        "softmax": ", dim=-1",
        "log_softmax": ", dim=-1",
        "layer_norm": f", weight=ordinary({shape[1]}), bias=ordinary({shape[1]}), normalized_shape=({shape[1]},)",
        "mse_loss": f", target=ordinary({shape[0]}, {shape[1]})",
    }.get(name, "")
    return parse_case(f"nn.functional.{name}(x=ordinary({shape[0]}, {shape[1]}){more}) seed=1 dtype=float64")


class _Ordinary(SeededDraw):
    """Drawn cases of ordinary numbers only: what a test of any tool would take."""

    def kind(self, kinds: Any) -> str:
        return kinds[0]

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        return Draw.shape(self, dims, max(least, 1), min(most, 60))


def _correct(reference: Reference, index: int) -> Case:
    arguments = reference.inputs(_Ordinary(reference.name, 0, index))
    return Case(reference.name, tuple(arguments.items()), index)


# --- Tables. ---


def faults_caught() -> Table:
    """Rows: faults; in each cell, in how many of the operations it is found on 25 and on 1,000 elements."""
    table = Table(title=f"Faults found, of {len(OPERATIONS)} operations: on 5×5 / on 10×100 inputs")
    for column in ("fault", *TOOLS, "this gradcheck, verify"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for name, fault in FAULTS.items():
        cells = []
        for tool, finds_wrong in TOOLS.items():
            counts = []
            for shape in ((5, 5), (10, 100)):
                if tool == "torch gradgradcheck slow" and shape[0] * shape[1] > SLOW_LIMIT:
                    counts.append("-")
                    continue
                found = [finds_wrong(_standard(o, shape), fault.planted(_function(o))) for o in OPERATIONS]
                counts.append(str(sum(found)))
            cells.append(" / ".join(counts))
        verified = [_by_verify(reference_named(f"nn.functional.{o}"), fault.planted(_function(o))) for o in OPERATIONS]
        table.add_row(name, *cells, str(sum(verified)))
    return table


def _function(name: str) -> Call:
    return operation_named(f"nn.functional.{name}")


def false_alarms(calls: int = 5) -> Table:
    """Correct gradients called wrong, over all operations, on ordinary inputs."""
    cases = [_correct(reference, index) for reference in references().values() for index in range(calls)]
    table = Table(
        title=f"False alarms on PyTorch's own gradients, {len(cases)} calls of {len(references())} operations"
    )
    for column in ("tool", "float64", "float32"):
        table.add_column(column, justify="left" if column == "tool" else "right")
    for name, check in (("gradcheck", torch.autograd.gradcheck), ("gradgradcheck", torch.autograd.gradgradcheck)):
        for fast in (False, True):
            counts = [_alarms(_by_differences(check, fast, dtype), cases) for dtype in ("float64", "float32")]
            table.add_row(f"torch {name} {'fast' if fast else 'slow'}", *counts)
    table.add_row("assert_close to float64", "-", _alarms(_by_float64, cases))
    ours = [
        _alarms(lambda case, call, dtype=dtype: _bad(case.on(dtype=dtype), call), cases)
        for dtype in ("float64", "float32")
    ]
    table.add_row("this gradcheck", *ours)
    return table


def _alarms(finds_wrong: Callable[[Case, Call], bool], cases: list[Case]) -> str:
    found = 0
    for case in cases:
        try:
            found += finds_wrong(case, operation_named(case.operation))
        except (RuntimeError, ValueError, TypeError):  # a call that PyTorch itself refuses
            continue
    return str(found)


def cost() -> Table:
    """Seconds per gradient element of one check."""
    table = Table(title="Microseconds per gradient element, layer_norm")
    for column in ("tool", "5×5", "16×64"):
        table.add_column(column, justify="left" if column == "tool" else "right")
    call = _function("layer_norm")
    for tool, finds_wrong in TOOLS.items():
        cells = []
        for shape in ((5, 5), (16, 64)):
            if tool == "torch gradgradcheck slow" and shape[0] * shape[1] > SLOW_LIMIT:
                cells.append("-")
                continue
            case = _standard("layer_norm", shape)
            finds_wrong(case, call)  # warm up
            runs = [_seconds(finds_wrong, case, call) for _ in range(3)]
            cells.append(f"{min(runs) / (shape[0] * shape[1]) * 1e6:.3g}")
        table.add_row(tool, *cells)
    return table


def _seconds(finds_wrong: Callable[[Case, Call], bool], case: Case, call: Call) -> float:
    start = time.perf_counter()
    finds_wrong(case, call)
    return time.perf_counter() - start


def show(table: Table, markdown: bool) -> None:
    if not markdown:
        Console(width=160).print(table)
        return
    headers = [str(column.header) for column in table.columns]
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    lines = [f"| {' | '.join(headers)} |", f"|{' --- |' + ' ---: |' * (len(headers) - 1)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    print(f"**{table.title}**\n", *lines, "", sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print the tables for the README")
    markdown = parser.parse_args().markdown
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # gradcheck warns of float32 inputs
    for make in (faults_caught, false_alarms, cost):
        show(make(), markdown)
    print("jax.test_util.check_grads: " + ("not compared yet" if importlib.util.find_spec("jax") else "not installed"))


if __name__ == "__main__":
    main()
