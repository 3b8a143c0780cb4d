"""Linear regression by hand and with autograd. The gradient by hand is 4 times the true one."""

from __future__ import annotations

from gradcheck.walkthrough.doubling import autograd_tables, manual_tables
from gradcheck.walkthrough.figures import Report, recorded

__all__ = ["scenario"]


def scenario(device: str = "cpu") -> Report:
    """Both tables and the predictions f(17)."""
    report = Report("002", "w·x by hand and with autograd")
    tables = recorded("002")
    manual_tables(report, tables["by hand"], tables["by hand, prediction"], 17, "f(17)", fused=True)
    autograd = tables["autograd"], tables["autograd, prediction"]
    autograd_tables(report, *autograd, 17, "f(17)", 100, "autograd", device)
    return report
