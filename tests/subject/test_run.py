"""Running PyTorch on a case: what comes back, what is refused, what is left as it was."""

import json
import warnings

import numpy as np
import pytest
import torch

from gradcheck.cases.case import parse_case
from gradcheck.cases.inputs import arguments_of
from gradcheck.errors import UsageError
from gradcheck.reference.registry import reference_named
from gradcheck.subject.adapters import operation_named
from gradcheck.subject.devices import check_device
from gradcheck.subject.facts import facts
from gradcheck.subject.run import run_case

LINE = "nn.functional.linear(x=ordinary(3, 4), weight=ordinary(2, 4), bias=ordinary(2)) seed=1 dtype=bfloat16"


def observe(line, subject=None):
    case = parse_case(line)
    return run_case(reference_named(case.operation), case, arguments_of(case), subject)


def test_outputs_have_names_dtypes_and_bits():
    observed = observe(LINE)
    names = {"value", "grad[x]", "grad[weight]", "grad[bias]"}
    assert observed.outcome == "ran"
    assert set(observed.outputs) == set(observed.dtypes) == set(observed.elements) == names
    assert set(observed.dtypes.values()) == {"bfloat16"}
    assert observed.elements["grad[weight]"].nbytes == 2 * 8
    assert observed.outputs["grad[x]"].shape == (3, 4)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_the_numbers_of_an_output_are_those_of_its_bits(dtype):
    """In float64 when asked for, and of float32 as they lie there: widened or not, each is what PyTorch says."""
    seen = []

    def doubled(x):
        seen.append(2.0 * x)
        return seen[0]

    observed = observe(f"nn.functional.relu(x=edges(40)) seed=1 dtype={dtype}", doubled)
    numbers, elements = observed.outputs["value"], observed.elements["value"]
    assert numbers.dtype == np.float64
    assert np.array_equal(numbers, seen[0].detach().double().numpy(), equal_nan=True)
    assert elements.tobytes() == seen[0].detach().view(torch.uint8).numpy().tobytes()
    assert observed.outputs["value"] is numbers  # made once
    assert (observed.numbers("value") is elements) == (dtype in ("float64", "float32"))


def test_an_array_without_gradient_gets_none():
    observed = observe("nn.functional.nll_loss(x=ordinary(3, 4), target=indices(3, below=4)) seed=1 dtype=float32")
    assert set(observed.outputs) == {"value", "grad[x]"}


def test_the_subject_is_called_like_pytorch_s_own():
    seen = {}

    def linear(x, **others):
        seen.update(others)
        return torch.nn.functional.linear(x, **others)

    observe(LINE, linear)
    assert set(seen) == {"weight", "bias"}
    assert all(value.requires_grad for value in seen.values())


def test_a_warning_of_pytorch_is_no_error():
    def warn(x):
        warnings.warn("this is only said", stacklevel=1)
        return torch.relu(x)

    assert observe("nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32", warn).outcome == "ran"


def test_a_gradient_that_does_not_arrive_is_raised():
    observed = observe(LINE, lambda x, weight, bias: torch.nn.functional.linear(x, weight) + bias.detach())
    assert (observed.outcome, observed.words) == ("raises", "RuntimeError: backward left bias.grad None")


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("mode=sideways", "mode 'sideways' is not known; expected backward"),
        ("setting=odd", "setting 'odd': 'odd' is not known; expected default"),
        ("layout=diagonal", "layout 'diagonal' is not known; expected contiguous"),
        ("cotangent=odd", "cotangent 'odd' is not known; expected ordinary"),
    ],
)
def test_an_unknown_place_on_an_axis_is_a_sentence(axis, words):
    with pytest.raises(UsageError, match=words):
        observe(f"nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32 {axis}")


@pytest.mark.parametrize("device", ["tpu", "mps", "cuda:x"])
def test_an_unknown_device_is_a_sentence(device):
    with pytest.raises(UsageError, match=f"device '{device}'"):
        check_device(device)


def test_an_operation_that_this_pytorch_lacks_is_a_sentence():
    with pytest.raises(UsageError, match=r"torch .* has no nn\.functional\.swoosh"):
        operation_named("nn.functional.swoosh")


def test_facts_are_plain_values():
    found = facts()
    assert found["torch"] == torch.__version__
    assert found["device"] == "cpu"
    assert all(isinstance(value, str | int | dict) for value in found.values())
    assert json.loads(json.dumps(found)) == found
