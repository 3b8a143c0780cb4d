"""How matrices are multiplied, where that is not how everything else is computed: tensor cores and narrower formats.

Sources. M. Fasi, N. J. Higham, M. Mikaitis & S. Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ Computer
Science 7:e330, 2021: products are exact, sums are kept in float32 and chopped, not rounded. P. Blanchard, N. J. Higham,
F. Lopez, T. Mary & S. Pranesh, "Mixed precision block fused multiply-add: error analysis and application to GPU tensor
cores", SIAM J. Sci. Comput. 42(3), 2020, §3: the bound of operands rounded first and summed in a wider format. PyTorch,
"Numerical accuracy", sections on TF32 and on reduced precision reduction in float16 and bfloat16 matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FACTORS", "PLAIN", "Products"]

FACTORS = {"tf32": 2.0**-11, "bf16": 2.0**-8}
"""The unit roundoff of what float32 factors may be rounded to before they are multiplied, by PyTorch's word for it
(``fp32_precision``): TF32 has 11 significant bits and bfloat16 has 8 (the documentation of
``torch.set_float32_matmul_precision`` counts those that are written down, 10 and 7), both the exponents of float32."""


@dataclass(frozen=True)
class Products:
    """factors: the relative error of float32 factors, which are rounded first, 0 where they are not; reduced: 16-bit
    dtypes whose partial sums may be kept in that dtype; chopped: whether sums of narrow factors are chopped."""

    factors: float = 0.0
    reduced: frozenset[str] = frozenset()
    chopped: bool = False


PLAIN = Products()
"""Products like any other arithmetic."""
