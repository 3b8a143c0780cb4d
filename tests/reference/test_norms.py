"""Normalisations and distances in plain numbers."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.known import check, gives

TWO_CHANNELS = {"x": [[1.0, 10.0], [3.0, 10.0]], "running_mean": [0.0, 4.0], "running_var": [1.0, 3.0]}


def test_batch_norm_in_training() -> None:
    """Channel 0: mean 2, variance 1; with eps 3 the root is 2. Channel 1 is constant."""
    case = {**TWO_CHANNELS, "training": True, "eps": 3.0, "weight": [4.0, 1.0], "bias": [5.0, 6.0]}
    check("batch_norm", case, value=[[3.0, 6.0], [7.0, 6.0]])
    check("batch_norm", case, cotangent=[[1.0, 1.0], [3.0, 1.0]], weight=[1.0, 0.0], bias=[4.0, 2.0])
    check("batch_norm", case, cotangent=[[1.0, 0.0], [3.0, 0.0]], x=[[-1.5, 0.0], [1.5, 0.0]])


def test_running_statistics_take_the_unbiased_variance() -> None:
    """The variance of 1 and 3 is 1 among them and 2 of the population they are drawn from."""
    got = gives("batch_norm", {**TWO_CHANNELS, "training": True, "momentum": 0.5})
    assert got["running_mean"].tolist() == [1.0, 7.0]
    assert got["running_var"].tolist() == [1.5, 1.5]


def test_batch_norm_in_evaluation() -> None:
    case = {**TWO_CHANNELS, "eps": 1.0, "running_var": [3.0, 8.0], "weight": [2.0, 3.0]}
    check("batch_norm", case, value=[[1.0, 6.0], [3.0, 6.0]], x=[[1.0, 1.0], [1.0, 1.0]], weight=[2.0, 4.0])
    assert gives("batch_norm", case)["running_mean"].tolist() == [0.0, 4.0]


def test_instance_norm_is_batch_norm_of_each_sample() -> None:
    case = {"x": [[[1.0, 3.0]], [[0.0, 4.0]]], "eps": 0.0, "weight": [2.0]}
    check("instance_norm", case, value=[[[-2.0, 2.0]], [[-2.0, 2.0]]], weight=[0.0])
    tracked = {**case, "running_mean": [0.0], "running_var": [0.0], "momentum": 1.0}
    got = gives("instance_norm", tracked)
    assert got["running_mean"].tolist() == [2.0]
    assert got["running_var"].tolist() == [5.0]


def test_group_norm_takes_consecutive_channels() -> None:
    case = {"x": [[[1.0], [3.0], [10.0], [30.0]]], "num_groups": 2, "eps": 0.0}
    check("group_norm", case, value=[[["-1.0000000000000"], ["1.0000000000000"]] * 2])
    affine = {**case, "weight": [1.0, 2.0, 3.0, 4.0], "bias": [1.0, 1.0, 1.0, 1.0]}
    check("group_norm", affine, value=[[[0.0], [3.0], ["-2.0000000000000"], ["5.0000000000000"]]])
    check("group_norm", affine, weight=[-1.0, 1.0, "-1.0000000000000", "1.0000000000000"])


def test_rms_norm_does_not_centre() -> None:
    """The mean of squares of 1 and 7 is 25."""
    case = {"x": [[1.0, 7.0]], "normalized_shape": (2,), "eps": 0.0, "weight": [5.0, 10.0]}
    check("rms_norm", case, value=[[1.0, "14.0000000000000"]])
    check("rms_norm", {**case, "eps": 11.0}, value=[["0.83333333333333333", "11.66666666666666667"]])


def test_rms_norm_without_eps_takes_the_machine_epsilon() -> None:
    check("rms_norm", {"x": [2.0**-26], "normalized_shape": (1,)}, value=["0.70710678118654752440"])


def test_local_response_norm_divides_by_the_mean_of_neighbours() -> None:
    """Channels 1, 2, 2: with two in a window, the one before and the channel itself."""
    case = {"x": [[[1.0], [2.0], [2.0]]], "size": 2, "alpha": 2.0, "beta": 1.0, "k": 0.0}
    check("local_response_norm", case, value=[[[1.0], [0.4], [0.25]]])


def test_normalize_by_each_norm() -> None:
    case = {"x": [[3.0, -4.0]], "dim": 1}
    check("normalize", case, value=[[0.6, -0.8]])
    check("normalize", {**case, "p": 1.0}, value=[[3.0 / 7.0, -4.0 / 7.0]])
    check("normalize", {**case, "p": math.inf}, value=[[0.75, -1.0]])
    check("normalize", {**case, "p": 0.0}, value=[[1.5, -2.0]])
    check("normalize", {**case, "eps": 10.0}, value=[[0.3, -0.4]], x=[[0.1, 0.1]])


def test_cosine_similarity() -> None:
    case = {"x": [[3.0, 4.0]], "x2": [[4.0, 3.0]], "dim": 1}
    check("cosine_similarity", case, value=["0.96"], x=[["0.0448", "-0.0336"]])
    check("cosine_similarity", {**case, "x2": [[0.0, 0.0]]}, value=[0.0])


def test_pairwise_distance_adds_eps_to_each_difference() -> None:
    case = {"x": [[4.0, 6.0]], "x2": [[1.0, 2.0]], "eps": 0.0}
    check("pairwise_distance", case, value=[5.0], x=[[0.6, 0.8]], x2=[[-0.6, -0.8]])
    check("pairwise_distance", {**case, "p": 1.0, "keepdim": True}, value=[[7.0]])
    check("pairwise_distance", {**case, "x2": [[2.0, 3.0]], "eps": 1.0}, value=[5.0])
    check("pairwise_distance", {"x": [1.0], "x2": [2.0], "eps": 1.0}, value=0.0)


THREE = "3.0000000000000"


def test_pdist_of_three_points_on_a_line() -> None:
    case = {"x": [[0.0], [1.0], [3.0]]}
    for p in (1.0, 2.0, 3.0, math.inf):
        check(
            "pdist",
            {**case, "p": p},
            cotangent=[1.0, 2.0, 4.0],
            value=["1.0000000000000", THREE, "2.0000000000000"],
            x=[["-" + THREE], ["-" + THREE], ["6.0000000000000"]],
        )
    check("pdist", {**case, "p": 0.0}, value=[1.0, 1.0, 1.0], x=[[0.0], [0.0], [0.0]])


def test_the_gradient_of_a_broadcast_array_is_summed() -> None:
    case = {"x": [[4.0, 6.0], [1.0, 3.0]], "x2": [1.0, 2.0], "eps": 0.0}
    check("pairwise_distance", case, x2=[-0.6, -1.8], value=[5.0, 1.0])
    assert gives("cosine_similarity", {"x": np.ones((3, 2)), "x2": np.ones((1, 2))})["grad[x2]"].shape == (1, 2)
