"""Averages over training: of parameters (AveragedModel), of batch statistics (update_bn)."""
