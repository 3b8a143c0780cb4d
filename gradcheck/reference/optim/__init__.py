"""Step rules: one step of every optimizer of ``torch.optim`` as a pure NumPy function, one file per family."""
