"""The references: for each differentiable operation, its textbook value and its hand-derived gradient in NumPy."""
