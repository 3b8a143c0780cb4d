"""A verdict in words: which element, got, should be, by how much, how many, the call, the replay line."""

from __future__ import annotations

import math

from gradcheck.verdict.verdict import Verdict, Witness

__all__ = ["replay_line", "sentence"]


def replay_line(verdict: Verdict) -> str:
    """The shell command that judges the verdict's case again."""
    quoted = verdict.case.replace("'", '"')
    return f"gradcheck replay '{quoted}'"


def sentence(verdict: Verdict) -> str:
    """What was found, in one or two sentences and a replay line."""
    where = f"{verdict.operation} in {verdict.dtype} on {verdict.device}, {verdict.mode}"
    if verdict.layout != "contiguous":
        where += f", {verdict.layout}"
    lines = [f"{where}: {verdict.output} {_finding(verdict)}"]
    lines += [f"  note: {note}" for note in verdict.notes]
    return "\n".join([*lines, f"  replay: {replay_line(verdict)}"])


def _finding(verdict: Verdict) -> str:
    if verdict.status in ("raises", "unsupported"):
        return f"{'raises' if verdict.status == 'raises' else 'is unsupported'}: {verdict.words}"
    if verdict.status in ("absent", "crashed", "timed out"):
        return f"{verdict.status}: {verdict.words}"
    if verdict.witness is None:
        tail = f" ({verdict.words})" if verdict.words else ""
        return f"{verdict.status}; worst error/bound {verdict.error_over_bound:.3g}, {verdict.ulp:.3g} ulp{tail}."
    where = f" ({verdict.words})" if verdict.words else ""
    return f"{_how_much(verdict)}{where}. {_witness(verdict.witness)}"


def _how_much(verdict: Verdict) -> str:
    ratio = verdict.error_over_bound
    size = f"by {ratio:.3g} × the bound" if math.isfinite(ratio) else "where no error is allowed"
    if verdict.status == "coarse":
        storage = verdict.error_over_storage_bound
        return f"is coarse: off {size} of a kernel that rounds once, {storage:.3g} × that of rounding every operation"
    return f"deviates {size} ({verdict.ulp:.3g} ulp at worst)"


def _witness(witness: Witness) -> str:
    inputs = "".join(f", {name} = {value:.17g}" for name, value in witness.inputs)
    return (
        f"At index {witness.index}{inputs}: got {witness.got:.17g}, should be {witness.should_be:.17g} "
        f"± {witness.bound:.3g}; {witness.exceeding} of {witness.elements} elements exceed the bound."
    )
