"""Connectionist temporal classification: the sum over all alignments, by the forward-backward recursion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import fixed, guarded
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.registry import Kink, reference

__all__ = ["ctc_loss", "ctc_loss_of_log_probabilities"]

KINDS = ("ordinary", "integers", "ties", "wide", "large", "subnormal")


def _inputs(draw: Any) -> dict[str, Any]:
    steps, batch, longest = draw.choice((4, 3, 7, 1, 12)), draw.choice((2, 1, 3)), draw.choice((2, 1, 3))
    classes = draw.side(2, 17)
    blank = draw.choice((0, classes - 1))
    words = {"low": 0 if blank else 1, "high": classes - 2 if blank else classes - 1}
    way = draw.choice(("padded", "concatenated", "unbatched"))
    lead = () if way == "unbatched" else (batch,)
    if way == "padded":
        targets, least = draw.lengths((batch, longest), **words), draw.choice((1, 0))
    else:  # as long as all targets together, so these are of one length
        targets, least = draw.lengths((longest * batch if lead else longest,), **words), longest
    return {
        "x": draw.array((steps, *lead, classes), KINDS),
        "targets": targets,
        "input_lengths": draw.lengths(lead, draw.choice((steps, 1)), steps),
        "target_lengths": draw.lengths(lead, least, longest),
        "blank": blank,
        **hyperparameters(draw, reduction=REDUCTIONS, zero_infinity=(False, True)),
    }


@dataclass(frozen=True)
class _Lattice:
    """The states of each sample: label, blank and label in turn, (N, 2S + 1), beginning and ending with a blank.

    label: the class of each state; skips: whether a path may come from two states before; ends: the last states, (N,
    2S + 1); steps: how many steps the sample has, (N,). forward, backward: (T, N, 2S + 1), whether a path from a first
    state, or to a last one, leads through the state.
    """

    label: np.ndarray
    skips: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    steps: np.ndarray
    forward: np.ndarray
    backward: np.ndarray


def _lattice(steps: int, targets: Any, input_lengths: Any, target_lengths: Any, blank: int) -> _Lattice:
    lengths, times = np.atleast_1d(target_lengths), np.atleast_1d(input_lengths)
    padded = _padded(np.asarray(targets), lengths)
    batch, longest = padded.shape
    label = np.full((batch, 2 * longest + 1), blank)
    label[:, 1::2] = padded
    place = np.arange(2 * longest + 1)
    used = place <= 2 * lengths[:, None]
    skips = np.zeros(label.shape, dtype=bool)
    skips[:, 2:] = (label[:, 2:] != label[:, :-2]) & (place[2:] % 2 == 1)
    starts = used & (place < 2)
    ends = used & (place >= 2 * lengths[:, None] - 1)
    forward, backward = np.zeros((2, steps, *label.shape), dtype=bool)
    forward[0] = starts
    for t in range(1, steps):
        forward[t] = used & np.any(_came_from(forward[t - 1], skips), axis=0)
    for t in reversed(range(steps)):
        later = np.any(_goes_to(backward[t + 1], skips), axis=0) if t + 1 < steps else False
        backward[t] = np.where((times == t + 1)[:, None], ends, (times > t + 1)[:, None] & used & later)
    return _Lattice(label, skips, starts, ends, times, forward, backward)


def _padded(targets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Targets as (N, S): padded ones, one without a batch, or consecutive ones of these lengths."""
    if targets.ndim == 2:
        return targets
    if len(lengths) == 1:
        return targets[None]
    rows = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    for row, start, length in zip(rows, np.cumsum(lengths) - lengths, lengths, strict=True):
        row[:length] = targets[start : start + length]
    return rows


def _moved(states: Any, by: int) -> Any:
    """The states so many places before (by > 0) or after each; zeros beyond the ends."""
    if by > 0:
        return np.pad(states, ((0, 0), (by, 0)))[:, : np.shape(states)[1]]
    return np.pad(states, ((0, 0), (0, -by)))[:, -by:]


def _came_from(states: Any, skips: np.ndarray) -> list[Any]:
    """What was in the same state, in the one before, and two before it where that may be skipped (masks only)."""
    return [states, _moved(states, 1), _moved(states, 2) & skips]


def _goes_to(states: Any, skips: np.ndarray) -> list[Any]:
    return [states, _moved(states, -1), _moved(states & skips, -2)]


def _log_sum(terms: Sequence[Any], masks: Sequence[Any]) -> Any:
    """log Σ exp of the terms whose masks hold, shifted by the largest; something finite where none does.

    The sum does not depend on the shift, and so its error is no error of the sum (``fixed``).
    """
    peak = terms[-1]
    for term, mask in zip(reversed(terms[:-1]), reversed(masks[:-1]), strict=True):
        peak = np.where(mask, term, peak)
    for term, mask in zip(terms, masks, strict=True):
        peak = np.maximum(peak, np.where(mask, term, peak))
    peak = fixed(peak)
    parts = [
        np.where(mask, np.exp(guarded(term - peak, mask)), np.zeros_like(peak))
        for term, mask in zip(terms, masks, strict=True)
    ]
    some = np.any(masks, axis=0)
    return np.log(guarded(np.sum(np.stack(parts), axis=0), some, 1.0)) + peak


def _alphas(emitted: list[Any], lattice: _Lattice) -> list[Any]:
    """log Σ over the paths from a first state to each state, of the steps up to t; only where ``forward`` holds."""
    alphas = [emitted[0]]
    for t in range(1, len(emitted)):
        before, reached = alphas[-1], _came_from(lattice.forward[t - 1], lattice.skips)
        alphas.append(_log_sum([before, _moved(before, 1), _moved(before, 2)], reached) + emitted[t])
    return alphas


def _betas(emitted: list[Any], lattice: _Lattice) -> list[Any]:
    """log Σ over the paths from each state to a last one, of the steps from t on; only where ``backward`` holds."""
    betas = [emitted[-1]]
    for t in reversed(range(len(emitted) - 1)):
        after, reached = betas[0], _goes_to(lattice.backward[t + 1], lattice.skips)
        onward = _log_sum([after, _moved(after, -1), _moved(after, -2)], reached) + emitted[t]
        betas.insert(0, np.where((lattice.steps == t + 1)[:, None], emitted[t], onward))
    return betas


IMPOSSIBLE = {
    "x": [[[-1.0, -0.5]]],
    "targets": [[1, 1]],
    "input_lengths": [1],
    "target_lengths": [2],
    "reduction": "sum",
}
"""Two labels in one step: there is no alignment."""


@reference(
    "nn.functional.ctc_loss",
    inputs=_inputs,
    constant=("targets", "input_lengths", "target_lengths"),
    kinks=(
        Kink(
            "the target is too long for the input",
            "the loss is inf, the gradient NaN",
            at=IMPOSSIBLE,
            gives={"value": math.inf, "grad[x]": [[[math.nan, math.nan]]]},
        ),
        Kink(
            "the target is too long for the input, zero_infinity",
            "loss and gradient are 0",
            at={**IMPOSSIBLE, "zero_infinity": True},
            gives={"value": 0.0, "grad[x]": [[[0.0, 0.0]]]},
        ),
    ),
)
def ctc_loss(
    x: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """-log Σ over the alignments of the target of Π exp(x) along them (Graves et al. 2006).

    x: log-probabilities, (T, N, C) or (T, C); targets: (N, S) or one after the other; lengths: (N,) or 0-dimensional.
    ``mean`` divides each loss by the length of its target, at least 1, first. Without an alignment the loss is inf and
    the gradient NaN, or with ``zero_infinity`` both are 0. PyTorch's convention: the gradient is
    (exp(x) - occupancy)·g, where the derivative is -occupancy·g alone. The two are the same for the logits before
    log_softmax, whose backward takes away what is proportional to exp(x).
    """
    return _ctc(x, targets, input_lengths, target_lengths, blank, reduction, zero_infinity, of_logits=True)


def ctc_loss_of_log_probabilities(
    x: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """The same with the plain derivative as gradient: what the certificate of ctc_loss rests on."""
    return _ctc(x, targets, input_lengths, target_lengths, blank, reduction, zero_infinity, of_logits=False)


def _ctc(
    x: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int,
    reduction: str,
    zero: bool,
    of_logits: bool,
) -> Any:
    shape = np.shape(x)
    logs = x if len(shape) == 3 else np.expand_dims(x, 1)
    lattice = _lattice(shape[0], targets, input_lengths, target_lengths, blank)
    emitted = [np.take_along_axis(logs[t], lattice.label, axis=1) for t in range(shape[0])]
    alphas = _alphas(emitted, lattice)
    loss, possible = _losses(alphas, lattice)
    elements = np.where(possible, loss, np.zeros_like(loss) if zero else np.zeros_like(loss) + np.inf)
    value, spread = _reduced(elements, np.maximum(np.atleast_1d(target_lengths), 1), reduction)

    def ctc_loss_vjp(g: Any) -> dict[str, Any]:
        each = np.expand_dims(spread(g) * np.ones_like(loss), 1)
        betas = _betas(emitted, lattice)
        rows = []
        for t in range(shape[0]):
            on_path = lattice.forward[t] & lattice.backward[t]
            share, named = _collected(alphas[t] + betas[t], on_path, lattice.label, shape[-1])
            exponent = guarded(share + np.expand_dims(loss, 1) - logs[t], named)
            occupied = np.where(named, np.exp(exponent), np.zeros_like(logs[t]))
            slope = (np.exp(logs[t]) - occupied if of_logits else -occupied) * each
            slope = np.where(possible[:, None], slope, np.zeros_like(slope) + (0.0 if zero else np.nan))
            rows.append(np.where((t < lattice.steps)[:, None], slope, np.zeros_like(slope)))
        return {"x": np.stack(rows).reshape(shape)}

    return value.reshape(()) if len(shape) == 2 else value, ctc_loss_vjp


def _losses(alphas: list[Any], lattice: _Lattice) -> tuple[Any, np.ndarray]:
    """-log Σ over the last states at the last step of each sample, and whether there is an alignment at all."""
    last = np.broadcast_to((lattice.steps - 1)[None, :, None], (1, *lattice.label.shape))
    final = np.take_along_axis(np.stack(alphas), last, axis=0)[0]
    reached = np.take_along_axis(lattice.forward, last, axis=0)[0]
    at_end = np.sum(lattice.ends.cumsum(axis=1) == 0, axis=1)[:, None] + np.arange(2)[::-1]
    at_end = np.minimum(at_end, lattice.label.shape[1] - 1)
    masks = np.take_along_axis(reached & lattice.ends, at_end, axis=1)
    masks[:, 0] &= at_end[:, 0] != at_end[:, 1]
    ends = np.take_along_axis(final, at_end, axis=1)
    return -_log_sum([ends[:, 0], ends[:, 1]], [masks[:, 0], masks[:, 1]]), np.any(masks, axis=1)


def _collected(states: Any, on_path: np.ndarray, label: np.ndarray, classes: int) -> tuple[Any, np.ndarray]:
    """log Σ of the states of each class, added up one by one from the last, (N, C), and which classes have any."""
    named = np.zeros((len(label), classes), dtype=bool)
    total = np.zeros_like(states[:, :1]) * np.zeros((1, classes))
    for s in reversed(range(label.shape[1])):
        here = (label[:, s : s + 1] == np.arange(classes)) & on_path[:, s : s + 1]
        term = states[:, s : s + 1] + np.zeros((1, classes))
        first, again = here & ~named, here & named
        if again.any():
            total = np.where(again, _log_sum([total, term], [again, again]), total)
        total = np.where(first, term, total)
        named |= here
    return total, named


def _reduced(elements: Any, lengths: np.ndarray, reduction: str) -> Any:
    if reduction == "none":
        return elements, lambda g: g
    if reduction == "sum":
        return np.sum(elements), lambda g: g
    count = np.size(elements)
    return np.sum(elements / lengths) / count, lambda g: g / count / lengths
