"""Does the diagnosis find what was planted, and nothing else? `python -m benchmarks.diagnosis`."""
