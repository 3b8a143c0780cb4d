"""Parts of ``benchmarks/against_others.py``: the faults, the inputs, and the tools that look for them."""
