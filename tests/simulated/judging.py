"""What the tests on a device, simulated or real, ask of a verdict."""

from __future__ import annotations

from gradcheck.cases.case import Case
from gradcheck.cases.modes import ORACLES
from gradcheck.reference.registry import Reference, entries
from gradcheck.verdict.kinds import judge
from gradcheck.verdict.ledger import load_ledger
from gradcheck.verdict.sentence import sentence

__all__ = ["FAMILIES", "MODES", "OTHERS", "assert_judged", "statuses"]

FAMILIES = (
    "nn.functional.softplus", "nn.functional.linear", "nn.functional.layer_norm", "nn.functional.conv2d",
    "nn.functional.cross_entropy", "nn.functional.embedding", "nn.functional.max_pool2d", "nn.functional.grid_sample",
    "nn.functional.scaled_dot_product_attention", "nn.functional.dropout", "nn.RNN",
)  # fmt: skip
"""One operation of every family, to be judged in every mode."""

MODES = tuple(mode for mode in ORACLES if not mode.startswith("compile:"))
"""Those that do not compile."""

OTHERS = tuple(
    (entry, mode)
    for entry in entries().values()
    if not isinstance(entry, Reference)
    for mode in entry.modes
    if not mode.startswith("compile:")
)
"""Everything that is judged and is no operation, in every mode or implementation: optimizers, schedules, clipping, …"""


def statuses(case: Case) -> dict[str, tuple[str, str]]:
    """By output, the status and what is said of it; ``known`` where the ledger covers it."""
    ledger = load_ledger()
    return {
        verdict.output: (verdict.status if ledger.match(verdict) is None else "known", sentence(verdict))
        for verdict in judge(case)
    }


def assert_judged(case: Case, device: str) -> None:
    """On the device every output agrees, or is what it is on the CPU."""
    on_cpu = statuses(case.on(device="cpu"))
    for output, (status, words) in statuses(case.on(device=device)).items():
        assert status in ("agrees", "coarse", "known") or status == on_cpu.get(output, ("", ""))[0], words
