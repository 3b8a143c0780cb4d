"""gradcheck: an independent numerical oracle for PyTorch.

Short NumPy functions hold the textbook value and the hand-derived gradient of PyTorch's operations. Each is evaluated
in several arithmetics, so that the allowed error follows from the formula itself. See ``gradcheck --help``.
"""

__version__ = "0.1.0"
