"""The quotient of reverse mode: the derivative of a quotient, and what its stored factor loses in float16."""

from __future__ import annotations

from dataclasses import replace

from gradcheck.arithmetic import Dual, ball_precision, balls, tangent_of
from gradcheck.cases.case import parse_case
from gradcheck.reference.quotient import quotient_in_reverse
from gradcheck.reference.registry import reference_named
from gradcheck.verdict.judge import judge_case

UNDERFLOWS = (
    "nn.functional.cosine_embedding_loss(x=ties(8, 15), input2=wide(8, 15), target=signs(8), margin=1.0, "
    'reduction="mean") seed=56000168000002 dtype=float16 mode=double layout=transposed'
)
"""Where (a/b)/b of the gradient's last quotient, 1.6e-8, is no number of float16."""


def test_its_derivative_is_that_of_the_quotient() -> None:
    with ball_precision(200):
        a, b = Dual(balls([1.5, -0.3]), balls([0.7, 2.0])), Dual(balls([0.9, -4.0]), balls([-1.1, 0.6]))
        for pair in ((a, b), (a, b.primal), (a.primal, b)):
            route, plain = quotient_in_reverse(*pair), pair[0] / pair[1]
            for part in (lambda x: x.primal, tangent_of):
                both = zip(balls(part(route)).array, balls(part(plain)).array, strict=True)
                assert all(x.overlaps(y) for x, y in both)
        assert quotient_in_reverse(a.primal, b.primal).array[0].overlaps((a.primal / b.primal).array[0])


def test_what_underflows_in_reverse_mode_alone_is_in_the_bound() -> None:
    case = parse_case(UNDERFLOWS)
    assert {verdict.status for verdict in judge_case(case)} == {"agrees"}
    plain = replace(reference_named(case.operation), routes={})
    assert "deviates" in {verdict.status for verdict in judge_case(case, operation=plain)}
