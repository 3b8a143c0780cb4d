"""The audit of entries that are no operations: step rules, schedules, clipping, averages, the scaler."""
