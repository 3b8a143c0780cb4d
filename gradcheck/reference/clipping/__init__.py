"""What happens to gradients before a step: clipping by norm and by value, and the scaling of mixed precision."""
