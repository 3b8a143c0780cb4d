"""Unfolding and folding in whole numbers."""

from __future__ import annotations

import numpy as np

from gradcheck.cases.inputs import Bits
from tests.reference.known import check, gives

IMAGE = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]


def test_blocks_are_columns_row_by_row() -> None:
    check(
        "unfold",
        {"x": IMAGE, "kernel_size": 2},
        value=[[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]],
        x=[[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]],
    )


def test_options_in_whole_numbers() -> None:
    check("unfold", {"x": IMAGE, "kernel_size": (1, 2), "dilation": (1, 2)}, value=[[1.0, 4.0], [3.0, 6.0]])
    check("unfold", {"x": IMAGE, "kernel_size": 1, "stride": (1, 2)}, value=[[1.0, 3.0, 4.0, 6.0]])
    check("unfold", {"x": IMAGE, "kernel_size": (2, 1), "padding": (0, 1)},
          value=[[0.0, 1.0, 2.0, 3.0, 0.0], [0.0, 4.0, 5.0, 6.0, 0.0]])  # fmt: skip
    two = {"x": [[[1.0, 2.0]], [[3.0, 4.0]]], "kernel_size": (1, 2)}
    check("unfold", two, value=[[1.0], [2.0], [3.0], [4.0]])


def test_what_no_block_holds_has_no_gradient() -> None:
    check("unfold", {"x": IMAGE, "kernel_size": 1, "stride": 2}, x=[[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])


def test_fold_adds_overlapping_blocks() -> None:
    columns = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]
    check(
        "fold",
        {"x": columns, "output_size": (2, 3), "kernel_size": 2},
        value=[[[1.0, 12.0, 20.0], [3.0, 34.0, 40.0]]],
        x=[[1.0, 1.0]] * 4,
    )


def test_fold_drops_what_falls_on_the_padding() -> None:
    words = {"x": [[1.0, 2.0, 4.0]], "output_size": (1, 1), "kernel_size": 1, "padding": (0, 1)}
    check("fold", words, value=[[[2.0]]], x=[[0.0, 1.0, 0.0]])


def test_they_are_adjoint() -> None:
    bits = Bits("fold")
    geometry = {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 2), "stride": (1, 2)}
    image = bits.below(9, 2 * 3 * 5 * 6).reshape(2, 3, 5, 6) - 4.0
    columns = gives("unfold", {"x": image, **geometry})["value"]
    g = bits.below(9, columns.size).reshape(columns.shape) - 4.0
    folded = gives("fold", {"x": g, "output_size": (5, 6), **geometry}, cotangent=image)
    assert np.array_equal(folded["value"], gives("unfold", {"x": image, **geometry}, cotangent=g)["grad[x]"])
    assert np.array_equal(folded["grad[x]"], columns)
