"""Micro-batches, correctly weighted, give the gradient of the whole batch; the mean of means does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.cases.inputs import Bits
from gradcheck.reference.accumulation.microbatch import accumulated, count_of, naive_factors, part_weights
from gradcheck.reference.evaluate import bounded_outputs, float64_outputs
from gradcheck.reference.registry import reference_named
from gradcheck.subject.adapters import operation_named
from gradcheck.subject.tensors import to_array, to_tensor
from gradcheck.verdict.compare import error_ratios

ROWS, CLASSES = 12, 5
CUTS = (0, 5, 7, 12)
"""Micro-batches of 5, 2 and 5 rows: the last steps of a loader are partial."""

MEAN = {"reduction": "mean"}
LOSSES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
            "binary_cross_entropy_with_logits", "soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss",
            "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "poisson_nll_loss",
            "gaussian_nll_loss", "cosine_embedding_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
            "ctc_loss",
        ),
        MEAN,
    ),
    "kl_div": {"reduction": "batchmean"},
    "nll_loss": {"reduction": "mean", "ignore_index": 1},
    "cross_entropy": {"reduction": "mean", "ignore_index": 1},
    "linear_cross_entropy": {"reduction": "mean", "ignore_index": 1},
}  # fmt: skip
WEIGHTED = ("nll_loss", "cross_entropy")
SHARED = ("weight", "linear_weight")
"""Arguments that all rows have in common."""


def ones(output: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


def batch(name: str, dtype: str, weighted: bool) -> dict[str, Any]:
    """A batch of ROWS rows, in which the micro-batches have unequal counts of targets."""
    bits, form = Bits("microbatch", name), rounding_model(dtype).store
    shape = (ROWS, CLASSES)

    def unit(*sides: int) -> np.ndarray:
        return form.round(0.1 + 0.8 * bits.unit(int(np.prod(sides))).reshape(sides))

    def bell(*sides: int) -> np.ndarray:
        return form.round(bits.bell(int(np.prod(sides))).reshape(sides))

    classes: Any = bits.below(CLASSES, ROWS)
    signs = np.where(bits.below(2, ROWS) == 0, -1.0, 1.0)
    x = bell(*shape)
    if name in (*WEIGHTED, "linear_cross_entropy"):
        classes[:4] = 1  # most of the first micro-batch is ignored
        if name == "linear_cross_entropy":
            return {"x": x, "linear_weight": bell(CLASSES, CLASSES), "target": classes}
        return {"x": x, "target": classes, "weight": form.round(0.5 + bits.unit(CLASSES)) if weighted else None}
    if name == "ctc_loss":
        scores = bits.bell(6 * ROWS * CLASSES).reshape(6, ROWS, CLASSES)
        logs = form.round(scores - np.log(np.exp(scores).sum(axis=2, keepdims=True)))
        lengths, two = np.full(ROWS, 6), np.full(ROWS, 2)
        return {
            "x": logs,
            "targets": 1 + bits.below(4, 2 * ROWS).reshape(ROWS, 2),
            "input_lengths": lengths,
            "target_lengths": two,
        }
    others: dict[str, Callable[[], dict[str, Any]]] = {
        "soft_margin_loss": lambda: {"target": np.repeat(signs[:, None], CLASSES, axis=1)},
        "hinge_embedding_loss": lambda: {"target": np.repeat(signs[:, None], CLASSES, axis=1)},
        "margin_ranking_loss": lambda: {"input2": bell(*shape), "target": np.repeat(signs[:, None], CLASSES, axis=1)},
        "multi_margin_loss": lambda: {"target": classes},
        "multilabel_margin_loss": lambda: {
            "target": np.where(np.arange(CLASSES) < 2, (classes[:, None] + np.arange(CLASSES)) % CLASSES, -1)
        },
        "gaussian_nll_loss": lambda: {"target": bell(*shape), "var": unit(*shape)},
        "cosine_embedding_loss": lambda: {"input2": bell(*shape), "target": signs},
        "triplet_margin_loss": lambda: {"positive": bell(*shape), "negative": bell(*shape)},
        "triplet_margin_with_distance_loss": lambda: {"positive": bell(*shape), "negative": bell(*shape)},
    }
    if name == "binary_cross_entropy":
        x = unit(*shape)
    return {"x": x, **(others[name]() if name in others else {"target": unit(*shape)})}


def part(arguments: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """The rows from start to stop of every argument that has rows; those of ctc_loss are columns of x."""

    def cut(name: str, array: Any) -> Any:
        if array is None or name in SHARED:
            return array
        return array[:, start:stop] if name == "x" and "input_lengths" in arguments else array[start:stop]

    return {name: cut(name, array) for name, array in arguments.items()}


PARTS = list(itertools.pairwise(CUTS))


def torch_gradient(
    name: str, arguments: dict[str, Any], options: dict[str, Any], dtype: str, weights: list[float]
) -> Any:
    """.grad of the whole x after one backward for each micro-batch, each loss times its weight."""
    tensors = {key: None if v is None else to_tensor(v, dtype, "cpu") for key, v in arguments.items()}
    leaf = tensors["x"].requires_grad_(True)
    for (start, stop), weight in zip(PARTS, weights, strict=True):
        cut = part(tensors | {"x": leaf}, start, stop)
        loss = operation_named(f"nn.functional.{name}")(cut.pop("x"), **cut, **options)
        (loss * weight).backward(torch.ones_like(loss))
    return to_array(leaf.grad)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.filterwarnings("ignore:reduction. .mean. divides")  # kl_div says that it does what is asked of it here
@pytest.mark.parametrize(
    ("name", "reduction"),
    [(name, reduction) for name in LOSSES for reduction in ("mean", "sum", "none")] + [("kl_div", "batchmean")],
)
def test_weighted_micro_batches_give_the_gradient_of_the_whole(name: str, reduction: str, dtype: str) -> None:
    options = {**LOSSES[name], "reduction": reduction}
    for weighted in (False, True) if name in WEIGHTED else (False,):
        arguments = batch(name, dtype, weighted)
        reference = reference_named(f"nn.functional.{name}")
        counts = [count_of(reference.name, part(arguments, *cut) | options) for cut in PARTS]
        weights = part_weights(counts, reduction)
        try:
            got = torch_gradient(name, arguments, options, dtype, weights)
        except RuntimeError as error:
            if "not implemented for" not in str(error):
                raise
            pytest.skip(f"PyTorch has no such kernel: {str(error).splitlines()[0]}")
        model = rounding_model(dtype, grade="coarse" if dtype in ("float16", "bfloat16") else "agrees")
        rows = []
        for cut, weight in zip(PARTS, weights, strict=True):
            gradient = bounded_outputs(reference, part(arguments, *cut) | options, ones, model)["grad[x]"]
            rows.append(accumulated([gradient], [weight]))
        along = 1 if name == "ctc_loss" else 0
        summed = Bounded(
            np.concatenate([row.value for row in rows], axis=along),
            np.concatenate([row.full_bound() for row in rows], axis=along),
            rows[0].model,
        )
        assert error_ratios(got, summed).max() <= 1.0
        # And that is the gradient of the whole batch, exactly, but for float64's own rounding.
        whole = float64_outputs(reference, arguments | options, ones)["grad[x]"]
        own = bounded_outputs(reference, arguments | options, ones, rounding_model("float64"))["grad[x]"]
        parts = np.concatenate(
            [
                float64_outputs(reference, part(arguments, *cut) | options, ones)["grad[x]"] * weight
                for cut, weight in zip(PARTS, weights, strict=True)
            ],
            axis=along,
        )
        assert np.all(np.abs(parts - whole) <= 4.0 * own.full_bound())


@pytest.mark.parametrize("name", WEIGHTED)
def test_the_mean_of_means_is_off_by_the_factor_that_is_said(name: str) -> None:
    """The naive weight 1/k, where ignored targets leave unequal counts: each part is off by its own factor."""
    arguments, options = batch(name, "float64", weighted=False), LOSSES[name]
    reference = reference_named(f"nn.functional.{name}")
    counts = [count_of(reference.name, part(arguments, *cut) | options) for cut in PARTS]
    assert len(set(counts)) > 1
    naive = torch_gradient(name, arguments, options, "float64", [1.0 / len(PARTS)] * len(PARTS))
    whole = bounded_outputs(reference, arguments | options, ones, rounding_model("float64"))["grad[x]"]
    assert error_ratios(naive, whole).max() > 1e6
    for (start, stop), factor in zip(PARTS, naive_factors(counts), strict=True):
        scaled = Bounded(whole.value[start:stop] * factor, 4.0 * whole.full_bound()[start:stop] * factor, whole.model)
        assert error_ratios(naive[start:stop], scaled).max() <= 1.0


def test_equal_micro_batches_need_no_care() -> None:
    assert naive_factors([4.0, 4.0, 4.0]) == [1.0, 1.0, 1.0]


def test_a_weight_of_one_over_k_with_a_partial_last_batch_is_caught() -> None:
    """The planted fault: rows 5, 2, 5 weighted a third each."""
    arguments, options = batch("mse_loss", "float64", weighted=False), LOSSES["mse_loss"]
    reference = reference_named("nn.functional.mse_loss")
    whole = bounded_outputs(reference, arguments | options, ones, rounding_model("float64"))["grad[x]"]
    right = part_weights([count_of(reference.name, part(arguments, *cut) | options) for cut in PARTS], "mean")
    assert error_ratios(torch_gradient("mse_loss", arguments, options, "float64", right), whole).max() <= 4.0
    wrong = torch_gradient("mse_loss", arguments, options, "float64", [1.0 / 3.0] * 3)
    assert error_ratios(wrong, whole).max() > 1e6


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_network_accumulates_what_the_whole_batch_gives(dtype: str) -> None:
    """conv2d, layer_norm and linear with shared parameters: Σ over micro-batches within the bounds of both ways."""
    model = rounding_model(dtype)
    form = model.store
    bits = Bits("network")

    def drawn(*shape: int) -> np.ndarray:
        return form.round(0.5 * bits.bell(int(np.prod(shape))).reshape(shape))

    x, kernel, gain, weight = drawn(6, 2, 4, 4), drawn(3, 2, 3, 3), drawn(12), drawn(2, 12)
    conv, norm, linear = (reference_named(f"nn.functional.{name}") for name in ("conv2d", "layer_norm", "linear"))

    def reference_gradients(rows: np.ndarray, g: np.ndarray) -> dict[str, Bounded]:
        from gradcheck.arithmetic import stored
        from gradcheck.arithmetic.running import lift, lift_array

        def up(array: np.ndarray) -> Bounded:
            return lift_array(array, model)

        first, pull_first = conv.function(up(rows), up(kernel))
        flat = stored(first).reshape(len(rows), 12)
        second, pull_second = norm.function(flat, up(gain), None, normalized_shape=(12,), eps=lift(1e-5, model))
        _, pull_third = linear.function(stored(second), up(weight))
        third = pull_third(up(g))
        through = pull_second(stored(third["x"]))
        last = pull_first(stored(through["x"]).reshape(len(rows), 3, 2, 2))
        return {"kernel": last["weight"], "gain": through["weight"], "weight": third["weight"]}

    def torch_gradients(cuts: list[tuple[int, int]]) -> dict[str, np.ndarray]:
        leaves = {
            name: to_tensor(array, dtype, "cpu").requires_grad_(True)
            for name, array in (("kernel", kernel), ("gain", gain), ("weight", weight))
        }
        for start, stop in cuts:
            hidden = torch.nn.functional.conv2d(to_tensor(x[start:stop], dtype, "cpu"), leaves["kernel"])
            hidden = torch.nn.functional.layer_norm(hidden.reshape(-1, 12), (12,), leaves["gain"])
            value = torch.nn.functional.linear(hidden, leaves["weight"])
            value.backward(to_tensor(g[start:stop], dtype, "cpu"))
        return {name: to_array(leaf.grad) for name, leaf in leaves.items()}

    g = drawn(6, 2)
    cuts = [(0, 4), (4, 6)]
    parts = [reference_gradients(x[start:stop], g[start:stop]) for start, stop in cuts]
    whole = torch_gradients([(0, 6)])
    for name, got in torch_gradients(cuts).items():
        total = accumulated([each[name] for each in parts], [1.0, 1.0])
        assert error_ratios(got, total).max() <= 1.0
        assert error_ratios(whole[name], reference_gradients(x, g)[name]).max() <= 1.0


def test_the_counts_are_what_a_mean_divides_by() -> None:
    """The mean is the sum over the count; but for ctc_loss, which divides each loss by its own length as well."""
    for name, options in LOSSES.items():
        if name == "ctc_loss":
            continue
        arguments = batch(name, "float64", weighted=name in WEIGHTED)
        reference = reference_named(f"nn.functional.{name}")
        count = count_of(reference.name, arguments | options)
        mean, total = (
            bounded_outputs(reference, arguments | options | {"reduction": word}, ones, rounding_model("float64"))[
                "value"
            ]
            for word in (options["reduction"], "sum")
        )
        scaled = Bounded(total.value / count, (total.full_bound() + mean.full_bound() * count) / count, total.model)
        assert error_ratios(np.asarray(mean.value), scaled).max() <= 1.0
