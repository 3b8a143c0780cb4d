"""Schedules: the learning rate (and momentum) at every step, as the field writes it, for ``torch.optim``."""
