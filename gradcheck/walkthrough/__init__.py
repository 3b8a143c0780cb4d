"""Training runs, from NumPy to the data loader: the ladder as checked pipelines, and the figures of five texts."""
