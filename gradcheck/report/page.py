"""The report: one self-contained HTML page about a run of a record."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.record.read import Record
from gradcheck.record.run import Run
from gradcheck.report.deviations import deviations
from gradcheck.report.difference import difference
from gradcheck.report.errors import curves, sizes
from gradcheck.report.formula import formula
from gradcheck.report.overview import AXES, CLASSES, overview

if TYPE_CHECKING:
    from gradcheck.record.compare import Comparison

__all__ = ["LEGEND", "page"]

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("base.js", "heat.js", "overview.js", "chart.js", "operation.js", "lists.js", "difference.js", "router.js")

LEGEND = {
    "deviates": "outside every bound, or an exception, and not in the ledger",
    "known": "a deviation that the ledger knows, with its size and reason",
    "coarse": "within the bound of rounding every operation to 16 bits",
    "agrees": "as right as the dtype allows",
    "unsupported": "PyTorch says that it has no such kernel",
}


def page(
    record: Record,
    run: Run,
    comparison: Comparison | None = None,
    *,
    with_curves: bool = True,
    told: Callable[[str], None] = lambda words: None,
) -> str:
    """The page about one run.

    comparison: of an earlier run with this one, for what changed; with_curves: draw error curves anew by the installed
    PyTorch; told: hears of progress.
    """
    told("figures")
    found = overview(record, run)
    bad = deviations(record, run)
    by_size = sizes(record, run)
    drawn: dict[str, Any] = {"inputs": {}, "curves": {}, "facts": {}}
    if with_curves:
        drawn = curves(_cpu_places(record, run), told)
    changed = difference(comparison) if comparison else None
    data = {
        **found,
        "deviations": bad["found"],
        "left": bad["left"],
        "entries": bad["entries"],
        "difference": changed,
        "inputs": drawn["inputs"],
        "judged": _judged_by(drawn["facts"], run),
    }
    told("formulas")
    refused = _unsupported(record, run)
    details = [
        {
            "formula": formula(name),
            "curves": drawn["curves"].get(name),
            "sizes": by_size.get(name),
            "unsupported": refused.get(name, []),
        }
        for name in found["axes"]["operation"]
    ]
    return _rendered(
        run=run,
        lead=_lead(found, run),
        facts=_facts(run),
        legend=LEGEND,
        difference=changed,
        data=_embedded(data),
        details=[_embedded(detail) for detail in details],
    )


def _rendered(**content: Any) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    assets = {path.name: Markup(path.read_text(encoding="utf-8")) for path in sorted(ASSETS.glob("*.[cj]s*"))}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    template = environment.from_string((ASSETS / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(assets=assets, scripts=SCRIPTS, written=now, **content)


def _embedded(content: Any) -> Any:
    """JSON that may stand in a script element, whatever is in its strings."""
    from markupsafe import Markup

    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _judged_by(facts: dict[str, Any], run: Run) -> str:
    """Who computed the error curves; it need not be who made the run."""
    if not facts:
        return ""
    words = f"PyTorch {facts['torch']} on this CPU ({facts['cpu_capability']})"
    if (facts["torch"], facts["cpu_capability"]) == (run.torch, run.cpu_capability):
        return words
    return f"{words}, while the run was made by PyTorch {run.torch} ({run.cpu_capability})"


def _cpu_places(record: Record, run: Run) -> list[tuple[str, str]]:
    """Operations and dtypes that the run judged on the CPU by backward: of these, curves can be drawn here."""
    sql = """SELECT DISTINCT c.operation, c.dtype FROM verdicts v JOIN cases c ON c.id = v.case_id
        WHERE v.run = ? AND c.device = 'cpu' ORDER BY c.operation, c.dtype"""
    return [(operation, dtype) for operation, dtype in record.rows(sql, run.number)]


def _unsupported(record: Record, run: Run) -> dict[str, list[dict[str, Any]]]:
    """By operation: in which dtypes and modes PyTorch says that it has no kernel, in its words."""
    sql = """SELECT c.operation, c.dtype, c.mode, v.words, count(*) FROM verdicts v JOIN cases c ON c.id = v.case_id
        WHERE v.run = ? AND v.status IN ('unsupported', 'absent') GROUP BY c.operation, c.dtype, c.mode, v.words
        ORDER BY c.operation, count(*) DESC LIMIT 5000"""
    found: dict[str, list[dict[str, Any]]] = {}
    for operation, dtype, mode, words, count in record.rows(sql, run.number):
        rows = found.setdefault(operation, [])
        if len(rows) < 40:
            rows.append({"dtype": dtype, "mode": mode, "words": words, "count": count})
    return found


def _lead(found: dict[str, Any], run: Run) -> str:
    """The run in one sentence."""
    totals = {name: sum(cell[len(AXES) + k] for cell in found["cells"]) for k, name in enumerate(CLASSES)}
    operations = len(found["axes"]["operation"])
    beyond = totals["deviates"]
    failing = "nothing deviates beyond the ledger" if not beyond else f"{beyond:,} deviate beyond the ledger"
    return (
        f"{sum(totals.values()):,} verdicts on {operations:,} operations, on {run.device or 'cpu'}"
        f" ({run.cpu_capability}): {failing}."
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    """What could matter to the verdicts, by its name for people."""
    precision = ", ".join(f"{name} {value}" for name, value in run.precision.items())
    selection = ", ".join(
        f"{name} {_short(value)}" for name, value in run.selection.items() if value not in (None, [], ())
    )
    words = {
        "PyTorch": run.torch,
        "Devices": run.device,
        "CPU capability": run.cpu_capability,
        "BLAS": run.blas,
        "Threads": str(run.threads),
        "NumPy": run.numpy,
        "Python": run.python,
        "Platform": run.platform,
        "gradcheck": run.gradcheck,
        "Host": run.host,
        "Started": run.started,
        "Finished": run.finished or "not finished",
        "Run": f"{run.number} ({run.uuid})",
        "Precision settings": precision,
        "Asked for": selection,
    }
    return [(name, value) for name, value in words.items() if value]


def _short(value: Any) -> str:
    """A value in words; a long list as how many it has."""
    if isinstance(value, (list, tuple)):
        return f"{len(value)}" if len(value) > 4 else " ".join(map(str, value))
    return str(value)
