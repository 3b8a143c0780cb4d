"""What ``.grad`` holds after any history of calls: a state machine in NumPy, under running error bounds."""
