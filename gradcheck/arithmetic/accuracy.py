"""Published accuracies of elementary functions, in ulps of the format they compute in.

Every number has its source beside it; none was measured here and none was fitted to make a test pass.

CPU. PyTorch's vectorised kernels call SLEEF's ``u10`` functions, stated to err by at most 1.0 ulp
(SLEEF documentation, "Math library reference"; N. Shibata & F. Petrogalli, "SLEEF: A Portable Vectorized Library of C
Standard Mathematical Functions", IEEE TPDS 31(6), 2020). Its scalar code calls the C library: GNU C Library manual,
"Known Maximum Errors in Math Functions", x86_64 and aarch64. The larger of the two counts.

CUDA. CUDA C++ Programming Guide, appendix "Mathematical Functions", maximum ulp errors in single and double precision,
the largest of the editions since CUDA 10 (expf 2, later 1; powf 8, later 4). They are counted from the correctly
rounded result, which is half an ulp off itself: that much is added here.

Other accelerators. The OpenCL C specification, "Relative Error as ULPs", full profile, single and double precision:
what a conforming device has to keep, counted from the true result. It stands for every accelerator that has no column
of its own here.

Reference. The reference's own float64: NumPy's functions, which call the C library or vectorised loops that are no
worse (tests/arithmetic/test_accuracy.py measures them against Arb), and SciPy's erf, which is that of the Cephes
library: peak relative error 3.7e-16 in [0, 1], that is 1.67·2^-52 (S. Moshier, Cephes Mathematical Library, ndtr.c).

Wide. The reference's own ``np.longdouble``, in units of 2^-63 of the result: GNU C Library,
sysdeps/x86_64/fpu/libm-test-ulps, from which the manual's table is made, the largest of all rounding modes of long
double and of quadruple precision; erf is a series of this package (``carrier.wide_erf``).
"""

from __future__ import annotations

__all__ = ["ACCURACY", "EXACT_AT", "KERNELS", "kernels_of", "largest_error", "reciprocal_root"]

#: function -> device type, ``opencl``, ``reference`` or ``wide`` -> largest error in ulp
ACCURACY: dict[str, dict[str, float]] = {
    #        SLEEF 1.0, glibc 1            CUDA: expf 2, exp 1 (from the rounded result)
    "exp": {"cpu": 1.0, "cuda": 2.5, "opencl": 3.0, "reference": 1.0, "wide": 2.0},
    #        SLEEF 1.0, glibc 1            CUDA: expm1f 1, expm1 1 (from the rounded result)
    "expm1": {"cpu": 1.0, "cuda": 1.5, "opencl": 3.0, "reference": 1.0, "wide": 4.0},
    #        SLEEF 1.0, glibc 1            CUDA: logf 1, log 1 (from the rounded result)
    "log": {"cpu": 1.0, "cuda": 1.5, "opencl": 3.0, "reference": 1.0, "wide": 2.0},
    #        SLEEF 1.0, glibc 1            CUDA: log1pf 1, log1p 1 (from the rounded result)
    "log1p": {"cpu": 1.0, "cuda": 1.5, "opencl": 2.0, "reference": 1.0, "wide": 4.0},
    #        SLEEF 1.0, glibc 2            CUDA: tanhf 2, tanh 2 (from the rounded result)
    "tanh": {"cpu": 2.0, "cuda": 2.5, "opencl": 5.0, "reference": 2.0, "wide": 4.0},
    #        SLEEF 1.0, glibc 1            CUDA: erff 2, erf 2 (from the rounded result)
    "erf": {"cpu": 1.0, "cuda": 2.5, "opencl": 16.0, "reference": 1.67, "wide": 100.0},
    #        SLEEF 1.0, glibc 1            CUDA: cosf 2, cos 2 (from the rounded result)
    "cos": {"cpu": 1.0, "cuda": 2.5, "opencl": 4.0, "reference": 1.0, "wide": 3.0},
    #        SLEEF 1.0, glibc 1            CUDA: sinf 2, sin 2 (from the rounded result)
    "sin": {"cpu": 1.0, "cuda": 2.5, "opencl": 4.0, "reference": 1.0, "wide": 3.0},
    #        SLEEF 1.0, glibc 1            CUDA: powf 8, pow 2 (from the rounded result)
    "power": {"cpu": 1.0, "cuda": 8.5, "opencl": 16.0, "reference": 1.0, "wide": 4.0},
}

EXACT_AT = {"exp": 0.0, "cos": 0.0}
"""Where a function that is not 0 there is exact: exp(±0) = 1 and cos(±0) = 1 (IEEE 754-2019, §9.2.1; C17, annex F.10,
which CUDA's and OpenCL's manuals follow in this)."""

RECIPROCAL_ROOT = {"cuda": 2.5, "opencl": 2.0}
"""Largest error of 1/√x where it is one function, in ulps: rsqrtf 2 and rsqrt 1 from the rounded result (CUDA), rsqrt 2
from the true one (OpenCL). On the CPU it is a root and a quotient, each rounded correctly."""

KERNELS = {"cpu": "cpu", "cuda": "cuda"}
"""Whose kernels a device type computes with, which is a column of the table; a type that is not here has ``opencl``.
Tests enter a simulated device that computes with the CPU's."""


def kernels_of(device: str) -> str:
    """Whose kernels a device (``cuda:1``) computes with: its own, but for a simulated one."""
    kind = device.partition(":")[0]
    return KERNELS.get(kind, kind)


def largest_error(function: str, device: str) -> float:
    """The published error of a function on a device type, in ulps of the format it computes in."""
    return ACCURACY[function][KERNELS.get(device, "opencl")]


def reciprocal_root(device: str) -> float | None:
    """The published error of 1/√x on a device type, in ulps; None where it is computed in two steps."""
    return RECIPROCAL_ROOT.get(KERNELS.get(device, "opencl"))
