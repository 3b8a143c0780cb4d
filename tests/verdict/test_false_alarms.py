"""Cases of correct kernels that gradcheck once called wrong: a bound did not know a route of PyTorch's, or PyTorch was
given other numbers than the reference."""

import numpy as np
import pytest

from gradcheck.arithmetic import rounding_model
from gradcheck.arithmetic.functions import averaged
from gradcheck.arithmetic.running import Bounded, lift
from gradcheck.cases.case import parse_case
from gradcheck.verdict.judge import judge_case

CASES = {
    "Welford's mean of subnormal numbers": (
        "nn.functional.layer_norm(x=near(31, 1, 8, at=(0.0,)), weight=ordinary(8), bias=None, normalized_shape=(8,), "
        "eps=0.001) seed=302000946 dtype=float32 layout=sliced"
    ),
    "Welford's mean in groups": (
        "nn.functional.group_norm(x=near(8, 3, 8, at=(0.0,)), weight=ordinary(3), bias=None, num_groups=3, eps=0.001) "
        "seed=301000955 dtype=float32 layout=transposed cotangent=ones"
    ),
    "a share of the cotangent that is stored as 0, over 0": (
        "nn.functional.poisson_nll_loss(x=special(65, 5), target=ties(65, 5), log_input=False, full=False, eps=0.5, "
        "reduction='mean') seed=303000932 dtype=bfloat16 layout=sliced cotangent=subnormal"
    ),
    "g·e before the quotient": (
        "nn.functional.softplus(x=near(67, at=(2.0,)), beta=1.0, threshold=2.0) seed=304 dtype=float32"
    ),
    "a place just before a pixel, whose fraction is rounded": (
        "nn.functional.grid_sample(x=huge(1, 2, 1, 3), grid=ordinary(1, 3, 4, 2), mode='bicubic', "
        "padding_mode='zeros', align_corners=None) seed=306000951 dtype=bfloat16 cotangent=subnormal"
    ),
    "a subnormal difference that is divided first": (
        "nn.functional.smooth_l1_loss(x=edges(8, 31), target=integers(8, 31), reduction='none', beta=2.0) "
        "seed=401001221 dtype=float32 cotangent=wide"
    ),
    "a cotangent of the output's dtype, although its tangent has another": (
        "nn.functional.triplet_margin_with_distance_loss(x=ties(8), positive=ordinary(8), negative=subnormal(8), "
        "distance_function=None, margin=2.0, swap=True, reduction='mean') seed=4242012728 dtype=float32 "
        "mode=reverse-over-forward cotangent=wide"
    ),
}


@pytest.mark.parametrize("line", CASES.values(), ids=CASES)
def test_it_is_within_its_bound(line):
    assert {verdict.status for verdict in judge_case(parse_case(line))} <= {"agrees", "coarse"}


def test_what_may_be_zero_over_zero_may_be_anything():
    model = rounding_model("float32")
    tiny, zero = Bounded(np.array([1e-45, 1.0]), np.array([1e-44, 1e-8]), model), lift(np.zeros(2), model)
    with np.errstate(divide="ignore"):
        assert (tiny / zero).full_bound().tolist() == [np.inf, 0.0]  # and 1/0 is inf for certain


def test_a_mean_may_lose_a_subnormal_number_in_each_step():
    model = rounding_model("float32")
    total = np.sum(lift(np.full(8, 1e-40), model))
    once, often = (total / 8).full_bound(), averaged(total, 8).full_bound()
    assert 7 * model.eta <= often - once <= 9 * model.eta
    assert averaged(np.float64(8.0), 8) == 1.0
