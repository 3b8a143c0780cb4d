"""A case prints as one line, and the line gives the case back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.cases.case import AXES, ArraySpec, Case, parse_case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.strategies import cases
from gradcheck.errors import UsageError
from gradcheck.reference.registry import references


@given(st.data(), st.sampled_from(sorted(references())), st.sampled_from(["float64", "float32", "float16", "bfloat16"]))
def test_a_drawn_case_prints_and_parses_back(data, name, dtype):
    case = data.draw(cases(references()[name])).on(dtype=dtype)
    assert parse_case(str(case)) == case


@pytest.mark.parametrize("name", references(), ids=lambda name: name.rpartition(".")[2])
def test_the_corpus_prints_and_parses_back(name):
    lines = [str(case) for case in corpus(references()[name], "bfloat16", 12, 3)]
    assert [str(parse_case(line)) for line in lines] == lines
    assert lines == [str(case) for case in corpus(references()[name], "bfloat16", 12, 3)]


def test_the_line_is_the_one_in_the_docs():
    case = Case("nn.functional.softplus", (("x", ArraySpec("ordinary", (4, 7))), ("beta", 1.5)), 3, "float32")
    assert str(case) == "nn.functional.softplus(x=ordinary(4, 7), beta=1.5) seed=3 dtype=float32"
    assert parse_case(str(case)) == case


def test_axes_that_are_not_the_default_are_printed():
    case = parse_case("nn.functional.relu(x=ordinary()) seed=0 dtype=float16").on(device="cuda:1", layout="sliced")
    assert str(case).endswith("seed=0 dtype=float16 device=cuda:1 layout=sliced")
    assert {name: getattr(parse_case(str(case)), name) for name in AXES}["layout"] == "sliced"


def test_double_quotes_are_taken_too():
    line = 'nn.functional.gelu(x=ordinary(2), approximate="tanh") seed=0 dtype=float32'
    assert dict(parse_case(line).arguments)["approximate"] == "tanh"


RELU = "nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "it has no closing parenthesis"),
        ("nn.functional.relu", "it has no closing parenthesis"),
        ("nn.functional.relu(x=ordinary(3)", "the call does not parse"),
        ("nn.functional.relu(ordinary(3)) seed=1 dtype=float32", "it is not a call with named arguments"),
        ("3 + (4) seed=1 dtype=float32", "it is not a call with named arguments"),
        (
            RELU.replace("relu", "rellu"),
            "operation 'nn.functional.rellu' is not known; did you mean nn.functional.relu",
        ),
        (RELU.replace("x=", "y="), "nn.functional.relu has no argument 'y'; expected x"),
        (RELU.replace("ordinary", "odd"), "kind of values 'odd' is not known; expected ordinary"),
        (RELU.replace("(3)", "(-3)"), "has a side that is no whole number >= 0"),
        (RELU.replace("(3)", "(2.5)"), "has a side that is no whole number >= 0"),
        (RELU.replace("ordinary(3)", "3"), "x is an array and 3 is none; expected one such as ordinary(4, 7)"),
        (RELU.replace("ordinary(3)", "open('f')"), "kind of values 'open' is not known"),
        (RELU.replace("ordinary(3)", "[y for y in z]"), "is neither a literal nor an array"),
        (RELU.replace("x=ordinary(3)", ""), "nn.functional.relu needs x=…"),
        ("nn.functional.softmax(x=ordinary(3)) seed=1 dtype=float32", "nn.functional.softmax needs dim=…"),
        ("nn.functional.softplus(x=ordinary(3), beta=ordinary(3)) seed=1 dtype=float32", "beta is a hyperparameter"),
        (RELU.replace(" seed=1", ""), "seed=… is missing"),
        (RELU.replace(" dtype=float32", ""), "dtype=… is missing"),
        (RELU.replace("seed=1", "seed=-1"), "seed=-1 is no whole number >= 0"),
        (RELU.replace("float32", "float8"), "dtype 'float8' is not known; expected float64"),
        (RELU + " colour=red", "axis 'colour' is not known; expected seed, dtype, device"),
        (RELU + " operation=relu", "axis 'operation' is not known"),
    ],
)
def test_a_malformed_line_is_a_sentence(line, words):
    with pytest.raises(UsageError) as caught:
        parse_case(line)
    assert words in str(caught.value)
