"""Weights and statistics from different moments."""
