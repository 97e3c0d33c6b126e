"""Seeded experiments on Batch Normalization and Batch Renormalization; `python -m benchmarks.experiments --help`."""
