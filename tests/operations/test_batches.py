"""A batch gives row by row what its rows give alone, within the bounds of both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.cases.case import Case
from gradcheck.cases.draw import ModeDraw, draw_case
from gradcheck.cases.inputs import KINDS, arguments_of, cotangent_of
from gradcheck.certify.draw import SMOOTH
from gradcheck.reference.evaluate import bounded_outputs, gradient_name
from gradcheck.reference.registry import Reference, references

OTHERS = tuple(kind for kind in KINDS if kind not in SMOOTH)

BATCHED = {
    **{f"nn.{kind}{d}d": ("x",) for kind in ("Conv",) for d in (1, 2, 3)},
    **{f"nn.functional.{kind}{d}d": ("x",) for kind in ("conv", "conv_transpose", "avg_pool") for d in (1, 2, 3)},
    **{f"nn.functional.{kind}{d}d": ("x",) for kind in ("lp_pool", "adaptive_avg_pool") for d in (1, 2, 3)},
    **{f"nn.functional.{kind}": ("x",) for kind in ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "pad")},
    **{f"nn.functional.{kind}": ("x",) for kind in ("unfold", "fold", "interpolate", "local_response_norm")},
    **{f"nn.functional.{kind}": ("x",) for kind in ("group_norm", "embedding")},
    "nn.functional.grid_sample": ("x", "grid"),
    "nn.functional.bilinear": ("x", "input2"),
    "nn.GRUCell": ("x", "hx"),
    "nn.RNNCell": ("x", "hx"),
    "nn.LSTMCell": ("x", "hx", "cx"),
}
"""Operations with a batch along the first axis of these arrays, beside those whose references say so by their rows."""

UNBATCHED = {"unfold": 4, "fold": 3, "interpolate": 3, "pixel_shuffle": 4, "pixel_unshuffle": 4, "pad": 4, "Cell": 2}
"""By part of a name: with fewer dimensions the first array has no batch. Others have it from their name, 1d to 3d."""


def batched(reference: Reference, arguments: dict[str, Any]) -> tuple[str, ...]:
    """The arrays of a case that have a batch along the first axis."""
    names = reference.rows(arguments) if reference.rows else BATCHED.get(reference.name, ())
    present = tuple(name for name in names if arguments.get(name) is not None)
    first = arguments[reference.arrays[0]]
    digit = next((int(c) for c in reference.name.rpartition(".")[2] if c.isdigit()), None)
    least = next((least for part, least in UNBATCHED.items() if reference.name.endswith(part)), (digit or 0) + 2)
    if reference.rows is None and np.ndim(first) < least:
        return ()
    return present if np.ndim(first) > 1 and np.shape(first)[0] > 1 else ()


def found(reference: Reference) -> tuple[Case, dict[str, Any], tuple[str, ...]] | None:
    """A case with a batch of two or more."""
    for index in range(60):
        case = draw_case(reference, ModeDraw(reference.name, 3, index, without=OTHERS, most=60), index)
        arguments = arguments_of(case)
        if names := batched(reference, arguments):
            return case, arguments, names
    return None


CASES = {name: case for name, reference in references().items() if (case := found(reference)) is not None}


def test_every_operation_that_is_named_has_a_batch() -> None:
    assert not set(BATCHED) - set(CASES)
    assert len(CASES) >= 59


@pytest.mark.parametrize("name", CASES)
def test_rows_alone_give_the_rows_of_the_batch(name: str) -> None:
    """In float32: of the references, and of PyTorch by the references' bounds."""
    from gradcheck.subject.run import run_case
    from gradcheck.verdict.compare import stored_bound

    reference, (case, _, names) = references()[name], CASES[name]
    case = case.on(dtype="float32", layout="contiguous")
    arguments = arguments_of(case)
    model = rounding_model("float32")
    outputs = ["value", *(gradient_name(array) for array in names if array in reference.differentiable_in(arguments))]
    observed = run_case(reference, case, arguments)
    assert observed.outcome == "ran", observed.words
    known = arguments | observed.drawn

    def cotangent(output: str, shape: tuple[int, ...]) -> np.ndarray:
        return cotangent_of(case, shape, observed.dtypes[output], output)

    whole = bounded_outputs(reference, known, cotangent, model)
    for row in range(np.shape(arguments[names[0]])[0]):
        alone = {key: array[row : row + 1] if key in names else array for key, array in known.items()}

        def of_row(output: str, shape: tuple[int, ...], row: int = row) -> np.ndarray:
            return cotangent(output, np.shape(whole[output].value))[row : row + 1]

        single = bounded_outputs(reference, alone, of_row, model)
        for output in outputs:
            expected = np.asarray(whole[output].value)[row : row + 1]
            allowed = stored_bound(whole[output])[row : row + 1] + stored_bound(single[output])
            assert within(single[output], expected, allowed), f"{case}: {output} of row {row}"
            got = observed.outputs[output][row : row + 1]
            assert within(single[output], got, allowed), f"{case}: PyTorch's {output} of row {row}"


def within(single: Bounded, expected: np.ndarray, allowed: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return bool((np.abs(np.asarray(single.value) - expected) <= allowed).all())


def test_a_row_that_depends_on_others_is_seen() -> None:
    """batch_norm in training has no rows; what it gives for one alone is another number."""
    assert "nn.functional.batch_norm" not in CASES
    single = Bounded(np.array([[1.0]]), np.array([[0.25]]), rounding_model("float32"))
    assert not within(single, np.array([[1.5]]), np.array([[0.375]]))
    assert within(single, np.array([[1.5]]), np.array([[0.5]]))
