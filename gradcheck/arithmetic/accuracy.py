"""Published accuracies of elementary functions, in ulps of the format they compute in.

Every number has its source beside it; none was measured here and none was fitted to make a test pass.

CPU. PyTorch's vectorised kernels call SLEEF's ``u10`` functions, stated to err by at most 1.0 ulp
(SLEEF documentation, "Math library reference"; N. Shibata & F. Petrogalli, "SLEEF: A Portable Vectorized Library of C
Standard Mathematical Functions", IEEE TPDS 31(6), 2020). Its scalar code calls the C library: GNU C Library manual,
"Known Maximum Errors in Math Functions", x86_64 and aarch64. The larger of the two counts.

CUDA. CUDA C++ Programming Guide, appendix "Mathematical Functions", maximum ulp errors in single and double precision.

Reference. The reference's own float64: NumPy's functions, which call the C library or vectorised loops that are no
worse (tests/arithmetic/test_accuracy.py measures them against Arb), and SciPy's erf, which is that of the Cephes
library: peak relative error 3.7e-16 in [0, 1], that is 1.67·2^-52 (S. Moshier, Cephes Mathematical Library, ndtr.c).

Wide. The reference's own ``np.longdouble``, in units of 2^-63 of the result: GNU C Library,
sysdeps/x86_64/fpu/libm-test-ulps, from which the manual's table is made, the largest of all rounding modes of long
double and of quadruple precision; erf is a series of this package (``carrier.wide_erf``).
"""

from __future__ import annotations

__all__ = ["ACCURACY"]

#: function -> device type, ``reference`` or ``wide`` -> largest error in ulp
ACCURACY: dict[str, dict[str, float]] = {
    #        SLEEF 1.0, glibc 1            CUDA: expf 1, exp 1
    "exp": {"cpu": 1.0, "cuda": 1.0, "reference": 1.0, "wide": 2.0},
    #        SLEEF 1.0, glibc 1            CUDA: expm1f 1, expm1 1
    "expm1": {"cpu": 1.0, "cuda": 1.0, "reference": 1.0, "wide": 4.0},
    #        SLEEF 1.0, glibc 1            CUDA: logf 1, log 1
    "log": {"cpu": 1.0, "cuda": 1.0, "reference": 1.0, "wide": 2.0},
    #        SLEEF 1.0, glibc 1            CUDA: log1pf 1, log1p 1
    "log1p": {"cpu": 1.0, "cuda": 1.0, "reference": 1.0, "wide": 4.0},
    #        SLEEF 1.0, glibc 2            CUDA: tanhf 2, tanh 2
    "tanh": {"cpu": 2.0, "cuda": 2.0, "reference": 2.0, "wide": 4.0},
    #        SLEEF 1.0, glibc 1            CUDA: erff 2, erf 2
    "erf": {"cpu": 1.0, "cuda": 2.0, "reference": 1.67, "wide": 100.0},
    #        SLEEF 1.0, glibc 1            CUDA: cosf 2, cos 2
    "cos": {"cpu": 1.0, "cuda": 2.0, "reference": 1.0, "wide": 3.0},
    #        SLEEF 1.0, glibc 1            CUDA: sinf 2, sin 2
    "sin": {"cpu": 1.0, "cuda": 2.0, "reference": 1.0, "wide": 3.0},
    #        SLEEF 1.0, glibc 1            CUDA: powf 4, pow 2
    "power": {"cpu": 1.0, "cuda": 4.0, "reference": 1.0, "wide": 4.0},
}
