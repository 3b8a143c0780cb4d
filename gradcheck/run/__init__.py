"""Running many cases: the plan, the worker processes, and what they found put together."""
