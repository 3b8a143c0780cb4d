"""Pictures of a walkthrough: loss curves, and the autograd graph as DOT."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradcheck.errors import UsageError

__all__ = ["as_dot", "check_graph", "check_plot", "draw_graph", "draw_losses"]

EXTRA = "install it with `pip install 'gradcheck[plot]'`"
IMAGES = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Raise UsageError unless loss curves can be drawn to ``path``."""
    if path.suffix not in IMAGES:
        raise UsageError(f"--plot {str(path)!r}: expected a file that ends in {', '.join(IMAGES)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError(f"--plot needs matplotlib, which is not installed; {EXTRA}.") from None


def draw_losses(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """One panel for each curve, side by side: the loss by epoch, on a logarithmic scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * len(curves), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for panel, (name, losses) in zip(panels, curves.items(), strict=True):
        panel.plot(range(len(losses)), losses)
        panel.set(title=name, xlabel="epoch", ylabel="loss", yscale="log")
    figure.savefig(path)


def as_dot(names: Mapping[int, str], edges: Sequence[tuple[int, int]]) -> str:
    """The graph in the DOT language: leaves as boxes, the output filled."""
    lines = ["digraph {", "    node [shape=ellipse]"]
    for number, name in sorted(names.items()):
        style = ", shape=box" if name.startswith("(") else ", style=filled" if number == 0 else ""
        lines.append(f'    {number} [label="{name}"{style}]')
    lines += [f"    {first} -> {second}" for first, second in edges]
    return "\n".join([*lines, "}"])


def check_graph(path: Path) -> None:
    """Raise UsageError unless a graph can be drawn to ``path``: a ``.dot`` file needs nothing, a picture graphviz."""
    if path.suffix == ".dot":
        return
    if path.suffix not in IMAGES:
        raise UsageError(f"--graph {str(path)!r}: expected a file that ends in .dot, {', '.join(IMAGES)}.")
    try:
        import graphviz  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--graph {str(path)!r} needs the package graphviz, which is not installed; {EXTRA}, or name a .dot file."
        ) from None
    if shutil.which("dot") is None:
        raise UsageError(
            f"--graph {str(path)!r} needs graphviz's program dot, which is not there; install it, or name a .dot file."
        )


def draw_graph(path: Path, names: Mapping[int, str], edges: Sequence[tuple[int, int]]) -> None:
    """Write DOT, or a picture made by graphviz."""
    text = as_dot(names, edges)
    if path.suffix == ".dot":
        path.write_text(text + "\n", encoding="utf-8")
        return
    import graphviz

    path.write_bytes(graphviz.Source(text).pipe(format=path.suffix[1:]))
