"""Pooling in whole numbers: by hand, against the definition one element at a time, and where PyTorch does otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.inputs import Bits, arguments_of
from gradcheck.errors import UsageError
from gradcheck.reference.registry import reference_named
from gradcheck.verdict.judge import judge_case
from tests.reference.known import check, gives

IMAGE = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]]]
INF = float("inf")


# By hand.


def test_average_by_hand() -> None:
    check(
        "avg_pool2d",
        {"x": IMAGE, "kernel_size": 2, "stride": 1},
        value=[[[3.0, 4.0], [6.0, 7.25]]],
        x=[[[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]],
    )
    check("avg_pool2d", {"x": IMAGE, "kernel_size": (1, 3)}, value=[[[2.0], [5.0], ["8.333333333333333"]]])
    check("avg_pool2d", {"x": IMAGE, "kernel_size": 2, "divisor_override": 8}, value=[[[1.5]]])


def test_what_an_average_counts() -> None:
    row = {"x": [[1.0, 2.0, 3.0, 4.0]], "kernel_size": 4, "stride": 2, "padding": 2}
    check("avg_pool1d", row, value=[[0.75, 2.5, 1.75]])
    check("avg_pool1d", {**row, "count_include_pad": False}, value=[[1.5, 2.5, 3.5]])
    # The last window reaches one element beyond the padding, which is not counted: 3 of 4.
    clipped = {"x": [[3.0, 6.0, 9.0]], "kernel_size": 4, "stride": 3, "padding": 1, "ceil_mode": True}
    check("avg_pool1d", clipped, value=[[4.5, 4.5]])
    check("avg_pool1d", {**clipped, "count_include_pad": False}, value=[[6.0, 9.0]])


def test_a_last_window_of_ceil_mode_starts_before_the_padding_behind() -> None:
    row = {"x": [[1.0, 2.0, 3.0]], "kernel_size": 2, "stride": 2, "ceil_mode": True}
    check("max_pool1d", row, value=[[2.0, 3.0]])
    check("max_pool1d", {**row, "padding": 1}, value=[[1.0, 3.0]])
    check("max_pool1d", {**row, "x": [[1.0, 2.0, 3.0, 4.0]], "padding": 1}, value=[[1.0, 3.0, 4.0]])


def test_maximum_by_hand() -> None:
    base = {"x": IMAGE, "kernel_size": 2, "return_indices": True}
    got = gives("max_pool2d", {**base, "stride": 1, "padding": 1})
    assert got["value"].tolist() == [[[1, 2, 3, 3], [4, 5, 6, 6], [7, 8, 10, 10], [7, 8, 10, 10]]]
    assert got["indices"].tolist() == [[[0, 1, 2, 2], [3, 4, 5, 5], [6, 7, 8, 8], [6, 7, 8, 8]]]
    assert got["grad[x]"].tolist() == [[[1, 1, 2], [1, 1, 2], [2, 2, 4]]]
    assert gives("max_pool2d", {**base, "dilation": 2})["indices"].tolist() == [[[8]]]


def test_of_equal_elements_the_first_wins_and_of_nan_the_last() -> None:
    row = {"x": [[2.0, 2.0, 1.0, -INF, -INF, None, 7.0, None, 3.0]], "kernel_size": 3, "return_indices": True}
    row["x"] = [[np.nan if number is None else number for number in row["x"][0]]]
    got = gives("max_pool1d", row)
    assert got["indices"].tolist() == [[0, 5, 7]]
    assert np.array_equal(got["value"], [[2.0, np.nan, np.nan]], equal_nan=True)


def test_adaptive_windows_overlap_by_one_element_at_most() -> None:
    row = {"x": [[1.0, 3.0, 5.0, 7.0, 9.0]], "output_size": 3}
    check("adaptive_avg_pool1d", row, value=[[2.0, 5.0, 8.0]], x=[["0.5", "0.833333333333333", "0.333333333333333",
                                                                  "0.833333333333333", "0.5"]])  # fmt: skip
    check("adaptive_max_pool1d", row, value=[[3.0, 7.0, 9.0]], x=[[0.0, 1.0, 0.0, 1.0, 1.0]])
    check("adaptive_avg_pool1d", {"x": [[4.0, 6.0]], "output_size": 3}, value=[[4.0, 5.0, 6.0]])
    check("adaptive_avg_pool2d", {"x": IMAGE, "output_size": (None, 1)}, value=[[[2.0], [5.0], ["8.333333333333333"]]])


def test_fractional_windows_by_hand() -> None:
    # α = (7 - 2)/(3 - 1); with u = 1/2 windows start at 0, floor(3.75) - floor(1.25) = 2 and 5; with u = 0 at 0, 2, 5;
    # with u = 0.9 at 0, floor(4.75) - floor(2.25) = 2 and 5. Four windows in 8 with u = 0.75: α = 2; 0, 2, 4 and 6.
    x = np.arange(14.0).reshape(1, 2, 7)
    arguments = {"x": x, "_random_samples": [[[0.5, 0.5]]], "kernel_size": (1, 2), "return_indices": True}
    got = gives("fractional_max_pool2d", {**arguments, "output_size": (2, 3)})
    assert got["indices"].tolist() == [[[1, 3, 6], [8, 10, 13]]]
    # The first sample is that of the width: floor(1.25·(1 + u)) - floor(1.25·u) is 1 for u = 0.5 and 2 for u = 0.75.
    wide = {"x": np.arange(7.0).reshape(1, 1, 7), "kernel_size": (1, 2), "output_size": (1, 5), "return_indices": True}
    for u, second in ((0.5, 1), (0.75, 2)):
        got = gives("fractional_max_pool2d", {**wide, "_random_samples": [[[u, 0.0]]]})
        assert got["indices"][0, 0, 1] == second + 1


def test_fractional_pooling_without_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="_random_samples has to be given for fractional_max_pool2d"):
        gives("fractional_max_pool2d", {"x": IMAGE, "kernel_size": 2, "output_size": 1})


def test_power_average_by_hand() -> None:
    row = {"x": [[3.0, 4.0, 0.0, 0.0]], "kernel_size": 2}
    check("lp_pool1d", {**row, "norm_type": 2.0}, value=[[5.0, 0.0]], x=[["0.6", "0.8", 0.0, 0.0]])
    check("lp_pool1d", {**row, "norm_type": 1}, value=[[7.0, 0.0]], x=[[1.0, 1.0, 0.0, 0.0]])
    check("lp_pool1d", {**row, "norm_type": INF}, value=[[4.0, 0.0]], x=[[0.0, 1.0, 0.0, 0.0]])
    check("lp_pool1d", {**row, "norm_type": -INF}, value=[[3.0, 0.0]], x=[[1.0, 0.0, 0.0, 0.0]])
    check("lp_pool1d", {**row, "x": [[-1.0, -7.0]], "norm_type": 3.0}, value=[[None]])


def test_unpooling_by_hand() -> None:
    arguments = {"x": [[5.0, 8.0]], "indices": [[1, 2]], "kernel_size": 2}
    check("max_unpool1d", arguments, value=[[0.0, 5.0, 8.0, 0.0]], x=[[1.0, 1.0]])
    check("max_unpool1d", {**arguments, "output_size": (1, 1, 5)}, value=[[0.0, 5.0, 8.0, 0.0, 0.0]])
    check("max_unpool1d", {**arguments, "stride": 1, "padding": 0}, value=[[0.0, 5.0, 8.0]])


# By definition, one element at a time.


def windows_by_definition(side: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> list[range]:
    """Positions of each window, padding and what lies beyond it included."""
    reach = dilation * (kernel - 1) + 1
    starts = []
    start = -padding
    while start + reach <= side + padding or (ceil and start < side and starts[-1] + reach < side + padding):
        starts.append(start)
        start += stride
    return [range(start, start + reach, dilation) for start in starts]


OPTIONS = [
    ((7,), {"kernel_size": (3,), "stride": (2,), "padding": (1,), "ceil_mode": True}, (1,)),
    ((8,), {"kernel_size": (2,), "stride": (3,), "padding": (1,), "ceil_mode": False}, (3,)),
    ((5, 6), {"kernel_size": (2, 3), "stride": (2, 1), "padding": (0, 1), "ceil_mode": True}, (2, 1)),
    ((6, 4), {"kernel_size": (3, 2), "stride": (3, 2), "padding": (1, 1), "ceil_mode": False}, (1, 2)),
    ((4, 3, 5), {"kernel_size": (2, 1, 3), "stride": (1, 2, 2), "padding": (1, 0, 1), "ceil_mode": True}, (2, 1, 1)),
]


def whole_numbers(shape: tuple[int, ...], *words: object) -> np.ndarray:
    return Bits("pooling", *words).below(9, int(np.prod(shape))).reshape(shape) - 4.0


@pytest.mark.parametrize(("sides", "options", "dilation"), OPTIONS)
def test_averages_match_the_definition_and_its_adjoint(sides: tuple[int, ...], options: Any, dilation: Any) -> None:
    x, dims = whole_numbers((2, *sides), sides), len(sides)
    each = zip(sides, options["kernel_size"], options["stride"], options["padding"], strict=True)
    windows = [windows_by_definition(*one, 1, options["ceil_mode"]) for one in each]
    sums = np.zeros((2, *(len(along) for along in windows)))
    members: dict[Any, list[Any]] = {}
    for place in itertools.product(*(range(len(along)) for along in windows)):
        ranges = [along[i] for along, i in zip(windows, place, strict=True)]
        inside = [p for p in itertools.product(*ranges) if all(0 <= i < s for i, s in zip(p, sides, strict=True))]
        sums[(slice(None), *place)] = sum(x[(slice(None), *p)] for p in inside)
        members[place] = inside
    if dims > 1:  # divided by 1, the sums are whole numbers and exact
        g = whole_numbers(sums.shape, "g", sides)
        got = gives(f"avg_pool{dims}d", {"x": x, **options, "divisor_override": 1}, cotangent=g)
        assert np.array_equal(got["value"], sums)
        gradient = np.zeros(x.shape)
        for place, inside in members.items():
            for p in inside:
                gradient[(slice(None), *p)] += g[(slice(None), *place)]
        assert np.array_equal(got["grad[x]"], gradient)
    counts = np.array([len(inside) for inside in members.values()]).reshape(sums.shape[1:])
    got = gives(f"avg_pool{dims}d", {"x": x, **options, "count_include_pad": False})
    assert np.array_equal(got["value"], sums / counts)


@pytest.mark.parametrize(("sides", "options", "dilation"), OPTIONS)
def test_maxima_match_the_definition_and_its_adjoint(sides: tuple[int, ...], options: Any, dilation: Any) -> None:
    x, dims = whole_numbers((2, *sides), sides), len(sides)
    each = zip(sides, options["kernel_size"], options["stride"], options["padding"], dilation, strict=True)
    windows = [windows_by_definition(*one, options["ceil_mode"]) for one in each]
    shape = (2, *(len(along) for along in windows))
    indices, g = np.zeros(shape, dtype=int), whole_numbers(shape, "g", sides)
    gradient = np.zeros(x.shape)
    for plane, *place in itertools.product(range(2), *(range(side) for side in shape[1:])):
        ranges = [along[i] for along, i in zip(windows, place, strict=True)]
        inside = [p for p in itertools.product(*ranges) if all(0 <= i < s for i, s in zip(p, sides, strict=True))]
        winner = max(inside, key=lambda p: x[(plane, *p)])  # the first of several
        indices[(plane, *place)] = np.ravel_multi_index(winner, sides)
        gradient[(plane, *winner)] += g[(plane, *place)]
    arguments = {"x": x, **options, "dilation": dilation, "return_indices": True}
    got = gives(f"max_pool{dims}d", arguments, cotangent=g)
    assert np.array_equal(got["indices"], indices)
    assert np.array_equal(got["value"], np.take_along_axis(x.reshape(2, -1), indices.reshape(2, -1), 1).reshape(shape))
    assert np.array_equal(got["grad[x]"], gradient)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_undoes_pooling(dims: int) -> None:
    sides = (6, 4, 2)[:dims]
    x = np.random.default_rng(0).permutation(int(np.prod(sides)) * 2).reshape(2, *sides) + 1.0
    pooled = gives(f"max_pool{dims}d", {"x": x, "kernel_size": 2, "return_indices": True})
    back = gives(
        f"max_unpool{dims}d",
        {"x": pooled["value"], "indices": pooled["indices"].astype(int), "kernel_size": 2},
    )
    assert np.array_equal(back["value"], np.where(np.isin(x, pooled["value"]), x, 0.0))


# PyTorch's other ways: kernels for channels_last, for tensors without gradient, and its own random samples.

CHANNELS_LAST = [
    f"{name}{dims}d"
    for name in ("avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool", "max_unpool", "lp_pool")
    for dims in (2, 3)
]


def drawn(name: str, cases: int) -> Iterator[Case]:
    return (drawn_case(reference_named(f"nn.functional.{name}"), "float32", 3, index) for index in range(cases))


@pytest.mark.parametrize("name", CHANNELS_LAST)
def test_channels_last_kernels_agree_on_finite_numbers_of_a_batch(name: str) -> None:
    batched = (case for case in drawn(name, 24) if len(case.specs["x"].shape) == int(name[-2]) + 2)
    for case in batched:
        if case.specs["x"].kind not in ("special", "rare"):
            for verdict in judge_case(case.on(layout="channels_last")):
                assert verdict.status == "agrees", verdict.case


NO_BATCH = "(x=ordinary(3, 4, 4, 4), kernel_size=2) seed=0 dtype=float32 layout=channels_last"


def test_max_pool3d_refuses_channels_last_without_a_batch() -> None:
    """A fault of PyTorch (last seen in 2.13): channels_last order in four dimensions is taken for that of images."""
    (verdict,) = judge_case(parse_case(f"nn.functional.max_pool3d{NO_BATCH}"))
    assert verdict.status == "raises"
    assert "Unsupported memory format" in verdict.words
    assert {verdict.status for verdict in judge_case(parse_case(f"nn.functional.avg_pool3d{NO_BATCH}"))} == {"agrees"}


DEPTH_LOST = (
    "nn.functional.max_pool3d(x=special(2, 3, 5, 4, 5), kernel_size=(2, 1, 1), stride=(2, 3, 2), padding=(1, 0, 0), "
    "dilation=(3, 3, 2), return_indices=True) seed=8 dtype=float32 layout=channels_last"
)


def test_a_window_of_minus_infinities_loses_its_depth_in_channels_last() -> None:
    """A fault of PyTorch (last seen in 2.13): the index lies in the first layer; contiguous tensors are right."""
    case = parse_case(DEPTH_LOST)
    status = {verdict.output: verdict.status for verdict in judge_case(case)}
    assert status == {"value": "agrees", "indices": "deviates", "grad[x]": "deviates"}
    assert {verdict.status for verdict in judge_case(case.on(layout="contiguous"))} == {"agrees"}


def test_the_kernel_for_tensors_without_gradient_finds_the_same_maxima() -> None:
    """max_pool1d has one of its own; the other one is judged with all cases."""
    for case in drawn("max_pool1d", 40):
        x, *rest = arguments_of(case).items()
        options = {name: value for name, value in rest if name != "return_indices"}
        tensor = torch.tensor(x[1], dtype=torch.float32)
        recorded = F.max_pool1d(tensor.clone().requires_grad_(True), **options).detach()
        assert np.array_equal(F.max_pool1d(tensor, **options), recorded, equal_nan=True), str(case)


@pytest.mark.parametrize("dims", [2, 3])
def test_samples_that_pytorch_draws_are_as_good_as_given_ones(dims: int) -> None:
    function = getattr(F, f"fractional_max_pool{dims}d")
    x = torch.arange(2.0 * 3 * 9**dims).reshape(2, 3, *(9,) * dims)
    torch.manual_seed(0)
    drawn = function(x, 2, output_size=4, return_indices=True)
    torch.manual_seed(0)
    samples = torch.rand(2, 3, dims)
    given = function(x, 2, output_size=4, return_indices=True, _random_samples=samples)
    assert all(torch.equal(one, other) for one, other in zip(drawn, given, strict=True))


def test_the_last_window_of_a_power_average_is_not_the_documented_norm() -> None:
    """PyTorch's route, which the reference states: √(3² + 4²)·√(3/2) for two of three elements, not 5."""
    row = torch.tensor([[0.0, 0.0, 0.0, 3.0, 4.0]])
    last = F.lp_pool1d(row, 2.0, 3, ceil_mode=True)[0, -1]
    assert last > 6.0
    check(
        "lp_pool1d",
        {"x": row.tolist(), "norm_type": 2.0, "kernel_size": 3, "ceil_mode": True},
        value=[[0.0, "6.123724356957945"]],
    )


def test_a_window_without_an_element_has_an_index_outside_the_plane() -> None:
    """A fault of PyTorch, for which no case is drawn: its backward would write there (pytorch/pytorch#114216)."""
    value, index = F.max_pool1d(torch.zeros(1, 1, 1), 2, stride=1, padding=1, dilation=2, return_indices=True)
    assert value.item() == -INF
    assert index.item() == 1
