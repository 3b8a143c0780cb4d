"""The comparison with known numbers can fail."""

from __future__ import annotations

import pytest

from tests.reference.known import check


def test_right_numbers_pass() -> None:
    check("sigmoid", {"x": [0.0, 1.0]}, value=[0.5, "0.731058578630004879251159241822"])
    check("hardtanh", {"x": [float("nan")]}, value=[None], x=[1.0])


@pytest.mark.parametrize(
    ("output", "known"),
    [
        ("value", [0.25, "0.731058578630004879251159241822"]),
        ("value", [0.5, "0.731058578630009879251159241822"]),
        ("value", [0.5, None]),
        ("value", [[0.5, 0.5]]),
        ("x", [0.5, 0.5]),
    ],
)
def test_a_wrong_number_a_wrong_shape_and_a_wrong_gradient_are_seen(output: str, known: list[object]) -> None:
    with pytest.raises(AssertionError, match="should be"):
        check("sigmoid", {"x": [0.0, 1.0]}, **{output: known})
