"""Pooling in one, two and three dimensions: average, maximum, adaptive, fractional, power-average, and its inverse."""
