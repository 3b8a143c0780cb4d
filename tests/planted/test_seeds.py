"""The faulty gradient of two of the walkthroughs that gradcheck grew from, on their own data.

Both fit f(x) = w·x to X = 1, 2, 3, 4 and Y = 2, 4, 6, 8 from w = 0, first by hand, then with autograd, and wonder why
by hand it takes fewer steps: w = 1.2 after one step, and 0.3. The dot product in ``np.dot(2*x, y_pred - y).mean()`` is
a sum already, so that the mean does nothing and the gradient is four times that of the printed loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.errors import UsageError
from gradcheck.reference.evaluate import bounded_outputs
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.nn.functional.regression import mse_loss
from gradcheck.reference.registry import Reference
from gradcheck.verdict.handwritten import check_gradient, constant_factor

X = np.array([1, 2, 3, 4], dtype=np.float32)
Y = np.array([2, 4, 6, 8], dtype=np.float32)
RATE = 0.01

#: Printed by the walkthroughs: w after steps 1, 3, 5, 7, 9 by hand, and after steps 1, 3, 5, 7, 9 with autograd.
PRINTED_BY_HAND = ["1.200", "1.872", "1.980", "1.997", "1.999"]
PRINTED_BY_AUTOGRAD = ["0.300", "0.772", "1.113", "1.359", "1.537"]


def line_and_loss(w: Any, x: Any, y: Any) -> Any:
    """The mean of (w·x - y)², composed of two references."""
    prediction, linear_vjp = linear(x, w)
    loss, loss_vjp = mse_loss(prediction, y)

    def composed_vjp(g: Any) -> dict[str, Any]:
        return {"w": linear_vjp(loss_vjp(g)["x"])["weight"]}

    return loss, composed_vjp


LINE_AND_LOSS = Reference("mean squared error of w·x", line_and_loss, inputs=lambda draw: {}, constant=("x", "y"))


def truth(w: float) -> Bounded:
    arguments = {"w": np.array([w]), "x": X.reshape(4, 1).astype(np.float64), "y": Y.astype(np.float64)}
    model = rounding_model("float32")
    return bounded_outputs(LINE_AND_LOSS, arguments, lambda output, shape: np.ones(shape), model)["grad[w]"]


def by_hand(w: Any) -> np.ndarray:
    """As the walkthroughs have it, word by word."""
    y_predicted = w * X
    return np.dot(2 * X, y_predicted - Y).mean()


def by_hand_and_right(w: Any) -> np.ndarray:
    return (2 * X * (w * X - Y)).mean()


def trajectory(gradient: Any, steps: int) -> list[float]:
    w, found = 0.0, []
    for _ in range(steps):
        w -= RATE * float(gradient(w))
        found.append(w)
    return found


def test_the_gradient_by_hand_is_found_to_be_four_times_too_large() -> None:
    message = check_gradient("the gradient by hand of w", by_hand(0.0).reshape(1), truth(0.0))
    assert message is not None
    assert "the gradient by hand of w is 4 times what it should be" in message
    assert "got -120, should be -30" in message


@pytest.mark.parametrize("w", trajectory(by_hand, 5))
def test_it_is_found_at_every_step_of_the_walkthrough(w: float) -> None:
    message = check_gradient("grad[w]", by_hand(np.float32(w)).reshape(1), truth(float(np.float32(w))))
    assert message is not None
    assert "is 4 times" in message


@pytest.mark.parametrize("w", trajectory(by_hand_and_right, 5))
def test_the_right_gradients_pass_there(w: float) -> None:
    """Both the one by hand with its mean in the right place and that of PyTorch's autograd."""
    import torch

    start = np.float32(w)
    assert check_gradient("grad[w]", by_hand_and_right(start).reshape(1), truth(float(start))) is None
    leaf = torch.tensor(float(start), dtype=torch.float32, requires_grad=True)
    ((leaf * torch.from_numpy(X) - torch.from_numpy(Y)) ** 2).mean().backward()
    assert leaf.grad is not None
    assert check_gradient("grad[w]", leaf.grad.numpy().reshape(1), truth(float(start))) is None


def test_the_factor_explains_the_printed_tables() -> None:
    """What the walkthroughs print by hand follows from the faulty gradient, with autograd from the right one."""
    assert [f"{w:.3f}" for w in trajectory(by_hand, 9)[::2]] == PRINTED_BY_HAND
    assert [f"{w:.3f}" for w in trajectory(by_hand_and_right, 9)[::2]] == PRINTED_BY_AUTOGRAD
    assert [f"{w:.3f}" for w in trajectory(lambda w: 4 * truth(w).value[0], 9)[::2]] == PRINTED_BY_HAND


@pytest.fixture
def three_numbers() -> Bounded:
    return Bounded(np.array([3.0, -1.5, 0.75]), np.full(3, 1e-12), rounding_model("float64"))


@pytest.mark.parametrize("factor", [4.0, -1.0, 0.25, 1.0 / 7.0, 2.5])
def test_a_constant_factor_is_named(three_numbers: Bounded, factor: float) -> None:
    message = check_gradient("grad[x]", factor * np.asarray(three_numbers.value), three_numbers)
    assert message is not None
    assert f"is {factor:.7g} times what it should be" in message
    assert "3 of 3 elements exceed the bound" in message


def test_no_factor_is_named_where_there_is_none(three_numbers: Bounded) -> None:
    message = check_gradient("grad[x]", [12.0, -6.0, 3.1], three_numbers)
    assert message is not None
    assert "is not what it should be" in message
    assert constant_factor(np.zeros(3), three_numbers) is None
    assert constant_factor(np.asarray(three_numbers.value) * (1 + 1e-9), three_numbers) is None


def test_one_element_shows_a_whole_factor_only() -> None:
    """Any number is some multiple of another."""
    one = Bounded(np.array(-30.0), np.array(1e-5), rounding_model("float32"))
    assert constant_factor(np.array(-120.0), one) == 4.0
    assert constant_factor(np.array(-100.0), one) is None


def test_another_shape_is_wrong_use(three_numbers: Bounded) -> None:
    with pytest.raises(UsageError, match=r"grad\[x\] has shape \(2,\), should be \(3,\)"):
        check_gradient("grad[x]", [1.0, 2.0], three_numbers)
