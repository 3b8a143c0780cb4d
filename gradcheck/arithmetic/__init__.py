"""Four arithmetics in which one NumPy formula is evaluated: float64, running error, dual numbers, Arb balls."""

# The rule tables fill themselves in on import.
from gradcheck.arithmetic import dual_rules, running_rules
from gradcheck.arithmetic.ball import Ball, ball_precision, balls, enclosure
from gradcheck.arithmetic.dual import Dual, expanded_nodes, primal_of, tangent_of
from gradcheck.arithmetic.functions import (
    apart,
    as_dtype,
    as_dtype_of,
    expit_slope,
    fixed,
    guarded,
    number,
    pi,
    sgn,
    stored,
    sum_over_batch,
)
from gradcheck.arithmetic.mask import Mask
from gradcheck.arithmetic.model import RoundingModel, rounding_model
from gradcheck.arithmetic.running import Bounded

__all__ = [
    "Ball",
    "Bounded",
    "Dual",
    "Mask",
    "RoundingModel",
    "apart",
    "as_dtype",
    "as_dtype_of",
    "ball_precision",
    "balls",
    "dual_rules",
    "enclosure",
    "expanded_nodes",
    "expit_slope",
    "fixed",
    "guarded",
    "number",
    "pi",
    "primal_of",
    "rounding_model",
    "running_rules",
    "sgn",
    "stored",
    "sum_over_batch",
    "tangent_of",
]
