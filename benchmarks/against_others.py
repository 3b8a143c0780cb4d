"""gradcheck beside the tools that do the same job, in one run, on the same faulty and the same correct gradients.

    python benchmarks/against_others.py [--markdown]

Tools: ``torch.autograd.gradcheck`` and ``gradgradcheck`` (slow and fast, float64, their own tolerances);
``torch.testing.assert_close`` of float32 gradients against a float64 run (its own tolerances);
``jax.test_util.check_grads`` on the same formulas in jax.numpy, where jax is installed; and gradcheck's verdict on the
same inputs, in float64 and float32, and with the cases that ``gradcheck verify`` runs. Every tool sees the same calls:
standard inputs of 25 and of 1,000 elements. Takes about 6 minutes on one core.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from against.faults import FAULTS, Call, Fault
from against.inputs import correct_case, standard_case
from against.tools import SLOW_LIMIT, TOOLS, alarmed, by_differences, by_float64, by_verify
from rich.console import Console
from rich.table import Table

from gradcheck.cases.case import Case
from gradcheck.reference.registry import reference_named
from gradcheck.subject.adapters import operation_named

FAULTY = ("silu", "tanh", "softplus", "softmax", "log_softmax", "layer_norm", "mse_loss")
"""Operations that faults are planted in."""

CORRECT = (
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "silu", "mish", "gelu", "softplus", "softsign", "tanhshrink",
    "hardtanh", "hardsigmoid", "hardswish", "logsigmoid", "sigmoid", "tanh", "glu", "softmax", "log_softmax", "softmin",
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "nll_loss", "cross_entropy", "linear",
    "layer_norm",
)  # fmt: skip
"""Operations whose own gradients every tool is shown."""

Tool = Callable[[Case, Call, Fault], bool]


def tools() -> dict[str, Tool]:
    """All tools, called alike: the call is the faulty one, made from the fault."""
    found = {name: _of_the_call(check) for name, check in TOOLS.items()}
    if importlib.util.find_spec("jax"):
        from against import check_grads

        found["jax check_grads"] = lambda case, call, fault: check_grads.finds_wrong(case, fault)
    return found


def _of_the_call(check: Callable[[Case, Call], bool]) -> Tool:
    """A tool that looks at the faulty call alone, not at the fault it was made from."""
    return lambda case, call, fault: check(case, call)


def _left_out(tool: str, shape: tuple[int, int]) -> bool:
    return tool == "torch gradgradcheck slow" and shape[0] * shape[1] > SLOW_LIMIT


def faults_caught() -> Table:
    """Rows: faults; in each cell, in how many of the operations it is found on 25 and on 1,000 elements."""
    table = Table(title=f"Faults found, of {len(FAULTY)} operations: on 5×5 / on 10×100 inputs")
    for column in ("fault", *tools(), "this gradcheck, verify"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for name, fault in FAULTS.items():
        cells = []
        for tool, finds_wrong in tools().items():
            counts = []
            for shape in ((5, 5), (10, 100)):
                if _left_out(tool, shape):
                    counts.append("-")
                    continue
                found = [finds_wrong(standard_case(o, shape), fault.planted(_function(o)), fault) for o in FAULTY]
                counts.append(str(sum(found)))
            cells.append(" / ".join(counts))
        verified = [by_verify(reference_named(f"nn.functional.{o}"), fault.planted(_function(o))) for o in FAULTY]
        table.add_row(name, *cells, str(sum(verified)))
    return table


def _function(name: str) -> Call:
    return operation_named(f"nn.functional.{name}")


def false_alarms(calls: int = 5) -> Table:
    """Correct gradients called wrong, on ordinary inputs."""
    operations = [reference_named(f"nn.functional.{name}") for name in CORRECT]
    cases = [correct_case(reference, index) for reference in operations for index in range(calls)]
    table = Table(title=f"False alarms on PyTorch's own gradients: {len(cases)} calls of {len(operations)} operations")
    for column in ("tool", "float64", "float32"):
        table.add_column(column, justify="left" if column == "tool" else "right")
    for name, check in (("gradcheck", torch.autograd.gradcheck), ("gradgradcheck", torch.autograd.gradgradcheck)):
        for fast in (False, True):
            counts = [_alarms(by_differences(check, fast, dtype), cases) for dtype in ("float64", "float32")]
            table.add_row(f"torch {name} {'fast' if fast else 'slow'}", *counts)
    table.add_row("assert_close to float64", "-", _alarms(by_float64, cases))
    table.add_row("this gradcheck", *_ours(cases))
    return table


def _ours(cases: list[Case]) -> Iterator[str]:
    for dtype in ("float64", "float32"):
        yield _alarms(lambda case, call, dtype=dtype: alarmed(case.on(dtype=dtype), call), cases)


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
    call, right = _function("layer_norm"), Fault(lambda g, x: g)
    for tool, finds_wrong in tools().items():
        cells = []
        for shape in ((5, 5), (16, 64)):
            if _left_out(tool, shape):
                cells.append("-")
                continue
            case = standard_case("layer_norm", shape)
            finds_wrong(case, call, right)  # warm up
            runs = [_seconds(finds_wrong, case, call, right) for _ in range(3)]
            cells.append(f"{min(runs) / (shape[0] * shape[1]) * 1e6:.3g}")
        table.add_row(tool, *cells)
    return table


def _seconds(finds_wrong: Tool, case: Case, call: Call, fault: Fault) -> float:
    start = time.perf_counter()
    finds_wrong(case, call, fault)
    return time.perf_counter() - start


def show(table: Table, markdown: bool) -> None:
    if not markdown:
        Console(width=180).print(table)
        return
    headers = [str(column.header) for column in table.columns]
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    lines = [f"| {' | '.join(headers)} |", f"|{' --- |' + ' ---: |' * (len(headers) - 1)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    print(f"**{table.title}**\n", *lines, "", sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print the tables for the README")
    markdown = parser.parse_args().markdown
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # gradcheck warns of float32 inputs
    for make in (faults_caught, false_alarms, cost):
        show(make(), markdown)
    if not importlib.util.find_spec("jax"):
        print("jax.test_util.check_grads was not run: jax is not installed (pip install jax).")


if __name__ == "__main__":
    main()
