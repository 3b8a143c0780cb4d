"""``gradcheck show``: the error curve of one operation, in the terminal or as a figure."""

from __future__ import annotations

import ast
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcheck.cli.files import writable
from gradcheck.errors import UsageError, choices

if TYPE_CHECKING:
    from gradcheck.reference.registry import Entry, Reference
    from gradcheck.report.curve import Curve

__all__ = ["show"]

CASES = 40


@click.command()
@click.argument("name", metavar="OPERATION")
@click.option("--dtype", "dtypes", multiple=True, metavar="D", help="A dtype (repeatable; default float32).")
@click.option("--device", default="cpu", show_default=True, metavar="D", help="cpu, cuda, cuda:N, mps, xpu, …")
@click.option("--mode", default=None, metavar="M", help="How PyTorch computes the gradient (default: backward).")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A hyperparameter (repeatable).")
@click.option("--output", "outputs", multiple=True, metavar="O", help="value or grad[x] (repeatable; default: both).")
@click.option(
    "--range", "window", nargs=2, type=float, default=None, metavar="LOW HIGH", help="Inputs from LOW to HIGH."
)
@click.option(
    "--points", type=click.IntRange(2, 1 << 24), default=1 << 16, show_default=True, help="Inputs of a curve."
)
@click.option("--cases", type=click.IntRange(min=1), default=None, help=f"Cases where there is no curve ({CASES}).")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Seed of these cases (0).")
@click.option("--plot", "file", metavar="FILE", help="Write a figure (.png, .svg, .pdf) instead of drawing here.")
def show(
    name: str,
    dtypes: tuple[str, ...],
    device: str,
    mode: str | None,
    given: tuple[str, ...],
    outputs: tuple[str, ...],
    window: tuple[float, float] | None,
    points: int,
    cases: int | None,
    seed: int | None,
    file: str | None,
) -> None:
    """Draw the errors of one OPERATION against its input: error/bound (1: as right as the dtype allows) and ulp.

    The inputs of an elementwise operation run along the number line of the dtype (all 65,536 numbers in 16 bits), with
    the neighbours of its kinks. Of other operations the cases of a seeded corpus are shown instead, error/bound against
    the size of the case.
    """
    from gradcheck.formats import format_named
    from gradcheck.report.curve import has_curve

    target = writable("--plot", file)
    if target is not None:
        from gradcheck.report.figure import check_matplotlib

        check_matplotlib(target)
    entry = _only(name)
    dtypes = tuple(dict.fromkeys(dtypes)) or ("float32",)
    for dtype in dtypes:
        format_named(dtype)

    from gradcheck.subject.devices import check_device
    from gradcheck.subject.facts import use_one_thread

    check_device(device)
    use_one_thread()
    if has_curve(entry):
        _refuse(f"{entry.name} has a curve, whose inputs are no drawn cases", {"--cases": cases, "--seed": seed})
        _show_curves(entry, dtypes, device, mode or "backward", given, outputs, window, points, target)
    else:
        reason = f"{entry.name} has no curve: its results depend on more than one number"
        _refuse(reason, {"--set": given or None, "--range": window, "--output": outputs or None})
        _show_cases(entry, dtypes, device, mode, cases or CASES, seed or 0, target)


def _only(name: str) -> Entry:
    """The one entry of that name. Raises UsageError for several."""
    from gradcheck.reference.registry import select

    found = select([name])
    if len(found) > 1:
        raise UsageError(
            f"operation {name!r} means several: {choices(entry.name for entry in found)}. Name one of them."
        )
    return found[0]


def _refuse(reason: str, options: dict[str, Any]) -> None:
    """Raise UsageError for an option that is given and means nothing."""
    for option, value in options.items():
        if value is not None:
            raise UsageError(f"{option} cannot be used here: {reason}.")


def _hyperparameters(given: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UsageError(f"--set {word!r}: expected NAME=VALUE, such as beta=1.7.")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[name] = value  # a word such as tanh
    return values


def _show_curves(
    entry: Any,
    dtypes: tuple[str, ...],
    device: str,
    mode: str,
    given: tuple[str, ...],
    outputs: tuple[str, ...],
    window: tuple[float, float] | None,
    points: int,
    target: Path | None,
) -> None:
    from gradcheck.report.curve import curve_case, curves_of

    operation: Reference = entry
    if window is not None and not -float("inf") < window[0] < window[1] < float("inf"):
        raise UsageError(f"--range {window[0]:g} {window[1]:g}: expected two finite numbers, the smaller one first.")
    hyperparameters = _hyperparameters(given)
    curves: list[Curve] = []
    for dtype in dtypes:
        case = curve_case(operation, dtype, hyperparameters, window=window, points=points, device=device, mode=mode)
        curves += curves_of(operation, case)
    known = dict.fromkeys(curve.output for curve in curves)
    for output in outputs:
        if output not in known:
            raise UsageError(f"output {output!r} is not known; expected {choices(known)}.")
    curves = [curve for curve in curves if not outputs or curve.output in outputs]
    if target is not None:
        from gradcheck.report.figure import save_curves

        save_curves(curves, target)
    width, colour = _terminal()
    for curve in curves:
        if target is None:
            from gradcheck.report.terminal import draw_curve

            click.echo(draw_curve(curve, width, colour))
        click.echo(_sentence(curve))


def _terminal() -> tuple[int, bool]:
    """Columns to draw in, and whether in colour."""
    import shutil

    return min(max(shutil.get_terminal_size((100, 24)).columns, 60), 200), sys.stdout.isatty()


def _sentence(curve: Curve) -> str:
    from gradcheck.report.trace import number

    case, worst, total = curve.case, curve.worst, len(curve.x)
    where = f"{case.operation} in {case.dtype} on {case.device}, {curve.output}"
    ratio = curve.ratio[worst]
    size = f"{ratio:.3g} × the bound" if ratio < float("inf") else "an error where none is allowed"
    got, should_be = f"{curve.got[worst]:.17g}", f"{curve.should_be[worst]:.17g}"
    found = (
        f"{where}: {total:,} inputs, at worst {size} at x = {curve.x[worst]:.17g} (got {got}, should be {should_be}); "
        f"{number(float(curve.ulp.max()))} ulp at worst; {curve.exceeding:,} exceed the bound."
    )
    lines = [found]
    if curve.beyond is not None:
        beyond = "as they should be" if curve.beyond <= 1.0 else f"off, by {number(curve.beyond)} × the bound"
        lines.append(f"  Results for infinite and NaN inputs are {beyond}.")
    quoted = str(case).replace("'", '"')
    return "\n".join([*lines, f"  replay: gradcheck replay '{quoted}'", ""])


def _show_cases(
    entry: Entry, dtypes: tuple[str, ...], device: str, mode: str | None, cases: int, seed: int, target: Path | None
) -> None:
    from gradcheck.report.scatter import by_output, points_of
    from gradcheck.run.plan import Selection, known_modes

    if mode is not None and mode not in known_modes([entry]):
        raise UsageError(f"mode {mode!r} is not known; expected {choices(known_modes([entry]))}.")
    for dtype in dtypes:
        if dtype not in entry.dtypes:
            raise UsageError(f"{entry.name} does not exist in {dtype}; expected {choices(entry.dtypes)}.")
    if target is not None and len(dtypes) > 1:
        raise UsageError(f"--plot: a figure of {entry.name} shows one dtype; {len(dtypes)} are given.")
    modes = (mode,) if mode else ()
    click.echo(
        f"{entry.name} is not elementwise, so there is no curve over its input. Shown instead: the {cases} drawn cases "
        f"of seed {seed} and the fixed ones, error / bound against the elements of the largest array."
    )
    for dtype in dtypes:
        selection = Selection((entry.name,), (dtype,), (device,), modes=modes, cases=cases, seed=seed)
        points = list(points_of(selection))
        groups = by_output(points)
        title = f"{entry.name}, {dtype}: error / bound against size"
        if not groups:
            statuses = choices(dict.fromkeys(point.verdict.status for point in points))
            raise UsageError(
                f"{entry.name} in {dtype} on {device} has no figures to show: every verdict is {statuses}."
            )
        if target is not None:
            from gradcheck.report.figure import save_points

            save_points(title, groups, target)
        else:
            from gradcheck.report.terminal import draw_points

            click.echo(draw_points(title, groups, *_terminal()))
        worst = max(
            (p.verdict for p in points),
            key=lambda verdict: -1.0 if math.isnan(verdict.error_over_bound) else verdict.error_over_bound,
        )

        from gradcheck.verdict.sentence import sentence

        click.echo(f"{len(points):,} verdicts. The worst: {sentence(worst)}")
